package routing

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"orderyard/messages"
)

// TestAlternatives proves that ranked plans begin with the decision itself, differ in their sites, are in order, keep every promise of a plan, and
// leave the request as it was; by the built-in rules and by operators' rules.
func TestAlternatives(t *testing.T) {
	sets := []*Rules{DefaultRules(), defaultSet(t)}
	rapid.Check(t, func(t *rapid.T) {
		net := drawNetwork(t, 6, 5)
		req := drawRequest(t, net, 4, 3)
		rules := rapid.SampledFrom(sets).Draw(t, "rules")
		before := proto.Clone(req).(*messages.PlanRequest)
		plans := Alternatives(req, net, rules, oracleNow)
		if !proto.Equal(req, before) {
			t.Fatalf("the request was changed: %v", req)
		}
		if len(plans) == 0 || len(plans) > alternativesMax || !proto.Equal(plans[0], Route(req, net, rules, oracleNow)) {
			t.Fatalf("the first of %d plans is not the decision", len(plans))
		}
		for i, p := range plans {
			checkPlan(t, req, net, p)
			for _, other := range plans[:i] {
				if sameSites(p, other) {
					t.Fatalf("two plans from the same sites: %v", p)
				}
			}
			if i > 1 && comparePlans(plans[i-1], p) > 0 {
				t.Fatalf("plan %d is better than the one before it", i)
			}
		}
	})
}

// TestAlternativesOfOneYard proves that all plans of a dry run are about the same yard: stock that is sold while they are made changes none of them.
func TestAlternativesOfOneYard(t *testing.T) {
	yard := func() *network {
		net := newNetwork().addSite(east("a", 1)).addSite(east("b", 2)).addSite(east("c", 3))
		return net.setStock("A", "a", 2).setStock("A", "b", 2).setStock("A", "c", 2)
	}
	req := &messages.PlanRequest{ShipTo: at0(), Partial: partialSplit, SplitsLeft: 3, Needs: []*messages.LineNeed{line(0, "A", 1)}}
	for _, rules := range []*Rules{DefaultRules(), defaultSet(t)} {
		want := Alternatives(req, yard(), rules, oracleNow)
		sold := func(v *moving, what string) { v.setStock("A", "b", 0) }
		got := Alternatives(req, &moving{network: yard(), asked: map[string]int{}, after: sold}, rules, oracleNow)
		if len(want) != 2 || gives(want[1]) != "b:1" || len(got) != 2 || !proto.Equal(got[1], want[1]) {
			t.Errorf("%s: got %v, want %v", rules.Version, got, want)
		}
	}
}
