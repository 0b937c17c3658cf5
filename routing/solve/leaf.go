package solve

import "slices"

// leaf is the memory for looking closely at one set of sites.
type leaf struct {
	sites  []int32 // ascending
	fill   fill
	given  []int64 // by place in sites and item
	stock  []int64 // by place in sites and SKU: what is left
	levels []int64
	rest   []amount // by item: the least that it and those behind it cost
	bound  amount   // of the set
	clear  bool     // no way to give was left out

	portions bool    // divisible items are given in every way too
	tried    int     // ways
	order    []int32 // by item: the leaf's places, the cheapest first, and nobody last
}

// consider looks at the chosen set, whose value is total by sums, and keeps it when it is among the best two.
func (s *Solver) consider(total *amount) {
	value := *total
	alone := len(s.chosen) == 1 && len(s.alone) > 0 && s.servesAll(s.chosen[0])
	if alone {
		value.add(&s.alone[s.chosen[0]])
	}
	if s.hopeless(&value) {
		return
	}
	l := &s.leaf
	l.sites = append(l.sites[:0], s.chosen...)
	slices.Sort(l.sites)
	if s.tricky {
		s.lookClosely(&value)
		return
	}
	c := &s.candidate
	if !s.assign(c) {
		return // some site would give nothing: the set without it is looked at as well
	}
	c.value = value
	s.keep(c)
}

func (s *Solver) servesAll(site int32) bool {
	for i := range s.m {
		if s.can(int(site), i) < s.p.Items[i].Quantity {
			return false
		}
	}
	return true
}

// assign gives every item to the sites of the leaf by sums. It is false when some site would give nothing.
func (s *Solver) assign(c *solution) bool {
	l := &s.leaf
	c.gives = c.gives[:0]
	for i := range s.m {
		it := &s.p.Items[i]
		if it.Whole {
			best, cost := int32(-1), &s.nobody[i]
			for _, j := range l.sites {
				if at := &s.cost[int(j)*s.m+i]; s.can(int(j), i) > 0 && at.less(cost) {
					best, cost = j, at
				}
			}
			if best >= 0 {
				c.gives = append(c.gives, Give{int(best), i, it.Quantity})
			}
			continue
		}
		l.fill.slots = append(l.fill.slots[:0], slot{-1, it.Quantity, s.nobody[i]})
		for _, j := range l.sites {
			if units := s.can(int(j), i); units > 0 {
				l.fill.insert(j, units, &s.cost[int(j)*s.m+i])
			}
		}
		for _, t := range l.fill.slots {
			if t.site >= 0 {
				c.gives = append(c.gives, Give{int(t.site), i, t.units})
			}
		}
	}
	return s.proper(c)
}

// proper sorts what is given by site, and says whether every site of the leaf gives something.
func (s *Solver) proper(c *solution) bool {
	slices.SortFunc(c.gives, func(a, b Give) int {
		if a.Site != b.Site {
			return a.Site - b.Site
		}
		return a.Item - b.Item
	})
	c.sites = c.sites[:0]
	for _, g := range c.gives {
		if n := len(c.sites); n == 0 || c.sites[n-1] != int32(g.Site) {
			c.sites = append(c.sites, int32(g.Site))
		}
	}
	return len(c.sites) == len(s.leaf.sites)
}

// keep takes a solution up when it is among the best two.
func (s *Solver) keep(c *solution) {
	switch {
	case !s.best.found || c.before(&s.best):
		if s.best.found && slices.Equal(s.best.sites, c.sites) {
			s.best.take(c)
			return
		}
		s.best, s.second = s.second, s.best
		s.best.take(c)
	case slices.Equal(s.best.sites, c.sites):
	case !s.second.found || c.before(&s.second):
		s.second.take(c)
	}
}

// before compares solutions: value, then fewer sites, then their numbers.
func (s *solution) before(o *solution) bool {
	if c := s.value.compare(&o.value); c != 0 {
		return c < 0
	}
	if len(s.sites) != len(o.sites) {
		return len(s.sites) < len(o.sites)
	}
	return slices.Compare(s.sites, o.sites) < 0
}

func (s *solution) take(c *solution) {
	s.found, s.value = true, c.value
	s.sites = append(s.sites[:0], c.sites...)
	s.gives = append(s.gives[:0], c.gives...)
}

