package load

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"orderyard/test/fault/client"
)

// windows keeps how every request went, so that one can ask afterwards about any span of time.
type windows struct {
	mu  sync.Mutex
	all []request
}

type request struct {
	sent   time.Time
	took   time.Duration
	tries  int
	failed bool
}

func (w *windows) add(o *client.Outcome, failed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, request{o.Sent, o.Took, o.Tries, failed})
}

// Window sums up the requests that were sent within a span.
type Window struct {
	Requests      int
	Failed        int // no outcome, or one that may not be
	Retried       int // the client had to ask more than once
	P50, P99, Max time.Duration
	PerSecond     float64
}

func (w Window) String() string {
	return fmt.Sprintf("%d requests (%.0f/s), %d failed, %d asked again, p50 %v, p99 %v, max %v", w.Requests, w.PerSecond, w.Failed, w.Retried,
		w.P50.Round(100*time.Microsecond), w.P99.Round(100*time.Microsecond), w.Max.Round(time.Millisecond))
}

// Between sums up a span.
func (l *Load) Between(from, to time.Time) Window {
	l.windows.mu.Lock()
	defer l.windows.mu.Unlock()
	var w Window
	var took []time.Duration
	for _, r := range l.windows.all {
		if r.sent.Before(from) || r.sent.After(to) {
			continue
		}
		w.Requests++
		took = append(took, r.took)
		if r.failed {
			w.Failed++
		}
		if r.tries > 1 {
			w.Retried++
		}
	}
	if len(took) > 0 {
		slices.Sort(took)
		w.P50, w.P99, w.Max = Quantile(took, 0.5), Quantile(took, 0.99), took[len(took)-1]
		w.PerSecond = float64(len(took)) / to.Sub(from).Seconds()
	}
	return w
}

// Quantile reads a sorted list: the smallest value that at least this share does not exceed.
func Quantile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	at := int(share*float64(len(sorted))+0.9999) - 1
	return sorted[min(max(at, 0), len(sorted)-1)]
}
