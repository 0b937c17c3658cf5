package ruleset

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// dayMs is a day of 24 hours.
const dayMs = 24 * 60 * 60 * 1000

func orderText(name string, get func(*Order) string) field {
	return field{name, cel.StringType, func(o any) (any, bool) { return types.String(get((*Run)(o.(*orderObject)).order)), true }}
}

func orderInt(name string, get func(*Run) Number) field {
	return field{name, cel.IntType, func(o any) (any, bool) { n := get((*Run)(o.(*orderObject))); return types.Int(n.Value), n.Known }}
}

func orderList(name string, get func(*Order) []string) field {
	return field{name, cel.ListType(cel.StringType), func(o any) (any, bool) {
		return types.NewStringList(types.DefaultTypeAdapter, get((*Run)(o.(*orderObject)).order)), true
	}}
}

// orderFields are what expressions may ask of order.
var orderFields = []field{
	orderText("id", func(o *Order) string { return o.ID }),
	orderText("channel", func(o *Order) string { return o.Channel }),
	orderText("queue", func(o *Order) string { return o.Queue }),
	orderText("service", func(o *Order) string { return o.Service }),
	orderText("country", func(o *Order) string { return o.Country }),
	orderText("region", func(o *Order) string { return o.Region }),
	orderText("postal_code", func(o *Order) string { return o.PostalCode }),
	orderText("market", func(o *Order) string { return o.Market }),
	orderText("currency", func(o *Order) string { return o.Currency }),
	orderList("labels", func(o *Order) []string { return o.Labels }),
	orderList("origin_groups", func(o *Order) []string { return o.Origin }),
	orderList("preselected", func(o *Order) []string { return o.Preselected }),
	orderInt("priority", func(r *Run) Number { return Known(r.order.Priority) }),
	orderInt("total", func(r *Run) Number { return Known(r.order.Total) }),
	orderInt("units", func(r *Run) Number { return Known(r.all.units) }),
	orderInt("weight_g", func(r *Run) Number { return Number{r.all.grams, r.all.weighed} }),
	orderInt("deliver_by_days", func(r *Run) Number { return r.daysUntil(r.order.DeliverBy) }),
	orderInt("ship_after_days", func(r *Run) Number { return r.daysUntil(r.order.ShipAfter) }),
	orderInt("age_hours", func(r *Run) Number {
		at := r.order.PlacedAt
		return Number{subSat(r.now, at.Value) / hourMs, at.Known}
	}),
	{"lines", cel.ListType(cel.ObjectType(typeLine)), func(o any) (any, bool) { return (*Run)(o.(*orderObject)).lineValues(), true }},
	{ownAttributes, cel.ObjectType(typeOrderOwn), func(o any) (any, bool) {
		return (*orderOwnObject)((*Run)(o.(*orderObject)).order), true
	}},
}

// daysUntil counts whole days from now: 0 is less than 24 hours away, −1 less than 24 hours ago.
func (r *Run) daysUntil(at Number) Number {
	ms := subSat(at.Value, r.now)
	days := ms / dayMs
	if ms%dayMs < 0 {
		days--
	}
	return Number{days, at.Known}
}

func lineText(name string, get func(*Line) string) field {
	return field{name, cel.StringType, func(o any) (any, bool) { return types.String(get((*Line)(o.(*lineObject)))), true }}
}

func lineInt(name string, get func(*Line) Number) field {
	return field{name, cel.IntType, func(o any) (any, bool) { n := get((*Line)(o.(*lineObject))); return types.Int(n.Value), n.Known }}
}

