package actors

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"orderyard/messages"
	"orderyard/routing"
	"orderyard/routing/opportunity"
)

// pricer is a node that counts, and computes or fetches prices.
type pricer struct {
	*knower
	*Pricing
}

// pricers is a cluster of them.
type pricers struct {
	*net
	t     *testing.T
	nodes map[string]*pricer

	mu    sync.Mutex
	peers []Peer
	owner string
}

func (w *pricers) own(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.owner = id
}

// end takes a node away.
func (w *pricers) end(id string) {
	w.nodes[id].Stop()
	w.net.leave(id)
	delete(w.nodes, id)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.peers = slices.DeleteFunc(w.peers, func(p Peer) bool { return p.Node == id })
}

func (w *pricers) join(id string) {
	w.t.Helper()
	n := &pricer{knower: newKnower()}
	n.Knowledge = NewKnowledge(nil, func() int64 { return time.Now().UnixMilli() }, func(messages.Request) {})
	for site, lon := range map[string]float64{"EAST": 20, "WEST": 9} {
		n.Observe(messages.SiteRef(site), &messages.SiteView{
			Doc: &messages.SiteDoc{Id: site, Status: "online", Country: "US", Lon: lon}, Version: 1,
		}, nil)
	}
	n.stock("LAMP", "EAST", 5)
	n.stock("LAMP", "WEST", 500)
	o := pricingOptions(id)
	o.Bus = w.net.join(id)
	o.Owner = func() string { w.mu.Lock(); defer w.mu.Unlock(); return w.owner }
	o.Members = func() []Peer {
		w.mu.Lock()
		defer w.mu.Unlock()
		return slices.DeleteFunc(slices.Clone(w.peers), func(p Peer) bool { return p.Node == id })
	}
	var err error
	if n.Pricing, err = StartPricing(n.Knowledge, o); err != nil {
		w.t.Fatal(err)
	}
	w.nodes[id] = n
	w.mu.Lock()
	defer w.mu.Unlock()
	w.peers = append(w.peers, Peer{Incarnation: id, Node: id})
}

func pricingOptions(self string) PricingOptions {
	return PricingOptions{
		Self: self, Every: time.Minute, Horizon: 24 * time.Hour, HalfLife: 24 * time.Hour, Within: 10 * time.Second,
		SKUsMax: 100, FlowsMax: 1000, RoundsMax: 300, PostalDigits: 2, Costs: opportunity.Costs{Parcel: 800, Unit1000Km: 500},
	}
}

// place asks the planner as an order from the east does.
func (n *pricer) place(cause string, planNo uint32) {
	n.Answer(&messages.PlanRequest{
		PlanNo: planNo, Cause: cause, Partial: "split", ShipTo: &messages.Address{Country: "US", PostalCode: "20001", HasPosition: true, Lon: 20},
		Needs: []*messages.LineNeed{{Sku: "LAMP", Quantity: 1}},
	}, time.Now().UnixMilli())
}

// price is what a lamp in the east is worth, −1 when nobody knows.
func (n *pricer) price() int64 {
	now := time.Now().UnixMilli()
	prices := n.View().Prices(now)
	if prices == nil {
		return -1
	}
	return prices.Price("LAMP", "EAST", 5, now)
}

// TestPricesAreShared proves that the demand of all nodes makes one table at all nodes: each counts its share of the orders, one of them computes,
// all use the same version. When that one ends another goes on from its prices; a node that joins has them at once.
func TestPricesAreShared(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := &pricers{net: newNet(1), t: t, nodes: map[string]*pricer{}, owner: "a"}
		for _, id := range []string{"a", "b", "c"} {
			w.join(id)
		}
		defer func() {
			for id := range w.nodes {
				w.end(id)
			}
		}()
		for range 12 * 60 {
			for _, id := range []string{"b", "c"} {
				w.nodes[id].place("placed", 1)
				w.nodes[id].place("rejected", 2) // not a further order
				w.nodes[id].place("dry_run", 1)
			}
			time.Sleep(30 * time.Second)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		same := func(owner string, who ...string) uint64 {
			t.Helper()
			first := w.nodes[who[0]].Table()
			if first == nil || first.Head().From != owner {
				t.Fatalf("table %v, want one by %s", first.Head(), owner)
			}
			for _, id := range who {
				n := w.nodes[id]
				if n.Table().Head().Version != first.Head().Version || n.price() != w.nodes[who[0]].price() || n.price() < 100 {
					t.Fatalf("%s has %v and price %d, %s has %v and %d", id, n.Table().Head(), n.price(), who[0], first.Head(), w.nodes[who[0]].price())
				}
			}
			return first.Head().Version
		}
		before := same("a", "a", "b", "c")
		entry, _ := w.nodes["a"].Table().Entries("LAMP", 1)
		if perDay := float64(entry[0].DemandMilli) / 1000; perDay < 5700 || perDay > 5800 { // 4 a minute
			t.Errorf("%.0f lamps a day are expected, 5,760 were ordered", perDay)
		}
		w.end("a")
		w.own("b")
		time.Sleep(2*time.Minute + time.Second)
		synctest.Wait()
		if after := same("b", "b", "c"); after <= before {
			t.Errorf("version %d after %d", after, before)
		}
		if rounds := w.nodes["b"].Table().Head().Figures.Rounds; rounds > 60 {
			t.Errorf("%d rounds from known prices", rounds)
		}
		w.join("d")
		time.Sleep(time.Second)
		synctest.Wait()
		same("b", "b", "c", "d")
		w.own("") // nobody: the table stays until its horizon ends
		time.Sleep(23 * time.Hour)
		if p := w.nodes["d"].price(); p < 0 {
			t.Error("the table is gone before its horizon")
		}
		time.Sleep(2 * time.Hour)
		if p := w.nodes["d"].price(); p >= 0 {
			t.Errorf("a lamp is worth %d by a table past its horizon", p)
		}
	})
}

