package solve

import (
	"math"
	"math/bits"
)

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
	if s.coarse || s.result.Compared < len(s.p.Levels) {
		p.Short, p.Levels = s.recount(from.gives, p.Levels[:0])
	}
}

// recount is the objective of what is given, from the problem's own words. What does not fit an int64 is as far as that reaches.
func (s *Solver) recount(gives []Give, into []int64) (short int64, levels []int64) {
	p := s.p
	for i := range p.Items {
		short += p.Items[i].Quantity
	}
	for range p.Levels {
		into = append(into, 0)
	}
	for from := 0; from < len(gives); {
		site, to := gives[from].Site, from
		for to < len(gives) && gives[to].Site == site {
			short -= gives[to].Units
			to++
		}
		part := gives[from:to]
		if p.Pricer != nil {
			for k, v := range s.ask(site, part) {
				into[k] = addUp(into[k], v)
			}
		} else {
			all := from == 0 && to == len(gives) && short == 0
			for k := range p.Levels {
				into[k] = addUp(into[k], s.sumOf(k, site, part))
				if all && p.Levels[k].Alone != nil {
					into[k] = addUp(into[k], p.Levels[k].Alone[site])
				}
			}
		}
		from = to
	}
	return short, into
}

// sumOf is what a site's part of a plan adds to a level by sums.
func (s *Solver) sumOf(k, site int, part []Give) (sum int64) {
	l := &s.p.Levels[k]
	if l.Fixed != nil {
		sum = l.Fixed[site]
	}
	for _, g := range part {
		if l.Cost == nil {
			break
		}
		units := g.Units
		if s.sole[g.Item] {
			units = 1
		}
		c := l.Cost[site*s.m+g.Item]
		if hi, lo := bits.Mul64(uint64(max(c, -c)), uint64(units)); c == math.MinInt64 || hi != 0 || lo > math.MaxInt64 {
			c = max(min(c, 1), -1) * math.MaxInt64
		} else {
			c *= units
		}
		sum = addUp(sum, c)
	}
	return sum
}

func addUp(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}

// unpack takes an amount apart: counted from the least that each level can be, nothing is negative. A bound may lie below all plans; then
// every level from there on is at its least.
func (s *Solver) unpack(a *amount, into []int64) (short int64, levels []int64) {
	rest := *a
	for k := range s.packing.levels {
		l := &s.packing.levels[k]
		rest[l.word] += l.low * l.weight
	}
	into = into[:0]
	below := false
	for k := range s.packing.levels {
		l := &s.packing.levels[k]
		var v int64
		if l.weight > 0 && !below {
			below = rest[l.word] < 0
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
