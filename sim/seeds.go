package sim

import (
	"runtime"
	"runtime/debug"
	"sync"
)

// gcPercent is how much garbage there may be beside what lives.
const gcPercent = 800

// Seeds runs many seeds, as many at once as there are processors: worlds share nothing. each is called with every result, one after the other, in no
// order; when it says no, no further seed begins. It gives their sum and how many there were.
func Seeds(first uint64, count int, o Options, each func(*Result) bool) (sum Result, ran int) {
	if o.Days == 0 { // such a world is garbage soon, and small: collecting seldom is a quarter faster
		defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	}
	var mu sync.Mutex
	var workers sync.WaitGroup
	next, ended := 0, false
	for range min(runtime.GOMAXPROCS(0), count) {
		workers.Go(func() {
			for {
				mu.Lock()
				if ended || next == count {
					mu.Unlock()
					return
				}
				seed := first + uint64(next)
				next++
				mu.Unlock()
				r := Run(seed, o)
				mu.Lock()
				sum.Add(r)
				ran++
				ended = !each(&r) || ended
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return sum, ran
}
