package routing

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"orderyard/messages"
	"orderyard/routing/geo"
)

// checkPlan holds a plan against what every plan promises.
func checkPlan(t *rapid.T, req *messages.PlanRequest, net *network, plan *messages.Plan) {
	left := map[uint32]int64{}
	skus, groups := map[uint32]string{}, map[uint32]string{}
	for _, n := range req.Needs {
		left[n.Line] += n.Quantity
		skus[n.Line], groups[n.Line] = n.Sku, n.Group
	}
	taken := map[string]int64{}
	groupSites := map[string]string{}
	fresh := 0
	for i, a := range plan.Assignments {
		if len(a.Lines) == 0 || slices.ContainsFunc(plan.Assignments[:i], func(b *messages.Assignment) bool { return b.Site == a.Site }) {
			t.Fatalf("an empty or double assignment: %v", plan)
		}
		if !slices.Contains(req.SitesUsed, a.Site) {
			fresh++
		}
		for _, l := range a.Lines {
			if l.Quantity <= 0 {
				t.Fatalf("%d units assigned", l.Quantity)
			}
			left[l.Line] -= l.Quantity
			taken[skus[l.Line]+"@"+a.Site] += l.Quantity
			if taken[skus[l.Line]+"@"+a.Site] > net.atp(skus[l.Line], a.Site) {
				t.Fatalf("%s gives more %s than it has: %v", a.Site, skus[l.Line], plan)
			}
			if g := groups[l.Line]; g != "" {
				if groupSites[g] != "" && groupSites[g] != a.Site {
					t.Fatalf("group %s is split: %v", g, plan)
				}
				groupSites[g] = a.Site
			}
		}
	}
	for _, l := range plan.Short {
		if l.Quantity <= 0 || groupSites[groups[l.Line]] != "" && groups[l.Line] != "" {
			t.Fatalf("short %v: %v", l, plan)
		}
		left[l.Line] -= l.Quantity
	}
	for l, units := range left {
		if units != 0 {
			t.Fatalf("line %d: %d units are lost: %v", l, units, plan)
		}
	}
	policy, most := req.Partial, int(req.SplitsLeft)
	if len(req.SitesUsed) > 0 {
		policy = partialShip
	} else if most <= 0 {
		most = int(DefaultRules().SplitsMax)
	}
	if fresh > most || policy == partialComplete && fresh > 1 || policy != partialShip && len(plan.Short) > 0 && fresh > 0 {
		t.Fatalf("%d new sites under %s, %d allowed: %v", fresh, policy, most, plan)
	}
}

// TestPlanIsSound proves that a plan never takes more than there is, loses no unit, keeps groups whole and keeps to policy and
// splits, on larger instances, also when the search gives up early.
func TestPlanIsSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		net := drawNetwork(t, 10, 8)
		req := drawRequest(t, net, 12, 12)
		rules := DefaultRules()
		rules.StepsMax = rapid.SampledFrom([]int64{0, 50, 1000, rules.StepsMax}).Draw(t, "steps_max")
		checkPlan(t, req, net, Route(req, net, rules, oracleNow))
	})
}

// TestOrderOfInputs proves that one question has one answer: shuffled lines, exclusions, words of buckets and used sites give the
// same bytes, on every call.
func TestOrderOfInputs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		net := drawNetwork(t, 8, 5)
		req := drawRequest(t, net, 12, 6)
		rules := DefaultRules()
		rules.StepsMax = rapid.SampledFrom([]int64{100, rules.StepsMax}).Draw(t, "steps_max")
		want := Route(req, net, rules, oracleNow)
		shuffled := proto.Clone(req).(*messages.PlanRequest)
		shuffled.Needs = rapid.Permutation(shuffled.Needs).Draw(t, "needs")
		shuffled.Exclusions = rapid.Permutation(shuffled.Exclusions).Draw(t, "exclusions")
		shuffled.Known = rapid.Permutation(shuffled.Known).Draw(t, "known")
		shuffled.SitesUsed = rapid.Permutation(shuffled.SitesUsed).Draw(t, "used")
		if got := Route(shuffled, net, rules, oracleNow); !proto.Equal(got, want) {
			t.Fatalf("got %v\nwant %v", got, want)
		}
	})
}

