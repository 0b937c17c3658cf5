package benchmark

import "math"

// expectedShort is how many of so many orders are expected to find none of the units left, when each asks for one with the given
// chance: the mean of max(0, demand − units) for a binomial demand. It sums over the tail that is the shorter one.
func expectedShort(orders int, chance float64, units int64) float64 {
	n, b := float64(orders), float64(units)
	mean := n * chance
	switch {
	case b >= n || chance <= 0:
		return 0
	case b == 0 || chance >= 1:
		return mean - b
	}
	odds := chance / (1 - chance)
	var sum float64
	if b >= mean {
		d := b + 1
		for p := binomial(n, d, chance); d <= n && p*(d-b) > sum*1e-15; d++ {
			sum += p * (d - b)
			p *= (n - d) / (d + 1) * odds
		}
		return sum
	}
	d := b - 1
	for p := binomial(n, d, chance); d >= 0 && p*(b-d) > sum*1e-15; d-- {
		sum += p * (b - d)
		p *= d / (n - d + 1) / odds
	}
	return mean - b + sum // the mean of max(0, d − b) − max(0, b − d) is mean − b
}

// binomial is the chance of exactly d successes in n tries.
func binomial(n, d, chance float64) float64 {
	lg := func(x float64) float64 { v, _ := math.Lgamma(x); return v }
	return math.Exp(lg(n+1) - lg(d+1) - lg(n-d+1) + d*math.Log(chance) + (n-d)*math.Log1p(-chance))
}
