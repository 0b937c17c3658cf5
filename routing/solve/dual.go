package solve

import "slices"

// dual is the memory of the prices: see the package's essay.
type dual struct {
	ready bool
	price []amount // by item: what it is paid, of divisible ones each unit
	slack []amount // by site: what it lacks to its fixed cost
	order []int32  // by item: the sites that can give it, the cheapest first
	from  []int32  // by item and one behind: where its sites begin in order
	next  []int32  // by item: how many of its sites are at or below its price
	base  amount   // what all sets cost at least
}

// dualAfter is after how many passes over the whole problem prices are made: simple problems are done before.
const dualAfter = 4

// duly makes prices when the search turns out to be long.
func (s *Solver) duly() bool {
	if !s.dual.ready && s.steps > int64(dualAfter*s.n*s.m) {
		s.climb()
	}
	return s.dual.ready
}

// climb raises the prices, item by item and step by step, until every item is held by a site without slack or is at the cost of nobody.
// A step goes to the next cost of the item, so that no item takes all the slack before the others had their turn (Erlenkotter 1978).
func (s *Solver) climb() {
	d := &s.dual
	d.ready = true
	s.sortCosts()
	d.slack = append(d.slack[:0], s.fixed...)
	d.price, d.next = resize(d.price, s.m), resize(d.next, s.m)
	for i := range s.m {
		d.price[i] = s.nobody[i]
		d.next[i] = 0
		if list := d.order[d.from[i]:d.from[i+1]]; len(list) > 0 {
			if c := &s.cost[int(list[0])*s.m+i]; c.less(&d.price[i]) {
				d.price[i] = *c
			}
		}
	}
	for moved := true; moved; {
		moved = false
		for i := range s.m {
			moved = s.raise(i) || moved
		}
	}
	d.base = amount{}
	for i := range s.m {
		d.base.addTimes(&d.price[i], s.units(i))
	}
}

// units is how often an item's price is paid.
func (s *Solver) units(i int) int64 {
	if s.sole[i] {
		return 1
	}
	return s.p.Items[i].Quantity
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
	s.steps += int64(s.n * s.m * 4)
}

// raise lifts the price of one item to the next cost of it, or as far as the slack of its sites allows.
func (s *Solver) raise(i int) bool {
	d := &s.dual
	list := d.order[d.from[i]:d.from[i+1]]
	price := &d.price[i]
	for int(d.next[i]) < len(list) && !price.less(&s.cost[int(list[d.next[i]])*s.m+i]) {
		d.next[i]++
	}
	top := s.nobody[i]
	if at := int(d.next[i]); at < len(list) {
		if c := &s.cost[int(list[at])*s.m+i]; c.less(&top) {
			top = *c
		}
	}
	by := minus(&top, price)
	for _, j := range list[:d.next[i]] {
		room := d.slack[j]
		if !s.sole[i] {
			room.divide(s.can(int(j), i))
		}
		if room.less(&by) {
			by = room
		}
	}
	s.steps += int64(d.next[i]) + 1
	if !by.positive() {
		return false
	}
	for _, j := range list[:d.next[i]] {
		units := int64(1)
		if !s.sole[i] {
			units = s.can(int(j), i)
		}
		d.slack[j].addTimes(&by, -units)
	}
	price.add(&by)
	return true
}

// divide makes a the largest amount that fits n times into it, or one close below.
func (a *amount) divide(n int64) {
	for w := range a {
		q := a[w] / n
		exact := q*n == a[w]
		a[w] = q
		if !exact {
			clear(a[w+1:])
			return
		}
	}
}

// owed bounds every set that holds the chosen sites and this one.
func (s *Solver) owed(depth int, site int32) amount {
	bound := s.dual.base
	for _, j := range s.chosen[:depth] {
		bound.add(&s.dual.slack[j])
	}
	bound.add(&s.dual.slack[site])
	return bound
}
