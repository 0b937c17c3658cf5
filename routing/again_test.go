package routing

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"orderyard/messages"
)

// drawOrder makes an order whose units are those of a drawn question.
func drawOrder(req *messages.PlanRequest) *messages.Order {
	o := &messages.Order{
		Channel: "web", ExternalId: "1", Currency: "USD", ShipTo: req.ShipTo, Partial: req.Partial, SplitsMax: req.SplitsLeft, ShippingService: "standard",
	}
	for i, n := range req.Needs {
		o.Lines = append(o.Lines, &messages.OrderLine{Id: fmt.Sprint(i), Sku: n.Sku, Quantity: n.Quantity, UnitPrice: 100, Labels: n.Labels, Group: n.Group})
	}
	return o
}

// ask asks for an order in the middle of its life.
func ask(o *messages.Order, drawn *messages.PlanRequest) *messages.PlanRequest {
	req := Question(o, "rejected")
	req.PlanNo, req.Partial, req.SplitsLeft = 3, drawn.Partial, drawn.SplitsLeft
	req.SitesUsed, req.Exclusions, req.Known, req.PlacedAtMs = drawn.SitesUsed, drawn.Exclusions, drawn.Known, oracleNow-7
	return req
}

// TestDecidedAgain proves that a record holds all that its decision rested on: asked again with nothing but the order, the record and the sites'
// documents, after stock and load have changed, it gives the same plan and the same evidence, byte for byte.
func TestDecidedAgain(t *testing.T) {
	all := defaultSet(t)
	rapid.Check(t, func(t *rapid.T) {
		rules := new(Rules)
		*rules = *all
		rules.CandidatesMax = rapid.SampledFrom([]int{0, 3, 20}).Draw(t, "named") // of the others there are only numbers
		net := drawNetwork(t, 12, 5)
		drawn := drawRequest(t, net, 6, 4)
		o := drawOrder(drawn)
		plan := Route(ask(o, drawn), net, rules, oracleNow)
		for _, sku := range []string{"A", "B", "C"} {
			for _, id := range net.ids {
				net.setStock(sku, id, 77)
			}
		}
		for _, s := range net.sites {
			s.OpenLoadPermille, s.Open = 999, 5
			if s.PausedUntil > 0 {
				s.PausedUntil += 7_000
			}
		}
		again, err := Decide(o, plan, net, rules)
		if err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(again, plan) || Differs(plan, again) != "" {
			t.Fatalf("decided again (%s):\n%v\nbefore:\n%v", Differs(plan, again), again, plan)
		}
		if len(plan.Decision.Objective) > 0 {
			again.Decision.Objective[0]++
			if Differs(plan, again) == "" {
				t.Fatal("another objective, and nobody sees it")
			}
		}
	})
}
