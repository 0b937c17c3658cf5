package benchmark

// policy is a row of the report.
type policy struct {
	name     string
	mustShip bool // it obeys the rule that an item with stock anywhere ships; a run that breaks it is an error
	needsLP  bool
	apart    bool // not comparable with the others, shown below them
	make     func(b bounds) decider
}

// Policies are the names Run knows, in the order of the report.
func Policies() []string {
	names := make([]string, len(policies))
	for i, p := range policies {
		names[i] = p.name
	}
	return names
}

// The names other code looks for.
const (
	nameExact    = "exact"
	nameResolved = "exact + λ re-solved"
	nameFollowed = "exact + λ followed, re-solved"
)

// The published policy computes prices ten times in 60 rounds each; ours more often, in fewer rounds, since each starts where the one
// before ended. 30 and 60 rounds do no better.
const (
	resolvedTimes  = 10
	roundsResolved = 60
	roundsFollowed = 20
	followGain     = 1_000_000 // one dollar
)

var policies = []policy{
	{name: "static nearest", make: func(b bounds) decider { return staticNearest(b.in) }},
	{name: "nearest-first", mustShip: true, make: func(b bounds) decider { return nearestFirst(b.in) }},
	{name: "fewest-splits", mustShip: true, make: func(b bounds) decider { return fewestSplits(b.in) }},
	{name: nameExact, mustShip: true, make: func(b bounds) decider { return newExact(b.in, nil) }},
	{name: "dilated rounding", needsLP: true, make: func(b bounds) decider { return newDilated(b.in, b.lp.share) }},
	{name: "exact + LP duals", mustShip: true, needsLP: true, make: func(b bounds) decider { return newExact(b.in, b.lp.duals) }},
	{name: "exact + λ", mustShip: true, make: func(b bounds) decider { return newExact(b.in, b.any.Prices) }},
	{name: nameResolved, mustShip: true, make: func(b bounds) decider {
		return newResolved(b.in, b.any.Prices, roundsResolved, func(int) int { return max(1, b.in.Orders/resolvedTimes) })
	}},
	{name: "exact + λ of shipping", mustShip: true, make: func(b bounds) decider { return newExact(b.in, b.ship.Prices) }},
	{name: "exact + λ followed", mustShip: true, make: func(b bounds) decider {
		return newResolved(b.in, b.ship.Prices, 0, func(left int) int { return left }).follow(followGain)
	}},
	{name: nameFollowed, mustShip: true, make: func(b bounds) decider {
		r := newResolved(b.in, b.ship.Prices, roundsFollowed, shrinking(b.in)).follow(followGain)
		r.ships = true
		return r
	}},
	{name: "the same, may drop", apart: true, make: func(b bounds) decider {
		r := newResolved(b.in, b.any.Prices, roundsFollowed, shrinking(b.in)).follow(followGain)
		r.mayDrop = true
		return r
	}},
}

// shrinking computes anew whenever the orders left have shrunk by a fifth, until a thousandth is left: most is lost at the end, when
// each of the few units left weighs more.
func shrinking(in *Instance) func(left int) int {
	return func(left int) int { return max(1, in.Orders/1000, left/5) }
}
