package main

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"orderyard/cmd/orderyard/figures"
	"orderyard/configs"
	"orderyard/gateway/wire"
	"orderyard/messages"
)

const (
	hotSKU     = "HOT"
	hotSite    = "BENCH"
	hotUnits   = 1_000_000_000
	hotHoldMs  = 24 * 3600 * 1000
	hotStream  = "BENCH_RAW"
	hotSubject = "bench.raw"
	hotConns   = 4
)

func newBenchHot(a *app) *benchJob {
	f := &benchFlags{}
	cmd := &cobra.Command{Use: "hot", Short: "One hot SKU: durable reservations of one unit of one bucket, beside raw JetStream"}
	return a.benchCommand(f, cmd, 256, configs.Dev().Partitions, func(ctx context.Context) (figures.Bench, error) { return benchHot(ctx, a, f) })
}

func benchHot(ctx context.Context, a *app, f *benchFlags) (figures.Bench, error) {
	b := figures.Bench{Title: "One hot bucket beside raw JetStream", Setup: f.setup()}
	y, end, err := benchYard(ctx, a, f)
	if err != nil {
		return b, err
	}
	defer end()
	h := &hotBench{y: y, f: f}
	if err := h.prepare(ctx); err != nil {
		return b, err
	}
	disk, raw := newSide("fdatasync 4 KiB"), newSide("raw JetStream publish, synced")
	inside, outside := newOurs("reserve, in process"), newOurs("reserve, over NATS")
	d := f.duration()
	if err := f.interleave(ctx, a,
		step{disk, func() (int64, error) { return fdatasyncs(y.cfg.Node.Data, d/4, disk.latency) }},
		step{raw, func() (int64, error) { return h.raw(ctx, raw.latency, d/2) }},
		step{inside, func() (int64, error) { return h.inside(ctx, inside, d) }},
		step{outside, func() (int64, error) { return h.outside(ctx, outside, d) }},
	); err != nil {
		return b, err
	}
	if err := h.verdict(ctx); err != nil {
		return b, err
	}
	b.Rows = rowsOf(disk, raw, inside, outside)
	b.Notes = []string{
		fmt.Sprintf("Reserve in process = %.1f × raw publish; over NATS = %.1f ×.", inside.median()/raw.median(), outside.median()/raw.median()),
		fmt.Sprintf("%d units reserved, none lost, none twice.", h.granted.Load()),
	}
	return b, f.writeAllocs()
}

type hotBench struct {
	y       *yard
	f       *benchFlags
	serial  atomic.Int64
	granted atomic.Int64
	conns   []*nats.Conn
	js      js.JetStream
}

func (h *hotBench) prepare(ctx context.Context) error {
	reply, err := h.y.node.Ask(ctx, messages.Request{
		To: messages.BucketRef(hotSKU, hotSite), CommandID: "stock", Command: &messages.SetStock{Sku: hotSKU, Site: hotSite, OnHand: hotUnits},
	})
	if err = answered(reply, err); err != nil {
		return err
	}
	for range hotConns {
		nc, err := nats.Connect(h.y.server.ClientURL())
		if err != nil {
			return err
		}
		h.conns = append(h.conns, nc)
	}
	if h.js, err = js.New(h.y.conn); err != nil {
		return err
	}
	_, err = h.js.CreateStream(ctx, js.StreamConfig{Name: hotStream, Subjects: []string{hotSubject}, MaxMsgs: 100_000, Discard: js.DiscardOld})
	return err
}

func (h *hotBench) raw(ctx context.Context, latency *hdrhistogram.Histogram, d time.Duration) (int64, error) {
	body := make([]byte, 120)
	return h.f.each(ctx, latency, d, func(int) error {
		_, err := h.js.Publish(ctx, hotSubject, body)
		return err
	})
}

func (h *hotBench) nextID() string { return "r" + strconv.FormatInt(h.serial.Add(1), 10) }

func (h *hotBench) inside(ctx context.Context, s *side, d time.Duration) (int64, error) {
	stats := h.y.node.Runtime().Stats()
	entries, commits := stats.Entries.Load(), stats.Commits.Load()
	to := messages.BucketRef(hotSKU, hotSite)
	n, err := h.f.each(ctx, s.latency, d, func(int) error {
		id := h.nextID()
		reply, err := h.y.node.Ask(ctx, messages.Request{To: to, CommandID: id, Command: &messages.ReserveStock{
			Sku: hotSKU, Site: hotSite, ReservationId: id, Quantity: 1, HoldForMs: hotHoldMs,
		}})
		if err = answered(reply, err); err == nil {
			h.granted.Add(1)
		}
		return err
	})
	s.note = fmt.Sprintf("%.0f commands per sync", float64(stats.Entries.Load()-entries)/float64(max(stats.Commits.Load()-commits, 1)))
	return n, err
}

func (h *hotBench) outside(ctx context.Context, s *side, d time.Duration) (int64, error) {
	stats := h.y.node.Runtime().Stats()
	entries, commits := stats.Entries.Load(), stats.Commits.Load()
	n, err := h.f.each(ctx, s.latency, d, func(worker int) error {
		id := h.nextID()
		body, err := wire.Encode(wire.ReserveStockRequest{ReservationID: id, SKU: hotSKU, Site: hotSite, Quantity: 1, HoldForMs: hotHoldMs})
		if err != nil {
			return err
		}
		m := nats.NewMsg(messages.StockSubject("reserve"))
		m.Header.Set(messages.HeaderCommandID, id)
		m.Data = body
		reply, err := h.conns[worker%hotConns].RequestMsgWithContext(ctx, m)
		if err != nil {
			return err
		}
		if f := failureOf(reply); f != nil {
			return f
		}
		h.granted.Add(1)
		return nil
	})
	s.note = fmt.Sprintf("%.0f commands per sync", float64(stats.Entries.Load()-entries)/float64(max(stats.Commits.Load()-commits, 1)))
	return n, err
}

// verdict makes the numbers worth something: the bucket holds exactly what was granted.
func (h *hotBench) verdict(ctx context.Context) error {
	reply, err := h.y.node.Ask(ctx, messages.Request{To: messages.BucketRef(hotSKU, hotSite), Command: &messages.GetStock{}})
	if err = answered(reply, err); err != nil {
		return err
	}
	if got := reply.GetStock().GetBucket().GetReserved(); got != h.granted.Load() {
		return exitWith(exitInvariant, fmt.Errorf("%d units were granted, the bucket holds %d: the figures are void", h.granted.Load(), got))
	}
	return nil
}

// answered folds a refusal into the error.
func answered(reply *messages.Reply, err error) error {
	if err != nil {
		return err
	}
	if f := reply.GetFailure(); f != nil {
		return f
	}
	return nil
}
