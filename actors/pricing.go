package actors

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"orderyard/messages"
	"orderyard/routing"
	"orderyard/routing/opportunity"
)

// PricingOptions say how prices are made. Those without a default must be the same at every node: any of them may be the one that computes.
type PricingOptions struct {
	Self         string        // this process's incarnation
	Every        time.Duration // between two computations
	Horizon      time.Duration // the stock there is must last so long
	HalfLife     time.Duration // after so long an order counts half
	Within       time.Duration // of one computation, and how long the others are asked for their counts
	SKUsMax      int
	FlowsMax     int
	RoundsMax    int
	PostalDigits int
	Costs        opportunity.Costs

	Bus     Bus           // nil = the node is alone, and the next two are not asked
	Owner   func() string // who computes: one incarnation, the same at every node; "" = nobody at the moment
	Members func() []Peer // the others
	Log     *slog.Logger  // nil = none
}

// Pricing keeps shadow prices in the node's view: it counts what is ordered, and one node (Owner) asks all for their counts, computes a table, and
// says so; the others fetch it. Whoever has not heard asks at the next turn. A table is used until a newer one comes, or its horizon ends.
//
// Counts are not durable: those of a process that ends are forgotten, and the demand is underestimated by them until the half-life has
// passed. Prices only prefer; whatever they are, no promise depends on them.
type Pricing struct {
	know   *Knowledge
	o      PricingOptions
	demand *demand
	pricer *opportunity.Pricer
	own    *opportunity.Table // the last one computed here; the loop's own
	fetch  chan string        // holds one: somebody has a newer table

	stop  context.CancelFunc
	done  sync.WaitGroup
	stats PricingStats
}

// PricingStats counts since the start; each may be read at any time.
type PricingStats struct {
	Computed, Failed  atomic.Int64 // computations
	Unheard           atomic.Int64 // nodes that did not tell their counts
	Fetched, Unloaded atomic.Int64 // tables of others, and tries that failed
}

const (
	topicPrices = "prices" // also the word of an ask for the table
	wordDemand  = "demand"

	// partBytes is about how large parts of counts and tables are: half of what the bus takes.
	partBytes = 256 << 10
	// flowsPerNode is how many nodes' worth of different flows a computation joins.
	flowsPerNode = 4
	// fetchWithin bounds the fetching of a table.
	fetchWithin = 10 * time.Second
	// restMax bounds the pause after a round: a round takes as long as it takes, and rests as long.
	restMax = 100 * time.Millisecond
)

// StartPricing begins to count, and to compute or fetch. It is called once for a Knowledge.
func StartPricing(k *Knowledge, o PricingOptions) (*Pricing, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Pricing{
		know: k, o: o, fetch: make(chan string, 1), stop: cancel,
		demand: newDemand(opportunity.CounterOptions{
			HalfLifeMs: o.HalfLife.Milliseconds(), FlowsMax: o.FlowsMax, PostalDigits: o.PostalDigits,
		}, k.clock()),
		pricer: opportunity.NewPricer(opportunity.Options{SKUsMax: o.SKUsMax, FlowsMax: o.FlowsMax, RoundsMax: o.RoundsMax, Costs: o.Costs}),
	}
	if o.Bus != nil {
		if err := p.listen(); err != nil {
			cancel()
			return nil, fmt.Errorf("share prices: %w", err)
		}
	}
	k.demand.Store(p.demand)
	for _, run := range []func(context.Context){p.demand.run, p.run} {
		p.done.Go(func() { run(ctx) })
	}
	return p, nil
}

// Stop ends counting and computing. The last table stays in use until its horizon ends. Stopping again does nothing.
func (p *Pricing) Stop() {
	p.know.demand.CompareAndSwap(p.demand, nil)
	p.stop()
	p.done.Wait()
}

// Stats gives the counters.
func (p *Pricing) Stats() *PricingStats { return &p.stats }

