package ruleset

import (
	"cmp"
	"math"
	"slices"
)

// Outcome is how much of an order a rule can serve.
type Outcome uint8

const (
	// None: no site that passes has anything.
	None Outcome = iota
	// Partial: some units, or all of them but not in the way that the rule's full action assigns.
	Partial
	// Full: everything, in the way that the rule's full action assigns.
	Full
)

func (o Outcome) String() string { return [...]string{"none", "partial", "full"}[o] }

// Try judges the candidates by a rule of a route, as hard as the order allows: all filters and no back-ups first; while that does not
// serve the order in full it asks the back-ups, one after the other; then it drops the soft filters of the lowest rank, and so on. It
// keeps the hardest way that serves most. Candidates are judged one by one; what several can do together is counted, not optimized:
// the optimizer, which sees Caps and Blocked, has the last word. The candidates must not change until the run begins anew.
func (r *Run) Try(route, rule int, candidates []Candidate) Outcome {
	return r.TryFrom(route, rule, candidates, Hardness{})
}

// Hardness is how far a rule gives way: so many ranks of soft filters dropped, so many back-ups asked. The first one counts more.
type Hardness struct{ Dropped, Backups int }

// Hardness is that of the last Try.
func (r *Run) Hardness() Hardness { return Hardness{r.level, int(r.admitted)} }

// Softer is the next way to give: with the next back-up that has something, else with the next rank of soft filters dropped and no back-up. It is false
// when there is none.
func (r *Run) Softer() (Hardness, bool) {
	next := int32(math.MaxInt32)
	for i := range r.verdicts {
		if v := &r.verdicts[i]; v.Failed == FailedBackup {
			next = min(next, v.Backup)
		}
	}
	if next < math.MaxInt32 {
		return Hardness{r.level, int(next)}, true
	}
	return Hardness{r.level + 1, 0}, r.level < r.rule.levels
}

// TryFrom is Try that gives way so far from the beginning: for an optimizer that could not serve the order by giving way less.
func (r *Run) TryFrom(route, rule int, candidates []Candidate, from Hardness) Outcome {
	r.prepare(&r.c.routes[route].rules[rule], candidates)
	best, backups := reach{}, int32(from.Backups)
	for level := from.Dropped; ; level++ {
		r.level = level
		for i := range r.candidates {
			r.judge(i)
		}
		got := r.admit(backups)
		got.level, backups = level, 0
		if level == from.Dropped || got.more(best) {
			best = got
		}
		if got.outcome == Full || level >= r.rule.levels {
			break
		}
	}
	if r.level != best.level {
		r.level = best.level
		for i := range r.candidates {
			r.judge(i)
		}
	}
	r.settle(best.admitted)
	return r.outcome()
}

// reach is what one hardness serves.
type reach struct {
	outcome  Outcome
	covered  int64
	level    int
	admitted int32
}

// more: a better outcome, or more units. Otherwise the harder one, which came first, stays.
func (a reach) more(b reach) bool {
	return a.outcome > b.outcome || a.outcome == b.outcome && a.covered > b.covered
}

// prepare sizes the memory for a rule.
func (r *Run) prepare(rule *rule, candidates []Candidate) {
	r.rule, r.candidates, r.plenty, r.blocks = rule, candidates, false, false
	n := len(candidates)
	r.verdicts = resize(r.verdicts, n)
	clear(r.verdicts)
	r.caps = resize(r.caps, n*len(r.skus))
	r.blocked = resize(r.blocked, n*len(r.lineSKU))
	r.gives = resize(r.gives, n*len(r.lineSKU))
	r.losses = resize(r.losses, n*len(rule.scores))
	r.asked = resize(r.asked, len(rule.filters)+len(rule.scores))
	r.ready = resize(r.ready, len(r.asked))
	clear(r.ready)
	r.numberBackups()
}

// numberBackups gives the back-ups their turns: in the order written, those in the destination's country first when the rule says so.
func (r *Run) numberBackups() {
	sites := r.rule.Backups.Sites
	if len(sites) == 0 {
		return
	}
	turn := int32(0)
	for _, domestic := range []bool{true, false} {
		for _, id := range sites {
			i := slices.IndexFunc(r.candidates, func(c Candidate) bool { return c.Site.ID == id })
			if i < 0 {
				continue
			}
			near := !r.rule.Backups.Domestic || r.candidates[i].Site.Country == r.order.Country
			if near == domestic {
				turn++
				r.verdicts[i].Backup = turn
			}
		}
	}
}

