package routing

import (
	"math/bits"
	"slices"
)

// What decided a plan: the first step in which it differs from the runner-up, or why there was nothing to compare.
const (
	stepUnits      = "units"
	stepSites      = "fewest_sites"
	stepDistance   = "distance"
	stepParcels    = "parcels"
	stepCost       = "cost"
	stepLoad       = "load"
	stepSiteID     = "site_id"
	stepOnlyChoice = "only_choice"    // no other site could give anything
	stepNothing    = "nothing_needed" // the request needs nothing
	stepStock      = "stock"          // not enough anywhere: nothing assigned
	stepSplitsMax  = "splits_max"     // there is enough, but on more sites than allowed
	stepComplete   = "complete_only"  // no single site has the whole order
)

// The positions of a solution's key; smaller is better in each.
const (
	keyUnits = iota // negative
	keySites
	keyDistance
	keyParcels
	keyCost
	keyLoad
	keyMeters
	keys
)

var keySteps = [keys]string{stepUnits, stepSites, stepDistance, stepParcels, stepCost, stepLoad, stepDistance}

// solution is a set of places with its score vector.
type solution struct {
	found bool
	units int64
	key   [keys]int64
	sites []int32 // places
	ids   []int32 // the same as positions in the view's order of ids, ascending
}

// compareTo orders solutions, better ones first; at is the step in which they differ.
func (s *solution) compareTo(o *solution) (order int, at string) {
	for i, k := range s.key {
		if k < o.key[i] {
			return -1, keySteps[i]
		} else if k > o.key[i] {
			return 1, keySteps[i]
		}
	}
	return slices.Compare(s.ids, o.ids), stepSiteID
}

func (s *solution) firstDifference(o *solution) string {
	_, at := s.compareTo(o)
	return at
}

// consider scores a set of places and keeps it when it is among the best two. It reports false when the set gives fewer than
// unitsMin units. A set that cannot win is not looked at closely, and places that turn out to give nothing are left out.
func (r *run) consider(sites []int32, unitsMin int64) bool {
	c := &r.candidate
	r.score(c, sites)
	c.key[keyUnits] = -r.target
	if r.second.found && slices.Compare(c.key[:keyCost], r.second.key[:keyCost]) > 0 {
		return true
	}
	var cost int64
	c.units, cost = r.allocate(sites)
	if c.units == 0 || c.units < unitsMin {
		return false
	}
	if giving := r.giving(sites); len(giving) < len(sites) {
		r.score(c, giving)
		_, cost = r.allocate(giving)
	}
	c.key[keyUnits], c.key[keyCost] = -c.units, cost
	c.ids = c.ids[:0]
	for _, at := range c.sites {
		c.ids = append(c.ids, r.places[at].id)
	}
	slices.Sort(c.ids)
	r.keep(c)
	return true
}

// score fills in what follows from the places alone.
func (r *run) score(c *solution, sites []int32) {
	c.found, c.sites = true, sites
	c.key = [keys]int64{keyParcels: int64(len(sites))}
	for _, at := range sites {
		p := &r.places[at]
		if !p.used {
			c.key[keySites]++
		}
		c.key[keyDistance] += p.step
		c.key[keyMeters] += p.meters
		c.key[keyLoad] += max(p.site.OpenLoadPermille, 0)
	}
}

// giving lists the places that have a piece.
func (r *run) giving(sites []int32) []int32 {
	if len(sites) == 1 {
		return sites
	}
	r.marks = resize(r.marks, r.placeBits)
	clear(r.marks)
	for _, p := range r.pieces {
		setBit(r.marks, p.at)
	}
	if count(r.marks) == len(sites) {
		return sites
	}
	r.trimmed = r.trimmed[:0]
	for _, at := range sites {
		if hasBit(r.marks, at) {
			r.trimmed = append(r.trimmed, at)
		}
	}
	return r.trimmed
}

func (r *run) keep(c *solution) {
	if r.best.found {
		order, _ := c.compareTo(&r.best)
		if order == 0 {
			return
		}
		if order > 0 {
			if order, _ := c.compareTo(&r.second); !r.second.found || order < 0 {
				r.second.take(c)
			}
			return
		}
		r.best, r.second = r.second, r.best
	}
	r.best.take(c)
}

func (s *solution) take(c *solution) {
	s.found, s.units, s.key = true, c.units, c.key
	s.sites = append(s.sites[:0], c.sites...)
	s.ids = append(s.ids[:0], c.ids...)
}

// costMax keeps sums of costs from overflowing.
const costMax = int64(1) << 52

func unitsCost(each, units int64) int64 {
	if each <= 0 || units <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(each), uint64(units))
	if hi != 0 || lo > uint64(costMax) {
		return costMax
	}
	return int64(lo)
}
