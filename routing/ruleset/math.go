package ruleset

import (
	"math"
	"math/bits"
)

// Scores and costs are int64 and saturate: whatever the facts, an extreme value compares as extreme and never wraps to its opposite.

func addSat(a, b int64) int64 {
	sum := a + b
	switch {
	case a > 0 && b > 0 && sum < 0:
		return math.MaxInt64
	case a < 0 && b < 0 && sum >= 0:
		return math.MinInt64
	}
	return sum
}

func negSat(a int64) int64 {
	if a == math.MinInt64 {
		return math.MaxInt64
	}
	return -a
}

func subSat(a, b int64) int64 {
	if b == math.MinInt64 { // its opposite is one more than the largest number
		return addSat(addSat(a, 1), math.MaxInt64)
	}
	return addSat(a, -b)
}

func mulSat(a, b int64) int64 {
	if a>>31 == 0 && b>>31 == 0 { // what prices, weights and quantities are: their product cannot overflow
		return a * b
	}
	return mulDiv(a, b, 1)
}

func magnitude(a int64) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}

// mulDiv is a × b ÷ c over 128 bits, toward zero; c must be positive.
func mulDiv(a, b, c int64) int64 {
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	negative := (a < 0) != (b < 0)
	var q uint64 = math.MaxUint64
	if hi < uint64(c) {
		q, _ = bits.Div64(hi, lo, uint64(c))
	}
	if negative {
		if q > math.MaxInt64 {
			return math.MinInt64
		}
		return -int64(q)
	}
	return int64(min(q, math.MaxInt64))
}

// divUp is a ÷ b, up; neither may be negative, and b not zero.
func divUp(a, b int64) int64 {
	q := a / b
	if a%b > 0 {
		q++
	}
	return q
}