// Table is the one in use; nil before the first.
func (p *Pricing) Table() *opportunity.Table { return p.know.view.prices.Load() }

// Counted gives the flows counted here, how many were taken apart and how many lost for want of room, and the orders missed.
func (p *Pricing) Counted() (flows int, apart, lost, missed int64) {
	flows, apart, lost = p.demand.counted()
	return flows, apart, lost, p.demand.missed.Load()
}

// Prices implements routing.Priced.
func (v *View) Prices(now int64) routing.Prices {
	if t := v.prices.Load(); t.Lasts(now) {
		return t
	}
	return nil
}

func (p *Pricing) run(ctx context.Context) {
	turn := time.NewTicker(p.o.Every)
	defer turn.Stop()
	p.look(ctx, p.owner()) // a node that joins takes what there is
	for {
		select {
		case <-ctx.Done():
			return
		case from := <-p.fetch:
			p.look(ctx, from)
		case <-turn.C:
			if owner := p.owner(); owner == p.o.Self {
				p.compute(ctx)
			} else {
				p.look(ctx, owner)
			}
		}
	}
}

func (p *Pricing) owner() string {
	if p.o.Bus == nil {
		return p.o.Self
	}
	return p.o.Owner()
}

// compute makes a new table and puts it in use.
func (p *Pricing) compute(ctx context.Context) {
	table, err := p.price(ctx)
	if err != nil {
		p.stats.Failed.Add(1)
		p.o.Log.Warn("shadow prices were not computed, those of before stay in use", "error", err)
		return
	}
	if ctx.Err() != nil {
		return // the node stops: half a computation is nothing to tell
	}
	p.own = table
	p.stats.Computed.Add(1)
	p.take(table)
	h := table.Head()
	p.o.Log.Debug("shadow prices computed", "version", h.Version, "prices", table.Buckets(), "flows", h.Figures.Flows, "rounds", h.Figures.Rounds)
	if p.o.Bus != nil {
		p.announce(table)
	}
}

func (p *Pricing) price(ctx context.Context) (*opportunity.Table, error) {
	began, now := time.Now(), p.know.clock()
	joined, err := p.gather(ctx, now)
	if err != nil {
		return nil, err
	}
	last := p.Table()
	if last != nil && last != p.own {
		p.pricer.Warm(last)
	}
	job := p.pricer.Begin(opportunity.Input{
		Demand: joined, View: p.know.view, Rules: p.know.Rules().Set, NowMs: now, HorizonMs: p.o.Horizon.Milliseconds(),
	})
	lap := time.Now()
	err = job.Solve(func() bool {
		rest := time.NewTimer(min(time.Since(lap), restMax)) // in the background: half of one processor at most
		defer rest.Stop()
		select {
		case <-ctx.Done():
		case <-rest.C:
		}
		lap = time.Now()
		return ctx.Err() == nil && time.Since(began) < p.o.Within
	})
	if err != nil {
		return nil, err
	}
	version := uint64(max(now, 1))
	if last != nil {
		version = max(version, last.Head().Version+1)
	}
	return job.Table(p.o.Self, version, time.Since(began).Microseconds())
}

// gather joins the counts of all nodes. Those of a node that does not answer are missing.
func (p *Pricing) gather(ctx context.Context, now int64) (*opportunity.Demand, error) {
	joined := opportunity.NewDemand(p.o.FlowsMax * flowsPerNode)
	err := p.demand.parts(now, func(part *messages.DemandPart) error { joined.Add(part); return nil })
	if err == nil && p.o.Bus != nil {
		p.askAll(ctx, joined)
	}
	return joined, err
}

// take puts a table in use, unless a newer one is.
func (p *Pricing) take(t *opportunity.Table) {
	for {
		now := p.Table()
		if !t.Newer(now) || p.know.view.prices.CompareAndSwap(now, t) {
			return
		}
	}
}
