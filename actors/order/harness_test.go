package order

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"orderyard/messages"
)

// entry is one decided command as the journal keeps it.
type entry struct {
	at     int64
	events []*messages.EventRecord
}

// harness runs one order as the runtime does, and checks after every step what must always hold.
type harness struct {
	t   testing.TB
	s   *State
	id  string
	now int64
	log []entry
	// fatal stops the test; rapid has its own way to do that.
	fatal func(format string, args ...any)
}

const noon = int64(1_795_435_200_000) // 2026-11-23T12:00:00Z

func newHarness(t testing.TB, id string) *harness {
	h := &harness{t: t, s: New(id), id: id, now: noon}
	h.fatal = func(format string, args ...any) { h.t.Fatalf(format, args...) }
	return h
}

// step decides one command; its events are encoded and decoded again, as the journal does.
func (h *harness) step(cmd messages.Command) ([]messages.Event, *messages.Reply, error) {
	before := h.s.MarshalState()
	asked, _ := cmd.MarshalVT()
	events, reply, err := Decide(h.s, cmd, h.now)
	if still, _ := cmd.MarshalVT(); !bytes.Equal(asked, still) && !isPlan(cmd) {
		h.fatal("Decide(%T) has written the command: asked again under its id it would be another", cmd)
	}
	if !bytes.Equal(before, h.s.MarshalState()) {
		h.fatal("Decide(%T) has written the state", cmd)
	}
	if err != nil && len(events) > 0 {
		h.fatal("Decide(%T) gave both events and an error", cmd)
	}
	if len(events) > 0 {
		e := entry{at: h.now}
		for i, event := range events {
			data, err := event.MarshalVT()
			if err != nil {
				h.fatal("encode %s: %v", messages.EventName(event), err)
			}
			r := &messages.EventRecord{Type: messages.EventType(event), Data: data}
			if events[i], err = messages.DecodeEvent(r); err != nil {
				h.fatal("%v", err)
			}
			e.events = append(e.events, r)
			Evolve(h.s, events[i], h.now)
			h.s.Version++
		}
		h.log = append(h.log, e)
		if version := reply.GetOrder().GetVersion(); version != 0 && version != h.s.Version {
			h.fatal("the reply to %T says version %d, the state has %d", cmd, version, h.s.Version)
		}
	}
	h.check()
	return events, reply, err
}

// isPlan says that it is routing's answer, which nobody sends twice.
func isPlan(cmd messages.Command) bool {
	_, is := cmd.(*messages.AdoptPlan)
	return is
}

// local answers what the order asks routing, and runs the timers that are due, until neither is left.
func (h *harness) local(route func(*messages.PlanRequest) *messages.Plan) []messages.Event {
	var all []messages.Event
	for range 100 {
		var cmd messages.Command
		for _, task := range h.tasks() {
			if task.Due > h.now {
				continue
			}
			if task.To.Kind == messages.KindRouting && route != nil {
				r := task.Command.(*messages.PlanRequest)
				plan := route(r)
				if plan == nil {
					continue
				}
				plan.PlanNo, plan.Cause = r.PlanNo, r.Cause
				cmd = &messages.AdoptPlan{Plan: plan}
			} else if task.To == messages.OrderRef(h.id) {
				cmd = task.Command
			}
			if cmd != nil {
				break
			}
		}
		if cmd == nil {
			return all
		}
		events, _, err := h.step(cmd)
		if err != nil || len(events) == 0 {
			h.fatal("%T was owed and changed nothing (%v): the runtime would spin", cmd, err)
		}
		all = append(all, events...)
	}
	h.fatal("plans and timers did not come to rest")
	return nil
}

func (h *harness) tasks() []messages.Task { return Tasks(h.s, h.now, nil) }

// replayed rebuilds the order from its journal.
func (h *harness) replayed() *State {
	s := New(h.id)
	for _, e := range h.log {
		for _, r := range e.events {
			event, err := messages.DecodeEvent(r)
			if err != nil {
				h.fatal("%v", err)
			}
			Evolve(s, event, e.at)
			s.Version++
		}
	}
	return s
}

// restart forgets the state in memory.
func (h *harness) restart() { h.s = h.replayed() }

// check holds the invariants of doc.go.
func (h *harness) check() {
	h.checkReplay()
	if h.s.order == nil {
		return
	}
	h.checkUnits()
	h.checkTasks()
}

