package main

import (
	"log/slog"
	"testing"

	"orderyard/actors"
	"orderyard/messages"
	"orderyard/routing"
	"orderyard/routing/whatif"
)

// TestShadowBounds proves that a shadow which nobody serves takes what its queue holds, drops and counts the rest, follows first plans only, and
// that one which fails on an order ends without ending anything else.
func TestShadowBounds(t *testing.T) {
	k := actors.NewKnowledge(nil, func() int64 { return 1 }, func(messages.Request) {})
	s := &shadow{y: &yard{node: &actors.Node{Knowledge: k}, log: slog.New(slog.DiscardHandler)}, queue: make(chan *whatif.Sighting, 2), end: make(chan struct{})}
	k.Watch(s.hear)
	ask := func(cause string, no uint32) {
		k.Answer(&messages.PlanRequest{OrderId: "o", Cause: cause, PlanNo: no, Needs: []*messages.LineNeed{{Sku: "A", Quantity: 1}}}, 1)
	}
	ask("rejected", 2)
	ask("dry_run", 1)
	for range 5 {
		ask(causePlaced, 1)
	}
	if len(s.queue) != 2 || s.dropped.Load() != 3 {
		t.Fatalf("%d wait, %d dropped", len(s.queue), s.dropped.Load())
	}
	s.what = whatif.NewShadow(routing.DefaultRules(), nil, nil)
	if !s.look(<-s.queue) || s.followed.Load() != 1 || s.report().Live.Orders != 1 {
		t.Errorf("%+v", s.report())
	}
	if s.look(nil) {
		t.Error("a shadow that failed goes on")
	}
	if ask(causePlaced, 1); len(s.queue) != 1 {
		t.Error("a shadow that failed still hears")
	}
	s.stop()
	s.stop()
}
