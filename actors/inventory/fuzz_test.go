package inventory

import (
	"bytes"
	"testing"

	"orderyard/messages"
)

// FuzzUnmarshalState proves that no bytes make a bucket that panics: they are refused, or they make one that works and whose own
// bytes are stable.
func FuzzUnmarshalState(f *testing.F) {
	d := stocked(f, 20)
	d.fill(f, 5, "o", HoldMinMs)
	d.must(f, &messages.ConfirmReservation{ReservationId: "r1"})
	d.must(f, &messages.CancelReservation{ReservationId: "r2"})
	d.must(f, &messages.ShipStock{ReservationId: "r3"})
	f.Add(d.s.MarshalState())
	d.must(f, &messages.SetStock{OnHand: 1, HasSafetyStock: true, SafetyStock: 2})
	f.Add(d.s.MarshalState())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := UnmarshalState(b)
		if err != nil {
			return
		}
		first := s.MarshalState()
		again, err := UnmarshalState(first)
		if err != nil {
			t.Fatalf("its own bytes are refused: %v", err)
		}
		if !bytes.Equal(first, again.MarshalState()) {
			t.Fatal("its bytes are not stable")
		}
		Tasks(s, 0, nil)
		View(s)
		_, _, _ = Decide(s, &messages.ReserveStock{ReservationId: "new", Quantity: 1}, 1000)
		_, _, _ = Decide(s, &messages.SetStock{OnHand: 1}, 1000)
	})
}

// FuzzDecide proves that any command that can be decoded is answered without a panic, and that what it leads to can be evolved.
func FuzzDecide(f *testing.F) {
	kinds := []func() messages.Command{
		func() messages.Command { return new(messages.ReserveStock) }, func() messages.Command { return new(messages.ConfirmReservation) },
		func() messages.Command { return new(messages.CancelReservation) }, func() messages.Command { return new(messages.ShipStock) },
		func() messages.Command { return new(messages.KeepClaim) }, func() messages.Command { return new(messages.SetStock) },
		func() messages.Command { return new(messages.AdjustStock) }, func() messages.Command { return new(messages.ReceiveStock) },
		func() messages.Command { return new(messages.TaskResult) },
	}
	for kind, cmd := range []messages.Command{
		&messages.ReserveStock{ReservationId: "r1", Quantity: 3, HoldForMs: 1 << 40}, &messages.ConfirmReservation{ReservationId: "r1"},
		&messages.CancelReservation{ReservationId: "r1", RejectReason: "damaged", RejectedQuantity: 1 << 60}, &messages.ShipStock{ReservationId: "r1", Quantity: 1},
		&messages.KeepClaim{ReservationId: "r1"}, &messages.SetStock{OnHand: 1 << 62, AsOfMs: -1}, &messages.AdjustStock{Delta: -1 << 63, Reason: "x"},
		&messages.ReceiveStock{Quantity: 1<<63 - 1}, &messages.TaskResult{TaskId: "r1/lost"},
	} {
		b, err := cmd.MarshalVT()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(kind), b)
	}
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		cmd := kinds[int(kind)%len(kinds)]()
		if cmd.UnmarshalVT(b) != nil {
			return
		}
		d := stocked(t, 10)
		d.fill(t, 4, "o", HoldMinMs)
		d.must(t, &messages.SetStock{OnHand: 2})
		d.now += 500
		for range 2 {
			_, _, _ = d.do(cmd)
			d.wait(2 * HoldMinMs)
		}
		if _, err := UnmarshalState(d.s.MarshalState()); err != nil {
			t.Fatal(err)
		}
	})
}
