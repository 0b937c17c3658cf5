package opportunity

import (
	"orderyard/messages"
	"orderyard/routing"
	"orderyard/routing/ruleset"
	"orderyard/routing/shadow"
)

const (
	// cellsMax bounds the figures looked at in one round (flows × lines × sites): some tens of milliseconds.
	cellsMax = 8 << 20
	// nodesMax bounds the sets of sites tried for one flow in one round.
	nodesMax = 2000
	// warmShare is which share of the rounds is enough from prices of a moment ago.
	warmShare = 5
	// plenty stands for units that no order can exhaust.
	plenty = 1 << 40
	// gainShare is the part of a parcel's cost by which a price follows a unit used too fast; see shadow.Drift.
	gainShare = 9
	// expectedMax bounds the orders of a flow, in millionths.
	expectedMax = 1 << 53
)

// Options are the limits of a pricer. All but Costs are required.
type Options struct {
	SKUsMax   int
	FlowsMax  int
	RoundsMax int // without earlier prices
	Costs     Costs
}

// Input is what prices are computed from. Rules may be nil.
type Input struct {
	Demand *Demand
	View   routing.View
	Rules  *ruleset.Compiled
	NowMs  int64
	// HorizonMs is how long the stock there is must last.
	HorizonMs int64
}

// Pricer computes tables, each from the prices of the one before. Not safe for concurrent use.
type Pricer struct {
	o      Options
	solver shadow.Solver
	last   map[bucket]int64 // micro-units; a bucket without a site is being short
}

type bucket struct{ sku, site string }

// NewPricer knows no prices yet.
func NewPricer(o Options) *Pricer { return &Pricer{o: o, last: map[bucket]int64{}} }

// Warm begins with the prices of a table that somebody else has computed.
func (p *Pricer) Warm(t *Table) {
	p.last = map[bucket]int64{}
	for _, row := range t.rows {
		for i, site := range row.Sites {
			p.last[bucket{row.Sku, site}] = row.Prices[i]
		}
	}
}

// Job is one computation: Begin, Solve, Table.
type Job struct {
	p       *Pricer
	in      Input
	problem shadow.Problem
	sites   []*routing.Site
	items   []*item
	figures *messages.PriceFigures
	prices  []int64 // site × item, and being short
	left    int     // rounds
	gain    int64
}

// Begin makes a problem of the input. A job without rounds left has nothing to compute: every price is 0.
func (p *Pricer) Begin(in Input) *Job {
	j := &Job{p: p, in: in, left: p.o.RoundsMax, figures: &messages.PriceFigures{}}
	flows := j.flows()
	items := j.readItems(flows)
	j.choose(items)
	parts := j.served(flows, items)
	j.readSites(parts, items)
	j.build(j.cut(parts), items)
	if len(j.problem.Flows) == 0 {
		j.left = 0
		return j
	}
	j.warm()
	return j
}

// Solve computes prices. between is called after every round: it may let others have the processor, and it ends the work by answering false; the
// prices are then those so far. It is called once. An error means that the problem cannot be solved at all.
func (j *Job) Solve(between func() bool) error {
	if j.left <= 0 {
		return nil
	}
	res, err := j.p.solver.Solve(&j.problem, j.prices, shadow.Options{RoundsMax: j.left, NodesMax: nodesMax, Even: true, Between: between})
	if err != nil {
		return err
	}
	j.prices, j.left = res.Prices, 0
	j.figures.Bound, j.figures.Exact, j.figures.Rounds = res.Bound/microMinor, res.Exact, int64(res.Rounds)
	return nil
}

// Table makes a table of the prices so far, which the next job begins with.
func (j *Job) Table(from string, version uint64, tookUs int64) (*Table, error) {
	p := &j.problem
	j.figures.TookUs = tookUs
	last := map[bucket]int64{}
	var rows []*messages.PriceRow
	for i, it := range j.items {
		if !it.scarce || j.prices == nil {
			continue
		}
		if price := j.prices[p.Sites*p.Items+i]; price > 0 {
			last[bucket{sku: it.sku}] = price
		}
		row := &messages.PriceRow{Sku: it.sku, DemandMilli: int64(min(it.demand*1000, plenty))}
		for k, s := range j.sites {
			price := j.prices[k*p.Items+i]
			if price <= 0 {
				continue
			}
			last[bucket{it.sku, s.ID}] = price
			row.Sites, row.Prices, row.Had = append(row.Sites, s.ID), append(row.Prices, price), append(row.Had, p.Stock[k*p.Items+i])
		}
		if len(row.Sites) > 0 {
			rows = append(rows, row)
		}
	}
	j.p.last = last
	head := &messages.PriceTable{
		From: from, Version: version, AtMs: j.in.NowMs, HorizonMs: j.in.HorizonMs, Gain: j.gain, Figures: j.figures,
	}
	return newTable(head, rows)
}
