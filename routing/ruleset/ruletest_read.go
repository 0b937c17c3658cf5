package ruleset

import (
	"slices"
	"strconv"
)

// ruleTest is one case of a test file.
type ruleTest struct {
	name       string
	at         At
	order      Order
	candidates []Candidate // with stock by SKU name until the run knows the SKUs
	stock      map[string]map[string]Stock
	expect     fields
}

// testFile reads the cases of a file. Sites and stock at the top are those of every case; a case may change or add some.
func (r *reader) testFile(v node) (now int64, tests []ruleTest) {
	f := v.object("a test file", "now", "sites", "stock", "tests")
	if v, ok := f.need("now"); ok {
		now = v.instant()
	}
	sites, stock := r.testSites(f, nil), r.testStock(f, nil)
	v, ok := f.need("tests")
	if !ok {
		return now, nil
	}
	names := map[string]bool{}
	for _, item := range v.list("tests", testsMax) {
		f := item.object("a test", "name", "note", "order", "cause", "attempt", "sites", "stock", "expect")
		t := ruleTest{at: item.at()}
		if v, ok := f.need("name"); ok {
			t.name = v.text(noteBytesMax)
			if names[t.name] {
				v.complain("is the name of an earlier test")
			}
			names[t.name] = true
		}
		f.note()
		if v, ok := f.need("order"); ok {
			t.order = r.testOrder(v)
		}
		t.order.Cause, t.order.Attempt = "placed", 1
		if v, ok := f.get("cause"); ok {
			t.order.Cause = v.text(nameBytesMax)
		}
		if v, ok := f.get("attempt"); ok {
			t.order.Attempt = v.whole(1, 1000)
		}
		t.candidates, t.stock = r.testSites(f, sites), r.testStock(f, stock)
		for _, site := range sortedKeys(t.stock) {
			if !slices.ContainsFunc(t.candidates, func(c Candidate) bool { return c.Site.ID == site }) {
				r.complain(t.at, "has stock at %s, which is no site", site)
			}
		}
		if v, ok := f.need("expect"); ok {
			t.expect = v.object("expect", "route", "rule", "outcome", "actions", "winner", "ranking", "decided_by", "passes", "fails",
				"dropped", "muted", "abstains", "scores", "wait_at", "said", "covered")
			if len(t.expect.names) == 0 && t.expect.wellNamed() {
				v.complain("expects nothing")
			}
		}
		tests = append(tests, t)
	}
	return now, tests
}

// testOrder reads an order. Unknown facts are left out.
func (r *reader) testOrder(v node) Order {
	f := v.object("an order", "id", "channel", "queue", "service", "country", "region", "postal_code", "market", "currency", "labels",
		"origin_groups", "priority", "total", "deliver_by", "ship_after", "placed_at", "preselected", "ranked_sites", "channel_sites",
		"attributes", "lines")
	o := Order{
		ID: f.textOf("id"), Channel: f.textOf("channel"), Queue: f.textOf("queue"), Service: f.textOf("service"), Country: f.textOf("country"),
		Region: f.textOf("region"), PostalCode: f.textOf("postal_code"), Market: f.textOf("market"), Currency: f.textOf("currency"),
		Labels: f.textsOf("labels"), Origin: f.textsOf("origin_groups"), Preselected: f.textsOf("preselected"),
		RankedSites: f.textsOf("ranked_sites"), ChannelSites: f.textsOf("channel_sites"),
		Priority: f.number("priority").Value, DeliverBy: f.instantOf("deliver_by"), ShipAfter: f.instantOf("ship_after"),
		PlacedAt: f.instantOf("placed_at"), Attributes: f.attributesOf(),
	}
	if v, ok := f.need("lines"); ok {
		for _, item := range v.list("lines", linesAssumed) {
			o.Lines = append(o.Lines, r.testLine(item))
		}
	}
	for _, l := range o.Lines {
		o.Total = addSat(o.Total, mulSat(l.UnitPrice, l.Quantity))
	}
	if n := f.number("total"); n.Known {
		o.Total = n.Value
	}
	return o
}

func (r *reader) testLine(v node) Line {
	f := v.object("a line", "id", "sku", "quantity", "unit_price", "unit_cost", "unit_weight_g", "labels", "group", "kit", "category", "attributes")
	l := Line{
		ID: f.textOf("id"), SKU: f.textOf("sku"), Quantity: 1, UnitPrice: f.number("unit_price").Value, UnitCost: f.number("unit_cost"),
		UnitGrams: f.number("unit_weight_g"), Labels: f.textsOf("labels"), Group: f.textOf("group"), Kit: f.textOf("kit"),
		Category: f.textOf("category"), Attributes: f.attributesOf(),
	}
	f.need("sku")
	if n := f.number("quantity"); n.Known {
		l.Quantity = n.Value
	}
	return l
}