// admit asks back-ups, so many at once and then one after the other, until the order is served in full or none is left, and says how far that got.
func (r *Run) admit(from int32) reach {
	turns := int32(0)
	for i := range r.verdicts {
		turns = max(turns, r.verdicts[i].Backup)
	}
	best := reach{}
	for admitted := from; admitted <= max(turns, from); admitted++ {
		r.admitted = admitted
		r.cover()
		got := reach{outcome: r.outcome(), covered: r.covered, admitted: admitted}
		if admitted == from || got.more(best) {
			best = got
		}
		if got.outcome == Full {
			break
		}
	}
	return best
}

// passes says that a candidate may give: it passed, and if it is a back-up it was its turn.
func (r *Run) passes(i int) bool {
	v := &r.verdicts[i]
	return v.Failed == Passed && v.Backup <= r.admitted
}

// cover counts the units that the passing candidates have together.
func (r *Run) cover() {
	r.union = resize(r.union, len(r.skus))
	clear(r.union)
	for i := range r.verdicts {
		if !r.passes(i) {
			continue
		}
		for k, units := range r.Gives(i) {
			if units > 0 {
				r.union[r.lineSKU[k]] = addSat(r.union[r.lineSKU[k]], units)
			}
		}
	}
	r.covered = 0
	for k, units := range r.union {
		r.covered += min(units, r.needs[k])
	}
}

// Most is an upper bound of the units that the passing candidates can give together, whatever keeps lines together.
func (r *Run) Most() (units int64) {
	for k := range r.skus {
		var sum int64
		for i := range r.verdicts {
			if r.passes(i) {
				sum = addSat(sum, r.Caps(i)[k])
			}
		}
		units += min(sum, r.needs[k])
	}
	return units
}

// Covered is how many units the passing candidates have together, each giving what it would give alone: more than a plan can assign when sites are
// capped, less when lines that stay together compete for a SKU.
func (r *Run) Covered() int64 { return r.covered }

// outcome compares what was reached with what the full action assigns.
func (r *Run) outcome() Outcome {
	single := false
	for i := range r.verdicts {
		single = single || r.passes(i) && r.verdicts[i].Short == 0
	}
	many := does(r.rule.Actions.Full, AssignMany) && r.rule.Split.SplitsMax > 1
	switch {
	case single || many && r.covered == r.all.units && r.all.units > 0:
		return Full
	case r.covered > 0:
		return Partial
	}
	return None
}

// settle scores and ranks the candidates that pass.
func (r *Run) settle(admitted int32) {
	r.admitted, r.mute = admitted, 0
	r.ranking = r.ranking[:0]
	r.last = resize(r.last, len(r.rule.scores))
	for k := range r.last {
		r.last[k] = math.MinInt64
	}
	for i := range r.verdicts {
		if v := &r.verdicts[i]; v.Failed == Passed && v.Backup > admitted {
			v.Failed = FailedBackup
		}
		if r.verdicts[i].Failed != Passed {
			continue
		}
		r.rate(i)
		for k, loss := range r.Losses(i) {
			switch {
			case loss != never:
				r.last[k] = max(r.last[k], loss)
			case r.verdicts[i].Unscored&(1<<k) != 0 && r.rule.scores[k].Missing == missingSkip:
				r.mute |= 1 << k
			}
		}
		r.ranking = append(r.ranking, int32(i))
	}
	for k, worst := range r.last {
		if r.last[k] = addSat(worst, 1); worst == math.MinInt64 {
			r.last[k] = 0 // all come last, so nobody does
		}
	}
	if r.rule.Reducer == PenaltySum {
		r.punish()
	}
	r.cover()
	r.rank()
}

// rank puts the best first: all of them, or only as many as somebody wants to see (see Top), which takes a third of the comparisons.
func (r *Run) rank() {
	n := len(r.ranking)
	if r.top == 0 || n <= 2*r.top {
		slices.SortFunc(r.ranking, func(a, b int32) int { c, _ := r.compare(a, b); return c })
		return
	}
	for at := 1; at < n; at++ {
		i := r.ranking[at]
		last := min(at, r.top) - 1
		if c, _ := r.compare(i, r.ranking[last]); c >= 0 {
			continue // behind all that count
		}
		r.ranking[at] = r.ranking[last] // the last one of them makes room, further behind
		for last > 0 {
			if c, _ := r.compare(i, r.ranking[last-1]); c >= 0 {
				break
			}
			r.ranking[last] = r.ranking[last-1]
			last--
		}
		r.ranking[last] = i
	}
}

