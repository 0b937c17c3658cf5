package routing

import (
	"cmp"
	"fmt"
	"slices"

	"orderyard/messages"
	"orderyard/routing/ruleset"
	"orderyard/routing/solve"
)

// take assigns what the optimizer found: its units go to lines, whole lines first.
func (r *ruled) take(s *solved) {
	p := &r.problem
	for _, g := range s.result.Best.Gives {
		r.giveLines(&p.items[g.Item], r.at[p.list[g.Site]], g.Units)
	}
}

// giveLines gives units of an item to its lines, so that few lines are cut: whole lines that fit first, the largest ones first, then what is left.
func (r *ruled) giveLines(it *ruleset.Item, place int32, units int64) {
	for _, whole := range []bool{true, false} {
		for units > 0 {
			best := int32(-1)
			for _, k := range it.Lines {
				if n := r.left[k]; n > 0 && (!whole || n <= units) && (best < 0 || whole && n > r.left[best]) {
					best = k
				}
			}
			if best < 0 {
				break
			}
			n := min(units, r.left[best])
			r.given = append(r.given, ruledGive{place, best, n})
			r.left[best] -= n
			units -= n
		}
	}
}

// evidence writes down what the rule said, and how the optimizer chose. The last rule asked, or the one that assigned, stands in the record. Of a plan
// that is not taken it says why.
func (r *ruled) evidence(outcome ruleset.Outcome, s *solved) {
	if len(r.given) > 0 {
		return // an earlier rule has assigned the larger part
	}
	d, p, best := r.record, &r.problem, &s.result.Best
	d.Rule, d.Outcome, d.Exact = r.run.Rule().Name, outcome.String(), s.result.Exact
	d.Levels, d.Objective, d.Bound = p.names, nil, nil
	d.RunnerUp, d.RunnerUpObjective = nil, nil
	d.Levels = slices.Clone(p.names)
	d.Dropped, d.Muted, d.Scores = r.names()
	if r.taken {
		d.Objective, d.Bound, d.BoundShort = slices.Clone(best.Levels), slices.Clone(s.result.Bound), s.result.BoundShort
		d.DecidedBy = r.decidedBy(s)
	} else {
		d.DecidedBy = r.refusedBy(s)
	}
	if second := &s.result.Second; r.taken && second.Found {
		d.RunnerUpObjective, d.RunnerUpShort = slices.Clone(second.Levels), second.Short
		for _, j := range second.Sites {
			d.RunnerUp = append(d.RunnerUp, r.candidates[p.list[j]].Site.ID)
		}
	}
	r.nameRuled(d)
	r.others(d)
	d.Inputs, d.Priced = r.inputs(), r.prices != nil
}

// refusedBy is why nothing was assigned: the sites have enough together, but so many are not allowed; or they have not.
func (r *ruled) refusedBy(s *solved) string {
	if !s.capped || r.sitesOf(&s.result.Best) < r.sitesMax() {
		return stepStock
	}
	if r.policy == partialComplete {
		return stepComplete
	}
	return stepSplitsMax
}

// sitesOf is how many further sites a plan takes.
func (r *ruled) sitesOf(plan *solve.Plan) (n int) {
	if !plan.Found {
		return 0
	}
	for _, j := range plan.Sites {
		if !r.candidates[r.problem.list[j]].Used {
			n++
		}
	}
	return n
}

// decidedBy is the first level in which the runner-up is worse.
func (r *ruled) decidedBy(s *solved) string {
	if !s.result.Second.Found {
		return stepOnlyChoice
	}
	switch at := s.result.Difference(); {
	case at < 0:
		return stepUnits
	case at < len(r.problem.names):
		return r.problem.names[at]
	}
	return stepSiteID
}

