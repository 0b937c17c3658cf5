package benchmark

import "orderyard/routing/shadow"

// exact finds the cheapest assignment of the order at hand. Prices, if any, are added to the cost of an item when choosing; they are
// never paid.
type exact struct {
	in      *Instance
	prices  []int64 // center × item
	mayDrop bool    // an item may stay unfulfilled although some center has it
	drift   shadow.Drift
	had     []int64 // the stock when the prices were computed; nil where prices are not followed

	chooser shadow.Chooser
	cost    []int64
	lines   []int
	at      []int32
}

func newExact(in *Instance, prices []int64) *exact {
	if prices == nil {
		prices = make([]int64, len(in.Stock))
	}
	return &exact{
		in: in, prices: prices,
		cost: make([]int64, (len(in.Centers)+1)*in.SizeMax), lines: make([]int, 0, in.SizeMax), at: make([]int32, in.SizeMax),
	}
}

func (e *exact) begin(uint64)         {}
func (e *exact) prepare(int, []int64) {}

func (e *exact) decide(a Arrival, stock []int64, out []int32) {
	in, virtual := e.in, e.in.Virtual()
	items := in.Types[a.Type]
	e.lines = e.lines[:0]
	for l, i := range items {
		out[l] = int32(virtual)
		if e.mayDrop || in.anywhere(i, stock) {
			e.lines = append(e.lines, l)
		}
	}
	n, centers := len(e.lines), virtual
	for k := range virtual {
		unit := in.Unit[a.City][k]
		for x, l := range e.lines {
			at := k*in.Items + items[l]
			e.cost[k*n+x] = shadow.Never
			if stock[at] > 0 {
				e.cost[k*n+x] = unit + e.price(at, stock[at])
			}
		}
	}
	if e.mayDrop {
		centers++
		for x := range n {
			e.cost[virtual*n+x] = in.Unit[a.City][virtual]
		}
	}
	e.chooser.Choose(in.Fixed[:centers], e.cost[:centers*n], e.at[:n])
	for x, l := range e.lines {
		out[l] = e.at[x]
	}
}

func (e *exact) price(at int, has int64) int64 {
	if e.had == nil {
		return e.prices[at]
	}
	return e.drift.Follow(e.prices[at], e.had[at], has)
}

// anywhere says whether any center has the item.
func (in *Instance) anywhere(item int, stock []int64) bool {
	for at := item; at < len(stock); at += in.Items {
		if stock[at] > 0 {
			return true
		}
	}
	return false
}

// resolved is exact with prices that are computed anew from what is left.
type resolved struct {
	exact
	rounds  int
	gap     func(left int) int // how many orders until the next computation, when so many are left
	ships   bool               // the prices know that an item with stock anywhere ships
	first   []int64
	next    int
	problem *shadow.Problem
	solver  shadow.Solver
}

// newResolved computes anew in rounds of the solver, at the start of a sequence's order number gap(all), and so on.
func newResolved(in *Instance, first []int64, rounds int, gap func(left int) int) *resolved {
	return &resolved{
		exact: *newExact(in, append([]int64(nil), first...)), first: first, rounds: rounds, gap: gap, problem: in.Problem(in.Orders, nil),
	}
}

// follow lets the prices follow the stock between two computations.
func (r *resolved) follow(gain int64) *resolved {
	r.drift.Gain, r.had = gain, make([]int64, len(r.in.Stock))
	return r
}

func (r *resolved) begin(uint64) {
	copy(r.prices, r.first)
	r.next = r.gap(r.in.Orders)
	r.mark(r.in.Orders, r.in.Stock)
}

func (r *resolved) mark(left int, stock []int64) {
	r.drift.Expected = int64(left)
	copy(r.had, stock)
}

func (r *resolved) prepare(t int, stock []int64) {
	left := r.in.Orders - t
	r.drift.Left = int64(left)
	if t < r.next {
		return
	}
	r.next = t + r.gap(left)
	r.in.rest(r.problem, left, stock)
	if r.ships {
		r.in.mustShip(r.problem, left)
	}
	res, err := r.solver.Solve(r.problem, r.prices, shadow.Options{RoundsMax: r.rounds})
	if err != nil {
		panic("benchmark: " + err.Error()) // this package made the problem
	}
	copy(r.prices, res.Prices)
	r.mark(left, stock)
}
