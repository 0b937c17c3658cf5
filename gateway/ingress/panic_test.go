package ingress

import (
	"context"
	"sync/atomic"
	"testing"

	"orderyard/messages"
	"orderyard/routing"
)

// brokenPlanner panics on every question.
type brokenPlanner struct{}

func (brokenPlanner) Plans(*messages.Order) []*messages.Plan { panic("no plan") }

func (brokenPlanner) Want(context.Context, *messages.OrderView, uint32, string) (*routing.Flip, *messages.Failure) {
	panic("no want")
}

// TestPanicIsAnswered proves that a fault of ours in a dry run or in an explanation is told to who asked, is counted, and ends nothing else: the room is
// given back, and the next order is placed.
func TestPanicIsAnswered(t *testing.T) {
	var counted atomic.Int64
	h := openHouseWith(t, func(o *Options) { o.Planner, o.Panicked = brokenPlanner{}, func() { counted.Add(1) } })
	h.actors.set(func(r messages.Request) *messages.Reply {
		if _, ok := r.Command.(*messages.GetOrder); !ok {
			return placed(r)
		}
		view := &messages.OrderView{OrderId: r.To.ID, Order: &messages.Order{}}
		return &messages.Reply{Body: &messages.Reply_Order{Order: &messages.OrderReply{OrderId: r.To.ID, View: view}}}
	})
	for subject, body := range map[string]string{
		messages.SubjectRoutingPlan:      goodOrder,
		messages.OrderSubject("explain"): `{"order_id":"web-1","want":"den"}`,
	} {
		if a := h.ask(subject, body); a.OK || a.Error.Code != messages.CodeInternal {
			t.Errorf("%s is answered %s", subject, a.raw)
		}
	}
	if n := counted.Load(); n != 2 {
		t.Errorf("%d panics were counted", n)
	}
	if a := h.ask(messages.PlaceSubject("web"), goodOrder); !a.OK {
		t.Errorf("an order afterwards: %s", a.raw)
	}
	eventually(t, "all room is given back", func() bool {
		for _, d := range h.in.doors {
			if d.requests.Load() != 0 {
				return false
			}
		}
		return h.in.wants.Load() == 0
	})
}
