package whatif

import (
	"time"

	"orderyard/messages"
	"orderyard/routing"
	"orderyard/routing/geo"
	"orderyard/routing/ruleset"
)

// meter measures plans by one card, and counts them.
type meter struct {
	card  *ruleset.Yardstick // nil = the sites' own costs only
	facts ruleset.Site
	tally Tally
}

// read measures a plan. take takes units of a SKU from a site and says what that leaves.
func (m *meter) read(q *messages.PlanRequest, plan *messages.Plan, v routing.View, now int64, take func(sku, site string, units int64) int64) Outcome {
	out := Outcome{Plan: fingerprint(plan)}
	for _, n := range q.Needs {
		out.Ordered += max(n.Quantity, 0)
	}
	for _, l := range plan.Short {
		out.Short += l.Quantity
	}
	onMap := located(q.ShipTo)
	if m.card != nil {
		m.card.To(q.ShipTo.GetCountry(), q.ShipTo.GetPostalCode(), q.Service)
	}
	due, promised := end(q.DeliverBy)
	arrives := kept
	for _, a := range plan.Assignments {
		site, known := v.Site(a.Site)
		if !known {
			continue // only a view that changes behind a plan can forget a site
		}
		part := Part{Site: a.Site, Boxes: 1, Meters: ruleset.Number{Value: a.DistanceM, Known: onMap}}
		for _, l := range a.Lines {
			part.Units += l.Quantity
			if left := take(skuOf(q, l.Line), a.Site, l.Quantity); left == 0 && site.Type == store {
				m.tally.StoresAtZero++
			}
		}
		switch arrival := m.measure(&part, site, now); {
		case !arrival.Known:
			arrives = max(arrives, unknown)
		case arrival.Value > due:
			arrives = late
		}
		out.add(part)
	}
	m.tally.count(&out, plan)
	if promised {
		if out.Short > 0 {
			arrives = late // what nobody sends does not arrive
		}
		m.tally.promise(arrives)
	}
	return out
}

// measure tells what one part costs, emits and when it arrives.
func (m *meter) measure(p *Part, site *routing.Site, now int64) (arrival ruleset.Number) {
	p.Cost = add(max(site.CostPerOrder, 0), times(max(site.CostPerUnit, 0), p.Units))
	if m.card == nil {
		return arrival
	}
	site.FactsAt(now, &m.facts)
	told := m.card.Measure(&m.facts, p.Meters, p.Units)
	p.Boxes, p.CO2, p.Priced = told.Boxes, told.CO2, told.Price.Known
	p.Cost = add(p.Cost, told.Price.Value)
	return told.Arrival
}

// skuOf is the SKU of a line of the order. Nearly always lines stand at their own place.
func skuOf(q *messages.PlanRequest, line uint32) string {
	if int(line) < len(q.Needs) && q.Needs[line].Line == line {
		return q.Needs[line].Sku
	}
	for _, n := range q.Needs {
		if n.Line == line {
			return n.Sku
		}
	}
	return ""
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
