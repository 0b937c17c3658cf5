package solve

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// drawLarge makes a problem as orders and networks are: costs grow with the distance, stock is here and there, splitting costs a parcel. Costs
// are in cents, one level, so that any solver of linear programs can be asked the same.
func drawLarge(r *rand.Rand, items, sites int) *Problem {
	p := &Problem{Sites: sites, SKUs: items, SitesMax: sites}
	if r.IntN(2) == 0 {
		p.SitesMax = 1 + r.IntN(6)
	}
	share := []float64{0.1, 0.3, 0.6, 1}[r.IntN(4)]
	fixedTop := []int64{100, 900, 3000}[r.IntN(3)]
	far := make([]int64, sites)
	l := Level{Fixed: make([]int64, sites), Cost: make([]int64, sites*items)}
	for j := range sites {
		far[j] = r.Int64N(4000)
		l.Fixed[j] = fixedTop + far[j]/10 + r.Int64N(fixedTop)
	}
	p.Cap = make([]int64, sites*items)
	for i := range items {
		it := Item{Quantity: 1 + r.Int64N(6), Whole: r.IntN(2) == 0}
		it.Parts = []Part{{i, it.Quantity}}
		grams := 1 + r.Int64N(30)
		for j := range sites {
			if r.Float64() < share {
				p.Cap[j*items+i] = 1 + r.Int64N(2*it.Quantity)
			}
			units := int64(1)
			if it.Whole {
				units = it.Quantity
			}
			l.Cost[j*items+i] = units * (10 + grams*far[j]/200 + r.Int64N(40))
		}
		p.Items = append(p.Items, it)
	}
	p.Levels = []Level{l}
	return p
}

// Benchmark of problems with random costs, which are harder than those of a network: nothing is ever equal.
func BenchmarkSolve(b *testing.B) {
	for _, size := range [][2]int{{5, 20}, {5, 100}, {10, 50}, {20, 50}} {
		b.Run(fmt.Sprintf("%d items, %d sites", size[0], size[1]), func(b *testing.B) {
			var s Solver
			var took []time.Duration
			problems := make([]*Problem, 200)
			for seed := range problems {
				problems[seed] = drawLarge(rand.New(rand.NewPCG(uint64(seed), 3)), size[0], size[1])
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				began := time.Now()
				if g := s.Solve(problems[i%len(problems)]); !g.Exact {
					b.Fatal("not exact")
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
		})
	}
}
