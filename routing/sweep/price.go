package sweep

import (
	"math/bits"
	"time"

	"orderyard/messages"
	"orderyard/routing"
	"orderyard/routing/geo"
	"orderyard/routing/ruleset"
)

// price is what a plan comes to.
type price struct {
	known   bool
	cost    int64 // minor units
	parcels int64
	arrives arrival
}

// arrival says how a plan stands to the promised day; smaller is better. Without a promise every plan keeps it.
type arrival int

const (
	kept arrival = iota
	unknown
	late
)

const (
	dayMs = 24 * 60 * 60 * 1000
	// costMax keeps sums and percentages from overflowing.
	costMax = int64(1) << 44
)

// scale measures plans by one card.
type scale struct {
	card  *ruleset.Yardstick // nil = the sites' own costs alone
	view  routing.View
	now   int64
	facts ruleset.Site
}

func newScale(v routing.View, rules *routing.Rules, now int64) *scale {
	s := &scale{view: v, now: now}
	if rules.Set != nil {
		s.card = rules.Set.Yardstick("")
	}
	return s
}

func (s *scale) name() string {
	if s.card == nil {
		return ""
	}
	return s.card.Card()
}

// measure gives what the parts of an order cost and when they arrive. It is not known when a site or its price is not.
func (s *scale) measure(q *messages.PlanRequest, parts []*messages.Assignment) price {
	p := price{known: len(parts) > 0}
	to, onMap := ground(q.ShipTo)
	due, promised := dueAt(q.DeliverBy)
	if s.card != nil {
		s.card.To(q.ShipTo.GetCountry(), q.ShipTo.GetPostalCode(), q.Service)
	}
	for _, a := range parts {
		site, ok := s.view.Site(a.Site)
		if !ok {
			return price{}
		}
		units := int64(0)
		for _, l := range a.Lines {
			units += l.Quantity
		}
		box, arrives := int64(1), ruleset.Number{}
		if s.card != nil {
			from := site.Place
			if from.IsZero() {
				from = geo.PointOf(site.Lat, site.Lon)
			}
			meters := ruleset.Number{Known: onMap}
			if onMap {
				meters.Value = from.DistanceM(to)
			}
			site.FactsAt(s.now, &s.facts)
			m := s.card.Measure(&s.facts, meters, units)
			if !m.Price.Known {
				return price{}
			}
			box, arrives = m.Boxes, m.Arrival
			p.cost += min(max(m.Price.Value, 0), costMax)
		}
		p.parcels += box
		p.cost += min(max(site.CostPerOrder, 0), costMax) + times(max(site.CostPerUnit, 0), units)
		switch {
		case !promised:
		case !arrives.Known:
			p.arrives = max(p.arrives, unknown)
		case arrives.Value > due:
			p.arrives = late
		}
	}
	p.cost = min(p.cost, costMax)
	return p
}

// may says that an order that is served as `now` may be served as p instead, whatever others gain by it.
func (p *price) may(now *price) bool {
	return p.known && p.arrives <= now.arrives && (p.parcels <= now.parcels || p.cost < now.cost)
}

func ground(to *messages.Address) (geo.Point, bool) {
	at := geo.Point{}
	if to.GetHasPosition() {
		at = geo.PointOf(to.Lat, to.Lon)
	} else if lat, lon, ok := geo.Locate(to.GetCountry(), to.GetPostalCode()); ok {
		at = geo.PointOf(lat, lon)
	}
	return at, !at.IsZero()
}

// dueAt is the end of the promised day, as the rules have it.
func dueAt(day string) (int64, bool) {
	at, err := time.Parse(time.DateOnly, day)
	return at.UnixMilli() + dayMs, err == nil
}

func times(a, b int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	if hi > 0 || lo > uint64(costMax) {
		return costMax
	}
	return int64(lo)
}
