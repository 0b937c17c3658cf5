package main

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/spf13/cobra"

	"orderyard/cmd/orderyard/figures"
)

func newBenchSync(a *app) *benchJob {
	f := &benchFlags{}
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "How many commands share one sync at saturation, and what one alone waits for, beside the raw disk",
		Long: "How many commands share one sync at saturation, and what one alone waits for, beside the raw disk.\n\n" +
			"--inflight is the number of orders under way; the hot bucket is asked by 64 clients for 16 reservations each.",
	}
	return a.benchCommand(f, cmd, 1024, 4, func(ctx context.Context) (figures.Bench, error) { return benchSync(ctx, a, f) })
}

const (
	syncClients = 64
	syncDepth   = 16
)

// syncBench counts commits around its measurements.
type syncBench struct {
	dev    *benchDev
	serial atomic.Int64
}

func (b *syncBench) nextID() string { return "s" + strconv.FormatInt(b.serial.Add(1), 10) }

// shared measures how many commands share one sync while run keeps the node busy.
func (b *syncBench) shared(s *side, run func() (int64, error)) (int64, error) {
	entries, commits, err := b.dev.commands()
	if err != nil {
		return 0, err
	}
	n, err := run()
	if err != nil {
		return 0, err
	}
	entriesAfter, commitsAfter, err := b.dev.commands()
	if err != nil {
		return 0, err
	}
	s.rates = append(s.rates, (entriesAfter-entries)/max(commitsAfter-commits, 1))
	return n, nil
}

func benchSync(ctx context.Context, a *app, f *benchFlags) (figures.Bench, error) {
	b := figures.Bench{ID: "B5", Title: "Commands per sync at saturation, and one command alone", Setup: f.setup()}
	dir, remove, err := f.folder(a)
	if err != nil {
		return b, err
	}
	defer remove()
	dev, shop, end, err := openDev(dir, f.partitions, syncClients)
	if err != nil {
		return b, err
	}
	defer end()
	if err := shop.stock(ctx); err != nil {
		return b, err
	}
	if err := shop.count(ctx, hotSKU, hotSite, hotUnits); err != nil {
		return b, err
	}
	m := &syncBench{dev: dev}
	disk, alone := newSide("fdatasync 4 KiB"), newOurs("one client, one reservation at a time")
	hot, orders := newOurs("reservations of one bucket, 64 clients × 16"), newOurs(fmt.Sprintf("orders, %d in flight", f.inflight))
	hotShare, orderShare := newOurs("  their commands per sync"), newOurs("  their commands per sync ")
	hotShare.unit, orderShare.unit = "commands/sync", "commands/sync"
	d := f.duration()
	if err := f.interleave(ctx, a,
		step{disk, func() (int64, error) { return fdatasyncs(dir, d/4, disk.latency) }},
		step{alone, func() (int64, error) {
			return f.with(1).each(ctx, alone.latency, d/2, func(int) error { return shop.reserve(ctx, 0, hotSKU, hotSite, m.nextID()) })
		}},
		step{hot, func() (int64, error) {
			return m.shared(hotShare, func() (int64, error) {
				n, err := f.with(syncClients).each(ctx, hot.latency, d, func(client int) error {
					return shop.reserveMany(ctx, client, hotSKU, hotSite, m.nextID(), syncDepth)
				})
				return n * syncDepth, err
			})
		}},
		step{orders, func() (int64, error) {
			return m.shared(orderShare, func() (int64, error) {
				return f.each(ctx, orders.latency, d, func(client int) error { return shop.place(ctx, client) })
			})
		}},
	); err != nil {
		return b, err
	}
	report, err := shop.verify(ctx, a)
	if err != nil {
		return b, err
	}
	for _, s := range []*side{disk, alone, hot, hotShare, orders, orderShare} {
		b.Rows = append(b.Rows, s.row())
	}
	sync := figures.Median(disk.p50s) // not its mean: a few slow ones would make the goal an easy one
	b.Goals = []figures.Goal{
		figures.AtLeast("reservations of one bucket that share a sync", "commands/sync", hotShare.rates, 64),
		figures.AtLeast("commands of orders that share a sync", "commands/sync", orderShare.rates, 64),
		figures.AtMost("p50 of one alone, wanted 4 × the p50 of a sync + 1 ms", "ms", alone.p50s, 4*sync+1),
	}
	b.Notes = []string{report.String()}
	return b, nil
}
