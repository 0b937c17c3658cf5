package ruleset_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"orderyard/routing/ruleset"
)

// everything is a rule that uses each kind of filter and score.
const everything = `
name: everything
attributes: {order: {tier: text}, site: {robots: truth}}
cards:
  c:
    zones: [{name: a, km: 500, hours: 24}, {name: b, km: any, hours: 72}]
    prefixes: [{from: US 1, to: US 8, zone: b}]
    grams: [500, 2000]
    rates: {standard: {a: [500, 700], b: [900, 1400]}}
    co2: {parcel_g: 100, tonne_km_g: 60}
routes:
- name: web
  when: order.channel == "web" && order.lines.all(l, l.quantity < 100) && order.total > 100
  rules:
  - name: all kinds
    filters:
    - group: us
    - business_type: [dc, store, 3pl, vendor]
    - within_km: 2500
    - country: destination
      soft: true
      rank: 3
    - market: order
    - carrier: any
    - preselected: order
    - labels: site
    - keep_together: [group, kit]
    - safety_stock: 1
    - weeks_of_supply: 1
      soft: true
      rank: 2
    - order_limit: site
    - pick_capacity: 1
    - same_day: 0
    - open_now: 5
    - expr: site.load_permille < 990
      soft: true
      rank: 1
    - stock: any
    - ship_threshold: 1
    scores:
    - distance: {equal_within_km: 500}
      weight: 7
    - cost: {card: c, split_penalty: 100}
    - delivery_time: {card: c}
    - stock_balance
    - workload
    - turnover
    - expiry
    - ranked: {by: order}
    - zone: {card: c}
    - prefer_type: store
    - fewest_parts
    - capacity
    - co2: {card: c}
    - margin: {card: c}
    - opportunity
    - expr: site.units * 2
      prefer: high
    reducer: penalty_sum
    actions: {full: assign_many, partial: [assign_many, backorder], none: backorder}
- name: rest
  rules: [{name: r, scores: [distance], actions: {full: assign_many, partial: backorder, none: backorder}}]
fallback: rest
`