func (r *ruled) names() (dropped, muted, scores []string) {
	rule := r.run.Rule()
	for _, i := range r.run.Dropped() {
		dropped = append(dropped, rule.Filters[i].Kind)
	}
	for _, i := range r.run.Muted() {
		muted = append(muted, rule.Scores[i].Kind)
	}
	scores = make([]string, len(rule.Scores))
	for i := range rule.Scores {
		scores[i] = rule.Scores[i].Kind
	}
	return dropped, muted, scores
}

// nameRuled records the sites looked at: those that give, then those that passed, best first, then the others from the nearest on.
func (r *ruled) nameRuled(d *messages.DecisionRecord) {
	most := max(r.rules.CandidatesMax, 0)
	d.Candidates = nil
	shown := make([]int32, 0, min(most, len(r.places)))
	for i := range r.places {
		r.places[i].shown = false
	}
	add := func(place int32) {
		if len(shown) < most && !r.places[place].shown {
			shown = append(shown, place)
			r.places[place].shown = true
		}
	}
	for _, i := range r.chosen() {
		add(r.at[i])
	}
	for _, i := range r.run.Ranking() {
		add(r.at[i])
	}
	if len(shown) < most {
		rest := make([]int32, 0, len(r.places))
		for i := range r.places {
			rest = append(rest, int32(i))
		}
		slices.SortStableFunc(rest, func(a, b int32) int { return cmp.Compare(r.places[a].meters, r.places[b].meters) })
		for _, i := range rest {
			add(i)
		}
	}
	candidates := make([]messages.Candidate, len(shown))
	d.Candidates = make([]*messages.Candidate, len(shown))
	width := len(r.run.SKUs())
	numbers := make([]int64, len(shown)*width)
	for i, place := range shown {
		c := &candidates[i]
		d.Candidates[i] = c
		r.nameOne(c, place)
		if at := r.places[place].candidate; at >= 0 {
			r.saw(c, int(at), numbers[i*width:i*width:(i+1)*width])
		}
	}
}

// others keeps the numbers of sites in reach that the evidence does not name.
func (r *ruled) others(d *messages.DecisionRecord) {
	d.Others, d.OtherNumbers = nil, nil
	left := 0
	for i := range r.candidates {
		if r.stocked(i) && !r.places[r.at[i]].shown {
			left++
		}
	}
	if left == 0 {
		return
	}
	left = min(left, othersMax)
	d.Others = make([]string, 0, left)
	numbers := make([]int64, 0, left*seenWidth(len(r.run.SKUs()), r.prices != nil))
	for i := range r.candidates {
		if !r.stocked(i) || r.places[r.at[i]].shown || len(d.Others) == left {
			continue
		}
		c := &r.candidates[i]
		d.Others = append(d.Others, c.Site.ID)
		for k := range c.Stock {
			numbers = append(numbers, c.Stock[k].ATP)
		}
		numbers = r.sawPrices(numbers, i)
		f := c.Site
		numbers = append(numbers, told(f.LoadPermille), told(f.CapacityLeft), told(f.OrdersInWindow), told(f.OrderLimit))
	}
	d.OtherNumbers = numbers
}

const (
	// othersMax bounds the sites whose numbers a record keeps beside those it names. With more of them in reach the decision cannot be made
	// again from its record.
	othersMax = 200
	// seenNumbers are those of a site beside its stock.
	seenNumbers = 4
)

func (r *ruled) stocked(candidate int) bool {
	for _, s := range r.candidates[candidate].Stock {
		if s.ATP > 0 {
			return true
		}
	}
	return false
}

// saw writes down the numbers that routing had of a site.
func (r *ruled) saw(c *messages.Candidate, candidate int, numbers []int64) {
	for _, s := range r.candidates[candidate].Stock {
		numbers = append(numbers, s.ATP)
	}
	c.Stock = numbers
	r.namePrices(c, candidate)
	f := r.candidates[candidate].Site
	c.Load, c.CapacityLeft, c.OrdersInWindow, c.OrderLimit = told(f.LoadPermille), told(f.CapacityLeft), told(f.OrdersInWindow), told(f.OrderLimit)
}

