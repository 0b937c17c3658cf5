package main

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/routing/whatif"
)

func newRulesShadowCmd(a *app) *cobra.Command {
	explain := false
	cmd := &cobra.Command{
		Use:   "shadow",
		Short: "Show what the rules of routing.shadow would have done with the new orders, beside the rules in force",
		Long: "Show what the rules of routing.shadow would have done with the new orders, beside the rules in force. Every order is asked alone, on what\n" +
			"routing was shown for it, and once: when it is placed. A node that has more orders than the shadow can follow leaves some out.\n" +
			"A node counts from its start, or from the last change of the rules in force.",
		Example: "  orderyard rules shadow",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			defer c.close()
			answers, err := everyNode[shadowAnswer](cmd.Context(), c, wordShadow, struct{}{})
			if err != nil {
				return err
			}
			slices.SortFunc(answers, func(a, b shadowAnswer) int { return cmp.Compare(a.Node, b.Node) })
			return a.showShadows(answers, explain)
		},
	}
	cmd.Flags().BoolVar(&explain, "explain-figures", false, "say what each figure means")
	return cmd
}

// shadowed is the answer for programs: the nodes, and the sum of those that compare the same two rule sets.
type shadowed struct {
	Nodes []shadowAnswer `json:"nodes"`
	Sum   *simulated     `json:"sum"`
}

func (a *app) showShadows(answers []shadowAnswer, explain bool) error {
	sum := sumOf(answers)
	if sum == nil {
		return exitWith(exitNotFound, errors.New("no node has a shadow: the key routing.shadow of its configuration names the file of the rules"))
	}
	if a.output == outputJSON {
		return a.printValue(shadowed{answers, sum})
	}
	t := a.table("NODE", "SHADOW", "IN FORCE", "SINCE", "#ORDERS", "#CHANGED", "#DROPPED")
	for _, n := range answers {
		t.add(n.Node, n.Rules, n.Present, n.Since, n.Live.Orders, n.Changed, n.Dropped)
	}
	if err := t.print(""); err != nil || sum.Orders == 0 {
		return err
	}
	for _, section := range []*rows{a.figureRows(sum, explain), a.actionRows(sum), a.loadRows(sum, nil), a.changeRows(sum)} {
		if err := section.section(); err != nil {
			return err
		}
	}
	return nil
}

// sumOf adds up the nodes that compare the two rule sets of the busiest one. It is nil when no node has a shadow.
func sumOf(answers []shadowAnswer) *simulated {
	var busiest *shadowAnswer
	for i := range answers {
		if n := &answers[i]; n.Rules != "" && (busiest == nil || n.Live.Orders > busiest.Live.Orders) {
			busiest = n
		}
	}
	if busiest == nil {
		return nil
	}
	live, shadow := new(whatif.Tally), new(whatif.Tally)
	sum := &simulated{
		Source: "new orders", Card: busiest.Card, First: busiest.Since, Last: wire.Time(time.Now().UnixMilli()),
		Base: simulatedSide{busiest.Present, live}, Candidate: simulatedSide{busiest.Rules, shadow}, MostChanged: []simulatedChange{},
	}
	for i := range answers {
		n := &answers[i]
		if n.Rules != busiest.Rules || n.Present != busiest.Present {
			continue
		}
		live.Add(&n.Live)
		shadow.Add(&n.Shadow)
		sum.Changed += n.Changed
		sum.First = min(sum.First, n.Since)
		sum.MostChanged = append(sum.MostChanged, n.MostChanged...)
	}
	sum.Orders = int(live.Orders)
	sum.Figures = figuresOf(live, shadow, "")
	size := func(n int64) int64 { return max(n, -n) }
	slices.SortStableFunc(sum.MostChanged, func(x, y simulatedChange) int {
		return cmp.Or(cmp.Compare(size(y.Cost), size(x.Cost)), cmp.Compare(size(y.Packages), size(x.Packages)), cmp.Compare(x.Order, y.Order))
	})
	sum.MostChanged = sum.MostChanged[:min(len(sum.MostChanged), whatif.ChangesMax)]
	return sum
}
