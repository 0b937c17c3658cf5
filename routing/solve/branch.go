package solve

import "slices"

// reach is a site that may still join a set.
type reach struct {
	site int32
	give bool   // it can give units of the item that is branched on
	gain amount // what it would save now, its fixed cost counted
}

// node is a set of chosen sites with what the search knows of it.
type node struct {
	depth int
	warm  int    // the depth whose prices are a good beginning
	total amount // of the set as it is
	paid  amount // of its fixed costs
	left  int    // sites that may still join and count
	from  int    // reach[from:to] may join
	to    int
}

// search looks at every set that could matter.
func (s *Solver) search() {
	root := node{left: max(s.p.SitesMax, 0)}
	f := &s.frames[0]
	for i := range f.row {
		root.total.add(&f.row[i])
	}
	s.reach, s.chosen, s.later = s.reach[:0], s.chosen[:0], s.later[:0]
	for j := range s.n {
		by, serves := s.saving(f, j)
		s.steps += int64(s.m)
		if by.sub(&s.fixed[j]); serves || s.useful(j, &by) {
			s.reach = append(s.reach, reach{site: int32(j), gain: by})
		}
	}
	root.to = len(s.reach)
	s.root = s.boundAll(&root)
	s.greedy(&root) // first, so that most other sets are known to be worse without a closer look
	s.singles(&root)
	s.improve(&root)
	s.branch(root)
}

// useful says that a site which saves nothing by sums may do so in truth.
func (s *Solver) useful(site int, gain *amount) bool {
	if s.tricky && s.mayPay(gain) {
		for i := range s.m {
			if s.can(site, i) > 0 {
				return true
			}
		}
	}
	return false
}

// mayPay says that a site with this gain by sums may be worth it in truth. Where only a pricer bends the sums, the levels before the first bent one
// are what they are: what costs more there is made good by nothing behind it.
func (s *Solver) mayPay(gain *amount) bool {
	if !s.tricky || gain.positive() {
		return gain.positive()
	}
	if s.tangled || s.eager || s.p.Judge != nil {
		return true
	}
	best := *gain
	best.add(&s.slack)
	return !best.less(&amount{})
}

// measureSlack finds what the levels from the first bent one on can add up to.
func (s *Solver) measureSlack() {
	s.slack = amount{}
	for k := range s.p.Levels {
		if s.p.Levels[k].Excess <= 0 {
			continue
		}
		at := &s.packing.levels[k+1]
		if at.weight == 0 {
			return // it found no room: nothing that is compared is bent
		}
		s.slack[at.word] = at.weight*(at.span+1) - 1
		for w := at.word + 1; w < words; w++ {
			s.slack[w] = wordMax
		}
		return
	}
}

// boundAll is a bound of every plan: each item as cheap as it can be, and one site to pay for.
func (s *Solver) boundAll(nd *node) amount {
	var sum, least amount
	for i := range s.least {
		sum.add(&s.least[i])
	}
	for k := nd.from; k < nd.to; k++ {
		j := s.reach[k].site
		c := s.fixed[j]
		if len(s.alone) > 0 && s.servesAll(j) {
			c.add(&s.alone[j])
		}
		if k == nd.from || c.less(&least) {
			least = c
		}
	}
	sum.add(&least)
	sum.add(&s.reward)
	return sum
}

// alertAfter is after how many passes over the whole problem the search no longer asks for a proof of the second best plan: the best one seen
// stands in for it.
const alertAfter = 80

// spent says whether the search has used up its steps.
func (s *Solver) spent() bool {
	s.alert = s.alert || s.best.found && s.steps > int64(alertAfter*s.n*s.m)
	if s.p.StepsMax > 0 {
		s.tired = s.tired || s.steps > s.p.StepsMax
	}
	return s.tired
}

// hopeless says that no plan of at least this value matters.
func (s *Solver) hopeless(bound *amount) bool {
	rival := &s.second
	if s.alert {
		rival = &s.best
	}
	return rival.found && rival.value.less(bound)
}

// even says that a plan of at least this value could only tie with the rival.
func (s *Solver) even(bound *amount) bool {
	rival := &s.second
	if s.alert {
		rival = &s.best
	}
	return rival.found && rival.value == *bound
}

