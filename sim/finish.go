package sim

import (
	"cmp"
	"context"
	"slices"

	"orderyard/actors"
	"orderyard/actors/entity"
	"orderyard/messages"
	"orderyard/persistence"
)

// peek gives an entity without bringing it to life.
func (l *lane) peek(ref messages.Ref) (*entity.Core, error) {
	if c := l.cores[ref]; c != nil {
		return c, nil
	}
	return l.store.Core(ref, l.w.kinds, l.w.know.Answer, &l.w.limits)
}

func sortedRefs(cores map[messages.Ref]*entity.Core) []messages.Ref {
	refs := make([]messages.Ref, 0, len(cores))
	for ref := range cores {
		refs = append(refs, ref)
	}
	slices.SortFunc(refs, func(a, b messages.Ref) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID)) })
	return refs
}

// finish audits: the journal as a reader finds it, against what was acknowledged, against the live state.
func (w *world) finish() {
	for p, l := range w.lanes {
		w.replay(p)
		if l.store == nil || l.dead {
			continue
		}
		for _, ref := range l.store.Refs() {
			c, err := l.peek(ref)
			if err != nil {
				w.violate("I10", ref.String(), "%v", err)
				continue
			}
			w.audit.Live(c, w.now)
		}
	}
	w.result.Violations = append(w.result.Violations, w.audit.Finish(w.now, true)...)
	for id := range w.load.acked {
		if !w.audit.Has(messages.OrderRef(id)) {
			w.violate("I2", id, "the order was acknowledged and is not in the journal")
		}
	}
	for id := range w.load.holds {
		if !w.audit.HasReservation(id) {
			w.violate("I2", id, "the reservation was acknowledged and is not in the journal")
		}
	}
	w.result.Orders = len(w.load.acked)
	w.result.Statuses = map[string]int{}
	rows, _ := w.know.ListOrders(actors.OrderFilter{}, "", 1_000_000)
	for _, row := range rows {
		w.result.Statuses[row.Status]++
		w.result.Reroutes += int(row.Reroutes)
	}
}

// replay reads a partition as a new owner would, checkpoint first, and hands all to the audit.
func (w *world) replay(p int) {
	ctx := context.Background()
	manifest, _, err := w.disk.Load(ctx, p, w.audit.CheckpointSlices(p))
	if err != nil {
		w.violate("I10", "", "partition %d checkpoint: %v", p, err)
		return
	}
	log := persistence.OpenLog(w.disk, p, persistence.LogOptions{Sleep: noSleep, AppendTimeout: -1, BehindFor: -1, Nonce: 1})
	err = log.Recover(ctx, manifest, func(position uint64, payload []byte) error {
		w.audit.Commit(p, position, log.Number(), payload)
		return nil
	})
	if err != nil {
		w.violate("I10", "", "partition %d: %v", p, err)
	}
}
