package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"orderyard/cmd/orderyard/figures"
	"orderyard/configs"
	"orderyard/messages"
)

type openFlags struct {
	benchFlags
	rate    float64
	percent float64
}

func newBenchOpen(a *app) *benchJob {
	f := &openFlags{}
	cmd := &cobra.Command{
		Use:   "open",
		Short: "How long orders take when they come at a steady rate, whatever became of those before",
		Long: "How long orders take when they come at a steady rate, whatever became of those before (an open loop). Time counts from when an order was due to\n" +
			"be sent to the event `allocated`, so that a stall hits every order that was due meanwhile. Each round first finds the peak with a closed loop of\n" +
			"--inflight orders, then sends --percent of it; --rate sends that many a second instead.",
	}
	cmd.Flags().Float64Var(&f.rate, "rate", 0, "orders per second; 0 = a share of the peak")
	cmd.Flags().Float64Var(&f.percent, "percent", 50, "share of the peak")
	return a.benchCommand(&f.benchFlags, cmd, 512, configs.Dev().Partitions, func(ctx context.Context) (figures.Bench, error) {
		switch {
		case f.rate < 0 || f.rate > 1_000_000:
			return figures.Bench{}, usage("--rate must be 0 to 1000000, is %v", f.rate)
		case f.percent <= 0 || f.percent > 200:
			return figures.Bench{}, usage("--percent must be above 0 and at most 200, is %v", f.percent)
		}
		return benchOpen(ctx, a, f)
	})
}

// openP99Ms is the goal of PROOF: 10 ms at half of the peak.
const openP99Ms = 10

func benchOpen(ctx context.Context, a *app, f *openFlags) (figures.Bench, error) {
	b := figures.Bench{ID: "open loop", Title: "Orders that come at a steady rate", Setup: f.setup()}
	dir, remove, err := f.folder(a)
	if err != nil {
		return b, err
	}
	defer remove()
	_, shop, end, err := openDev(dir, f.partitions, benchConns)
	if err != nil {
		return b, err
	}
	defer end()
	if err := shop.stock(ctx); err != nil {
		return b, err
	}
	o := newOpenBench(shop)
	peak := newOurs(fmt.Sprintf("peak, closed loop of %d", f.inflight))
	d := f.duration()
	var steps []step
	if f.rate == 0 {
		steps = append(steps, step{peak, func() (int64, error) {
			return f.each(ctx, peak.latency, d, func(worker int) error { return shop.place(ctx, worker) })
		}})
	}
	steps = append(steps, step{o.sent, func() (int64, error) {
		rate := f.rate
		if rate == 0 {
			rate = max(peak.rates[len(peak.rates)-1]*f.percent/100, 1)
		}
		return o.round(ctx, rate, d)
	}})
	if err := f.interleave(ctx, a, steps...); err != nil {
		return b, err
	}
	report, err := shop.verify(ctx, a)
	if err != nil {
		return b, err
	}
	for _, m := range steps {
		b.Rows = append(b.Rows, m.s.row())
	}
	for _, s := range []*side{o.open, o.placed, o.late} {
		s.unit, s.rates = "ms (p99)", s.p99s
		b.Rows = append(b.Rows, s.row())
	}
	b.Goals = []figures.Goal{figures.AtMost("p99 of due → accepted", "ms", o.open.p99s, openP99Ms)}
	b.Notes = []string{fmt.Sprintf("%d orders were due, %d of them refused or not accepted within %v: those count as a minute.", o.sent.done, o.failed, acceptedWithin), report.String()}
	return b, nil
}

// openBench sends orders by the clock.
type openBench struct {
	shop                     *benchShop
	sent, open, placed, late *side
	failed                   int64
}

func newOpenBench(shop *benchShop) *openBench {
	return &openBench{
		shop: shop, sent: newOurs("orders sent at a steady rate"), open: newOurs("  of those: due → accepted"), placed: newOurs("  of those: due → answered durable"),
		late: newSide("  the sender itself was late by"),
	}
}

