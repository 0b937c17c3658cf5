package sweep

import (
	"cmp"
	"slices"

	"orderyard/messages"
	"orderyard/routing"
)

// Order is one order with units that may be moved.
type Order struct {
	Question *messages.PlanRequest  // about these units; sites that keep other work of the order are in SitesUsed
	Present  []*messages.Assignment // where they are now
}

// Limits bound a sweep and say when moving is worth it.
type Limits struct {
	SavingPercentMin int64 // a group of moves must save more than this share of what its orders cost now …
	SavingMin        int64 // … and more than this, in minor units
	RoundsMax        int   // passes over all orders
	SetsMax          int   // sets of orders tried together
	TogetherMax      int   // orders of a set
	HoldersMax       int   // orders that are asked to make room for one
	RoutesMax        int   // calls of Route
}

// DefaultLimits are for some hundred orders.
func DefaultLimits() Limits {
	return Limits{
		SavingPercentMin: 3, SavingMin: 50, // less is not worth the stir
		RoundsMax:   4,      // most is found in the first, chains of orders need one for each link
		SetsMax:     2_000,  // two to a few calls of Route each
		TogetherMax: 6,      // an order of two lines needs what four others hold at most, more is rare
		HoldersMax:  16,     // those to whom the units are owed least
		RoutesMax:   20_000, // a second or two
	}
}

// Move is one order that is better elsewhere.
type Move struct {
	Order         int                    // position in the input
	From          []*messages.Assignment // the input's own
	To            *messages.Plan         // all of its movable units, with the record of the decision
	Before, After int64                  // minor units
	Group         int                    // moves of one group need each other; counted from 0

	of *work
}

// SKU is the SKU of a line of the order.
func (m *Move) SKU(line uint32) string { return m.of.sku(line) }

// Saving is what the move saves; negative when it only makes room for others.
func (m *Move) Saving() int64 { return m.Before - m.After }

// Result is what a sweep found. Before and After are those of the moves.
type Result struct {
	Moves         []Move // by position in the input
	Before, After int64
	Compared      int    // orders whose present plan has a price
	Routes        int    // calls of Route
	Cut           bool   // the search ended at a limit, so there may be more
	Card          string // the rate card it measured by; "" = none, the sites' own costs alone
}

// Saving is the joint saving.
func (r *Result) Saving() int64 { return r.Before - r.After }

// Better looks for moves. The view is what can be promised now: units that the orders hold are not in it, Better gives them back itself. An
// order must not be there twice. Others may write the view meanwhile.
func Better(orders []Order, v routing.View, rules *routing.Rules, now int64, l Limits) Result {
	s := newSearch(orders, routing.Still(v), rules, now, l)
	s.fromPresent()
	s.fromScratch()
	s.undo()
	return s.result()
}

// unit of work: an order, its present plan and the best one so far.
type work struct {
	Order
	at      int // position in the input
	present plan
	best    plan
}

// plan is a way to serve an order.
type plan struct {
	parts []*messages.Assignment
	by    *messages.Plan // Route's; nil = the present one
	price price
}

// sortOwed puts orders in the order in which scarce stock is owed.
func sortOwed(list []*work) {
	slices.SortStableFunc(list, func(a, b *work) int {
		x, y := a.Question, b.Question
		if x.Priority == y.Priority && (x.DeliverBy == "") != (y.DeliverBy == "") { // a promised order goes before one without a date
			if x.DeliverBy != "" {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(y.Priority, x.Priority), cmp.Compare(x.DeliverBy, y.DeliverBy), cmp.Compare(x.PlacedAtMs, y.PlacedAtMs),
			cmp.Compare(x.OrderId, y.OrderId))
	})
}
