package ingress

import (
	"sync"
	"time"

	"orderyard/messages"
)

// wheel answers calls whose time is over. One goroutine turns it for all doors: a timer per request would cost more than the
// request. A slot is a list of calls; a call whose time lies further ahead than one turn stays in its slot for another.
type wheel struct {
	now  func() int64 // Unix ms
	done chan struct{}
	gone chan struct{}

	mu    sync.Mutex
	slots [wheelSlots]*call
	at    int64 // the last slot number that was swept
	ended *messages.Failure
}

const (
	wheelSlots = 512
	// wheelStep is how late a timeout may be answered.
	wheelStep = 20 * time.Millisecond
)

func newWheel(now func() int64) *wheel {
	w := &wheel{now: now, done: make(chan struct{}), gone: make(chan struct{})}
	w.at = w.number(now())
	go w.turn()
	return w
}

func (w *wheel) number(ms int64) int64 { return ms / wheelStep.Milliseconds() }

// add watches a call until it is removed or expired. A wheel that has stopped gives the failure to answer with.
func (w *wheel) add(c *call) *messages.Failure {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended != nil {
		return w.ended
	}
	// A time that is over goes to the slot swept next.
	c.slot = int(max(w.number(c.expires)+1, w.at+1) % wheelSlots)
	c.prev, c.next, c.waiting = nil, w.slots[c.slot], true
	if c.next != nil {
		c.next.prev = c
	}
	w.slots[c.slot] = c
	return nil
}

// remove forgets a call. Removing again does nothing.
func (w *wheel) remove(c *call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlink(c)
}

func (w *wheel) unlink(c *call) {
	if !c.waiting {
		return
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		w.slots[c.slot] = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.prev, c.next, c.waiting = nil, nil, false
}

func (w *wheel) turn() {
	defer close(w.gone)
	ticker := time.NewTicker(wheelStep)
	defer ticker.Stop()
	late := messages.Retry(messages.CodeTimeout, shedRetryAfterMs, "no answer before the deadline; the outcome is unknown, ask again with the same command id")
	for {
		select {
		case <-w.done:
			return
		case <-ticker.C:
			for _, c := range w.sweep(w.now()) {
				c.expire(late)
			}
		}
	}
}

// sweep takes out every call whose time is over. A clock that jumps far ahead costs one turn; one that is set back is followed.
func (w *wheel) sweep(now int64) []*call {
	w.mu.Lock()
	defer w.mu.Unlock()
	to := w.number(now)
	w.at = min(w.at, to)
	if to-w.at > wheelSlots {
		w.at = to - wheelSlots
	}
	var over []*call
	for w.at < to {
		w.at++
		for c := w.slots[w.at%wheelSlots]; c != nil; {
			next := c.next
			if c.expires <= now {
				w.unlink(c)
				over = append(over, c)
			}
			c = next
		}
	}
	return over
}

// stop ends the wheel and answers everything that still waits with the failure.
func (w *wheel) stop(f *messages.Failure) {
	select {
	case <-w.done:
		return
	default:
		close(w.done)
	}
	<-w.gone
	w.mu.Lock()
	w.ended = f
	var left []*call
	for _, c := range w.slots {
		for ; c != nil; c = c.next {
			left = append(left, c)
		}
	}
	w.mu.Unlock()
	for _, c := range left {
		w.remove(c)
		c.expire(f)
	}
}