// openRound is one run of it. Answers and events come on the connections' goroutines.
type openRound struct {
	mu                     sync.Mutex
	asked                  map[string]sentOrder // by the answer's subject
	open                   map[string]time.Time // by order: when it was due
	accepted, placed, late *hdrhistogram.Histogram
	failed                 int64
}

type sentOrder struct {
	id  string
	due time.Time
}

// round sends for d and waits for what is under way.
func (o *openBench) round(ctx context.Context, rate float64, d time.Duration) (int64, error) {
	r := &openRound{
		asked: map[string]sentOrder{}, open: map[string]time.Time{}, accepted: o.open.latency, placed: o.placed.latency, late: o.late.latency,
	}
	inbox, ear := nats.NewInbox(), o.shop.conns[len(o.shop.conns)-1]
	sub, err := ear.Subscribe(inbox+".*", r.answered)
	if err != nil {
		return 0, err
	}
	defer func() { _ = sub.Unsubscribe() }() // a closed connection has none
	if err := ear.Flush(); err != nil {
		return 0, err
	}
	table := figures.Timetable{Begin: time.Now().Add(10 * time.Millisecond), Rate: rate}
	count := table.Count(d)
	for n := range count {
		if err := r.send(ctx, o.shop, n, table, inbox+"."+strconv.FormatInt(n, 10)); err != nil {
			return 0, err
		}
	}
	o.sent.took = max(d, time.Since(table.Begin)) // waiting for the last answers is no sending; a sender that is late takes longer
	if err := r.rest(ctx); err != nil {
		return 0, err
	}
	for _, s := range []*side{o.open, o.placed, o.late} {
		s.fold()
	}
	o.failed += r.failed
	return count, nil
}

// send waits until order n is due and sends it, without waiting for anything else.
func (r *openRound) send(ctx context.Context, shop *benchShop, n int64, table figures.Timetable, inbox string) error {
	body, id, err := shop.orders.make()
	if err != nil {
		return err
	}
	due := table.Due(n)
	if wait := time.Until(due); wait > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
	shop.expect(id, func(at time.Time) { r.arrived(id, at) })
	r.mu.Lock()
	r.asked[inbox], r.open[id] = sentOrder{id, due}, due
	record(r.late, table.Behind(n, time.Now()))
	r.mu.Unlock()
	m := &nats.Msg{Subject: messages.PlaceSubject(benchChannel), Reply: inbox, Data: body}
	return shop.conns[int(n)%len(shop.conns)].PublishMsg(m)
}

// answered takes the door's answer.
func (r *openRound) answered(m *nats.Msg) {
	now := time.Now()
	refused := m.Header.Get("Status") != "" || failureOf(m) != nil // a status is the server's: nobody listens
	r.mu.Lock()
	defer r.mu.Unlock()
	o, found := r.asked[m.Subject]
	if !found {
		return
	}
	delete(r.asked, m.Subject)
	if !refused {
		record(r.placed, now.Sub(o.due))
		return
	}
	r.fail(r.placed)
	if _, open := r.open[o.id]; open {
		delete(r.open, o.id)
		record(r.accepted, latencyMax)
	}
}

// fail counts a failure as the longest time there is: leaving it out would make a node that refuses look fast.
func (r *openRound) fail(h *hdrhistogram.Histogram) {
	r.failed++
	record(h, latencyMax)
}

// arrived takes the event that an order was accepted.
func (r *openRound) arrived(id string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if due, open := r.open[id]; open {
		delete(r.open, id)
		record(r.accepted, at.Sub(due))
	}
}

// rest waits for all that was sent. What has not come in time has failed.
func (r *openRound) rest(ctx context.Context) error {
	for end := time.Now().Add(acceptedWithin); time.Now().Before(end); {
		r.mu.Lock()
		left := len(r.asked) + len(r.open)
		r.mu.Unlock()
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for range r.asked {
		record(r.placed, latencyMax)
	}
	for range r.open {
		r.fail(r.accepted)
	}
	clear(r.asked)
	clear(r.open)
	return nil
}
