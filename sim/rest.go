package sim

import (
	"context"

	"orderyard/actors/entity"
	"orderyard/cluster"
	"orderyard/messages"
	"orderyard/persistence"
)

// beat is the partition's second: entities that nobody asked become bytes, and now and then all of them a checkpoint.
func (l *lane) beat() {
	if l.phase != cluster.PhaseServing {
		return
	}
	l.ringSoon()
	for _, v := range l.sortedLive() {
		if l.w.now-v.last >= l.w.limits.PassivateAfterMs {
			v.retiring = true
			if v.outbox.Empty() || l.w.has(bugHastyRest) {
				l.retire(v)
			}
		}
	}
	if !l.checking && l.w.faults && l.w.chance(8) {
		l.checking = true
		l.checkpoint()
	}
}

// ringSoon is for clocks that were set: an alarm was planned by the old one.
func (l *lane) ringSoon() {
	if at := l.store.NextWake(); at != 0 && at <= l.n.wall() && !l.w.has(bugDeafTimer) {
		l.ring()
	}
}

// retire turns an entity into bytes.
func (l *lane) retire(v *live) {
	snap := v.core.Snapshot(l.n.wall())
	delete(l.live, v.ref)
	v.outbox = entity.Outbox[output]{} // empty, but for a planted bug
	if snap.Version == 0 {
		return
	}
	if old, _ := l.store.Get(v.ref); old != nil && l.w.has(bugStaleRebirth) {
		return
	}
	if err := l.store.Put(snap); err != nil {
		l.w.violate("I10", v.ref.String(), "%v", err)
	}
	l.alarm()
}

// checkpoint writes the partition beside the running work: it begins at a durable position and takes every entity's state at or after it, that of a
// living one when it is durable. Then the journal is cut as far as its followers have read.
func (l *lane) checkpoint() {
	base, life := l.head, l.life
	taken := entity.NewStore()
	waiting := 1
	done := func() {
		if waiting--; waiting == 0 {
			l.n.process(func() { l.writeCheckpoint(base, taken, life) })
		}
	}
	put := func(snap *messages.EntitySnapshot) {
		if snap != nil && snap.Version > 0 {
			if err := taken.Put(snap); err != nil {
				l.w.violate("I10", snap.Id, "%v", err)
			}
		}
	}
	for _, ref := range l.store.Refs() {
		if l.live[ref] == nil {
			snap, err := l.store.Get(ref)
			if err != nil {
				l.w.violate("I10", ref.String(), "%v", err)
			}
			put(snap)
		}
	}
	for _, v := range l.sortedLive() {
		snap := v.core.Snapshot(l.n.wall())
		waiting++
		v.outbox.Push(output{capture: func() { put(snap); done() }})
	}
	for _, v := range l.sortedLive() {
		l.settle(v)
	}
	done()
}

func (l *lane) writeCheckpoint(base persistence.Manifest, taken *entity.Store, life int) {
	if l.life != life {
		return
	}
	ctx := context.Background()
	err := l.n.store.Write(ctx, l.partition, base, taken.Slices(int(l.w.between(100, 4_000))))
	if l.n.gone || l.life != life {
		return
	}
	l.checking = false
	if err != nil {
		l.w.note("%s: no checkpoint of partition %d", l.n.incarnation, l.partition)
		return
	}
	l.w.note("%s: checkpoint of partition %d at %d", l.n.incarnation, l.partition, base.Position)
	if below := min(base.Position, l.n.feeds.floor(l.partition)); below > 0 {
		_ = l.n.store.Truncate(ctx, l.partition, below) // the next one tries again
	}
}
