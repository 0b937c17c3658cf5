package routing

import (
	"cmp"
	"slices"

	"orderyard/messages"
)

const (
	// alternativesMax bounds the plans of a dry run.
	alternativesMax = 3
	// alternativesTried bounds the sites of the best plan that are left out in turn: each costs one more decision.
	alternativesTried = 6
)

// Alternatives ranks plans for a request, the best first: what Route decides, and what it would decide if one of the sites it chose were not
// there, for the first six of these. They differ in their sites, and each gives the units it can by the same rules, in the yard that the first one saw.
// The request is not changed.
func Alternatives(req *messages.PlanRequest, v View, rules *Rules, now int64) []*messages.Plan {
	v = Still(v)
	best := Route(req, v, rules, now)
	plans := []*messages.Plan{best}
	for _, a := range best.Assignments[:min(len(best.Assignments), alternativesTried)] {
		other := Route(without(req, a.Site), v, rules, now)
		if len(other.Assignments) == 0 || slices.ContainsFunc(plans, func(p *messages.Plan) bool { return sameSites(p, other) }) {
			continue
		}
		plans = append(plans, other)
	}
	slices.SortStableFunc(plans[1:], comparePlans)
	return plans[:min(len(plans), alternativesMax)]
}

// without is the request with one more site excluded.
func without(req *messages.PlanRequest, site string) *messages.PlanRequest {
	return &messages.PlanRequest{
		OrderId: req.OrderId, PlanNo: req.PlanNo, Cause: req.Cause, ShipTo: req.ShipTo, Service: req.Service, Channel: req.Channel, Needs: req.Needs,
		Partial: req.Partial, SplitsLeft: req.SplitsLeft, Known: req.Known, PlacedAtMs: req.PlacedAtMs, Labels: req.Labels, Priority: req.Priority,
		DeliverBy: req.DeliverBy, SitesUsed: req.SitesUsed, Total: req.Total, Currency: req.Currency, Attributes: req.Attributes, Queue: req.Queue,
		Preselected: req.Preselected, Exclusions: append(slices.Clip(req.Exclusions), &messages.Exclusion{Site: site, Reason: "another plan uses it"}),
	}
}

func sameSites(a, b *messages.Plan) bool {
	return slices.EqualFunc(a.Assignments, b.Assignments, func(x, y *messages.Assignment) bool { return x.Site == y.Site })
}

// comparePlans puts the better plan first: units short, then the objective of the rules where both have one, then parcels, distance and cost.
func comparePlans(a, b *messages.Plan) int {
	if c := cmp.Compare(shortUnits(a), shortUnits(b)); c != 0 {
		return c
	}
	if x, y := a.Decision.Objective, b.Decision.Objective; len(x) > 0 && slices.Equal(a.Decision.Levels, b.Decision.Levels) {
		if c := slices.Compare(x, y); c != 0 {
			return c
		}
	}
	return cmp.Or(
		cmp.Compare(len(a.Assignments), len(b.Assignments)), cmp.Compare(a.Decision.DistanceM, b.Decision.DistanceM),
		cmp.Compare(a.Decision.Cost, b.Decision.Cost),
	)
}

func shortUnits(p *messages.Plan) (units int64) {
	for _, l := range p.Short {
		units += l.Quantity
	}
	return units
}