// lookClosely tries the ways to give the items within the leaf's sites, where sums are only bounds.
func (s *Solver) lookClosely(bound *amount) {
	l, p := &s.leaf, s.p
	l.bound, l.clear = *bound, true
	l.given = resize(l.given, len(l.sites)*s.m)
	clear(l.given)
	l.stock = l.stock[:0]
	if s.tangled {
		for _, j := range l.sites {
			l.stock = append(l.stock, p.Stock[int(j)*p.SKUs:][:p.SKUs]...)
		}
	}
	l.rest = resize(l.rest, s.m+1)
	l.rest[s.m] = amount{}
	var fixed amount
	for _, j := range l.sites {
		fixed.add(&s.fixed[j])
	}
	if len(l.sites) == 1 && len(s.alone) > 0 && s.servesAll(l.sites[0]) {
		fixed.add(&s.alone[l.sites[0]])
	}
	for i := s.m - 1; i >= 0; i-- {
		l.rest[i] = s.cheapest(i)
		l.rest[i].add(&l.rest[i+1])
	}
	s.rankPlaces()
	l.portions, l.tried = false, 0
	s.place(0, fixed)
	if !l.clear && !s.tired && !s.hopeless(bound) && s.ways() <= waysMax {
		l.portions, l.clear = true, true
		s.place(0, fixed)
	}
	if !l.clear && (!s.doubted || bound.less(&s.doubt)) {
		s.doubt, s.doubted = *bound, true
	}
}

// cheapest is what an item costs at least within the leaf's sites.
func (s *Solver) cheapest(i int) amount {
	l, it := &s.leaf, &s.p.Items[i]
	if it.Whole {
		best := s.nobody[i]
		for _, j := range l.sites {
			if c := &s.cost[int(j)*s.m+i]; s.can(int(j), i) > 0 && c.less(&best) {
				best = *c
			}
		}
		return best
	}
	l.fill.slots = append(l.fill.slots[:0], slot{-1, it.Quantity, s.nobody[i]})
	for _, j := range l.sites {
		if units := s.can(int(j), i); units > 0 {
			l.fill.insert(j, units, &s.cost[int(j)*s.m+i])
		}
	}
	return l.fill.total()
}

// place gives whole items from number i on in every way that could matter, then the divisible ones.
func (s *Solver) place(i int, paid amount) {
	l, p := &s.leaf, s.p
	for i < s.m && !s.sole[i] && !s.leaf.portions {
		i++ // its bound is in rest of the whole ones before it, and in what pour pays
	}
	s.steps++
	if i == s.m {
		s.pour()
		return
	}
	if s.spent() || p.WaysMax > 0 && l.tried >= p.WaysMax {
		l.clear = false
		return
	}
	if !s.sole[i] {
		s.portion(i, 0, s.p.Items[i].Quantity, paid)
		return
	}
	for _, place := range l.order[i*(len(l.sites)+1):][:len(l.sites)+1] {
		at, next := int(place), paid
		if at == len(l.sites) { // nobody
			next.add(&s.nobody[i])
		} else {
			if !s.fits(at, i) {
				continue
			}
			next.add(&s.cost[int(l.sites[at])*s.m+i])
		}
		bound := next
		bound.add(&l.rest[i+1])
		bound = s.addSkipped(i, bound)
		if s.hopeless(&bound) {
			continue
		}
		s.move(at, i, 1)
		s.place(i+1, next)
		s.move(at, i, -1)
	}
}

// addSkipped adds the bounds of divisible items before i, which place has stepped over.
func (s *Solver) addSkipped(i int, bound amount) amount {
	for k := range i {
		if !s.sole[k] && !s.leaf.portions {
			d := minus(&s.leaf.rest[k], &s.leaf.rest[k+1])
			bound.add(&d)
		}
	}
	return bound
}

// fits says whether the site at a place of the leaf still has all parts of a whole item.
func (s *Solver) fits(at, i int) bool {
	l := &s.leaf
	if s.can(int(l.sites[at]), i) == 0 {
		return false
	}
	if s.tangled {
		for _, part := range s.p.Items[i].Parts {
			if l.stock[at*s.p.SKUs+part.SKU] < part.Units {
				return false
			}
		}
	}
	return true
}

// move gives a whole item, or takes it back.
func (s *Solver) move(at, i int, sign int64) {
	l := &s.leaf
	if at == len(l.sites) {
		return
	}
	l.given[at*s.m+i] += sign * s.p.Items[i].Quantity
	if s.tangled {
		for _, part := range s.p.Items[i].Parts {
			l.stock[at*s.p.SKUs+part.SKU] -= sign * part.Units
		}
	}
}

// rankPlaces puts the places of the leaf in the order in which whole items are given: the cheapest by sums first, so that the first way is the best
// one by sums.
func (s *Solver) rankPlaces() {
	l := &s.leaf
	width := len(l.sites) + 1
	l.order = resize(l.order, s.m*width)
	for i := range s.m {
		row := l.order[i*width:][:width]
		for at := range width {
			row[at] = int32(at)
		}
		slices.SortFunc(row[:width-1], func(a, b int32) int {
			if c := s.cost[int(l.sites[a])*s.m+i].compare(&s.cost[int(l.sites[b])*s.m+i]); c != 0 {
				return c
			}
			return int(a - b)
		})
	}
}

