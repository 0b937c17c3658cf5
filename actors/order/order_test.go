package order

import (
	"fmt"
	"testing"

	"orderyard/messages"
)

// started is an order that was placed, with its plan adopted.
func started(t testing.TB, o *messages.Order, assignments ...*messages.Assignment) *harness {
	h := newHarness(t, messages.OrderID(o.Channel, o.ExternalId))
	if _, _, err := h.step(&messages.PlaceOrder{Order: o, Fingerprint: 1}); err != nil {
		t.Fatal(err)
	}
	h.adopt(assignments...)
	return h
}

// adopt answers the routing question that is open, once.
func (h *harness) adopt(assignments ...*messages.Assignment) {
	asked := false
	h.local(func(*messages.PlanRequest) *messages.Plan {
		if asked {
			return nil
		}
		asked = true
		return &messages.Plan{Assignments: assignments, Decision: &messages.DecisionRecord{}}
	})
	if !asked {
		h.fatal("nothing was to be planned")
	}
}

func at(site string, lines ...*messages.LineQuantity) *messages.Assignment {
	return &messages.Assignment{Site: site, Lines: lines}
}

func units(line uint32, quantity int64) *messages.LineQuantity {
	return &messages.LineQuantity{Line: line, Quantity: quantity}
}

func answer(h *harness, task string, reply *messages.Reply) {
	h.step(&messages.TaskResult{TaskId: h.id + "." + task, Reply: reply})
}

func declined() *messages.Reply {
	return messages.Refuse(messages.Fail(messages.CodeDeclined, "", "says the test"))
}

// TestAttemptsBrake proves that the twelfth plan is the last, that runs without a candidate do not count, and that a person's release
// gives twelve more without counting itself.
func TestAttemptsBrake(t *testing.T) {
	h := started(t, testOrder("1", "A*1"))
	if h.s.attempts != 0 {
		t.Fatalf("a plan without a candidate counted: %d", h.s.attempts)
	}
	h.step(&messages.StockArrived{Sku: "A"})
	round := func(plans int) {
		for range plans {
			n := len(h.s.fulfillments) + 1
			h.adopt(at("P", units(0, 1)))
			answer(h, fmt.Sprintf("%d/0/r0", n), declined())
		}
	}
	round(11)
	if Status(h.s) != "planning" {
		t.Fatalf("after 11 attempts: %s", Status(h.s))
	}
	round(1)
	if h.s.exception(exceptionUnroutable) < 0 || h.s.exceptions[0].Owner != ownerRouting {
		t.Fatalf("after 12 attempts: %s %v", Status(h.s), h.s.exceptions)
	}
	h.step(&messages.ReleaseOrder{Exception: exceptionUnroutable})
	round(12)
	if Status(h.s) != "planning" {
		t.Fatalf("after the manual run and 11 more: %s", Status(h.s))
	}
	round(1)
	if Status(h.s) != "exception" {
		t.Fatalf("after the manual run and 12 more: %s", Status(h.s))
	}
}

// TestElapsedBrake proves that the clock counts unaccepted time only: it stands while units are back-ordered or the order is held, and
// starts anew when accepted work is lost.
func TestElapsedBrake(t *testing.T) {
	hour := int64(3_600_000)
	h := started(t, testOrder("1", "A*1")) // no stock: it waits
	h.now += 100 * hour
	h.step(&messages.StockArrived{Sku: "A"})
	h.adopt(at("P", units(0, 1)))
	h.now += 5 * hour
	h.step(&messages.HoldOrder{Reason: "customer_request"})
	h.now += 100 * hour
	h.step(&messages.ReleaseOrder{})
	if got := h.s.elapsed(h.now); got != 5*hour {
		t.Fatalf("counted %d h", got/hour)
	}
	h.now += 2 * hour
	answer(h, "1/0/r0", well(messages.Task{To: messages.BucketRef("A", "P")}))
	answer(h, "1/q", siteYes(statusScheduled, requestAccepted))
	h.now += 50 * hour
	h.step(&messages.FulfillmentChanged{FulfillmentId: "web-1.1", Status: statusRejected, RequestStatus: requestRejected, Reason: "closed"})
	if got := h.s.elapsed(h.now); got != 0 {
		t.Fatalf("lost work starts with %d h", got/hour)
	}
	answer(h, "1/0/x", &messages.Reply{})
	h.adopt(at("Q", units(0, 1)))
	h.now += 8*hour - 1
	h.local(nil)
	if Status(h.s) != "reserving" {
		t.Fatalf("a moment before: %s", Status(h.s))
	}
	h.now++
	h.local(nil)
	if Status(h.s) != "exception" {
		t.Fatalf("at eight hours: %s", Status(h.s))
	}
	// The cause goes by itself: the site accepts after all.
	answer(h, "2/0/r0", well(messages.Task{To: messages.BucketRef("A", "Q")}))
	answer(h, "2/q", siteYes(statusScheduled, requestAccepted))
	if len(h.s.exceptions) > 0 {
		t.Fatalf("accepted, and still %v", h.s.exceptions)
	}
}