func decide(t testing.TB, r *ruleset.Run, c *ruleset.Compiled, o *ruleset.Order, sites []ruleset.Candidate) []byte {
	t.Helper()
	r.Begin(c, o, benchNow)
	d := r.Decide(sites)
	bytes, err := json.Marshal(struct {
		D ruleset.Decision
		R ruleset.Record
		E []ruleset.Part
	}{d, r.Record(len(sites)), r.ExplainRoute(0)})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// TestDeterminism proves that a decision is a function of its facts: the same facts give the same record byte for byte, in a fresh run
// or a used one, with the sites in any order, with maps filled in any order, with the set compiled anew, and on many goroutines at once.
func TestDeterminism(t *testing.T) {
	for _, text := range []string{everything, string(read(t, rulesDir+"/default.yaml"))} {
		c := compile(t, text)
		for _, lines := range []int{1, 3, 8} {
			o := shopper(lines)
			o.RankedSites, o.Attributes = []string{"S007", "S003"}, map[string]any{"tier": "gold", "a": int64(1), "b": true}
			want := decide(t, new(ruleset.Run), c, o, network(60, lines))
			var used ruleset.Run
			for seed := range uint64(20) {
				sites := network(60, lines)
				rand.New(rand.NewPCG(seed, 1)).Shuffle(len(sites), func(i, j int) { sites[i], sites[j] = sites[j], sites[i] })
				o := shopper(lines)
				o.RankedSites, o.Attributes = []string{"S007", "S003"}, map[string]any{"b": true, "tier": "gold", "a": int64(1)}
				decide(t, &used, c, shopper(2), sites[:7])
				if seed == 10 {
					c = compile(t, text)
				}
				if got := decide(t, &used, c, o, sites); string(got) != string(want) {
					t.Fatalf("seed %d: got\n%s\nwant\n%s", seed, got, want)
				}
			}
			var group sync.WaitGroup
			for range 4 {
				group.Go(func() {
					if got := decide(t, new(ruleset.Run), c, o, network(60, lines)); string(got) != string(want) {
						t.Errorf("another goroutine decides otherwise")
					}
				})
			}
			group.Wait()
		}
	}
}

// TestEveryKindIsUsed proves that the rule above means it: each kind of filter refuses some site of some network, or is there to be
// asked, and every score has a value.
func TestEveryKindIsUsed(t *testing.T) {
	c := compile(t, everything)
	o := shopper(3)
	o.RankedSites = []string{"S008"}
	var r ruleset.Run
	r.Begin(c, o, benchNow)
	d := r.Decide(network(60, 3))
	rec := r.Record(60)
	if d.Match.Name != "web" || len(rec.Candidates) != 60 || rec.Candidates[0].Filter != "" {
		t.Fatalf("%+v", d)
	}
	if got := len(rec.Candidates[0].Scores); got != 16 {
		t.Errorf("%d scores", got)
	}
	for _, m := range rec.Candidates[0].Scores {
		if !m.Known {
			t.Errorf("%s has no value", m.Score)
		}
	}
	failed := map[string]bool{}
	for _, e := range rec.Candidates {
		if e.Filter != "" {
			failed[e.Filter] = true
			if e.Expected == "" || e.Actual == "" {
				t.Errorf("%s fails %s without saying why", e.Site, e.Filter)
			}
		}
	}
	if len(failed) < 4 {
		t.Errorf("only %v refuse", failed)
	}
}

// TestCostLimits proves both meters of expressions: the estimate refuses what may cost too much before it runs (expr_costly.bad.yaml),
// and an order larger than any estimate assumes meets the limit when it is asked, in bounded time, with the route not taken.
func TestCostLimits(t *testing.T) {
	c := compile(t, when(`order.lines.exists(l, l.sku.matches("^[a-z]+.*[0-9]{3}$") || "x" in l.labels)`))
	o := &ruleset.Order{}
	for i := range 100_000 {
		o.Lines = append(o.Lines, ruleset.Line{SKU: "SKU", Quantity: 0, Labels: []string{fmt.Sprint(i)}})
	}
	if m := c.RouteFor(o, benchNow); m.Name != "all" || m.Steps[0].Said != ruleset.SaidFailed || !strings.Contains(m.Steps[0].Why, "cost limit") {
		t.Errorf("got %+v", m)
	}
	o.Lines = o.Lines[:500]
	o.Lines[499].Labels = []string{"x"}
	if m := c.RouteFor(o, benchNow); m.Name != "some" {
		t.Errorf("500 lines: %+v", m)
	}
	c = compile(t, around("filters: [{expr: 'order.lines.all(l, l.quantity < site.units + 1000)'}]"))
	big := &ruleset.Order{}
	for range 5000 {
		big.Lines = append(big.Lines, ruleset.Line{SKU: "A", Quantity: 1})
	}
	var r ruleset.Run
	r.Begin(c, big, benchNow)
	r.Decide(network(1, 1))
	if e := r.Record(1).Candidates[0]; e.Filter != "expr" || !strings.Contains(e.Actual, "cost limit") {
		t.Errorf("got %+v", e)
	}
}

// TestRouteSteps proves that a match says how it was found, route by route: off, not yet, no longer, unknown, failed, no, matched.
func TestRouteSteps(t *testing.T) {
	route := func(name, more, condition string) string {
		return fmt.Sprintf("- name: %s\n  when: %s\n%s  rules: [{name: r, actions: {full: assign_one, partial: backorder, none: backorder}}]\n", name, condition, more)
	}
	c := compile(t, "name: x\nroutes:\n"+
		route("off", "  enabled: false\n", "order.total > 0")+
		route("early", "  active_from: 2026-11-19T00:00:00Z\n", "order.total > 0")+
		route("late", "  active_to: 2026-11-18T11:06:40Z\n", "order.total > 0")+
		route("blind", "", "order.weight_g > 0")+
		route("broken", "", "100 / order.priority > 1")+
		route("absorbed", "", `order.channel == "pos" || order.weight_g > 0 && order.channel == "pos"`)+
		route("sure", "", `order.weight_g > 0 || order.channel == "web"`)+
		strings.Replace(route("rest", "", "x"), "  when: x\n", "", 1)+"fallback: rest\n")
	m := c.RouteFor(&ruleset.Order{Channel: "web", Total: 5, Lines: []ruleset.Line{{SKU: "A", Quantity: 1}}}, 1_795_000_000_000)
	var got []string
	for _, s := range m.Steps {
		got = append(got, strings.TrimSpace(s.Route+" "+s.Said+" "+s.Why))
	}
	want := []string{
		"off disabled", "early not_yet", "late no_longer", "blind unknown Order weight_g is not known", "broken failed division by zero",
		"absorbed no", "sure matched",
	}
	if !slices.Equal(got, want) || m.Route != 6 || m.Name != "sure" {
		t.Errorf("got %q", got)
	}
}

// TestExplainRoute proves that a condition is taken apart into what each comparison said, with its facts, also those that did not matter.
func TestExplainRoute(t *testing.T) {
	c := compile(t, when(`'(order.channel == "web" || order.total > 5000) && !("gift" in order.labels) && order.lines.exists(l, l.quantity > 2) && order.weight_g < 9'`))
	var r ruleset.Run
	r.Begin(c, &ruleset.Order{Channel: "pos", Total: 4498, Labels: []string{"vip"}, Lines: []ruleset.Line{{SKU: "A", Quantity: 1}}}, benchNow)
	if m := r.Route(); m.Name != "all" {
		t.Fatalf("%+v", m)
	}
	var got []string
	for _, p := range r.ExplainRoute(0) {
		got = append(got, fmt.Sprintf("%s → %s (%s)", p.Text, p.Value, strings.Join(p.Facts, ", ")))
	}
	want := []string{
		`order.channel == "web" → false (order.channel = "pos")`,
		`order.total > 5000 → false (order.total = 4498)`,
		`"gift" in order.labels → false (order.labels = 1 items)`,
		`order.lines.exists(l, l.quantity > 2) → false (order.lines = 1 items)`,
		`order.weight_g < 9 → Order weight_g is not known (order.weight_g = Order weight_g is not known)`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if r.ExplainRoute(1) != nil {
		t.Error("the fallback has a condition")
	}
}

// TestCompareOrders proves the order in which waiting orders are routed: a route's sorts, then priority, promise, placement and id.
func TestCompareOrders(t *testing.T) {
	c := compile(t, strings.Replace(around(""), "    rules:", "    sorts: [{service: [same_day, express]}, ship_after]\n    rules:", 1))
	at := ruleset.Known
	orders := []ruleset.Order{
		{ID: "a", Service: "same_day", ShipAfter: at(9)},
		{ID: "b", Service: "express", ShipAfter: at(1)},
		{ID: "c", Service: "express", ShipAfter: at(2), Priority: 5},
		{ID: "d", Service: "express", ShipAfter: at(2), Priority: 4, DeliverBy: at(7), PlacedAt: at(9)},
		{ID: "e", Service: "express", ShipAfter: at(2), Priority: 4, DeliverBy: at(8), PlacedAt: at(1)},
		{ID: "f", Service: "express", ShipAfter: at(2), Priority: 4, DeliverBy: at(8), PlacedAt: at(2)},
		{ID: "g", Service: "express", ShipAfter: at(2), Priority: 4, DeliverBy: at(8), PlacedAt: at(2)},
		{ID: "h", Service: "express", ShipAfter: at(2), Priority: 4},
		{ID: "i", Service: "express"},
		{ID: "j", Service: "standard", ShipAfter: at(0), Priority: 99},
	}
	for i := range orders {
		for j := range orders {
			got := c.CompareOrders(0, &orders[i], &orders[j])
			if got < 0 != (i < j) || got > 0 != (i > j) {
				t.Errorf("%s against %s gives %d", orders[i].ID, orders[j].ID, got)
			}
		}
	}
}

// TestNotYet proves that a set is told where its sorts would have waiting orders routed otherwise than nodes do, and only there.
func TestNotYet(t *testing.T) {
	for sorts, told := range map[string]bool{
		"[priority, ship_by, placed_at]": false, "[priority]": false, "[ship_by]": true, "[priority, placed_at]": true,
		"[priority, ship_by, placed_at, ship_after]": true,
	} {
		c := compile(t, strings.Replace(around(""), "    rules:", "    sorts: "+sorts+"\n    rules:", 1))
		if found := c.Set.NotYet(); len(found) > 0 != told || told && found[0].Key != "routes[0].sorts" {
			t.Errorf("%s: told %v", sorts, found)
		}
	}
	if found := compile(t, around("")).Set.NotYet(); len(found) > 0 {
		t.Errorf("without sorts: told %v", found)
	}
}

// TestUnknownFacts proves that a site nobody told anything about passes every filter that asks for it, that the record names each that
// abstained, and that its missing scores decide nothing for the others.
func TestUnknownFacts(t *testing.T) {
	c := compile(t, around("filters: [{within_km: 5}, {country: destination}, {market: order}, {carrier: any}, {order_limit: 9}, {pick_capacity: 1}, {same_day: 0}, "+
		"{open_now: 0}, {weeks_of_supply: 1}, {expr: site.load_permille < 5}]\nscores: [workload, capacity, {distance: {}, missing: last}]"))
	o := &ruleset.Order{Country: "US", Market: "na", Lines: []ruleset.Line{{SKU: "A", Quantity: 1}}}
	sites := []ruleset.Candidate{
		{Site: &ruleset.Site{ID: "blank"}, Stock: []ruleset.Stock{{ATP: 1}}},
		{Site: &ruleset.Site{ID: "known", LoadPermille: ruleset.Known(4)}, DistanceM: ruleset.Known(10), Stock: []ruleset.Stock{{ATP: 1}}},
		{Site: &ruleset.Site{ID: "stockless"}},
	}
	var r ruleset.Run
	r.Begin(c, o, benchNow)
	r.Decide(sites)
	rec := r.Record(3)
	if got := rec.Candidates[1]; got.Site != "blank" || len(got.Abstained) != 10 {
		t.Errorf("got %+v", got)
	}
	if rec.Candidates[0].Site != "known" || rec.DecidedBy != "distance" || !slices.Equal(rec.Muted, []string{"workload", "capacity"}) {
		t.Errorf("got %+v", rec)
	}
	if got := rec.Candidates[2]; got.Site != "stockless" || got.Filter != "stock" {
		t.Errorf("got %+v", got)
	}
}

// TestExtremeFacts proves that absurd facts neither panic nor wrap: whatever is told, the units given stay within need and stock.
func TestExtremeFacts(t *testing.T) {
	c := compile(t, everything)
	extremes := []int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, 1 << 40, math.MaxInt64 - 1, math.MaxInt64}
	random := rand.New(rand.NewPCG(1, 2))
	pick := func() int64 { return extremes[random.IntN(len(extremes))] }
	var r ruleset.Run
	for range 500 {
		o, sites := shopper(3), network(9, 3)
		for i := range o.Lines {
			o.Lines[i] = ruleset.Line{SKU: fmt.Sprint("S", i%2), Quantity: pick(), UnitPrice: pick(), UnitCost: ruleset.Known(pick()), UnitGrams: ruleset.Known(pick())}
		}
		for i := range sites {
			sites[i].DistanceM = ruleset.Known(max(pick(), 0))
			site := *sites[i].Site
			site.CostPerOrder, site.CostPerUnit, site.DispatchAt, site.Rank = pick(), pick(), ruleset.Known(pick()), pick()
			sites[i].Site = &site
			for j := range sites[i].Stock {
				sites[i].Stock[j] = ruleset.Stock{ATP: pick(), SoldMilli: ruleset.Known(pick()), AgeDays: ruleset.Known(pick()), ExpiresDays: ruleset.Known(pick()), ShadowPrice: ruleset.Known(pick())}
			}
		}
		r.Begin(c, o, benchNow)
		r.Decide(sites)
		for _, i := range r.Ranking() {
			taken := map[string]int64{}
			for k, units := range r.Gives(int(i)) {
				taken[o.Lines[k].SKU] += units
				if units < 0 || units > max(o.Lines[k].Quantity, 0) {
					t.Fatalf("gives %d of %d", units, o.Lines[k].Quantity)
				}
			}
			for k, sku := range r.SKUs() {
				if taken[sku] > max(sites[i].Stock[k].ATP, 0) {
					t.Fatalf("gives %d of %d in stock", taken[sku], sites[i].Stock[k].ATP)
				}
			}
		}
	}
}

// TestRunTestsFails proves that a rule test can fail: every kind of expectation, wrong, is reported at its own line and column, and a
// broken test file is refused as a whole.
func TestRunTestsFails(t *testing.T) {
	c := compile(t, around("scores: [distance, workload]"))
	file := `now: 2026-11-23T12:00:00Z
sites: [{id: A, distance_km: 5}, {id: B, distance_km: 6}, {id: C}]
stock: {A: {X: 5}, B: {X: 5}}
tests:
- name: all wrong
  order: {lines: [{sku: X}]}
  expect:
    route: none
    rule: q
    outcome: partial
    winner: B
    ranking: [B, A]
    decided_by: cost
    passes: [A, C, D]
    fails: {A: stock, C: country}
    dropped: [stock]
    muted: []
    abstains: {A: stock}
    scores: {A: {distance: 6, workload: 5, cost: 5}, C: {distance: 5}}
    actions: backorder
    wait_at: A
    covered: 2
    said: {all: "no", some: matched}
- name: right
  order: {lines: [{sku: X}]}
  expect: {winner: A, muted: workload}
`
	results, found := ruleset.RunTests(c, "x.test.yaml", []byte(file))
	if len(found) > 0 || len(results) != 2 || len(results[1].Failures) > 0 || results[0].Line != 5 {
		t.Fatalf("%v %+v", found, results)
	}
	var got []string
	for _, p := range results[0].Failures {
		got = append(got, strings.TrimPrefix(p.String(), "x.test.yaml:"))
	}
	want := []string{
		"8:12: tests[0].expect.route: got all, want none", "9:11: tests[0].expect.rule: got r, want q",
		"10:14: tests[0].expect.outcome: got full, want partial", "11:13: tests[0].expect.winner: got A, want B",
		"12:14: tests[0].expect.ranking: got [A, B], want [B, A]", "13:17: tests[0].expect.decided_by: got distance, want cost",
		"14:17: tests[0].expect.passes[1]: fails stock: expected 1 of X, actual 0", `14:20: tests[0].expect.passes[2]: "D" is no site of the test`,
		"15:16: tests[0].expect.fails.A: passes", "15:26: tests[0].expect.fails.C: got stock, want country",
		"16:14: tests[0].expect.dropped: got [], want [stock]", "17:12: tests[0].expect.muted: got [workload], want []",
		"18:19: tests[0].expect.abstains.A: got [], want [stock]", "19:28: tests[0].expect.scores.A.distance: got 5000, want 6",
		"19:41: tests[0].expect.scores.A.workload: got unknown, want 5", "19:50: tests[0].expect.scores.A.cost: is no score of the rule",
		"19:57: tests[0].expect.scores.C: has no scores: it fails stock: expected 1 of X, actual 0",
		"20:14: tests[0].expect.actions: got [assign_many], want [backorder]", "21:14: tests[0].expect.wait_at: got none, want A",
		"22:14: tests[0].expect.covered: got 1, want 2", "23:17: tests[0].expect.said.all: got fallback, want no",
		`23:29: tests[0].expect.said.some: was not asked: the order had found its route, or there is no "some"`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	_, found = ruleset.RunTests(c, "x", []byte("now: noon\ntests:\n- name: a\n  stock: {Z: {X: 1}}\n  order: {}\n  expect: {}\n- {name: a}\n"))
	var messages []string
	for _, p := range found {
		messages = append(messages, p.String())
	}
	want = []string{
		`x:1:6: now: must be a time with its zone, such as 2026-11-27T00:00:00Z, not "noon"`, "x:3:3: tests[0]: has stock at Z, which is no site",
		"x:5:10: tests[0].order: needs the key lines", "x:6:11: tests[0].expect: expects nothing", "x:7:3: tests[1]: needs the key order",
		"x:7:3: tests[1]: needs the key expect", "x:7:10: tests[1].name: is the name of an earlier test",
	}
	if !slices.Equal(messages, want) {
		t.Errorf("got\n%s", strings.Join(messages, "\n"))
	}
}

// TestNoAllocations proves that trying a rule of built-in kinds allocates nothing once a run is warm.
func TestNoAllocations(t *testing.T) {
	c := compile(t, string(read(t, rulesDir+"/default.yaml")))
	o, sites := shopper(3), network(100, 3)
	var r ruleset.Run
	try := func() {
		r.Begin(c, o, benchNow)
		r.Try(1, 0, sites)
	}
	try()
	if n := testing.AllocsPerRun(20, try); n > 1 { // the number of the attempt, as CEL carries it, may be one
		t.Errorf("%v allocations", n)
	}
}

// TestErrors proves that Load answers an *Error whose text is one problem a line.
func TestErrors(t *testing.T) {
	_, err := ruleset.Load("x.yaml", []byte("note: a\nfoo: 1\n"))
	var e *ruleset.Error
	if !errors.As(err, &e) || len(e.Problems) != 4 || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("got %v", err)
	}
}

// TestRescore proves that the optimizer sees the same scores as the ranking: a candidate rescored with what it gives alone has the same
// losses, half of it costs its own handling and the split penalty, and rescoring back repairs everything.
func TestRescore(t *testing.T) {
	c := compile(t, strings.Replace(everything, "business_type: [dc, store, 3pl, vendor]", "business_type: [dc, store]", 1))
	o := shopper(3)
	var r ruleset.Run
	r.Begin(c, o, benchNow)
	r.Decide(network(60, 3))
	for _, i := range r.Ranking() {
		units, losses := slices.Clone(r.Gives(int(i))), slices.Clone(r.Losses(int(i)))
		was := r.Verdicts()[i]
		part := slices.Clone(units)
		part[0], part[1] = 0, 1<<50
		if again := slices.Clone(r.Rescore(int(i), part)); units[0] > 0 && slices.Equal(again, losses) || r.Gives(int(i))[1] != o.Lines[1].Quantity {
			t.Errorf("a part scores like the whole, or gives %v", r.Gives(int(i)))
		}
		if got := r.Rescore(int(i), units); !slices.Equal(got, losses) || r.Verdicts()[i] != was {
			t.Errorf("got %v %+v, want %v %+v", got, r.Verdicts()[i], losses, was)
		}
	}
	c = compile(t, around("scores: [{cost: {split_penalty: 1000}}]"))
	r.Begin(c, o, benchNow)
	sites := network(1, 3)
	sites[0].Site = &ruleset.Site{ID: "A", CostPerOrder: 100, CostPerUnit: 7}
	for k := range sites[0].Stock {
		sites[0].Stock[k].ATP = 9
	}
	r.Decide(sites)
	if got := r.Losses(0)[0]; got != 100+6*7 {
		t.Errorf("the whole costs %d", got)
	}
	if got := r.Rescore(0, []int64{1, 0, 0})[0]; got != 100+7+1000 {
		t.Errorf("a part costs %d", got)
	}
}
