package routing

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"orderyard/messages"
)

// need is one line of the request.
type need struct {
	line   uint32
	sku    int32
	next   int32 // the next need of the same item, -1 = none
	asked  int64 // units as requested
	qty    int64 // the same, bounded
	labels []string
}

// skuNeed is a SKU with all the units the order needs of it.
type skuNeed struct {
	sku    string
	total  int64
	items  int32 // how many items ask for it; several contend for its stock
	single int32 // 1 + the item of its lines without a group, 0 = none
	labels bool  // some line of it has labels
}

// part is what a group needs of one SKU.
type part struct {
	sku, next int32
	qty       int64
}

// item is what is assigned as one: a group of lines, or all other lines of one SKU.
type item struct {
	sku         int32 // of a single item; -1 = a group
	first, last int32 // needs
	parts       int32 // first part of a group, -1 = none
	group       string
	qty, target int64 // units needed; units a plan can give at most
	most        int64 // units the best place has
	splitAt     int32 // position among the split items
	split       bool  // no site has all the order needs of this SKU: several may share it
	contended   bool  // shares a SKU with another item
}

// place is a site in the run; places are kept by distance, nearest first.
type place struct {
	site   *Site
	id     int32 // position in the view's order of ids
	fail   test
	used   bool
	able   bool // could give something
	cause  int32
	meters int64
	step   int64 // meters in steps of EqualWithinKm
}

// run is the memory of one call of Route, kept for the next one so that a decision allocates only its answer.
type run struct {
	req    *messages.PlanRequest
	view   View
	rules  *Rules
	now    int64
	policy string
	cap    int32 // new sites allowed

	needs  []need
	skus   []skuNeed
	items  []item
	parts  []part
	bySKU  map[string]int32
	groups map[string]int32
	needed int64 // units
	target int64 // units a plan can give at most, contention and cap aside
	able   int   // sites that could give something

	ids    []string
	places []place
	rank   []int32 // id position → index of places, -1 = unknown site
	keys   []uint64
	avail  []int64 // SKU × place, at most the SKU's total

	contended bool
	placeBits int      // words of a set of places
	itemBits  int      // words of a set of items
	sources   []uint64 // item × placeBits: places that can give the whole item, or any of it when split
	usedBits  []uint64 // places already used by the order
	ableBits  []uint64 // places that could give something
	gives     []uint64 // place × itemBits: the unsplit items a place can give whole

	given []int64 // units assigned, by need
	search
	best, second solution
	out          outcome
}

// outcome is what the record says beside the plan.
type outcome struct {
	decidedBy string
	exact     bool
	offMap    bool
	abroad    bool // no site in the destination's country: all may serve
}

var runs = sync.Pool{New: func() any { return newRun() }}

func newRun() *run { return &run{bySKU: map[string]int32{}, groups: map[string]int32{}} }

// begin forgets the run before.
func (r *run) begin(req *messages.PlanRequest, v View, rules *Rules, now int64) {
	r.req, r.view, r.rules, r.now = req, v, rules, now
	r.policy = req.Partial
	if len(req.SitesUsed) > 0 {
		r.policy = partialShip
	}
	r.needs, r.skus, r.items, r.parts = r.needs[:0], r.skus[:0], r.items[:0], r.parts[:0]
	r.places, r.pieces, r.scanned = r.places[:0], r.pieces[:0], r.scanned[:0]
	r.needed, r.target, r.able, r.cap = 0, 0, 0, 0
	r.contended = false
	r.best.found, r.second.found = false, false
	r.out = outcome{}
}

// done gives the memory back, without what belongs to the caller: a snapshot must not live on in a pool.
func (r *run) done() {
	clear(r.needs)
	clear(r.skus)
	clear(r.items)
	clear(r.places)
	clear(r.scanned)
	if len(r.bySKU) > 0 {
		clear(r.bySKU)
	}
	if len(r.groups) > 0 {
		clear(r.groups)
	}
	r.req, r.view, r.rules, r.ids = nil, nil, nil, nil
	runs.Put(r)
}

