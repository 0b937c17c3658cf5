package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"orderyard/sim"
)

type simFlags struct {
	seed   uint64
	first  uint64
	seeds  int
	orders int
}

func newSimCmd(a *app) *cobra.Command {
	var f simFlags
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Simulate yards with crashes, lost acks and duplicates; one seed gives one history",
		Long: "Run the real state machines, recovery and fenced journal over a simulated network, disk and clock, and audit what is left.\n" +
			"A seed that breaks an invariant is named; `--seed N` shows its whole history. Exits 6 when something is broken.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.seeds < 1 || f.orders < 1 || f.orders > 10_000 {
				return usage("--seeds must be at least 1 and --orders 1 to 10000")
			}
			return runSim(cmd.Context(), a, f)
		},
	}
	flags := cmd.Flags()
	flags.Uint64Var(&f.seed, "seed", 0, "run this seed alone and print its history")
	flags.Uint64Var(&f.first, "first", 1, "the first seed")
	flags.IntVar(&f.seeds, "seeds", 1000, "how many seeds")
	flags.IntVar(&f.orders, "orders", 25, "orders per seed")
	return cmd
}

func runSim(ctx context.Context, a *app, f simFlags) error {
	options := sim.Options{Orders: f.orders}
	if f.seed != 0 {
		f.first, f.seeds = f.seed, 1
		options.Trace = func(line string) { _ = a.println(line) } // a terminal that is gone ends the command by its signal
	}
	began, told := time.Now(), time.Now()
	var sum sim.Result
	broken := 0
	for i := range f.seeds {
		if ctx.Err() != nil {
			return exitWith(exitFailed, fmt.Errorf("interrupted after %d seeds", i))
		}
		r := sim.Run(f.first+uint64(i), options)
		sum.Add(r)
		if len(r.Violations) > 0 {
			broken++
			fmt.Fprintf(a.err, "seed %d: %v; see it with: orderyard sim --seed %d\n", r.Seed, r.Violations[0], r.Seed)
		}
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			fmt.Fprintf(a.err, "%d of %d seeds\n", i+1, f.seeds)
		}
	}
	if a.output == outputJSON {
		if err := a.printValue(sum); err != nil {
			return err
		}
	} else {
		t := a.table("SEEDS", "#BROKEN", "#STEPS", "#ORDERS", "#CRASHES", "#FENCED", "#LOST ACKS", "#DUPLICATES", "#RE-ROUTES", "#SWEPT", "#SECONDS")
		t.add(f.seeds, broken, sum.Steps, sum.Orders, sum.Crashes, sum.Fenced, sum.LostAcks, sum.Duplicates, sum.Reroutes, sum.Swept, fmt.Sprintf("%.1f", time.Since(began).Seconds()))
		if err := t.print(""); err != nil {
			return err
		}
	}
	if broken > 0 {
		return exitWith(exitInvariant, fmt.Errorf("%d of %d seeds broke an invariant", broken, f.seeds))
	}
	return nil
}
