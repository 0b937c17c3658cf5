package sweep

import (
	"testing"

	"pgregory.net/rapid"

	"orderyard/messages"
	"orderyard/routing"
	"orderyard/routing/geo"
)

// TestAgainstEverything holds the search against all joint plans there are, where rules and money want the same: up to five orders of one unit, any
// of four sites each. It is never below the optimum, never above what stays as it is, and finds the optimum
// itself in more than nine of ten yards where something can be saved.
func TestAgainstEverything(t *testing.T) {
	rules := rulesOf(t, "cheapest")
	yards, best, saved, possible := 0, 0, int64(0), int64(0)
	rapid.Check(t, func(t *rapid.T) {
		y := newYard()
		for _, id := range []string{"S0", "S1", "S2", "S3"} {
			lat, lon, _ := geo.Locate("US", geo.PopulationPostal(rapid.Uint64().Draw(t, "place")))
			y.addSite(&routing.Site{ID: id, Type: "dc", Country: "US", Lat: lat, Lon: lon, Status: "online", CostPerOrder: rapid.Int64Range(0, 300).Draw(t, "cost")})
			y.add("A", id, rapid.Int64Range(0, 1).Draw(t, "free"))
		}
		var orders []Order
		for range rapid.IntRange(1, 5).Draw(t, "orders") {
			orders = append(orders, Order{
				Question: &messages.PlanRequest{
					OrderId: string(rune('a' + len(orders))), Service: "standard", Partial: "split", SplitsLeft: 3, PlacedAtMs: now,
					ShipTo: &messages.Address{Country: "US", PostalCode: geo.PopulationPostal(rapid.Uint64().Draw(t, "to"))},
					Needs:  []*messages.LineNeed{{Sku: "A", Quantity: 1}},
				},
				Present: []*messages.Assignment{oneAt(rapid.SampledFrom(y.ids).Draw(t, "at"))},
			})
		}
		l := DefaultLimits()
		l.SavingMin, l.SavingPercentMin = 0, 0
		r := Better(orders, y, rules, now, l)
		optimum := optimum(y, orders, newScale(y, rules, now))
		if r.Saving() > optimum || r.Saving() < 0 {
			t.Fatalf("saves %d, at most %d can be saved\n%s", r.Saving(), optimum, show(orders, &r))
		}
		if optimum == 0 {
			return
		}
		yards++
		saved, possible = saved+r.Saving(), possible+optimum
		if r.Saving() == optimum {
			best++
		}
	})
	t.Logf("%d of %d yards are at their optimum; %d of %d are saved", best, yards, saved, possible)
	if best*10 < yards*9 || saved*100 < possible*95 {
		t.Errorf("%d of %d yards, %d of %d", best, yards, saved, possible)
	}
}

func oneAt(site string) *messages.Assignment {
	return &messages.Assignment{Site: site, Lines: []*messages.LineQuantity{{Quantity: 1}}}
}

// optimum tries every site for every order and gives the largest joint saving.
func optimum(y *yard, orders []Order, scale *scale) int64 {
	left := map[string]int64{}
	for _, id := range y.ids {
		left[id] = y.atp("A", id)
	}
	for _, o := range orders {
		left[o.Present[0].Site]++
	}
	best := int64(0)
	var try func(i int, saving int64)
	try = func(i int, saving int64) {
		if i == len(orders) {
			best = max(best, saving)
			return
		}
		was := scale.measure(orders[i].Question, orders[i].Present)
		for _, id := range y.ids {
			is := scale.measure(orders[i].Question, []*messages.Assignment{oneAt(id)})
			if left[id] == 0 || id != orders[i].Present[0].Site && !is.may(&was) {
				continue
			}
			left[id]--
			try(i+1, saving+was.cost-is.cost)
			left[id]++
		}
	}
	try(0, 0)
	return best
}
