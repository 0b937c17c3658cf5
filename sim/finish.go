package sim

import (
	"context"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"orderyard/actors"
	"orderyard/actors/audit"
	"orderyard/actors/entity"
	"orderyard/cluster"
	"orderyard/messages"
	"orderyard/persistence"
	"orderyard/persistence/memory"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// finish looks at the whole: the history from its first record, the live state, and what a new owner would read back, against each other and
// against what was acknowledged.
func (w *world) finish() {
	w.ledger.take()
	a := w.ledger.Auditor
	for p := range w.o.Partitions {
		w.compareReadBack(a, p)
	}
	for _, n := range w.seats {
		for _, l := range n.lanes {
			w.compareLive(a, l)
		}
	}
	w.result.Violations = append(w.result.Violations, a.Finish(w.time(), true)...)
	for _, id := range sortedKeys(w.load.acked) {
		if !a.Has(messages.OrderRef(id)) {
			w.violate("I2", id, "the order was acknowledged and is not in the journal")
		}
	}
	for _, id := range sortedKeys(w.load.cancelled) {
		if view := a.Order(id); view == nil || view.CancelReason == "" && view.Life != "cancelled" {
			w.violate("I2", id, "its cancellation was acknowledged, and it knows of none")
		}
	}
	for _, id := range sortedKeys(w.load.holds) {
		if !a.Granted[id] {
			w.violate("I2", id, "the reservation was acknowledged and is not in the journal")
		}
	}
	w.checks.hands.finish(a)
	w.checks.stream()
	w.result.Orders = len(w.load.acked)
	w.result.Statuses = map[string]int{}
	listed := map[string]bool{}
	for _, n := range w.seats {
		rows, _ := n.know.ListOrders(actors.OrderFilter{}, "", 1_000_000)
		for _, row := range rows {
			w.result.Statuses[row.Status]++
			w.result.Reroutes += int(row.Reroutes)
			if listed[row.OrderId] {
				w.violate("I12", row.OrderId, "it is listed twice")
			}
			listed[row.OrderId] = true
			if made := a.Row(row.OrderId); made == nil || !proto.Equal(made, row) {
				w.violate("I12", row.OrderId, "%s lists it as %v, the journal makes it %v", n.incarnation, row, made)
			}
		}
	}
	if placed := a.Placed(); len(listed) != placed {
		w.violate("I12", "", "%d orders are placed, the nodes list %d", placed, len(listed))
	}
}

// compareReadBack reads a partition as a new owner would, checkpoint first, and compares.
func (w *world) compareReadBack(a *audit.Auditor, p int) {
	disk := &quietStore{w.storage.disk}
	back := &entity.ReadBack{
		Partition: p, Kinds: w.kinds, Planner: func(*messages.PlanRequest, int64) *messages.AdoptPlan { return &messages.AdoptPlan{} },
		Limits: &w.limits, Store: disk, Clock: w.time,
		Log: persistence.LogOptions{Nonce: 1, AppendTimeout: -1, BehindFor: -1, HighWater: persistence.Mark{Position: w.storage.cursors[p].Position}},
	}
	ctx := context.Background()
	err := back.Read(ctx)
	var got *entity.Recovered
	if err == nil {
		_, got, err = back.Take(ctx, persistence.Mark{})
	}
	if err != nil {
		w.violate("I10", "", "partition %d cannot be read back: %v", p, err)
		return
	}
	for _, ref := range got.Store.Refs() {
		w.compare(a, got.Store, ref)
		if ref.Kind == messages.KindOrder {
			w.dated(got.Store, ref)
		}
	}
}

func (w *world) compare(a *audit.Auditor, store *entity.Store, ref messages.Ref) {
	core, err := store.Core(ref, w.kinds, nil, &w.limits)
	if err != nil {
		w.violate("I10", ref.String(), "%v", err)
		return
	}
	a.Live(core, w.time())
}

// dated looks for units that a rule wanted cancelled by now, and that still wait.
func (w *world) dated(store *entity.Store, ref messages.Ref) {
	core, err := store.Core(ref, w.kinds, nil, &w.limits)
	s := new(messages.OrderState)
	if err != nil || s.UnmarshalVT(core.Machine().MarshalState()) != nil || s.CancelAtMs == 0 || s.CancelAtMs > w.time() {
		return
	}
	view := viewOf(core.Machine())
	for i, u := range view.Units {
		if waiting := u.Backordered + u.Open + u.Exception; waiting > 0 && view.CancelReason == "" {
			w.violate("I11", ref.String(), "%d units of line %d wait, and were to be cancelled %d ms ago", waiting, i, w.time()-s.CancelAtMs)
		}
	}
}

// compareLive compares what a node holds in memory, and looks for questions that it took and never answered.
func (w *world) compareLive(a *audit.Auditor, l *lane) {
	if l.phase != cluster.PhaseServing {
		return
	}
	for _, ref := range l.store.Refs() {
		if v := l.live[ref]; v != nil {
			a.Live(v.core, w.time())
		} else {
			w.compare(a, l.store, ref)
		}
	}
	var lost *question
	for q := range l.taken {
		if w.now-q.at > 15_000 && (lost == nil || q.at < lost.at || q.at == lost.at && q.To.ID < lost.To.ID) {
			lost = q
		}
	}
	if lost != nil {
		w.violate("once", lost.To.String(), "%T %q was taken and never answered", lost.Command, lost.CommandID)
	}
}

// quietStore takes a takeover without keeping it.
type quietStore struct{ *memory.Store }

// Append implements persistence.Journal.
func (s *quietStore) Append(_ context.Context, _ int, expect uint64, _ string, _ []byte) (uint64, error) {
	return expect + 1, nil
}
