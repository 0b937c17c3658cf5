package solve

import "math"

// Solver solves problems one after the other in the same memory. The zero Solver is ready. It is not safe for concurrent use.
type Solver struct {
	p       *Problem
	n, m    int // sites, items
	packing packing
	coarse  bool // a level was too wide to be kept to the unit

	fixed  []amount // by site
	alone  []amount // by site, empty when no level has it
	cost   []amount // by site and item: of a unit of a divisible item, of a whole item at once
	nobody []amount // by item: what it costs to give none of it; of a divisible one, each unit
	least  []amount // by item: the least it costs however many sites give
	sole   []bool   // by item: whether it is whole
	caps   []int64  // by site and item: see can
	reward amount   // all fixed costs below zero

	rivals  bool   // tangled, and several divisible items are among those that compete
	tangled bool   // items compete for a SKU of some site
	eager   bool   // the fixed cost of some site is below zero: it may be worth to give it something for that alone
	slack   amount // what a pricer's levels, and those behind them, can add up to
	tricky  bool   // sums are only bounds: tangled, eager, or there is a pricer or a judge

	frames []frame // by depth
	reach  []reach
	later  []amount
	gains  []amount
	chosen []int32
	steps  int64
	tired  bool // the search has used up its steps
	alert  bool // only the best plan is still looked for
	hasty  bool // every node is put under prices: tests want them for small problems

	best, second solution
	candidate    solution
	doubt        amount // the least bound of a set whose best assignment is not known
	doubted      bool
	root         amount // a bound of all sets
	leaf         leaf
	dual         dual
	numbers      []int32
	result       Result
}

// solution is an assignment with its value.
type solution struct {
	found bool
	value amount
	sites []int32 // ascending
	gives []Give
}

// frame is what a node of the search knows of its chosen sites.
type frame struct {
	row   []amount // by item: what it costs now
	fills []fill   // by item: for divisible ones, from whom its units come
}

// fill lists where the units of a divisible item come from, the cheapest first; nobody's units are the last.
type fill struct{ slots []slot }

type slot struct {
	site  int32 // −1 = nobody
	units int64
	cost  amount
}

// Solve answers a problem. The result holds until the next call.
func (s *Solver) Solve(p *Problem) *Result {
	s.begin(p)
	if s.n > 0 && s.m > 0 && p.SitesMax > 0 || s.anyFree() {
		s.search()
	}
	return s.answer()
}

func (s *Solver) anyFree() bool {
	for _, free := range s.p.Free {
		if free {
			return s.m > 0
		}
	}
	return false
}

func (s *Solver) begin(p *Problem) {
	s.p, s.n, s.m = p, p.Sites, len(p.Items)
	s.steps, s.tired, s.alert, s.coarse = 0, false, false, false
	s.best.found, s.second.found, s.doubted, s.dual.ready = false, false, false, false
	s.packing.limit = min(wordMax, 1<<60/int64(s.n+s.m+2))
	s.readCaps()
	s.measure()
	s.result.Compared = s.packing.lay() - 1
	s.load()
	s.tangled = s.tangle()
	s.measureSlack()
	s.tricky = s.tangled || s.eager || p.Pricer != nil || p.Judge != nil
	s.empty()
	s.floor()
	s.root = amount{} // nobody gives anything
	for i := range s.m {
		s.root.add(&s.frames[0].row[i])
	}
}

// measure finds how far two plans can lie apart in each level.
func (s *Solver) measure() {
	p := s.p
	s.packing.levels = resize(s.packing.levels, len(p.Levels)+1)
	var short sum
	for i := range p.Items {
		short.add(uint64(p.Items[i].Quantity), 1)
	}
	s.packing.levels[0].widen(short, sum{}, s.packing.limit>>1)
	s.coarse = s.packing.levels[0].shift > 0
	givers := uint64(min(s.n, max(p.SitesMax, 0)+len(p.Free)))
	for k := range p.Levels {
		l := &p.Levels[k]
		var above, below sum
		low, high := bounds(l.Fixed)
		above.add(high, givers)
		below.add(low, givers)
		above.add(uint64(max(l.Excess, 0)), givers)
		low, high = bounds(l.Alone)
		above.add(high, 1)
		below.add(low, 1)
		if l.Cost != nil {
			for i := range p.Items {
				var low, high uint64
				for j := range s.n {
					if s.can(j, i) <= 0 {
						continue
					}
					if c := l.Cost[j*s.m+i]; c < 0 {
						low = max(low, uint64(-c))
					} else {
						high = max(high, uint64(c))
					}
				}
				units := uint64(1)
				if !p.Items[i].Whole {
					units = uint64(p.Items[i].Quantity)
				}
				above.add(high, units)
				below.add(low, units)
			}
		}
		at := &s.packing.levels[k+1]
		at.widen(above, below, s.packing.limit>>1)
		s.coarse = s.coarse || at.shift > 0
	}
}

