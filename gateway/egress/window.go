package egress

import "time"

// Cursor is how far a partition's events are published, for good and whoever owns it next: the position of the journal up to which all of them are.
type Cursor struct{ Position uint64 }

// Window is what one lane has published in one session and not heard of yet. Events go out in batches, one after the other, and are numbered within
// their batch from 1: the stream stores those of a batch without a gap or ends the batch, and says now and then up to which of them it has stored. A batch
// lasts as long as there is something to publish; when it ends, the next begins only after everything of it is known to be stored. So whatever fails,
// what a lane has put into the stream is an unbroken piece of what it had to publish.
//
// It has no clock and no connection, and belongs to one goroutine or to a lock; the publisher and the simulation use the same.
type Window struct {
	ring  []slot
	head  uint64 // events that need no more waiting
	tail  uint64 // events taken
	base  uint64 // of them, those before the batch that is open
	state batchState
	endAt time.Time // when its end was told
	done  Cursor    // everything up to here needs no more waiting
}

type batchState uint8

const (
	batchNone batchState = iota
	batchOpen
	batchEnding // its end is told, and not answered yet
)

// slot is a published event that the stream is not known to have. through is the position that is complete with it: that of its commit when it is the
// commit's last event, 0 otherwise.
type slot struct {
	through uint64
	sent    time.Time
}

// NewWindow has room for so many events behind a cursor.
func NewWindow(size int, from Cursor) Window {
	return Window{ring: make([]slot, size), done: from}
}

// Done is how far everything is published.
func (w *Window) Done() Cursor { return w.done }

// Take gives the next event its number in its batch, 1 begins one. It gives false while there is no room, or the batch before is still to be answered.
func (w *Window) Take(now time.Time) (number uint64, ok bool) {
	if w.state == batchEnding || w.tail-w.head >= uint64(len(w.ring)) {
		return 0, false
	}
	if w.state == batchNone {
		w.state, w.base = batchOpen, w.tail
	}
	w.ring[w.tail%uint64(len(w.ring))] = slot{sent: now}
	w.tail++
	return w.tail - w.base, true
}

// Untake takes the event back that was taken last, which was not sent.
func (w *Window) Untake() {
	if w.tail--; w.tail == w.base {
		w.state = batchNone
	}
}

// Complete notes that all events of the commit at a position are sent. It is done when the newest of them is stored; at once when none waits.
func (w *Window) Complete(position uint64) {
	if w.Quiet() {
		w.done = Cursor{position}
		return
	}
	w.ring[(w.tail-1)%uint64(len(w.ring))].through = position
}

// Stored notes that the stream has the open batch up to a number, and counts the events that need no more waiting for it. One that was told already
// changes nothing.
func (w *Window) Stored(number uint64) (n int64) {
	for upTo := min(w.base+number, w.tail); w.head < upTo; w.head++ {
		// The newest one may yet learn that its commit ends with it: Complete sees an empty window then.
		if through := w.ring[w.head%uint64(len(w.ring))].through; through > 0 {
			w.done = Cursor{through}
		}
		n++
	}
	return n
}

// End begins the end of the batch: number is the one after its last event. It gives false when there is no batch, or its end is told already.
func (w *Window) End(now time.Time) (number uint64, ok bool) {
	if w.state != batchOpen {
		return 0, false
	}
	w.state, w.endAt = batchEnding, now
	return w.tail - w.base + 1, true
}

// Ended notes that the stream has ended the batch with so many events. It gives false when they are not all that were sent: the rest is to be
// published again.
func (w *Window) Ended(number uint64) (n int64, whole bool) {
	n = w.Stored(number)
	if w.state != batchEnding || w.head != w.tail || w.tail-w.base != number {
		return n, false
	}
	w.state = batchNone
	return n, true
}

// Quiet says that nothing waits to be stored.
func (w *Window) Quiet() bool { return w.head == w.tail }

// Overdue says whether the stream owes an answer to something that was sent before a moment.
func (w *Window) Overdue(before time.Time) bool {
	return !w.Quiet() && w.ring[w.head%uint64(len(w.ring))].sent.Before(before) || w.state == batchEnding && w.endAt.Before(before)
}
