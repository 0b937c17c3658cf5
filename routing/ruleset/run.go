package ruleset

import (
	"math/bits"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Run is the memory of one decision, kept for the next one: begin it with an order, ask for the route, try its rules. The zero Run is
// ready to begin. It is not safe for concurrent use, and what its methods return is valid until the next call that changes it.
type Run struct {
	c     *Compiled
	order *Order
	now   int64

	skus    []string
	bySKU   map[string]int32 // only when there are many
	needs   []int64          // units by SKU
	lineSKU []int32          // SKU of each line, −1 = nothing to assign
	open    int64            // lines with units to assign
	all     totals           // of the whole order
	bundles [modes][]int32

	rule  *rule
	level int  // soft filters dropped so far, in ranks
	mode  mode // what is kept together at the site being judged

	candidates []Candidate
	verdicts   []Verdict
	caps       []int64 // candidate × SKU: units the site may give
	blocked    []bool  // candidate × line: lines the site may not give
	gives      []int64 // candidate × line: units it would give alone
	losses     []int64 // candidate × score: lower is better
	last       []int64 // by score: one more than the worst loss that is known
	ranking    []int32 // candidates that pass, best first
	mute       uint32  // scores that decide nothing, as bits
	union      []int64 // units by SKU that all passing sites have together
	covered    int64   // their sum, at most what is needed
	admitted   int32   // back-ups asked so far
	plenty     bool    // pretend that every site has everything

	here  *Candidate // the site being judged
	at    int
	given totals
	fresh bool // given is of here
	want  []int64
	spare []int64
	lanes [][]lane // by card
	laned []bool
	asked []answer // expressions without a site, by filter or score
	ready []bool

	top       int  // how many of the ranking must be in order, 0 = all
	blocks    bool // some site must not give some line
	items     []Item
	itemLines []int32

	cause, attempt ref.Val
	celLines       ref.Val
}

// totals describe units of an order.
type totals struct {
	units, short int64 // short: lines not given whole
	grams        int64
	value, cost  int64 // minor units
	weighed      bool  // the weight of all of them is known
	costed       bool  // what all of them cost is known
}

// mode says which lines are kept together, as bits.
type mode uint8

const (
	keepGroups mode = 1 << iota
	keepKits
	keepOrder
	modes = 1 << iota
)

// Verdict is what became of one candidate.
type Verdict struct {
	// Failed is Passed, the position of the first filter that the site failed, or one of the tests below that every rule makes.
	Failed int32
	// Backup is the site's position among the back-ups, from 1; 0 = it is none.
	Backup int32
	// Abstained and Unscored are the filters and scores that had no fact to go by, as bits.
	Abstained, Unscored uint32
	// Units and Short are what the site would give alone, and how many lines would not be whole.
	Units, Short int64
	// Penalty is the sum of a rule that adds.
	Penalty int64
}

// Values of Verdict.Failed that are no filter's position.
const (
	Passed        int32 = -1
	FailedStock   int32 = -2 // has nothing to give
	FailedValue   int32 = -3 // its part, or what it leaves, is worth less than split.part_value_min
	FailedPenalty int32 = -4 // its penalty is above penalty_max
	FailedBackup  int32 = -5 // is a back-up, and the other sites can give everything
)

// unitsMax bounds what one line counts for in sums, so that sums cannot overflow: 10¹² units of a line is a typing error.
const unitsMax = int64(1) << 40

// Begin forgets the order before and reads a new one; now is in Unix milliseconds. The order is only read, and must not change until
// the run begins anew.
func (r *Run) Begin(c *Compiled, o *Order, now int64) {
	r.c, r.order, r.now = c, o, now
	r.skus, r.needs, r.lineSKU = r.skus[:0], r.needs[:0], r.lineSKU[:0]
	r.open, r.here, r.rule, r.celLines = 0, nil, nil, nil
	r.candidates, r.ranking = nil, r.ranking[:0]
	r.cause, r.attempt = types.String(o.Cause), types.Int(o.Attempt)
	for i := range r.bundles {
		r.bundles[i] = r.bundles[i][:0]
	}
	r.lanes = resize(r.lanes, len(c.cards))
	r.laned = resize(r.laned, len(c.cards))
	clear(r.laned)
	for i := range o.Lines {
		l := &o.Lines[i]
		if l.Quantity <= 0 {
			r.lineSKU = append(r.lineSKU, -1)
			continue
		}
		r.open++
		at := r.sku(l.SKU)
		r.needs[at] += min(l.Quantity, unitsMax)
		r.lineSKU = append(r.lineSKU, at)
	}
	r.all = totals{weighed: true, costed: true}
	for i := range o.Lines {
		if r.lineSKU[i] >= 0 {
			r.all.add(&o.Lines[i], min(o.Lines[i].Quantity, unitsMax))
		}
	}
}

// fewSKUs is up to how many SKUs are found by looking at each: shorter than hashing.
const fewSKUs = 16

// sku finds or adds a SKU.
func (r *Run) sku(name string) int32 {
	if len(r.skus) <= fewSKUs {
		for i := range r.skus {
			if r.skus[i] == name {
				return int32(i)
			}
		}
	} else if i, ok := r.bySKU[name]; ok {
		return i
	}
	r.skus, r.needs = append(r.skus, name), append(r.needs, 0)
	last := int32(len(r.skus) - 1)
	switch {
	case last == fewSKUs: // from now on by the map
		r.bySKU = make(map[string]int32, 4*fewSKUs)
		for i := range r.skus {
			r.bySKU[r.skus[i]] = int32(i)
		}
	case last > fewSKUs:
		r.bySKU[name] = last
	}
	return last
}

// Done forgets everything that belongs to the caller, so that a run waiting in a pool keeps no snapshot alive. Begin does not need it.
func (r *Run) Done() {
	clear(r.skus)
	r.c, r.order, r.rule, r.here, r.candidates, r.celLines, r.bySKU = nil, nil, nil, nil, nil, nil, nil
	clear(r.asked)
}

func (t *totals) add(l *Line, units int64) {
	t.units += units
	t.value = addSat(t.value, mulSat(l.UnitPrice, units))
	if l.UnitGrams.Known {
		t.grams = addSat(t.grams, mulSat(l.UnitGrams.Value, units))
	} else {
		t.weighed = false
	}
	if l.UnitCost.Known {
		t.cost = addSat(t.cost, mulSat(l.UnitCost.Value, units))
	} else {
		t.costed = false
	}
}

// SKUs are the SKUs the order needs, in the order that Candidate.Stock must have.
func (r *Run) SKUs() []string { return r.skus }

// Needs are the units of each SKU the order needs.
func (r *Run) Needs() []int64 { return r.needs }

// Verdicts are what became of each candidate, in the order they were handed in.
func (r *Run) Verdicts() []Verdict { return r.verdicts }

// Ranking lists the candidates that pass, by position, the best first.
func (r *Run) Ranking() []int32 { return r.ranking }

// Caps are the units of each SKU that a candidate may give: its ATP less what filters keep back. Only meaningful when it passes.
func (r *Run) Caps(candidate int) []int64 {
	n := len(r.skus)
	return r.caps[candidate*n : candidate*n+n]
}

// Blocked tells for each line whether a candidate must not give it.
func (r *Run) Blocked(candidate int) []bool {
	n := len(r.lineSKU)
	return r.blocked[candidate*n : candidate*n+n]
}

// Gives are the units of each line that a candidate would give if it were the only one.
func (r *Run) Gives(candidate int) []int64 {
	n := len(r.lineSKU)
	return r.gives[candidate*n : candidate*n+n]
}

// Losses are the scores of a candidate that passes, in the rule's order; lower is better. Scores that prefer more are negated.
func (r *Run) Losses(candidate int) []int64 {
	n := len(r.rule.scores)
	return r.losses[candidate*n : candidate*n+n]
}

// Dropped lists the positions of the soft filters that were not asked.
func (r *Run) Dropped() []int {
	var found []int
	for i := range r.rule.filters {
		if r.dropped(&r.rule.filters[i]) {
			found = append(found, i)
		}
	}
	return found
}

func (r *Run) dropped(f *filter) bool { return f.level > 0 && f.level <= r.level }

// Muted lists the positions of the scores that decide nothing here, because some candidate has no value for them.
func (r *Run) Muted() []int {
	var found []int
	for m := r.mute; m != 0; m &= m - 1 {
		found = append(found, bits.TrailingZeros32(m))
	}
	return found
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/2)
	}
	return s[:n]
}
