package benchmark

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"orderyard/routing/shadow"
)

// Options say what to run. The zero value of a number takes the published one.
type Options struct {
	Network   string // one of Networks; small by default
	Instances int    // 30
	Sequences int    // 30 per instance
	Seed      uint64 // 1
	Orders    int    // the horizon; the network's own when 0
	Rounds    int    // of the first prices and the bound: 300
	// Policies limits the run to these names; all that can run when empty.
	Policies []string
	// Clock is read around every decision; without it the report has no times.
	Clock func() time.Duration
	// SolveLP solves a program in LP format, see WriteLP. Without it there is neither the literature's bound nor the two policies
	// that follow its solution.
	SolveLP func(program []byte) (LP, error)
	// Clairvoyant also bounds what a policy pays that knows all orders beforehand and obeys the rule that an item with stock anywhere
	// ships. It takes as long as one policy that computes prices.
	Clairvoyant bool
}

func (o Options) withDefaults() Options {
	if o.Network == "" {
		o.Network = "small"
	}
	if o.Instances == 0 {
		o.Instances = 30
	}
	if o.Sequences == 0 {
		o.Sequences = 30
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.Rounds == 0 {
		o.Rounds = 300
	}
	return o
}

// Run draws the instances, computes their bounds, and lets every policy serve the same sequences. It calls progress after each
// instance. Equal options give equal figures, times excepted.
func Run(o Options, progress func(done, of int)) (Report, error) {
	o = o.withDefaults()
	for _, name := range o.Policies {
		if !slices.Contains(Policies(), name) {
			return Report{}, fmt.Errorf("no policy %q; there is %s", name, strings.Join(Policies(), ", "))
		}
	}
	network, err := NetworkOf(o.Network)
	if err != nil {
		return Report{}, err
	}
	if o.Orders > 0 {
		network.Orders = o.Orders
	}
	rep := newReport(o, network)
	for x := range o.Instances {
		in := NewInstance(network, child(o.Seed, x))
		if err := rep.instance(o, in); err != nil {
			return Report{}, fmt.Errorf("instance %d (seed %#x): %w", x, in.Seed, err)
		}
		if progress != nil {
			progress(x+1, o.Instances)
		}
	}
	rep.finish()
	return *rep, nil
}

func (r *Report) instance(o Options, in *Instance) error {
	var solver shadow.Solver
	rounds := shadow.Options{RoundsMax: o.Rounds}
	b := bounds{in: in}
	problem := in.Problem(in.Orders, in.Stock)
	var err error
	if b.any, err = solver.Solve(problem, nil, rounds); err != nil {
		return err
	}
	in.mustShip(problem, in.Orders)
	if b.ship, err = solver.Solve(problem, b.any.Prices, rounds); err != nil {
		return err
	}
	if o.SolveLP != nil {
		lp, err := o.SolveLP(in.WriteLP())
		if err != nil {
			return fmt.Errorf("solve the program: %w", err)
		}
		if b.lp, err = in.fractional(lp); err != nil {
			return fmt.Errorf("read the program's solution: %w", err)
		}
	}
	r.beginInstance(b)
	for s := range o.Sequences {
		seed := child(in.Seed, s)
		arrivals := in.Arrivals(seed)
		if o.Clairvoyant {
			known, err := solver.Solve(in.known(arrivals), b.ship.Prices, rounds)
			if err != nil {
				return err
			}
			r.know += float64(known.Bound)
		}
		for x := range r.open {
			row := &r.open[x]
			if err := row.serve(in, seed, arrivals, o.Clock); err != nil {
				return fmt.Errorf("sequence %d (seed %#x), %s: %w", s, seed, row.name, err)
			}
		}
	}
	r.endInstance(b)
	return nil
}

// serve runs one policy over one sequence and books what it did. A policy that gives what is not there, or withholds what is, when
// it must not, is broken: that is an error.
func (r *row) serve(in *Instance, seed uint64, arrivals []Arrival, clock func() time.Duration) error {
	r.stock = append(r.stock[:0], in.Stock...)
	r.decider.begin(seed)
	out := make([]int32, in.SizeMax)
	var begin, ready time.Duration
	for t, a := range arrivals {
		items := in.Types[a.Type]
		if clock != nil {
			begin = clock()
		}
		r.decider.prepare(t, r.stock)
		if clock != nil {
			ready = clock()
			r.pricing += ready - begin
		}
		if len(items) == 0 {
			continue
		}
		r.decider.decide(a, r.stock, out[:len(items)])
		if clock != nil {
			r.times.add(clock() - ready)
		}
		if err := r.book(in, a, out[:len(items)]); err != nil {
			return fmt.Errorf("order %d: %w", t, err)
		}
	}
	return nil
}

func (r *row) book(in *Instance, a Arrival, out []int32) error {
	virtual := int32(in.Virtual())
	var used uint64
	for l, i := range in.Types[a.Type] {
		k := out[l]
		r.cost += in.Unit[a.City][k]
		if used&(1<<k) == 0 {
			used |= 1 << k
			r.cost += in.Fixed[k]
			if k != virtual {
				r.packages++
			}
		}
		if k == virtual {
			r.short++
			if r.mustShip && in.anywhere(i, r.stock) {
				return fmt.Errorf("item %d is in stock and was not shipped", i)
			}
			continue
		}
		at := int(k)*in.Items + i
		if r.stock[at] == 0 {
			return fmt.Errorf("item %d is not at center %d", i, k)
		}
		r.stock[at]--
	}
	r.orders++
	return nil
}
