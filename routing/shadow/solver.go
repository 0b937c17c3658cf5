package shadow

import (
	"fmt"
	"math"
)

// RoundsMax is how many rounds are made when the caller does not say.
const RoundsMax = 300

// The step rule.
const (
	ahead    = 0.02 // the bound hoped for is this share above the best so far
	keep     = 0.5  // of the last direction goes into the next
	patience = 5    // rounds without progress before the step shrinks
	shrink   = 0.7
	tail     = 0.3 // of the rounds, the last, make the mean that becomes the prices
)

// Options limits a computation of prices.
type Options struct {
	// RoundsMax is how often every flow is assigned anew; 0 is the constant RoundsMax.
	RoundsMax int
	// NodesMax bounds the sets of sites looked at for one flow in one round; 0 is no bound. A flow that reaches it counts with a
	// weaker bound of its own, so the total stays a bound.
	NodesMax int
	// Even lets the prices of what is ordered often and seldom move alike: a step is divided by the units of the item that are expected.
	// Without it those of large stocks move first, which is good only where all stocks are of one size.
	Even bool
	// Between is called after every round, to let others have the processor, and to stop early by answering false: the prices are then
	// the mean of what there is. Nil: never.
	Between func() bool
}

// Result is the answer of a Solver.
type Result struct {
	// Prices holds, for site × item, what using up one unit there costs later, in micro-units. Zero where there is no stock. One more
	// row of items holds the price of being short, zero unless ShortMax is set: it is there to start from next time.
	Prices []int64
	// Bound is the least that any way to serve the expected demand from the stock costs, in micro-units.
	Bound  int64
	Rounds int
	// Exact says that every assignment of every round was proven.
	Exact bool
}

// Solver computes prices. Its memory is reused from call to call, and no round allocates. Not safe for concurrent use.
type Solver struct {
	chooser Chooser
	p       *Problem
	weight  []float64 // per item: what its slope is divided by
	dearest int64     // way of one unit: no price moves further in a round
	stock   []int64   // what is limited: the sites' stock, and being short if that is limited too
	prices  []int64
	sum     []int64   // of the prices in the last rounds
	slope   []float64 // expected use less stock, per site × item
	way     []float64 // where the prices go: the slope and half of the last way
	cost    []int64
	priced  []int64 // the prices of one type's lines, times quantity
	fixed   []int64
	out     []int32
}

// Solve finds prices for the problem. It starts from the given prices, which may be nil: those of an hour ago save most rounds.
// The answer depends on the arguments only, to the bit, on every machine.
func (s *Solver) Solve(p *Problem, start []int64, o Options) (Result, error) {
	if err := p.Validate(); err != nil {
		return Result{}, err
	}
	if n := (p.Sites + 1) * p.Items; start != nil && len(start) != n {
		return Result{}, fmt.Errorf("shadow: %d prices to start from, want %d", len(start), n)
	}
	if o.RoundsMax <= 0 {
		o.RoundsMax = RoundsMax
	}
	s.chooser.NodesMax = o.NodesMax
	s.begin(p, start)
	s.weigh(o.Even)
	res := Result{Exact: true}
	late, counted := o.RoundsMax-max(1, int(tail*float64(o.RoundsMax))), int64(0)
	best, theta, idle := math.Inf(-1), 1.0, 0
	for more := true; more && res.Rounds < o.RoundsMax; res.Rounds++ {
		bound, exact := s.round()
		res.Exact = res.Exact && exact
		if bound > best {
			best, idle = bound, 0
		} else if idle++; idle >= patience {
			theta, idle = float64(theta*shrink), 0
		}
		if res.Rounds == late {
			clear(s.sum)
			counted = 0
		}
		counted++
		for i, price := range s.prices {
			s.sum[i] += price
		}
		more = s.step(theta, best, bound) && (o.Between == nil || o.Between())
	}
	res.Prices, res.Bound = make([]int64, len(s.sum)), int64(math.Floor(best))
	for i, sum := range s.sum {
		res.Prices[i] = sum / counted
	}
	return res, nil
}

func (s *Solver) begin(p *Problem, start []int64) {
	n := (p.Sites + 1) * p.Items
	s.p = p
	s.prices, s.sum, s.slope, s.way = resize(s.prices, n), resize(s.sum, n), resize(s.slope, n), resize(s.way, n)
	s.stock = append(append(s.stock[:0], p.Stock...), p.ShortMax...)
	clear(s.prices)
	clear(s.sum)
	clear(s.way)
	s.dearest = 1
	for _, d := range p.Destinations {
		s.dearest = max(s.dearest, d.ShortFixed+d.ShortUnit)
		for k := range d.Fixed {
			s.dearest = max(s.dearest, d.Fixed[k]+d.Unit[k])
		}
	}
	copy(s.prices[:len(s.stock)], start)
	for i, units := range s.stock {
		s.prices[i] = min(max(0, s.prices[i]), CostMax)
		if units == 0 {
			s.prices[i] = 0
		}
	}
}

