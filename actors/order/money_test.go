package order

import (
	"flag"
	"math/rand/v2"
	"testing"

	"orderyard/messages"
)

var moneyCases = flag.Int("money", 20_000, "random splits that TestSplitsAddUp makes; a million were made before each release")

// TestSpread proves the rule by hand-made cases: the largest remainder gets the cent, ties go to the dearer unit, then to the lower line.
func TestSpread(t *testing.T) {
	for _, tt := range []struct {
		name               string
		amount             int64
		prices, quantities []int64
		want               []Share
	}{
		{"a thousand over three", 1000, []int64{5, 5, 5}, []int64{1, 1, 1}, []Share{{333, 1}, {333, 0}, {333, 0}}},
		{"within a line", 10, []int64{7}, []int64{4}, []Share{{2, 2}}},
		{"by price", 100, []int64{1, 2}, []int64{1, 1}, []Share{{33, 0}, {66, 1}}},
		{"free of charge: by quantity", 10, []int64{0, 0}, []int64{1, 3}, []Share{{2, 1}, {2, 1}}},
		{"a discount", -1000, []int64{5, 5, 5}, []int64{1, 1, 1}, []Share{{-333, 1}, {-333, 0}, {-333, 0}}},
		{"nothing", 0, []int64{5}, []int64{2}, []Share{{0, 0}}},
		{"nobody", 5, []int64{5}, []int64{0}, []Share{{0, 0}}},
		{"a fortune", 1 << 62, []int64{1 << 30, 1}, []int64{1, 1 << 30}, []Share{{1 << 61, 0}, {1 << 31, 0}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Spread(tt.amount, tt.prices, tt.quantities)
			for i, s := range got {
				if s != tt.want[i] {
					t.Fatalf("line %d: %+v, want %+v", i, s, tt.want[i])
				}
			}
		})
	}
}

// TestSplitsAddUp proves that the parts of an order are the whole, to the unit and to the cent, however it is split: random orders cut into random
// parts, which are cut again.
func TestSplitsAddUp(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range *moneyCases {
		o := &messages.Order{ShippingAmount: r.Int64N(3000), Tax: r.Int64N(5000), Discount: r.Int64N(4000)}
		total := o.ShippingAmount + o.Tax - o.Discount
		for range 1 + r.IntN(5) {
			l := &messages.OrderLine{Quantity: 1 + r.Int64N(9), UnitPrice: r.Int64N(20_000)}
			if r.IntN(6) == 0 {
				l.UnitPrice = 0
			}
			o.Lines = append(o.Lines, l)
			total += l.Quantity * l.UnitPrice
		}
		parts := make([][]*messages.LineQuantity, 1+r.IntN(6))
		units := make([]int64, len(o.Lines))
		for i, l := range o.Lines {
			for left := l.Quantity; left > 0; {
				q := 1 + r.Int64N(left)
				at := r.IntN(len(parts))
				parts[at] = append(parts[at], &messages.LineQuantity{Line: uint32(i), Quantity: q})
				units[i] += q
				left -= q
			}
		}
		var sum int64
		for _, v := range amounts(o, parts) {
			sum += v
		}
		for i, l := range o.Lines {
			if units[i] != l.Quantity {
				t.Fatalf("case %d: line %d has %d units in parts, %d as a whole", n, i, units[i], l.Quantity)
			}
		}
		if sum != total {
			t.Fatalf("case %d: parts are worth %d, the whole %d: %v", n, sum, total, o)
		}
	}
}
