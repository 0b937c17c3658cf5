package routing

import (
	"cmp"
	"slices"

	"orderyard/messages"
)

// answer is a plan with all that belongs to it, allocated in a few pieces: plans are made at the rate of orders.
type answer struct {
	plan   messages.Plan
	record messages.DecisionRecord
}

// plan writes down the best solution: parcels with the nearest site first, lines in their order.
func (r *run) plan() *messages.Plan {
	a := new(answer)
	p, d := &a.plan, &a.record
	p.PlanNo, p.Cause, p.RulesVersion, p.Decision = r.req.PlanNo, r.req.Cause, r.rules.Version, d
	d.Strategy, d.DecidedBy, d.Exact = r.strategy(), r.out.decidedBy, r.out.exact
	r.pieces = r.pieces[:0]
	if r.best.found {
		_, d.Cost = r.allocate(r.best.sites)
		slices.SortFunc(r.pieces, func(x, y piece) int {
			if x.at != y.at {
				return cmp.Compare(x.at, y.at)
			}
			return cmp.Compare(x.need, y.need)
		})
	}
	r.assign(p)
	for _, s := range p.Assignments {
		d.DistanceM += s.DistanceM
	}
	d.Note = r.note()
	r.nameCandidates(d)
	return p
}

// assign turns pieces into assignments, and what no piece covers into shortages.
func (r *run) assign(p *messages.Plan) {
	r.given = resize(r.given, len(r.needs))
	clear(r.given)
	parcels := 0
	for i, c := range r.pieces {
		r.given[c.need] += c.qty
		if i == 0 || r.pieces[i-1].at != c.at {
			parcels++
		}
	}
	short := 0
	for i := range r.needs {
		if r.needs[i].asked > r.given[i] {
			short++
		}
	}
	quantities := make([]messages.LineQuantity, len(r.pieces)+short)
	lines := make([]*messages.LineQuantity, len(quantities))
	for i := range quantities {
		lines[i] = &quantities[i]
	}
	if parcels > 0 {
		assignments := make([]messages.Assignment, parcels)
		p.Assignments = make([]*messages.Assignment, parcels)
		n, from := -1, 0
		for i, c := range r.pieces {
			if i == 0 || r.pieces[i-1].at != c.at {
				n, from = n+1, i
				p.Assignments[n] = &assignments[n]
				assignments[n].Site, assignments[n].DistanceM = r.ids[r.places[c.at].id], r.places[c.at].meters
			}
			quantities[i].Line, quantities[i].Quantity = r.needs[c.need].line, c.qty
			assignments[n].Lines = lines[from : i+1 : i+1]
		}
	}
	if short == 0 {
		return
	}
	p.Short = lines[len(r.pieces):]
	at := len(r.pieces)
	for i := range r.needs {
		if missing := r.needs[i].asked - r.given[i]; missing > 0 {
			quantities[at].Line, quantities[at].Quantity = r.needs[i].line, missing
			at++
		}
	}
}

func (r *run) strategy() string {
	switch r.policy {
	case partialComplete:
		return "builtin/complete_only"
	case partialShip:
		return "builtin/ship_available"
	}
	return "builtin/split"
}

func (r *run) note() string {
	note := ""
	add := func(when bool, s string) {
		if when && note != "" {
			note += "; "
		}
		if when {
			note += s
		}
	}
	add(len(r.needs) > 0 && r.out.offMap, "the destination is not on the map: every distance counts as 0")
	add(r.out.abroad, "no site in "+r.req.ShipTo.GetCountry()+": sites of every country may serve")
	add(!r.out.exact, "the search reached its limit: the plan may not be the best")
	return note
}

// nameCandidates records the sites looked at, the chosen ones first, then the nearest. The scores of a site that passed are the
// cost and the load it would bring if it gave all it can.
func (r *run) nameCandidates(d *messages.DecisionRecord) {
	n := min(len(r.places), max(r.rules.CandidatesMax, 0))
	if n == 0 {
		return
	}
	candidates := make([]messages.Candidate, n)
	d.Candidates = make([]*messages.Candidate, n)
	scores := make([]int64, 2*n)
	at := 0
	name := func(place int32, chosen bool) {
		c, p := &candidates[at], &r.places[place]
		d.Candidates[at] = c
		c.Site, c.DistanceM, c.Chosen = r.ids[p.id], p.meters, chosen
		if p.fail == testNone {
			c.Units = r.unitsOf(place)
			c.Scores = scores[2*at : 2*at+2 : 2*at+2]
			c.Scores[0] = min(max(p.site.CostPerOrder, 0), costMax) + unitsCost(p.site.CostPerUnit, c.Units)
			c.Scores[1] = p.site.OpenLoadPermille
		} else {
			c.Filter, c.Expected, c.Actual = r.explainTest(place)
		}
		at++
	}
	for i, c := range r.pieces {
		if at < n && (i == 0 || r.pieces[i-1].at != c.at) {
			name(c.at, true)
		}
	}
	next := 0 // pieces are sorted by place, as places are by distance
	for i := int32(0); at < n && int(i) < len(r.places); i++ {
		for next < len(r.pieces) && r.pieces[next].at < i {
			next++
		}
		if next == len(r.pieces) || r.pieces[next].at != i {
			name(i, false)
		}
	}
}
