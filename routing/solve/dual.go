package solve

import "slices"

// dual is the memory of the prices: see the package's essay.
type dual struct {
	ready  bool
	order  []int32  // by item: the sites that can give it, the cheapest first
	from   []int32  // by item and one behind: where its sites begin in order
	prices []prices // by depth
	near   []bool   // by site: it may join the node at work
	slack  []amount // by site near: its fixed cost less what it collects at the node's prices
	least  []amount // the slacks below zero that count, ascending
	spare  []amount // prices and slacks kept while others are tried
	bound  amount   // of the node at work
	sum    amount   // the bound, were no slack below zero
	last   amount   // the slack that a further site which counts would take the place of
}

// prices are what every item is paid, of a divisible one each unit, at the node of a depth.
type prices struct {
	ready bool
	of    []amount
	toll  amount // what a site that counts is thought to cost more, because only so many may join
}

// pressMin is how many sites in reach are worth prices.
const pressMin = 6

// tollsMax bounds how often the toll of a node is doubled.
const tollsMax = 12

// duly says whether a node is worth prices.
func (s *Solver) duly(nd *node) bool {
	if !s.hasty && (nd.to-nd.from < pressMin || nd.left <= 1 && len(s.p.Free) == 0) {
		return false
	}
	if !s.dual.ready {
		s.dual.ready = true
		s.sortCosts()
	}
	return true
}

func (s *Solver) sortCosts() {
	d := &s.dual
	d.order, d.from = d.order[:0], d.from[:0]
	for i := range s.m {
		from := len(d.order)
		d.from = append(d.from, int32(from))
		for j := range s.n {
			if s.can(j, i) > 0 {
				d.order = append(d.order, int32(j))
			}
		}
		slices.SortFunc(d.order[from:], func(a, b int32) int {
			return s.cost[int(a)*s.m+i].compare(&s.cost[int(b)*s.m+i])
		})
	}
	d.from = append(d.from, int32(len(d.order)))
	d.slack, d.near = resize(d.slack, s.n), resize(d.near, s.n)
	clear(d.near)
	for k := range d.prices {
		d.prices[k].ready = false
	}
	s.steps += int64(s.n * s.m * 4)
}

// press finds prices for a node and throws out of its reach every site no set with which can matter. It is true when no set of the node can, the
// chosen one aside. The prices of warm, a depth, are where it begins.
func (s *Solver) press(nd *node, warm int) bool {
	d := &s.dual
	for _, r := range s.reach[nd.from:nd.to] {
		d.near[r.site] = true
	}
	calm := s.begins(nd, warm)
	if calm {
		s.climb(nd)
		s.settle(nd)
		s.raiseToll(nd)
	}
	for _, r := range s.reach[nd.from:nd.to] {
		d.near[r.site] = false
	}
	if !calm {
		return false
	}
	if s.futile(&d.bound, nd) {
		return true
	}
	to := nd.from
	for k := nd.from; k < nd.to; k++ {
		bound := s.boundBy(s.reach[k].site)
		if !s.futile(&bound, nd) {
			s.reach[to] = s.reach[k]
			to++
		}
	}
	nd.to = to
	if nd.depth == 0 && nd.from == 0 {
		s.forget(nd)
	}
	return to == nd.from
}

// forget takes the sites out of the order of costs that no set need have.
func (s *Solver) forget(root *node) {
	d := &s.dual
	for _, r := range s.reach[:root.to] {
		d.near[r.site] = true
	}
	to := int32(0)
	for i := range s.m {
		list := d.order[d.from[i]:d.from[i+1]]
		d.from[i] = to
		for _, j := range list {
			if d.near[j] {
				d.order[to] = j
				to++
			}
		}
	}
	d.from[s.m] = to
	clear(d.near)
}

// futile says that no set of the node with a further site matters if it is worth at least this.
func (s *Solver) futile(bound *amount, nd *node) bool {
	return s.hopeless(bound) || s.even(bound) && !s.mayComeFirst(nd.depth, nd.from, nd.to)
}

