package shadow

import "math/bits"

// Drift follows prices between two computations. Its numbers, and the units given to Follow, are at most 2³¹.
type Drift struct {
	// Gain is how far the price of a unit moves, in micro-units, for each unit used too fast or too slowly, divided by the units left
	// and one. One unit of money is good where a parcel costs nine.
	Gain int64
	// Expected is how many orders were to come when the prices were computed, and Left how many still are. Any other measure of what
	// is left of the period will do.
	Expected, Left int64
}

// Follow corrects a price that was computed when the site had had units, for it has has now: the price rises when they went faster
// than the orders, and falls when they went slower. A price of zero stays zero, for stock that was plentiful was not planned to run
// out. The answer is between 0 and CostMax.
func (d Drift) Follow(price, had, has int64) int64 {
	if price <= 0 || has <= 0 || d.Expected <= 0 {
		return max(0, price)
	}
	fast := had*d.Left - has*d.Expected // units used too fast, times Expected
	high, low := bits.Mul64(uint64(max(fast, -fast)), uint64(d.Gain))
	by, divisor := uint64(CostMax), uint64(d.Expected*(has+1))
	if high < divisor {
		by, _ = bits.Div64(high, low, divisor)
		by = min(by, CostMax)
	}
	if fast < 0 {
		return max(0, price-int64(by))
	}
	return min(price+int64(by), CostMax)
}