// TestAgainstSubsets proves the searches on sizes the oracle cannot reach: eight lines of different SKUs over twelve sites, against
// every subset of the sites. Without groups and shared SKUs the units of a subset follow from the stock alone.
func TestAgainstSubsets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		net := newNetwork()
		n := rapid.IntRange(1, 12).Draw(t, "sites")
		for i := range n {
			net.addSite(east(fmt.Sprintf("s%02d", i), float64(rapid.IntRange(0, 30).Draw(t, "lon"))))
		}
		req := &messages.PlanRequest{ShipTo: at0(), Partial: rapid.SampledFrom([]string{"split", "ship_available"}).Draw(t, "partial"),
			SplitsLeft: rapid.Int32Range(1, 8).Draw(t, "splits_left")}
		carried := rapid.IntRange(1, 6).Draw(t, "carried")
		for i := range rapid.IntRange(1, 8).Draw(t, "lines") {
			sku := fmt.Sprintf("SKU-%d", i)
			req.Needs = append(req.Needs, line(uint32(i), sku, rapid.Int64Range(1, 6).Draw(t, "quantity")))
			for range carried {
				net.setStock(sku, rapid.SampledFrom(net.ids).Draw(t, "site"), rapid.Int64Range(1, 7).Draw(t, "stock"))
			}
		}
		want := bestSubset(req, net)
		plan := Route(req, net, DefaultRules(), oracleNow)
		checkPlan(t, req, net, plan)
		var got []int64
		if len(plan.Assignments) > 0 {
			got = []int64{0, int64(len(plan.Assignments)), plan.Decision.DistanceM}
			for _, a := range plan.Assignments {
				for _, l := range a.Lines {
					got[0] -= l.Quantity
				}
			}
		}
		if !plan.Decision.Exact || !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v: %v", got, want, plan)
		}
	})
}

func bestSubset(req *messages.PlanRequest, net *network) (best []int64) {
	var needed int64
	for _, n := range req.Needs {
		needed += n.Quantity
	}
	for set := 1; set < 1<<len(net.ids); set++ {
		key := []int64{0, 0, 0}
		for i, id := range net.ids {
			if set>>i&1 == 1 {
				key[1]++
				key[2] += geo.DistanceM(0, 0, 0, net.sites[id].Lon)
			}
		}
		if key[1] > int64(req.SplitsLeft) {
			continue
		}
		for _, n := range req.Needs {
			var most, mostAnywhere, sum int64
			for i, id := range net.ids {
				units := net.atp(n.Sku, id)
				mostAnywhere = max(mostAnywhere, units)
				if set>>i&1 == 1 {
					most, sum = max(most, units), sum+units
				}
			}
			if mostAnywhere >= n.Quantity {
				sum = most
			}
			key[0] -= min(sum, n.Quantity)
		}
		if key[0] == 0 || req.Partial == partialSplit && -key[0] < needed {
			continue
		}
		if best == nil || slices.Compare(key, best) < 0 {
			best = key
		}
	}
	return best
}

// TestGroupsShareStock proves that groups competing for one SKU are placed jointly: each fits at the nearer site alone, both only
// when one goes to the farther one.
func TestGroupsShareStock(t *testing.T) {
	net := newNetwork().addSite(east("a", 1)).addSite(east("b", 2)).setStock("A", "a", 3).setStock("A", "b", 2).setStock("B", "a", 1)
	req := &messages.PlanRequest{ShipTo: at0(), Partial: "split", Needs: []*messages.LineNeed{line(0, "A", 2), line(1, "A", 2), line(2, "B", 1)}}
	req.Needs[0].Group, req.Needs[1].Group, req.Needs[2].Group = "x", "y", "y"
	plan := Route(req, net, DefaultRules(), oracleNow)
	if len(plan.Assignments) != 2 || len(plan.Short) != 0 || plan.Assignments[1].Lines[0].Line != 0 {
		t.Errorf("got %v", plan)
	}
}