// told writes a number that may be unknown: one more than it is.
func told(n ruleset.Number) int64 {
	if !n.Known || n.Value < 0 {
		return 0
	}
	return n.Value + 1
}

// heard reads what told wrote.
func heard(v int64) ruleset.Number { return ruleset.Number{Value: max(v-1, 0), Known: v > 0} }

// inputs are what the question held beside the order.
func (r *ruled) inputs() *messages.DecisionInputs {
	q := r.req
	in := &messages.DecisionInputs{
		NowMs: r.now, Partial: q.Partial, SplitsLeft: q.SplitsLeft, Exclusions: q.Exclusions, Known: q.Known, SitesUsed: q.SitesUsed, Queue: q.Queue,
		Preselected: q.Preselected, PlacedAtMs: q.PlacedAtMs, Needs: make([]*messages.LineQuantity, len(q.Needs)),
	}
	quantities := make([]messages.LineQuantity, len(q.Needs))
	for i, n := range q.Needs {
		quantities[i].Line, quantities[i].Quantity = n.Line, n.Quantity
		in.Needs[i] = &quantities[i]
	}
	return in
}

// chosen are the candidates that give in the best plan, if it is taken.
func (r *ruled) chosen() []int32 {
	if !r.taken {
		return nil
	}
	var list []int32
	for _, j := range r.problem.found.Best.Sites {
		list = append(list, r.problem.list[j])
	}
	return list
}

func (r *ruled) nameOne(c *messages.Candidate, place int32) {
	p := &r.places[place]
	c.Site, c.DistanceM = p.site.ID, p.meters
	switch p.fail {
	case testStatus:
		c.Filter, c.Expected, c.Actual = testNames[p.fail], statusOnline, p.site.Status
	case testPaused:
		c.Filter, c.Expected, c.Actual = testNames[p.fail], "not paused", pausedUntil+timeText(p.site.PausedUntil)
	case testExcluded:
		c.Filter, c.Expected, c.Actual = testNames[p.fail], "not excluded", exclusionText(r.req.Exclusions[p.cause])
	}
	if p.candidate < 0 {
		return
	}
	v := r.run.Verdicts()[p.candidate]
	rule := r.run.Rule()
	c.Abstained = r.abstained(rule, v.Abstained)
	if v.Failed != ruleset.Passed {
		c.Filter, c.Expected, c.Actual = r.run.Explain(int(p.candidate))
		if e := r.excludedSKU(p.site.ID); e != nil && v.Failed != ruleset.FailedBackup && v.Units == 0 {
			c.Filter, c.Expected, c.Actual = testNames[testExcluded], "not excluded", exclusionText(e)
		}
		return
	}
	c.Units, c.Penalty, c.Unscored = v.Units, v.Penalty, v.Unscored
	if len(r.scores)+r.run.Scores() > cap(r.scores) {
		r.scores = make([]int64, 0, max(r.rules.CandidatesMax, 1)*r.run.Scores())
	}
	from := len(r.scores)
	r.scores = r.run.Natural(int(p.candidate), r.scores)
	c.Scores = r.scores[from:len(r.scores):len(r.scores)]
	c.Chosen = slices.Contains(r.chosen(), p.candidate)
}

// pausedUntil begins what a record says of a paused site.
const pausedUntil = "until "

// abstained names the filters that had no fact to go by. Sites of one network mostly lack the same facts, so the last answer is often the next one.
func (r *ruled) abstained(rule *ruleset.Rule, mask uint32) []string {
	if mask == 0 {
		return nil
	}
	if r.silent.rule != rule || r.silent.mask != mask {
		r.silent = silence{rule: rule, mask: mask}
		for k := range rule.Filters {
			if mask&(1<<k) != 0 {
				r.silent.names = append(r.silent.names, rule.Filters[k].Kind)
			}
		}
	}
	return r.silent.names
}

