package routing

import "slices"

// piece is units of one need given by one place.
type piece struct {
	at, need int32
	qty      int64
}

// allocate gives the items to a set of places at the least cost and leaves the result in r.pieces. Items that share no SKU with
// another one are given independently; contended groups are tried at every place.
func (r *run) allocate(sites []int32) (units, cost int64) {
	r.pieces = r.pieces[:0]
	for _, at := range sites {
		cost += min(max(r.places[at].site.CostPerOrder, 0), costMax)
	}
	for k := range r.items {
		it := &r.items[k]
		if it.target == 0 || it.contended && r.contended {
			continue
		}
		u, c := r.giveItem(int32(k), it, sites)
		units += u
		cost += c
	}
	r.steps += int64(len(r.items) * len(sites))
	if r.contended {
		u, c := r.allocateContended(sites)
		units += u
		cost += c
	}
	return units, cost
}

// left is what a place still has of a SKU. Only SKUs that several items ask for are counted down.
func (r *run) left(sku int32, pos int, sites []int32) int64 {
	if r.contended && r.skus[sku].items > 1 {
		return r.remaining[int(sku)*len(sites)+pos]
	}
	return r.avail[int(sku)*len(r.places)+int(sites[pos])]
}

func (r *run) giveItem(k int32, it *item, sites []int32) (units, cost int64) {
	if it.sku < 0 {
		best := -1
		for pos, at := range sites {
			if hasBit(r.gives[int(at)*r.itemBits:], k) && (best < 0 || r.cheaper(at, sites[best])) {
				best = pos
			}
		}
		if best < 0 {
			return 0, 0
		}
		return r.giveGroup(it, sites[best])
	}
	r.share = resize(r.share, len(sites))
	best := -1
	for pos, at := range sites {
		r.share[pos] = min(r.left(it.sku, pos, sites), it.qty)
		if best < 0 || r.share[pos] > r.share[best] || r.share[pos] == r.share[best] && r.cheaper(at, sites[best]) {
			best = pos
		}
	}
	if best < 0 || r.share[best] == 0 {
		return 0, 0
	}
	if it.split {
		return r.spread(it, sites)
	}
	for pos := range r.share {
		if pos != best {
			r.share[pos] = 0
		}
	}
	return r.spread(it, sites)
}

// cheaper orders places by the cost of a unit, then by nearness.
func (r *run) cheaper(a, b int32) bool {
	x, y := r.places[a].site.CostPerUnit, r.places[b].site.CostPerUnit
	return x < y || x == y && a < b
}

func (r *run) giveGroup(it *item, at int32) (units, cost int64) {
	for n := it.first; n >= 0; n = r.needs[n].next {
		r.pieces = append(r.pieces, piece{at, n, r.needs[n].qty})
	}
	return it.qty, unitsCost(r.places[at].site.CostPerUnit, it.qty)
}

// spread gives the lines of one SKU out of r.share: first whole lines, so that a line is cut only when no place has it whole any
// more, the largest ones first; then what is left of each line, from the cheapest place on.
func (r *run) spread(it *item, sites []int32) (units, cost int64) {
	r.order = r.order[:0]
	for n := it.first; n >= 0; n = r.needs[n].next {
		r.order = append(r.order, n)
	}
	several := len(r.order) > 1
	if several {
		slices.SortStableFunc(r.order, func(a, b int32) int { return int(min(max(r.needs[b].qty-r.needs[a].qty, -1), 1)) })
	}
	cut := r.order[:0]
	for _, n := range r.order {
		best := -1
		for pos := range sites {
			if r.share[pos] >= r.needs[n].qty && (best < 0 || r.fitsBetter(pos, best, sites, several)) {
				best = pos
			}
		}
		if best < 0 {
			cut = append(cut, n)
			continue
		}
		cost += r.take(n, best, r.needs[n].qty, sites)
		units += r.needs[n].qty
	}
	slices.Sort(cut)
	for _, n := range cut {
		for missing := r.needs[n].qty; missing > 0; {
			best := -1
			for pos, at := range sites {
				if r.share[pos] > 0 && (best < 0 || r.cheaper(at, sites[best])) {
					best = pos
				}
			}
			if best < 0 {
				return units, cost
			}
			qty := min(missing, r.share[best])
			cost += r.take(n, best, qty, sites)
			units += qty
			missing -= qty
		}
	}
	return units, cost
}

