package order

import (
	"slices"
	"testing"

	"orderyard/actors/inventory"
	"orderyard/messages"
)

// yard is one order among real buckets and dumb sites. What they say to each other is remembered by its id, as the runtime does: a bucket
// or an order that hears an id again repeats its first answer, and decides nothing.
type yard struct {
	*harness
	t       *testing.T
	buckets map[string]*inventory.State
	sites   map[string]*siteModel
	answers map[string]*messages.Reply
	lost    []string // ids of questions whose answers are lost
}

func newYard(t *testing.T) *yard {
	y := &yard{harness: newHarness(t, "web-1"), t: t, buckets: map[string]*inventory.State{}, sites: map[string]*siteModel{}, answers: map[string]*messages.Reply{}}
	for _, id := range []string{"DEN", "SLC"} {
		y.buckets["A@"+id] = inventory.New("A", id)
		y.sites[id] = &siteModel{id: id, work: map[string]*workModel{}, answers: map[string]*messages.Reply{}}
		y.count(id, 5)
	}
	y.step(&messages.PlaceOrder{Order: testOrder("1", "A*2"), Fingerprint: 1})
	y.local(y.route)
	return y
}

// route takes the first site that can promise the units and has not rejected them.
func (y *yard) route(r *messages.PlanRequest) *messages.Plan {
	p := &messages.Plan{Decision: &messages.DecisionRecord{Strategy: "first"}}
	for _, id := range []string{"DEN", "SLC"} {
		if slices.ContainsFunc(r.Exclusions, func(x *messages.Exclusion) bool { return x.Site == id }) {
			continue
		}
		if need := r.Needs[0]; inventory.ATP(y.buckets["A@"+id]) >= need.Quantity {
			p.Assignments = []*messages.Assignment{{Site: id, Lines: []*messages.LineQuantity{{Line: need.Line, Quantity: need.Quantity}}}}
			break
		}
	}
	return p
}

// bucket lets a real bucket decide.
func (y *yard) bucket(id string, cmd messages.Command) *messages.Reply {
	events, reply, err := inventory.Decide(y.buckets[id], cmd, y.now)
	if err != nil {
		y.t.Fatalf("%s: %T: %v", id, cmd, err)
	}
	for _, e := range events {
		inventory.Evolve(y.buckets[id], e, y.now)
	}
	return reply
}

func (y *yard) count(site string, onHand int64) {
	y.now++
	if reply := y.bucket("A@"+site, &messages.SetStock{OnHand: onHand}); reply.GetFailure() != nil {
		y.t.Fatal(reply.Failure)
	}
}

// ask carries a question to its receiver, who remembers what it has answered.
func (y *yard) ask(task messages.Task) *messages.Reply {
	reply := y.answers[task.ID]
	if reply == nil {
		switch task.To.Kind {
		case messages.KindBucket:
			reply = y.bucket(task.To.ID, task.Command)
		case messages.KindSite:
			reply = y.sites[task.To.ID].receive(task, false)
		default:
			_, reply, _ = y.step(task.Command)
			y.local(y.route)
		}
		y.answers[task.ID] = reply
	}
	return reply
}

// orders asks all that the order owes, once; lost answers do not arrive.
func (y *yard) orders() (some bool) {
	for _, task := range y.tasks() {
		if task.Due > y.now || task.To.Kind == messages.KindOrder {
			continue
		}
		some = true
		reply := y.ask(task)
		if i := slices.Index(y.lost, task.ID); i >= 0 {
			y.lost = slices.Delete(y.lost, i, i+1)
			continue
		}
		y.step(&messages.TaskResult{TaskId: task.ID, Reply: reply})
		y.local(y.route)
	}
	return some
}

// notices tells the order what the buckets owe it.
func (y *yard) notices() (some bool) {
	for _, id := range []string{"A@DEN", "A@SLC"} {
		for _, task := range inventory.Tasks(y.buckets[id], y.now, nil) {
			if _, ok := task.Command.(*messages.ClaimLost); ok {
				some = true
				y.bucket(id, &messages.TaskResult{TaskId: task.ID, Reply: y.ask(task)})
			}
		}
	}
	return some
}

// rest lets everything arrive until nobody owes anything, and proves that no claim is contested, told, and still counted on.
func (y *yard) rest() {
	y.t.Helper()
	for range 100 {
		asked, told := y.orders(), y.notices()
		if asked || told {
			continue
		}
		for id, b := range y.buckets {
			m := new(messages.BucketState)
			if err := m.UnmarshalVT(b.MarshalState()); err != nil {
				y.t.Fatal(err)
			}
			for _, r := range m.Reservations {
				if r.Contested && r.Told && y.s.checkClaim(r.Id).GetFailure() == nil {
					y.t.Errorf("%s has given up %s, its order has been told, and counts on it", id, r.Id)
				}
			}
			if v := inventory.View(b); v.Overcommitted != 0 {
				y.t.Errorf("%s is %d units short, and nobody gives way", id, v.Overcommitted)
			}
		}
		return
	}
	y.t.Fatal("nothing comes to rest")
}

// TestLostBeforeGranted proves that an order that hears of a claim's loss before it has heard of the claim goes elsewhere, whether the
// bucket's grant comes after that or never: the answer to the reservation is lost, and a count names the claim as the loser.
func TestLostBeforeGranted(t *testing.T) {
	for _, late := range []bool{false, true} {
		y := newYard(t)
		y.lost = []string{"web-1.1/0/r0"}
		y.orders()
		y.count("DEN", 1)
		y.notices()
		if late {
			y.step(&messages.TaskResult{TaskId: "web-1.1/0/r0", Reply: y.answers["web-1.1/0/r0"]})
			y.local(y.route)
		}
		y.rest()
		if f := y.s.fulfillment(2); f == nil || f.site != "SLC" || !f.accepted() || !y.s.fulfillment(1).over() {
			t.Errorf("late %v: the units did not go elsewhere:\n%v", late, View(y.s, nil).Fulfillments)
		}
		if b := inventory.View(y.buckets["A@DEN"]); b.Allocated != 0 || b.Atp != 1 {
			t.Errorf("late %v: the claim was not given back: %v", late, b)
		}
	}
}

// TestLostAgainWhileKept proves that an order asserts picked goods once more when a count loses them again before it has heard the answer
// to its first assertion.
func TestLostAgainWhileKept(t *testing.T) {
	y := newYard(t)
	y.rest()
	y.step(&messages.FulfillmentChanged{FulfillmentId: "web-1.1", Status: status("picked"), RequestStatus: requestAccepted, Sequence: 1})
	y.count("DEN", 0)
	y.notices()
	y.lost = []string{"web-1.1/0/k1"}
	y.orders()
	y.count("DEN", 0)
	y.notices()
	y.rest()
	if y.answers["web-1.1/0/k2"] == nil {
		t.Error("the claim was not asserted again")
	}
	if b := inventory.View(y.buckets["A@DEN"]); b.OnHand != 2 || b.Allocated != 2 {
		t.Errorf("the bucket does not believe that the picked goods exist: %v", b)
	}
}
