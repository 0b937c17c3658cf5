package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

func newOrderExplainCmd(a *app) *cobra.Command {
	var all bool
	var site string
	var plan uint32
	cmd := &cobra.Command{
		Use:   "explain ID",
		Short: "Show why the units of an order went where they went",
		Long: "Show why the units of an order went where they went: the plan, the rule that made it, what it is worth in the rule's own scores, the\n" +
			"plan that came second, and the sites that were looked at with the first test they failed or their scores. Of a run 20 sites are kept:\n" +
			"those that give, those that passed, then the nearest. Of an order the last 5 runs are kept.\n\n" +
			"--want SITE asks the other way round: the smallest change with which that site would have given. The decision is made again from its\n" +
			"record with the change, so what is said is what would have happened.",
		Args: want("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, _, done, err := call[wire.OrderAnswer](cmd.Context(), a, messages.OrderSubject("explain"), "",
				wire.ExplainOrderRequest{OrderID: args[0], Want: site, Plan: plan})
			if done {
				return err
			}
			if o.OrderView == nil {
				return errors.New("the answer holds no order")
			}
			if o.Flip != nil {
				return a.printFlip(o.Flip)
			}
			return a.printPlans(o.Decisions, all)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "every routing run that is kept, latest first")
	cmd.Flags().StringVar(&site, "want", "", "say what would have to be otherwise for this site to give")
	cmd.Flags().Uint32Var(&plan, "plan", 0, "with --want: in this plan, the latest one by default")
	return cmd
}

func (a *app) printPlans(plans []wire.Plan, all bool) error {
	if len(plans) == 0 {
		return a.println("No routing run yet.")
	}
	shown := plans
	if !all {
		shown = plans[:1]
	}
	for i, p := range shown {
		if i > 0 {
			if err := a.println(""); err != nil {
				return err
			}
		}
		if err := a.printPlan(p); err != nil {
			return err
		}
	}
	if n := len(plans) - len(shown); n > 0 {
		fmt.Fprintf(a.err, "%s before this one: add --all\n", plural(n, "run"))
	} else if lost := int(plans[len(plans)-1].PlanNo) - 1; lost > 0 { // runs are numbered from 1
		fmt.Fprintf(a.err, "Not kept: %s before that.\n", plural(lost, "run"))
	}
	return nil
}

// printFlip says what would have to be otherwise, in one sentence, and what would follow.
func (a *app) printFlip(f *wire.Flip) error {
	switch {
	case f.Won:
		return a.println(clean(f.Site + " gives in this plan."))
	case f.Reason != "":
		return a.println(clean("Nothing small makes " + f.Site + " give: " + f.Reason + "."))
	}
	parts := make([]string, len(f.Changes))
	for i, c := range f.Changes {
		parts[i] = fmt.Sprintf("%s %s %s (it was %s)", c.What, c.Op, c.Now, c.Was)
	}
	if err := a.println(clean(f.Site + " gives with " + strings.Join(parts, " and ") + ".")); err != nil || f.Plan == nil {
		return err
	}
	return a.printAssignments(*f.Plan)
}

// printPlan shows one run: what came out, then the sites that were looked at, as far as they are kept, and the first test each failed.
func (a *app) printPlan(p wire.Plan) error {
	if err := a.println(clean(planLine(p))); err != nil {
		return err
	}
	if err := a.printAssignments(p); err != nil || p.Decision == nil {
		return err
	}
	if err := a.printObjective(p.Decision); err != nil {
		return err
	}
	names := strings.ToUpper(strings.Join(p.Decision.Scores, " "))
	if names == "" {
		names = "SCORES"
	}
	c := a.table("CANDIDATE", "VERDICT", "EXPECTED", "ACTUAL", "#UNITS", "#DISTANCE", names)
	for _, s := range p.Decision.Candidates {
		c.add(s.Site, verdict(s), s.Expected, s.Actual, s.Units, kilometers(s.DistanceM), scores(s.Scores))
	}
	return c.section()
}

// planLine is a run in one line: what caused it, by which rules, what decided.
func planLine(p wire.Plan) string {
	line := fmt.Sprintf("Plan %d, cause %s", p.PlanNo, orDash(p.Cause))
	if p.RulesVersion != "" {
		line += ", rules " + p.RulesVersion
	}
	d := p.Decision
	if d == nil {
		return line
	}
	if d.Rule != "" {
		line += fmt.Sprintf(", %s, rule %q: %s", d.Strategy, d.Rule, d.Outcome)
	}
	line += fmt.Sprintf(", decided by %s in %d µs", orDash(d.DecidedBy), d.DurationUs)
	if d.Exact && d.Rule != "" {
		line += ", proven best"
	}
	if d.Note != "" {
		line += ": " + d.Note
	}
	for _, list := range []struct {
		word  string
		names []string
	}{{"dropped soft filters", d.Dropped}, {"scores without a say, for some site has no value", d.Muted}} {
		if len(list.names) > 0 {
			line += "; " + list.word + ": " + strings.Join(list.names, " ")
		}
	}
	return line
}

func (a *app) printAssignments(p wire.Plan) error {
	t := a.table("ASSIGNED TO", "LINES", "#DISTANCE")
	for _, g := range p.Assignments {
		t.add(g.Site, quantities(g.Lines), kilometers(g.DistanceM))
	}
	if len(p.Short) > 0 {
		t.add("(short)", quantities(p.Short), "-")
	}
	for _, x := range p.Actions {
		word := x.Word
		if x.Days > 0 {
			word = plural(int(x.Days), "day")
		}
		t.add("("+x.Do+")", orDash(word), "-")
	}
	return t.print("Nothing was assigned.")
}

// printObjective shows what the plan is worth beside the one that came second and the proven bound, level by level: the first level that differs
// decided.
func (a *app) printObjective(d *wire.Decision) error {
	if len(d.Objective) == 0 {
		return nil
	}
	second := "-"
	if len(d.RunnerUp) > 0 {
		second = strings.Join(d.RunnerUp, "+")
	}
	t := a.table("LEVEL", "#THIS PLAN", "#"+clean(second), "#BOUND")
	for i, level := range d.Levels {
		row := []any{level, d.Objective[i], "-", "-"}
		if i < len(d.RunnerUpObjective) {
			row[2] = d.RunnerUpObjective[i]
		}
		if i < len(d.Bound) {
			row[3] = d.Bound[i]
		}
		t.add(row...)
	}
	return t.section()
}

func verdict(c wire.Candidate) string {
	switch {
	case c.Chosen:
		return "chosen"
	case c.Filter != "":
		return "failed " + c.Filter
	}
	return "passed"
}

func quantities(lines []wire.LineQuantity) string {
	parts := make([]string, len(lines))
	for i, l := range lines {
		parts[i] = l.LineID + "×" + strconv.FormatInt(l.Quantity, 10)
		if l.SKU != "" {
			parts[i] += " " + l.SKU
		}
	}
	return strings.Join(parts, ", ")
}

func scores(s []int64) string {
	parts := make([]string, len(s))
	for i, n := range s {
		if parts[i] = strconv.FormatInt(n, 10); n == math.MaxInt64 {
			parts[i] = "?" // nobody told what it would need
		}
	}
	return strings.Join(parts, " ")
}
