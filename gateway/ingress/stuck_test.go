package ingress

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"orderyard/gateway/admission"
	"orderyard/messages"
)

// TestStuckOrdersHoldUpNothing proves that orders which cannot be placed, however many, keep no other one waiting: as many as a node may have
// open are refused each time they come, and one behind them is placed.
func TestStuckOrdersHoldUpNothing(t *testing.T) {
	h := openHouse(t, Limits{IntakeMax: 4})
	h.actors.set(func(r messages.Request) *messages.Reply {
		if r.To.ID != "web-good" {
			return messages.Refuse(messages.Retry(messages.CodeUnavailable, 0, "nobody serves its partition"))
		}
		return placed(r)
	})
	for i := range 4 {
		h.drop("web", orderFor("web", fmt.Sprint("stuck", i)))
	}
	eventually(t, "all four are refused more than once", func() bool { return len(h.actors.requests()) >= 8 })
	began := time.Now()
	h.drop("web", orderFor("web", "good"))
	eventually(t, "the good one is placed", func() bool { return h.pending() == 4 })
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it was placed after %s", took)
	}
}

// TestIntakeKeepsItsBound proves that a node has no more intake messages open than it may, though the server would deliver them: 40 lie
// in the stream, nobody answers, and 4 reach an actor.
func TestIntakeKeepsItsBound(t *testing.T) {
	h := openHouse(t, Limits{IntakeMax: 4})
	release := make(chan struct{})
	h.actors.set(func(r messages.Request) *messages.Reply { <-release; return placed(r) })
	for i := range 40 {
		h.drop("web", orderFor("web", fmt.Sprint(i)))
	}
	eventually(t, "four are open", func() bool { return len(h.actors.requests()) == 4 })
	for range 10 {
		time.Sleep(2 * roomAgain) // the node asks itself again whether there is room
		if n := len(h.actors.requests()); n != 4 {
			t.Fatalf("%d are open, want 4", n)
		}
	}
	close(release)
	eventually(t, "all are placed", func() bool { return h.pending() == 0 })
	if n := len(h.actors.requests()); n != 40 {
		t.Errorf("%d deliveries of 40 orders", n)
	}
}

// TestStuckOrdersTellNothing proves that intake messages which nobody answers do not bring the limit of admission down, for their partition is
// closed and not the house slow, and that requests of waiting callers do: sixty of each time out, at a target far below their deadline.
func TestStuckOrdersTellNothing(t *testing.T) {
	registry := prometheus.NewRegistry()
	h := openHouseWith(t, func(o *Options) {
		o.Registry = registry
		o.Admission = &admission.Options{Min: 8, Target: 20 * time.Millisecond, Interval: 100 * time.Millisecond, Surge: 100 * time.Millisecond}
		o.Limits = Limits{RequestsMax: 4096, IntakeMax: 60, IntakeWait: 500 * time.Millisecond, Deadline: 150 * time.Millisecond, Grace: 10 * time.Millisecond}
	})
	h.actors.set(nil)
	limit := func() float64 { return gathered(t, registry)["orderyard_admission_limit"] }
	atRest := limit()
	for i := range 60 {
		h.drop("web", orderFor("web", fmt.Sprint("stuck", i)))
	}
	eventually(t, "each was given back twice", func() bool { return gathered(t, registry)["orderyard_intake_total{returned}"] >= 120 })
	if now := limit(); now != atRest {
		t.Errorf("the limit came from %v to %v by messages that nobody answered", atRest, now)
	}
	h.flood(messages.PlaceSubject("shop"), 60, orderFor("shop", "1"))
	eventually(t, "the limit comes down", func() bool { return limit() < atRest })
}

// TestStuckBackOff proves the arithmetic of deliveries: the first two come soon and are waited for as any caller waits, later ones come seldom,
// not together, and keep a place for a moment only.
func TestStuckBackOff(t *testing.T) {
	for _, c := range []struct {
		tries       uint64
		least, most time.Duration
	}{
		{1, 100 * time.Millisecond, 100 * time.Millisecond}, {2, 200 * time.Millisecond, 200 * time.Millisecond},
		{3, time.Second, 3 * time.Second}, {6, 8 * time.Second, 24 * time.Second}, {11, 150 * time.Second, 450 * time.Second},
		{1 << 40, 150 * time.Second, 450 * time.Second},
	} {
		low, high := time.Hour, time.Duration(0)
		for range 200 {
			wait := backOff(c.tries)
			low, high = min(low, wait), max(high, wait)
		}
		if low < c.least || high > c.most || c.tries >= stuckFrom && high < 3*low/2 {
			t.Errorf("delivery %d comes again after %s to %s, want %s to %s", c.tries, low, high, c.least, c.most)
		}
	}
	hopeless := time.Duration(0)
	for tries := range uint64(intakeTriesMax - 1) {
		hopeless += backOff(tries + 1)
	}
	if hopeless > 5*time.Minute {
		t.Errorf("what fails for good is laid aside after %s", hopeless)
	}
	it := &intake{door: &door{limits: DefaultLimits()}}
	for tries, want := range map[uint64]time.Duration{1: 5250 * time.Millisecond, 2: 5250 * time.Millisecond, 3: stuckWithin, 900: stuckWithin} {
		if got := it.within(tries); got != want {
			t.Errorf("delivery %d is waited for %s, want %s", tries, got, want)
		}
	}
}

// TestIntakeConsumerIsWidened proves that a node brings a consumer that an earlier build made to its own bound, also where the server allows
// less than it would have: then to what is allowed.
func TestIntakeConsumerIsWidened(t *testing.T) {
	h := openHouse(t, Limits{})
	ctx := context.Background()
	consumer := func() jetstream.ConsumerConfig {
		c, err := h.js.Consumer(ctx, messages.StreamIntake, intakeConsumer)
		if err != nil {
			t.Fatal(err)
		}
		return c.CachedInfo().Config
	}
	next := func() {
		in, err := Start(ctx, h.connect(), Options{Actors: h.actors, Directory: h.directory, Planner: fakePlanner{}})
		if err != nil {
			t.Fatal(err)
		}
		if err := in.Stop(ctx); err != nil {
			t.Error(err)
		}
	}
	narrow := consumer()
	if narrow.MaxAckPending != intakePendingMax {
		t.Errorf("made with %d", narrow.MaxAckPending)
	}
	narrow.MaxAckPending = 512
	if _, err := h.js.UpdateConsumer(ctx, messages.StreamIntake, narrow); err != nil {
		t.Fatal(err)
	}
	if next(); consumer().MaxAckPending != intakePendingMax {
		t.Errorf("left at %d", consumer().MaxAckPending)
	}
	narrow.MaxAckPending = 1000
	if _, err := h.js.UpdateConsumer(ctx, messages.StreamIntake, narrow); err != nil {
		t.Fatal(err)
	}
	s, err := h.js.Stream(ctx, messages.StreamIntake)
	if err != nil {
		t.Fatal(err)
	}
	bounded := s.CachedInfo().Config
	bounded.ConsumerLimits.MaxAckPending = 1000
	if _, err := h.js.UpdateStream(ctx, bounded); err != nil {
		t.Fatal(err)
	}
	if next(); consumer().MaxAckPending != 512 {
		t.Errorf("brought to %d where 1,000 are allowed", consumer().MaxAckPending)
	}
}