// begins sets the prices a climb begins with, and the slacks they leave. It is false when one of those is out of all proportion.
func (s *Solver) begins(nd *node, warm int) bool {
	d := &s.dual
	for len(d.prices) <= nd.depth {
		d.prices = append(d.prices, prices{})
	}
	from := d.prices[warm]
	to := &d.prices[nd.depth]
	to.of = resize(to.of, s.m)
	f := &s.frames[nd.depth]
	for i := range to.of {
		top := s.ceiling(f, i)
		p := top
		if from.ready {
			p = from.of[i]
		} else {
			for _, j := range d.order[d.from[i]:d.from[i+1]] {
				if d.near[j] {
					p = s.cost[int(j)*s.m+i]
					break
				}
			}
		}
		if top.less(&p) {
			p = top
		}
		to.of[i] = p
	}
	calm := true
	to.toll = amount{}
	if from.ready {
		to.toll = from.toll
	}
	for _, r := range s.reach[nd.from:nd.to] {
		j := int(r.site)
		slack := s.fixed[j]
		if slack.less(&amount{}) { // settle reckons with it
			slack = amount{}
		}
		costs := s.cost[j*s.m:][:s.m]
		for i := range costs {
			if units := s.can(j, i); units > 0 && costs[i].less(&to.of[i]) {
				d := minus(&costs[i], &to.of[i])
				if s.sole[i] {
					units = 1
				}
				slack.addTimes(&d, units)
			}
		}
		d.slack[j] = slack
		calm = calm && slack.within(4*s.packing.limit)
	}
	to.ready = calm
	s.steps += int64((nd.to - nd.from) * s.m)
	return calm
}

// raiseToll lets sites that count collect more, as long as that raises the bound: of those that collect more than their fixed cost only as many as
// may join are to be reckoned with.
func (s *Solver) raiseToll(nd *node) {
	d := &s.dual
	to := &d.prices[nd.depth]
	for range tollsMax {
		if nd.left >= nd.to-nd.from || s.futile(&d.bound, nd) {
			return
		}
		bound, toll := d.bound, to.toll
		d.spare = append(append(d.spare[:0], to.of...), d.slack...)
		if toll == (amount{}) {
			to.toll = s.cheapestSite(nd)
		} else {
			to.toll.add(&toll)
		}
		if !to.toll.positive() || nd.total.less(&to.toll) {
			to.toll = toll
			return
		}
		s.climb(nd)
		s.settle(nd)
		if !bound.less(&d.bound) {
			to.toll = toll
			copy(to.of, d.spare)
			copy(d.slack, d.spare[s.m:])
			s.settle(nd)
			return
		}
	}
}

// cheapestSite is the first word of the least fixed cost in reach.
func (s *Solver) cheapestSite(nd *node) amount {
	least := s.fixed[s.reach[nd.from].site]
	for _, r := range s.reach[nd.from:nd.to] {
		if c := &s.fixed[r.site]; c.less(&least) {
			least = *c
		}
	}
	return amount{least[0]}
}

// ceiling is what an item need not be paid more than: the dearest of what it costs with the chosen sites.
func (s *Solver) ceiling(f *frame, i int) amount {
	if s.sole[i] {
		return f.row[i]
	}
	slots := f.fills[i].slots
	return slots[len(slots)-1].cost
}

// climb raises the prices, item by item and step by step, as long as that raises the bound. A step goes to the next cost of the item, so that
// no item takes all the slack before the others had their turn (Erlenkotter 1978).
func (s *Solver) climb(nd *node) {
	f := &s.frames[nd.depth]
	for moved := true; moved; {
		moved = false
		for i := range s.m {
			moved = s.raise(f, i, &s.dual.prices[nd.depth]) || moved
		}
	}
}

