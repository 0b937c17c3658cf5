package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"orderyard/cmd/orderyard/figures"
	"orderyard/cmd/orderyard/peers"
	"orderyard/configs"
)

type crashFlags struct {
	benchFlags
	rate  float64
	nodes int
}

func newBenchCrash(a *app) *benchJob {
	f := &crashFlags{}
	cmd := &cobra.Command{
		Use:   "crash",
		Short: "kill -9 under load until the first commit after it, against PostgreSQL's recovery",
		Long: "kill -9 under load until the first commit after it: a node alone that is started again at once, with its NATS server inside; a cluster that\n" +
			"loses one of its nodes; and PostgreSQL, started again at once. Each stands under the same number of reservations per second, spread over\n" +
			"200 SKUs, from --inflight clients, for --seconds before it is killed. --partitions are the cluster's; a node alone has those of `dev`.",
	}
	cmd.Flags().Float64Var(&f.rate, "rate", 500, "reservations per second on each side")
	cmd.Flags().IntVar(&f.nodes, "nodes", 3, "nodes of the cluster; 0 = no cluster")
	return a.benchCommand(&f.benchFlags, cmd, 64, 12, func(ctx context.Context) (figures.Bench, error) {
		switch {
		case f.rate < 1 || f.rate > 1_000_000:
			return figures.Bench{}, usage("--rate must be 1 to 1000000, is %v", f.rate)
		case f.nodes != 0 && (f.nodes < 2 || f.nodes > 9):
			return figures.Bench{}, usage("--nodes must be 0 or 2 to 9, is %d", f.nodes)
		}
		return benchCrash(ctx, a, f)
	})
}

const (
	crashSKUs      = 200
	crashUnits     = 1_000_000
	crashMs        = 1000 // the goal of PROOF
	crashPause     = 2 * time.Millisecond
	crashPatience  = time.Minute
	crashAskWithin = 250 * time.Millisecond // one try of the first reservation: long enough to be answered, short enough not to blur the time
)

func crashSKU(i int64) string { return "CRASH-" + strconv.FormatInt(i%crashSKUs, 10) }

// setup says how it was measured. A node alone is as `dev` is, with dev's partitions.
func (f *crashFlags) setup() string {
	one, alone := f.benchFlags, configs.Dev().Partitions
	where := fmt.Sprintf(" in the cluster and %d in the node alone", alone)
	if f.nodes == 0 {
		one.partitions, where = alone, ""
	}
	return one.setup() + where + fmt.Sprintf(", %v reservations/s over %d SKUs", f.rate, crashSKUs)
}

// victim is one store that is killed and comes back.
type victim struct {
	side    *side
	reserve func(ctx context.Context, client int, sku, id string) error
	before  func(ctx context.Context) error // what must be known before the kill; nil = nothing
	kill    func()
	recover func(ctx context.Context, killed time.Time) ([]time.Duration, error) // returns with the times to the first commit
	check   func(ctx context.Context, acknowledged, unknown int64) error
	end     func()
	serial  atomic.Int64
	known   atomic.Int64 // acknowledged reservations
	unknown atomic.Int64 // asked, and not known what became of them
	all     []float64    // every time to a first commit, milliseconds
	worst   []float64    // of each round
}

func benchCrash(ctx context.Context, a *app, f *crashFlags) (figures.Bench, error) {
	b := figures.Bench{
		ID: "B8", Title: "kill -9 to the first commit, against PostgreSQL",
		Setup: f.setup(),
	}
	dir, remove, err := f.folder(a)
	if err != nil {
		return b, err
	}
	defer remove()
	victims, skips, err := f.victims(ctx, a, dir)
	for _, v := range victims {
		defer v.end()
	}
	if err != nil {
		return b, err
	}
	b.Skips = skips
	steps := make([]step, len(victims))
	for i, v := range victims {
		steps[i] = step{v.side, func() (int64, error) { return f.crash(ctx, v) }}
	}
	if err := f.interleave(ctx, a, steps...); err != nil {
		return b, err
	}
	for _, v := range victims {
		if err := v.check(ctx, v.known.Load(), v.unknown.Load()); err != nil {
			return b, exitWith(exitInvariant, err)
		}
		v.side.unit, v.side.rates = "ms to first commit", v.worst
		b.Rows = append(b.Rows, v.side.row())
		b.Notes = append(b.Notes, fmt.Sprintf("%s: %d acknowledged reservations, none lost.", v.side.name, v.known.Load()))
	}
	b.Goals = crashGoals(victims)
	return b, nil
}

// crashGoals compares every victim of ours with PostgreSQL, if it is there, and with a second.
func crashGoals(victims []*victim) (goals []figures.Goal) {
	var peer *victim
	for _, v := range victims {
		if !v.side.ours {
			peer = v
		}
	}
	for _, v := range victims {
		if v == peer {
			continue
		}
		if peer != nil {
			goals = append(goals, figures.AtMost(v.side.name+" / PostgreSQL", "×", figures.Ratios(v.worst, peer.worst), 0.5))
		}
		g := figures.AtMost(v.side.name+", p99 of all first commits", "ms", []float64{figures.Quantile(v.all, 0.99)}, crashMs)
		g.Lowest, g.Highest = figures.Bounds(v.all)
		goals = append(goals, g)
	}
	return goals
}

