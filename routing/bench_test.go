package routing

import (
	"fmt"
	"testing"

	"orderyard/messages"
	"orderyard/routing/geo"
)

// spreadNetwork puts sites at US postal codes; each SKU is carried by a share of them.
func spreadNetwork(sites, skus int, share float64, stock int64) *network {
	seed := uint64(1)
	next := func(n uint64) uint64 { // Knuth's MMIX generator: the same network every time
		seed = seed*6364136223846793005 + 1442695040888963407
		return seed >> 33 % n
	}
	net := newNetwork()
	for i := range sites {
		lat, lon, _ := geo.Locate("US", geo.PopulationPostal(uint64(i)))
		net.addSite(&Site{ID: fmt.Sprintf("site-%03d", i), Country: "US", Lat: lat, Lon: lon, CostPerOrder: 150, CostPerUnit: 30})
	}
	for i := range skus {
		for _, id := range net.ids {
			if float64(next(1000)) < share*1000 {
				net.setStock(fmt.Sprintf("SKU-%d", i), id, 1+int64(next(uint64(stock))))
			}
		}
	}
	return net
}

func spreadRequest(lines int, partial string) *messages.PlanRequest {
	req := &messages.PlanRequest{ShipTo: &messages.Address{Country: "US", PostalCode: "80202"}, Partial: partial, SplitsLeft: 3}
	for i := range lines {
		req.Needs = append(req.Needs, line(uint32(i), fmt.Sprintf("SKU-%d", i), 1+int64(i%3)))
	}
	return req
}

func benchmark(b *testing.B, lines, sites int, share float64, stock int64, partial string) {
	net, req, rules := spreadNetwork(sites, lines, share, stock), spreadRequest(lines, partial), DefaultRules()
	p := Route(req, net, rules, oracleNow)
	b.Logf("%d assignments, %d short, %s, exact %v", len(p.Assignments), len(p.Short), p.Decision.DecidedBy, p.Decision.Exact)
	b.ReportAllocs()
	for b.Loop() {
		Route(req, net, rules, oracleNow)
	}
}

func BenchmarkRoute(b *testing.B) {
	for _, c := range []struct {
		name         string
		lines, sites int
		share        float64
		stock        int64
		partial      string
	}{
		{"2 lines, 30 sites, all stocked", 2, 30, 1, 100, "split"},
		{"2 lines, 30 sites, half stocked", 2, 30, 0.5, 100, "split"},
		{"3 lines, 30 sites, rarely stocked", 3, 30, 0.1, 100, "split"},
		{"8 lines, 100 sites, tight", 8, 100, 0.3, 3, "split"},
		{"8 lines, 100 sites, rare", 8, 100, 0.05, 3, "ship_available"},
		{"25 lines, 30 sites", 25, 30, 0.7, 10, "split"},
		{"500 lines, 30 sites, all stocked", 500, 30, 1, 100, "split"},
		{"500 lines, 30 sites, half stocked", 500, 30, 0.5, 10, "split"},
		{"500 lines, 30 sites, half stocked, ship", 500, 30, 0.5, 10, "ship_available"},
		{"500 lines, 30 sites, scarce, ship", 500, 30, 0.3, 2, "ship_available"},
		{"500 lines, 100 sites, mostly stocked", 500, 100, 0.9, 20, "split"},
	} {
		b.Run(c.name, func(b *testing.B) { benchmark(b, c.lines, c.sites, c.share, c.stock, c.partial) })
	}
}
