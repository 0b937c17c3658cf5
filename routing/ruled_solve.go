package routing

import (
	"math/bits"
	"slices"

	"orderyard/routing/ruleset"
	"orderyard/routing/solve"
)

// problem is what a rule makes of an order for the optimizer.
type problem struct {
	solve.Problem
	items  []ruleset.Item
	list   []int32 // candidates that take part, by their place in the view: the optimizer's site numbers
	names  []string
	terms  []ruleset.Terms // by score that decides
	scores []int           // their positions in the rule
	shares []share         // by penalty_sum: what each counts
	parts  []solve.Part
	fixed  []int64
	costs  []int64
	curved []curved
	sum    solve.Level // by penalty_sum: all scores in one
	found  *solve.Result
	short  solve.Result // of single
	r      *ruled
}

// curved is a score that follows a price list.
type curved struct{ level, score int }

// solved is what the optimizer found, in the order's units.
type solved struct {
	result *solve.Result
	units  int64 // given
	short  int64
	capped bool // there would be more if more sites were allowed
}

// Levels behind the scores of a rule: see docs/GLOSSARY.md §7.
const (
	levelParcels  = "parcels"
	levelCost     = "cost of sites"
	levelDistance = "meters"
	levelRank     = "site_rank"
	levelPenalty  = "penalty"
)

// meterMax is the distance of a site that is not on the map: once around the earth.
const meterMax = 40_075_000

// solve assigns what is left among the candidates that pass the rule of the last Try. When not everything can be given with SKUs kept whole, and
// the order takes a part, it asks once more with SKUs that may be divided: units come before everything else.
func (r *ruled) solve() solved {
	if found, ok := r.single(); ok && !r.longWay {
		r.alone = true
		return found
	}
	p := &r.problem
	p.r = r
	if r.policy != partialShip && r.run.Most() < r.open() {
		return r.nothing() // the order wants all or nothing, and all is not there
	}
	p.items = r.run.Items()
	p.sortedList(r.run.Ranking())
	found := r.assign()
	if found.short > 0 && r.policy == partialShip && p.divide() {
		found = r.assign()
	}
	return found
}

// nothing is the answer that nobody gives anything, without asking the optimizer.
func (r *ruled) nothing() solved {
	p := &r.problem
	p.name()
	p.short.Best, p.short.Second = solve.Plan{}, solve.Plan{}
	p.short.Exact, p.found = true, &p.short
	return solved{result: p.found, short: r.open()}
}

// divide lets every item of one SKU come from several sites, and says whether that changes anything.
func (p *problem) divide() (changed bool) {
	for k := range p.items {
		if it := &p.items[k]; it.SKU >= 0 && it.Whole && it.Quantity > 1 {
			it.Whole, changed = false, true
		}
	}
	return changed
}

// waysMax bounds in how many ways the units of an order are given to one set of sites, where a price list makes that a question of its own. Where
// it is reached the record says that the plan is not proven, and by how much it could be better.
const (
	waysMax  = 64
	waysWork = 2000 // items priced for one set: long orders are tried in fewer ways
)

// ruledStepsMax bounds the search of the optimizer, whose steps are larger than those of the built-in engine: a tenth of a second at most.
const ruledStepsMax = 300_000

func (r *ruled) assign() solved {
	p := &r.problem
	n, m := len(p.list), len(p.items)
	p.Sites, p.SKUs, p.Pricer, p.StepsMax = n, len(r.run.SKUs()), nil, min(r.rules.StepsMax, ruledStepsMax)
	p.WaysMax = max(min(waysMax, waysWork/max(m, 1)), 1)
	p.readItems()
	p.Cap, p.Stock, p.Free = resize(p.Cap, n*m), resize(p.Stock, n*p.SKUs), p.Free[:0]
	for at, i := range p.list {
		for k := range p.items {
			p.Cap[at*m+k] = r.run.MayGive(int(i), &p.items[k])
		}
		copy(p.Stock[at*p.SKUs:], r.run.Caps(int(i)))
		p.Free = append(p.Free, r.candidates[i].Used)
	}
	if !slices.Contains(p.Free, true) {
		p.Free = p.Free[:0]
	}
	p.SitesMax = r.sitesMax()
	p.Judge = nil
	if r.run.Rule().Split.PartValueMin > 0 {
		p.Judge = p
	}
	p.makeLevels()
	found := r.solver.Solve(&p.Problem)
	p.found = found
	out := solved{result: found, short: r.open()}
	if found.Best.Found {
		for _, g := range found.Best.Gives {
			out.units += g.Units
		}
		out.short -= out.units
	}
	out.capped = out.short > 0 && out.units < r.run.Covered()
	return out
}

