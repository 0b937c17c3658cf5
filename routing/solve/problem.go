package solve

// Problem is what an order needs and what sites can give. It is read only while a Solver works on it; build the next one in its slices.
type Problem struct {
	Sites, SKUs int
	Items       []Item
	Levels      []Level // of the objective, the most important first

	// Cap[site*len(Items)+item] is how many units of an item a site may give; for a whole item less than Quantity means none.
	Cap []int64
	// Stock[site*SKUs+sku] is how many units of a SKU a site may give over all items. It is asked only for SKUs that several items need: for
	// each item alone, Cap respects it already.
	Stock []int64
	// Free sites do not count towards SitesMax. nil = all count.
	Free []bool
	// SitesMax is how many sites may give.
	SitesMax int
	// Pricer knows the true levels of a part where Fixed and Cost are only bounds from below. nil = they are true.
	Pricer Pricer
	// Judge says which parts may be: what it refuses no plan holds. nil = every part may be.
	Judge Judge
	// StepsMax bounds the search, in comparisons of amounts (a few nanoseconds each). 0 = no bound.
	StepsMax int64
	// WaysMax bounds in how many ways the items are given within one set of sites, where sums are only bounds; the cheapest by sums come first.
	// A set with more of them is without proof. 0 = no bound.
	WaysMax int
}

// Level is one step of the objective: sums of int64, smaller is better.
type Level struct {
	// Fixed[site] is what a site adds when it gives anything. Below zero over all levels is taken, and costs time.
	Fixed []int64
	// Alone[site], never above zero, is added to that when the site gives everything and no other site gives anything. nil = nothing.
	Alone []int64
	// Cost[site*len(Items)+item] is what one unit of a divisible item adds, or a whole item at once. nil = nothing.
	Cost []int64
	// Excess is how much more a Pricer may say of one part than the sums do, at most; what it says beyond that counts as that.
	Excess int64
}

// Item is what is assigned as one.
type Item struct {
	Quantity int64  // units, at least 1
	Whole    bool   // one site gives all of it or nothing
	Parts    []Part // every SKU once
}

// Part is what a whole item needs of one SKU. A divisible item has one part, of Quantity units.
type Part struct {
	SKU   int
	Units int64
}

// Pricer gives the true levels of what a site gives: units by item. They are never below those by Fixed and Cost, and include what Alone says
// of a site that gives everything.
type Pricer interface {
	Price(site int, units []int64, levels []int64)
}

// Judge says whether a site may give just these units, by item, whatever the others give.
type Judge interface {
	Allows(site int, units []int64) bool
}

// Give is units of an item given by a site.
type Give struct {
	Site, Item int
	Units      int64
}

// Plan is one assignment.
type Plan struct {
	Found  bool
	Sites  []int   // those that give, ascending
	Gives  []Give  // by site, then item; of the best plan only
	Short  int64   // units nobody gives
	Levels []int64 // the objective, by level of the problem
}

// Result is the answer to a problem. It is valid until the solver's next call.
type Result struct {
	Best, Second Plan
	// Exact says that Best is the optimum of the levels compared.
	Exact bool
	// Bound is a proven bound from below, in the order of comparison: units short, then the levels. It equals Best when Exact, in the levels
	// compared.
	BoundShort int64
	Bound      []int64
	// Compared is how many levels took part: those behind it found no room in an amount.
	Compared int
	Steps    int64
}

// Difference is the first level in which the second plan is worse than the best: −1 = units short, Levels = site numbers alone.
func (r *Result) Difference() int {
	if r.Second.Short != r.Best.Short {
		return -1
	}
	for k := range r.Compared {
		if r.Best.Levels[k] != r.Second.Levels[k] {
			return k
		}
	}
	return len(r.Best.Levels)
}
