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
	r := newRetreat(t, messages.SiteRef("den"))
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

// second answers what was sent as the world does (nil = not at all), and lets a second go by. It gives how many tasks that were.
func (r *retreat) second(world func(messages.Task) *messages.Reply) (sent int) {
	for len(r.queue) > 0 {
		task := r.queue[0]
		r.queue = r.queue[1:]
		sent++
		if reply := world(task); reply != nil {
			r.take(r.core.Step(&messages.Request{Command: &messages.TaskResult{TaskId: task.ID, Reply: reply}}, r.now))
		}
	}
	for end := r.now + 1000; r.now < end; {
		out := r.core.Tick(r.now)
		r.take(out)
		r.now = end
		if out.Wake > 0 && out.Wake < end {
			r.now = out.Wake
		}
	}
	return sent
}

// do runs a command that must succeed.
func (r *retreat) do(cmd messages.Command) {
	r.t.Helper()
	if out := r.take(r.core.Step(&messages.Request{Command: cmd}, r.now)); out.Reply.GetFailure() != nil {
		r.t.Fatalf("%T: %v", cmd, out.Reply.Failure)
	}
}

func newRetreat(t *testing.T, ref messages.Ref) *retreat {
	r := &retreat{t: t, now: 1_782_918_000_000}
	limits := entity.DefaultLimits()
	r.core = entity.NewCore(ref, Kinds(func() int64 { return r.now }, RememberForMs, nil)[ref.Kind], nil, &limits)
	return r
}

// bearers are those who have something to tell to orders: a site whose work is rejected, a bucket whose stock is gone.
var bearers = []struct {
	name   string
	open   func(t *testing.T) *retreat
	change func(r *retreat, orders ...string)
}{
	{"site", func(t *testing.T) *retreat {
		r := newRetreat(t, messages.SiteRef("den"))
		r.do(&messages.ApplySite{Doc: &messages.SiteDoc{Id: "den"}})
		return r
	}, func(r *retreat, orders ...string) {
		for _, id := range orders {
			fo := &messages.FulfillmentOrder{Id: id + ".1", OrderId: id, Lines: []*messages.FulfillmentLine{{LineId: "1", Sku: "MUG", Quantity: 1, ReservationId: id + "/0"}}}
			r.do(&messages.RequestFulfillment{Fulfillment: fo})
			r.do(&messages.SiteAction{Action: "reject", FulfillmentId: fo.Id, Reason: "carrier"})
		}
	}},
	{"bucket", func(t *testing.T) *retreat {
		return newRetreat(t, messages.BucketRef("MUG", "den"))
	}, func(r *retreat, orders ...string) { // the newest claim loses first
		r.do(&messages.SetStock{OnHand: 10_000})
		for i := range orders {
			id := orders[len(orders)-1-i]
			r.do(&messages.ReserveStock{ReservationId: id + ".1/0", OrderId: id, Quantity: 1, Firm: true})
		}
		r.do(&messages.SetStock{OnHand: 0})
	}},
}

// Proves that orders which nobody serves for now do not keep a site or a bucket from telling the others, whether their questions are refused, never
// answered, or answered by an order that fails, that they cost little meanwhile, and that they are told when they are served again.
func TestUnservedOrdersHoldUpNoNotice(t *testing.T) {
	const dead, most = 700, 256
	answers := map[string]*messages.Reply{
		"refused": messages.Refuse(messages.Retry(messages.CodeUnavailable, 20, "nobody serves it")),
		"silent":  nil,
		"failing": messages.Refuse(messages.Fail(messages.CodeInternal, "", "it is quarantined")),
	}
	for how, answer := range answers {
		for _, bearer := range bearers {
			r, served, told, sent := bearer.open(t), false, map[string]bool{}, 0
			world := func(task messages.Task) *messages.Reply {
				if served || task.To.ID[0] == 'l' {
					told[task.To.ID] = true
					return &messages.Reply{}
				}
				return answer
			}
			var orders []string
			for i := range dead {
				orders = append(orders, fmt.Sprintf("dead%d", i))
			}
			bearer.change(r, append(orders, "live")...)
			for range 20 {
				sent += r.second(world)
			}
			if !told["live"] {
				t.Errorf("%s, %s: the order that is served was not told in 20 s", bearer.name, how)
			}
			if r.tasks > most || sent > 20*2*most {
				t.Errorf("%s, %s: %d tasks in 20 s, %d at once", bearer.name, how, sent, r.tasks)
			}
			for range 10 {
				bearer.change(r, fmt.Sprintf("live%d", r.now))
				r.second(world)
				r.second(world)
			}
			served = true
			for range 40 {
				r.second(world)
			}
			if want := dead + 11; len(told) != want {
				t.Errorf("%s, %s: %d orders told when all are served, want %d", bearer.name, how, len(told), want)
			}
		}
	}
}

// Proves that a bucket learns whether orders count on their old claims although others whose order nobody serves are older, and that those cost little
// meanwhile: of 40 claims a day old the last one's order answers, within seconds, and in an hour the others are asked a bounded number of times.
func TestUnservedOrdersHoldUpNoCheck(t *testing.T) {
	r := newRetreat(t, messages.BucketRef("MUG", "den"))
	r.do(&messages.SetStock{OnHand: 100})
	for i := range 40 {
		id := fmt.Sprintf("dead%d", i)
		if i == 39 {
			id = "live"
		}
		r.do(&messages.ReserveStock{ReservationId: id + ".1/0", OrderId: id, Quantity: 1, Firm: true})
	}
	r.now += 24 * 3600 * 1000
	asked, sent := false, 0
	world := func(task messages.Task) *messages.Reply {
		if task.To.ID == "live" {
			asked = true
			return &messages.Reply{}
		}
		return messages.Refuse(messages.Retry(messages.CodeUnavailable, 20, "nobody serves it"))
	}
	for range 5 {
		sent += r.second(world)
	}
	if !asked {
		t.Error("the order that is served was not asked in 5 s")
	}
	for range 3600 {
		sent += r.second(world)
	}
	if sent > 40*60+200 {
		t.Errorf("%d questions in an hour", sent)
	}
}
