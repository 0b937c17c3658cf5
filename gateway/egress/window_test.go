package egress

import (
	"testing"
	"time"
)

// Proves that a refusal which nobody heard of is found out: of three events the first was refused by the stream, the others were stored, and the
// connection ended before any answer came. The next session publishes all three under their old ids: the first lies behind the others now, so
// none of what follows it counts as published, and all is published again under fresh ids.
func TestRefusalThatNobodyHeardOf(t *testing.T) {
	w, now := NewWindow(8), time.Unix(0, 0)
	for position := uint64(1); position <= 3; position++ {
		if number, ok := w.Take(position, now); !ok || number != position-1 || w.Complete(position) {
			t.Fatalf("event %d is number %d, %v", position, number, ok)
		}
	}
	// The repeats are answered with the places they have had; the first event comes to lie behind them. Answers come in any order.
	if through, n, disordered := w.Acknowledge(1, 51); through != 0 || n != 0 || disordered {
		t.Fatalf("through %d, %d done, disordered %v, while the first has no answer", through, n, disordered)
	}
	through, n, disordered := w.Acknowledge(0, 53)
	if through != 1 || n != 1 || !disordered {
		t.Fatalf("through %d, %d done, disordered %v", through, n, disordered)
	}
	var redo Redo
	redo.Refused(&w, "again")
	if a, b := redo.MessageID("e3", 3), redo.MessageID("e4", 4); a != "e3~again" || b != "e4" {
		t.Errorf("message ids %s and %s", a, b)
	}
}

// Proves that order as it should be disturbs nobody: repeats that another node published in between have their places in between.
func TestRepeatsInOrder(t *testing.T) {
	w, now := NewWindow(2), time.Unix(0, 0)
	for i, place := range []uint64{7, 9, 0, 10, 14} { // 0: too large for the stream
		number, ok := w.Take(uint64(i), now)
		if !ok {
			t.Fatal("no room")
		}
		w.Complete(uint64(i))
		if _, n, disordered := w.Acknowledge(number, place); n != 1 || disordered {
			t.Errorf("event %d at place %d: %d done, disordered %v", i, place, n, disordered)
		}
	}
	if !w.Quiet() || w.Overdue(now.Add(time.Hour)) {
		t.Error("something waits")
	}
}
