package whatif

import (
	"orderyard/messages"
	"orderyard/routing/ruleset"
)

// Tally is what one side has counted, in whole numbers; Figures makes the shares and averages of it.
type Tally struct {
	Orders  int64 `json:"orders"`
	Full    int64 `json:"full"`    // orders that get every unit
	Partial int64 `json:"partial"` // orders that get some
	None    int64 `json:"none"`    // orders that get nothing
	Split   int64 `json:"split"`   // orders that get units from more than one site

	UnitsOrdered  int64 `json:"units_ordered"`
	UnitsAssigned int64 `json:"units_assigned"`
	UnitsShort    int64 `json:"units_short"`

	Parts    int64 `json:"parts"`    // site by order
	Packages int64 `json:"packages"` // boxes: a part makes several when it is heavier than the card's last weight break
	Cost     int64 `json:"cost"`     // minor units
	Unpriced int64 `json:"unpriced"` // parts the card has no price for: they count with the site's cost alone

	CO2Grams   int64 `json:"co2_grams"`
	Unmeasured int64 `json:"unmeasured"` // parts whose emission is unknown: they count as none

	UnitMeters    int64 `json:"unit_meters"`     // units × distance, of units whose distance is known
	UnitsOnMap    int64 `json:"units_on_map"`    // those units
	PackageMeters int64 `json:"package_meters"`  // boxes × distance, likewise
	PackagesOnMap int64 `json:"packages_on_map"` // those boxes

	Promised       int64 `json:"promised"`        // orders with a day of delivery
	PromiseKept    int64 `json:"promise_kept"`    // every unit is known to arrive by then
	PromiseBroken  int64 `json:"promise_broken"`  // some unit arrives later, or not at all
	PromiseUnknown int64 `json:"promise_unknown"` // no unit is late, and of some nobody can tell

	StoresAtZero int64            `json:"stores_at_zero"` // SKU by store: the last unit was taken
	Unproven     int64            `json:"unproven"`       // plans that are not proven to be the best: the search met its limit
	Actions      map[string]int64 `json:"actions"`        // what rules said beside assigning, by action
	Sites        map[string]*Load `json:"sites"`          // sites that give anything
}

// Load is what one site gives.
type Load struct {
	Orders int64 `json:"orders"`
	Units  int64 `json:"units"`
}

func newTally() Tally { return Tally{Actions: map[string]int64{}, Sites: map[string]*Load{}} }

// Add counts what another tally has counted, of other orders. It keeps nothing of it.
func (t *Tally) Add(o *Tally) {
	for _, pair := range [][2]*int64{
		{&t.Orders, &o.Orders}, {&t.Full, &o.Full}, {&t.Partial, &o.Partial}, {&t.None, &o.None}, {&t.Split, &o.Split},
		{&t.UnitsOrdered, &o.UnitsOrdered}, {&t.UnitsAssigned, &o.UnitsAssigned}, {&t.UnitsShort, &o.UnitsShort},
		{&t.Parts, &o.Parts}, {&t.Packages, &o.Packages}, {&t.Cost, &o.Cost}, {&t.Unpriced, &o.Unpriced},
		{&t.CO2Grams, &o.CO2Grams}, {&t.Unmeasured, &o.Unmeasured},
		{&t.UnitMeters, &o.UnitMeters}, {&t.UnitsOnMap, &o.UnitsOnMap}, {&t.PackageMeters, &o.PackageMeters}, {&t.PackagesOnMap, &o.PackagesOnMap},
		{&t.Promised, &o.Promised}, {&t.PromiseKept, &o.PromiseKept}, {&t.PromiseBroken, &o.PromiseBroken}, {&t.PromiseUnknown, &o.PromiseUnknown},
		{&t.StoresAtZero, &o.StoresAtZero}, {&t.Unproven, &o.Unproven},
	} {
		*pair[0] = add(*pair[0], *pair[1])
	}
	if t.Actions == nil {
		t.Actions = map[string]int64{}
	}
	for word, n := range o.Actions {
		t.Actions[word] += n
	}
	if t.Sites == nil {
		t.Sites = map[string]*Load{}
	}
	for id, l := range o.Sites {
		if t.Sites[id] == nil {
			t.Sites[id] = &Load{}
		}
		t.Sites[id].Orders += l.Orders
		t.Sites[id].Units = add(t.Sites[id].Units, l.Units)
	}
}

