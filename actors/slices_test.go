package actors

import (
	"fmt"
	"testing"

	"orderyard/actors/entity"
	"orderyard/messages"
)

// retreat is a site that goes offline, driven as its runtime drives it: what it says, and what is left to be told.
type retreat struct {
	t      *testing.T
	core   *entity.Core
	now    int64
	events []int // of each entry
	tasks  int   // most in one output
	queue  []messages.Task
}

// take looks at an output and keeps its tasks.
func (r *retreat) take(out entity.Output) entity.Output {
	r.t.Helper()
	if len(out.Entry) > 0 {
		commit, err := entity.DecodeCommit(out.Entry)
		if err != nil {
			r.t.Fatal(err)
		}
		r.events = append(r.events, len(commit.Entries[0].Events))
	}
	r.tasks = max(r.tasks, len(out.Tasks))
	r.queue = append(r.queue, out.Tasks...)
	return out
}

// Proves that a site which goes offline with much work gives it back in small entries and tells of it a little at a time: 1,200 accepted fulfillment
// orders, the entries must stay at 1,001 events and an output at 256 tasks, and every order is told once, in the order of what happened.
func TestSiteGoesOfflineInSlices(t *testing.T) {
	const all, entryMost, tasksMost = 1_200, 1_001, 256
	limits := entity.DefaultLimits()
	at := messages.SiteRef("den")
	r := &retreat{t: t, now: 1_782_918_000_000}
	r.core = entity.NewCore(at, Kinds(func() int64 { return r.now }, RememberForMs, nil)[at.Kind], nil, &limits)
	r.core.Step(&messages.Request{Command: &messages.ApplySite{Doc: &messages.SiteDoc{Id: "den"}}}, r.now)
	for i := range all {
		id := fmt.Sprintf("o%04d", i)
		fo := &messages.FulfillmentOrder{Id: id + ".1", OrderId: id, Lines: []*messages.FulfillmentLine{{LineId: "1", Sku: "MUG", Quantity: 1, ReservationId: id + "/0"}}}
		if out := r.core.Step(&messages.Request{Command: &messages.RequestFulfillment{Fulfillment: fo}}, r.now); out.Reply.GetFailure() != nil || len(out.Tasks) > 0 {
			t.Fatalf("request: %v", out)
		}
	}
	out := r.take(r.core.Step(&messages.Request{Command: &messages.SetSiteStatus{Status: "offline"}}, r.now))
	for out.Wake == r.now+1 {
		r.now++
		out = r.take(r.core.Tick(r.now))
	}
	total := 0
	for _, n := range r.events {
		if total += n; n > entryMost {
			t.Errorf("entries have %d events, at most %d are wanted", r.events, entryMost)
			break
		}
	}
	if total != all+1 {
		t.Errorf("%d events in all, want %d", total, all+1)
	}
	sequence := uint64(0)
	for told := 0; told < all; told++ {
		if len(r.queue) == 0 {
			t.Fatalf("%d orders are told, then none", told)
		}
		task := r.queue[0]
		r.queue = r.queue[1:]
		change := task.Command.(*messages.FulfillmentChanged)
		if change.Sequence <= sequence {
			t.Fatalf("notice %d comes after notice %d", change.Sequence, sequence)
		}
		sequence = change.Sequence
		r.take(r.core.Step(&messages.Request{Command: &messages.TaskResult{TaskId: task.ID, Reply: &messages.Reply{}}}, r.now))
	}
	if r.tasks > tasksMost || len(r.queue) > 0 {
		t.Errorf("%d tasks in one output, at most %d are wanted; %d are left", r.tasks, tasksMost, len(r.queue))
	}
}

// Proves that orders which nobody serves for now do not keep a site from telling the others, whether their questions are refused or never answered, that
// they cost little meanwhile, and that they are told when they are served again.
func TestUnservedOrdersHoldUpNoNotice(t *testing.T) {
	const dead, most = 700, 256
	for _, answered := range []bool{true, false} {
		limits := entity.DefaultLimits()
		at := messages.SiteRef("den")
		r := &retreat{t: t, now: 1_782_918_000_000}
		r.core = entity.NewCore(at, Kinds(func() int64 { return r.now }, RememberForMs, nil)[at.Kind], nil, &limits)
		r.core.Step(&messages.Request{Command: &messages.ApplySite{Doc: &messages.SiteDoc{Id: "den"}}}, r.now)
		change := func(id string) {
			fo := &messages.FulfillmentOrder{Id: id + ".1", OrderId: id, Lines: []*messages.FulfillmentLine{{LineId: "1", Sku: "MUG", Quantity: 1, ReservationId: id + "/0"}}}
			r.take(r.core.Step(&messages.Request{Command: &messages.RequestFulfillment{Fulfillment: fo}}, r.now))
			out := r.take(r.core.Step(&messages.Request{Command: &messages.SiteAction{Action: "reject", FulfillmentId: fo.Id, Reason: "carrier"}}, r.now))
			if f := out.Reply.GetFailure(); f != nil {
				t.Fatal(f)
			}
		}
		sent, told, served := 0, map[string]bool{}, false
		// world answers what was sent, and lets a second go by.
		world := func() {
			for len(r.queue) > 0 {
				task := r.queue[0]
				r.queue = r.queue[1:]
				sent++
				reply := &messages.Reply{}
				switch {
				case served || task.To.ID[0] == 'l':
					told[task.To.ID] = true
				case !answered:
					continue
				default:
					reply = messages.Refuse(messages.Retry(messages.CodeUnavailable, 20, "nobody serves it"))
				}
				r.take(r.core.Step(&messages.Request{Command: &messages.TaskResult{TaskId: task.ID, Reply: reply}}, r.now))
			}
			for end := r.now + 1000; r.now < end; {
				out := r.core.Tick(r.now)
				r.take(out)
				r.now = end
				if out.Wake > 0 && out.Wake < end {
					r.now = out.Wake
				}
			}
		}
		for i := range dead {
			change(fmt.Sprintf("dead%d", i))
		}
		change("live")
		for range 20 {
			world()
		}
		if !told["live"] {
			t.Errorf("answered %v: the order that is served was not told in 20 s", answered)
		}
		if r.tasks > most || sent > 20*2*most {
			t.Errorf("answered %v: %d tasks in 20 s, %d at once", answered, sent, r.tasks)
		}
		for range 10 {
			change(fmt.Sprintf("live%d", r.now))
			world()
			world()
		}
		served = true
		for range 40 {
			world()
		}
		if want := dead + 11; len(told) != want {
			t.Errorf("answered %v: %d orders told when all are served, want %d", answered, len(told), want)
		}
	}
}
