package egress

import (
	"testing"
	"time"
)

// Proves that a refusal which nobody heard of is found out: of three events the first was refused by the stream, the others were stored, and the
// connection ended before any answer came. The next session publishes all three under their old ids: the first lies behind the others now, so
// none of what follows it counts as published, and all is published again under fresh ids.
func TestRefusalThatNobodyHeardOf(t *testing.T) {
	w, now := NewWindow(8, Cursor{}), time.Unix(0, 0)
	for position := uint64(1); position <= 3; position++ {
		if number, ok := w.Take(position, now); !ok || number != position-1 {
			t.Fatalf("event %d is number %d, %v", position, number, ok)
		}
		w.Complete(position)
	}
	// The repeats are answered with the places they have had; the first event comes to lie behind them. Answers come in any order.
	if n, disordered := w.Acknowledge(1, Ack{51, true}); w.Done() != (Cursor{}) || n != 0 || disordered {
		t.Fatalf("through %v, %d done, disordered %v, while the first has no answer", w.Done(), n, disordered)
	}
	n, disordered := w.Acknowledge(0, Ack{53, false})
	if w.Done() != (Cursor{1, 53}) || n != 1 || !disordered {
		t.Fatalf("through %v, %d done, disordered %v", w.Done(), n, disordered)
	}
	var redo Redo
	redo.Refused(&w, "again")
	if a, b := redo.MessageID("e3", 3), redo.MessageID("e4", 4); a != "e3~again" || b != "e4" {
		t.Errorf("message ids %s and %s", a, b)
	}
}

// Proves that such a refusal is found out by the next owner, too, when the node that had the partition got the first event acknowledged behind the others and went
// before it published those again: the cursor tells where the first one lies.
func TestRefusalThatTheNextOwnerFindsOut(t *testing.T) {
	w, now := NewWindow(8, Cursor{Position: 1, Place: 53}), time.Unix(0, 0)
	number, _ := w.Take(2, now)
	w.Complete(2)
	if _, disordered := w.Acknowledge(number, Ack{51, true}); !disordered || w.Done() != (Cursor{1, 53}) {
		t.Fatalf("it counts as published, through %v", w.Done())
	}
	// It is published again, and the one behind it for the first time.
	w = NewWindow(8, w.Done())
	for position := uint64(2); position <= 3; position++ {
		number, _ = w.Take(position, now)
		w.Complete(position)
		if _, disordered := w.Acknowledge(number, Ack{52 + position, false}); disordered || w.Done() != (Cursor{position, 52 + position}) {
			t.Fatalf("event %d: through %v, disordered %v", position, w.Done(), disordered)
		}
	}
}

// Proves that a stream which was made anew, whose places begin from the start, is not taken for disorder for longer than one attempt.
func TestStreamMadeAnew(t *testing.T) {
	w, now := NewWindow(8, Cursor{Position: 1, Place: 1_000_000}), time.Unix(0, 0)
	for position := uint64(2); position <= 4; position++ {
		number, _ := w.Take(position, now)
		w.Complete(position)
		if _, disordered := w.Acknowledge(number, Ack{position, position == 4}); disordered || w.Done() != (Cursor{position, position}) {
			t.Fatalf("event %d: through %v, disordered %v", position, w.Done(), disordered)
		}
	}
}

// Proves that order as it should be disturbs nobody: repeats that another node published in between have their places in between.
func TestRepeatsInOrder(t *testing.T) {
	w, now := NewWindow(2, Cursor{}), time.Unix(0, 0)
	for i, place := range []uint64{7, 9, 0, 10, 14} { // 0: too large for the stream
		number, ok := w.Take(uint64(i), now)
		if !ok {
			t.Fatal("no room")
		}
		w.Complete(uint64(i))
		if n, disordered := w.Acknowledge(number, Ack{place, i%2 == 0}); n != 1 || disordered {
			t.Errorf("event %d at place %d: %d done, disordered %v", i, place, n, disordered)
		}
	}
	if !w.Quiet() || w.Overdue(now.Add(time.Hour)) {
		t.Error("something waits")
	}
}
