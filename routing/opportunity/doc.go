// Package opportunity makes shadow prices for the running engine out of what it sees: orders of late, present stock and the rule set in
// force. What is scarce near orders yet to come gets a price that routing adds to the cost of taking it (score `opportunity`).
//
// # Outline
//
//   - A Counter counts orders by content and region, and forgets them exponentially. Every node has one.
//   - A Demand joins what all nodes have counted: so many orders of each content to each region in a day.
//   - A Pricer makes a shadow.Problem of demand, stock and costs, and a Job solves it.
//   - A Table holds the prices. It never changes, may be asked concurrently, and travels in parts.
//
// # What it promises
//
//   - Pure: time comes as an argument; there is no goroutine, no log and no random.
//   - Bounded: FlowsMax contents × regions counted, SKUsMax SKUs priced, cellsMax figures in a problem, RoundsMax rounds.
//   - A table knows every price: what is not in it is worth nothing. After its horizon it knows none.
//
// # What it leaves to others
//
// When to compute, which node does, how counts and tables travel (package actors), and what a price is worth beside other scores (the rule
// set).
//
// # Which SKUs have a price
//
// Those of which some site with stock has less than all expected orders together would take. Of any other one the price is 0 by
// proof, for no stock limit can bind. The scarcest come first, by demand over stock; beyond SKUsMax they count as plentiful. SKUs that ride in
// the same orders take part in the problem, without a limit, because they decide which parcels there are.
//
// # Costs
//
// Those that decide: of the first rule with the score `opportunity`, the card of its score `cost` (or `margin`), with the site's own costs unless the
// score leaves them out. A price list by weight is taken as a straight line through a parcel of one unit and one of an ordinary order. Without
// such a card: the site's own costs, a cost per parcel, and a cost per unit and distance. A unit that no site gives costs twice the dearest way.
//
// # What is missing
//
// Routing ships whatever there is to whoever orders first. Where demand exceeds the stock of all sites, those who come too late are no choice, and a
// problem that has to choose them has prices that say more of who goes without than of where to ship from; with demand a hundred times the stock
// they were noise of several parcels' worth. So a SKU is asked for only as long as it lasts, and only so many units may be short as are by chance.
package opportunity
