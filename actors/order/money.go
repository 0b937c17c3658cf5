package order

import (
	"cmp"
	"math/bits"
	"slices"

	"orderyard/messages"
)

// Share is what the units of one line get of an amount that is spread over an order: Base each, and the first Extra of them one minor unit more
// (one less where the amount is negative).
type Share struct{ Base, Extra int64 }

// Of is what units from number from up to, and without, number to get together.
func (s Share) Of(from, to int64, sign int64) int64 {
	return s.Base*(to-from) + sign*max(min(to, s.Extra)-from, 0)
}

// Spread gives every unit of an order its part of an amount by largest remainder (docs/GLOSSARY.md §8), in one step down to the unit: units weigh
// their price, all alike when every price is zero. Parts add up to the amount exactly, however units are put together later. Quantities and
// prices must not be negative, and their products must add up below 2⁶³. Without units nobody gets anything.
func Spread(amount int64, prices, quantities []int64) []Share {
	shares := make([]Share, len(prices))
	var sum int64
	for i, q := range quantities {
		sum += prices[i] * q
	}
	weight := func(i int) uint64 { return uint64(prices[i]) }
	if sum == 0 {
		weight = func(int) uint64 { return 1 }
		for _, q := range quantities {
			sum += q
		}
	}
	if sum == 0 {
		return shares
	}
	sign, left := int64(1), uint64(amount)
	if amount < 0 {
		sign, left = -1, -uint64(amount)
	}
	whole := left
	rest := make([]uint64, len(prices)) // remainders by line: the units of one line are alike
	order := make([]int, len(prices))
	for i, q := range quantities {
		order[i] = i
		hi, lo := bits.Mul64(whole, weight(i))
		base, remainder := bits.Div64(hi, lo, uint64(sum)) // hi < sum, for the weight is at most sum
		rest[i], shares[i].Base = remainder, sign*int64(base)
		left -= base * uint64(q)
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(rest[b], rest[a]), cmp.Compare(weight(b), weight(a)), cmp.Compare(a, b))
	})
	for _, i := range order {
		shares[i].Extra = min(quantities[i], int64(left))
		left -= uint64(shares[i].Extra)
	}
	return shares
}

// amounts are what parts of an order are worth, each with its share of shipping, tax and discount: units of a line are numbered in the order of the
// parts. Parts that together are the whole order add up to its total.
func amounts(o *messages.Order, parts [][]*messages.LineQuantity) []int64 {
	prices, quantities := make([]int64, len(o.Lines)), make([]int64, len(o.Lines))
	for i, l := range o.Lines {
		prices[i], quantities[i] = l.UnitPrice, l.Quantity
	}
	added := Spread(o.ShippingAmount+o.Tax, prices, quantities)
	taken := Spread(-o.Discount, prices, quantities)
	next := make([]int64, len(o.Lines))
	sums := make([]int64, len(parts))
	for k, lines := range parts {
		for _, l := range lines {
			if int64(l.GetLine()) >= int64(len(next)) {
				continue
			}
			i, from := l.Line, next[l.Line]
			to := from + l.Quantity
			next[i] = to
			sums[k] += prices[i]*l.Quantity + added[i].Of(from, to, 1) + taken[i].Of(from, to, -1)
		}
	}
	return sums
}
