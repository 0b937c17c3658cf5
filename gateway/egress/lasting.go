package egress

import (
	"sync"
	"time"
)

// lasting tells how far a lane's events are published for good. A stream of one replica, written in the relaxed mode, acknowledges what it has in its
// process's memory and writes it within some 15 ms: an acknowledgement is worth something once that server has given a sign of life a while after it.
// What is not lasting when the connection ends is published again.
//
// Positions only grow. The methods may be called from any goroutine.
type lasting struct {
	mu    sync.Mutex
	at    Cursor // for good
	heard []mark // acknowledged behind it, oldest first
}

// mark is a position that was acknowledged at that time, or before.
type mark struct {
	cursor Cursor
	time   time.Time
}

const (
	// lastingGrain is how many marks a while is told by: a position becomes lasting a part of the while late.
	lastingGrain = 8
	// marksMax bounds the marks where signs of life do not come.
	marksMax = 64
)

// begin forgets everything: up to there it is published for good.
func (l *lasting) begin(from Cursor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at, l.heard = from, nil
}

// acknowledged notes a position. That is no sign of life: it may have lain here while the server died.
func (l *lasting) acknowledged(c Cursor, now time.Time, after time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.heard)
	switch {
	case n >= marksMax, n > 1 && l.heard[n-1].time.Sub(l.heard[n-2].time) < after/lastingGrain:
		l.heard[n-1] = mark{c, now}
	default:
		l.heard = append(l.heard, mark{c, now})
	}
}

// lived takes a sign of life: the server that acknowledged lived at that time.
func (l *lasting) lived(at time.Time, after time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for n < len(l.heard) && at.Sub(l.heard[n].time) >= after {
		l.at = l.heard[n].cursor
		n++
	}
	l.heard = append(l.heard[:0], l.heard[n:]...)
}

// cursor is how far everything is published for good.
func (l *lasting) cursor() Cursor {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at
}

// whole says whether everything acknowledged is lasting.
func (l *lasting) whole() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.heard) == 0
}