// fewSKUs is up to how many SKUs are found by looking at each: shorter than hashing.
const fewSKUs = 8

// unitsMax bounds what one need counts for in sums, so that sums cannot overflow: 10¹² units of a line is a typing error.
const unitsMax = int64(1) << 40

// readNeeds sorts the needs by line, so that their order in the request does not matter, and joins them to SKUs and items.
func (r *run) readNeeds() {
	r.order = r.order[:0]
	for i, n := range r.req.Needs {
		if n.Quantity > 0 {
			r.order = append(r.order, int32(i))
		}
	}
	needs := r.req.Needs
	less := func(a, b int32) int {
		x, y := needs[a], needs[b]
		switch {
		case x.Line != y.Line:
			return cmp.Compare(x.Line, y.Line)
		case x.Sku != y.Sku:
			return strings.Compare(x.Sku, y.Sku)
		}
		return cmp.Compare(x.Quantity, y.Quantity)
	}
	if !slices.IsSortedFunc(r.order, less) {
		slices.SortStableFunc(r.order, less)
	}
	for _, i := range r.order {
		n := needs[i]
		sku := r.skuIndex(n.Sku)
		s := &r.skus[sku]
		qty := min(n.Quantity, unitsMax)
		s.total += qty
		s.labels = s.labels || len(n.Labels) > 0
		r.needed += qty
		r.needs = append(r.needs, need{line: n.Line, sku: sku, next: -1, asked: n.Quantity, qty: qty, labels: n.Labels})
		r.addToItem(int32(len(r.needs)-1), n.Group)
	}
}

func (r *run) skuIndex(sku string) int32 {
	if len(r.skus) <= fewSKUs {
		for i := range r.skus {
			if r.skus[i].sku == sku {
				return int32(i)
			}
		}
	} else if i, ok := r.bySKU[sku]; ok {
		return i
	}
	r.skus = append(r.skus, skuNeed{sku: sku})
	switch n := len(r.skus); {
	case n == fewSKUs+1:
		for i := range r.skus {
			r.bySKU[r.skus[i].sku] = int32(i)
		}
	case n > fewSKUs:
		r.bySKU[sku] = int32(n - 1)
	}
	return int32(len(r.skus) - 1)
}

// lookUpSKU finds a SKU the order needs.
func (r *run) lookUpSKU(sku string) (int32, bool) {
	if len(r.skus) > fewSKUs {
		i, ok := r.bySKU[sku]
		return i, ok
	}
	for i := range r.skus {
		if r.skus[i].sku == sku {
			return int32(i), true
		}
	}
	return 0, false
}

// addToItem puts a need into its group, or to the other needs of its SKU.
func (r *run) addToItem(n int32, group string) {
	sku := r.needs[n].sku
	at := r.itemOf(sku, group)
	it := &r.items[at]
	it.qty += r.needs[n].qty
	if it.first < 0 {
		it.first = n
	} else {
		r.needs[it.last].next = n
	}
	it.last = n
	if group == "" {
		return
	}
	for p := it.parts; p >= 0; p = r.parts[p].next {
		if r.parts[p].sku == sku {
			r.parts[p].qty += r.needs[n].qty
			return
		}
	}
	r.parts = append(r.parts, part{sku: sku, next: it.parts, qty: r.needs[n].qty})
	it.parts = int32(len(r.parts) - 1)
	r.skus[sku].items++
}

func (r *run) itemOf(sku int32, group string) int32 {
	if group != "" {
		if i, ok := r.groups[group]; ok {
			return i
		}
		r.groups[group] = int32(len(r.items))
		r.items = append(r.items, item{sku: -1, first: -1, parts: -1, group: group})
		return int32(len(r.items) - 1)
	}
	if r.skus[sku].single > 0 {
		return r.skus[sku].single - 1
	}
	r.items = append(r.items, item{sku: sku, first: -1, parts: -1})
	r.skus[sku].single = int32(len(r.items))
	r.skus[sku].items++
	return int32(len(r.items) - 1)
}
