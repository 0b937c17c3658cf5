package routing

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"orderyard/messages"
)

// nextSet is a rule for sites nearby that assigns what they have, and one for all sites that decides about the rest.
const nextSet = `
name: next
routes:
  - name: all
    rules:
      - name: near
        filters:
          - group: near
          - stock: any
        scores: [%[3]s]
        split: {splits_max: %[1]d}
        actions: {full: %[4]s, partial: [%[4]s, next_rule], none: next_rule}
      - name: anywhere
        filters:
          - stock: any
        scores: [%[3]s]
        split: {splits_max: %[2]d}
        actions: {full: assign_many, partial: [assign_many, next_rule], none: next_rule}
      - name: last
        filters:
          - stock: any
        scores: [distance]
        split: {splits_max: %[2]d}
        actions: {full: assign_many, partial: [assign_many, backorder], none: backorder}
fallback: all
`

// TestNextRuleGivesTheRest proves that what one rule has assigned is gone for the next one: its stock is not given twice, its sites are no new ones, and
// they count towards the sites that an order may use.
func TestNextRuleGivesTheRest(t *testing.T) {
	near := east("a", 1)
	near.Groups = []string{"near"}
	for _, c := range []struct {
		name      string
		splitsMax int
		left      int32
		used      []string
		want      string
		short     int64
	}{
		{"the rest from the other site", 3, 3, nil, "a:10 b:5", 0},
		{"one site by the order", 3, 1, nil, "a:10", 5},
		{"one site by the rule", 1, 3, nil, "a:10", 5},
		{"one site by the order, the other one used", 3, 1, []string{"b"}, "a:10 b:5", 0},
		{"no further site by the order", 3, 0, []string{"b"}, "b:5", 10},
	} {
		net := newNetwork().addSite(near).addSite(east("b", 9)).setStock("A", "a", 10).setStock("A", "b", 5)
		req := &messages.PlanRequest{ShipTo: at0(), Partial: "ship_available", SplitsLeft: c.left, SitesUsed: c.used, Needs: []*messages.LineNeed{line(0, "A", 15)}}
		rules := byRules(t, fmt.Sprintf(nextSet, c.splitsMax, c.splitsMax, "distance", "assign_many"))
		plan := Route(req, net, rules, oracleNow)
		if got := gives(plan); got != c.want || shortOf(plan) != c.short {
			t.Errorf("%s: got %s and %d short, want %s and %d short", c.name, got, shortOf(plan), c.want, c.short)
		}
	}
}

func gives(p *messages.Plan) string {
	text := ""
	for _, a := range p.Assignments {
		units := int64(0)
		for _, l := range a.Lines {
			units += l.Quantity
		}
		text += fmt.Sprintf(" %s:%d", a.Site, units)
	}
	return text[min(1, len(text)):]
}

func shortOf(p *messages.Plan) (units int64) {
	for _, l := range p.Short {
		units += l.Quantity
	}
	return units
}

// TestNextRuleIsSound proves, for rule sets whose rules assign a part and hand the rest on, that all rules together give no more of a SKU than a site
// has, use no more new sites than order and rules allow, and that the plan follows from its record.
func TestNextRuleIsSound(t *testing.T) {
	var sets []*Rules
	splits := []int{1, 2, 9}
	for i, first := range splits {
		scores := []string{"distance", "fewest_parts, distance"}[i%2]
		for k, second := range splits {
			sets = append(sets, byRules(t, fmt.Sprintf(nextSet, first, second, scores, []string{"assign_many", "assign_one"}[k%2])))
		}
	}
	several := 0
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.IntRange(0, len(sets)-1).Draw(t, "set")
		rules, most := sets[i], max(splits[i/len(splits)], splits[i%len(splits)])
		net := drawNetwork(t, 6, 4)
		for _, s := range net.sites {
			s.Country, s.LabelsAllowed = "US", nil
			if rapid.Bool().Draw(t, "near") {
				s.Groups = []string{"near"}
			}
		}
		drawn := drawRequest(t, net, 4, 6)
		if drawn.SplitsLeft == 0 && len(drawn.SitesUsed) == 0 {
			drawn.SplitsLeft = DefaultRules().SplitsMax
		}
		o := drawOrder(drawn)
		req := ask(o, drawn)
		plan := Route(req, net, rules, oracleNow)
		checkPlan(t, req, net, plan)
		checkOffers(t, req, net, plan)
		checkChosen(t, plan)
		if fresh := newSites(req, plan); fresh > most {
			t.Fatalf("%d new sites, rules allow %d: %v", fresh, most, plan)
		}
		if len(plan.Assignments) > 1 {
			several++
		}
		again, err := Decide(o, plan, net, rules)
		if err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(again, plan) {
			t.Fatalf("decided again (%s):\n%v\nbefore:\n%v", Differs(plan, again), again, plan)
		}
	})
	if several == 0 {
		t.Error("no plan had two parcels")
	}
}