// weigh sets what slopes are divided by.
func (s *Solver) weigh(even bool) {
	s.weight = resize(s.weight, s.p.Items)
	for i := range s.weight {
		s.weight[i] = 1
	}
	if !even {
		return
	}
	clear(s.weight)
	for _, f := range s.p.Flows {
		for _, line := range s.p.Types[f.Type] {
			s.weight[line.Item] += float64(float64(f.Expected) / Micro * float64(line.Quantity))
		}
	}
	for i, units := range s.weight {
		s.weight[i] = max(units, 1)
	}
}

// round assigns every flow at the present prices, leaves expected use less stock in slope, and returns the bound.
func (s *Solver) round() (bound float64, exact bool) {
	p := s.p
	exact = true
	clear(s.slope)
	for i, units := range s.stock {
		s.slope[i] = -float64(units)
		bound -= float64(float64(units) * float64(s.prices[i]))
	}
	last := -1
	for i := range p.Flows {
		f := &p.Flows[i]
		lines := p.Types[f.Type]
		n := len(lines)
		if n == 0 || f.Expected == 0 {
			continue
		}
		if f.Type != last {
			last = f.Type
			s.gather(lines)
		}
		d := &p.Destinations[f.Destination]
		s.fixed = append(append(s.fixed[:0], d.Fixed...), d.ShortFixed)
		for k := range p.Sites {
			unit := d.Unit[k]
			for l := range n {
				s.cost[k*n+l] = s.priced[k*n+l] + unit*lines[l].Quantity
			}
		}
		for l := range n {
			s.cost[p.Sites*n+l] = s.priced[p.Sites*n+l] + d.ShortUnit*lines[l].Quantity
		}
		total, proven := s.chooser.Choose(s.fixed, s.cost[:(p.Sites+1)*n], s.out[:n])
		if !proven {
			exact = false
			total = s.floor(n)
		}
		orders := float64(f.Expected) / Micro
		bound += float64(orders * float64(total))
		for l, k := range s.out[:n] {
			s.slope[int(k)*p.Items+lines[l].Item] += float64(orders * float64(lines[l].Quantity))
		}
	}
	return bound, exact
}

// gather collects the prices of a type's lines at every site.
func (s *Solver) gather(lines []Line) {
	n := len(lines)
	s.priced = resize(s.priced, (s.p.Sites+1)*n)
	s.cost = resize(s.cost, (s.p.Sites+1)*n)
	s.out = resize(s.out, n)
	for k := range s.p.Sites + 1 {
		for l, line := range lines {
			at := k*s.p.Items + line.Item
			if at < len(s.stock) && s.stock[at] == 0 {
				s.priced[k*n+l] = Never
			} else {
				s.priced[k*n+l] = s.prices[at] * line.Quantity
			}
		}
	}
}

// floor is a bound of the flow just assigned that needs no search: a site's fixed cost is shared by all lines.
func (s *Solver) floor(n int) int64 {
	var sum int64
	for l := range n {
		least := Never
		for k, fixed := range s.fixed {
			least = min(least, s.cost[k*n+l]+fixed/int64(n))
		}
		sum += least
	}
	return sum
}

// step moves the prices up the slope, with some of the last move. It reports false when there is nowhere to go: nothing is used
// more than there is, and nothing that has a price less.
func (s *Solver) step(theta, best, bound float64) bool {
	var norm float64
	for i, slope := range s.slope {
		g := slope + float64(keep*s.way[i])
		if i >= len(s.stock) || s.stock[i] == 0 || g < 0 && s.prices[i] == 0 {
			g = 0
		}
		s.way[i] = g
		norm += float64(g*g) / s.weight[i%s.p.Items]
	}
	if norm == 0 {
		return false
	}
	step := float64(theta*(best+float64(ahead*math.Abs(best))-bound)) / norm
	for i, g := range s.way {
		if g != 0 {
			move := min(max(float64(step*g)/s.weight[i%s.p.Items], -float64(s.dearest)), float64(s.dearest))
			s.prices[i] = min(max(0, s.prices[i]+int64(math.RoundToEven(move))), CostMax)
		}
	}
	return true
}