// lineFields are what expressions may ask of an item of order.lines.
var lineFields = []field{
	lineText("id", func(l *Line) string { return l.ID }),
	lineText("sku", func(l *Line) string { return l.SKU }),
	lineText("group", func(l *Line) string { return l.Group }),
	lineText("kit", func(l *Line) string { return l.Kit }),
	lineText("category", func(l *Line) string { return l.Category }),
	lineInt("quantity", func(l *Line) Number { return Known(l.Quantity) }),
	lineInt("unit_price", func(l *Line) Number { return Known(l.UnitPrice) }),
	lineInt("unit_weight_g", func(l *Line) Number { return l.UnitGrams }),
	{"labels", cel.ListType(cel.StringType), func(o any) (any, bool) {
		return types.NewStringList(types.DefaultTypeAdapter, (*Line)(o.(*lineObject)).Labels), true
	}},
	{ownAttributes, cel.ObjectType(typeLineOwn), func(o any) (any, bool) {
		return (*lineOwnObject)((*Line)(o.(*lineObject))), true
	}},
}

func siteText(name string, get func(*Site) string) field {
	return field{name, cel.StringType, func(o any) (any, bool) { return types.String(get((*Run)(o.(*siteObject)).here.Site)), true }}
}

func siteInt(name string, get func(*Run) Number) field {
	return field{name, cel.IntType, func(o any) (any, bool) { n := get((*Run)(o.(*siteObject))); return types.Int(n.Value), n.Known }}
}

func siteList(name string, get func(*Site) []string) field {
	return field{name, cel.ListType(cel.StringType), func(o any) (any, bool) {
		return types.NewStringList(types.DefaultTypeAdapter, get((*Run)(o.(*siteObject)).here.Site)), true
	}}
}

// siteFields are what expressions of filters and scores may ask of site, beside what they may ask of order.
var siteFields = []field{
	siteText("id", func(s *Site) string { return s.ID }),
	siteText("type", func(s *Site) string { return s.Type }),
	siteText("country", func(s *Site) string { return s.Country }),
	siteText("region", func(s *Site) string { return s.Region }),
	siteText("postal_code", func(s *Site) string { return s.PostalCode }),
	siteList("groups", func(s *Site) []string { return s.Groups }),
	siteList("labels_allowed", func(s *Site) []string { return s.LabelsAllowed }),
	siteList("markets", func(s *Site) []string { return s.Markets }),
	siteInt("cost_per_order", func(r *Run) Number { return Known(r.here.Site.CostPerOrder) }),
	siteInt("cost_per_unit", func(r *Run) Number { return Known(r.here.Site.CostPerUnit) }),
	siteInt("rank", func(r *Run) Number { return Known(r.here.Site.Rank) }),
	siteInt("load_permille", func(r *Run) Number { return r.here.Site.LoadPermille }),
	siteInt("capacity_left", func(r *Run) Number { return r.here.Site.CapacityLeft }),
	siteInt("orders_in_window", func(r *Run) Number { return r.here.Site.OrdersInWindow }),
	siteInt("order_limit", func(r *Run) Number { return r.here.Site.OrderLimit }),
	siteInt("distance_km", func(r *Run) Number { return Number{r.here.DistanceM.Value / 1000, r.here.DistanceM.Known} }),
	siteInt("units", func(r *Run) Number { return Known(r.give().units) }),
	siteInt("lines_short", func(r *Run) Number { return Known(r.give().short) }),
	{"covers_all", cel.BoolType, func(o any) (any, bool) {
		return types.Bool((*Run)(o.(*siteObject)).give().short == 0), true
	}},
	{"open", cel.BoolType, func(o any) (any, bool) {
		r := (*Run)(o.(*siteObject))
		until := r.here.Site.OpenUntil
		return types.Bool(until.Value > r.now), until.Known
	}},
	{ownAttributes, cel.ObjectType(typeSiteOwn), func(o any) (any, bool) {
		return (*siteOwnObject)((*Run)(o.(*siteObject)).here.Site), true
	}},
}

// lineValues makes the list once for each order, and only when an expression asks for it.
func (r *Run) lineValues() ref.Val {
	if r.celLines == nil {
		values := make([]ref.Val, len(r.order.Lines))
		for i := range r.order.Lines {
			values[i] = object{refuseObject, (*lineObject)(&r.order.Lines[i])}
		}
		r.celLines = types.NewRefValList(types.DefaultTypeAdapter, values)
	}
	return r.celLines
}