// checkOffers holds a plan against what sites have after exclusions and what buckets told.
func checkOffers(t *rapid.T, req *messages.PlanRequest, net *network, plan *messages.Plan) {
	o := &oracle{req: req, net: net}
	for _, a := range plan.Assignments {
		taken := map[string]int64{}
		for _, l := range a.Lines {
			taken[req.Needs[l.Line].Sku] += l.Quantity
		}
		for sku, units := range taken {
			if has := o.offers(sku, a.Site); units > has {
				t.Fatalf("%s gives %d %s of %d: %v", a.Site, units, sku, has, plan)
			}
		}
	}
}

func newSites(req *messages.PlanRequest, plan *messages.Plan) (n int) {
	for _, a := range plan.Assignments {
		if !slices.Contains(req.SitesUsed, a.Site) {
			n++
		}
	}
	return n
}

// moving is a view that other goroutines write while a decision reads it: what is asked for a second time is not what it was.
type moving struct {
	*network
	asked map[string]int
	after func(v *moving, what string) // asked again
}

func (v *moving) again(what string) {
	if v.asked[what]++; v.asked[what] == 2 {
		v.after(v, what)
	}
}

func (v *moving) SiteIDs() []string {
	v.again("ids")
	return slices.Clone(v.network.SiteIDs())
}

func (v *moving) Site(id string) (*Site, bool) {
	v.again("site " + id)
	return v.network.Site(id)
}

func (v *moving) Stock(sku string) []SiteStock {
	v.again("stock " + sku)
	return slices.Clone(v.network.Stock(sku))
}

// TestNextRuleSeesTheSameYard proves that all rules of one decision see the yard as it was when the decision began, whatever becomes of it meanwhile: a
// site that pauses, a site whose id comes before all others, stock that arrives. A node hands in the view that others write.
func TestNextRuleSeesTheSameYard(t *testing.T) {
	rules := byRules(t, fmt.Sprintf(nextSet, 3, 3, "distance", "assign_many"))
	req := &messages.PlanRequest{ShipTo: at0(), Partial: "ship_available", SplitsLeft: 3, Needs: []*messages.LineNeed{line(0, "A", 15), line(1, "B", 2)}}
	yard := func() *network {
		near := east("a", 1)
		near.Groups = []string{"near"}
		net := newNetwork().addSite(near).addSite(east("b", 9)).addSite(east("c", 10))
		return net.setStock("A", "a", 10).setStock("A", "b", 4).setStock("A", "c", 1).setStock("B", "a", 2)
	}
	want := Route(req, yard(), rules, oracleNow)
	if got := gives(want); got != "a:12 b:4 c:1" {
		t.Fatalf("in a yard at rest: %s", got)
	}
	for name, after := range map[string]func(v *moving, what string){
		"a pauses": func(v *moving, what string) {
			paused := *v.sites["a"]
			paused.PausedUntil = oracleNow + 1
			v.addSite(&paused)
		},
		"a site comes before all": func(v *moving, what string) { v.addSite(east("0", 2)) },
		"stock arrives":           func(v *moving, what string) { v.setStock("A", "c", 9).setStock("A", "b", 0) },
	} {
		got := Route(req, &moving{network: yard(), asked: map[string]int{}, after: after}, rules, oracleNow)
		if !proto.Equal(got, want) {
			t.Errorf("%s: got %s, want %s\n%v\n%v", name, gives(got), gives(want), got, want)
		}
	}
}