// victims starts everything. What was started is returned also with an error.
func (f *crashFlags) victims(ctx context.Context, a *app, dir string) (started []*victim, skips []string, err error) {
	alone, err := f.aloneVictim(ctx, a, dir)
	if err != nil {
		return nil, nil, err
	}
	started = append(started, alone)
	if f.nodes > 0 {
		c, err := f.clusterVictim(ctx, a, dir)
		if err != nil {
			return started, nil, err
		}
		started = append(started, c)
	}
	p, err := f.postgresVictim(ctx, dir)
	if errors.Is(err, peers.ErrMissing) {
		return started, []string{"Left out: " + err.Error()}, nil
	}
	if err != nil {
		return started, nil, err
	}
	return append(started, p), nil, nil
}

// crash loads the store, kills it in the middle of that, and waits for the first commit after it.
func (f *crashFlags) crash(ctx context.Context, v *victim) (int64, error) {
	load, stop := context.WithCancel(ctx)
	defer stop()
	began := v.known.Load()
	var wait sync.WaitGroup
	table, first := figures.Timetable{Begin: time.Now(), Rate: f.rate}, v.serial.Load()
	for client := range f.inflight {
		wait.Go(func() { f.load(load, v, client, table, first) })
	}
	select {
	case <-ctx.Done():
	case <-time.After(f.duration()):
	}
	var unready error
	if v.before != nil && ctx.Err() == nil {
		unready = v.before(ctx)
	}
	killed := time.Now()
	v.kill()
	stop()
	wait.Wait()
	v.serial.Add(table.Count(2*f.duration()) + 1) // ids are not used again
	if err := errors.Join(unready, ctx.Err()); err != nil {
		return 0, err
	}
	patient, cancel := context.WithTimeout(ctx, crashPatience)
	defer cancel()
	times, err := v.recover(patient, killed)
	if err != nil {
		return 0, err
	}
	worst := 0.0
	for _, d := range times {
		record(v.side.latency, d)
		v.all = append(v.all, figures.Milliseconds(d))
		worst = max(worst, figures.Milliseconds(d))
	}
	v.worst = append(v.worst, worst)
	return v.known.Load() - began, nil
}

// load is one client's share of the steady load. An error ends it: the store is about to be killed, or has been.
func (f *crashFlags) load(ctx context.Context, v *victim, client int, table figures.Timetable, first int64) {
	for n := int64(client); ctx.Err() == nil; n += int64(f.inflight) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(table.Due(n))):
		}
		v.unknown.Add(1)
		if err := v.reserve(ctx, client, crashSKU(n), "r"+strconv.FormatInt(first+n, 10)); err != nil {
			return
		}
		v.unknown.Add(-1)
		v.known.Add(1)
	}
}

// postgresVictim is the peer.
func (f *crashFlags) postgresVictim(ctx context.Context, dir string) (*victim, error) {
	p, err := peers.StartPostgres(ctx, filepath.Join(dir, "postgres"), f.inflight)
	if err != nil {
		return nil, err
	}
	skus := make([]string, crashSKUs)
	for i := range skus {
		skus[i] = crashSKU(int64(i))
	}
	hot, err := p.Hot(ctx, f.inflight, crashUnits, skus)
	if err != nil {
		p.Stop()
		return nil, err
	}
	v := &victim{side: newSide("PostgreSQL, started again"), reserve: hot.Reserve, kill: p.Crash, end: func() { hot.Close(); p.Stop() }}
	v.recover = func(ctx context.Context, killed time.Time) ([]time.Duration, error) {
		if err := p.Start(); err != nil {
			return nil, err
		}
		if err := hot.FirstReserve(ctx, crashSKU(0), "first"+strconv.Itoa(len(v.worst))); err != nil {
			return nil, err
		}
		took := time.Since(killed)
		v.known.Add(1)
		return []time.Duration{took}, hot.Reconnect(ctx)
	}
	v.check = func(ctx context.Context, acknowledged, unknown int64) error {
		kept, err := hot.Kept(ctx)
		if err != nil {
			return err
		}
		if err := checkKept(v.side.name, kept, acknowledged, unknown); err != nil {
			return err
		}
		return hot.Check(ctx, kept)
	}
	return v, nil
}

// checkKept: all that was acknowledged is there, and nothing that nobody asked for.
func checkKept(name string, kept, acknowledged, unknown int64) error {
	if kept < acknowledged || kept > acknowledged+unknown {
		return fmt.Errorf("%s: %d reservations were acknowledged, %d more may be there, %d are: the figures are void", name, acknowledged, unknown, kept)
	}
	return nil
}
