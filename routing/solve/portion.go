package solve

// waysMax bounds in how many ways the divisible items of a set are given, when the cheapest by sums may not be the cheapest in truth.
const waysMax = 1000

// ways is in how many ways the leaf's sites can give the divisible items, or more than waysMax.
func (s *Solver) ways() (ways int64) {
	ways = 1
	for i := range s.m {
		if s.sole[i] {
			continue
		}
		left, sites := s.p.Items[i].Quantity, int64(0)
		each := int64(1) // left over sites and nobody: what is left of them chooses where each begins
		for _, j := range s.leaf.sites {
			if s.can(int(j), i) > 0 {
				sites++
				if left > waysMax || each > waysMax {
					return waysMax + 1
				}
				each = each * (left + sites) / sites
			}
		}
		if each > waysMax {
			return waysMax + 1
		}
		if ways *= each; ways > waysMax {
			return ways
		}
	}
	return ways
}

// portion gives a divisible item in every way that could matter, from a place of the leaf's sites on, then the items behind it.
func (s *Solver) portion(i, at int, left int64, paid amount) {
	l := &s.leaf
	s.steps++
	if at == len(l.sites) {
		paid.addTimes(&s.nobody[i], left)
		bound := paid
		bound.add(&l.rest[i+1])
		if !s.hopeless(&bound) {
			s.place(i+1, paid)
		}
		return
	}
	j, stock := int(l.sites[at]), -1
	units := min(left, s.can(j, i))
	if s.tangled && len(s.p.Items[i].Parts) > 0 {
		stock = at*s.p.SKUs + s.p.Items[i].Parts[0].SKU
		units = min(units, l.stock[stock])
	}
	for n := max(units, 0); n >= 0; n-- {
		next := paid
		next.addTimes(&s.cost[j*s.m+i], n)
		l.given[at*s.m+i] = n
		if stock >= 0 {
			l.stock[stock] -= n
		}
		s.portion(i, at+1, left-n, next)
		if stock >= 0 {
			l.stock[stock] += n
		}
	}
	l.given[at*s.m+i] = 0
}