// testSites reads the key sites over those already there: the same id again replaces.
func (r *reader) testSites(f fields, base []Candidate) []Candidate {
	found := slices.Clone(base)
	v, ok := f.get("sites")
	if !ok {
		return found
	}
	for _, item := range v.list("sites", listMax) {
		c := r.testSite(item)
		if i := slices.IndexFunc(found, func(o Candidate) bool { return o.Site.ID == c.Site.ID }); i >= 0 {
			found[i] = c
			continue
		}
		found = append(found, c)
	}
	return found
}

func (r *reader) testSite(v node) Candidate {
	f := v.object("a site", "id", "name", "type", "country", "region", "postal_code", "groups", "labels_allowed", "markets", "carriers",
		"cost_per_order", "cost_per_unit", "rank", "load_permille", "capacity_left", "orders_in_window", "order_limit", "same_day_until",
		"open_until", "dispatch_at", "distance_km", "attributes")
	f.need("id")
	s := &Site{
		ID: f.textOf("id"), Name: f.textOf("name"), Type: f.textOf("type"), Country: f.textOf("country"), Region: f.textOf("region"),
		PostalCode: f.textOf("postal_code"), Groups: f.textsOf("groups"), LabelsAllowed: f.textsOf("labels_allowed"),
		Markets: f.textsOf("markets"), CostPerOrder: f.number("cost_per_order").Value, CostPerUnit: f.number("cost_per_unit").Value,
		Rank: f.number("rank").Value, LoadPermille: f.number("load_permille"), CapacityLeft: f.number("capacity_left"),
		OrdersInWindow: f.number("orders_in_window"), OrderLimit: f.number("order_limit"), SameDayUntil: f.instantOf("same_day_until"),
		OpenUntil: f.instantOf("open_until"), DispatchAt: f.instantOf("dispatch_at"), Attributes: f.attributesOf(),
	}
	if v, ok := f.get("carriers"); ok {
		for _, item := range v.list("carriers", listMax) {
			if _, object := item.entries(); object {
				f := item.object("a carrier", "name", "service")
				f.need("name")
				s.Carriers = append(s.Carriers, Carrier{f.textOf("name"), f.textOf("service")})
				continue
			}
			s.Carriers = append(s.Carriers, Carrier{Name: item.text(textBytesMax)})
		}
	}
	km := f.number("distance_km")
	return Candidate{Site: s, DistanceM: Number{km.Value * 1000, km.Known}}
}

// testStock reads the key stock over what is already there: site, SKU, units or facts.
func (r *reader) testStock(f fields, base map[string]map[string]Stock) map[string]map[string]Stock {
	found := map[string]map[string]Stock{}
	for site, skus := range base {
		found[site] = map[string]Stock{}
		for sku, stock := range skus {
			found[site][sku] = stock
		}
	}
	v, ok := f.get("stock")
	if !ok {
		return found
	}
	sites := v.object("stock")
	for _, site := range sites.names {
		v, ok := sites.get(site)
		if !ok {
			continue
		}
		if found[site] == nil {
			found[site] = map[string]Stock{}
		}
		skus := v.object("the stock of a site")
		for _, sku := range skus.names {
			v, ok := skus.get(sku)
			if !ok {
				continue
			}
			if _, object := v.entries(); !object {
				found[site][sku] = Stock{ATP: v.whole(-1<<40, 1<<40)}
				continue
			}
			f := v.object("stock", "atp", "sold_per_week", "age_days", "expires_days", "shadow_price")
			sold := f.number("sold_per_week")
			found[site][sku] = Stock{
				ATP: f.number("atp").Value, SoldMilli: Number{sold.Value * 1000, sold.Known}, AgeDays: f.number("age_days"),
				ExpiresDays: f.number("expires_days"), ShadowPrice: f.number("shadow_price"),
			}
		}
	}
	return found
}

func (f fields) textOf(key string) string {
	if v, ok := f.get(key); ok {
		return v.text(textBytesMax)
	}
	return ""
}

func (f fields) textsOf(key string) []string {
	if v, ok := f.get(key); ok {
		return v.texts(key)
	}
	return nil
}

func (f fields) number(key string) Number {
	if v, ok := f.get(key); ok {
		return Known(v.whole(-1<<40, 1<<40))
	}
	return Number{}
}

func (f fields) instantOf(key string) Number {
	if v, ok := f.get(key); ok {
		return Known(v.instant())
	}
	return Number{}
}

// attributesOf reads own fields, with the type that their text shows.
func (f fields) attributesOf() map[string]any {
	v, ok := f.get("attributes")
	if !ok {
		return nil
	}
	found := map[string]any{}
	own := v.object("attributes")
	for _, name := range own.names {
		v, ok := own.get(name)
		if !ok {
			continue
		}
		s := v.text(textBytesMax)
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			found[name] = n
		} else if s == "true" || s == "false" {
			found[name] = s == "true"
		} else {
			found[name] = s
		}
	}
	return found
}
