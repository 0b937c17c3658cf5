package routing

import (
	"slices"
	"sync"

	"orderyard/messages"
	"orderyard/routing/ruleset"
	"orderyard/routing/solve"
)

// ruled is the memory of one decision by operators' rules, kept for the next one.
type ruled struct {
	req   *messages.PlanRequest
	view  View
	rules *Rules
	now   int64

	order  ruleset.Order
	lines  []ruleset.Line
	left   []int64 // units of each line still to be assigned
	run    ruleset.Run
	ground ground

	places     []ruledPlace   // all sites of the view, in the order of their ids
	facts      []ruleset.Site // by place
	steady     []steady       // what facts hold already
	candidates []ruleset.Candidate
	stock      []ruleset.Stock
	spare      []ruleset.Stock // of the rule before
	before     []string        // its SKUs
	prices     Prices          // nil = nobody knows, or no score asks
	at         []int32         // by candidate: its place

	solver  solve.Solver
	problem problem

	longWay bool    // tests: always ask the optimizer
	alone   bool    // the optimizer was not asked
	scores  []int64 // of the record in the making: one piece of memory for all its candidates
	silent  silence

	policy string
	given  []ruledGive
	opened int32 // new sites that rules before the present one have taken
	taken  bool  // what the optimizer found for the present rule is assigned
	plan   *messages.Plan
	record *messages.DecisionRecord
}

// steady says whose facts were taken, and from when until when they hold. Facts outlive a decision: a site says something new far less often than
// orders ask, and the memory they keep alive is a site's.
type steady struct {
	site        *Site
	from, until int64
}

// ruledPlace is a site before rules are asked.
type ruledPlace struct {
	site      *Site
	fail      test
	cause     int32 // the exclusion
	used      bool
	candidate int32 // −1 = the rules are not asked
	shown     bool  // named in the record
	meters    int64
}

// ruledGive is units of a line given by a site, both by position.
type ruledGive struct {
	place, line int32
	units       int64
}

var ruledRuns = sync.Pool{New: func() any { return new(ruled) }}

// routeByRules plans a request by operators' rules: the route that takes the order, then its rules, one after the other as long as their actions
// say so. See ruleset for what a rule judges, solve for how the units are assigned.
func routeByRules(req *messages.PlanRequest, v View, rules *Rules, now int64) *messages.Plan {
	r := ruledRuns.Get().(*ruled)
	defer r.done()
	return r.decide(req, v, rules, now)
}

func (r *ruled) decide(req *messages.PlanRequest, v View, rules *Rules, now int64) *messages.Plan {
	r.begin(req, v, rules, now)
	if r.open() == 0 {
		r.record.DecidedBy, r.record.Exact = stepNothing, true
		return r.finish()
	}
	r.run.Top(max(rules.CandidatesMax, 2))
	r.run.Begin(rules.Set, &r.order, now)
	r.look()
	match := r.run.Route()
	r.record.Strategy = rules.Set.Set.Name + "/" + match.Name
	positions := r.run.RulesOf(match.Route)
	for i, rule := range positions {
		if !r.try(match.Route, rule) || i+1 == len(positions) || r.open() == 0 {
			break
		}
	}
	return r.finish()
}

func (r *ruled) begin(req *messages.PlanRequest, v View, rules *Rules, now int64) {
	r.req, r.view, r.rules, r.now = req, v, rules, now
	r.policy = req.Partial
	if len(req.SitesUsed) > 0 {
		r.policy = partialShip
	}
	r.given, r.opened = r.given[:0], 0
	r.prices = nil
	if p, ok := v.(Priced); ok && rules.Set.AsksPrices() {
		r.prices = p.Prices(now)
	}
	r.readOrder()
	a := new(answer)
	r.plan, r.record = &a.plan, &a.record
	r.plan.PlanNo, r.plan.Cause, r.plan.RulesVersion, r.plan.Decision = req.PlanNo, req.Cause, rules.Version, r.record
}

