package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

func newOrderExplainCmd(a *app) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "explain ID",
		Short: "Show why the units of an order went where they went",
		Args:  want("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, _, done, err := call[wire.OrderAnswer](cmd.Context(), a, messages.OrderSubject("explain"), "",
				wire.ExplainOrderRequest{OrderID: args[0]})
			if done {
				return err
			}
			if o.OrderView == nil {
				return errors.New("the answer holds no order")
			}
			plans := o.Decisions
			if len(plans) == 0 {
				return a.println("No routing run yet.")
			}
			if !all {
				plans = plans[:1]
			}
			for i, p := range plans {
				if i > 0 {
					if err := a.println(""); err != nil {
						return err
					}
				}
				if err := a.printPlan(p); err != nil {
					return err
				}
			}
			if n := len(o.Decisions) - len(plans); n > 0 {
				fmt.Fprintf(a.err, "%s before this one: add --all\n", plural(n, "run"))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "every routing run, latest first")
	return cmd
}

// printPlan shows one run: what came out, then every site that was looked at and the first test it failed.
func (a *app) printPlan(p wire.Plan) error {
	line := fmt.Sprintf("Plan %d, cause %s", p.PlanNo, orDash(p.Cause))
	if p.RulesVersion != "" {
		line += ", rules " + p.RulesVersion
	}
	if d := p.Decision; d != nil {
		line += fmt.Sprintf(", decided by %s in %d µs", orDash(d.DecidedBy), d.DurationUs)
		if d.Note != "" {
			line += ": " + d.Note
		}
	}
	if err := a.println(clean(line)); err != nil {
		return err
	}
	t := a.table("ASSIGNED TO", "LINES", "#DISTANCE")
	for _, g := range p.Assignments {
		t.add(g.Site, quantities(g.Lines), kilometers(g.DistanceM))
	}
	if len(p.Short) > 0 {
		t.add("(short)", quantities(p.Short), "-")
	}
	if err := t.print("Nothing was assigned."); err != nil {
		return err
	}
	if p.Decision == nil {
		return nil
	}
	c := a.table("CANDIDATE", "VERDICT", "EXPECTED", "ACTUAL", "#UNITS", "#DISTANCE", "SCORES")
	for _, s := range p.Decision.Candidates {
		c.add(s.Site, verdict(s), s.Expected, s.Actual, s.Units, kilometers(s.DistanceM), scores(s.Scores))
	}
	return c.section()
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
		parts[i] = strconv.FormatInt(n, 10)
	}
	return strings.Join(parts, " ")
}
