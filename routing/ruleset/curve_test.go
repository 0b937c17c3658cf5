package ruleset

import (
	"testing"

	"pgregory.net/rapid"
)

// TestChordLiesBelow proves that the line which the optimizer reckons with is nowhere above the price list, whatever the list, also for several
// parcels, and that no price lies further above it than is said.
func TestChordLiesBelow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &Card{Zones: []Zone{{Name: "all", Open: true}}, Service: "s"}
		row := Price{}
		if rapid.Bool().Draw(t, "breaks") {
			for grams := int64(0); len(c.Grams) < rapid.IntRange(1, 6).Draw(t, "count"); {
				grams += rapid.Int64Range(1, 2000).Draw(t, "further")
				c.Grams = append(c.Grams, grams)
				row.Breaks = append(row.Breaks, rapid.Int64Range(0, 3000).Draw(t, "price"))
			}
		} else {
			row.Fixed, row.PerKg = rapid.Int64Range(0, 2000).Draw(t, "fixed"), rapid.Int64Range(0, 900).Draw(t, "per kg")
		}
		c.Rates = []Rate{{Service: "s", Rows: []Price{row}}}
		k := newCard(c, 0)
		o := &Order{Service: "s", Lines: []Line{{SKU: "A", Quantity: 1}, {SKU: "B", Quantity: 3}}}
		for i := range o.Lines {
			o.Lines[i].UnitGrams = Known(rapid.Int64Range(0, 4000).Draw(t, "grams"))
		}
		var r Run
		r.Begin(&Compiled{cards: []*card{k}}, o, 0)
		r.here = &Candidate{Site: &Site{}, DistanceM: Known(1)}
		line := r.chordOf(k)
		for _, units := range [][2]int64{{1, 0}, {0, 1}, {0, 3}, {1, 1}, {1, 3}} {
			a, b := units[0]*o.Lines[0].UnitGrams.Value, units[1]*o.Lines[1].UnitGrams.Value
			price, _ := k.price(0, "s", a+b)
			if sum := line.base + line.above(a) + line.above(b); sum > price || price > sum+line.excess {
				t.Fatalf("%d g cost %d, the line says %d and up to %d more: %+v %+v", a+b, price, sum, line.excess, line, row)
			}
		}
	})
}