// sitesMax is how many further sites the rule and the order allow. Those that earlier rules have taken count towards both limits.
func (r *ruled) sitesMax() int {
	rule := r.run.Rule()
	most := int32(rule.Split.SplitsMax)
	if left := r.req.SplitsLeft; left > 0 || len(r.req.SitesUsed) > 0 {
		most = min(most, max(left, 0))
	}
	most -= r.opened
	if r.policy == partialComplete || !slices.ContainsFunc(rule.Actions.Full, func(a ruleset.Action) bool { return a.Do == ruleset.AssignMany }) {
		most = min(most, 1)
	}
	return int(max(most, 0))
}

func (p *problem) readItems() {
	p.Items, p.parts = p.Items[:0], p.parts[:0]
	for k := range p.items {
		it := &p.items[k]
		from := len(p.parts)
		p.r.run.Parts(it, func(sku int32, units int64) { p.parts = append(p.parts, solve.Part{SKU: int(sku), Units: units}) })
		p.Items = append(p.Items, solve.Item{Quantity: it.Quantity, Whole: it.Whole, Parts: p.parts[from:len(p.parts):len(p.parts)]})
	}
}

// makeLevels turns the scores of the rule into levels, and puts those behind them that break ties.
func (p *problem) makeLevels() {
	run := &p.r.run
	p.Levels, p.names, p.curved, p.scores = p.Levels[:0], p.names[:0], p.curved[:0], p.scores[:0]
	for k := range run.Scores() {
		if _, muted, _, _ := run.Score(k); !muted {
			p.scores = append(p.scores, k)
		}
	}
	for len(p.terms) < len(p.scores) {
		p.terms = append(p.terms, ruleset.Terms{})
	}
	for at, k := range p.scores {
		run.Terms(k, p.list, p.items, &p.terms[at])
	}
	if run.Rule().Reducer == ruleset.PenaltySum {
		p.addUp()
	} else {
		for at, k := range p.scores {
			t := &p.terms[at]
			kind, _, _, _ := run.Score(k)
			if t.Curve {
				p.curved = append(p.curved, curved{len(p.Levels), at})
			}
			p.level(kind, solve.Level{Fixed: t.Fixed, Alone: t.Alone, Cost: t.Cost, Excess: t.Excess})
		}
	}
	if len(p.curved) > 0 {
		p.Pricer = p
	}
	p.breakTies()
}

func (p *problem) level(name string, l solve.Level) {
	p.names, p.Levels = append(p.names, name), append(p.Levels, l)
}

// breakTies adds the levels behind the scores: parcels, cost of the sites, distance, configured rank. Site ids come last by themselves.
func (p *problem) breakTies() {
	n, m := len(p.list), len(p.items)
	p.fixed, p.costs = resize(p.fixed, 4*n), resize(p.costs, n*m)
	parcels, cost, meters, rank := p.fixed[:n:n], p.fixed[n:2*n:2*n], p.fixed[2*n:3*n:3*n], p.fixed[3*n:]
	for at, i := range p.list {
		c := &p.r.candidates[i]
		parcels[at] = 1
		cost[at] = min(max(c.Site.CostPerOrder, 0), costMax)
		meters[at] = meterMax
		if c.DistanceM.Known {
			meters[at] = c.DistanceM.Value
		}
		rank[at] = max(c.Site.Rank, 0)
		for k := range p.items {
			units := int64(1)
			if p.items[k].Whole {
				units = p.items[k].Quantity
			}
			p.costs[at*m+k] = unitsCost(c.Site.CostPerUnit, units)
		}
	}
	p.level(levelParcels, solve.Level{Fixed: parcels})
	p.level(levelCost, solve.Level{Fixed: cost, Cost: p.costs})
	p.level(levelDistance, solve.Level{Fixed: meters})
	p.level(levelRank, solve.Level{Fixed: rank})
}

// scaleMax bounds the common denominator of penalties.
const scaleMax = 1_000_000

// share is what a score counts in a sum of penalties: times ÷ per of the sum's parts of a point.
type share struct{ times, per int64 }