// TestPricesOverABadNet proves that lost announcements and broken answers delay prices and nothing else.
func TestPricesOverABadNet(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := &pricers{net: newNet(7), t: t, nodes: map[string]*pricer{}, owner: "a"}
		for _, id := range []string{"a", "b"} {
			w.join(id)
		}
		defer func() {
			for id := range w.nodes {
				w.end(id)
			}
		}()
		w.net.setBad(true)
		for range 60 {
			w.nodes["b"].place("placed", 1)
			time.Sleep(time.Minute)
		}
		w.net.setBad(false)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if a, b := w.nodes["a"].Table(), w.nodes["b"].Table(); b == nil || a.Head().Version != b.Head().Version || w.nodes["b"].price() <= 0 {
			t.Fatalf("a has %v, b has %v", a.Head(), b)
		}
	})
}

// TestCountingNeverWaits proves that a planner which is asked faster than orders are counted misses counts instead of waiting, and that a node
// alone computes by itself.
func TestCountingNeverWaits(t *testing.T) {
	d := newDemand(opportunity.CounterOptions{HalfLifeMs: 1000, FlowsMax: 10, PostalDigits: 2}, 0)
	req := &messages.PlanRequest{PlanNo: 1, Cause: causePlaced, Needs: []*messages.LineNeed{{Sku: "A", Quantity: 1}}}
	for range demandWaitingMax + 7 {
		d.note(req, 0)
	}
	if missed := d.missed.Load(); missed != 7 {
		t.Errorf("%d missed, want 7", missed)
	}
	inBubble(t, func(t *testing.T) {
		w := &pricers{net: newNet(1), t: t, nodes: map[string]*pricer{}}
		n := &pricer{knower: newKnower()}
		n.Knowledge = NewKnowledge(nil, func() int64 { return time.Now().UnixMilli() }, func(messages.Request) {})
		var err error
		if n.Pricing, err = StartPricing(n.Knowledge, pricingOptions("alone")); err != nil {
			t.Fatal(err)
		}
		w.nodes["alone"] = n
		if n.price() != -1 {
			t.Error("prices are known before the first computation")
		}
		time.Sleep(61 * time.Second)
		if n.price() != 0 || n.Stats().Computed.Load() != 1 {
			t.Errorf("price %d after %d computations", n.price(), n.Stats().Computed.Load())
		}
		n.Stop()
		n.Stop()
		n.place("placed", 1)
		if flows, _, _, missed := n.Counted(); flows != 0 || missed != 0 {
			t.Error("a stopped node counts")
		}
	})
}

// BenchmarkCounting is what counting costs the planner.
func BenchmarkCounting(b *testing.B) {
	k := NewKnowledge(routing.DefaultRules(), func() int64 { return 0 }, func(messages.Request) {})
	p, err := StartPricing(k, pricingOptions("alone"))
	if err != nil {
		b.Fatal(err)
	}
	defer p.Stop()
	reqs := make([]*messages.PlanRequest, 1000)
	for i := range reqs {
		reqs[i] = &messages.PlanRequest{PlanNo: 1, Cause: causePlaced, ShipTo: &messages.Address{Country: "US", PostalCode: fmt.Sprint(10_000 + i*89)},
			Needs: []*messages.LineNeed{{Sku: fmt.Sprint(i % 7), Quantity: 1}}}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		k.demand.Load().note(reqs[i%len(reqs)], 0)
	}
}
