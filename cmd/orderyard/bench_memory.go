package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"orderyard/configs"
	"orderyard/persistence/jetstream"
	"orderyard/persistence/jetstream/embedded"
)

// benchMemoryFlags are the dials of `bench memory`.
type benchMemoryFlags struct {
	orders, buckets, partitions, tail int
	data, profile                     string
	rest                              time.Duration
}

// The goals of B10 and F2.
const (
	memoryGoalBytes   = 4 << 30
	memoryGoalOrder   = 4 << 10
	memoryGoalBucket  = 2 << 10
	memoryGoalReady   = 10.0
	memoryBareActors  = 200_000
	memoryTailDefault = 10_000
)

func newBenchMemoryCmd(a *app) *cobra.Command {
	var f benchMemoryFlags
	cmd := &cobra.Command{
		Use:   "memory",
		Short: "What a node weighs with many open orders and buckets, and how soon it is back after kill -9",
		Long: "What a node weighs with many open orders and buckets, and how soon it is back.\n\n" +
			"The store is filled in bulk: the real entities decide, their entries go into real logs in large commits, and a checkpoint is written\n" +
			"as a node writes it, with some orders in the journal behind it. Of 10 sites one answers by hand: its orders stay reserved. Of 20 SKUs\n" +
			"one is nowhere on hand: its orders wait. Then a node of its own process, with an embedded NATS server and all doors, is started on the\n" +
			"store and weighed, killed, started again, and the journal is audited.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case f.orders < 1 || f.buckets < fillSitesPerSKU:
				return usage("--orders must be 1 or more, --buckets %d or more", fillSitesPerSKU)
			case f.partitions < 1 || f.partitions > 1024:
				return usage("--partitions must be 1 to 1024, is %d", f.partitions)
			case f.tail < 0:
				return usage("--tail must not be negative")
			}
			return benchMemory(cmd.Context(), a, &f)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&f.orders, "orders", 1_000_000, "open orders")
	flags.IntVar(&f.buckets, "buckets", 1_000_000, "buckets")
	flags.IntVar(&f.partitions, "partitions", 16, "partitions of the store")
	flags.IntVar(&f.tail, "tail", memoryTailDefault, "of the orders: so many are behind the checkpoint, to be replayed")
	flags.DurationVar(&f.rest, "rest", 10*time.Second, "how long a node is left alone before it is weighed")
	flags.StringVar(&f.data, "data", "", "folder for the store (default: a temporary one)")
	flags.StringVar(&f.profile, "heapprofile", "", "write what lives in the full node to this file")
	return cmd
}

// benchMemoryReport is what `bench memory -o json` prints.
type benchMemoryReport struct {
	Orders  int            `json:"orders"`
	Buckets int            `json:"buckets"`
	Actor   *memoryReading `json:"bare_actors"`
	Empty   *memoryReading `json:"empty"`
	Stock   *memoryReading `json:"buckets_only"`
	Full    *memoryReading `json:"full"`       // started after a clean stop of the server
	Again   *memoryReading `json:"after_kill"` // started after kill -9

	PerActor  int64 `json:"heap_per_bare_actor_bytes"`
	PerBucket int64 `json:"heap_per_idle_bucket_bytes"`
	PerOrder  int64 `json:"heap_per_open_order_bytes"`

	Audit   *auditReport `json:"audit"`
	Machine string       `json:"machine"`
}

func benchMemory(ctx context.Context, a *app, f *benchMemoryFlags) error {
	dir, err := os.MkdirTemp(f.data, "orderyard-bench-")
	if err != nil {
		return fmt.Errorf("folder for the benchmark: %w", err)
	}
	defer os.RemoveAll(dir)
	tuneMemory()
	r := &benchMemoryReport{Orders: f.orders, Buckets: f.buckets, Machine: a.machine()}
	if r.Actor, err = weighed(ctx, a, false, "--actors", strconv.Itoa(memoryBareActors), "--rest", f.rest.String()); err != nil {
		return err
	}
	r.PerActor = r.Actor.Heap / memoryBareActors
	empty, stock, full := filepath.Join(dir, "empty"), filepath.Join(dir, "stock"), filepath.Join(dir, "full")
	for _, side := range []struct {
		dir             string
		orders, buckets int
		into            **memoryReading
	}{{empty, 0, 0, &r.Empty}, {stock, 0, f.buckets, &r.Stock}, {full, f.orders, f.buckets, &r.Full}} {
		plan := fillPlan{
			Orders: side.orders, Buckets: side.buckets, Partitions: f.partitions, Tail: f.tail, Checkpoint: true, Sites: max(fillSitesMin, f.orders/5000),
		}
		if err := fillFolder(ctx, a, side.dir, plan); err != nil {
			return err
		}
		args := []string{"--dir", side.dir, "--rest", f.rest.String()}
		if side.orders > 0 {
			args = append(args, "--order", "first-1", "--heapprofile", f.profile)
		}
		fmt.Fprintf(a.err, "starting a node with %d orders and %d buckets\n", side.orders, side.buckets)
		if *side.into, err = weighed(ctx, a, true, args...); err != nil {
			return err
		}
	}
	r.PerBucket = (r.Stock.Heap - r.Empty.Heap) / int64(f.buckets)
	r.PerOrder = (r.Full.Heap - r.Stock.Heap) / int64(f.orders)
	fmt.Fprintln(a.err, "starting it again after kill -9")
	if r.Again, err = weighed(ctx, a, true, "--dir", full, "--order", "first-2", "--rest", f.rest.String()); err != nil {
		return err
	}
	if r.Audit, err = auditFolder(ctx, a, full); err != nil {
		return err
	}
	return r.show(a)
}

