package routing

import "math/bits"

// makeItems finds out, item by item, which places can give it whole and how much a plan can give at most; then judges the places
// that passed every test of their own but have nothing to give.
func (r *run) makeItems() {
	n := len(r.places)
	r.placeBits, r.itemBits = (n+63)/64, (len(r.items)+63)/64
	r.sources = resize(r.sources, len(r.items)*r.placeBits)
	r.gives = resize(r.gives, n*r.itemBits)
	r.usedBits, r.ableBits = resize(r.usedBits, r.placeBits), resize(r.ableBits, r.placeBits)
	clear(r.usedBits)
	clear(r.ableBits)
	clear(r.sources)
	clear(r.gives)
	for k := range r.items {
		it := &r.items[k]
		if it.sku >= 0 {
			r.sourceSingle(int32(k), it)
		} else {
			r.sourceGroup(int32(k), it)
		}
		r.target += it.target
		r.contended = r.contended || it.contended && it.target > 0
	}
	for at := range r.places {
		if r.places[at].fail == testNone {
			r.judge(int32(at))
		}
		if r.places[at].used {
			setBit(r.usedBits, int32(at))
		}
	}
}

func (r *run) sourceSingle(k int32, it *item) {
	s := &r.skus[it.sku]
	n := len(r.places)
	row := r.avail[int(it.sku)*n : int(it.sku)*n+n]
	var most, sum int64
	for _, units := range row {
		most = max(most, units)
		sum += units
	}
	it.split = most < s.total
	it.contended = s.items > 1
	it.target, it.most = min(it.qty, sum), most
	for at, units := range row {
		if it.split && units > 0 || !it.split && units >= it.qty {
			r.addSource(k, at, !it.split)
		}
	}
}

func (r *run) sourceGroup(k int32, it *item) {
	for p := it.parts; p >= 0; p = r.parts[p].next {
		it.contended = it.contended || r.skus[r.parts[p].sku].items > 1
	}
	for at := range r.places {
		if r.givesGroup(it, at) {
			r.addSource(k, at, true)
			it.target = it.qty
		}
	}
}

func (r *run) givesGroup(it *item, at int) bool {
	for p := it.parts; p >= 0; p = r.parts[p].next {
		if r.avail[int(r.parts[p].sku)*len(r.places)+at] < r.parts[p].qty {
			return false
		}
	}
	return true
}

func (r *run) addSource(k int32, at int, whole bool) {
	setBit(r.sources[int(k)*r.placeBits:], int32(at))
	if whole {
		setBit(r.gives[at*r.itemBits:], k)
	}
}

// couldGive is what a place has for an item, other items aside. A group counts whole or not at all.
func (r *run) couldGive(it *item, k, at int32) int64 {
	if it.sku >= 0 {
		return min(r.avail[int(it.sku)*len(r.places)+int(at)], it.qty)
	}
	if hasBit(r.gives[int(at)*r.itemBits:], k) {
		return it.qty
	}
	return 0
}

// unitsOf is what a place could give if it gave everything it can.
func (r *run) unitsOf(at int32) int64 {
	var sum int64
	for k := range r.items {
		sum += r.couldGive(&r.items[k], int32(k), at)
	}
	return sum
}

// judge finds the first test that leaves a place with nothing to give.
func (r *run) judge(at int32) {
	p := &r.places[at]
	units := r.unitsOf(at)
	if units > 0 {
		if r.policy == partialComplete && units < r.needed {
			p.fail = testComplete
			return
		}
		p.able = true
		setBit(r.ableBits, at)
		r.able++
		return
	}
	n := len(r.places)
	p.fail = testStock
	for k := range r.items {
		it := &r.items[k]
		if it.sku >= 0 {
			continue
		}
		for q := it.parts; q >= 0; q = r.parts[q].next {
			if r.avail[int(r.parts[q].sku)*n+int(at)] > 0 {
				p.fail, p.cause = testTogether, int32(k)
				return
			}
		}
	}
	for sku := range r.skus {
		if r.skus[sku].labels && !r.labelsAllowed(int32(sku), p.site) {
			p.fail, p.cause = testLabels, int32(sku)
			return
		}
	}
	for i, e := range r.req.Exclusions {
		if e.Sku == "" || !r.active(e) || e.Site != r.ids[p.id] {
			continue
		}
		if _, ok := r.lookUpSKU(e.Sku); ok && (p.fail != testExcluded || longer(e, r.req.Exclusions[p.cause])) {
			p.fail, p.cause = testExcluded, int32(i)
		}
	}
}

func setBit(set []uint64, i int32)      { set[i>>6] |= 1 << (i & 63) }
func clearBit(set []uint64, i int32)    { set[i>>6] &^= 1 << (i & 63) }
func hasBit(set []uint64, i int32) bool { return set[i>>6]&(1<<(i&63)) != 0 }

func count(set []uint64) int {
	n := 0
	for _, w := range set {
		n += bits.OnesCount64(w)
	}
	return n
}
