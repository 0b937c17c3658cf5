// Package shadow computes shadow prices: what using up one unit of an item at a site costs later, because some other order will
// miss it there. Added to the cost of an item when a site is chosen, and never paid, they keep scarce stock for the orders that need
// it there.
//
// # What it promises
//
//   - Pure: Solve reads its arguments and nothing else. No clock, no random, no log, no goroutine.
//   - The same bits everywhere: costs and prices are int64 micro-units and every assignment is chosen among integers. Only sums over
//     flows and the size of a step are floats, and every product among them is rounded by an explicit conversion, which the language
//     forbids to fuse. Even so, let one node compute the prices and hand them out as integers: demand is never known twice alike.
//   - A proof: Bound is the least the expected demand can cost with this stock, whatever the policy, since stock is only priced and
//     not limited (Lagrangian relaxation), and every order is assigned exactly. Any prices give a valid bound; the best one is kept.
//   - Bounded: RoundsMax rounds over all flows, NodesMax sets for one flow. Nothing is allocated per round.
//
// # What it leaves to others
//
// Forecasting demand, when to compute anew, how prices travel, and the choice itself: Chooser serves the prices and the benchmark.
// Production chooses with the rules of package routing.
//
// # How it finds prices
//
// Each flow (orders of one type to one destination) is assigned at cost plus price, the cheapest set of sites among all (choose.go).
// Where the assignments would use more than there is, the price rises; where less, it falls; never below zero. The length of a step is
// Polyak's: the distance to a bound 2 % above the best so far, over the square of the direction, times a factor that shrinks by 0.7
// when five rounds bring nothing, and never further than the dearest way of one unit: where the slope nearly vanishes, as it may in a
// problem of a few flows, the formula would throw prices far away. The direction is the slope and half of the last direction. The prices are the mean over the last
// 30 % of the rounds: single rounds swing from one set of sites to another, their mean does not, and its bound is no worse than the
// mean of theirs. From zero, 60 rounds come within 0.5 % of 3,000 and 300 within 0.02 %; 20 are enough from prices of a moment ago.
// One step moves all prices, by slopes in units. Where one SKU is ordered a thousand times as often as another, prices of the first move and
// come to rest before those of the second have begun; Options.Even divides each slope by the units expected. On networks drawn with such
// SKUs (even_test.go) 300 even rounds prove what no number of others does. The published networks have SKUs of one size: there it is all the same.
// A site without an item is left out for that item instead of being priced, so that no rounds are spent on pricing it away.
//
// An item may have to ship as long as any site has it. What is short is then not chosen but given: what is missing in total. ShortMax
// says so. Without it the prices believe that a second item may be dropped once the first is: where some items are nowhere, they save
// a fifth of what the right ones save (package benchmark, network big-25, cost by the bound: 1.052 without prices, 1.043 with those of
// the wrong problem, 1.005 with those of the right one).
//
// # Between two computations
//
// Prices at rest leave nobody in charge of ties: all orders of a flow take the same of two equally good ways until the next
// computation. Follow corrects a price for what was used faster or slower than planned. It costs a multiplication and a division, and
// does as much as ten computations during the period.
//
// # What was tried and failed, or was not worth it
//
// Figures are of package benchmark, network small, cost by the DLP bound.
//
//   - The plain step: slope only, patience of ten rounds, prices of the best round. The bound after 60 rounds is 1 % off instead of
//     0.5 %; prices at rest cost 1.042 after 300 rounds instead of 1.038, and 1.040 even after 1,500. With more of the last direction
//     (0.7, 0.85) the bound is as good and the prices are worse. A nearer target than 2 % is slower. The mean over 70 % is worse.
//   - Trying first the set of the round before: 10 % faster, more code, and in ties an answer that depends on history. Out.
//   - Computing more often at even distances: 100 times instead of ten gains 0.2 %. The same gain comes from computing whenever the
//     orders left have shrunk by a fifth, with a third of the work: the losses are at the end, when a few units are left (in the last
//     twentieth an order costs 20 % more than before). 30 or 60 rounds each instead of 20 gain nothing.
//   - Averaging prices over 8 or 32 sampled demands instead of the mean demand: gains 0.03 % for 4 to 20 times the work, and loses 0.1 %
//     where prices are not computed anew.
//   - A strong correction in Follow (a gain of 20 instead of 1) loses more than the weak one gains; 0.25 to 2 are alike. Dividing by a
//     root of the stock instead of the stock: no difference.
package shadow
