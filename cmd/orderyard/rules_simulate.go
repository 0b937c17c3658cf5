package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/routing"
	"orderyard/routing/ruleset"
	"orderyard/routing/whatif"
)

const (
	// simulateLinesMax bounds the lines of a file that are held in memory, about half a kilobyte each: 2.5 GB.
	simulateLinesMax = 5_000_000
	// simulateBatch is how many orders the two sides route before their outcomes are compared and forgotten.
	simulateBatch = 512
	// simulateLineEvery is how often a line of progress is written where no bar can be drawn.
	simulateLineEvery = 5 * time.Second
	// wordBuiltin names the rules of a yard that has published none.
	wordBuiltin = "built-in"
)

type simulateFlags struct {
	rules, base, card    string
	orders, sites, stock string
	since                string
	seed                 uint64
	factor               float64
	limit, promise       int
	steps                int64
	policy               wire.Policy
	explain              bool
}

func newRulesSimulateCmd(a *app) *cobra.Command {
	var f simulateFlags
	cmd := &cobra.Command{
		Use:   "simulate --rules NEW.yaml (--orders FILE.csv | --since 24h)",
		Short: "Run past orders against a candidate, beside the present rules, without any effect",
		Long: "Run past orders against a candidate, beside the present rules, without any effect: fill, splits, packages, cost, CO2e, distance,\n" +
			"promises and the load of sites side by side, and the orders that change most.\n\n" +
			"With --orders the past is an order history as `orderyard replay` takes it, on the demo sites or those of --sites; without --stock they\n" +
			"hold what a replay of the file would set. With --since it is what the yard has taken since then: its journal is read as `orderyard\n" +
			"verify` reads it, and each side begins with what can be promised now and what those orders took.\n\n" +
			"Both sides are measured by one rate card. Orders are asked one after the other at the moment they were placed; no site rejects,\n" +
			"nothing is routed again, received, returned or cancelled. --explain-figures says what each figure means.",
		Example: "  orderyard rules simulate --rules configs/routing/cost.yaml --orders examples/history.csv\n" +
			"  orderyard rules simulate --rules new.yaml --base old.yaml --since 24h -o json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.simulate(cmd.Context(), f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.rules, "rules", "", "file with the candidate")
	flags.StringVar(&f.base, "base", "", "file with the rules to compare with, or built-in (default: what the yard runs now; the built-in ones if none answers)")
	flags.StringVar(&f.card, "card", "", "rate card that measures both sides (default: the first one with rates, of the present set or else of the candidate)")
	flags.StringVar(&f.orders, "orders", "", "order history, as `orderyard replay` takes it")
	flags.StringVar(&f.sites, "sites", "", "with --orders: file of sites, as `orderyard site apply` takes it (default: the demo network)")
	flags.StringVar(&f.stock, "stock", "", "with --orders: file of stock, as `orderyard stock import` takes it (default: by the file's demand)")
	flags.StringVar(&f.since, "since", "", "orders the yard has taken since then: 24h, 2026-11-01 or 2026-11-01T09:00:00Z")
	flags.Float64Var(&f.factor, "stock-factor", 1.1, "without --stock: stock as a factor of the file's demand per SKU")
	flags.IntVar(&f.limit, "limit", 0, "with --orders: only the first so many orders, 0 = all")
	flags.Uint64Var(&f.seed, "seed", 1, "with --orders: where customers live and which sites carry what")
	flags.StringVar(&f.policy.Partial, "partial", "ship_available", "with --orders: policy of the orders: split, complete_only or ship_available")
	flags.IntVar(&f.promise, "promise-days", 0, "with --orders: promise every order for the day so many days after it was placed, 0 = no promise")
	flags.Int64Var(&f.steps, "steps", 0, "steps that the search of one decision may take, for both sides; fewer are faster and leave more plans unproven (0 = as a node)")
	flags.BoolVar(&f.explain, "explain-figures", false, "say what each figure means; alone, without a simulation")
	return cmd
}

func (f *simulateFlags) check() error {
	switch {
	case f.rules == "":
		return usage("--rules is required: the file with the candidate")
	case (f.orders == "") == (f.since == ""):
		return usage("give either --orders, a file of past orders, or --since, for what the yard has taken since then")
	case f.since != "" && (f.sites != "" || f.stock != ""):
		return usage("--sites and --stock go with --orders: with --since they are the yard's own")
	case !(f.factor >= 0 && f.factor <= 1000):
		return usage("--stock-factor must be from 0 to 1000, is %v", f.factor)
	case f.steps < 0:
		return usage("--steps must be 0 or more, is %d", f.steps)
	case f.promise < 0 || f.promise > 365:
		return usage("--promise-days must be from 0 to 365, is %d", f.promise)
	case f.limit < 0:
		return usage("--limit must be 0 or more, is %d", f.limit)
	case !slices.Contains([]string{"split", "complete_only", "ship_available"}, f.policy.Partial):
		return usage("--partial must be split, complete_only or ship_available, not %q", f.policy.Partial)
	}
	return nil
}

// past is what is simulated: orders in their sequence, and the yard before the first of them.
type past struct {
	orders    []*messages.Order
	yard      *whatif.Yard
	types     map[string]string // of sites
	source    string
	cancelled int // orders or cancellations that were left out
	rejected  int // rows of a file that were
}

func (a *app) simulate(ctx context.Context, f simulateFlags) error {
	tuneMemory()
	if f.explain && f.rules == "" && f.orders == "" && f.since == "" {
		return a.explainFigures()
	}
	if err := f.check(); err != nil {
		return err
	}
	candidate, err := a.goodRules(f.rules)
	if err != nil {
		return err
	}
	base, err := a.presentRules(ctx, f)
	if err != nil {
		return err
	}
	if _, err := cardOf(f.card, base, candidate.set); err != nil {
		return err
	}
	p, err := a.readPast(ctx, f)
	if err != nil {
		return err
	}
	if len(p.orders) == 0 {
		return fmt.Errorf("%s: there is no order to simulate", p.source)
	}
	s := &simulation{past: p, began: time.Now(), base: rulesBy(base), candidate: rulesBy(candidate.set)}
	for i, rules := range []*routing.Rules{s.base, s.candidate} {
		stick, err := cardOf(f.card, base, candidate.set)
		if err != nil {
			return err
		}
		if stick != nil {
			s.card = stick.Card()
		}
		if f.steps > 0 {
			rules.StepsMax = f.steps
		}
		s.sides[i] = p.yard.Side(rules, stick)
	}
	if err := s.run(ctx, a); err != nil {
		return err
	}
	return a.showSimulation(s, f.explain)
}

func (a *app) readPast(ctx context.Context, f simulateFlags) (*past, error) {
	if f.orders != "" {
		return a.pastOfFile(f)
	}
	return a.pastOfYard(ctx, f.since)
}

// presentRules are those to compare with; nil = the built-in ones.
func (a *app) presentRules(ctx context.Context, f simulateFlags) (*ruleset.Compiled, error) {
	switch f.base {
	case wordBuiltin:
		return nil, nil
	case "":
		set, err := a.runningRules(ctx)
		if err != nil && f.orders != "" && exitOf(err) == exitUnavailable {
			fmt.Fprintln(a.err, "No yard answers: the candidate is compared with the built-in rules. --base names others.")
			return nil, nil
		}
		return set, err
	}
	file, err := a.goodRules(f.base)
	return file.set, err
}

// runningRules asks the yard what is in force; nil = nothing was ever published.
func (a *app) runningRules(ctx context.Context) (*ruleset.Compiled, error) {
	c, err := a.connect()
	if err != nil {
		return nil, err
	}
	defer c.close()
	got, err := c.ask(ctx, messages.RulesSubject("get"), "", wire.GetRulesRequest{})
	var failure *messages.Failure
	if errors.As(err, &failure) && failure.GetCode() == messages.CodeNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ask for the rules in force (--base names others): %w", err)
	}
	var v wire.RulesAnswer
	if err := wire.DecodeAnswer(got.body, &v); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	set, err := ruleset.Load(fmt.Sprintf("version %d", v.Version), []byte(v.Text))
	if err != nil {
		return nil, fmt.Errorf("the rules in force cannot be used by this program:\n%w", err)
	}
	return set, nil
}

