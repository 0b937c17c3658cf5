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

	rivals  bool // tangled, and several divisible items are among those that compete
	tangled bool // items compete for a SKU of some site
	tricky  bool // sums are only bounds: tangled, or there is a pricer

	frames []frame // by depth
	reach  []reach
	later  []amount
	chosen []int32
	steps  int64
	tired  bool // the search has used up its steps
	alert  bool // only the best plan is still looked for

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
	s.measure()
	s.result.Compared = s.packing.lay() - 1
	s.load()
	s.tangled = s.tangle()
	s.tricky = s.tangled || p.Pricer != nil
	s.empty()
	s.floor()
}

// measure finds how far two plans can lie apart in each level.
func (s *Solver) measure() {
	p := s.p
	s.packing.levels = resize(s.packing.levels, len(p.Levels)+1)
	var short sum
	for i := range p.Items {
		short.add(uint64(p.Items[i].Quantity), 1)
	}
	s.packing.levels[0].widen(short, sum{})
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
				for at := i; at < len(l.Cost); at += s.m {
					if c := l.Cost[at]; c < 0 {
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
		at.widen(above, below)
		at.top = math.MaxInt64
		if above.hi == 0 && above.lo < math.MaxInt64 {
			at.top = int64(above.lo)
		}
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

// can is how many units a site can give of an item.
func (s *Solver) can(site, item int) int64 {
	units, it := s.p.Cap[site*s.m+item], &s.p.Items[item]
	if it.Whole && units < it.Quantity {
		return 0
	}
	return min(units, it.Quantity)
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

// answer puts the best plans into the problem's words.
func (s *Solver) answer() *Result {
	r := &s.result
	s.tell(&r.Best, &s.best)
	s.tell(&r.Second, &s.second)
	r.Steps = s.steps
	bound := s.root
	r.Exact = !s.tired && !s.coarse
	if s.best.found {
		if !s.tired {
			bound = s.best.value
			if s.doubted && s.doubt.less(&bound) {
				bound, r.Exact = s.doubt, false
			}
		} else if !bound.less(&s.best.value) {
			bound, r.Exact = s.best.value, !s.coarse
		}
	}
	r.BoundShort, r.Bound = s.unpack(&bound, r.Bound)
	return r
}

func (s *Solver) tell(p *Plan, from *solution) {
	*p = Plan{Found: from.found, Sites: p.Sites[:0], Gives: p.Gives[:0], Levels: p.Levels[:0]}
	if !from.found {
		return
	}
	for _, j := range from.sites {
		p.Sites = append(p.Sites, int(j))
	}
	p.Gives = append(p.Gives, from.gives...)
	p.Short, p.Levels = s.unpack(&from.value, p.Levels)
}

// unpack takes an amount apart: counted from the least that each level can be, nothing is negative.
func (s *Solver) unpack(a *amount, into []int64) (short int64, levels []int64) {
	rest := *a
	for k := range s.packing.levels {
		l := &s.packing.levels[k]
		rest[l.word] += l.low * l.weight
	}
	into = into[:0]
	for k := range s.packing.levels {
		l := &s.packing.levels[k]
		var v int64
		if l.weight > 0 {
			v = min(max(rest[l.word]/l.weight, 0), l.span)
			rest[l.word] -= v * l.weight
		}
		v = (v - l.low) << l.shift
		if k == 0 {
			short = v
		} else {
			into = append(into, v)
		}
	}
	return short, into
}
