package benchmark

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"orderyard/messages"
	"orderyard/routing"
	"orderyard/routing/opportunity"
	"orderyard/routing/ruleset"
	"orderyard/routing/shadow"
)

var engineRows = flag.Bool("engine", false, "with -published small: the rows of the running engine instead of those of this package")

// In the engine an order comes every minute: the season of small is seven days.
const (
	orderMs   = 60_000
	dayMs     = 24 * 60 * 60_000
	begunAtMs = 1_700_000_000_000
)

// engineRules is what an operator would write for the published costs: minor units are thousandths of a dollar, a unit weighs a kilogram, and
// every lane has a zone of its own.
func engineRules(t testing.TB, in *Instance) *routing.Rules {
	var zones, lanes, rates strings.Builder
	for k := range in.Centers {
		for j := range in.Cities {
			fmt.Fprintf(&zones, "      - {name: %d-%d}\n", k, j)
			fmt.Fprintf(&lanes, "      - {from: US %s, to: US %s, zone: %d-%d}\n", centerPostal(k), cityPostal(j), k, j)
			fmt.Fprintf(&rates, "        %d-%d: {fixed: %d, per_kg: %d}\n", k, j, in.Fixed[k]/1000, (in.Unit[j][k]+500)/1000)
		}
	}
	text := "name: published\ncards:\n  lanes:\n    zones:\n" + zones.String() + "    prefixes:\n" + lanes.String() +
		"    rates:\n      ground:\n" + rates.String() + `    default_service: ground
    unit_grams: 1000
routes:
  - name: all
    rules:
      - name: cost and worth
        scores:
          - cost: {card: lanes, handling: false}
          - opportunity
        reducer: penalty_sum
        split: {splits_max: 20}
        actions: {full: assign_many, partial: [assign_many, backorder], none: backorder}
fallback: all
`
	set, err := ruleset.Load("published.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	rules := routing.DefaultRules()
	rules.Set, rules.Version = set, set.Version
	return rules
}

func cityPostal(j int) string   { return fmt.Sprintf("%02d001", j) }
func centerPostal(k int) string { return fmt.Sprintf("9%d001", k) }
func sku(item int) string       { return fmt.Sprintf("i%02d", item) }

// engine serves a sequence through routing.Route, with the prices of package opportunity. It is a routing.View of the sequence's stock.
type engine struct {
	in       *Instance
	rules    *routing.Rules
	known    bool // demand is known, not counted
	seasons  int  // counted before the first order
	priced   bool // prices are computed
	followed bool
	rolling  bool // the horizon is always a season, as if nobody knew when it ends
	every    int  // orders

	ids     []string
	sites   map[string]*routing.Site
	center  map[string]int
	rows    [][]routing.SiteStock
	stock   []int64
	counter *opportunity.Counter
	pricer  *opportunity.Pricer
	table   *opportunity.Table
	now     int64
	version uint64
	req     *messages.PlanRequest
	needs   []*messages.LineNeed
}

func newEngine(in *Instance, rules *routing.Rules, o engine) *engine {
	e := &o
	e.in, e.rules, e.sites, e.center = in, rules, map[string]*routing.Site{}, map[string]int{}
	for k, c := range in.Centers {
		s := &routing.Site{ID: c.ID, Country: "US", PostalCode: centerPostal(k), Lat: c.Lat, Lon: c.Lon, Status: "online"}
		s.Locate()
		e.ids, e.sites[c.ID], e.center[c.ID] = append(e.ids, c.ID), s, k
	}
	slices.Sort(e.ids)
	for range in.Items {
		e.rows = append(e.rows, make([]routing.SiteStock, len(in.Centers)))
	}
	for range in.SizeMax {
		e.needs = append(e.needs, &messages.LineNeed{})
	}
	return e
}

func (e *engine) Stock(sku string) []routing.SiteStock {
	i := int(sku[1]-'0')*10 + int(sku[2]-'0')
	for x, id := range e.ids {
		e.rows[i][x] = routing.SiteStock{Site: id, ATP: e.stock[e.center[id]*e.in.Items+i]}
	}
	return e.rows[i]
}

func (e *engine) Site(id string) (*routing.Site, bool) { s, ok := e.sites[id]; return s, ok }
func (e *engine) SiteIDs() []string                    { return e.ids }

func (e *engine) Prices(int64) routing.Prices {
	if e.table == nil {
		return nil
	}
	return atRest{e.table, e.followed}
}

// atRest is a table whose prices do not follow stock and time, unless they are to.
type atRest struct {
	*opportunity.Table
	followed bool
}

func (r atRest) Price(sku, site string, atp, now int64) int64 {
	if r.followed {
		return r.Table.Price(sku, site, atp, now)
	}
	list, _ := r.Entries(sku, 1000)
	for _, e := range list {
		if e.Site == site {
			return e.Price
		}
	}
	return 0
}

func (e *engine) ask(a Arrival) *messages.PlanRequest {
	city := e.in.Cities[a.City]
	e.req = &messages.PlanRequest{PlanNo: 1, Cause: "placed", Partial: "ship_available", SplitsLeft: 20, ShipTo: &messages.Address{
		Country: "US", PostalCode: cityPostal(int(a.City)), HasPosition: true, Lat: city.Lat, Lon: city.Lon,
	}}
	for l, i := range e.in.Types[a.Type] {
		n := e.needs[l]
		n.Line, n.Sku, n.Quantity = uint32(l), sku(i), 1
		e.req.Needs = append(e.req.Needs, n)
	}
	return e.req
}

func (e *engine) begin(seed uint64) {
	season := int64(e.in.Orders) * orderMs
	e.now = begunAtMs
	e.table, e.version = nil, 0
	e.pricer = opportunity.NewPricer(opportunity.Options{SKUsMax: 1000, FlowsMax: 20_000, RoundsMax: 300})
	e.counter = opportunity.NewCounter(opportunity.CounterOptions{HalfLifeMs: season, FlowsMax: 20_000, PostalDigits: 2}, e.now-int64(e.seasons)*season)
	for s := range e.seasons {
		for t, a := range e.in.Arrivals(child(seed, 1000+s)) {
			e.counter.Count(e.ask(a), e.now-int64(e.seasons-s)*season+int64(t)*orderMs)
		}
	}
}

func (e *engine) prepare(t int, stock []int64) {
	e.stock, e.now = stock, begunAtMs+int64(t)*orderMs
	if !e.priced || t%e.every != 0 {
		return
	}
	demand := opportunity.NewDemand(20_000)
	if e.known {
		demand.Add(e.rates())
	} else if err := e.counter.Parts(e.now, 1<<30, func(p *messages.DemandPart) error { demand.Add(p); return nil }); err != nil {
		panic(err)
	}
	left := int64(e.in.Orders-t) * orderMs
	if e.rolling {
		left = int64(e.in.Orders) * orderMs
	}
	job := e.pricer.Begin(opportunity.Input{Demand: demand, View: e, Rules: e.rules.Set, NowMs: e.now, HorizonMs: left})
	if err := job.Solve(nil); err != nil {
		panic(err)
	}
	e.version++
	var err error
	if e.table, err = job.Table("test", e.version, 0); err != nil {
		panic(err)
	}
}

// rates is what a day brings, exactly.
func (e *engine) rates() *messages.DemandPart {
	p := &messages.DemandPart{}
	for j, c := range e.in.Cities {
		p.Regions = append(p.Regions, &messages.DemandRegion{Country: "US", Prefix: cityPostal(j)[:2], PostalCode: cityPostal(j), Located: true, Lat: c.Lat, Lon: c.Lon})
	}
	for q, items := range e.in.Types {
		items = slices.Sorted(slices.Values(items))
		for j := range e.in.Cities {
			f := &messages.DemandFlow{Region: uint32(j), MicroPerDay: int64(e.in.Share[q] * e.in.City[j] * dayMs / orderMs * shadow.Micro)}
			for _, i := range items {
				f.Skus, f.Quantities = append(f.Skus, sku(i)), append(f.Quantities, 1)
			}
			p.Flows = append(p.Flows, f)
		}
	}
	return p
}

func (e *engine) decide(a Arrival, stock []int64, out []int32) {
	req := e.ask(a)
	e.counter.Count(req, e.now)
	plan := routing.Route(req, e, e.rules, e.now)
	for l := range out {
		out[l] = int32(e.in.Virtual())
	}
	for _, g := range plan.Assignments {
		for _, l := range g.Lines {
			out[l.Line] = int32(e.center[g.Site])
		}
	}
}

// enginePolicies are the rows of the running engine.
func enginePolicies(t testing.TB) []policy {
	row := func(name string, o engine) policy {
		return policy{name: name, mustShip: true, make: func(b bounds) decider { return newEngine(b.in, engineRules(t, b.in), o) }}
	}
	season := func(in *engine) engine { in.priced = true; return *in }
	return []policy{
		row("engine: cost", engine{}),
		row("engine: cost + opportunity, demand known, 10 computations, not followed", season(&engine{known: true, every: 1000})),
		row("engine: cost + opportunity, demand known, 100 computations", season(&engine{known: true, followed: true, every: 100})),
		row("engine: cost + opportunity, demand of a season before", season(&engine{seasons: 1, followed: true, every: 100})),
		row("engine: cost + opportunity, demand counted from nothing", season(&engine{followed: true, every: 100})),
		row("engine: the same, nobody knows when the season ends", season(&engine{seasons: 1, followed: true, rolling: true, every: 100})),
	}
}

// TestEngine is run by hand: go test -timeout 0 -v -run TestEngine ./routing/shadow/benchmark -args -published small -engine
// Without its flags it proves, on one instance, that prices help in the running engine: rules that weigh cost and opportunity pay less than the
// same rules without prices, and that close to what this package reaches with prices of its own.
func TestEngine(t *testing.T) {
	before := policies
	t.Cleanup(func() { policies = before })
	rows := enginePolicies(t)
	names := []string{nameExact, nameResolved, nameFollowed}
	policies = append(slices.Clone(before), rows...)
	o := Options{Network: "small", Instances: 1, Sequences: 1, Seed: *seed, Rounds: *rounds}
	if *engineRows {
		begin := time.Now()
		o.Instances, o.Sequences, o.Clock = *instances, *sequences, func() time.Duration { return time.Since(begin) }
		if haveCBC() {
			o.SolveLP = solveCBC
		}
		for _, r := range rows {
			names = append(names, r.name)
		}
	} else {
		o.Orders = 4000
		names = append(names, rows[0].name, rows[3].name)
	}
	o.Policies = names
	report, err := Run(o, func(done, of int) {
		if *engineRows {
			t.Logf("%d of %d instances", done, of)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", report.Markdown())
	if *engineRows {
		return
	}
	cost := map[string]float64{}
	for _, r := range report.Rows {
		cost[r.Policy] = r.OverBound.Mean
	}
	exact, followed, plain, priced := cost[nameExact], cost[nameFollowed], cost[rows[0].name], cost[rows[3].name]
	if d := plain - exact; d > 0.002 || d < -0.002 {
		t.Errorf("without prices the engine pays %.4f of the bound, an exact choice per order %.4f", plain, exact)
	}
	if priced > plain-(plain-followed)*0.7 {
		t.Errorf("with prices the engine pays %.4f of the bound, without %.4f; %.4f can be reached", priced, plain, followed)
	}
}
