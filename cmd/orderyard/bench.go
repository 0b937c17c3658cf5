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

	"orderyard/configs"
)

func newBenchCmd(a *app) *cobra.Command {
	return group("bench", "Measure this machine: each figure beside a baseline taken in the same run",
		newBenchHotCmd(a), newBenchOrdersCmd(a), newBenchClusterCmd(a), newBenchRoutingCmd(a), newBenchVerifyCmd(a), newBenchMemoryCmd(a), newBenchMemoryNodeCmd(a))
}

// benchFlags are common to all benchmarks.
type benchFlags struct {
	seconds    float64
	rounds     int
	inflight   int
	partitions int
	data       string
	profile    string
	allocs     string
}

func (f *benchFlags) register(cmd *cobra.Command, inflight int) {
	flags := cmd.Flags()
	flags.Float64Var(&f.seconds, "seconds", 3, "length of one measurement")
	flags.IntVar(&f.rounds, "rounds", 5, "how often each side is measured, in turn")
	flags.IntVar(&f.inflight, "inflight", inflight, "requests under way at once")
	flags.IntVar(&f.partitions, "partitions", 4, "partitions of the store")
	flags.StringVar(&f.profile, "cpuprofile", "", "write a CPU profile of the last round's last side to this file")
	flags.StringVar(&f.allocs, "allocprofile", "", "write a profile of all allocations to this file")
	flags.StringVar(&f.data, "data", "", "folder for the store; the disk it is on is measured (default: a temporary one)")
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

// benchYard opens a yard of its own in a fresh folder, and gives what removes it.
func benchYard(ctx context.Context, a *app, f *benchFlags) (*yard, func(), error) {
	dir, err := os.MkdirTemp(f.data, "orderyard-bench-")
	if err != nil {
		return nil, nil, fmt.Errorf("folder for the benchmark: %w", err)
	}
	remove := func() {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(a.err, "the benchmark's folder stays:", err)
		}
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

// side is one thing measured, over all rounds.
type side struct {
	name    string
	rates   []float64
	latency *hdrhistogram.Histogram // microseconds
	allocs  float64                 // per operation
	done    int64
	note    string
}

func newSide(name string) *side {
	return &side{name: name, latency: hdrhistogram.New(1, 60_000_000, 3)}
}

// measure runs one round of a side; run gives how many operations it did.
func (s *side) measure(run func() (int64, error)) error {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	n, err := run()
	took := time.Since(began).Seconds()
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	runtime.ReadMemStats(&after)
	s.rates = append(s.rates, float64(n)/took)
	s.done += n
	if n > 0 {
		s.allocs = float64(after.Mallocs-before.Mallocs) / float64(n)
	}
	return nil
}

func (s *side) median() float64 { return median(s.rates) }

func (s *side) quantile(q float64) time.Duration {
	return time.Duration(s.latency.ValueAtQuantile(q)) * time.Microsecond
}

// fdatasyncs measures the disk: 4 KiB written and synced, one after the other.
func fdatasyncs(dir string, d time.Duration) (int64, error) {
	file, err := os.Create(filepath.Join(dir, "fdatasync"))
	if err != nil {
		return 0, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	block := make([]byte, 4096)
	n := int64(0)
	for end := time.Now().Add(d); time.Now().Before(end); n++ {
		if _, err := file.Write(block); err != nil {
			return n, err
		}
		if err := syscall.Fdatasync(int(file.Fd())); err != nil {
			return n, err
		}
	}
	return n, nil
}

func (a *app) benchTable(sides ...*side) error {
	t := a.table("WHAT", "#RATE/S", "#LOWEST", "#HIGHEST", "#P50", "#P99", "#ALLOCS/OP", "NOTE")
	for _, s := range sides {
		low, high := bounds(s.rates)
		p50, p99, allocs := "-", "-", "-"
		if s.latency.TotalCount() > 0 {
			p50, p99 = s.quantile(50).String(), s.quantile(99).String()
		}
		if s.allocs > 0 {
			allocs = fmt.Sprintf("%.1f", s.allocs)
		}
		t.add(s.name, fmt.Sprintf("%.0f", s.median()), fmt.Sprintf("%.0f", low), fmt.Sprintf("%.0f", high), p50, p99, allocs, s.note)
	}
	return t.print("")
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
			times := make([]int64, 0, 1<<8)
			var err error
			for time.Now().Before(end) && ctx.Err() == nil && err == nil {
				began := time.Now()
				if err = op(w); err == nil {
					times = append(times, time.Since(began).Microseconds())
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for _, t := range times {
				_ = latency.RecordValue(max(t, 1)) // above a minute is not recorded; the rate shows it
			}
			total += int64(len(times))
			first = errors.Join(first, err)
		}()
	}
	wait.Wait()
	return total, first
}