// checkReplay: replay gives the live state bit for bit, and so does a checkpoint (I10).
func (h *harness) checkReplay() {
	live := h.s.MarshalState()
	if replay := h.replayed().MarshalState(); !bytes.Equal(live, replay) {
		h.fatal("replay differs from the live state:\nlive   %x\nreplay %x", live, replay)
	}
	loaded, err := UnmarshalState(live)
	if err != nil {
		h.fatal("the state's own bytes are refused: %v", err)
	}
	if again := loaded.MarshalState(); !bytes.Equal(live, again) {
		h.fatal("a checkpoint differs from the live state")
	}
	loaded.Version = h.s.Version
	if a, b := fmt.Sprint(names(h.tasks())), fmt.Sprint(names(Tasks(loaded, h.now, nil))); a != b {
		h.fatal("a checkpoint owes other tasks:\nlive   %s\nloaded %s", a, b)
	}
}

func names(tasks []messages.Task) []string {
	var list []string
	for _, task := range tasks {
		list = append(list, fmt.Sprintf("%s→%s@%d %v", task.ID, task.To, task.Due, task.Command))
	}
	return list
}

// checkUnits: every unit is in exactly one place (I3), told by the view, by the tally, and summed by hand.
func (h *harness) checkUnits() {
	view := View(h.s, &messages.GetOrder{Timeline: true, Decisions: true})
	for i, u := range view.Units {
		sum := u.Open + u.Planned + u.Reserved + u.Allocated + u.Released + u.Picked + u.Packed + u.Shipped + u.Delivered + u.Backordered + u.Exception + u.Cancelled
		least := min(u.Open, u.Planned, u.Reserved, u.Allocated, u.Released, u.Picked, u.Packed, u.Shipped, u.Delivered, u.Backordered, u.Exception, u.Cancelled)
		if sum != h.s.order.Lines[i].Quantity || least < 0 {
			h.fatal("line %d has %d units, ordered were %d: %v", i, sum, h.s.order.Lines[i].Quantity, u)
		}
	}
	t := h.s.count()
	sum := t.cancelled + t.backordered + t.open + t.returning + t.lost + t.planned + t.reserved + t.allocated + t.released + t.picked + t.packed + t.shipped + t.delivered
	if sum != h.s.units || t.open < 0 {
		h.fatal("the tally counts %d of %d units: %+v", sum, h.s.units, t)
	}
	if len(h.s.timeline) > timelineMax || len(h.s.decisions) > decisionsMax {
		h.fatal("timeline %d, decisions %d are over their limits", len(h.s.timeline), len(h.s.decisions))
	}
}

// checkTasks: ids are unique, nothing is owed for a finished matter, and an unfinished order always has something that moves it (I11).
func (h *harness) checkTasks() {
	seen := map[string]bool{}
	tasks := h.tasks()
	for _, task := range tasks {
		if seen[task.ID] {
			h.fatal("task %s is owed twice", task.ID)
		}
		seen[task.ID] = true
		if h.s.terminal() && task.To.Kind != messages.KindBucket {
			h.fatal("order is %s and owes %s", h.s.life, task.ID)
		}
	}
	moved := len(tasks) > 0 || len(Waits(h.s)) > 0 || len(h.s.holds) > 0 || len(h.s.exceptions) > 0
	if !h.s.terminal() && !moved && !h.atSites() {
		h.fatal("order is %s (%s) and nothing moves it", h.s.life, Status(h.s))
	}
	if h.s.terminal() && len(h.s.holds)+len(h.s.exceptions) > 0 && h.s.life == lifeCancelled {
		h.fatal("a cancelled order has %d holds and %d exceptions", len(h.s.holds), len(h.s.exceptions))
	}
}

// atSites: a site works on it or has been asked, and owes the next notice.
func (h *harness) atSites() bool {
	for i := range h.s.fulfillments {
		f := &h.s.fulfillments[i]
		if f.asked && !f.over() && f.status != messages.FulfillmentStatus_FULFILLMENT_STATUS_DELIVERED && f.living() {
			return true
		}
	}
	return false
}

// short writes a message as the stories show it: "LineReserved fulfillment=1 line=0".
func short(m messages.Message) string {
	text := strings.Join(strings.Fields(fmt.Sprint(m)), " ")
	return text
}