// TestPlansAreHeldToTheOrder proves that a plan that asks for more than is open, names lines that are not there, or sites that cannot
// be, is cut down to what fits, and that an answer to another question is ignored.
func TestPlansAreHeldToTheOrder(t *testing.T) {
	o := testOrder("1", "A*3", "B*2")
	o.Partial = partialShip
	h := newHarness(t, "web-1")
	h.step(&messages.PlaceOrder{Order: o, Fingerprint: 1})
	for _, plan := range []*messages.Plan{nil, {PlanNo: 2}, {PlanNo: 0}} {
		if events, _, _ := h.step(&messages.AdoptPlan{Plan: plan}); len(events) > 0 {
			t.Fatalf("plan %v gave %v", plan, events)
		}
	}
	h.adopt(
		at("no such site", units(0, 1)), at("P", units(1, 1), units(0, 2), units(0, 9), units(7, 1), units(1, -4)), at("Q", units(1, 5), units(0, 1)),
	)
	var got string
	for i := range h.s.fulfillments {
		f := &h.s.fulfillments[i]
		got += f.site
		for _, c := range f.claims {
			got += fmt.Sprintf(" %d:%d", c.line, c.quantity)
		}
		got += ";"
	}
	if got != "P 0:3 1:1;Q 1:1;" {
		t.Errorf("adopted %s", got)
	}
}

// TestDecisionsAreBounded proves that five decisions with twenty candidates and two hundred timeline entries are kept, whatever happens.
func TestDecisionsAreBounded(t *testing.T) {
	h := started(t, testOrder("1", "A*1"))
	for i := range 300 {
		h.now += 1000
		h.step(&messages.HoldOrder{Reason: "customer_request", Note: fmt.Sprint(i)})
	}
	for range 8 {
		h.step(&messages.ReleaseOrder{})
		h.step(&messages.HoldOrder{Reason: holdOutOfStock})
		h.step(&messages.ReleaseOrder{Reason: holdOutOfStock})
		h.local(func(*messages.PlanRequest) *messages.Plan {
			return &messages.Plan{Decision: &messages.DecisionRecord{Candidates: make([]*messages.Candidate, 50)}}
		})
	}
	v := View(h.s, &messages.GetOrder{Timeline: true, Decisions: true})
	if len(v.Decisions) != decisionsMax || len(v.Decisions[0].Decision.Candidates) != candidatesMax || v.Decisions[0].PlanNo < v.Decisions[1].PlanNo {
		t.Errorf("%d decisions, the first %v", len(v.Decisions), v.Decisions[0])
	}
	if len(v.Timeline) > timelineMax || len(v.Timeline) < timelineKept {
		t.Errorf("%d timeline entries", len(v.Timeline))
	}
}

// TestTasksKeepTheirContent proves that a task owed again has the same content as when it was first asked: receivers answer by id.
func TestTasksKeepTheirContent(t *testing.T) {
	h := started(t, testOrder("1", "A*2", "B*1"), at("P", units(0, 2), units(1, 1)))
	seen := map[string]string{}
	look := func() {
		for _, task := range h.tasks() {
			if task.To.Kind == messages.KindRouting {
				continue
			}
			text := short(task.Command)
			if first, again := seen[task.ID]; again && first != text {
				t.Errorf("%s was %s and is %s", task.ID, first, text)
			}
			seen[task.ID] = text
		}
	}
	answer(h, "1/1/r0", declined())
	look()
	h.restart()
	answer(h, "1/0/r0", well(messages.Task{To: messages.BucketRef("A", "P")}))
	look()
	h.adopt(at("Q", units(1, 1)))
	look()
	answer(h, "2/1/r0", well(messages.Task{To: messages.BucketRef("B", "Q")}))
	look()
	h.step(&messages.HoldOrder{Reason: "grace_period", UntilMs: h.now + 1})
	look()
	answer(h, "1/q", siteYes(statusScheduled, requestAccepted))
	h.restart()
	look()
	h.step(&messages.CancelOrder{})
	look()
	if len(seen) < 8 {
		t.Errorf("saw only %d tasks", len(seen))
	}
}

// TestSummaryAndView proves that the list row and the view agree on a running order.
func TestSummaryAndView(t *testing.T) {
	h := started(t, testOrder("1", "A*2", "B*1"), at("P", units(0, 2)), at("Q", units(1, 1)))
	sum, v := Summary(h.s), View(h.s, nil)
	if sum.Status != v.Status || sum.Units != 3 || sum.Total != 3000 || sum.Fulfillments != 2 || fmt.Sprint(sum.Sites) != "[P Q]" || sum.Lines != 2 {
		t.Errorf("row %v", sum)
	}
	if len(v.Fulfillments) != 2 || v.Fulfillments[1].Lines[0].ReservationId != "web-1.2/1" || v.Timeline != nil || v.Decisions != nil {
		t.Errorf("view %v", v)
	}
}

// TestSummaryCountsWhatWaits proves that the row tells for each SKU how many units wait for it, so that stock wakes as many orders as it can serve:
// three lines wait, two of them for the same SKU, and the SKUs are not in the order of the lines.
func TestSummaryCountsWhatWaits(t *testing.T) {
	h := started(t, testOrder("1", "B*2", "A*1", "B*3"))
	if sum := Summary(h.s); fmt.Sprint(Waits(h.s), sum.Waiting, sum.Backordered) != "[A B] [1 5] 6" {
		t.Errorf("it waits for %v, the row is %v", Waits(h.s), sum)
	}
	h.step(&messages.StockArrived{Sku: "A"})
	if sum := Summary(h.s); sum.Waiting != nil {
		t.Errorf("nothing waits, the row is %v", sum)
	}
}
