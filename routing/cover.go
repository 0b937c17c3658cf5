package routing

import (
	"math"
	"math/bits"
)

// search is the memory of the searches. The slices hold one row for each depth.
type search struct {
	order   []int32
	scanned []place

	steps     int64
	gaveUp    bool
	sitesMax  int64 // new sites of the present round
	chosen    []int32
	blocked   []uint64 // chosen or tried by an elder sibling
	saved     []uint64 // blocked, as it was at each depth
	uncovered []uint64
	splits    []int32 // the split items
	missing   []int64 // depth × splits
	union     []uint64

	candidate solution
	pieces    []piece
	share     []int64
	remaining []int64
	contest   contest

	marks   []uint64
	trimmed []int32

	got   []int64
	gains []gain

	amounts []int64 // place × item
	limits  []int64
	nearest []int32
}

// tired reports that the search has used up its steps.
func (r *run) tired() bool {
	if r.steps > r.rules.StepsMax {
		r.gaveUp = true
	}
	return r.gaveUp
}

// cover looks for the best set of places that gives every unit that can be had, with no more new sites than allowed. It deepens
// by the number of new sites, so the first round that finds anything holds the optimum. It reports whether the answer, found or
// not, is proven; when steps run out, a greedy cover competes with what was found so far.
func (r *run) cover() bool {
	depthMax := min(len(r.places), int(r.cap)+len(r.req.SitesUsed)) + 1
	r.uncovered = resize(r.uncovered, depthMax*r.itemBits)
	r.blocked = resize(r.blocked, r.placeBits)
	r.saved = resize(r.saved, depthMax*r.placeBits)
	r.union = resize(r.union, r.placeBits)
	clear(r.blocked)
	clear(r.uncovered[:r.itemBits])
	r.splits, r.missing = r.splits[:0], r.missing[:0]
	r.steps, r.gaveUp = 0, false
	for k := range r.items {
		it := &r.items[k]
		if it.target == 0 {
			continue
		}
		setBit(r.uncovered, int32(k))
		if it.sku >= 0 && it.split {
			it.splitAt = int32(len(r.splits))
			r.splits = append(r.splits, int32(k))
			r.missing = append(r.missing, it.target)
		}
	}
	r.missing = resizeKeep(r.missing, depthMax*len(r.splits))
	_, sites, _ := r.look(0)
	for r.sitesMax = sites; r.sitesMax <= min(int64(r.cap), int64(r.able)) && !r.best.found && !r.gaveUp; r.sitesMax++ {
		r.chosen = r.chosen[:0]
		r.descend(0, 0)
	}
	if r.gaveUp {
		r.greedyCover()
	}
	return !r.gaveUp
}

// look chooses the uncovered item with the fewest places left to branch on, -1 when all are covered, and bounds from below the new
// sites and the distance still to come: items with no place in common need a place each.
func (r *run) look(depth int) (item int32, sites, distance int64) {
	item = -1
	fewest, atLeast := math.MaxInt, int64(0)
	clear(r.union)
	for w, word := range r.uncovered[depth*r.itemBits : (depth+1)*r.itemBits] {
		for ; word != 0; word &= word - 1 {
			k := int32(w<<6 + bits.TrailingZeros64(word))
			n, nearest, free, apart := r.lookAt(k)
			if n < fewest {
				item, fewest = k, n
			}
			if n == 0 {
				return item, int64(len(r.places)) + 1, 0
			}
			if it := &r.items[k]; it.sku >= 0 && it.split && !free {
				missing := r.missing[depth*len(r.splits)+int(it.splitAt)]
				atLeast = max(atLeast, (missing+it.most-1)/it.most)
			}
			if apart {
				distance += r.places[nearest].step
				if !free {
					sites++
				}
				r.joinUnion(k)
			}
			r.steps += int64(r.placeBits) + 4
		}
	}
	return item, max(sites, atLeast), distance
}

// lookAt counts the places left for an item, and says which is nearest, whether a used one is among them, and whether they are
// apart from all in the union. Places are numbered by distance, so the lowest bit is the nearest.
func (r *run) lookAt(k int32) (n int, nearest int32, free, apart bool) {
	nearest, apart = -1, true
	for w, set := range r.sources[int(k)*r.placeBits : (int(k)+1)*r.placeBits] {
		set &^= r.blocked[w]
		if set == 0 {
			continue
		}
		n += bits.OnesCount64(set)
		if nearest < 0 {
			nearest = int32(w<<6 + bits.TrailingZeros64(set))
		}
		free = free || set&r.usedBits[w] != 0
		apart = apart && set&r.union[w] == 0
	}
	return n, nearest, free, apart
}

func (r *run) joinUnion(k int32) {
	for w, set := range r.sources[int(k)*r.placeBits : (int(k)+1)*r.placeBits] {
		r.union[w] |= set &^ r.blocked[w]
	}
}

// descend extends the chosen places by each place left for the tightest item.
func (r *run) descend(sites, distance int64) {
	depth := len(r.chosen)
	item, more, further := r.look(depth)
	if item < 0 {
		if r.consider(r.chosen, r.target) {
			return
		}
		// Contended items looked covered one by one, but not together: any further place may help.
	} else if sites+more > r.sitesMax || r.second.found && distance+further > r.second.key[keyDistance] {
		return
	}
	if depth+1 >= len(r.saved)/r.placeBits || r.tired() {
		return
	}
	saved := r.saved[depth*r.placeBits : (depth+1)*r.placeBits]
	copy(saved, r.blocked)
	for w := range saved {
		set := r.ableBits[w]
		if item >= 0 {
			set = r.sources[int(item)*r.placeBits+w]
		}
		for set &^= saved[w]; set != 0; set &= set - 1 {
			if !r.try(int32(w<<6+bits.TrailingZeros64(set)), sites, distance) {
				copy(r.blocked, saved)
				return
			}
		}
	}
	copy(r.blocked, saved)
}

// try searches below one more place, and blocks it for its younger siblings. It reports false when they need not be tried: they
// are no nearer, and nearer is what it would take.
func (r *run) try(at int32, sites, distance int64) bool {
	p := &r.places[at]
	if r.second.found && distance+p.step > r.second.key[keyDistance] || r.gaveUp {
		return false
	}
	setBit(r.blocked, at)
	if !p.used {
		sites++
	}
	if sites > r.sitesMax {
		return true
	}
	r.coverBy(at)
	r.chosen = append(r.chosen, at)
	r.descend(sites, distance+p.step)
	r.chosen = r.chosen[:len(r.chosen)-1]
	return true
}

// coverBy writes the next depth: what is uncovered when the place is chosen as well.
func (r *run) coverBy(at int32) {
	depth := len(r.chosen)
	now := r.uncovered[depth*r.itemBits : (depth+1)*r.itemBits]
	next := r.uncovered[(depth+1)*r.itemBits : (depth+2)*r.itemBits]
	gives := r.gives[int(at)*r.itemBits:]
	for w, word := range now {
		next[w] = word &^ gives[w]
	}
	n := len(r.splits)
	for i, k := range r.splits {
		missing := r.missing[depth*n+i]
		if missing > 0 {
			missing -= r.avail[int(r.items[k].sku)*len(r.places)+int(at)]
			if missing <= 0 {
				clearBit(next, k)
			}
		}
		r.missing[(depth+1)*n+i] = missing
	}
	r.steps += int64(r.itemBits + n + 4)
}

func resizeKeep(s []int64, n int) []int64 {
	if cap(s) < n {
		return append(make([]int64, 0, n+n/2), s...)[:n]
	}
	return s[:max(n, len(s))]
}
