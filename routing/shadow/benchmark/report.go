package benchmark

import (
	"math"
	"slices"
	"time"

	"orderyard/routing/shadow"
)

// Report is the result of a run. Times apart, equal options give equal reports.
type Report struct {
	Network   Network  `json:"network"`
	Seed      uint64   `json:"seed"`
	Instances int      `json:"instances"`
	Sequences int      `json:"sequences"` // per instance
	Rounds    int      `json:"rounds"`
	Seeds     []uint64 `json:"instance_seeds"` // of which follow the seeds of the sequences
	Bounds    []Bound  `json:"bounds"`
	Rows      []Row    `json:"rows"`

	open []row
	over [boundKinds][]float64 // each bound by the Lagrange bound, per instance
	know float64               // the clairvoyant's bounds of the present instance, summed
}

// The bounds, by the name they have in the report.
const (
	overLP = iota
	overAny
	overShip
	overKnown
	boundKinds
)

var boundNames = [boundKinds]string{"DLP", "L*", "L* shipping", "clairvoyant"}

// Bound is how a bound compares with the Lagrange bound L*.
type Bound struct {
	Name string `json:"name"`
	Over Mean   `json:"over_lagrange"`
}

// Mean is a mean over the instances and its standard error.
type Mean struct {
	Mean  float64 `json:"mean"`
	Error float64 `json:"error"`
}

// Row is what one policy did.
type Row struct {
	Policy string `json:"policy"`
	Apart  bool   `json:"apart,omitempty"` // it may leave items unfulfilled that some center has
	// Cost by the literature's bound, by L*, and, for policies that must ship, by the bound for such policies.
	OverLP     *Mean    `json:"cost_over_dlp,omitempty"`
	OverBound  Mean     `json:"cost_over_lagrange"`
	OverShip   *Mean    `json:"cost_over_lagrange_shipping,omitempty"`
	Packages   float64  `json:"packages_per_order"` // of orders that are not empty; the virtual one does not count
	Short      float64  `json:"items_unfulfilled_per_order"`
	GapClosed  *float64 `json:"gap_closed,omitempty"`          // of exact's distance to L*
	ShipClosed *float64 `json:"gap_closed_shipping,omitempty"` // of exact's distance to the bound for policies that must ship
	P50        float64  `json:"decision_p50_us"`
	P99        float64  `json:"decision_p99_us"`
	Prices     float64  `json:"prices_ms_per_sequence"` // computing prices anew
}

// bounds is what is known of an instance before the first order.
type bounds struct {
	in   *Instance
	any  shadow.Result // L*
	ship shadow.Result // L* for policies that must ship
	lp   *fractional   // nil without a solver
}

// row gathers one policy's figures.
type row struct {
	policy
	decider  decider
	stock    []int64
	cost     int64                 // of the present instance
	over     [boundKinds][]float64 // per instance
	packages int64
	short    int64
	orders   int64
	runs     int
	times    histogram
	pricing  time.Duration
}

func newReport(o Options, n Network) *Report {
	r := &Report{Network: n, Instances: o.Instances, Sequences: o.Sequences, Seed: o.Seed, Rounds: o.Rounds}
	for _, p := range policies {
		if p.needsLP && o.SolveLP == nil || len(o.Policies) > 0 && !slices.Contains(o.Policies, p.name) {
			continue
		}
		r.open = append(r.open, row{policy: p})
	}
	return r
}

func (r *Report) beginInstance(b bounds) {
	r.know = 0
	r.Seeds = append(r.Seeds, b.in.Seed)
	for x := range r.open {
		r.open[x].decider, r.open[x].cost = r.open[x].make(b), 0
	}
}

func (r *Report) endInstance(b bounds) {
	n := float64(r.Sequences)
	bound := [boundKinds]float64{overAny: float64(b.any.Bound), overShip: float64(b.ship.Bound), overKnown: r.know / n}
	if b.lp != nil {
		bound[overLP] = b.lp.bound
	}
	for kind, x := range bound {
		if x > 0 {
			r.over[kind] = append(r.over[kind], x/bound[overAny])
		}
	}
	for x := range r.open {
		row := &r.open[x]
		row.runs += r.Sequences
		for kind, x := range bound {
			if x > 0 && (row.mustShip || kind < overShip) {
				row.over[kind] = append(row.over[kind], float64(row.cost)/n/x)
			}
		}
	}
}

func (r *Report) finish() {
	for kind, over := range r.over {
		if len(over) > 0 && kind != overAny {
			r.Bounds = append(r.Bounds, Bound{boundNames[kind], *meanOf(over)})
		}
	}
	var exact *Row
	for x := range r.open {
		row := &r.open[x]
		orders := float64(max(1, row.orders))
		r.Rows = append(r.Rows, Row{
			Policy: row.name, Apart: row.apart,
			OverLP: meanOf(row.over[overLP]), OverBound: *meanOf(row.over[overAny]), OverShip: meanOf(row.over[overShip]),
			Packages: float64(row.packages) / orders, Short: float64(row.short) / orders,
			P50: row.times.percentile(0.50), P99: row.times.percentile(0.99),
			Prices: row.pricing.Seconds() * 1000 / float64(row.runs),
		})
		if row.name == nameExact {
			exact = &Row{OverBound: r.Rows[x].OverBound, OverShip: r.Rows[x].OverShip}
		}
	}
	if exact == nil {
		return
	}
	for x := range r.Rows {
		row := &r.Rows[x]
		row.GapClosed = closed(&exact.OverBound, &row.OverBound)
		row.ShipClosed = closed(exact.OverShip, row.OverShip)
	}
}

// closed is the share of exact's distance to a bound that a policy saves.
func closed(exact, policy *Mean) *float64 {
	if exact == nil || policy == nil || exact.Mean <= 1 {
		return nil
	}
	share := (exact.Mean - policy.Mean) / (exact.Mean - 1)
	return &share
}

func meanOf(xs []float64) *Mean {
	if len(xs) == 0 {
		return nil
	}
	n := float64(len(xs))
	var m Mean
	for _, x := range xs {
		m.Mean += x / n
	}
	for _, x := range xs {
		m.Error += (x - m.Mean) * (x - m.Mean)
	}
	m.Error = math.Sqrt(m.Error / max(1, n-1) / n)
	return &m
}

// histogram counts durations in steps of 10 ns up to 1 ms.
type histogram struct {
	counts []uint32
	total  int64
}

const (
	stepNs = 10
	steps  = 100_000
)

func (h *histogram) add(d time.Duration) {
	if h.counts == nil {
		h.counts = make([]uint32, steps)
	}
	h.counts[min(max(d.Nanoseconds()/stepNs, 0), steps-1)]++
	h.total++
}

// percentile is in microseconds.
func (h *histogram) percentile(p float64) float64 {
	rank := int64(math.Ceil(p * float64(h.total)))
	var sum int64
	for i, n := range h.counts {
		if sum += int64(n); sum >= rank {
			return float64(i*stepNs) / 1000
		}
	}
	return 0
}
