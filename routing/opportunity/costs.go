package opportunity

import (
	"orderyard/routing"
	"orderyard/routing/ruleset"
	"orderyard/routing/shadow"
)

// Costs are what parcels cost where the rules name no card that can say.
type Costs struct {
	Parcel     int64 // minor units, beside the site's own cost per order
	Unit1000Km int64 // minor units for a unit over a thousand kilometers, beside the site's own cost per unit
}

// ordinaryUnits is the parcel that a price list is measured by, beside one of a single unit.
const ordinaryUnits = 4

// ruler says what a parcel from a site to a region costs, as a part for the parcel and a part for each unit, in micro-units of money.
type ruler struct {
	Costs
	card    *ruleset.Yardstick // nil = none
	bare    bool               // without the site's own costs
	penalty int64              // for each part of a split
	name    string             // for people
}

func newRuler(set *ruleset.Compiled, c Costs) *ruler {
	r := &ruler{Costs: c, name: "sites' own costs and distance"}
	if set == nil {
		return r
	}
	_, cost := set.Set.Pricing()
	if cost == nil {
		return r
	}
	r.bare, r.penalty = cost.Bare, max(cost.Number, 0)
	if cost.Card == "" {
		return r
	}
	if r.card = set.Yardstick(cost.Card); r.card != nil {
		r.name = "card " + cost.Card
	}
	return r
}

// to turns to a region.
func (r *ruler) to(p *place) {
	if r.card != nil {
		r.card.To(p.country, p.postal, "")
	}
}

// from measures a site. facts are its own.
func (r *ruler) from(s *routing.Site, facts *ruleset.Site, p *place) (fixed, unit int64) {
	distance := ruleset.Known(s.Place.DistanceM(p.point))
	if p.point.IsZero() {
		distance = ruleset.Number{}
	}
	carrier := false
	if r.card != nil {
		one, some := r.card.Measure(facts, distance, 1).Price, r.card.Measure(facts, distance, ordinaryUnits).Price
		if carrier = one.Known && some.Known; carrier {
			unit = max(some.Value-one.Value, 0) * microMinor / (ordinaryUnits - 1)
			fixed = max(one.Value*microMinor-unit, 0)
		}
	}
	if !carrier {
		fixed = r.Parcel * microMinor
		unit = r.Unit1000Km * s.Place.DistanceM(p.point) / 1000 * microMinor / 1000
	}
	if !r.bare {
		fixed, unit = fixed+max(s.CostPerOrder, 0)*microMinor, unit+max(s.CostPerUnit, 0)*microMinor
	}
	return limited(fixed + r.penalty*microMinor), limited(unit)
}

// limited keeps a cost where package shadow wants it; twice it is still one.
func limited(micro int64) int64 { return min(max(micro, 0), shadow.CostMax/2) }
