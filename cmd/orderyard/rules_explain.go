package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/routing/ruleset"
)

// causePlaced is why the first routing run of an order happens.
const causePlaced = "placed"

func newRulesExplainCmd(a *app) *cobra.Command {
	file, at := "", ""
	facts := ruleset.Order{Cause: causePlaced, Attempt: 1}
	cmd := &cobra.Command{
		Use:   "explain FILE --order ORDER.json",
		Short: "Show which route of a file an order would take, and why",
		Long: "Show which route of a file an order would take, and why: each condition taken apart, with the facts it looked at. No node is\n" +
			"asked. What became of an order that was placed, `orderyard order explain` tells.",
		Example: "  orderyard rules explain configs/routing/default.yaml --order examples/order.json",
		Args:    want("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			if file == "" {
				return usage("--order is required: a file with an order as JSON")
			}
			now, err := a.parseMoment("at", at)
			if err != nil {
				return err
			}
			if now == 0 {
				now = wire.Time(a.now().UnixMilli())
			}
			f, err := a.goodRules(args[0])
			if err != nil {
				return err
			}
			body, err := a.read(file, wire.OrderBytesMax)
			if err != nil {
				return err
			}
			order, errs, failure := wire.DecodeOrder(body)
			if failure == nil {
				failure = messages.InvalidAll(errs)
			}
			if failure != nil {
				return failure
			}
			return a.explainRoute(f.set, factsOf(order, facts), int64(now))
		},
	}
	cmd.Flags().StringVar(&file, "order", "", "file with the order, as `orderyard order place` takes it")
	cmd.Flags().StringVar(&at, "at", "", "time of the decision (default: now)")
	cmd.Flags().StringVar(&facts.Cause, "cause", facts.Cause, "why the order is routed: placed, rejected, stock_arrived …")
	cmd.Flags().Int64Var(&facts.Attempt, "attempt", facts.Attempt, "the how-manieth routing run this is")
	return cmd
}

// explained is the answer for programs.
type explained struct {
	Rules string          `json:"rules_version"`
	Route string          `json:"route"`
	Steps []explainedStep `json:"steps"`
}

type explainedStep struct {
	Route string          `json:"route"`
	Said  string          `json:"said"`
	Why   string          `json:"why,omitempty"`
	Parts []explainedPart `json:"parts,omitempty"`
}

type explainedPart struct {
	Text  string   `json:"text"`
	Value string   `json:"value"`
	Facts []string `json:"facts,omitempty"`
}

func (a *app) explainRoute(set *ruleset.Compiled, order *ruleset.Order, now int64) error {
	var run ruleset.Run
	run.Begin(set, order, now)
	match := run.Route()
	out := explained{Rules: set.Version, Route: match.Name}
	for i, step := range match.Steps {
		one := explainedStep{Route: step.Route, Said: step.Said, Why: step.Why}
		for _, p := range run.ExplainRoute(i) {
			one.Parts = append(one.Parts, explainedPart(p))
		}
		out.Steps = append(out.Steps, one)
	}
	if a.output == outputJSON {
		return a.printValue(out)
	}
	if err := a.println(clean(fmt.Sprintf("Route %s of %s", out.Route, out.Rules))); err != nil {
		return err
	}
	t := a.table("ROUTE", "SAYS", "CONDITION", "IS", "FACTS")
	for _, step := range out.Steps {
		if len(step.Parts) == 0 {
			t.add(step.Route, step.Said, step.Why, "", "")
		}
		for i, p := range step.Parts {
			route, said := step.Route, step.Said
			if i > 0 {
				route, said = " ", " "
			}
			t.add(route, said, p.Text, p.Value, strings.Join(p.Facts, ", "))
		}
	}
	return t.section()
}

// factsOf fills in what an order's own document tells rules.
func factsOf(o *messages.Order, f ruleset.Order) *ruleset.Order {
	to := o.GetShipTo()
	f.ID, f.Channel, f.Service, f.Currency = messages.OrderID(o.GetChannel(), o.GetExternalId()), o.GetChannel(), o.GetShippingService(), o.GetCurrency()
	f.Country, f.Region, f.PostalCode = to.GetCountry(), to.GetRegion(), to.GetPostalCode()
	f.Labels, f.Priority = o.GetLabels(), int64(o.GetPriority())
	f.Total = o.GetShippingAmount() + o.GetTax() - o.GetDiscount()
	f.Attributes = ownFields(o.GetAttributes())
	if o.GetPlacedAtMs() != 0 {
		f.PlacedAt = ruleset.Known(o.GetPlacedAtMs())
	}
	if day, err := time.Parse(time.DateOnly, o.GetDeliverBy()); err == nil {
		f.DeliverBy = ruleset.Known(day.AddDate(0, 0, 1).UnixMilli() - 1) // the end of the promised day
	}
	for _, l := range o.GetLines() {
		f.Total += l.GetQuantity() * l.GetUnitPrice()
		f.Lines = append(f.Lines, ruleset.Line{
			ID: l.GetId(), SKU: l.GetSku(), Quantity: l.GetQuantity(), UnitPrice: l.GetUnitPrice(), Labels: l.GetLabels(), Group: l.GetGroup(),
			Attributes: ownFields(l.GetAttributes()),
		})
	}
	return &f
}

// ownFields reads attributes: texts, whole numbers and truths can be asked for, the rest cannot.
func ownFields(object []byte) map[string]any {
	raw := map[string]json.RawMessage{}
	if len(object) == 0 || json.Unmarshal(object, &raw) != nil {
		return nil
	}
	fields := map[string]any{}
	for name, value := range raw {
		var text string
		var number int64
		var truth bool
		switch {
		case json.Unmarshal(value, &text) == nil && value[0] == '"':
			fields[name] = text
		case json.Unmarshal(value, &number) == nil && value[0] != 'n':
			fields[name] = number
		case json.Unmarshal(value, &truth) == nil && value[0] != 'n':
			fields[name] = truth
		}
	}
	return fields
}
