package routing

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"orderyard/messages"
	"orderyard/routing/ruleset"
)

// byWorth weighs meters of the way against what units are worth later.
const byWorth = `
name: by-worth
routes:
  - name: all
    rules:
      - name: whole
        filters: [stock: all]
        scores: [distance, opportunity]
        reducer: penalty_sum
        actions: {full: assign_one, partial: next_rule, none: next_rule}
      - name: rest
        scores: [distance, opportunity]
        reducer: penalty_sum
        split: {splits_max: 9}
        actions: {full: assign_many, partial: [assign_many, backorder], none: backorder}
fallback: all
`

// priced is a network with prices; nil = nobody knows any.
type priced struct {
	*network
	prices recordedPrices
}

func (p priced) Prices(int64) Prices {
	if p.prices == nil {
		return nil
	}
	return p.prices
}

// TestDecidedAgainWithPrices proves that a record holds the prices its decision rested on: asked again when they are others, or when nobody knows any
// more, it gives the same plan and evidence, byte for byte. Under rules that do not ask for prices nothing is recorded.
func TestDecidedAgainWithPrices(t *testing.T) {
	asks, plain := byRules(t, byWorth), defaultSet(t)
	rapid.Check(t, func(t *rapid.T) {
		rules := *rapid.SampledFrom([]*Rules{asks, plain}).Draw(t, "rules")
		rules.CandidatesMax = rapid.SampledFrom([]int{0, 3, 20}).Draw(t, "named")
		v := priced{network: drawNetwork(t, 12, 5)}
		if rapid.Bool().Draw(t, "known") {
			v.prices = recordedPrices{}
		}
		for _, sku := range []string{"A", "B", "C"} {
			for _, id := range v.ids {
				if v.prices != nil {
					v.prices.note([]string{sku}, id, []int64{rapid.SampledFrom([]int64{0, 0, 7, 90_000}).Draw(t, "price")})
				}
			}
		}
		drawn := drawRequest(t, v.network, 6, 4)
		o := drawOrder(drawn)
		plan := Route(ask(o, drawn), v, &rules, oracleNow)
		if d := plan.Decision; d.Priced && (!rules.Set.AsksPrices() || v.prices == nil) {
			t.Fatalf("prices are recorded: %v", d)
		}
		for _, today := range []View{v.network, priced{v.network, recordedPrices{bucket{"A", "S0"}: 5}}} {
			again, err := Decide(o, plan, today, &rules)
			if err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(again, plan) {
				t.Fatalf("decided again:\n%v\nbefore:\n%v", again, plan)
			}
		}
	})
}

// TestPricesDecide proves what prices do in a decision: the near unit that is worth more to orders yet to come than the longer way costs stays, and
// the record says by how much; when nobody knows prices the score is muted and the near one goes.
func TestPricesDecide(t *testing.T) {
	net := newNetwork().addSite(east("NEAR", 1)).addSite(east("FAR", 3)).setStock("A", "NEAR", 1).setStock("A", "FAR", 9)
	req := &messages.PlanRequest{PlanNo: 1, Cause: "placed", ShipTo: at0(), Partial: partialSplit, Needs: []*messages.LineNeed{line(0, "A", 1)}}
	rules := byRules(t, byWorth)
	for _, c := range []struct {
		name   string
		prices recordedPrices
		want   string
		muted  int
	}{
		{"unknown", nil, "NEAR", 1},
		{"none", recordedPrices{}, "NEAR", 0},
		{"little", recordedPrices{bucket{"A", "NEAR"}: 200_000}, "NEAR", 0},
		{"much", recordedPrices{bucket{"A", "NEAR"}: 230_000}, "FAR", 0},
		{"much everywhere", recordedPrices{bucket{"A", "NEAR"}: 230_000, bucket{"A", "FAR"}: 230_000}, "NEAR", 0},
	} {
		plan := Route(req, priced{net, c.prices}, rules, oracleNow)
		if got := plan.Assignments[0].Site; got != c.want || len(plan.Decision.Muted) != c.muted {
			t.Errorf("%s: %s gives, muted %v; want %s: %v", c.name, got, plan.Decision.Muted, c.want, plan.Decision)
		}
	}
	if set := rules.Set; !set.AsksPrices() {
		t.Error("the set does not ask for prices")
	}
	if rule, cost := rules.Set.Set.Pricing(); rule == nil || rule.Name != "whole" || cost != nil {
		t.Errorf("prices are for rule %v with cost %v", rule, cost)
	}
	if _, cost := new(ruleset.Set).Pricing(); cost != nil {
		t.Error("an empty set has a cost")
	}
}