// done gives the memory back, without what belongs to the caller.
func (r *ruled) done() {
	r.run.Done()
	clear(r.lines)
	clear(r.places)
	clear(r.candidates)
	clear(r.before)
	r.order = ruleset.Order{}
	r.scores, r.silent = nil, silence{}
	r.req, r.view, r.rules, r.plan, r.record, r.prices = nil, nil, nil, nil, nil, nil
	ruledRuns.Put(r)
}

// open is how many units are still to be assigned.
func (r *ruled) open() (units int64) {
	for _, n := range r.left {
		units += n
	}
	return units
}

// try asks one rule about what is left, and does what its actions say. It reports whether the next rule is to be asked.
func (r *ruled) try(route, rule int) (next bool) {
	r.run.Try(route, rule, r.candidates)
	solved := r.solve()
	if solved.short > 0 && solved.capped {
		solved = r.giveWay(route, rule, solved)
	}
	outcome := ruleset.Full
	switch {
	case solved.units == 0:
		outcome = ruleset.None
	case solved.short > 0:
		outcome = ruleset.Partial
	}
	actions := r.run.Rule().Actions.For(outcome)
	assign := false
	for _, a := range actions {
		switch a.Do {
		case ruleset.AssignOne, ruleset.AssignMany:
			assign = true
		case ruleset.NextRule:
			next = true
		default:
			r.plan.Actions = append(r.plan.Actions, &messages.PlanAction{Do: a.Do, Word: a.Word, Days: a.Days})
		}
	}
	r.taken = assign && (r.policy == partialShip || solved.short == 0)
	before := len(r.given)
	r.evidence(outcome, &solved)
	if r.taken {
		r.take(&solved)
	}
	if next {
		r.plan.Actions = nil // the next rule says what becomes of the rest
		r.again(r.given[before:])
	}
	return next
}

// waysToGiveMax bounds how often the optimizer is asked for one rule: each time may take it a tenth of a second. Rules by hand have a few back-ups and ranks.
const waysToGiveMax = 32

// giveWay asks a rule further back-ups, and then drops soft filters, where the sites have enough together but so many of them are not allowed. It ends
// where all is given, else with the hardest of the ways that give most.
func (r *ruled) giveWay(route, rule int, found solved) solved {
	best, least := r.run.Hardness(), found.short
	for range waysToGiveMax {
		next, ok := r.run.Softer()
		if !ok {
			break
		}
		r.run.TryFrom(route, rule, r.candidates, next)
		if found = r.solve(); found.short < least {
			best, least = r.run.Hardness(), found.short
		}
		if least == 0 {
			return found
		}
	}
	if r.run.Hardness() != best {
		r.run.TryFrom(route, rule, r.candidates, best)
		found = r.solve()
	}
	return found
}

// again begins anew with the units that are left, for the next rule, in the yard that the first one saw: the view is not asked again, for it may say
// something else by now. What the rules before have assigned is gone: its units are off the stock, and its sites have work of the order. A price stays
// that of the whole stock, which is the one in the record.
func (r *ruled) again(given []ruledGive) {
	before := append(r.before[:0], r.run.SKUs()...)
	r.before = before
	for _, g := range given {
		p := &r.places[g.place]
		if !p.used {
			p.used = true
			r.opened++
		}
		c := &r.candidates[p.candidate]
		c.Used = true
		c.Stock[slices.Index(before, r.lines[g.line].SKU)].ATP -= g.units
	}
	for i := range r.lines {
		r.lines[i].Quantity = r.left[i]
	}
	r.run.Begin(r.rules.Set, &r.order, r.now)
	r.moveStock(before)
}

// moveStock puts the stock of every candidate into the order of the SKUs that are still needed.
func (r *ruled) moveStock(before []string) {
	skus := r.run.SKUs()
	if slices.Equal(before, skus) {
		return
	}
	r.stock, r.spare = resize(r.spare, len(r.candidates)*len(skus)), r.stock
	from := make([]int, len(skus))
	for k, sku := range skus {
		from[k] = slices.Index(before, sku)
	}
	for i := range r.candidates {
		c, stock := &r.candidates[i], r.stock[i*len(skus):(i+1)*len(skus)]
		for k, at := range from {
			stock[k] = c.Stock[at]
		}
		c.Stock = stock
	}
}