// silence is what a set of filters that abstained is called.
type silence struct {
	rule  *ruleset.Rule
	mask  uint32
	names []string // shared by records, which are read only
}

// excludedSKU finds the exclusion that keeps a SKU of the order from a site; the longest one.
func (r *ruled) excludedSKU(site string) (found *messages.Exclusion) {
	for _, e := range r.req.Exclusions {
		if e.Sku != "" && e.Site == site && r.active(e) && slices.Contains(r.run.SKUs(), e.Sku) && (found == nil || longer(e, found)) {
			found = e
		}
	}
	return found
}

// finish makes the plan of what was given: parcels with the nearest site first, lines in their order, and what nobody gives.
func (r *ruled) finish() *messages.Plan {
	slices.SortFunc(r.given, func(a, b ruledGive) int {
		if a.place != b.place {
			return cmp.Or(cmp.Compare(r.places[a.place].meters, r.places[b.place].meters), cmp.Compare(a.place, b.place))
		}
		return cmp.Compare(a.line, b.line)
	})
	r.mergeGiven()
	quantities := make([]messages.LineQuantity, len(r.given))
	for i, g := range r.given {
		q := &quantities[i]
		q.Line, q.Quantity = r.lines[g.line].Number, g.units
		n := len(r.plan.Assignments)
		if n == 0 || r.given[i-1].place != g.place {
			s := &r.places[g.place]
			r.plan.Assignments = append(r.plan.Assignments, &messages.Assignment{Site: s.site.ID, DistanceM: s.meters})
			r.record.DistanceM += s.meters
			r.record.Cost += min(max(s.site.CostPerOrder, 0), costMax)
			n++
		}
		a := r.plan.Assignments[n-1]
		a.Lines = append(a.Lines, q)
		r.record.Cost += unitsCost(r.places[g.place].site.CostPerUnit, g.units)
	}
	for i, n := range r.req.Needs {
		if n.Quantity > unitsMax { // what was not even counted is short as well
			r.plan.Short = append(r.plan.Short, &messages.LineQuantity{Line: r.req.Needs[i].Line, Quantity: n.Quantity - unitsMax})
		}
	}
	for i, units := range r.left {
		if units > 0 {
			r.short(r.lines[i].Number, units)
		}
	}
	slices.SortFunc(r.plan.Short, func(a, b *messages.LineQuantity) int { return cmp.Compare(a.Line, b.Line) })
	r.note()
	return r.plan
}

func (r *ruled) short(line uint32, units int64) {
	for _, s := range r.plan.Short {
		if s.Line == line {
			s.Quantity += units
			return
		}
	}
	r.plan.Short = append(r.plan.Short, &messages.LineQuantity{Line: line, Quantity: units})
}

// mergeGiven joins units of one line from one site, which come in several steps.
func (r *ruled) mergeGiven() {
	kept := r.given[:0]
	for _, g := range r.given {
		if n := len(kept); n > 0 && kept[n-1].place == g.place && kept[n-1].line == g.line {
			kept[n-1].units += g.units
			continue
		}
		kept = append(kept, g)
	}
	r.given = kept
}

// unproven says how far the proof goes: up to which level, and by how much a plan could be better there.
func unproven(d *messages.DecisionRecord) string {
	for k := range min(len(d.Objective), len(d.Bound)) {
		if gap := d.Objective[k] - d.Bound[k]; gap > 0 {
			return fmt.Sprintf("proven best but for %s, which another plan might have up to %d lower", d.Levels[k], gap)
		}
	}
	return "the plan is not proven to be the best"
}

func (r *ruled) note() {
	if len(r.lines) > 0 && r.ground.offMap {
		r.record.Note = "the destination is not on the map: every distance counts as unknown"
	}
	if !r.record.Exact {
		if r.record.Note != "" {
			r.record.Note += "; "
		}
		r.record.Note += unproven(r.record)
	}
}
