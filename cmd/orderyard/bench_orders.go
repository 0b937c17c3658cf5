package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"orderyard/cmd/orderyard/figures"
	"orderyard/configs"
	"orderyard/gateway/wire"
	"orderyard/messages"
)

const (
	benchSites     = 10
	benchSKUs      = 2000
	benchUnits     = 100_000_000
	benchChannel   = "bench"
	acceptedWithin = 30 * time.Second
)

func newBenchOrders(a *app) *benchJob {
	f := &benchFlags{}
	cmd := &cobra.Command{
		Use: "orders", Short: "Orders end to end: placed over NATS, planned, reserved, accepted by the site; 1 to 3 lines, all durable",
	}
	cmd.Flags().BoolVar(&f.cost, "cost", false, "tell where the processor time of one order goes, from a profile of the last round")
	return a.benchCommand(f, cmd, 1024, configs.Dev().Partitions, func(ctx context.Context) (figures.Bench, error) {
		if f.cost && f.profile != "" {
			return figures.Bench{}, usage("--cost takes a profile itself; leave --cpuprofile out")
		}
		return benchOrders(ctx, a, f)
	})
}

func benchOrders(ctx context.Context, a *app, f *benchFlags) (figures.Bench, error) {
	b := figures.Bench{ID: "B4", Title: "Orders end to end beside raw JetStream", Setup: f.setup()}
	y, end, err := benchYard(ctx, a, f)
	if err != nil {
		return b, err
	}
	defer end()
	o := &ordersBench{hotBench: hotBench{y: y, f: f}, accepted: make(map[string]chan struct{})}
	if err := o.prepare(ctx); err != nil {
		return b, err
	}
	stop := o.watch(ctx)
	defer stop()
	disk, raw := newSide("fdatasync 4 KiB"), newSide("raw JetStream publish of the same bytes, synced")
	orders, placed := newOurs("orders, placed → accepted"), newOurs("  of that: placed → answered durable")
	orders.cpu, orders.whose = processTime, "this process's" // the yard, its NATS and the generator
	showCost := func() error { return nil }
	d := f.duration()
	if err := f.interleave(ctx, a,
		step{disk, func() (int64, error) { return fdatasyncs(y.cfg.Node.Data, d/4, disk.latency) }},
		step{raw, func() (int64, error) { return o.raw(ctx, raw.latency, d/2) }},
		step{orders, a.costing(f, &showCost, func() (int64, error) { return o.round(ctx, orders, placed, d) })},
	); err != nil {
		return b, err
	}
	if err := f.writeAllocs(); err != nil { // before the audit, which is not the node's work
		return b, err
	}
	placed.fold()
	lag, err := o.drainFeed(ctx)
	if err != nil {
		return b, err
	}
	report, err := verifyUntilRest(ctx, y.store, time.Minute)
	if err != nil {
		return b, err
	}
	placed.rates, placed.note = orders.rates, ""
	b.Rows = rowsOf(disk, raw, orders, placed)
	b.Goals = []figures.Goal{
		figures.AtLeast("orders placed → accepted", "/s", orders.rates, 10_000),
		figures.AtLeast("orders / raw publish of the same bytes", "×", figures.Ratios(orders.rates, raw.rates), 0.15),
	}
	b.Notes = []string{fmt.Sprintf("The event feed was %v behind at the end.", lag.Round(time.Millisecond)), report.String()}
	return b, errors.Join(showCost(), a.showViolations(report))
}

type ordersBench struct {
	hotBench
	orders orderMaker

	mu       sync.Mutex
	accepted map[string]chan struct{}
	body     []byte // of one order, for the raw side
}

func (o *ordersBench) prepare(ctx context.Context) error {
	if err := o.hotBench.prepare(ctx); err != nil {
		return err
	}
	o.orders.src = rand.New(rand.NewPCG(1, 2))
	var commands []messages.Request
	for s := range benchSites {
		id := "SITE-" + strconv.Itoa(s)
		commands = append(commands, messages.Request{To: messages.SiteRef(id), CommandID: "bench", Command: &messages.ApplySite{Doc: &messages.SiteDoc{
			Id: id, Name: id, Type: "dc", Country: "US", Lat: 30 + float64(s), Lon: -120 + 5*float64(s), Accept: "auto", Status: "online",
		}}})
		for i := range benchSKUs {
			sku := demoSKU(i)
			commands = append(commands, messages.Request{
				To: messages.BucketRef(sku, id), CommandID: "bench", Command: &messages.SetStock{Sku: sku, Site: id, OnHand: benchUnits},
			})
		}
	}
	if err := o.y.askAll(ctx, commands); err != nil {
		return err
	}
	var err error
	o.body, _, err = o.orders.make()
	return err
}

