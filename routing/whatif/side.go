package whatif

import (
	"cmp"
	"slices"

	"orderyard/messages"
	"orderyard/routing"
	"orderyard/routing/ruleset"
)

// cause is what every question says it is asked for.
const cause = "placed"

// Side is one rule set at work on a yard of its own. It is for one goroutine; two sides of one yard may run at once.
type Side struct {
	rules *routing.Rules
	view  *view
	meter meter
}

// Side begins with all that the yard has. The card measures what plans cost, emit and when they arrive; the side keeps it, so no other side
// may have the same one. Without a card (nil) only the sites' own costs are counted.
func (y *Yard) Side(rules *routing.Rules, card *ruleset.Yardstick) *Side {
	return &Side{rules: bare(rules), view: newView(y), meter: meter{card: card, tally: newTally()}}
}

// bare are rules that record nothing: nobody reads the evidence, and the plan is the same without it.
func bare(rules *routing.Rules) *routing.Rules {
	mine := *rules
	mine.CandidatesMax = 0
	return &mine
}

// Tally is what the side has counted so far. It is read only, and valid until the next Take.
func (s *Side) Tally() *Tally { return &s.meter.tally }

// ATP is what the side has left of a SKU at a site.
func (s *Side) ATP(sku, site string) int64 { return atp(s.view.Stock(sku), site) }

// Sort puts orders in the order in which they are asked: by placement, then by id.
func Sort(orders []*messages.Order) {
	slices.SortStableFunc(orders, func(a, b *messages.Order) int {
		return cmp.Or(cmp.Compare(a.PlacedAtMs, b.PlacedAtMs), cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.ExternalId, b.ExternalId))
	})
}

// Take routes the next order at the moment it was placed, takes the units of its plan and counts. The order is only read.
func (s *Side) Take(o *messages.Order) Outcome {
	q := routing.Question(o, cause)
	plan := routing.Route(q, s.view, s.rules, o.PlacedAtMs)
	out := s.meter.read(q, plan, s.view, o.PlacedAtMs, s.view.take)
	for _, a := range plan.Assignments {
		s.view.accept(a.Site, o.PlacedAtMs)
	}
	return out
}