// What becomes of a promise; the larger one of two parts is that of the order.
const (
	kept = iota
	unknown
	late
)

func (t *Tally) count(o *Outcome, p *messages.Plan) {
	t.Orders++
	assigned := int64(0)
	for i := range o.Parts {
		t.part(&o.Parts[i])
		assigned = add(assigned, o.Parts[i].Units)
	}
	t.UnitsOrdered, t.UnitsAssigned, t.UnitsShort = add(t.UnitsOrdered, o.Ordered), add(t.UnitsAssigned, assigned), add(t.UnitsShort, o.Short)
	switch {
	case assigned == 0:
		t.None++
	case o.Short > 0:
		t.Partial++
	default:
		t.Full++
	}
	if len(o.Parts) > 1 {
		t.Split++
	}
	if !p.GetDecision().GetExact() {
		t.Unproven++
	}
	for _, a := range p.Actions {
		t.Actions[a.Do]++
	}
}

func (t *Tally) part(p *Part) {
	t.Parts++
	t.Packages, t.Cost = add(t.Packages, p.Boxes), add(t.Cost, p.Cost)
	if !p.Priced {
		t.Unpriced++
	}
	if p.CO2.Known {
		t.CO2Grams = add(t.CO2Grams, p.CO2.Value)
	} else {
		t.Unmeasured++
	}
	if p.Meters.Known {
		t.UnitMeters, t.UnitsOnMap = add(t.UnitMeters, times(p.Units, p.Meters.Value)), add(t.UnitsOnMap, p.Units)
		t.PackageMeters, t.PackagesOnMap = add(t.PackageMeters, times(p.Boxes, p.Meters.Value)), add(t.PackagesOnMap, p.Boxes)
	}
	l := t.Sites[p.Site]
	if l == nil {
		l = &Load{}
		t.Sites[p.Site] = l
	}
	l.Orders++
	l.Units = add(l.Units, p.Units)
}

func (t *Tally) promise(arrives int) {
	t.Promised++
	switch arrives {
	case kept:
		t.PromiseKept++
	case late:
		t.PromiseBroken++
	default:
		t.PromiseUnknown++
	}
}

// Figure is one number of both sides.
type Figure struct {
	Name     string
	Unit     string
	Decimals int // the values are in tenths, hundredths … of the unit
	Means    string
	Base     ruleset.Number
	New      ruleset.Number
}

// Difference is what the new side has more; unknown when one side is.
func (f *Figure) Difference() ruleset.Number {
	return ruleset.Number{Value: f.New.Value - f.Base.Value, Known: f.Base.Known && f.New.Known}
}

// Figures are the numbers of both sides, in a fixed order.
func Figures(base, candidate *Tally) []Figure {
	list := make([]Figure, len(definitions))
	for i, d := range definitions {
		list[i] = Figure{Name: d.name, Unit: d.unit, Decimals: d.decimals, Means: d.means, Base: d.of(base), New: d.of(candidate)}
	}
	return list
}

type definition struct {
	name, unit string
	decimals   int
	means      string
	of         func(t *Tally) ruleset.Number
}