// branch looks at all sets that contain the chosen sites and some of those in reach.
func (s *Solver) branch(nd node) {
	if nd.from == nd.to || s.spent() {
		return
	}
	most := s.most(&nd)
	bound := minus(&nd.total, &most)
	if s.hopeless(&bound) || s.even(&bound) && !s.mayComeFirst(nd.depth, nd.from, nd.to) {
		return
	}
	if s.duly(&nd) && s.press(&nd, nd.warm) {
		return
	}
	item, givers := s.pick(&nd)
	s.order(&nd)
	base := len(s.later)
	s.suffixes(&nd)
	for k := nd.from; k < nd.to; k++ {
		if item >= 0 && k == nd.from+givers {
			s.without(&nd, k, base, item)
			break
		}
		r := s.reach[k]
		free := s.isFree(r.site)
		if nd.left == 0 && !free {
			continue
		}
		total := minus(&nd.total, &r.gain)
		s.chosen = append(s.chosen[:nd.depth], r.site)
		if nd.depth > 0 {
			s.consider(&total)
		}
		if s.mayPay(&r.gain) {
			s.descend(&nd, k, base, total, free)
		} else if item < 0 {
			if nd.depth == 0 {
				continue
			}
			if s.hopeless(&total) { // the list is sorted: what follows saves even less
				break
			}
		}
		if s.tired {
			break
		}
	}
	s.chosen = s.chosen[:nd.depth]
	s.later = s.later[:base]
}

// pick chooses the item that is not covered and that the fewest sites in reach can give, and marks those; −1 = every item is covered, or
// nobody can cover what is left.
func (s *Solver) pick(nd *node) (item, givers int) {
	item = -1
	f := &s.frames[nd.depth]
	for i := range s.m {
		if s.open(f, i) == 0 {
			continue
		}
		n := 0
		for k := nd.from; k < nd.to; k++ {
			if s.can(int(s.reach[k].site), i) > 0 {
				n++
			}
		}
		if n > 0 && (item < 0 || n < givers) {
			item, givers = i, n
		}
	}
	for k := nd.from; k < nd.to; k++ {
		s.reach[k].give = item >= 0 && s.can(int(s.reach[k].site), item) > 0
	}
	s.steps += int64(nd.to-nd.from) * 2
	return item, givers
}

// order puts the sites that give the chosen item first, and of each kind those first that save most.
func (s *Solver) order(nd *node) {
	list := s.reach[nd.from:nd.to]
	slices.SortFunc(list, func(a, b reach) int {
		if a.give != b.give {
			if a.give {
				return -1
			}
			return 1
		}
		if c := b.gain.compare(&a.gain); c != 0 {
			return c
		}
		return int(a.site - b.site)
	})
}

// most is what the sites in reach can save together at most, if no more of them that count join than may.
func (s *Solver) most(nd *node) (sum amount) {
	best := s.gains[:0] // of those that count, descending
	for k := nd.from; k < nd.to; k++ {
		gain := &s.reach[k].gain
		if !gain.positive() {
			continue
		}
		if nd.left >= nd.to-nd.from || s.isFree(s.reach[k].site) {
			sum.add(gain)
			continue
		}
		at := len(best)
		if at < nd.left {
			best = append(best, amount{})
		} else if at--; at < 0 || !best[at].less(gain) {
			continue
		}
		for at > 0 && best[at-1].less(gain) {
			best[at] = best[at-1]
			at--
		}
		best[at] = *gain
	}
	for k := range best {
		sum.add(&best[k])
	}
	s.gains = best
	return sum
}

// suffixes finds, for every place of the list, what each item costs at least with the sites from there on, and the least fixed cost.
func (s *Solver) suffixes(nd *node) {
	width := s.m + 1
	base, count := len(s.later), nd.to-nd.from
	s.later = slices.Grow(s.later, (count+1)*width)[:base+(count+1)*width]
	end := s.later[base+count*width:]
	f := &s.frames[nd.depth]
	copy(end, f.row)
	for k := count - 1; k >= 0; k-- {
		j := int(s.reach[nd.from+k].site)
		next, here := s.later[base+(k+1)*width:][:width], s.later[base+k*width:][:width]
		costs := s.cost[j*s.m:][:s.m]
		for i := range costs {
			here[i] = next[i]
			if units := s.can(j, i); units > 0 {
				c := costs[i]
				if !s.sole[i] {
					c = s.atBest(f, i, units, &c)
				}
				if c.less(&here[i]) {
					here[i] = c
				}
			}
		}
		here[s.m] = s.fixed[j]
		if k < count-1 && next[s.m].less(&here[s.m]) {
			here[s.m] = next[s.m]
		}
	}
	s.steps += int64(count * s.m)
}