// TestHugeQuantities proves that absurd quantities and costs neither overflow nor break a plan.
func TestHugeQuantities(t *testing.T) {
	const huge = int64(^uint64(0) >> 1)
	site := east("a", 1)
	site.CostPerOrder, site.CostPerUnit = huge, huge
	net := newNetwork().addSite(site).setStock("A", "a", huge)
	req := &messages.PlanRequest{Partial: "ship_available", Needs: []*messages.LineNeed{line(0, "A", huge), line(1, "A", huge), line(2, "B", -1), {}}}
	plan := Route(req, net, DefaultRules(), oracleNow)
	for i, l := range plan.Short {
		if given := plan.Assignments[0].Lines[i].Quantity; given <= 0 || given+l.Quantity != huge {
			t.Errorf("line %d: %d given, %d short", i, given, l.Quantity)
		}
	}
	if len(plan.Short) != 2 || plan.Decision.Cost <= 0 {
		t.Errorf("got %v", plan)
	}
}

// TestNoSites proves that a network without sites makes everything short, whatever the policy.
func TestNoSites(t *testing.T) {
	for _, partial := range []string{"", "split", "complete_only", "ship_available", "unknown"} {
		plan := Route(&messages.PlanRequest{Partial: partial, Needs: []*messages.LineNeed{line(7, "A", 2)}}, newNetwork(), DefaultRules(), oracleNow)
		if len(plan.Assignments) != 0 || len(plan.Short) != 1 || plan.Short[0].Line != 7 || plan.Short[0].Quantity != 2 || plan.Decision.DecidedBy != stepStock {
			t.Errorf("%s: got %v", partial, plan)
		}
	}
}

// TestExactSizes proves that eight lines over a hundred sites are decided exactly within the default number of steps, whatever the
// share of sites that carry a SKU, how scarce it is, and the policy.
func TestExactSizes(t *testing.T) {
	most := int64(0)
	for _, share := range []float64{0.02, 0.05, 0.1, 0.3, 0.6, 1} {
		for _, stock := range []int64{1, 2, 3, 100} {
			for _, partial := range []string{"split", "ship_available", "complete_only"} {
				net := spreadNetwork(100, 8, share, stock)
				for i, postal := range []string{"80202", "10001", "98101", "33101"} {
					req := spreadRequest(8, partial)
					req.ShipTo.PostalCode, req.SplitsLeft = postal, int32(2+2*i)
					run := newRun()
					run.begin(req, net, DefaultRules(), oracleNow)
					run.decide()
					most = max(most, run.steps)
					if !run.out.exact {
						t.Errorf("carried by %v, up to %d, %s to %s: gave up after %d steps", share, stock, partial, postal, run.steps)
					}
				}
			}
		}
	}
	t.Logf("at most %d steps", most)
}

// TestConcurrentRoutes proves that calls share no memory: eight goroutines route different requests over one view, each always with
// the answer it had alone.
func TestConcurrentRoutes(t *testing.T) {
	net, rules := spreadNetwork(20, 8, 0.4, 4), DefaultRules()
	var wg sync.WaitGroup
	for lines := range 8 {
		req := spreadRequest(lines+1, []string{"split", "ship_available"}[lines%2])
		want := Route(req, net, rules, oracleNow)
		wg.Go(func() {
			for range 200 {
				if got := Route(req, net, rules, oracleNow); !proto.Equal(got, want) {
					t.Errorf("got %v, want %v", got, want)
					return
				}
			}
		})
	}
	wg.Wait()
}