// definitions say what each figure means, word for word as people read them.
var definitions = []definition{
	{"fill_rate", "%", 2, "units assigned ÷ units ordered", func(t *Tally) ruleset.Number { return share(t.UnitsAssigned, t.UnitsOrdered) }},
	{"orders_full", "orders", 0, "orders that get every unit", func(t *Tally) ruleset.Number { return ruleset.Known(t.Full) }},
	{"orders_partial", "orders", 0, "orders that get some units, not all", func(t *Tally) ruleset.Number { return ruleset.Known(t.Partial) }},
	{"orders_none", "orders", 0, "orders that get nothing", func(t *Tally) ruleset.Number { return ruleset.Known(t.None) }},
	{"split_rate", "%", 2, "orders with more than one site ÷ orders with any", func(t *Tally) ruleset.Number { return share(t.Split, t.Full+t.Partial) }},
	{"packages_per_order", "", 3, "packages ÷ orders with any; a site sends one, or more when the weight is above the card's last weight break",
		func(t *Tally) ruleset.Number { return ratio(t.Packages, 1000, t.Full+t.Partial) }},
	{"cost", "money", 2, "sites' cost per order and unit + the card's price, of every part; a part the card cannot price counts with the site's cost alone",
		func(t *Tally) ruleset.Number { return ruleset.Known(t.Cost) }},
	{"cost_per_order", "money", 2, "cost ÷ orders with any", func(t *Tally) ruleset.Number { return ratio(t.Cost, 1, t.Full+t.Partial) }},
	{"cost_per_unit", "money", 2, "cost ÷ units assigned", func(t *Tally) ruleset.Number { return ratio(t.Cost, 1, t.UnitsAssigned) }},
	{"unpriced_parts", "parts", 0, "site by order that the card has no price for", func(t *Tally) ruleset.Number { return ruleset.Known(t.Unpriced) }},
	{"co2", "kg", 3, "CO2e by the card: so much for a package, and so much for a tonne over a kilometer",
		func(t *Tally) ruleset.Number { return ruleset.Number{Value: t.CO2Grams, Known: t.Unmeasured < t.Parts} }},
	{"co2_per_order", "g", 0, "CO2e ÷ orders with any", func(t *Tally) ruleset.Number {
		if t.Unmeasured == t.Parts {
			return ruleset.Number{}
		}
		return ratio(t.CO2Grams, 1, t.Full+t.Partial)
	}},
	{"km_per_unit", "km", 1, "great circle from site to destination, over units assigned whose destination is on the map",
		func(t *Tally) ruleset.Number { return ratio(t.UnitMeters/100, 1, t.UnitsOnMap) }},
	{"km_per_package", "km", 1, "the same over packages", func(t *Tally) ruleset.Number { return ratio(t.PackageMeters/100, 1, t.PackagesOnMap) }},
	{"promise_hit_rate", "%", 2,
		"orders with a day of delivery of which every unit arrives by its end (the site dispatches by its calendar, the card says how long the parcel takes) ÷ those of which that is known; units that no site gives do not arrive",
		func(t *Tally) ruleset.Number { return share(t.PromiseKept, t.PromiseKept+t.PromiseBroken) }},
	{"promises_unknown", "orders", 0, "orders with a day of delivery of which nobody can tell", func(t *Tally) ruleset.Number { return ruleset.Known(t.PromiseUnknown) }},
	{"sites_used", "sites", 0, "sites that give anything", func(t *Tally) ruleset.Number { return ruleset.Known(int64(len(t.Sites))) }},
	{"busiest_site", "%", 2, "units of the site that gives most ÷ units assigned", func(t *Tally) ruleset.Number { return share(t.busiest(), t.UnitsAssigned) }},
	{"stores_at_zero", "SKU×store", 0, "stores whose last unit of a SKU was taken, counted by SKU and store", func(t *Tally) ruleset.Number { return ruleset.Known(t.StoresAtZero) }},
	{"unproven_plans", "orders", 0, "plans that met the limit of the search and may not be the best", func(t *Tally) ruleset.Number { return ruleset.Known(t.Unproven) }},
}

func (t *Tally) busiest() (units int64) {
	for _, l := range t.Sites {
		units = max(units, l.Units)
	}
	return units
}

// share is a part of a whole in hundredths of a percent.
func share(part, whole int64) ruleset.Number { return ratio(part, 100_00, whole) }

// ratio is part × scale ÷ whole, to the nearest; unknown when there is nothing to divide by.
func ratio(part, scale, whole int64) ruleset.Number {
	if whole <= 0 {
		return ruleset.Number{}
	}
	return ruleset.Known(divide(part, scale, whole))
}
