package ruleset_test

import (
	"fmt"
	"testing"

	"orderyard/routing/ruleset"
)

const benchNow = 1_795_000_000_000

// network makes n sites that differ in everything a rule may ask, the same on every run.
func network(n, skus int) []ruleset.Candidate {
	sites := make([]ruleset.Candidate, n)
	for i := range sites {
		k := int64(i)
		s := &ruleset.Site{
			ID: fmt.Sprintf("S%03d", i), Type: []string{"dc", "store", "3pl", "vendor"}[i%4], Country: "US", Region: "CO",
			PostalCode: fmt.Sprintf("%05d", 10000+i*800), Groups: []string{"us", []string{"east", "west"}[i%2]},
			LabelsAllowed: []string{"apparel", "gift"}, CostPerOrder: 100 + k*7%50, CostPerUnit: 20 + k%9, Rank: k % 5,
			LoadPermille: ruleset.Known(k * 37 % 1000), CapacityLeft: ruleset.Known(k % 50), OrdersInWindow: ruleset.Known(k),
			OrderLimit: ruleset.Known(200), SameDayUntil: ruleset.Known(benchNow + k*600_000), OpenUntil: ruleset.Known(benchNow + 3_600_000),
			DispatchAt: ruleset.Known(benchNow + k*3_600_000), Carriers: []ruleset.Carrier{{Name: "ups", Service: "standard"}},
			Attributes: map[string]any{"robots": i%2 == 0},
		}
		if i%10 == 9 {
			s.Country = "CA"
		}
		c := ruleset.Candidate{Site: s, DistanceM: ruleset.Known((k*7919%3000 + 1) * 1000)}
		for j := range skus {
			c.Stock = append(c.Stock, ruleset.Stock{
				ATP: (k + int64(j)) * 13 % 40, SoldMilli: ruleset.Known(1000 + k*300), AgeDays: ruleset.Known(k), ExpiresDays: ruleset.Known(k * 3),
				ShadowPrice: ruleset.Known(k % 70),
			})
		}
		sites[i] = c
	}
	return sites
}

func shopper(lines int) *ruleset.Order {
	o := &ruleset.Order{
		ID: "web-1", Channel: "web", Service: "standard", Country: "US", Region: "CO", PostalCode: "80202", Priority: 3, Total: 7497,
		Labels: []string{"vip"}, DeliverBy: ruleset.Known(benchNow + 4*86_400_000), PlacedAt: ruleset.Known(benchNow - 60_000),
		Cause: "placed", Attempt: 1,
	}
	for i := range lines {
		o.Lines = append(o.Lines, ruleset.Line{
			ID: fmt.Sprint(i), SKU: fmt.Sprintf("SKU-%d", i), Quantity: int64(1 + i%3), UnitPrice: 2499, UnitCost: ruleset.Known(1100),
			UnitGrams: ruleset.Known(350), Labels: []string{"apparel"},
		})
	}
	return o
}

// BenchmarkDefault is the budget of a decision: the default rules over 100 sites and an order of three lines, from the facts to the
// ranking.
func BenchmarkDefault(b *testing.B) {
	c := load(b, rulesDir+"/default.yaml")
	o, sites := shopper(3), network(100, 3)
	var r ruleset.Run
	b.ReportAllocs()
	for b.Loop() {
		r.Begin(c, o, benchNow)
		m := r.Route()
		r.Try(m.Route, 0, sites)
	}
}

// BenchmarkLoad is what publishing costs a node: the default rules from text to ready.
func BenchmarkLoad(b *testing.B) {
	data := read(b, rulesDir+"/default.yaml")
	for b.Loop() {
		if _, err := ruleset.Load("default.yaml", data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEverything uses every kind of filter and score, expressions over the site included.
func BenchmarkEverything(b *testing.B) {
	c := compile(b, everything)
	o, sites := shopper(3), network(100, 3)
	var r ruleset.Run
	b.ReportAllocs()
	for b.Loop() {
		r.Begin(c, o, benchNow)
		m := r.Route()
		r.Try(m.Route, 0, sites)
	}
}

// BenchmarkRoute asks three conditions, one of them a loop over the lines.
func BenchmarkRoute(b *testing.B) {
	c := load(b, rulesDir+"/same_day.yaml")
	o := shopper(3)
	o.Service = "same_day"
	o.Lines[2].Labels = []string{"bulky"}
	var r ruleset.Run
	b.ReportAllocs()
	for b.Loop() {
		r.Begin(c, o, benchNow)
		r.Route()
	}
}

// BenchmarkSiteExpression is one expression asked of each of 100 sites.
func BenchmarkSiteExpression(b *testing.B) {
	c := compile(b, around("filters: [{expr: 'site.type == \"store\" && site.load_permille < 800'}]"))
	o, sites := shopper(3), network(100, 3)
	var r ruleset.Run
	b.ReportAllocs()
	for b.Loop() {
		r.Begin(c, o, benchNow)
		r.Try(0, 0, sites)
	}
}

// BenchmarkRecord puts a decision over 100 sites into words, for the 20 that a record names.
func BenchmarkRecord(b *testing.B) {
	c := load(b, rulesDir+"/default.yaml")
	o, sites := shopper(3), network(100, 3)
	var r ruleset.Run
	r.Begin(c, o, benchNow)
	r.Decide(sites)
	b.ReportAllocs()
	for b.Loop() {
		r.Record(20)
	}
}
