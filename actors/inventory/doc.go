// Package inventory is the bucket: the stock of one SKU at one site, behind one writer. It decides who gets a unit.
//
// # What it promises
//
// It never oversells. After every event, on hand less unsellable units covers all reservations and allocations, unless a fact from the
// building (a count, an adjustment, a rejection) took units away; then the claims that can no longer be served were named
// by StockOvercommitted before the units went (invariant I1). Each reservation leaves `held` exactly once (I7), whoever asks, how
// often, in whatever order. Equal requests are served first come, first served (I9). A broken invariant panics in Evolve.
//
// # What it leaves to others
//
// Remembering command ids, versions, durability and the sending of tasks (actors/entity). Choosing sites (routing). What an order does
// with a decline or a lost claim (actors/order). Names and sizes of public fields are checked at the doors; what would break the
// bucket is checked again here.
//
// # Outline
//
//	State     counts, reservations by id, live ones in the order they were made, ended ones in the order they ended
//	Decide    reserve.go, cancel.go, count.go: one function per command, reading only
//	cover     overcommit.go: who loses when stock turns out to be missing
//	Evolve    evolve.go: one case per event, then the invariants
//	Tasks     the earliest expiry as a timer, and a window of over-commitment notices
//	snapshot  the state as bytes, the same bytes for the same history
//
// # Why it is fast
//
// Everything that a reservation touches is O(1): running sums, a map, and a heap of expiries in which new holds land at the bottom.
// Whatever leaves the heap early stays in it as a stale entry until it surfaces or until half of the heap is stale; removing it at
// once would cost a path of cache misses for every confirm. Whatever could be long (expiring, naming victims, telling orders) is
// done in steps of bounded size, so that one commit stays small.
package inventory