// raw publishes the bytes of one order.
func (o *ordersBench) raw(ctx context.Context, latency *hdrhistogram.Histogram, d time.Duration) (int64, error) {
	return o.f.each(ctx, latency, d, func(int) error {
		_, err := o.js.Publish(ctx, hotSubject, o.body)
		return err
	})
}

// round places orders, each worker the next one only when the site has accepted the last.
func (o *ordersBench) round(ctx context.Context, orders, placed *side, d time.Duration) (int64, error) {
	stats := o.y.node.Runtime().Stats()
	entries, commits := stats.Entries.Load(), stats.Commits.Load()
	var times sync.Mutex
	n, err := o.f.each(ctx, orders.latency, d, func(worker int) error {
		body, id, err := o.orders.make()
		if err != nil {
			return err
		}
		accepted := make(chan struct{})
		o.mu.Lock()
		o.accepted[id] = accepted
		o.mu.Unlock()
		began := time.Now()
		reply, err := o.conns[worker%hotConns].RequestMsgWithContext(ctx, &nats.Msg{Subject: messages.PlaceSubject(benchChannel), Data: body})
		if err != nil {
			return err
		}
		if f := failureOf(reply); f != nil {
			return f
		}
		took := time.Since(began)
		times.Lock()
		record(placed.latency, took)
		times.Unlock()
		select {
		case <-accepted:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(acceptedWithin):
			return fmt.Errorf("order %s was not accepted within %v", id, acceptedWithin)
		}
	})
	c := max(stats.Commits.Load()-commits, 1)
	orders.note = fmt.Sprintf("%.0f commands per sync, %.1f per order", float64(stats.Entries.Load()-entries)/float64(c), float64(stats.Entries.Load()-entries)/float64(max(n, 1)))
	return n, err
}

// watch follows the journal for acceptances.
func (o *ordersBench) watch(ctx context.Context) func() {
	ctx, cancel := context.WithCancel(ctx)
	accepted := messages.EventType(&messages.OrderFulfillmentAccepted{})
	var done sync.WaitGroup
	for _, p := range o.y.node.Runtime().Partitions() {
		done.Add(1)
		go func() {
			defer done.Done()
			_ = o.y.node.Runtime().Follow(ctx, p, 0, func(_ uint64, c *messages.Commit) error { // ends with ctx
				for _, e := range c.Entries {
					for _, r := range e.Events {
						if r.Type == accepted {
							o.accept(e.Id)
						}
					}
				}
				return nil
			})
		}()
	}
	return func() { cancel(); done.Wait() }
}

func (o *ordersBench) accept(id string) {
	o.mu.Lock()
	ch := o.accepted[id]
	delete(o.accepted, id)
	o.mu.Unlock()
	if ch != nil {
		close(ch)
	}
}

// drainFeed waits until the public events are published, and says how long that took.
func (o *ordersBench) drainFeed(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	partitions := o.y.node.Runtime().Partitions()
	for _, p := range partitions {
		head, _, err := o.y.store.Last(ctx, p)
		if err != nil {
			return 0, err
		}
		for o.y.egress.Published(p) < head {
			select {
			case <-ctx.Done():
				return 0, ctx.Err()
			case <-time.After(5 * time.Millisecond):
			}
			if time.Since(began) > 10*time.Minute {
				return 0, fmt.Errorf("the event feed of partition %d does not catch up", p)
			}
		}
	}
	return time.Since(began), nil
}

// orderMaker makes orders from everywhere in the country. It may be used concurrently.
type orderMaker struct {
	prefix string // of external ids
	lines  int    // of every order; 0 = 1 to 3
	serial atomic.Int64

	mu  sync.Mutex
	src *rand.Rand
}

// make builds an order from somewhere in the country.
func (o *orderMaker) make() (body []byte, id string, err error) {
	doc := o.doc()
	body, err = wire.Encode(doc)
	return body, messages.OrderID(benchChannel, doc.ExternalID), err
}

func (o *orderMaker) doc() wire.Order {
	o.mu.Lock()
	defer o.mu.Unlock()
	external := o.prefix + strconv.FormatInt(o.serial.Add(1), 10)
	doc := wire.Order{
		Channel: benchChannel, ExternalID: external, Currency: "USD",
		ShipTo: wire.Address{Name: "B. Buyer", Line1: "1 Main St", City: "Denver", Region: "CO", PostalCode: "80202", Country: "US"},
	}
	lat, lon := 30+15*o.src.Float64(), -120+45*o.src.Float64()
	doc.ShipTo.Lat, doc.ShipTo.Lon = &lat, &lon
	price := int64(1999)
	lines := o.lines
	if lines == 0 {
		lines = 1 + o.src.IntN(3)
	}
	for i := range lines {
		doc.Lines = append(doc.Lines, wire.Line{ID: strconv.Itoa(i + 1), SKU: demoSKU(o.src.IntN(benchSKUs)), Quantity: 1 + o.src.Int64N(3), UnitPrice: &price})
	}
	return doc
}
