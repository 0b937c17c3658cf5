package solve

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// prove compares an answer with the oracle's: the plan is possible and worth what it says, the bound is not above the optimum, and a proven
// answer is the optimum in all levels compared, of equals that which comes first.
func prove(t *testing.T, seed int, p *Problem, s *Solver, got *Result) {
	t.Helper()
	o := oracle{p: p}
	o.solve()
	cut := func(short int64, levels []int64) []int64 {
		return append([]int64{short}, levels[:got.Compared]...)
	}
	optimum := o.best[:got.Compared+1]
	if bound := cut(got.BoundShort, got.Bound); slices.Compare(bound, optimum) > 0 {
		t.Fatalf("seed %d: the bound %v is above the optimum %v", seed, bound, optimum)
	}
	for _, plan := range []*Plan{&got.Best, &got.Second} {
		if plan.Found && slices.Compare(cut(plan.Short, plan.Levels), optimum) < 0 {
			t.Fatalf("seed %d: %+v is better than possible, %v", seed, plan, optimum)
		}
	}
	if !got.Best.Found {
		if got.Exact && len(o.sites) > 0 {
			t.Fatalf("seed %d: nothing found, the oracle has %v from %v", seed, o.best, o.sites)
		}
		return
	}
	again := oracle{p: p, given: make([]int64, p.Sites*len(p.Items))}
	for i := range p.Items {
		again.short += p.Items[i].Quantity
	}
	for _, g := range got.Best.Gives {
		again.given[g.Site*len(p.Items)+g.Item] += g.Units
		again.short -= g.Units
		if g.Units > p.Cap[g.Site*len(p.Items)+g.Item] || p.Items[g.Item].Whole && g.Units != p.Items[g.Item].Quantity {
			t.Fatalf("seed %d: %+v is not possible", seed, g)
		}
	}
	again.judge()
	value := append([]int64{got.Best.Short}, got.Best.Levels...)
	if !slices.Equal(again.best, value) || !slices.Equal(again.sites, got.Best.Sites) {
		t.Fatalf("seed %d: %+v is worth %v from %v", seed, got.Best, again.best, again.sites)
	}
	if got.Exact && !slices.Equal(value[:got.Compared+1], optimum) {
		t.Fatalf("seed %d: %v from %v is said to be the optimum, which is %v from %v", seed, value, got.Best.Sites, o.best, o.sites)
	}
	sure := got.Exact && !s.doubted && !s.tired && got.Compared == len(p.Levels)
	if sure && !slices.Equal(got.Best.Sites, o.sites) {
		t.Fatalf("seed %d: %v from %v, as good and first is %v", seed, value, got.Best.Sites, o.sites)
	}
}

// spread draws levels of any width: values around zero, as large as top, fixed costs from floor on.
func spread(r *rand.Rand, p *Problem, levels int, floor, top int64) {
	p.Levels = p.Levels[:0]
	for range levels {
		l := Level{Fixed: make([]int64, p.Sites), Cost: make([]int64, len(p.Cap))}
		wide := top >> r.IntN(20)
		for j := range l.Fixed {
			l.Fixed[j] = max(floor, -wide) + r.Int64N(wide+1)
		}
		for at := range l.Cost {
			l.Cost[at] = r.Int64N(wide+1) - wide/3
		}
		if r.IntN(3) == 0 {
			l.Alone = make([]int64, p.Sites)
			for j := range l.Alone {
				l.Alone[j] = -r.Int64N(wide + 1)
			}
		}
		p.Levels = append(p.Levels, l)
	}
}

// Proves what TestOracle does where prices are made at once, of objectives of one word, two and three, whose parts behind the first word are below zero
// as often as above. (Once a division that rounded towards zero took more of a site than it had.)
func TestPrices(t *testing.T) {
	s := Solver{hasty: true}
	pressed := 0
	for seed := range 4000 {
		r := rand.New(rand.NewPCG(uint64(seed), 17))
		p := draw(r, seed%8 == 1, seed%8 == 2)
		if p.Pricer == nil && seed%3 > 0 {
			spread(r, p, 1+r.IntN(4), 0, 1<<(10+r.IntN(36)))
		}
		prove(t, seed, p, &s, s.Solve(p))
		if s.dual.ready {
			pressed++
		}
	}
	if pressed < 1000 {
		t.Fatalf("only %d problems came to prices", pressed)
	}
}

// Proves that fixed costs below zero, which may make it worth to give a site something for that alone, cost no more than the proof.
func TestRewards(t *testing.T) {
	s, exact := Solver{}, 0
	for seed := range 3000 {
		r := rand.New(rand.NewPCG(uint64(seed), 19))
		p := draw(r, false, seed%4 == 2)
		spread(r, p, 1+r.IntN(3), -60, 100)
		s.hasty = seed%2 == 0
		got := s.Solve(p)
		prove(t, seed, p, &s, got)
		if got.Exact {
			exact++
		}
	}
	t.Logf("%d of 3000 proven", exact)
	if exact < 1500 {
		t.Fatalf("only %d of 3000 proven", exact)
	}
}

// Proves that a search cut short answers with a possible plan and a true bound, discounts for giving everything included.
func TestStepsMax(t *testing.T) {
	s, tired := Solver{}, 0
	for seed := range 4000 {
		r := rand.New(rand.NewPCG(uint64(seed), 23))
		p := draw(r, seed%8 == 1, seed%8 == 2)
		p.StepsMax = 1 + r.Int64N(60)
		s.hasty = seed%2 == 0
		got := s.Solve(p)
		prove(t, seed, p, &s, got)
		if !got.Exact {
			tired++
		}
	}
	if tired < 400 {
		t.Fatalf("only %d searches were cut short", tired)
	}
}

