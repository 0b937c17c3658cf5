package solve

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

func cpu() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(1, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
func TestZZ(t *testing.T) {
	runtime.LockOSThread()
	n := 400
	if v := os.Getenv("ZZ"); v != "" {
		n, _ = strconv.Atoi(v)
	}
	for _, size := range [][2]int{{5, 100}, {10, 50}, {20, 50}} {
		var s Solver
		var ds []time.Duration
		var sum time.Duration
		var steps []int64
		worst := map[time.Duration]int{}
		var check uint64
		for seed := range n {
			p := drawLarge(rand.New(rand.NewPCG(uint64(seed), 3)), size[0], size[1])
			best := time.Hour
			var r *Result
			for range 2 {
				b := cpu()
				r = s.Solve(p)
				best = min(best, cpu()-b)
			}
			check = check*31 + uint64(r.Best.Levels[0]) + uint64(r.Best.Short)*7 + uint64(len(r.Best.Sites))
			ds = append(ds, best)
			sum += best
			worst[best] = seed
			steps = append(steps, r.Steps)
		}
		slices.Sort(ds)
		slices.Sort(steps)
		fmt.Printf("%v p50 %v p90 %v p99 %v max %v (%d) mean %v steps p99 %d max %d check %x\n", size, ds[n/2], ds[n*9/10], ds[n*99/100], ds[n-1], worst[ds[n-1]], sum/time.Duration(n), steps[n*99/100], steps[n-1], check)
	}
}
