package shadow

import (
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// twoSites is one item, ordered near site 0 (900 of 1,000 orders) and near site 1; a parcel costs 9 and a unit 1, or 3 from far away.
func twoSites(stock0, stock1 int64) *Problem {
	near, far := int64(1_000_000), int64(3_000_000)
	fixed := []int64{9_000_000, 9_000_000}
	return &Problem{
		Sites: 2, Items: 1, Types: [][]Line{{{Item: 0, Quantity: 1}}},
		Destinations: []Destination{
			{Fixed: fixed, Unit: []int64{near, far}, ShortFixed: 18_000_000, ShortUnit: 6_000_000},
			{Fixed: fixed, Unit: []int64{far, near}, ShortFixed: 18_000_000, ShortUnit: 6_000_000},
		},
		Flows: []Flow{{0, 0, 900 * Micro}, {0, 1, 100 * Micro}},
		Stock: []int64{stock0, stock1},
	}
}

func solve(t *testing.T, p *Problem, start []int64, rounds int) Result {
	t.Helper()
	var s Solver
	r, err := s.Solve(p, start, Options{RoundsMax: rounds})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// within says whether got is at most 0.1 % from want.
func within(got, want int64) bool { return 1000*max(got-want, want-got) <= want }

// TestPriceStory proves that prices mean what they say, on one item whose optimum is known by hand.
func TestPriceStory(t *testing.T) {
	// Enough of everything: nothing has a price, and all ship from near.
	r := solve(t, twoSites(1000, 1000), nil, 300)
	if r.Prices[0] != 0 || r.Prices[1] != 0 || r.Bound != 1000*10_000_000 {
		t.Errorf("plenty: prices %v, bound %d", r.Prices, r.Bound)
	}
	// Site 0 lacks 400 units for its own region: each comes from site 1 for 2 more, so a unit at site 0 is worth 2.
	r = solve(t, twoSites(500, 1000), nil, 300)
	if !within(r.Prices[0], 2_000_000) || r.Prices[1] != 0 || !within(r.Bound, 600*10_000_000+400*12_000_000) {
		t.Errorf("scarce at site 0: prices %v, bound %d", r.Prices, r.Bound)
	}
	// 200 units are missing in total: at the margin a unit saves an unfulfilled order, 24 instead of 12 or 10.
	r = solve(t, twoSites(500, 300), nil, 300)
	want := int64(500*10_000_000 + 100*10_000_000 + 200*12_000_000 + 200*24_000_000)
	if !within(r.Prices[0], 14_000_000) || !within(r.Prices[1], 12_000_000) || !within(r.Bound, want) {
		t.Errorf("scarce everywhere: prices %v, bound %d, want %d", r.Prices, r.Bound, want)
	}
}

// TestShortIsNoChoice proves what ShortMax changes, on an order of two items of which one is nowhere: without the limit the prices
// believe that the second item is best dropped too, since the first pays for being short; with it the second ships.
func TestShortIsNoChoice(t *testing.T) {
	p := twoSites(1000, 1000)
	p.Items = 2
	p.Types = [][]Line{{{Item: 0, Quantity: 1}, {Item: 1, Quantity: 1}}}
	p.Stock = []int64{1000, 0, 1000, 0}
	if r := solve(t, p, nil, 300); r.Bound != 1000*30_000_000 {
		t.Errorf("short at will: bound %d, want 18 + 6 + 6 per order", r.Bound)
	}
	p.ShortMax = []int64{0, 1000}
	if r := solve(t, p, nil, 300); !within(r.Bound, 1000*34_000_000) {
		t.Errorf("must ship: bound %d, want 10 + 24 per order", r.Bound)
	}
}

// tiny draws a problem of whole orders, so few that all ways to serve them can be tried.
func tiny(rng *rand.Rand) *Problem {
	p := &Problem{Sites: 2, Items: 2, Types: [][]Line{{{0, 1}}, {{0, 1}, {1, 2}}, {{1, 1}}}}
	for range 2 {
		d := Destination{ShortFixed: 18_000_000, ShortUnit: 4_000_000}
		for range p.Sites {
			d.Fixed = append(d.Fixed, 5_000_000+rng.Int64N(5_000_000))
			d.Unit = append(d.Unit, rng.Int64N(2_000_000))
		}
		p.Destinations = append(p.Destinations, d)
	}
	for range 5 {
		p.Flows = append(p.Flows, Flow{rng.IntN(3), rng.IntN(2), Micro})
	}
	for range p.Sites * p.Items {
		p.Stock = append(p.Stock, rng.Int64N(5))
	}
	return p
}

// cheapest is the least cost of serving the flows from f on, each one order, by trying all assignments of whole lines.
func cheapest(p *Problem, f int) int64 {
	if f == len(p.Flows) {
		return 0
	}
	flow := p.Flows[f]
	lines, d := p.Types[flow.Type], p.Destinations[flow.Destination]
	best := huge
	var try func(l int, used int, cost int64)
	try = func(l, used int, cost int64) {
		if l == len(lines) {
			best = min(best, cost+cheapest(p, f+1))
			return
		}
		for k := range p.Sites + 1 {
			fixed, unit := d.ShortFixed, d.ShortUnit
			var stock *int64
			if k < p.Sites {
				fixed, unit, stock = d.Fixed[k], d.Unit[k], &p.Stock[k*p.Items+lines[l].Item]
				if *stock < lines[l].Quantity {
					continue
				}
				*stock -= lines[l].Quantity
			}
			if used>>k&1 == 1 {
				fixed = 0
			}
			try(l+1, used|1<<k, cost+fixed+unit*lines[l].Quantity)
			if stock != nil {
				*stock += lines[l].Quantity
			}
		}
	}
	try(0, 0, 0)
	return best
}

// TestBound proves that the bound is one, after any number of rounds, from any start, and with searches that give up: no way to serve
// the orders is cheaper. It tries all ways.
func TestBound(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	var s Solver
	var sum, bounds float64
	for range 60 {
		p := tiny(rng)
		best := cheapest(p, 0)
		start := make([]int64, (p.Sites+1)*p.Items)
		for i := range start {
			start[i] = rng.Int64N(9_000_000)
		}
		for _, rounds := range []int{1, 7, 200} {
			for _, from := range [][]int64{nil, start} {
				for _, nodes := range []int{0, 1} {
					r, err := s.Solve(p, from, Options{RoundsMax: rounds, NodesMax: nodes})
					if err != nil {
						t.Fatal(err)
					}
					if r.Bound > best {
						t.Fatalf("%+v: bound %d, but %d is possible", p, r.Bound, best)
					}
					if rounds == 200 && nodes == 0 && from == nil {
						sum, bounds = sum+float64(best), bounds+float64(r.Bound)
					}
				}
			}
		}
	}
	// Five orders are far from many, so the bound of a mean is not tight; it must still be near.
	if bounds/sum < 0.9 {
		t.Errorf("the bound is %.3f of the optimum", bounds/sum)
	}
}

// middling is a problem of some size with nothing special about it.
func middling() *Problem {
	rng := rand.New(rand.NewPCG(6, 6))
	p := &Problem{Sites: 6, Items: 12}
	for size := 1; size <= 4; size++ {
		for range 6 {
			var lines []Line
			for _, i := range rng.Perm(p.Items)[:size] {
				lines = append(lines, Line{i, 1 + rng.Int64N(2)})
			}
			p.Types = append(p.Types, lines)
		}
	}
	for range 5 {
		d := Destination{ShortFixed: 18_000_000, ShortUnit: 4_000_000}
		for range p.Sites {
			d.Fixed = append(d.Fixed, 8_000_000+rng.Int64N(2_000_000))
			d.Unit = append(d.Unit, 400_000+rng.Int64N(1_500_000))
		}
		p.Destinations = append(p.Destinations, d)
	}
	for q := range p.Types {
		for j := range p.Destinations {
			p.Flows = append(p.Flows, Flow{q, j, rng.Int64N(20 * Micro)})
		}
	}
	for range p.Sites * p.Items {
		p.Stock = append(p.Stock, max(0, rng.Int64N(120)-40))
	}
	return p
}

// TestWarmStart proves that prices of a moment ago save rounds: 20 from there bound as well as 200 from zero.
func TestWarmStart(t *testing.T) {
	p := middling()
	cold, long := solve(t, p, nil, 20), solve(t, p, nil, 200)
	for f := range p.Flows {
		p.Flows[f].Expected = p.Flows[f].Expected * 101 / 100
	}
	warm, again := solve(t, p, long.Prices, 20), solve(t, p, nil, 200)
	if cold.Bound >= long.Bound || !within(warm.Bound, again.Bound) {
		t.Errorf("from zero 20 rounds %d, 200 %d; a little later 20 warm %d, 200 cold %d", cold.Bound, long.Bound, warm.Bound, again.Bound)
	}
}

// TestSameBits proves that the answer is the same to the bit on every machine: its hash is written here. It also proves that what a
// solver did before does not matter.
func TestSameBits(t *testing.T) {
	fresh := solve(t, middling(), nil, 100)
	var s Solver
	if _, err := s.Solve(twoSites(500, 300), nil, Options{}); err != nil {
		t.Fatal(err)
	}
	used, err := s.Solve(middling(), nil, Options{RoundsMax: 100})
	if err != nil || !slices.Equal(fresh.Prices, used.Prices) || fresh.Bound != used.Bound {
		t.Errorf("a used solver answers otherwise (%v)", err)
	}
	h := fnv.New64a()
	for _, x := range append(fresh.Prices, fresh.Bound) {
		for shift := 0; shift < 64; shift += 8 {
			_, _ = h.Write([]byte{byte(x >> shift)})
		}
	}
	const want = uint64(0x6ea717f32006c970)
	if got := h.Sum64(); got != want {
		t.Errorf("hash %#x, want %#x", got, want)
	}
}

// TestRoundsAllocateNothing proves it by comparing few rounds with many.
func TestRoundsAllocateNothing(t *testing.T) {
	p := middling()
	var s Solver
	allocations := func(rounds int) float64 {
		return testing.AllocsPerRun(3, func() {
			if _, err := s.Solve(p, nil, Options{RoundsMax: rounds}); err != nil {
				t.Fatal(err)
			}
		})
	}
	if few, many := allocations(2), allocations(60); few != many {
		t.Errorf("2 rounds allocate %v times, 60 rounds %v", few, many)
	}
}

// TestValidate proves that a problem that cannot be solved is refused by name.
func TestValidate(t *testing.T) {
	for want, spoil := range map[string]func(p *Problem){
		"2 stock figures for 3 sites":  func(p *Problem) { p.Sites = 3 },
		"is negative":                  func(p *Problem) { p.Stock[1] = -1 },
		"2 limits of being short":      func(p *Problem) { p.ShortMax = make([]int64, 2) },
		"destination 1: 1 fixed":       func(p *Problem) { p.Destinations[1].Fixed = []int64{1} },
		"destination 0: a cost of -1":  func(p *Problem) { p.Destinations[0].ShortUnit = -1 },
		"type 0: 0 of item 0":          func(p *Problem) { p.Types[0][0].Quantity = 0 },
		"type 0: 1 of item 7":          func(p *Problem) { p.Types[0][0].Item = 7 },
		"type 0: 513 lines":            func(p *Problem) { p.Types[0] = make([]Line, 513) },
		"flow 1: 5 millionths of type": func(p *Problem) { p.Flows[1] = Flow{0, 9, 5} },
		"item 0 is nowhere":            func(p *Problem) { p.Stock, p.ShortMax = []int64{0, 0}, []int64{0} },
	} {
		p := twoSites(10, 10)
		spoil(p)
		if _, err := new(Solver).Solve(p, nil, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := new(Solver).Solve(twoSites(1, 1), make([]int64, 2), Options{}); err == nil {
		t.Error("prices of another problem were taken")
	}
}

// TestFollow proves the arithmetic of following a price, by cases.
func TestFollow(t *testing.T) {
	for name, c := range map[string]struct {
		left            int64
		price, had, has int64
		want            int64
	}{
		"as planned":            {50, 2_000_000, 100, 50, 2_000_000},
		"ten too fast":          {50, 2_000_000, 100, 40, 2_000_000 + 10*1_000_000/41},
		"ten too slowly":        {50, 2_000_000, 100, 60, 2_000_000 - 10*1_000_000/61},
		"many too slowly":       {1, 2_000_000, 1000, 100, 2_000_000 - 90*1_000_000/101},
		"falls to zero":         {1, 10, 1000, 100, 0},
		"plenty stays free":     {50, 0, 100, 1, 0},
		"nothing left":          {50, 2_000_000, 100, 0, 2_000_000},
		"more than ever priced": {1 << 31, 5, 1 << 31, 1, CostMax},
	} {
		expected := int64(100)
		if got := (Drift{Gain: Micro, Expected: expected, Left: c.left}).Follow(c.price, c.had, c.has); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