// fitsBetter prefers the tightest fit among several lines, because that leaves room for the next whole line.
func (r *run) fitsBetter(pos, best int, sites []int32, several bool) bool {
	if several && r.share[pos] != r.share[best] {
		return r.share[pos] < r.share[best]
	}
	return r.cheaper(sites[pos], sites[best])
}

func (r *run) take(n int32, pos int, qty int64, sites []int32) (cost int64) {
	r.share[pos] -= qty
	r.pieces = append(r.pieces, piece{sites[pos], n, qty})
	return unitsCost(r.places[sites[pos]].site.CostPerUnit, qty)
}

// contest is the search for the best way to give groups that share a SKU with other items.
type contest struct {
	sites       []int32
	groups      []int32
	from        int // first of its pieces
	found       bool
	units, cost int64
	pieces      []piece
}

// allocateContended tries every contended group at every place and nowhere; the contended single items, whose SKUs are all
// different, take what the groups leave. Most units first, then least cost, then the first found.
func (r *run) allocateContended(sites []int32) (units, cost int64) {
	r.remaining = resize(r.remaining, len(r.skus)*len(sites))
	for sku := range r.skus {
		for pos, at := range sites {
			r.remaining[sku*len(sites)+pos] = r.avail[sku*len(r.places)+int(at)]
		}
	}
	c := &r.contest
	c.sites, c.groups, c.from, c.found = sites, c.groups[:0], len(r.pieces), false
	for k := range r.items {
		if it := &r.items[k]; it.contended && it.sku < 0 && it.target > 0 {
			c.groups = append(c.groups, int32(k))
		}
	}
	r.placeGroups(0, 0, 0)
	r.pieces = append(r.pieces[:c.from], c.pieces...)
	return c.units, c.cost
}

func (r *run) placeGroups(i int, units, cost int64) {
	c := &r.contest
	if i == len(c.groups) {
		r.placeSingles(units, cost)
		return
	}
	r.steps += int64(len(c.sites))
	it := &r.items[c.groups[i]]
	for pos, at := range c.sites {
		if !r.groupFits(it, pos, c.sites) {
			continue
		}
		mark := len(r.pieces)
		u, paid := r.giveGroup(it, at)
		r.moveGroup(it, pos, -1)
		r.placeGroups(i+1, units+u, cost+paid)
		r.moveGroup(it, pos, 1)
		r.pieces = r.pieces[:mark]
		if r.tired() && c.found {
			return
		}
	}
	r.placeGroups(i+1, units, cost)
}

// placeSingles ends one arrangement of the groups, compares it with the best one and takes its pieces back.
func (r *run) placeSingles(units, cost int64) {
	c := &r.contest
	mark := len(r.pieces)
	for k := range r.items {
		if it := &r.items[k]; it.contended && it.sku >= 0 && it.target > 0 {
			u, paid := r.giveItem(int32(k), it, c.sites)
			units += u
			cost += paid
		}
	}
	r.steps += int64(len(r.items))
	if !c.found || units > c.units || units == c.units && cost < c.cost {
		c.found, c.units, c.cost = true, units, cost
		c.pieces = append(c.pieces[:0], r.pieces[c.from:]...)
	}
	r.pieces = r.pieces[:mark]
}

func (r *run) groupFits(it *item, pos int, sites []int32) bool {
	for p := it.parts; p >= 0; p = r.parts[p].next {
		if r.left(r.parts[p].sku, pos, sites) < r.parts[p].qty {
			return false
		}
	}
	return true
}

func (r *run) moveGroup(it *item, pos int, sign int64) {
	for p := it.parts; p >= 0; p = r.parts[p].next {
		r.remaining[int(r.parts[p].sku)*len(r.contest.sites)+pos] += sign * r.parts[p].qty
	}
}
