package order

import (
	"bytes"
	"testing"

	"orderyard/messages"
)

// fuzzCommand makes a command of a kind from bytes; nil when the bytes are none.
func fuzzCommand(kind byte, data []byte) messages.Command {
	kinds := []messages.Command{
		new(messages.PlaceOrder), new(messages.AdoptPlan), new(messages.CancelOrder), new(messages.HoldOrder), new(messages.ReleaseOrder),
		new(messages.GetOrder), new(messages.StockArrived), new(messages.ClaimLost), new(messages.OrderTimer), new(messages.TaskResult),
		new(messages.FulfillmentChanged), new(messages.ReserveStock), new(messages.Reassign),
	}
	cmd := kinds[int(kind)%len(kinds)]
	if cmd.UnmarshalVT(data) != nil {
		return nil
	}
	return cmd
}

// fuzzSeeds are states of an order along its way.
func fuzzSeeds(f *testing.F) [][]byte {
	h := newHarness(f, "web-1")
	seeds := [][]byte{h.s.MarshalState()}
	keep := func() { seeds = append(seeds, h.s.MarshalState()) }
	h.step(&messages.PlaceOrder{Order: testOrder("1", "A*2", "B*1"), Fingerprint: 1})
	keep()
	h.adopt(at("P", units(0, 2)), at("Q", units(1, 1)))
	keep()
	for _, task := range []string{"1/0/r0", "2/1/r0"} {
		answer(h, task, &messages.Reply{})
	}
	keep()
	answer(h, "1/q", siteYes(statusScheduled, requestAccepted))
	answer(h, "2/q", siteNo("rejected", statusRejected, requestRejected))
	keep()
	h.step(&messages.HoldOrder{Reason: "grace_period"})
	h.step(&messages.ClaimLost{ReservationId: "web-1.1/0"})
	keep()
	return append(seeds, sweptSeeds(f)...)
}

// sweptSeeds are states of an order on hold whose units a sweep may move, and has moved.
func sweptSeeds(f *testing.F) (seeds [][]byte) {
	h := newHarness(f, "web-1")
	keep := func() { seeds = append(seeds, h.s.MarshalState()) }
	h.step(&messages.PlaceOrder{Order: testOrder("1", "A*2", "B*1"), Fingerprint: 1})
	h.step(&messages.HoldOrder{Reason: "customer_request"})
	manual := at("P", units(0, 2), units(1, 1))
	manual.Manual = true
	h.adopt(manual)
	answer(h, "1/0/r0", &messages.Reply{})
	answer(h, "1/1/r0", &messages.Reply{})
	h.s.Version = 0 // as the fuzzer reads it
	keep()
	h.step(&messages.Reassign{Plan: &messages.Plan{Assignments: []*messages.Assignment{at("Q", units(0, 2), units(1, 1))}}})
	keep()
	answer(h, "1/0/x", &messages.Reply{})
	keep()
	return seeds
}

// FuzzDecide proves that no decodable command on any readable state panics, that Decide writes nothing, that its events evolve, and that
// units stay conserved: the state is the order's own bytes as the fuzzer bends them.
func FuzzDecide(f *testing.F) {
	commands := []messages.Command{
		&messages.AdoptPlan{Plan: &messages.Plan{PlanNo: 1, Assignments: []*messages.Assignment{at("P", units(0, 2))}}},
		&messages.TaskResult{TaskId: "web-1.1/0/r0", Reply: declined()}, &messages.TaskResult{TaskId: "web-1.1/q"},
		&messages.TaskResult{TaskId: "web-1.4294967295/4294967295/x"}, &messages.CancelOrder{Reason: "staff"}, &messages.OrderTimer{},
		&messages.FulfillmentChanged{FulfillmentId: "web-1.1", Status: statusShipped, RequestStatus: requestAccepted},
		&messages.PlaceOrder{Order: testOrder("1", "A*2"), Fingerprint: 1}, &messages.GetOrder{Timeline: true, Decisions: true, Movable: true},
		&messages.Reassign{Plan: &messages.Plan{Assignments: []*messages.Assignment{at("Q", units(0, 2)), at("P", units(1, 1))}}},
	}
	for _, state := range fuzzSeeds(f) {
		for i, cmd := range commands {
			data, err := cmd.MarshalVT()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(state, []byte{1, 9, 9, 9, 2, 8, 10, 0, 5, 12}[i], data, noon)
		}
	}
	f.Fuzz(func(t *testing.T, state []byte, kind byte, data []byte, now int64) {
		s, err := UnmarshalState(state)
		cmd := fuzzCommand(kind, data)
		if err != nil || cmd == nil {
			return
		}
		before := s.MarshalState()
		events, _, err := Decide(s, cmd, now)
		if !bytes.Equal(before, s.MarshalState()) {
			t.Fatal("Decide has written")
		}
		if err != nil && len(events) > 0 {
			t.Fatal("events and an error")
		}
		for _, e := range events {
			Evolve(s, e, now)
		}
		Tasks(s, now, nil)
		Status(s)
		Summary(s)
		Waits(s)
		View(s, &messages.GetOrder{Timeline: true, Decisions: true})
		s.MarshalState()
	})
}

// FuzzUnmarshalState proves that foreign bytes are refused or read, never a panic, and that what was read writes itself again unchanged.
func FuzzUnmarshalState(f *testing.F) {
	for _, state := range fuzzSeeds(f) {
		f.Add(state)
	}
	f.Fuzz(func(t *testing.T, state []byte) {
		s, err := UnmarshalState(state)
		if err != nil {
			return
		}
		once := s.MarshalState()
		again, err := UnmarshalState(once)
		if err != nil {
			t.Fatalf("its own bytes are refused: %v", err)
		}
		if !bytes.Equal(once, again.MarshalState()) {
			t.Fatal("the bytes change when written again")
		}
	})
}
