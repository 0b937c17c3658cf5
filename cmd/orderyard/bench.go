package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"sync"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/spf13/cobra"

	"orderyard/cmd/orderyard/figures"
	"orderyard/configs"
)

func newBenchCmd(a *app) *cobra.Command {
	all := []*benchJob{
		newBenchHot(a), newBenchOrders(a), newBenchOpen(a), newBenchReserve(a), newBenchFlow(a), newBenchSync(a), newBenchCrash(a), newBenchQuery(a),
		newBenchCluster(a),
	}
	commands := make([]*cobra.Command, 0, len(all)+5)
	for _, b := range all {
		commands = append(commands, b.cmd)
	}
	commands = append(commands, newBenchRoutingCmd(a), newBenchVerifyCmd(a), newBenchMemoryCmd(a), newBenchMemoryNodeCmd(a), newBenchAllCmd(a, all))
	return group("bench", "Measure this machine: each figure beside a baseline or a database taken in the same run", commands...)
}

// benchJob is one subcommand that measures.
type benchJob struct {
	cmd *cobra.Command
	f   *benchFlags // `bench all` sets them, too
	run func(ctx context.Context) (figures.Bench, error)
}

// benchCommand makes the subcommand of a benchmark from its flags' defaults. check may be nil.
func (a *app) benchCommand(f *benchFlags, cmd *cobra.Command, inflight, partitions int, run func(ctx context.Context) (figures.Bench, error)) *benchJob {
	b := &benchJob{cmd: cmd, f: f, run: run}
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.measure(cmd.Context(), f, b) }
	f.register(cmd, inflight, partitions)
	return b
}

// benchFlags are common to all benchmarks.
type benchFlags struct {
	seconds    float64
	rounds     int
	inflight   int
	partitions int
	data       string
	report     string
	profile    string
	allocs     string
	cost       bool
}

func (f *benchFlags) register(cmd *cobra.Command, inflight, partitions int) {
	flags := cmd.Flags()
	f.registerCommon(cmd)
	flags.IntVar(&f.inflight, "inflight", inflight, "requests under way at once, each from a client of its own")
	flags.IntVar(&f.partitions, "partitions", partitions, "partitions of the store")
	flags.StringVar(&f.profile, "cpuprofile", "", "write a CPU profile of the last round's last side to this file")
	flags.StringVar(&f.allocs, "allocprofile", "", "write a profile of all allocations to this file")
}

// registerCommon registers what makes sense for several benchmarks at once.
func (f *benchFlags) registerCommon(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.Float64Var(&f.seconds, "seconds", 3, "length of one measurement")
	flags.IntVar(&f.rounds, "rounds", 5, "how often each side is measured, in turn")
	flags.StringVar(&f.data, "data", "", "folder for the stores; the disk it is on is measured (default: a temporary one)")
	flags.StringVar(&f.report, "report", "", "folder for a report: Markdown, JSON and pictures")
}

func (f *benchFlags) check() error {
	switch {
	case f.seconds < 0.1 || f.seconds > 600:
		return usage("--seconds must be 0.1 to 600, is %v", f.seconds)
	case f.rounds < 1 || f.rounds > 1000:
		return usage("--rounds must be 1 to 1000, is %d", f.rounds)
	case f.inflight < 1 || f.inflight > 65536:
		return usage("--inflight must be 1 to 65536, is %d", f.inflight)
	case f.partitions < 1 || f.partitions > 1024:
		return usage("--partitions must be 1 to 1024, is %d", f.partitions)
	}
	return nil
}

// duration is the length of one measurement.
func (f *benchFlags) duration() time.Duration { return time.Duration(f.seconds * float64(time.Second)) }

// setup says how it was measured.
func (f *benchFlags) setup() string {
	return fmt.Sprintf("%s of %v for each side in turn, %d in flight, %d partitions", plural(f.rounds, "round"), f.duration(), f.inflight, f.partitions)
}

// with gives the same flags for another number of clients.
func (f *benchFlags) with(inflight int) *benchFlags {
	other := *f
	other.inflight = inflight
	return &other
}

// folder makes the temporary folder of a benchmark, and gives what removes it.
func (f *benchFlags) folder(a *app) (string, func(), error) {
	dir, err := os.MkdirTemp(f.data, "orderyard-bench-")
	if err != nil {
		return "", nil, fmt.Errorf("folder for the benchmark: %w", err)
	}
	return dir, func() {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(a.err, "the benchmark's folder stays:", err)
		}
	}, nil
}

// benchYard opens a yard of its own in a fresh folder, and gives what removes it.
func benchYard(ctx context.Context, a *app, f *benchFlags) (*yard, func(), error) {
	dir, remove, err := f.folder(a)
	if err != nil {
		return nil, nil, err
	}
	cfg := configs.Dev()
	cfg.Node.Data, cfg.NATS.Port, cfg.HTTP.Addr, cfg.Partitions = dir, 0, "", f.partitions
	log := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	slog.SetDefault(log)
	y, err := openYard(ctx, cfg, log)
	if err != nil {
		remove()
		return nil, nil, err
	}
	return y, func() {
		if err := y.close(); err != nil {
			fmt.Fprintln(a.err, err)
		}
		remove()
	}, nil
}

// writeAllocs writes what was allocated since the start, when that was asked for.
func (f *benchFlags) writeAllocs() error {
	if f.allocs == "" {
		return nil
	}
	file, err := os.Create(f.allocs)
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("allocs").WriteTo(file, 0), file.Close())
}

// profiled runs the last measurement under the CPU profiler when that was asked for.
func (f *benchFlags) profiled(last bool, run func() error) error {
	if f.profile == "" || !last {
		return run()
	}
	file, err := os.Create(f.profile)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := pprof.StartCPUProfile(file); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return run()
}

// processTime is the processor time of this process so far.
func processTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// fdatasyncs measures the disk: 4 KiB written and synced, one after the other. latency may be nil.
func fdatasyncs(dir string, d time.Duration, latency *hdrhistogram.Histogram) (int64, error) {
	file, err := os.Create(filepath.Join(dir, "fdatasync"))
	if err != nil {
		return 0, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	block := make([]byte, 4096)
	n := int64(0)
	for end := time.Now().Add(d); time.Now().Before(end); n++ {
		began := time.Now()
		if _, err := file.Write(block); err != nil {
			return n, err
		}
		if err := syscall.Fdatasync(int(file.Fd())); err != nil {
			return n, err
		}
		if latency != nil {
			record(latency, time.Since(began))
		}
	}
	return n, nil
}

func (a *app) machine() string {
	return fmt.Sprintf("%s/%s, %d cores, %s", runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), runtime.Version())
}

// each keeps inflight workers busy until the time is over and counts what they did.
func (f *benchFlags) each(ctx context.Context, latency *hdrhistogram.Histogram, d time.Duration, op func(worker int) error) (int64, error) {
	var (
		wait  sync.WaitGroup
		mu    sync.Mutex
		total int64
		first error
	)
	end := time.Now().Add(d)
	for w := range f.inflight {
		wait.Add(1)
		go func() {
			defer wait.Done()
			times := make([]time.Duration, 0, 1<<8)
			var err error
			for time.Now().Before(end) && ctx.Err() == nil && err == nil {
				began := time.Now()
				if err = op(w); err == nil {
					times = append(times, time.Since(began))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for _, t := range times {
				record(latency, t)
			}
			total += int64(len(times))
			if first == nil {
				first = err
			}
		}()
	}
	wait.Wait()
	if ctx.Err() != nil {
		return total, errors.New("interrupted")
	}
	return total, first
}
