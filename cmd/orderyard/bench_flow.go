package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"orderyard/cmd/orderyard/figures"
	"orderyard/cmd/orderyard/peers"
	"orderyard/configs"
	"orderyard/gateway/wire"
	"orderyard/messages"
)

type flowFlags struct {
	benchFlags
	crowd int
}

func newBenchFlow(a *app) *benchJob {
	f := &flowFlags{}
	cmd := &cobra.Command{
		Use:   "flow",
		Short: "Whole orders of three lines against PostgreSQL with a transaction for each step",
		Long: "Whole orders of three lines against PostgreSQL with a transaction for each step: placed, routed, reserved line by line, handed to the site,\n" +
			"accepted, allocated. Both sides sync every step before the next one.\n\n" +
			"Once with as many orders under way as PostgreSQL has connections, --inflight, and once with --crowd of them: PostgreSQL's then wait for a\n" +
			"connection of the pool, as they do in a service.",
	}
	cmd.Flags().IntVar(&f.crowd, "crowd", 512, "orders under way in the second measurement")
	return a.benchCommand(&f.benchFlags, cmd, 64, configs.Dev().Partitions, func(ctx context.Context) (figures.Bench, error) {
		if f.crowd < 1 || f.crowd > 65536 {
			return figures.Bench{}, usage("--crowd must be 1 to 65536, is %d", f.crowd)
		}
		return benchFlow(ctx, a, f)
	})
}

const flowLines = 3

// flowPair is one measurement of both sides with the same number of orders under way.
type flowPair struct {
	inflight     int
	ours, theirs *side
}

func benchFlow(ctx context.Context, a *app, f *flowFlags) (figures.Bench, error) {
	b := figures.Bench{ID: "B3", Title: "Orders of three lines, placed to accepted, against PostgreSQL", Setup: f.setup() + fmt.Sprintf(", then %d", f.crowd)}
	b.Skips = []string{"Left out: Temporal is no package of this system; PostgreSQL with a transaction per step stands for it."}
	dir, remove, err := f.folder(a)
	if err != nil {
		return b, err
	}
	defer remove()
	dev, shop, end, err := openDev(dir, f.partitions, f.inflight)
	if err != nil {
		return b, err
	}
	defer end()
	shop.orders.lines = flowLines
	if err := shop.stock(ctx); err != nil {
		return b, err
	}
	flow, err := startFlow(ctx, &f.benchFlags, dir)
	if errors.Is(err, peers.ErrMissing) {
		b.Skips = append(b.Skips, "Left out: "+err.Error())
	} else if err != nil {
		return b, err
	} else {
		defer flow.end()
	}
	disk := newSide("fdatasync 4 KiB")
	pairs, steps := f.pairs(ctx, shop, flow)
	for _, p := range pairs {
		p.ours.cpu = dev.cpu
		if flow != nil {
			p.theirs.cpu = flow.server.CPU
		}
	}
	if err := f.interleave(ctx, a, append([]step{{disk, func() (int64, error) { return fdatasyncs(dir, f.duration()/4, disk.latency) }}}, steps...)...); err != nil {
		return b, err
	}
	b.Rows = []figures.Row{disk.row()}
	for _, m := range steps {
		b.Rows = append(b.Rows, m.s.row())
	}
	report, err := shop.verify(ctx, a)
	if err != nil {
		return b, err
	}
	b.Notes = append(b.Notes, "Orderyard: "+report.String())
	if flow == nil {
		return b, nil
	}
	done := int64(0)
	for _, p := range pairs {
		done += p.theirs.done
		b.Goals = append(b.Goals, figures.AtLeast(fmt.Sprintf("orders, Orderyard / PostgreSQL, %d under way", p.inflight), "×", figures.Ratios(p.ours.rates, p.theirs.rates), 5))
	}
	if err := flow.Check(ctx, done); err != nil {
		return b, exitWith(exitInvariant, err)
	}
	b.Notes = append(b.Notes, fmt.Sprintf("PostgreSQL: %d orders, exactly their units are allocated.", done))
	return b, nil
}

// pairs measures both sides with few and with many orders under way. flow is nil when PostgreSQL is missing.
func (f *flowFlags) pairs(ctx context.Context, shop *benchShop, flow *flowPeer) (pairs []flowPair, steps []step) {
	for _, inflight := range []int{f.inflight, f.crowd} {
		p := flowPair{inflight, newOurs(fmt.Sprintf("Orderyard, %d orders under way", inflight)), newSide(fmt.Sprintf("PostgreSQL, %d orders under way", inflight))}
		pairs = append(pairs, p)
		steps = append(steps, step{p.ours, func() (int64, error) {
			return f.with(inflight).each(ctx, p.ours.latency, f.duration(), func(client int) error { return shop.place(ctx, client) })
		}})
		if flow != nil {
			steps = append(steps, step{p.theirs, func() (int64, error) {
				return f.with(inflight).each(ctx, p.theirs.latency, f.duration(), func(int) error { return flow.place(ctx) })
			}})
		}
	}
	return pairs, steps
}

// flowPeer is PostgreSQL with a pool of connections.
type flowPeer struct {
	*peers.PostgresFlow
	server *peers.Postgres
	free   chan int // connections
	orders orderMaker
}

func startFlow(ctx context.Context, f *benchFlags, dir string) (*flowPeer, error) {
	p, err := peers.StartPostgres(ctx, filepath.Join(dir, "postgres"), f.inflight)
	if err != nil {
		return nil, err
	}
	sites, skus := make([]string, benchSites), make([]string, benchSKUs)
	for i := range sites {
		sites[i], _, _ = benchSite(i)
	}
	for i := range skus {
		skus[i] = demoSKU(i)
	}
	flow, err := p.Flow(ctx, f.inflight, sites, skus, benchUnits)
	if err != nil {
		p.Stop()
		return nil, err
	}
	peer := &flowPeer{PostgresFlow: flow, server: p, free: make(chan int, f.inflight)}
	peer.orders.lines, peer.orders.src = flowLines, rand.New(rand.NewPCG(1, 3))
	for i := range f.inflight {
		peer.free <- i
	}
	return peer, nil
}

func (p *flowPeer) end() { p.Close(); p.server.Stop() }

// place makes the same kind of order and takes it through PostgreSQL, as soon as a connection is free.
func (p *flowPeer) place(ctx context.Context) error {
	client := <-p.free
	defer func() { p.free <- client }()
	doc := p.orders.doc()
	body, err := wire.Encode(doc)
	if err != nil {
		return err
	}
	o := peers.FlowOrder{ID: messages.OrderID(benchChannel, doc.ExternalID), Body: body}
	for _, line := range doc.Lines {
		o.Lines = append(o.Lines, peers.FlowLine{SKU: line.SKU, Quantity: line.Quantity})
	}
	return p.Place(ctx, client, o, func(sites []string) string { return nearest(sites, *doc.ShipTo.Lat, *doc.ShipTo.Lon) })
}

// nearest is the routing of a textbook service: the site with everything that is nearest as the crow flies on a flat map.
func nearest(sites []string, lat, lon float64) string {
	best, least := "", 0.0
	for _, id := range sites {
		n, err := strconv.Atoi(id[len("SITE-"):])
		if err != nil {
			continue
		}
		_, y, x := benchSite(n)
		if far := (y-lat)*(y-lat) + (x-lon)*(x-lon); best == "" || far < least {
			best, least = id, far
		}
	}
	return best
}
