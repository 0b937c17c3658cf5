package shadow

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// dumb tries every set of sites.
func dumb(fixed, cost []int64, n int) int64 {
	best := huge
	for set := 1; set < 1<<len(fixed); set++ {
		var total int64
		for k := range fixed {
			if set>>k&1 == 1 {
				total += fixed[k]
			}
		}
		for l := range n {
			least := huge
			for k := range fixed {
				if set>>k&1 == 1 {
					least = min(least, cost[k*n+l])
				}
			}
			total += least
		}
		best = min(best, total)
	}
	return best
}

// total is what an answer costs.
func total(fixed, cost []int64, out []int32) int64 {
	var sum int64
	var used []int32
	for l, k := range out {
		sum += cost[int(k)*len(out)+l]
		if !slices.Contains(used, k) {
			used = append(used, k)
			sum += fixed[k]
		}
	}
	return sum
}

// draw makes a choice of up to seven sites and six lines. Small numbers make ties, and some lines cannot be at some sites.
func draw(rng *rand.Rand) (fixed, cost []int64, n int) {
	sites := 1 + rng.IntN(7)
	n = 1 + rng.IntN(6)
	scale := []int64{3, 20, 1000}[rng.IntN(3)]
	for range sites {
		fixed = append(fixed, rng.Int64N(scale))
	}
	for range sites * n {
		x := rng.Int64N(scale)
		if rng.IntN(5) == 0 {
			x = Never
		}
		cost = append(cost, x)
	}
	return fixed, cost, n
}

// TestChoose proves that the pruned search finds the least total, and that its answer costs what it says, against all sets of sites.
func TestChoose(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var c Chooser
	for range 20_000 {
		fixed, cost, n := draw(rng)
		out := make([]int32, n)
		got, exact := c.Choose(fixed, cost, out)
		if want := dumb(fixed, cost, n); got != want || !exact {
			t.Fatalf("fixed %v, cost %v: got %d (proven %v), want %d", fixed, cost, got, exact, want)
		}
		if sum := total(fixed, cost, out); sum > got {
			t.Fatalf("fixed %v, cost %v: %v costs %d, said %d", fixed, cost, out, sum, got)
		}
	}
}

// TestChooseGivesUp proves that a bound on the sets looked at still gives an answer, never a better one than there is, and that only
// a search that ended by itself is called proven.
func TestChooseGivesUp(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	c := Chooser{NodesMax: 3}
	var gaveUp, proven int
	for range 5_000 {
		fixed, cost, n := draw(rng)
		out := make([]int32, n)
		got, exact := c.Choose(fixed, cost, out)
		want := dumb(fixed, cost, n)
		if exact {
			proven++
		} else {
			gaveUp++
		}
		if got < want || exact && got != want {
			t.Fatalf("fixed %v, cost %v: got %d (proven %v), want %d", fixed, cost, got, exact, want)
		}
	}
	if gaveUp == 0 || proven == 0 {
		t.Errorf("gave up %d times, proved %d: the test needs both", gaveUp, proven)
	}
}

// TestChooseMany proves that sums of Never do not overflow: with hundreds of sites and lines, each line at one site only, the answer
// is those sites.
func TestChooseMany(t *testing.T) {
	const n, sites = 40, 300
	cost := make([]int64, sites*n)
	for i := range cost {
		cost[i] = Never
	}
	fixed := make([]int64, sites)
	for k := range fixed {
		fixed[k] = 5
	}
	for l := range n {
		cost[(sites-1-7*l)*n+l] = int64(l)
	}
	var c Chooser
	out := make([]int32, n)
	got, exact := c.Choose(fixed, cost, out)
	if want := int64(n*5 + n*(n-1)/2); got != want || !exact {
		t.Errorf("got %d (proven %v), want %d", got, exact, want)
	}
	for l, k := range out {
		if int(k) != sites-1-7*l {
			t.Errorf("line %d went to site %d, want %d", l, k, sites-1-7*l)
		}
	}
}

// TestChooseAllocatesNothing proves it for a workspace that has seen the size before.
func TestChooseAllocatesNothing(t *testing.T) {
	fixed, cost, n := draw(rand.New(rand.NewPCG(3, 3)))
	out := make([]int32, n)
	var c Chooser
	c.Choose(fixed, cost, out)
	if got := testing.AllocsPerRun(100, func() { c.Choose(fixed, cost, out) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkChoose(b *testing.B) {
	const n, sites = 8, 11
	rng := rand.New(rand.NewPCG(4, 4))
	var fixed, cost []int64
	for range sites {
		fixed = append(fixed, 8_759_000)
	}
	for range sites * n {
		x := 423_000 + rng.Int64N(6_000_000)
		if rng.IntN(3) == 0 {
			x = Never
		}
		cost = append(cost, x)
	}
	var c Chooser
	out := make([]int32, n)
	b.ReportAllocs()
	for b.Loop() {
		c.Choose(fixed, cost, out)
	}
}
