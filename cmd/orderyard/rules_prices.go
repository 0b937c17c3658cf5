package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

func newRulesPricesCmd(a *app) *cobra.Command {
	var q wire.PricesRequest
	cmd := &cobra.Command{
		Use:   "prices [SKU]",
		Short: "Show what units are worth to orders yet to come, the scarcest first",
		Long: "Show the shadow prices that a node routes by when its rules have the score `opportunity`: what a unit of a SKU is worth at a site to\n" +
			"orders yet to come, in minor units, the dearest first. A SKU that no site could run out of has none. Prices are made when\n" +
			"routing.opportunity.enabled is true.",
		Example: "  orderyard rules prices\n  orderyard rules prices SKU-0001",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return want("SKU")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				q.SKU = args[0]
			}
			p, _, done, err := call[wire.PricesAnswer](cmd.Context(), a, messages.RulesSubject("prices"), "", q)
			if done {
				return err
			}
			return a.showPrices(&p, q.SKU)
		},
	}
	cmd.Flags().Int64Var(&q.Limit, "limit", 0, "so many prices, at most 1000 (default 20)")
	return cmd
}

func (a *app) showPrices(p *wire.PricesAnswer, sku string) error {
	if p.Version == 0 {
		return a.println("No prices yet: the first table is computed one routing.opportunity.every after the start.")
	}
	age := (time.Duration(p.AgeMs) * time.Millisecond).Round(time.Second)
	line := fmt.Sprintf("%s, computed %s ago in %d ms by %s. %s expected until %s; serving them costs %d or more (%s).",
		plural(int(p.Buckets), "price"), age, p.TookMs, p.ComputedBy, plural(int(p.Orders), "order"), moment(p.Until), p.Bound, p.Costs)
	if p.SKUsCut > 0 || p.FlowsCut > 0 {
		line += fmt.Sprintf(" Left out: %s, %s.", plural(int(p.SKUsCut), "scarce SKU"), plural(int(p.FlowsCut), "flow"))
	}
	if !p.Asked {
		line += " The rules in force do not ask for prices."
	}
	if err := a.println(clean(line)); err != nil {
		return err
	}
	t := a.table("SKU", "SITE", "#PRICE", "#COMPUTED", "#ATP", "#HAD", "#EXPECTED")
	for _, r := range p.Prices {
		t.add(r.SKU, r.Site, r.Price, r.Computed, r.ATP, r.Had, r.Expected)
	}
	if len(p.Prices) == 0 {
		if sku != "" {
			return a.println(clean(sku) + " has no price: no site could run out of it, or nobody has ordered it.")
		}
		return nil
	}
	if err := t.section(); err != nil {
		return err
	}
	if p.More {
		fmt.Fprintln(a.err, "There are more: add --limit")
	}
	return nil
}
