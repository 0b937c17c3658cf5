package ruleset_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"orderyard/routing/ruleset"
)

// lastScores are those that follow a price list or add up, put last where a fact is missing.
var lastScores = []string{
	"{cost: {card: c, split_penalty: 300}, missing: last}", "{margin: {card: c}, missing: last}", "{co2: {card: c}, missing: last}",
	"{opportunity: , missing: last}", "{turnover: {promise_card: c}, missing: last}", "{expiry: {promise_card: c}, missing: last}",
	"{distance: {}, missing: last}", "{capacity: , missing: last}",
}

const lastCard = `
cards:
  c: {zones: [{name: near, km: 300, hours: 24}, {name: far, km: 1800, hours: 72}], grams: [500, 2000], unit_grams: 400, default_service: standard,
    co2: {parcel_g: 100, tonne_km_g: 60}, rates: {standard: {near: [500, 700], far: [900, 1400]}}}
`

// TestLastAddsMost proves, score by score, that a site which comes last adds more to a plan than any part does that a site gives whose facts are known,
// by the price list where there is one; and that a whole order from there adds more than a whole order from any of these.
func TestLastAddsMost(t *testing.T) {
	met := map[string]bool{}
	rapid.Check(t, func(t *rapid.T) {
		score := rapid.SampledFrom(lastScores).Draw(t, "score")
		c := compiled(t, around("filters: [{stock: any}]\nscores: ["+score+"]")+lastCard)
		o, sites := shopper(rapid.IntRange(1, 3).Draw(t, "lines")), network(8, 3)
		o.DeliverBy = ruleset.Known(benchNow + 60*3_600_000)
		for i := range sites {
			sites[i].Stock = sites[i].Stock[:len(o.Lines)]
			for k := range sites[i].Stock {
				sites[i].Stock[k].ATP = rapid.Int64Range(0, 4).Draw(t, "atp")
			}
			if rapid.IntRange(0, 3).Draw(t, "unknown") == 0 {
				site := *sites[i].Site
				site.CapacityLeft, sites[i].Site, sites[i].DistanceM = ruleset.Number{}, &site, ruleset.Number{}
				for k := range sites[i].Stock {
					sites[i].Stock[k] = ruleset.Stock{ATP: sites[i].Stock[k].ATP}
				}
			}
		}
		var r ruleset.Run
		r.Begin(c, o, benchNow)
		r.Try(0, 0, sites)
		list := slices.Sorted(slices.Values(r.Ranking()))
		items := slices.Clone(r.Items())
		var terms ruleset.Terms
		r.Terms(0, list, items, &terms)
		for at := range list {
			if terms.Last[at] {
				continue
			}
			units, whole := make([]int64, len(items)), true
			for k := range items {
				units[k] = rapid.Int64Range(0, r.MayGive(int(list[at]), &items[k])).Draw(t, "units")
				if items[k].Whole && units[k] < items[k].Quantity {
					units[k] = 0
				}
				whole = whole && units[k] == items[k].Quantity
			}
			adds := partAdds(&r, &terms, at, int(list[at]), items, units, whole)
			for last, i := range list {
				if !terms.Last[last] {
					continue
				}
				met[score] = true
				most := terms.Fixed[last]
				if whole && terms.Alone != nil && r.Verdicts()[i].Short == 0 {
					most += terms.Alone[last]
				}
				if adds >= most {
					t.Fatalf("%s: %v of %v from %d add %d, %d comes last and adds %d", score, units, items, at, adds, last, most)
				}
			}
		}
	})
	if len(met) < len(lastScores) {
		t.Errorf("only %v had sites of both kinds", met)
	}
}

// partAdds is what a part truly adds to the score.
func partAdds(r *ruleset.Run, t *ruleset.Terms, at, candidate int, items []ruleset.Item, units []int64, whole bool) int64 {
	if t.Curve {
		return r.Curve(0, candidate, items, units, whole)
	}
	sum := t.Fixed[at]
	for k, u := range units {
		if items[k].Whole {
			u = min(u, 1)
		}
		if t.Cost != nil {
			sum += t.Cost[at*len(items)+k] * u
		}
	}
	return sum
}

func compiled(t *rapid.T, text string) *ruleset.Compiled {
	c, err := ruleset.Load("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
