package egress

import "time"

// Cursor is how far a partition's events are published, for good and whoever owns it next: up to which position of the journal, and where in the stream the
// newest of them lies. The place is what tells the next owner that an event which follows in the journal lies before it in the stream, see Window; 0 = unknown.
type Cursor struct{ Position, Place uint64 }

// Ack is the stream's answer to an event that it has: where it lies, and whether it lay there already. Place 0 = the stream was not asked.
type Ack struct {
	Place  uint64
	Repeat bool
}

// Window is what one lane has published in one session and not heard of yet: it numbers events, takes their acknowledgements in any order, and says up
// to which position everything is published. It has no clock and no connection, and belongs to one goroutine or to a lock; the publisher and the
// simulation use the same.
type Window struct {
	ring []slot
	head uint64 // number of the oldest that waits
	tail uint64 // number the next one gets
	last uint64 // newest position of which anything was sent
	high uint64 // place in the stream of the newest event that needs no more waiting
	done Cursor // everything up to here needs no more waiting
}

// slot is a published event that waits for its acknowledgement. through is the position that is complete with it: that of its
// commit when it is the commit's last event, 0 otherwise.
type slot struct {
	through uint64
	acked   bool
	answer  Ack
	sent    time.Time
}

// NewWindow has room for so many events behind a cursor.
func NewWindow(size int, from Cursor) Window {
	return Window{ring: make([]slot, size), high: from.Place, done: from}
}

// Done is how far everything is published.
func (w *Window) Done() Cursor { return w.done }

// Take gives the number of the next event, which belongs to the commit at a position; false when there is no room.
func (w *Window) Take(position uint64, now time.Time) (number uint64, ok bool) {
	if w.tail-w.head >= uint64(len(w.ring)) {
		return 0, false
	}
	number = w.tail
	w.tail++
	w.last = position
	w.ring[number%uint64(len(w.ring))] = slot{sent: now}
	return number, true
}

// Complete notes that a commit's events are all sent. It is done when the newest of them is acknowledged; at once when none waits.
func (w *Window) Complete(position uint64) {
	if w.Quiet() {
		w.done = Cursor{position, w.high}
		return
	}
	w.ring[(w.tail-1)%uint64(len(w.ring))].through = position
}

// Acknowledge takes the answer to one event. Positions become done in order, whatever the order of the answers. n counts the events that need no
// more waiting.
//
// Disordered says that the next one lay already before one that it follows: an earlier attempt had that one refused, and the answer was lost with its
// connection, or went to the node that had the partition before. It is to be taken as a refusal. What was stored just now lies behind everything else,
// so a place that is too low for that is of a stream that was made anew, and what was known of the old one is worth nothing.
func (w *Window) Acknowledge(number uint64, answer Ack) (n int64, disordered bool) {
	if number < w.head || number >= w.tail {
		return 0, false
	}
	s := &w.ring[number%uint64(len(w.ring))]
	s.acked, s.answer = true, answer
	for w.head < w.tail {
		s := &w.ring[w.head%uint64(len(w.ring))]
		if !s.acked {
			break
		}
		switch a := s.answer; {
		case a.Place == 0:
		case a.Repeat && a.Place < w.high:
			return n, true
		default:
			w.high = a.Place
		}
		// The newest one may yet learn that its commit ends with it: Complete sees an empty window then.
		if s.through > 0 {
			w.done = Cursor{s.through, w.high}
		}
		w.head++
		n++
	}
	return n, false
}

// Quiet says that nothing waits for its acknowledgement.
func (w *Window) Quiet() bool { return w.head == w.tail }

// Overdue says whether the oldest event was sent before a moment and is not acknowledged.
func (w *Window) Overdue(before time.Time) bool {
	return !w.Quiet() && w.ring[w.head%uint64(len(w.ring))].sent.Before(before)
}

// Redo remembers, across sessions, up to where events are to be published again under a fresh message id: a message that was refused may lie behind
// later ones, and the stream would drop a repeat under the old id.
type Redo struct {
	through uint64
	tag     string
}

// Refused notes that a message of this window was refused. tag is one that no earlier attempt and no other node has used.
func (r *Redo) Refused(w *Window, tag string) {
	r.through = max(r.through, w.last)
	r.tag = tag
}

// MessageID is the id under which the stream knows an event of the commit at a position.
func (r *Redo) MessageID(eventID string, position uint64) string {
	if position <= r.through {
		return eventID + "~" + r.tag
	}
	return eventID
}

// Through is the newest position that is published again under a fresh id.
func (r *Redo) Through() uint64 { return r.through }
