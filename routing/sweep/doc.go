// Package sweep plans many orders together once more: given units that no site was asked about, where they are now, and all that is in stock,
// it finds which of them would be cheaper elsewhere. Orders are planned when they come, each with what was there then. Later something nearer
// has come in, or two orders hold what the other one wants.
//
// # What it promises
//
//   - Every plan is routing.Route's, so every rule holds. The present plan is the only alternative that is not asked for.
//   - A move gives all units of its order, keeps the promised day as well as the present plan does, and sends more parcels only when the order
//     itself becomes cheaper by it.
//   - Never more units than there are: what a move takes is in stock, or another move of the same group gives it back.
//   - The joint saving is the sum of the savings of the moves. One order may become dearer, when others save more by what it leaves.
//   - A group of moves that need each other saves more than both thresholds, or nothing of it is moved. What saves nothing does not move.
//   - The same input gives the same output; the input is only read. No clock, no random, no map order.
//   - Bounded: passes, sets of orders tried together and calls of Route each have a limit, and the search may stop at any of them, for it holds
//     a complete plan at every moment.
//
// # The yardstick
//
// Plans of a rule set compare level by level (routing/solve), and that order says nothing about how much better one is. A sweep asks for a sum
// of money: the carrier's price by the set's first rate card with rates, and the sites' own costs per order and unit; without such a card the
// sites' costs alone. What the card has no price for cannot be compared and stays. So a plan that the rules prefer and that costs more
// is no reason to move; the rules only say what may be, and what is to be tried.
//
// # How it searches
//
// From the present plans: each order alone, in the order in which scarce stock is owed (docs/GLOSSARY.md §7), again and again until nothing
// gets cheaper. Then in sets: an order that would be cheaper with the units of others is planned first, and those who hold these units after
// it. Beside that, everything anew from an empty yard, in the same order; the cheaper of both ends counts, at a tie the one from the present plans.
//
// That is no proof of the best. Held against all joint plans of yards with four sites and up to five orders (TestAgainstEverything), it finds the
// optimum in 98 of 100 yards where something can be saved, and 99 % of all that can be.
//
// The first design began with the empty yard alone. Whoever comes late in the order may find no place then that keeps its promise, although it has one now.
//
// # What it leaves to others
//
// Which orders may be moved, and moving them (actors/order); when to look, and in which order to move (actors). Stock is as the view has it:
// only the bucket decides, and an order that comes too late is planned again as after any decline.
package sweep