// fillFolder fills a node's data folder and leaves it as a stopped node does.
func fillFolder(ctx context.Context, a *app, dir string, plan fillPlan) error {
	cfg := configs.Dev()
	cfg.Node.Data = dir
	server, err := embedded.Start(embedded.Options{Dir: storeDir(cfg), Port: embedded.InProcessOnly, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer server.Shutdown()
	conn, err := server.Connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	store, err := jetstream.Open(ctx, conn, jetstream.Options{Sync: jetstream.SyncRelaxed})
	if err != nil {
		return err
	}
	f := newFiller(store, plan)
	began := time.Now()
	f.progress = func(what string) { fmt.Fprintf(a.err, "filling: %s after %.0f s\n", what, time.Since(began).Seconds()) }
	if err := f.fill(ctx); err != nil {
		return fmt.Errorf("fill the store: %w", err)
	}
	return nil
}

// auditFolder checks what the node left, in the process of a verify of its own.
func auditFolder(ctx context.Context, a *app, dir string) (*auditReport, error) {
	debug.FreeOSMemory()
	cfg := configs.Dev()
	cfg.Node.Data = dir
	server, err := embedded.Start(embedded.Options{Dir: storeDir(cfg), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	defer server.Shutdown()
	v, _, err := runAudit(ctx, a, server.ClientURL())
	return v, err
}

func (r *benchMemoryReport) show(a *app) error {
	if a.output == outputJSON {
		if err := a.printValue(r); err != nil {
			return err
		}
		return a.showViolations(r.Audit)
	}
	t := a.table("NODE WITH", "#READY S", "#ITS CPU S", "#FIRST COMMIT S", "#RSS AT READY", "#RSS AT REST", "#RSS PEAK", "#LIVE HEAP")
	mib := func(bytes int64) string { return fmt.Sprintf("%d MiB", bytes>>20) }
	for _, row := range []struct {
		name string
		m    *memoryReading
	}{
		{"nothing", r.Empty}, {"buckets", r.Stock}, {"buckets and orders", r.Full}, {"the same after kill -9", r.Again},
	} {
		t.add(row.name, fmt.Sprintf("%.1f", row.m.Ready), fmt.Sprintf("%.1f", row.m.ReadyCPU), fmt.Sprintf("%.1f", row.m.FirstCommit), mib(row.m.AtReady), mib(row.m.AtRest), mib(row.m.Peak), mib(row.m.Heap))
	}
	if err := t.print(""); err != nil {
		return err
	}
	each := a.table("ONE", "#HEAP BYTES", "#GOAL")
	each.add("idle bucket", fmt.Sprint(r.PerBucket), fmt.Sprint(memoryGoalBucket))
	each.add("open order", fmt.Sprint(r.PerOrder), fmt.Sprint(memoryGoalOrder))
	each.add("bare protoactor actor", fmt.Sprint(r.PerActor), "")
	if err := each.section(); err != nil {
		return err
	}
	peak := max(r.Full.Peak, r.Again.Peak)
	if err := a.println(fmt.Sprintf("\n%d orders and %d buckets: at most %.2f GiB (goal %d GiB at a million of each), back after %.1f s (goal %.0f s).\n%s\n%s",
		r.Orders, r.Buckets, float64(peak)/(1<<30), memoryGoalBytes>>30, r.Again.Ready, memoryGoalReady, r.Audit, a.machine())); err != nil {
		return err
	}
	return a.showViolations(r.Audit)
}
