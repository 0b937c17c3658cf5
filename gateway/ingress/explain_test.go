package ingress

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/messages"
	"orderyard/routing"
)

// slowPlanner works on a question until it is let go or told to give up.
type slowPlanner struct {
	fakePlanner
	hold chan struct{}
}

func (p slowPlanner) Want(ctx context.Context, _ *messages.OrderView, _ uint32, _ string) (*routing.Flip, *messages.Failure) {
	select {
	case <-p.hold:
		return &routing.Flip{Site: "den", Won: true}, nil
	case <-ctx.Done():
		return nil, messages.Retry(messages.CodeTimeout, 0, "given up")
	}
}

// TestSlowWantsHoldUpNothing proves that questions what would make a site win keep no order waiting, that there are only so many of them, and
// that they end at their deadline: as many as may be are worked on, one more is refused, an order is placed meanwhile.
func TestSlowWantsHoldUpNothing(t *testing.T) {
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	defer release()
	h := openHouseWith(t, func(o *Options) { o.Planner = slowPlanner{hold: hold} })
	h.actors.set(func(r messages.Request) *messages.Reply {
		if _, ok := r.Command.(*messages.GetOrder); !ok {
			return placed(r)
		}
		view := &messages.OrderView{OrderId: r.To.ID, Order: &messages.Order{}}
		return &messages.Reply{Body: &messages.Reply_Order{Order: &messages.OrderReply{OrderId: r.To.ID, View: view}}}
	})
	const question = `{"order_id":"web-1","want":"den"}`
	answers := make(chan answer, wantsMax)
	ask := func(deadlineMs string) {
		for range wantsMax {
			go func() {
				answers <- h.ask(messages.OrderSubject("explain"), question, messages.HeaderDeadlineMs, deadlineMs)
			}()
		}
		eventually(t, "both are worked on", func() bool { return h.in.wants.Load() == wantsMax })
	}
	ask("4000")
	began := time.Now()
	m := nats.NewMsg(messages.PlaceSubject("web"))
	m.Data = []byte(goodOrder)
	if _, err := h.nc.RequestMsg(m, time.Second); err != nil {
		t.Fatalf("an order after %s: %v", time.Since(began), err)
	}
	h.wantError(h.ask(messages.OrderSubject("explain"), question), messages.CodeLimit, "")
	if n := h.in.inFlight(); n != wantsMax {
		t.Errorf("%d hold room, want the %d under way", n, wantsMax)
	}
	release()
	for range wantsMax {
		if a := <-answers; !a.OK {
			t.Errorf("answer %s", a.raw)
		}
	}
	eventually(t, "room again", func() bool { return h.in.inFlight() == 0 && h.in.wants.Load() == 0 })
}

// TestWantsEndAtTheirDeadline proves that a question which takes longer than its caller waits is given up, says so, and gives its place back.
func TestWantsEndAtTheirDeadline(t *testing.T) {
	h := openHouseWith(t, func(o *Options) { o.Planner = slowPlanner{hold: make(chan struct{})} })
	h.actors.set(func(r messages.Request) *messages.Reply {
		view := &messages.OrderView{OrderId: r.To.ID, Order: &messages.Order{}}
		return &messages.Reply{Body: &messages.Reply_Order{Order: &messages.OrderReply{OrderId: r.To.ID, View: view}}}
	})
	for range wantsMax + 1 {
		h.wantError(h.ask(messages.OrderSubject("explain"), `{"order_id":"web-1","want":"den"}`, messages.HeaderDeadlineMs, "100"), messages.CodeTimeout, "")
	}
	eventually(t, "room again", func() bool { return h.in.inFlight() == 0 && h.in.wants.Load() == 0 })
}
