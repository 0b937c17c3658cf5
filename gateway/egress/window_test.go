package egress

import (
	"testing"
	"time"
)

// stream stores the events of a window's batches as the server does: without a gap.
type batchStream struct {
	stored []uint64 // numbers, of the batch that is open
	over   bool
}

func (s *batchStream) take(number uint64) {
	if number != uint64(len(s.stored))+1 {
		s.over = true
	}
	if !s.over {
		s.stored = append(s.stored, number)
	}
}

// Proves that of three events of which the first does not reach the stream none counts as published, whatever the stream says of the batch.
func TestGapEndsTheBatch(t *testing.T) {
	w, now := NewWindow(8, Cursor{}), time.Unix(0, 0)
	var s batchStream
	for position := uint64(1); position <= 3; position++ {
		number, ok := w.Take(now)
		if !ok || number != position {
			t.Fatalf("event %d is number %d, %v", position, number, ok)
		}
		if position > 1 { // the first is lost
			s.take(number)
		}
		w.Complete(position)
	}
	if len(s.stored) > 0 || !s.over {
		t.Fatalf("the stream stores %v", s.stored)
	}
	if end, ok := w.End(now); !ok || end != 4 {
		t.Fatalf("the batch ends at %d, %v", end, ok)
	}
	if n, whole := w.Ended(0); n != 0 || whole || w.Done() != (Cursor{}) {
		t.Errorf("%d done, whole %v, through %v", n, whole, w.Done())
	}
}

// Proves that the next batch begins only when everything of the one before is known to be stored, and with number 1; and that a position is done with
// its last event, however the answers are cut.
func TestBatchAfterBatch(t *testing.T) {
	w, now := NewWindow(8, Cursor{10}), time.Unix(0, 0)
	w.Complete(11) // without events
	if w.Done() != (Cursor{11}) {
		t.Fatalf("through %v", w.Done())
	}
	for _, number := range []uint64{1, 2, 3} { // the events of two commits, two and one
		if got, ok := w.Take(now); !ok || got != number {
			t.Fatalf("number %d, %v", got, ok)
		}
		if number > 1 {
			w.Complete(10 + number)
		}
	}
	if n := w.Stored(1); n != 1 || w.Done() != (Cursor{11}) {
		t.Errorf("%d done, through %v", n, w.Done())
	}
	if n := w.Stored(2); n != 1 || w.Done() != (Cursor{12}) {
		t.Errorf("%d done, through %v", n, w.Done())
	}
	if n := w.Stored(1); n != 0 {
		t.Errorf("%d done by what was told already", n)
	}
	if end, ok := w.End(now); !ok || end != 4 {
		t.Errorf("the batch ends at %d, %v", end, ok)
	}
	if _, ok := w.End(now); ok {
		t.Error("it ends twice")
	}
	if _, ok := w.Take(now); ok {
		t.Error("an event goes out while the batch before is still to be answered")
	}
	w.Complete(20)
	if n, whole := w.Ended(3); n != 1 || !whole || w.Done() != (Cursor{20}) {
		t.Errorf("%d done, whole %v, through %v", n, whole, w.Done())
	}
	if number, ok := w.Take(now); !ok || number != 1 {
		t.Errorf("the next batch begins with %d, %v", number, ok)
	}
}

// Proves that an event which was not sent leaves no trace: neither a gap nor a batch that nobody began.
func TestUntake(t *testing.T) {
	w, now := NewWindow(2, Cursor{}), time.Unix(0, 0)
	if number, _ := w.Take(now); number != 1 {
		t.Fatal(number)
	}
	w.Untake()
	w.Complete(1)
	if _, ok := w.End(now); ok || w.Done() != (Cursor{1}) {
		t.Errorf("a batch of nothing ends, through %v", w.Done())
	}
	w.Take(now)
	w.Take(now)
	if _, ok := w.Take(now); ok {
		t.Error("room for three of two")
	}
	w.Untake()
	if number, ok := w.Take(now); !ok || number != 2 {
		t.Errorf("number %d, %v", number, ok)
	}
}

// Proves that the stream's silence is noticed in both cases: events without an answer, and a batch whose end nobody confirms.
func TestOverdue(t *testing.T) {
	w, now := NewWindow(2, Cursor{}), time.Unix(0, 0)
	w.Take(now)
	if w.Overdue(now) || !w.Overdue(now.Add(1)) {
		t.Error("an event without an answer")
	}
	w.Stored(1)
	if !w.Quiet() || w.Overdue(now.Add(time.Hour)) {
		t.Error("something waits")
	}
	w.End(now.Add(time.Hour))
	if w.Overdue(now.Add(time.Hour)) || !w.Overdue(now.Add(time.Hour+1)) {
		t.Error("an end without an answer")
	}
}