// raise lifts the price of one item to its next cost, or as far as the slack of its sites allows.
func (s *Solver) raise(f *frame, i int, to *prices) bool {
	d := &s.dual
	price, toll := &to.of[i], &to.toll
	top, slope := s.ceiling(f, i), int64(1)
	if !s.sole[i] {
		slope = 0
		slots := f.fills[i].slots
		for k := len(slots) - 1; k >= 0 && price.less(&slots[k].cost); k-- {
			top = slots[k].cost
			slope += slots[k].units
		}
	}
	if slope == 0 || !price.less(&top) {
		return false
	}
	by := minus(&top, price)
	list := d.order[d.from[i]:d.from[i+1]]
	tight := 0
	for _, j := range list {
		c := &s.cost[int(j)*s.m+i]
		if price.less(c) {
			if !d.near[j] {
				continue
			}
			if next := minus(c, price); next.less(&by) {
				by = next
			}
			break
		}
		tight++
		if !d.near[j] {
			continue
		}
		room, units := d.slack[j], int64(1)
		if !s.isFree(j) {
			room.add(toll)
		}
		if !s.sole[i] {
			if units = s.can(int(j), i); units > 1 {
				room.divide(units)
			}
		}
		if !room.positive() { // what it collects more is lost
			if slope -= units; slope <= 0 {
				s.steps += int64(tight)
				return false
			}
		} else if room.less(&by) {
			by = room
		}
	}
	s.steps += int64(tight)
	if s.packing.wide && !s.calm(i, list[:tight], price, &by) {
		return false
	}
	for _, j := range list[:tight] {
		if d.near[j] {
			units := int64(1)
			if !s.sole[i] {
				units = s.can(int(j), i)
			}
			d.slack[j].addTimes(&by, -units)
		}
	}
	price.add(&by)
	return true
}

// calm says whether a price can be raised without any word running away. Only the first word that differs holds prices back; those behind
// it follow as they may, and a long row of steps could carry them out of 64 bits.
func (s *Solver) calm(i int, tight []int32, price, by *amount) bool {
	d := &s.dual
	most, units := 2*s.packing.limit, s.p.Items[i].Quantity
	if s.sole[i] {
		units = 1
	}
	next := *price
	next.add(by)
	if !next.within(most / units) {
		return false
	}
	for _, j := range tight {
		if d.near[j] {
			slack, taken := d.slack[j], int64(1)
			if !s.sole[i] {
				taken = s.can(int(j), i)
			}
			slack.addTimes(by, -taken)
			if !slack.within(2 * most) {
				return false
			}
		}
	}
	return true
}

func (a *amount) within(most int64) bool {
	for _, v := range a {
		if v > most || v < -most {
			return false
		}
	}
	return true
}

// divide makes a the largest amount that fits n times into it, or one close below.
func (a *amount) divide(n int64) {
	for w := range a {
		if a[w] == 0 {
			continue
		}
		q := a[w] / n
		rest := a[w] - q*n
		if rest < 0 {
			q--
		}
		a[w] = q
		if rest != 0 {
			clear(a[w+1:])
			return
		}
	}
}

// settle finds the bound of a node by its prices: what they pay, and of the sites that collect more than their fixed cost those that do most,
// as many as may join.
func (s *Solver) settle(nd *node) {
	d := &s.dual
	f := &s.frames[nd.depth]
	of := d.prices[nd.depth].of
	d.sum = nd.paid
	d.sum.add(&s.reward)
	for i := range of {
		if s.sole[i] {
			d.sum.add(&of[i])
			continue
		}
		for _, t := range f.fills[i].slots {
			c := &t.cost
			if of[i].less(c) {
				c = &of[i]
			}
			d.sum.addTimes(c, t.units)
		}
	}
	d.least = d.least[:0]
	for _, r := range s.reach[nd.from:nd.to] {
		slack := &d.slack[r.site]
		if (&amount{}).less(slack) || *slack == (amount{}) {
			continue
		}
		if s.isFree(r.site) {
			d.sum.add(slack)
			continue
		}
		at := len(d.least)
		for at > 0 && slack.less(&d.least[at-1]) {
			at--
		}
		if at == nd.left {
			continue
		}
		if len(d.least) < nd.left {
			d.least = append(d.least, amount{})
		}
		copy(d.least[at+1:], d.least[at:])
		d.least[at] = *slack
	}
	d.bound, d.last = d.sum, amount{}
	for k := range d.least {
		d.bound.add(&d.least[k])
	}
	if len(d.least) > 0 && len(d.least) == nd.left {
		d.last = d.least[nd.left-1]
	}
}

// boundBy bounds every set of the settled node with a site.
func (s *Solver) boundBy(site int32) amount {
	d := &s.dual
	bound, slack := d.bound, &d.slack[site]
	if s.isFree(site) {
		if slack.positive() {
			bound.add(slack)
		}
		return bound
	}
	if d.last.less(slack) {
		bound.add(slack)
		bound.sub(&d.last)
	}
	return bound
}
