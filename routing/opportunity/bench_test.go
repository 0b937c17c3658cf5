package opportunity

import (
	"fmt"
	"testing"

	"orderyard/messages"
	"orderyard/routing"
)

// BenchmarkTable is one computation of a large network: 20,000 contents × regions of one to three of 2,000 SKUs, 30 sites. cold begins without
// prices, warm with those of a moment ago.
func BenchmarkTable(b *testing.B) {
	var sites []*routing.Site
	for k := range 30 {
		sites = append(sites, &routing.Site{ID: fmt.Sprintf("S%02d", k), Lon: float64(k * 3), Lat: float64(k % 5)})
	}
	y := newYard(sites...)
	c := counter(20_000)
	dice := uint64(1)
	draw := func(n int) int {
		dice = dice*6364136223846793005 + 1442695040888963407
		return int(dice >> 33 % uint64(n))
	}
	for i := range 200_000 {
		var skus []string
		for range 1 + draw(3) {
			skus = append(skus, fmt.Sprint("sku-", draw(2000)*draw(2000)/2000))
		}
		c.Count(order(fmt.Sprintf("%02d001", draw(90)), skus...), testAt-int64(i)*400)
	}
	for i := range 2000 {
		for k := range sites {
			if draw(2) == 0 {
				y.put(fmt.Sprint("sku-", i), sites[k].ID, int64(draw(400/(1+i/20)+2)))
			}
		}
	}
	o := options()
	o.SKUsMax, o.FlowsMax = 2000, 20_000
	b.Run("count", func(b *testing.B) {
		req := order("20001", "sku-1", "sku-2")
		b.ReportAllocs()
		for b.Loop() {
			c.Count(req, testAt)
		}
	})
	b.Run("parts", func(b *testing.B) {
		bytes := 0
		for b.Loop() {
			bytes = 0
			if err := c.Parts(testAt, 256<<10, func(p *messages.DemandPart) error { bytes += p.SizeVT(); return nil }); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(bytes)/1024, "KiB")
	})
	d := demandOf(b, c)
	for _, warm := range []bool{false, true} {
		b.Run(map[bool]string{false: "cold", true: "warm"}[warm], func(b *testing.B) {
			p := NewPricer(o)
			first := tableOf(b, p, Input{Demand: d, View: y})
			b.ReportAllocs()
			for b.Loop() {
				if !warm {
					p = NewPricer(o)
				}
				first = tableOf(b, p, Input{Demand: d, View: y})
			}
			f := first.head.Figures
			b.ReportMetric(float64(f.Flows), "flows")
			b.ReportMetric(float64(first.Buckets()), "prices")
			bytes := 0
			_ = first.Parts(256<<10, func(t *messages.PriceTable) error { bytes += t.SizeVT(); return nil })
			b.ReportMetric(float64(bytes)/1024, "KiB")
		})
	}
}
