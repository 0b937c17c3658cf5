package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/spf13/cobra"

	"orderyard/cmd/orderyard/figures"
	"orderyard/cmd/orderyard/peers"
)

// newBenchAllCmd runs the benchmarks one after the other. `bench routing` measures no machine but decisions, `bench memory` and `bench verify` want large stores: these stay by
// themselves.
func newBenchAllCmd(a *app, all []*benchJob) *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "all",
		Short: "Every benchmark but routing, memory and verify, one after the other, and a report of all",
		Long: "Every benchmark but `bench routing`, `bench memory` and `bench verify`, one after the other, and a report of all. It takes ten to fifteen minutes.\n\n" +
			"Databases are started from the system's packages (PostgreSQL 15 or later, Redis 7) and ended again; one that is not installed is left out with\n" +
			"a line that says so. A benchmark that fails does not end the others. docs/benchmarks/peers.md says what is compared and why that is fair.",
		Example: "  orderyard bench all --report DIR --data DIR",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, b := range all {
				b.f.seconds, b.f.rounds, b.f.data = f.seconds, f.rounds, f.data
			}
			f.inflight, f.partitions = 1, 1 // each benchmark keeps its own
			return a.measure(cmd.Context(), &f, all...)
		},
	}
	f.registerCommon(cmd)
	return cmd
}

// measure runs benchmarks and shows what they found. The report is written after each, so that an interrupted run leaves what it has.
func (a *app) measure(ctx context.Context, f *benchFlags, list ...*benchJob) error {
	if err := f.check(); err != nil {
		return err
	}
	report, err := newReport(f)
	if err != nil {
		return err
	}
	var failures []error
	for _, b := range list {
		if len(list) > 1 {
			fmt.Fprintf(a.err, "bench %s\n", b.cmd.Name())
		}
		bench, err := b.run(ctx)
		bench.Name = b.cmd.Name()
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		if err != nil {
			// Figures of a run that broke something are void: what was tried is kept, and nothing that could be read as a result.
			bench = figures.Bench{ID: bench.ID, Name: bench.Name, Title: bench.Title, Setup: bench.Setup, Skips: bench.Skips, Failed: err.Error()}
			failures = append(failures, err)
		}
		report.Benches = append(report.Benches, bench)
		if f.report != "" {
			if err := report.Write(f.report); err != nil {
				return err
			}
		}
		if a.output != outputJSON {
			if err := a.showBench(&bench); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			break
		}
	}
	if a.output == outputJSON {
		err = a.printValue(report)
	} else {
		err = a.println(report.Machine.String())
	}
	return errors.Join(append(failures, err)...)
}

// newReport begins a report with the facts of the machine.
func newReport(f *benchFlags) (*figures.Report, error) {
	dir := f.data
	if dir == "" {
		dir = os.TempDir()
	}
	probe := min(time.Second, f.duration())
	m := figures.ThisMachine(dir)
	n, err := fdatasyncs(dir, probe, nil)
	if err != nil {
		return nil, fmt.Errorf("measure the disk: %w", err)
	}
	m.SyncRate = float64(n) / probe.Seconds()
	m.Versions["Orderyard"], m.Versions["NATS server"] = version(), natsserver.VERSION
	maps.Copy(m.Versions, peers.Versions())
	return &figures.Report{Machine: m}, nil
}

// showBench prints one benchmark for people.
func (a *app) showBench(b *figures.Bench) error {
	title := b.Title
	if b.ID != "" {
		title = b.ID + ": " + title
	}
	if b.Failed != "" {
		return a.println(title + ": no result: " + clean(b.Failed) + "\n")
	}
	if err := errors.Join(a.println(title+"\n"+b.Setup+"\n"), a.showRows(b.Rows), a.showGoals(b.Goals)); err != nil {
		return err
	}
	for _, line := range slices.Concat(b.Skips, b.Notes) {
		if err := a.println(line); err != nil {
			return err
		}
	}
	return a.println("")
}

func (a *app) showRows(rows []figures.Row) error {
	t := a.table("WHAT", "#MEDIAN", "#LOWEST", "#HIGHEST", "UNIT", "#P50 ms", "#P99 ms", "#ALLOCS/OP", "NOTE")
	for _, r := range rows {
		p50, p99, allocs := "-", "-", "-"
		if r.Latency != nil {
			p50, p99 = figures.Number(r.Latency.P50), figures.Number(r.Latency.P99)
		}
		if r.Allocs > 0 {
			allocs = figures.Number(r.Allocs)
		}
		t.add(r.Name, figures.Number(r.Median), figures.Number(r.Lowest), figures.Number(r.Highest), r.Unit, p50, p99, allocs, r.Note)
	}
	return t.print("")
}

func (a *app) showGoals(goals []figures.Goal) error {
	t := a.table("GOAL", "WANTED", "#MEASURED", "#LOWEST", "#HIGHEST", "UNIT", "VERDICT")
	for _, g := range goals {
		t.add(g.What, g.Wanted(), figures.Number(g.Value), figures.Number(g.Lowest), figures.Number(g.Highest), g.Unit, status(g.Verdict()))
	}
	if err := t.section(); err != nil {
		return err
	}
	return a.println("")
}