// Top says that only so many of the best candidates need be in their order in Ranking; the others follow in one that depends on the candidates
// alone. 0 = all.
func (r *Run) Top(n int) { r.top = n }

// punish adds up the penalties, and drops the candidates above the most a rule takes.
func (r *Run) punish() {
	kept := r.ranking[:0]
	for _, i := range r.ranking {
		v := &r.verdicts[i]
		v.Penalty = r.penalty(int(i))
		if r.rule.PenaltyMax > 0 && v.Penalty > r.rule.PenaltyMax {
			v.Failed = FailedPenalty
			continue
		}
		kept = append(kept, i)
	}
	r.ranking = kept
}

// penalty is the sum of a candidate's scores by weight. Scores that prefer more lower it; one in which the candidate comes last counts one more than
// that of the worst other.
func (r *Run) penalty(candidate int) int64 {
	sum := int64(0)
	for k, loss := range r.Losses(candidate) {
		if loss == never {
			loss = r.last[k]
		}
		if r.mute&(1<<k) == 0 {
			sum = addSat(sum, mulDiv(loss, r.rule.scores[k].Weight, r.rule.scores[k].Per))
		}
	}
	return sum
}

// compare puts the better candidate first and names the step that decided: units, the scores, distance, site rank, site id.
func (r *Run) compare(a, b int32) (order int, step string) {
	x, y := &r.verdicts[a], &r.verdicts[b]
	if c := cmp.Compare(y.Units, x.Units); c != 0 {
		return c, "units"
	}
	if r.rule.Reducer == PenaltySum {
		if c := cmp.Compare(x.Penalty, y.Penalty); c != 0 {
			return c, "penalty"
		}
	} else {
		p, q := r.Losses(int(a)), r.Losses(int(b))
		for k := range p {
			if p[k] != q[k] && r.mute&(1<<k) == 0 {
				return cmp.Compare(p[k], q[k]), r.rule.Scores[k].Kind
			}
		}
	}
	s, t := &r.candidates[a], &r.candidates[b]
	if c := cmp.Compare(s.Site.costOf(x.Units), t.Site.costOf(y.Units)); c != 0 {
		return c, "cost of sites"
	}
	if c := cmp.Compare(s.meters(), t.meters()); c != 0 {
		return c, "distance"
	}
	if c := cmp.Compare(s.Site.Rank, t.Site.Rank); c != 0 {
		return c, "site_rank"
	}
	return cmp.Compare(s.Site.ID, t.Site.ID), "site_id"
}

// costOf is what the site itself asks for a part of so many units.
func (s *Site) costOf(units int64) int64 {
	return addSat(max(s.CostPerOrder, 0), mulSat(max(s.CostPerUnit, 0), units))
}

// meters puts sites that are not on the map last.
func (c *Candidate) meters() int64 {
	if c.DistanceM.Known {
		return c.DistanceM.Value
	}
	return math.MaxInt64
}

// DecidedBy names the step that put the winner before the runner-up; "only_choice" when there is none, "" when there is no winner.
func (r *Run) DecidedBy() string {
	switch len(r.ranking) {
	case 0:
		return ""
	case 1:
		return "only_choice"
	}
	_, step := r.compare(r.ranking[0], r.ranking[1])
	return step
}

// WaitAt is the site at which units wait when neither the rule's sites nor its back-ups have them: the best of the former if all of
// them had everything. It is "" for a rule without back-ups. Call it before Try for the same rule: it judges the candidates anew.
func (r *Run) WaitAt(route, rule int, candidates []Candidate) string {
	r.prepare(&r.c.routes[route].rules[rule], candidates)
	if len(r.rule.Backups.Sites) == 0 {
		return ""
	}
	r.level, r.plenty = 0, true
	for i := range r.candidates {
		r.judge(i)
	}
	r.settle(0)
	r.plenty = false
	if len(r.ranking) == 0 {
		return ""
	}
	return r.candidates[r.ranking[0]].Site.ID
}