// Proves that levels too wide for a word, and those behind the last that finds room, cost the proof and the comparison but nothing else: the bound
// holds, and a plan's levels are the true ones.
func TestWide(t *testing.T) {
	s, coarse, left := Solver{}, 0, 0
	for seed := range 3000 {
		r := rand.New(rand.NewPCG(uint64(seed), 29))
		p := draw(r, false, seed%4 == 2)
		spread(r, p, 1+r.IntN(6), 0, 1<<(50+r.IntN(9)))
		if seed%5 == 0 {
			for at := range p.Cap { // what nobody can give may cost what it likes
				if p.Cap[at] == 0 {
					p.Levels[0].Cost[at] = 1 << 62
				}
			}
		}
		s.hasty = seed%2 == 0
		got := s.Solve(p)
		prove(t, seed, p, &s, got)
		if s.coarse {
			coarse++
		}
		if got.Compared < len(p.Levels) {
			left++
		}
	}
	t.Logf("%d too wide, %d with levels left out", coarse, left)
	if coarse < 300 || left < 300 {
		t.Fatalf("only %d too wide, %d with levels left out", coarse, left)
	}
}

// heavy says more than its problem allows.
type heavy struct{ curve }

func (h *heavy) Price(site int, units, levels []int64) {
	h.curve.Price(site, units, levels)
	for k := range levels {
		levels[k] += 5 * h.steps[k]
	}
}

// capped is what the problem makes of that.
type capped struct {
	heavy
	plain *curve
}

func (c *capped) Price(site int, units, levels []int64) {
	c.heavy.Price(site, units, levels)
	most := make([]int64, len(levels))
	c.plain.Price(site, units, most)
	all := true
	for i, n := range units {
		all = all && n == c.p.Items[i].Quantity
	}
	for k := range levels {
		if l := &c.p.Levels[k]; all && l.Alone != nil {
			most[k] -= l.Alone[site]
		}
		levels[k] = min(levels[k], most[k]+c.p.Levels[k].Excess)
	}
}

// Proves that a pricer which says more than Excess allows cannot make one level weigh on another: what is beyond does not count.
func TestExcess(t *testing.T) {
	var s Solver
	for seed := range 3000 {
		r := rand.New(rand.NewPCG(uint64(seed), 31))
		p := draw(r, true, seed%4 == 2)
		c := p.Pricer.(*curve)
		for k := range p.Levels {
			p.Levels[k].Excess = r.Int64N(4)
			for at, v := range p.Levels[k].Cost {
				p.Levels[k].Cost[at] = max(v, 0)
			}
		}
		p.Pricer = &heavy{*c}
		got := *s.Solve(p)
		p.Pricer = &capped{heavy{*c}, &curve{p: p, grams: c.grams, steps: make([]int64, len(c.steps))}}
		prove(t, seed, p, &s, &got)
	}
}

// Proves that an answer has nothing of the problem before it, and that no site at all, or free sites alone, are problems like any other.
func TestNoSites(t *testing.T) {
	var s Solver
	for seed := range 2000 {
		r := rand.New(rand.NewPCG(uint64(seed), 37))
		p := draw(r, false, false)
		p.SitesMax = -r.IntN(2)
		got := s.Solve(p)
		p.SitesMax = 0 // the oracle would not allow the plan of nothing
		if !got.Exact {
			t.Fatalf("seed %d: not proven", seed)
		}
		if !got.Best.Found && len(p.Free) == 0 {
			var units int64
			for _, it := range p.Items {
				units += it.Quantity
			}
			if got.BoundShort != units {
				t.Fatalf("seed %d: nobody may give, and at least %d of %d are short", seed, got.BoundShort, units)
			}
		}
		prove(t, seed, p, &s, got)
		s.Solve(draw(r, false, true))
	}
}

// Proves that a hundred sites and more whose levels fill a word do not overflow it: against a problem whose answer is plain.
func TestManySites(t *testing.T) {
	var s Solver
	for _, sites := range []int{100, 300, 600} {
		p := &Problem{Sites: sites, SKUs: 2, SitesMax: sites, Items: []Item{{Quantity: int64(sites), Parts: []Part{{0, int64(sites)}}}, {Quantity: 1, Whole: true, Parts: []Part{{1, 1}}}}}
		l := Level{Fixed: make([]int64, sites), Cost: make([]int64, 2*sites)}
		for j := range sites {
			p.Cap = append(p.Cap, 1, 1)
			l.Cost[2*j] = 1 << 40
			l.Cost[2*j+1] = 1<<52 - int64(j)
		}
		p.Levels = []Level{l}
		p.StepsMax = 1_000_000
		got := s.Solve(p)
		if got.Best.Short != 0 || got.BoundShort != 0 {
			t.Fatalf("%d sites: %d short, at least %d", sites, got.Best.Short, got.BoundShort)
		}
		if want := int64(sites)<<40 + 1<<52 - int64(sites-1); !s.coarse && (got.Best.Levels[0] != want || got.Bound[0] > want) {
			t.Fatalf("%d sites: %d, at least %d, want %d", sites, got.Best.Levels[0], got.Bound[0], want)
		}
	}
}