// atBest bounds what a divisible item costs when sites at this unit cost or dearer join without end: all its units at that cost, but not less
// than when every site of the problem gives.
func (s *Solver) atBest(f *frame, i int, _ int64, cost *amount) amount {
	var all amount
	for _, t := range f.fills[i].slots {
		c := &t.cost
		if cost.less(c) {
			c = cost
		}
		all.addTimes(c, t.units)
	}
	if all.less(&s.least[i]) {
		return s.least[i]
	}
	return all
}

// descend goes on with a site of the list joined, unless no set with it and a further one can matter.
func (s *Solver) descend(nd *node, k, base int, total amount, free bool) {
	left := nd.left
	if !free {
		left--
	}
	if k+1 == nd.to || left == 0 && len(s.p.Free) == 0 {
		return
	}
	site := s.reach[k].site
	paid := nd.paid
	paid.add(&s.fixed[site])
	bound := s.boundWith(nd, k, base, &paid)
	if s.hopeless(&bound) || s.even(&bound) && !s.mayComeFirst(nd.depth+1, k+1, nd.to) {
		return
	}
	s.join(nd.depth+1, site)
	f := &s.frames[nd.depth+1]
	from := len(s.reach)
	for after := k + 1; after < nd.to; after++ {
		j := s.reach[after].site
		if left == 0 && !s.isFree(j) {
			continue
		}
		by, serves := s.saving(f, int(j))
		if by.sub(&s.fixed[j]); serves || s.useful(int(j), &by) {
			s.reach = append(s.reach, reach{site: j, gain: by})
		}
	}
	s.steps += int64((nd.to - k) * s.m)
	s.branch(node{depth: nd.depth + 1, warm: nd.depth, total: total, paid: paid, left: left, from: from, to: len(s.reach)})
	s.reach = s.reach[:from]
}

// boundWith bounds the sets with site k of the list and at least one of those behind it.
func (s *Solver) boundWith(nd *node, k, base int, paid *amount) amount {
	width := s.m + 1
	here, next := s.later[base+(k-nd.from)*width:][:width], s.later[base+(k-nd.from+1)*width:][:width]
	bound := *paid
	for i := range s.m {
		bound.add(&here[i]) // here is next with site k: the least of both
	}
	bound.add(&next[s.m])
	bound.add(&s.reward)
	s.steps += int64(s.m)
	return bound
}

// without goes on with none of the sites that give the item branched on.
func (s *Solver) without(nd *node, k, base, item int) {
	if k == nd.to {
		return
	}
	width := s.m + 1
	next := s.later[base+(k-nd.from)*width:][:width]
	bound := nd.paid
	for i := range s.m {
		bound.add(&next[i])
	}
	bound.add(&next[s.m])
	bound.add(&s.reward)
	s.chosen = s.chosen[:nd.depth]
	if s.hopeless(&bound) || s.even(&bound) && !s.mayComeFirst(nd.depth, k, nd.to) {
		return
	}
	rest := *nd
	rest.from, rest.warm = k, nd.depth
	s.branch(rest)
}

// mayComeFirst says whether a set of the chosen sites and at least one of reach[from:to] can come before the rival's though it is worth the same:
// with fewer sites, or with as many and lower numbers.
func (s *Solver) mayComeFirst(depth, from, to int) bool {
	rival := &s.second
	if s.alert {
		rival = &s.best
	}
	if depth+1 != len(rival.sites) {
		return depth+1 < len(rival.sites)
	}
	least := s.reach[from].site
	for _, r := range s.reach[from+1 : to] {
		least = min(least, r.site)
	}
	s.numbers = append(append(s.numbers[:0], s.chosen[:depth]...), least)
	slices.Sort(s.numbers)
	return slices.Compare(s.numbers, rival.sites) < 0
}