// bounds are how far values reach below and above zero.
func bounds(values []int64) (low, high uint64) {
	for _, v := range values {
		if v < 0 {
			low = max(low, uint64(-v))
		} else {
			high = max(high, uint64(v))
		}
	}
	return low, high
}

// load packs the levels.
func (s *Solver) load() {
	p, n, m := s.p, s.n, s.m
	s.fixed, s.cost = resize(s.fixed, n), resize(s.cost, n*m)
	s.nobody, s.least, s.sole = resize(s.nobody, m), resize(s.least, m), resize(s.sole, m)
	s.alone = s.alone[:0]
	clear(s.fixed)
	clear(s.cost)
	clear(s.nobody)
	for k := range p.Levels {
		l, at := &p.Levels[k], &s.packing.levels[k+1]
		if at.weight == 0 {
			break
		}
		for j, v := range l.Fixed {
			at.put(&s.fixed[j], v)
		}
		for c, v := range l.Cost {
			at.put(&s.cost[c], v)
		}
		if l.Alone != nil && len(s.alone) == 0 {
			s.alone = resize(s.alone, n)
			clear(s.alone)
		}
		for j, v := range l.Alone {
			at.put(&s.alone[j], v)
		}
	}
	s.eager, s.reward = false, amount{}
	for j := range s.fixed {
		if c := &s.fixed[j]; c.less(&amount{}) {
			s.reward.add(c)
			s.eager = true
		}
	}
	for i := range p.Items {
		it := &p.Items[i]
		s.sole[i] = it.Whole
		units := int64(1)
		if it.Whole {
			units = it.Quantity
		}
		s.packing.levels[0].put(&s.nobody[i], units)
	}
}

// tangle says whether several items want more of a SKU together than some site has of it.
func (s *Solver) tangle() (tangled bool) {
	p := s.p
	s.rivals = false
	if len(p.Stock) == 0 {
		return false
	}
	for sku := range p.SKUs {
		var items, divisible int
		var units int64
		for i := range p.Items {
			for _, part := range p.Items[i].Parts {
				if part.SKU == sku {
					items++
					units = min(units+part.Units, math.MaxInt64/2)
					if !p.Items[i].Whole {
						divisible++
					}
				}
			}
		}
		for j := 0; j < s.n && items > 1; j++ {
			if p.Stock[j*p.SKUs+sku] < units {
				tangled = true
				s.rivals = s.rivals || divisible > 1
			}
		}
	}
	return tangled
}

// can is how many units a site can give of an item: all of a whole one, or none.
func (s *Solver) can(site, item int) int64 { return s.caps[site*s.m+item] }

// readCaps finds them.
func (s *Solver) readCaps() {
	s.caps = resize(s.caps, s.n*s.m)
	for at := range s.caps {
		it := &s.p.Items[at%s.m]
		units := min(max(s.p.Cap[at], 0), it.Quantity)
		if it.Whole && units < it.Quantity {
			units = 0
		}
		s.caps[at] = units
	}
}

// floor finds what each item costs at least when all sites give.
func (s *Solver) floor() {
	f := &s.frames[0]
	for i := range s.m {
		if s.sole[i] {
			s.least[i] = s.nobody[i]
			for j := range s.n {
				if c := &s.cost[j*s.m+i]; s.can(j, i) > 0 && c.less(&s.least[i]) {
					s.least[i] = *c
				}
			}
			continue
		}
		all := &s.leaf.fill
		all.slots = append(all.slots[:0], f.fills[i].slots...)
		for j := range s.n {
			if units := s.can(j, i); units > 0 {
				all.insert(int32(j), units, &s.cost[j*s.m+i])
			}
		}
		s.least[i] = all.total()
	}
}
