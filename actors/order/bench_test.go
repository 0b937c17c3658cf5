package order

import (
	"fmt"
	"testing"

	"orderyard/messages"
)

// BenchmarkLife runs whole orders through the usual way of an order (place, plan, reserve, ask, confirm, release, pick, pack, ship,
// deliver) and tells the time per step, where a step is Decide, Evolve, Tasks and Summary as the runtime calls them.
func BenchmarkLife(b *testing.B) {
	for _, lines := range []int{1, 3, 100, 500} {
		b.Run(fmt.Sprintf("lines=%d", lines), func(b *testing.B) {
			names := make([]string, lines)
			for i := range names {
				names[i] = fmt.Sprintf("SKU-%d*2", i)
			}
			place := &messages.PlaceOrder{Order: testOrder("1", names...), Fingerprint: 1}
			b.ReportAllocs()
			r := &runner{}
			for b.Loop() {
				r.life(b, place)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(r.steps), "ns/step")
			b.ReportMetric(float64(r.steps)/float64(b.N), "steps/order")
		})
	}
}

// runner is the runtime's loop without journal and network: good answers come back at once.
type runner struct {
	s     *State
	tasks []messages.Task
	steps int
}

func (r *runner) step(b *testing.B, cmd messages.Command) {
	events, _, err := Decide(r.s, cmd, noon)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range events {
		Evolve(r.s, e, noon)
	}
	r.s.Version += uint64(len(events))
	r.tasks = Tasks(r.s, noon, r.tasks[:0])
	Summary(r.s)
	r.steps++
}

func (r *runner) life(b *testing.B, place *messages.PlaceOrder) {
	r.s = New("web-1")
	r.step(b, place)
	a := &messages.Assignment{Site: "DEN"}
	for _, n := range r.tasks[0].Command.(*messages.PlanRequest).Needs {
		a.Lines = append(a.Lines, &messages.LineQuantity{Line: n.Line, Quantity: n.Quantity})
	}
	r.step(b, &messages.AdoptPlan{Plan: &messages.Plan{PlanNo: 1, Assignments: []*messages.Assignment{a}, Decision: &messages.DecisionRecord{}}})
	r.answerAll(b)
	for _, status := range []messages.FulfillmentStatus{statusPicking, 5, 6, statusShipped} {
		r.step(b, &messages.FulfillmentChanged{FulfillmentId: "web-1.1", Status: status, RequestStatus: requestAccepted})
	}
	r.answerAll(b)
	r.step(b, &messages.FulfillmentChanged{FulfillmentId: "web-1.1", Status: 8, RequestStatus: requestAccepted})
	if r.s.life != lifeCompleted {
		b.Fatalf("the order is %s", Status(r.s))
	}
}

var (
	stockYes = &messages.Reply{Body: &messages.Reply_Stock{Stock: &messages.StockReply{Atp: 9, ExpiresAtMs: noon + holdForMs}}}
	siteSays = &messages.Reply{Body: &messages.Reply_Fulfillment{Fulfillment: &messages.FulfillmentReply{Status: statusScheduled, RequestStatus: requestAccepted}}}
)

// answerAll answers what is due until nothing is.
func (r *runner) answerAll(b *testing.B) {
	for {
		due := make([]string, 0, len(r.tasks))
		buckets := 0
		for _, task := range r.tasks {
			if task.Due <= noon {
				due = append(due, task.ID)
				if task.To.Kind == messages.KindBucket {
					buckets++
				}
			}
		}
		if len(due) == 0 {
			return
		}
		reply := siteSays
		if buckets > 0 {
			reply = stockYes
		}
		for _, id := range due {
			r.step(b, &messages.TaskResult{TaskId: id, Reply: reply})
		}
	}
}

// BenchmarkBytes tells what it costs to put an idle order away and to take it back.
func BenchmarkBytes(b *testing.B) {
	h := started(b, testOrder("1", "A*2", "B*1"), at("P", units(0, 2), units(1, 1)))
	state := h.s.MarshalState()
	b.Run("marshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.s.MarshalState()
		}
		b.ReportMetric(float64(len(state)), "bytes")
	})
	b.Run("unmarshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := UnmarshalState(state); err != nil {
				b.Fatal(err)
			}
		}
	})
}
