package routing

import (
	"slices"

	"orderyard/routing/ruleset"
	"orderyard/routing/solve"
)

// single answers without the optimizer when it can prove that one site alone is best and that another one alone comes second: each of them gives
// everything, and the first score of the rule counts parts, which one parcel has none of and several always have. Then the order of sites that the
// rule has made already is the order of plans. Most orders end here; TestSingleIsBest holds it against the optimizer.
func (r *ruled) single() (solved, bool) {
	ranking := r.run.Ranking()
	if len(ranking) < 2 || len(r.req.SitesUsed) > 0 || r.opened > 0 || r.sitesMax() < 1 || !r.countsPartsFirst() {
		return solved{}, false
	}
	units := r.open()
	for _, i := range ranking[:2] {
		if v := &r.run.Verdicts()[i]; v.Short != 0 || v.Units != units {
			return solved{}, false
		}
	}
	p := &r.problem
	p.r, p.items = r, r.run.Items()
	p.list = append(p.list[:0], ranking[0], ranking[1])
	p.name()
	s := &p.short
	best, second := &s.Best, &s.Second
	best.Found, best.Sites, best.Short, best.Gives = true, append(best.Sites[:0], 0), 0, best.Gives[:0]
	second.Found, second.Sites, second.Short = true, append(second.Sites[:0], 1), 0
	for k := range p.items {
		best.Gives = append(best.Gives, solve.Give{Site: 0, Item: k, Units: p.items[k].Quantity})
	}
	best.Levels, second.Levels = r.levelsAlone(best.Levels[:0], 0), r.levelsAlone(second.Levels[:0], 1)
	s.Exact, s.BoundShort, s.Bound, s.Compared = true, 0, append(s.Bound[:0], best.Levels...), len(best.Levels)
	p.found = s
	return solved{result: s, units: units}, true
}

// countsPartsFirst says that the rule compares score by score, parts first, and that each of its scores says of a plan from one site what it says of
// the site.
func (r *ruled) countsPartsFirst() bool {
	if r.run.Rule().Reducer == ruleset.PenaltySum {
		return false
	}
	first := true
	for k := range r.run.Scores() {
		kind, muted, _, _ := r.run.Score(k)
		if muted {
			continue
		}
		if first && kind != ruleset.FewestParts || ruleset.AddsUp(kind) {
			return false
		}
		first = false
	}
	return !first
}

// name names the levels of the objective.
func (p *problem) name() {
	p.names, p.scores = p.names[:0], p.scores[:0]
	for k := range p.r.run.Scores() {
		if kind, muted, _, _ := p.r.run.Score(k); !muted {
			p.names, p.scores = append(p.names, kind), append(p.scores, k)
		}
	}
	p.names = append(p.names, levelParcels, levelCost, levelDistance, levelRank)
}

// levelsAlone is the objective of a plan from one site that gives everything.
func (r *ruled) levelsAlone(into []int64, at int) []int64 {
	p := &r.problem
	i := p.list[at]
	losses := r.run.Losses(int(i))
	for _, k := range p.scores {
		into = append(into, r.run.Level(k, losses[k]))
	}
	c := &r.candidates[i]
	cost, meters := min(max(c.Site.CostPerOrder, 0), costMax), int64(meterMax)
	for k := range p.items {
		cost += unitsCost(c.Site.CostPerUnit, p.items[k].Quantity)
	}
	if c.DistanceM.Known {
		meters = c.DistanceM.Value
	}
	return append(into, 1, cost, meters, max(c.Site.Rank, 0))
}

// sortedList puts the candidates that take part in the order of their places in the view: the optimizer's site numbers.
func (p *problem) sortedList(ranking []int32) {
	p.list = append(p.list[:0], ranking...)
	slices.Sort(p.list)
}
