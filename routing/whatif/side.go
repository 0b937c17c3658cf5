package whatif

import (
	"cmp"
	"slices"
	"time"

	"orderyard/messages"
	"orderyard/routing"
	"orderyard/routing/geo"
	"orderyard/routing/ruleset"
)

// cause is what every question says it is asked for.
const cause = "placed"

// Side is one rule set at work on a yard of its own. It is for one goroutine; two sides of one yard may run at once.
type Side struct {
	rules *routing.Rules
	card  *ruleset.Yardstick
	view  *view
	facts ruleset.Site
	tally Tally
}

// Side begins with all that the yard has. The card measures what plans cost, emit and when they arrive; the side keeps it, so no other side
// may have the same one. Without a card (nil) only the sites' own costs are counted.
func (y *Yard) Side(rules *routing.Rules, card *ruleset.Yardstick) *Side {
	mine := *rules
	mine.CandidatesMax = 0 // nobody reads the evidence, and the plan is the same without it
	return &Side{rules: &mine, card: card, view: newView(y), tally: Tally{Actions: map[string]int64{}, Sites: map[string]*Load{}}}
}

// Tally is what the side has counted so far. It is read only, and valid until the next Take.
func (s *Side) Tally() *Tally { return &s.tally }

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
	now := o.PlacedAtMs
	plan := routing.Route(routing.Question(o, cause), s.view, s.rules, now)
	out := Outcome{Plan: fingerprint(plan)}
	for _, l := range o.Lines {
		out.Ordered += max(l.Quantity, 0)
	}
	for _, l := range plan.Short {
		out.Short += l.Quantity
	}
	onMap := located(o.ShipTo)
	if s.card != nil {
		s.card.To(o.ShipTo.GetCountry(), o.ShipTo.GetPostalCode(), o.ShippingService)
	}
	due, promised := end(o.DeliverBy)
	arrives := kept
	for _, a := range plan.Assignments {
		part, arrival := s.part(o, a, onMap, now)
		switch {
		case !arrival.Known:
			arrives = max(arrives, unknown)
		case arrival.Value > due:
			arrives = late
		}
		out.add(part)
	}
	s.tally.count(&out, plan)
	if promised {
		if out.Short > 0 {
			arrives = late // what nobody sends does not arrive
		}
		s.tally.promise(arrives)
	}
	return out
}

// part takes what one site gives, and measures it.
func (s *Side) part(o *messages.Order, a *messages.Assignment, onMap bool, now int64) (p Part, arrival ruleset.Number) {
	site := s.view.sites[a.Site]
	p = Part{Site: a.Site, Boxes: 1, Meters: ruleset.Number{Value: a.DistanceM, Known: onMap}}
	for _, l := range a.Lines {
		p.Units += l.Quantity
		if left := s.view.take(o.Lines[l.Line].Sku, a.Site, l.Quantity); left == 0 && site.Type == store {
			s.tally.StoresAtZero++
		}
	}
	p.Cost = add(max(site.CostPerOrder, 0), times(max(site.CostPerUnit, 0), p.Units))
	if s.card != nil {
		site.FactsAt(now, &s.facts)
		m := s.card.Measure(&s.facts, p.Meters, p.Units)
		p.Boxes, p.CO2, p.Priced, arrival = m.Boxes, m.CO2, m.Price.Known, m.Arrival
		p.Cost = add(p.Cost, m.Price.Value)
	}
	accept(site, now)
	return p, arrival
}

// store is the type of the sites that people walk into.
const store = "store"

// located says whether an address is on the map, as routing finds out.
func located(to *messages.Address) bool {
	if to.GetHasPosition() {
		return true
	}
	_, _, ok := geo.Locate(to.GetCountry(), to.GetPostalCode())
	return ok
}

// end is the end of the promised day, by UTC as routing has it; false when nothing was promised.
func end(day string) (int64, bool) {
	if day == "" {
		return 0, false
	}
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return 0, false
	}
	return at.UnixMilli() + 24*hourMs, true
}
