package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"orderyard/sim"
)

type simFlags struct {
	seed   uint64
	first  uint64
	seeds  int
	faults string
	sim.Options
}

func newSimCmd(a *app) *cobra.Command {
	var f simFlags
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Simulate clusters with crashes, pauses, cuts, lost acks and duplicates; one seed gives one history",
		Long: "Run whole clusters in simulated time: the real state machines, recovery, fenced journal, membership, ownership, news and public events over a\n" +
			"simulated network, disk, arbiter and clock, and check what clients were told and what is left. One seed gives one history.\n" +
			"A seed that breaks an invariant is named; `--seed N` shows its whole history. Exits 6 when something is broken.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case f.seeds < 1 || f.Orders < 1 || f.Orders > 10_000:
				return usage("--seeds must be at least 1 and --orders 1 to 10000")
			case f.Nodes < 1 || f.Nodes > 16 || f.Partitions < 1 || f.Partitions > 256:
				return usage("--nodes must be 1 to 16 and --partitions 1 to 256")
			case f.Days < 0 || f.Days > 365:
				return usage("--days must be 0 to 365")
			}
			kinds, err := sim.ParseFaults(f.faults)
			if err != nil {
				return usage("--faults: %v", err)
			}
			f.Faults = kinds
			return runSim(cmd.Context(), a, f)
		},
	}
	flags := cmd.Flags()
	flags.Uint64Var(&f.seed, "seed", 0, "run this seed alone and print its history")
	flags.Uint64Var(&f.first, "first", 1, "the first seed")
	flags.IntVar(&f.seeds, "seeds", 1000, "how many seeds")
	flags.IntVar(&f.Orders, "orders", 12, "orders per seed")
	flags.IntVar(&f.Nodes, "nodes", 3, "nodes of the cluster")
	flags.IntVar(&f.Partitions, "partitions", 4, "partitions of the store")
	flags.StringVar(&f.faults, "faults", "all", "kinds of faults, with commas between them, all or none")
	flags.Float64Var(&f.Days, "days", 0, "simulated days over which the orders come; 0 = 12 seconds")
	flags.BoolVar(&f.NoSweeps, "no-sweeps", false, "leave orders where they were planned first")
	return cmd
}

// replayWith are the flags of a run that a seed needs to give the same history again.
func (f *simFlags) replayWith(seed uint64) string {
	command := fmt.Sprintf("orderyard sim --seed %d", seed)
	for _, flag := range []struct {
		name      string
		is, usual any
	}{
		{"orders", f.Orders, 12}, {"nodes", f.Nodes, 3}, {"partitions", f.Partitions, 4}, {"faults", f.faults, "all"},
		{"days", f.Days, 0.0}, {"no-sweeps", f.NoSweeps, false},
	} {
		if flag.is != flag.usual {
			command += fmt.Sprintf(" --%s=%v", flag.name, flag.is)
		}
	}
	return command
}

// simGC lets memory grow to several times what is alive: worlds are short, and collecting took a third of the time.
const simGC = 400

func runSim(ctx context.Context, a *app, f simFlags) error {
	if f.seed != 0 {
		f.first, f.seeds = f.seed, 1
	}
	if f.seed != 0 && a.output != outputJSON {
		f.Trace = func(line string) { _ = a.println(line) } // a terminal that is gone ends the command by its signal
	}
	defer debug.SetGCPercent(debug.SetGCPercent(simGC))
	began, told := time.Now(), time.Now()
	broken, ran := 0, 0
	sum, _ := sim.Seeds(f.first, f.seeds, f.Options, func(r *sim.Result) bool {
		ran++
		if len(r.Violations) > 0 {
			broken++
			fmt.Fprintf(a.err, "seed %d: %v; see it with: %s\n", r.Seed, r.Violations[0], f.replayWith(r.Seed))
		}
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			fmt.Fprintf(a.err, "%d of %d seeds\n", ran, f.seeds)
		}
		return ctx.Err() == nil
	})
	if ctx.Err() != nil {
		return exitWith(exitFailed, fmt.Errorf("interrupted after %d seeds", ran))
	}
	if err := a.printSim(&sum, ran, broken, time.Since(began)); err != nil {
		return err
	}
	if broken > 0 {
		return exitWith(exitInvariant, fmt.Errorf("%d of %d seeds broke an invariant", broken, f.seeds))
	}
	return nil
}

// simAnswer is the answer for programs.
type simAnswer struct {
	Seeds    int     `json:"seeds"`
	Broken   int     `json:"broken"`
	Seconds  float64 `json:"seconds"`
	RealTime float64 `json:"times_real_time"`
	sim.Result
}

func (a *app) printSim(sum *sim.Result, ran, broken int, took time.Duration) error {
	s := simAnswer{Seeds: ran, Broken: broken, Seconds: took.Seconds(), Result: *sum}
	s.RealTime = float64(sum.Millis) / max(1, float64(took.Milliseconds()))
	if ran == 1 {
		s.Seed, s.Hash = sum.Seed, sum.Hash
	}
	if a.output == outputJSON {
		return a.printValue(s)
	}
	t := a.table("SEEDS", "#BROKEN", "#ORDERS", "#CRASHES", "#LEAVES", "#PAUSES", "#CUTS", "#TAKEOVERS", "#FENCED", "#LOST ACKS", "#DUPLICATES",
		"#READS", "#EVENTS", "#SWEPT", "#SECONDS", "#× REAL TIME")
	t.add(ran, broken, sum.Orders, sum.Crashes, sum.Leaves, sum.Pauses, sum.Cuts, sum.Takeovers, sum.Fenced, sum.LostAcks, sum.Duplicates,
		sum.Reads, sum.Events, sum.Swept, fmt.Sprintf("%.1f", s.Seconds), fmt.Sprintf("%.0f", s.RealTime))
	return t.print("")
}
