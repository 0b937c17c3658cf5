// Package solve assigns what an order needs to sites at the least objective, and proves it: every site used costs something once, every
// unit costs something by where it comes from, and the objective is a list of levels of which the first that differs decides.
//
// # What it promises
//
//   - Pure: Solve reads the problem and nothing else. No clock, no random, no log, no goroutine, no float.
//   - Exact: the answer is the true optimum unless the search reached Problem.StepsMax, and Result says which. In either case Result.Bound is
//     proven: no assignment is better.
//   - Total: of equally good assignments that from fewer sites wins, then the one whose site numbers, ascending, come first; hand sites in in the
//     order of their ids.
//   - Never more than there is: no site gives more units of an item than Cap, and more of a SKU than Stock over all its items.
//   - Bounded: StepsMax elementary steps, then the best found so far, which a greedy start has made a decent one. Memory is reused: once the
//     largest problem was seen, a call allocates nothing.
//
// # What it leaves to others
//
// Which sites may give what (filters), what the levels are (scores), and what becomes of units nobody gives.
//
// # The problem
//
// Units that nobody gives cost the level before all others, so an answer gives as many units as SitesMax allows. An item is either whole (one
// site gives all of it, or nobody) or divisible. Then a set of sites settles everything else: each whole item goes to its cheapest site of the
// set, each divisible one is filled from the cheapest on. What a set saves against "nobody gives anything" is submodular: a site that joins
// a larger set saves less there, since whole items pick a minimum and divisible ones are a weighted matroid (the q cheapest of all units).
// So the search runs over sets of sites only.
//
// # The search
//
// A node is a set of chosen sites and a list of those that may still join, each with what it would save now (branch.go). Three bounds cut it off.
// The chosen set's total less the largest savings, as many as may still join; strong where savings are small. And the fixed costs paid,
// plus the least one still to pay, plus the cheapest way of each item over all sites still in reach; strong where something is not covered
// yet. And prices, see below. While an item is not covered a node branches over the sites that can give it, of the item that fewest can give;
// else over all that save something. Whoever was branched on is out of reach for the later siblings, so no set is met twice.
//
// Before it branches a node is put under prices (dual.go): every item is paid what it may cost at most, and sites collect what they gain by serving at
// that price. What the prices pay, less what sites collect above their fixed costs, is a bound for every set: the dual of the linear relaxation,
// climbed as Erlenkotter did in 1978, but in every node from its parent's prices on. What a site lacks to its fixed cost is what a set with it
// costs more, which throws most sites out of reach. Two things go further than Erlenkotter. A divisible item is paid more as long as more of
// its units are wanting than the sites that collect enough could give. And where only so many sites may join, only as many of those that
// collect above their fixed costs are reckoned with, the worst; a toll on every site, doubled while that helps, lets prices use this. With the
// toll at its height this is the first bound, with none it is the dual.
//
// A short search begins with a good plan (seek.go): greedy, then every site of the plan is exchanged for the best other one as long as that helps.
//
// # Amounts
//
// Levels are packed into three words of 62 bits, as many levels into one word as their ranges allow (amount.go). Sums and comparisons then cost
// a few instructions whatever the number of levels, and lexicographic order over words is an order of a group: all arguments about minima
// and sums hold as they do for integers. Levels that find no room are left out, and Result.Compared says how many took part.
//
// # Costs that are not sums
//
// Some scores of a part are no sum over its units: a price list by weight, the least stock left. For these the problem holds sums that are
// never above the truth, and a Pricer that knows it. The search uses the sums as bounds and prices every assignment that could win, trying
// the ways to give whole items within a set (leaf.go). The same is done when items compete for one SKU of a site. Divisible items are filled
// by the sums, and where that leaves a doubt given in every way (portion.go); if those are too many, the answer is proven only if the bound
// meets it.
//
// Fixed costs below zero are taken, though a site may then be worth something for that alone: such problems count as those whose sums are only
// bounds.
//
// # The ideas that failed
//
// Comparing level by level with a bound for each level: the bound of the second level cannot know that the first one is at its best, and with
// "fewest parts, then distance" nothing was ever cut off by distance.
//
// Prices made once, for the root: with 20 items and 50 sites one search in a hundred took 40 ms, since the gap of the root stays the gap of
// all nodes. Prices only after many nodes: what is saved in easy searches is lost in the others.
package solve
