package routing

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"orderyard/messages"
)

// TestWantAfterABucketDeclined proves that what a bucket told the order is no part of what would have to be otherwise: the record holds the stock after
// it, so with more stock the site would have given.
func TestWantAfterABucketDeclined(t *testing.T) {
	rules := defaultSet(t)
	net := newNetwork().addSite(east("a", 1)).addSite(east("b", 9)).setStock("A", "a", 5).setStock("A", "b", 5)
	o := drawOrder(&messages.PlanRequest{ShipTo: at0(), Partial: "split", SplitsLeft: 3, Needs: []*messages.LineNeed{line(0, "A", 2)}})
	known := []*messages.KnownStock{{Site: "a", Sku: "A", Atp: 0, AtMs: oracleNow}}
	plan := Route(ask(o, &messages.PlanRequest{Partial: "split", SplitsLeft: 3, Known: known}), net, rules, oracleNow)
	if gives(plan) != "b:2" {
		t.Fatalf("got %v", plan)
	}
	req, now, err := Again(o, plan)
	if err != nil {
		t.Fatal(err)
	}
	v, err := RecordedView(req, plan, net)
	if err != nil {
		t.Fatal(err)
	}
	f := Want(req, v, rules, now, "a")
	if len(f.Changes) != 1 || f.Changes[0].String() != "ATP of A >= 2 (was 0)" || gives(f.Plan) != "a:2" {
		t.Errorf("got %+v", f)
	}
	if !proto.Equal(&messages.PlanRequest{Known: req.Known}, &messages.PlanRequest{Known: known}) {
		t.Errorf("the question is not put back: %v", req.Known)
	}
}

// TestWantFlips proves that what is said of a site that did not win is true: with the changes it gives, with any one of them undone or one step
// smaller it does not, and afterwards everything is as it was.
func TestWantFlips(t *testing.T) {
	rules := defaultSet(t)
	told, silent := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		net := drawNetwork(t, 6, 4)
		drawn := drawRequest(t, net, 4, 3)
		o := drawOrder(drawn)
		plan := Route(ask(o, drawn), net, rules, oracleNow)
		req, now, err := Again(o, plan)
		if err != nil {
			t.Fatal(err)
		}
		v, err := RecordedView(req, plan, net)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range v.SiteIDs() {
			s, _ := v.Site(id)
			w := newWanter(req, v, rules, now, s)
			if w.wins(plan) {
				w.restore()
				continue
			}
			if reason := w.turn(); reason != "" {
				silent++
				if strings.Contains(reason, "all the stock in the world") {
					failsWithPlenty(t, req, v, rules, now, id)
				}
				w.restore()
				continue
			}
			told++
			w.shrink()
			if !w.wins(w.route()) {
				t.Fatalf("%s does not win with %v", id, w.dials)
			}
			for i := range w.dials {
				d := &w.dials[i]
				if d.now == d.was {
					continue
				}
				less := d.now - 1
				if d.now < d.was {
					less = d.now + 1
				}
				for _, v := range []int64{d.was, less} {
					if d.set(v); w.wins(w.route()) {
						t.Fatalf("%s wins without %s %s %d, with %d already", id, d.what, d.op, d.now, v)
					}
				}
				d.set(d.now)
			}
			w.restore()
			again := w.route()
			again.Decision.Inputs, plan.Decision.Inputs = nil, nil
			if !proto.Equal(again, plan) {
				t.Fatalf("not put back:\n%v\n%v", again, plan)
			}
		}
	})
	t.Logf("%d sites could be made to win, %d not", told, silent)
}

// failsWithPlenty proves that a site does not give with more of everything than any order needs, and nothing known to the contrary.
func failsWithPlenty(t *rapid.T, req *messages.PlanRequest, v *Recorded, rules *Rules, now int64, site string) {
	known, were := req.Known, map[string]int64{}
	req.Known = nil
	for _, sku := range skusOf(req) {
		were[sku] = v.ATP(sku, site)
		v.SetStock(sku, site, flipATPMax)
	}
	if p := Route(req, v, rules, now); strings.Contains(" "+gives(p), " "+site+":") {
		t.Fatalf("%s gives with all the stock in the world: %v", site, p)
	}
	req.Known = known
	for sku, atp := range were {
		v.SetStock(sku, site, atp)
	}
}

// TestWantGivesUp proves that whoever does not wait for the answer gets none, at whatever moment that is, and that everything is as it was: each
// question is asked until it was given up at each of its steps.
func TestWantGivesUp(t *testing.T) {
	rules := defaultSet(t)
	gaveUp := 0
	rapid.Check(t, func(t *rapid.T) {
		net := drawNetwork(t, 4, 3)
		drawn := drawRequest(t, net, 3, 2)
		o := drawOrder(drawn)
		plan := Route(ask(o, drawn), net, rules, oracleNow)
		req, now, err := Again(o, plan)
		if err != nil {
			t.Fatal(err)
		}
		v, err := RecordedView(req, plan, net)
		if err != nil {
			t.Fatal(err)
		}
		sites := v.SiteIDs()
		if len(sites) == 0 {
			return
		}
		site := rapid.SampledFrom(sites).Draw(t, "site")
		before := Route(req, v, rules, now)
		for steps := range 60 {
			left := steps
			f, ok := WantUntil(req, v, rules, now, site, func() bool { left--; return left < 0 })
			if ok {
				return
			}
			gaveUp++
			if f.Won || len(f.Changes) > 0 || f.Reason != "" {
				t.Fatalf("given up at step %d with an answer: %+v", steps, f)
			}
			after := Route(req, v, rules, now)
			before.Decision.Inputs, after.Decision.Inputs = nil, nil
			if !proto.Equal(after, before) {
				t.Fatalf("not put back at step %d:\n%v\n%v", steps, after, before)
			}
		}
	})
	if gaveUp == 0 {
		t.Error("no question was given up")
	}
}
