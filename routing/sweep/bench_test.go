package sweep

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"orderyard/messages"
	"orderyard/routing"
	"orderyard/routing/geo"
)

// BenchmarkSweep is one sweep of 500 orders over 30 sites, placed while stock was scarce, with as much again come in since.
func BenchmarkSweep(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	rules := rulesOf(b, "default")
	y := newYard()
	for i := range 30 {
		lat, lon, _ := geo.Locate("US", geo.PopulationPostal(rng.Uint64()))
		y.addSite(&routing.Site{
			ID: fmt.Sprintf("S%02d", i), Type: "dc", Country: "US", Lat: lat, Lon: lon, Status: "online", CostPerOrder: 100 + rng.Int64N(100), Calendar: daily{},
		})
	}
	receive := func(units int) {
		for range units {
			y.add(fmt.Sprintf("SKU-%d", rng.IntN(40)), y.ids[rng.IntN(len(y.ids))], 1)
		}
	}
	receive(1500)
	var orders []Order
	for i := 0; len(orders) < 500 && i < 2000; i++ {
		q := &messages.PlanRequest{
			OrderId: fmt.Sprintf("web-%d", i), Service: "standard", Channel: "web", SplitsLeft: 3, PlacedAtMs: now + int64(i), Partial: "split",
			ShipTo: &messages.Address{Country: "US", PostalCode: geo.PopulationPostal(rng.Uint64())},
		}
		for n := range 1 + rng.IntN(2) {
			q.Needs = append(q.Needs, &messages.LineNeed{Line: uint32(n), Sku: fmt.Sprintf("SKU-%d", rng.IntN(40)), Quantity: 1 + rng.Int64N(2)})
		}
		if p := routing.Route(q, y, rules, now); len(p.Short) == 0 {
			o := Order{Question: q, Present: p.Assignments}
			y.book(&o, o.Present, -1)
			orders = append(orders, o)
		}
	}
	receive(1500)
	var r Result
	for b.Loop() {
		r = Better(orders, y, rules, now, DefaultLimits())
	}
	b.ReportMetric(float64(len(orders)), "orders")
	b.ReportMetric(float64(len(r.Moves)), "moves")
	b.ReportMetric(float64(r.Routes), "routes")
	b.ReportMetric(float64(r.Saving()), "saved")
}