// of is the share of a value, at most termMax away from zero. The product has 128 bits, so that no score is lost for its weight.
func (s share) of(v int64) int64 {
	hi, lo := bits.Mul64(magnitude(v), magnitude(s.times))
	q := uint64(termMax)
	if hi < uint64(s.per) {
		q, _ = bits.Div64(hi, lo, uint64(s.per))
	}
	if q = min(q, uint64(termMax)); (v < 0) != (s.times < 0) {
		return -int64(q)
	}
	return int64(q)
}

// readShares says what each score counts: over the least common denominator of what they count per, so that nothing is rounded; where that is too
// large, in millionths of a point, rounded toward zero.
func (p *problem) readShares() {
	run, scale := &p.r.run, int64(1)
	for _, k := range p.scores {
		_, _, _, per := run.Score(k)
		if scale = scale / gcd(scale, per) * per; scale > scaleMax {
			break
		}
	}
	p.shares = p.shares[:0]
	for _, k := range p.scores {
		_, _, weight, per := run.Score(k)
		if scale > scaleMax {
			p.shares = append(p.shares, share{weight * scaleMax, per})
		} else {
			p.shares = append(p.shares, share{weight * (scale / per), 1})
		}
	}
}

// addUp makes one level of all scores, each by its share.
func (p *problem) addUp() {
	n, m := len(p.list), len(p.items)
	p.readShares()
	alone := p.sum.Alone[:0]
	p.sum = solve.Level{Fixed: resize(p.sum.Fixed, n), Cost: resize(p.sum.Cost, n*m)}
	clear(p.sum.Fixed)
	clear(p.sum.Cost)
	for at := range p.scores {
		t, share := &p.terms[at], p.shares[at]
		share.add(p.sum.Fixed, t.Fixed)
		share.add(p.sum.Cost, t.Cost)
		if t.Alone != nil {
			if p.sum.Alone == nil {
				p.sum.Alone = resize(alone, n)
				clear(p.sum.Alone)
			}
			share.add(p.sum.Alone, t.Alone)
		}
		if t.Curve {
			p.curved = append(p.curved, curved{0, at})
			p.sum.Excess = min(p.sum.Excess+share.of(t.Excess), termMax)
		}
	}
	p.level(levelPenalty, p.sum)
}

// termMax keeps sums of terms far from overflowing.
const termMax = int64(1) << 50

func magnitude(a int64) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}

// add adds the share of each term to a sum.
func (s share) add(sum, terms []int64) {
	for i, v := range terms {
		sum[i] = min(max(sum[i]+s.of(v), -termMax), termMax)
	}
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return max(a, 1)
}

// Price implements solve.Pricer: sums where a score is one, the truth where it follows a price list.
func (p *problem) Price(site int, units, levels []int64) {
	m := len(p.items)
	all := true
	for k, u := range units {
		all = all && u == p.items[k].Quantity
	}
	for k := range p.Levels {
		l := &p.Levels[k]
		levels[k] = l.Fixed[site]
		if all && l.Alone != nil {
			levels[k] += l.Alone[site]
		}
		for i, u := range units {
			if u > 0 && l.Cost != nil {
				if p.items[i].Whole {
					u = 1
				}
				levels[k] += l.Cost[site*m+i] * u
			}
		}
	}
	for _, c := range p.curved {
		levels[c.level] += p.bend(c, site, units, all)
	}
}

// Allows implements solve.Judge: a part is worth so much, or it is the whole order.
func (p *problem) Allows(_ int, units []int64) bool {
	all := true
	var value int64
	for k, u := range units {
		all = all && u == p.items[k].Quantity
		if u > 0 {
			value = min(value+p.r.run.ValueOf(&p.items[k], u), termMax)
		}
	}
	return all || value >= p.r.run.Rule().Split.PartValueMin
}

// bend is how far the truth lies above the sums.
func (p *problem) bend(c curved, site int, units []int64, all bool) int64 {
	t, m := &p.terms[c.score], len(p.items)
	if t.Last[site] {
		return 0
	}
	sum := t.Fixed[site]
	if all && t.Alone != nil {
		sum += t.Alone[site]
	}
	for i, u := range units {
		if u > 0 {
			if p.items[i].Whole {
				u = 1
			}
			sum += t.Cost[site*m+i] * u
		}
	}
	truth := p.r.run.Curve(p.scores[c.score], int(p.list[site]), p.items, units, all)
	bend := max(truth-sum, 0)
	if p.r.run.Rule().Reducer == ruleset.PenaltySum {
		return p.shares[c.score].of(bend)
	}
	return bend
}
