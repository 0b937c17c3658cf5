package sim

import (
	"bytes"

	"orderyard/actors"
	"orderyard/actors/entity"
	"orderyard/messages"
)

// machines are the kinds that a node runs: the real ones, now and then made to decide twice.
func (w *world) machines(n *node) entity.Kinds {
	kinds := actors.Kinds(n.wall, actors.RememberForMs, func(req *messages.PlanRequest, now int64) *messages.AdoptPlan {
		return n.know.Answer(req, now)
	})
	for of, kind := range kinds {
		planted := w.plant(n, of, w.narrow(kind))
		create, load := planted.New, planted.Load
		again := func(id string, state []byte) (entity.Machine, error) { return load(id, state) }
		kind.New = func(id string) entity.Machine { return &twice{Machine: create(id), n: n, id: id, again: again} }
		kind.Load = func(id string, state []byte) (entity.Machine, error) {
			m, err := load(id, state)
			return &twice{Machine: m, n: n, id: id, again: again}, err
		}
		kinds[of] = kind
	}
	return kinds
}

// narrow lets a seed's machines tell few notices at a time, so that the limit is met.
func (w *world) narrow(kind entity.Kind) entity.Kind {
	create, load := kind.New, kind.Load
	limited := func(m entity.Machine) entity.Machine {
		if l, ok := m.(interface{ LimitNotices(int) }); ok && w.noticesMax > 0 {
			l.LimitNotices(w.noticesMax)
		}
		return m
	}
	kind.New = func(id string) entity.Machine { return limited(create(id)) }
	kind.Load = func(id string, state []byte) (entity.Machine, error) {
		m, err := load(id, state)
		if err != nil {
			return m, err
		}
		return limited(m), nil
	}
	return kind
}

// twice decides some commands a second time, on a copy read back from bytes, at another hour of the machine's clock: what a decision gives depends
// on the state, the command and the moment it is told, and on nothing else.
type twice struct {
	entity.Machine
	n       *node
	id      string
	version uint64
	again   func(id string, state []byte) (entity.Machine, error)
}

// SetVersion implements entity.Machine.
func (t *twice) SetVersion(version uint64) {
	t.version = version
	t.Machine.SetVersion(version)
}

// Postpone implements entity.Postponer where the real machine does.
func (t *twice) Postpone(task string, now int64) bool {
	p, ok := t.Machine.(entity.Postponer)
	return ok && p.Postpone(task, now)
}

// Decide implements entity.Machine.
func (t *twice) Decide(cmd messages.Command, now int64) ([]messages.Event, *messages.Reply, error) {
	w := t.n.w
	if w.rng.Uint32()%64 != 0 {
		return t.Machine.Decide(cmd, now)
	}
	if _, probes := cmd.(*messages.StockArrived); probes { // it asks for a plan, and plans look at the node's view
		return t.Machine.Decide(cmd, now)
	}
	state := t.Machine.MarshalState()
	events, reply, err := t.Machine.Decide(cmd, now)
	copied, failed := t.again(t.id, state)
	if failed != nil {
		w.violate("I10", t.id, "its own bytes cannot be read: %v", failed)
		return events, reply, err
	}
	w.result.Decisions++
	copied.SetVersion(t.version)
	t.n.clockOffset += 3_600_000
	other, _, otherErr := copied.Decide(cmd, now)
	t.n.clockOffset -= 3_600_000
	if !same(events, other) || (err == nil) != (otherErr == nil) {
		w.violate("I10", t.id, "%T decided again from the same bytes at the same moment gives other events: %v, then %v", cmd, events, other)
	}
	return events, reply, err
}

func same(a, b []messages.Event) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, errX := a[i].MarshalVT()
		y, errY := b[i].MarshalVT()
		if errX != nil || errY != nil || messages.EventType(a[i]) != messages.EventType(b[i]) || !bytes.Equal(x, y) {
			return false
		}
	}
	return true
}
