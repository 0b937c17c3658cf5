package egress

import (
	"sync"
	"time"
)

// firm tells how far a lane's events are published for good. A stream of one replica, written in the relaxed mode, acknowledges what it has in its
// process's memory and writes it within some 15 ms: an acknowledgement is worth something once that server has given a sign of life a while after it.
// What is not firm when the connection ends is published again.
//
// Positions only grow. The methods may be called from any goroutine.
type firm struct {
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
	// firmGrain is how many marks a while is told by: a position becomes firm a part of the while late.
	firmGrain = 8
	// marksMax bounds the marks where signs of life do not come.
	marksMax = 64
)

// begin forgets everything: up to there it is published for good.
func (f *firm) begin(from Cursor) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.heard = from, nil
}

// acknowledged notes a position. That is no sign of life: it may have lain here while the server died.
func (f *firm) acknowledged(c Cursor, now time.Time, after time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.heard)
	switch {
	case n >= marksMax, n > 1 && f.heard[n-1].time.Sub(f.heard[n-2].time) < after/firmGrain:
		f.heard[n-1] = mark{c, now}
	default:
		f.heard = append(f.heard, mark{c, now})
	}
}

// lived takes a sign of life: the server that acknowledged lived at that time.
func (f *firm) lived(at time.Time, after time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for n < len(f.heard) && at.Sub(f.heard[n].time) >= after {
		f.at = f.heard[n].cursor
		n++
	}
	f.heard = append(f.heard[:0], f.heard[n:]...)
}

// cursor is how far everything is published for good.
func (f *firm) cursor() Cursor {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at
}

// whole says whether everything acknowledged is firm.
func (f *firm) whole() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.heard) == 0
}
