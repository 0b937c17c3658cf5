package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func newRulesSweepCmd(a *app) *cobra.Command {
	dry := false
	cmd := &cobra.Command{
		Use:   "sweep --dry-run",
		Short: "Show which orders a sweep would move to where they are cheaper together",
		Long: "Show which orders a sweep would move to where they are cheaper together: orders with units that no site was asked about yet. Every node\n" +
			"looks at the orders of its own partitions, by its own thresholds, and moves nothing. With routing.sweep.enabled nodes move by themselves.",
		Example: "  orderyard rules sweep --dry-run",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !dry {
				return usage("only --dry-run: nodes move orders by themselves, when routing.sweep.enabled says so")
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			defer c.close()
			answers, err := everyNode[sweepAnswer](cmd.Context(), c, wordSweep, sweepRequest{DryRun: true})
			if err != nil {
				return err
			}
			slices.SortFunc(answers, func(a, b sweepAnswer) int { return cmp.Compare(a.Node, b.Node) })
			return a.showSweeps(answers)
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "move nothing")
	return cmd
}

// swept is the answer for programs.
type swept struct {
	Nodes  []sweepAnswer `json:"nodes"`
	Orders int           `json:"orders_moved"`
	Saving int64         `json:"saving"`
}

func (a *app) showSweeps(answers []sweepAnswer) error {
	sum := swept{Nodes: answers}
	t := a.table("NODE", "SWEEPS BY ITSELF", "#WAITING", "#LOOKED AT", "#MOVES", "#COST NOW", "#COST THEN", "#SAVING", "MEASURED BY", "WHY NOT")
	moves := a.table("ORDER", "#GROUP", "FROM", "TO", "#COST NOW", "#COST THEN", "#SAVING")
	for i := range answers {
		n := &answers[i]
		sum.Orders += n.Orders
		sum.Saving += n.Saving
		enabled, card, why := "no", "sites' own costs", n.Head.Failure().GetMessage()
		if n.Enabled {
			enabled = "yes"
		}
		if n.Card != "" {
			card = "card " + n.Card
		}
		t.add(n.Node, enabled, n.Waiting, n.Looked, n.Orders, n.Before, n.After, n.Saving, card, why)
		for _, m := range n.Moves {
			moves.add(m.OrderID, m.Group, partsText(m.From), partsText(m.To), m.Before, m.After, m.Saving)
		}
	}
	if a.output == outputJSON {
		return a.printValue(sum)
	}
	if err := t.print("No node answered."); err != nil {
		return err
	}
	if sum.Orders == 0 {
		return a.println("\nNothing would be moved.")
	}
	return moves.section()
}

func partsText(parts []sweepPart) string {
	words := make([]string, len(parts))
	for i, p := range parts {
		words[i] = fmt.Sprintf("%s %d", p.Site, p.Units)
	}
	return strings.Join(words, ", ")
}