// pour fills the divisible items from what is left, the cheapest units first, and prices the whole assignment.
func (s *Solver) pour() {
	l, p, c := &s.leaf, s.p, &s.candidate
	c.gives = c.gives[:0]
	l.tried++
	s.steps += int64(s.m * len(l.sites))
	for i := range s.m {
		it := &p.Items[i]
		if it.Whole || l.portions {
			for at, j := range l.sites {
				if units := l.given[at*s.m+i]; units > 0 {
					c.gives = append(c.gives, Give{int(j), i, units})
				}
			}
			continue
		}
		l.fill.slots = append(l.fill.slots[:0], slot{-1, it.Quantity, s.nobody[i]})
		for at, j := range l.sites {
			units := s.can(int(j), i)
			if s.tangled && len(it.Parts) > 0 {
				units = min(units, l.stock[at*p.SKUs+it.Parts[0].SKU])
			}
			if units > 0 {
				l.fill.insert(j, units, &s.cost[int(j)*s.m+i])
			}
		}
		for _, t := range l.fill.slots {
			if t.site >= 0 {
				c.gives = append(c.gives, Give{int(t.site), i, t.units})
				s.draw(i, t.site, t.units)
			}
		}
		if (p.Pricer != nil || s.eager) && len(l.sites) > 1 || p.Judge != nil {
			l.clear = false // another way to divide it might be cheaper in truth
		}
	}
	for _, g := range c.gives {
		if !s.sole[g.Item] && !l.portions {
			s.draw(g.Item, int32(g.Site), -g.Units)
		}
	}
	if s.rivals && !l.portions {
		l.clear = false // who draws first may not be who should
	}
	if !s.proper(c) || !s.allowed(c.gives) {
		return
	}
	c.value = s.value(c.gives)
	if !s.hopeless(&c.value) {
		s.keep(c)
	}
}

// allowed asks the judge about every part.
func (s *Solver) allowed(gives []Give) bool {
	if s.p.Judge == nil {
		return true
	}
	l := &s.leaf
	for from := 0; from < len(gives); {
		site, to := gives[from].Site, from
		l.levels = resize(l.levels, s.m)
		clear(l.levels)
		for ; to < len(gives) && gives[to].Site == site; to++ {
			l.levels[gives[to].Item] = gives[to].Units
		}
		if !s.p.Judge.Allows(site, l.levels) {
			return false
		}
		from = to
	}
	return true
}

// draw takes units of a divisible item from the stock that is left at a site.
func (s *Solver) draw(i int, site int32, units int64) {
	l := &s.leaf
	if !s.tangled || len(s.p.Items[i].Parts) == 0 {
		return
	}
	at := slices.Index(l.sites, site)
	l.stock[at*s.p.SKUs+s.p.Items[i].Parts[0].SKU] -= units
}

// value is the true value of an assignment.
func (s *Solver) value(gives []Give) (sum amount) {
	p := s.p
	var left int64
	for i := range p.Items {
		left += p.Items[i].Quantity
	}
	for from := 0; from < len(gives); {
		site, to := gives[from].Site, from
		for to < len(gives) && gives[to].Site == site {
			left -= gives[to].Units
			to++
		}
		part := s.price(site, gives[from:to])
		sum.add(&part)
		if p.Pricer == nil && from == 0 && to == len(gives) && left == 0 && len(s.alone) > 0 {
			sum.add(&s.alone[site])
		}
		from = to
	}
	s.packing.levels[0].put(&sum, left)
	return sum
}

// price is the true value of what one site gives.
func (s *Solver) price(site int, gives []Give) (sum amount) {
	if s.p.Pricer == nil {
		sum = s.fixed[site]
		for _, g := range gives {
			units := g.Units
			if s.sole[g.Item] {
				units = 1
			}
			sum.addTimes(&s.cost[site*s.m+g.Item], units)
		}
		return sum
	}
	for k, v := range s.ask(site, gives) {
		if at := &s.packing.levels[k+1]; at.weight > 0 {
			at.put(&sum, v)
		}
	}
	s.steps += int64(s.m)
	return sum
}

// ask asks the pricer for the levels of a part. What it says beyond the sums and Excess counts as those.
func (s *Solver) ask(site int, gives []Give) []int64 {
	p, l := s.p, &s.leaf
	l.levels = resize(l.levels, s.m+len(p.Levels))
	clear(l.levels)
	units, levels := l.levels[:s.m:s.m], l.levels[s.m:]
	for _, g := range gives {
		units[g.Item] = g.Units
	}
	p.Pricer.Price(site, units, levels)
	for k := range levels {
		levels[k] = min(levels[k], addUp(s.sumOf(k, site, gives), max(p.Levels[k].Excess, 0)))
	}
	return levels
}