// cardOf makes a yardstick: of the present set, else of the candidate. It is nil when none has a card with rates and none was asked for.
func cardOf(name string, sets ...*ruleset.Compiled) (*ruleset.Yardstick, error) {
	var names []string
	for _, set := range sets {
		if set == nil {
			continue
		}
		if stick := set.Yardstick(name); stick != nil {
			return stick, nil
		}
		for _, c := range set.Set.Cards {
			names = append(names, c.Name)
		}
	}
	if name == "" {
		return nil, nil
	}
	if len(names) == 0 {
		return nil, usage("--card %q: neither rule set has a rate card", name)
	}
	return nil, usage("--card %q: the rule sets have %s", name, list(names))
}

// simulation is one run of two sides.
type simulation struct {
	past            *past
	base, candidate *routing.Rules
	card            string
	sides           [2]*whatif.Side
	compared        whatif.Comparison
	done            int
	began           time.Time
	seconds         float64
}

// run routes all orders, each side in a goroutine of its own: they share nothing that changes.
func (s *simulation) run(ctx context.Context, a *app) error {
	bar := a.progressBar(int64(len(s.past.orders)), "simulating")
	began, said := time.Now(), time.Now()
	var outcomes [2][]whatif.Outcome
	for batch := range slices.Chunk(s.past.orders, simulateBatch) {
		var wait sync.WaitGroup
		for i, side := range s.sides {
			wait.Go(func() {
				outcomes[i] = outcomes[i][:0]
				for _, o := range batch {
					outcomes[i] = append(outcomes[i], side.Take(o))
				}
			})
		}
		wait.Wait()
		for i, o := range batch {
			s.compared.Add(messages.OrderID(o.Channel, o.ExternalId), &outcomes[0][i], &outcomes[1][i])
		}
		s.done += len(batch)
		said = s.progress(a, bar, said)
		if ctx.Err() != nil {
			return exitWith(exitFailed, fmt.Errorf("interrupted after %d of %s; nothing was changed by it", s.done, plural(len(s.past.orders), "order")))
		}
	}
	if bar != nil {
		_ = bar.Finish()
	}
	s.seconds = time.Since(began).Seconds()
	return nil
}

// progress shows how far the run is, and gives the moment when that was said last.
func (s *simulation) progress(a *app, bar *progressbar.ProgressBar, said time.Time) time.Time {
	switch {
	case bar != nil:
		_ = bar.Set64(int64(min(s.done, len(s.past.orders)-1))) // the last one would finish the bar
	case time.Since(said) >= simulateLineEvery:
		fmt.Fprintf(a.err, "%d of %d orders\n", s.done, len(s.past.orders))
		return time.Now()
	}
	return said
}
