package opportunity

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"orderyard/messages"
	"orderyard/routing"
	"orderyard/routing/ruleset"
)

const (
	hourMs = 60 * 60 * 1000
	testAt = int64(1_700_000_000_000)
)

// yard is a View of plain maps, with a table.
type yard struct {
	ids   []string
	sites map[string]*routing.Site
	stock map[string]map[string]int64
	table *Table
}

func newYard(sites ...*routing.Site) *yard {
	y := &yard{sites: map[string]*routing.Site{}, stock: map[string]map[string]int64{}}
	for _, s := range sites {
		s.Country, s.Status = "US", "online"
		s.Locate()
		y.ids, y.sites[s.ID] = append(y.ids, s.ID), s
	}
	slices.Sort(y.ids)
	return y
}

func (y *yard) put(sku, site string, units int64) *yard {
	if y.stock[sku] == nil {
		y.stock[sku] = map[string]int64{}
	}
	y.stock[sku][site] = units
	return y
}

func (y *yard) Stock(sku string) (rows []routing.SiteStock) {
	for _, id := range y.ids {
		if units, ok := y.stock[sku][id]; ok {
			rows = append(rows, routing.SiteStock{Site: id, ATP: units})
		}
	}
	return rows
}
func (y *yard) Site(id string) (*routing.Site, bool) { s, ok := y.sites[id]; return s, ok }
func (y *yard) SiteIDs() []string                    { return y.ids }
func (y *yard) Prices(now int64) routing.Prices {
	if !y.table.Lasts(now) {
		return nil
	}
	return y.table
}

// order is a question for one unit of each SKU; the postal code's first two digits are degrees east on the equator.
func order(postal string, skus ...string) *messages.PlanRequest {
	lon := float64(postal[0]-'0')*10 + float64(postal[1]-'0')
	req := &messages.PlanRequest{PlanNo: 1, Cause: "placed", Partial: "split", ShipTo: &messages.Address{Country: "US", PostalCode: postal, HasPosition: true, Lon: lon}}
	for i, sku := range skus {
		req.Needs = append(req.Needs, &messages.LineNeed{Line: uint32(i), Sku: sku, Quantity: 1})
	}
	return req
}

func counter(flowsMax int) *Counter {
	return NewCounter(CounterOptions{HalfLifeMs: 24 * hourMs, FlowsMax: flowsMax, PostalDigits: 2}, testAt-30*24*hourMs)
}

// tester is a testing.T, or a rapid.T.
type tester interface {
	Helper()
	Fatal(args ...any)
}

func demandOf(t tester, counters ...*Counter) *Demand {
	t.Helper()
	d := NewDemand(100_000)
	for _, c := range counters {
		if err := c.Parts(testAt, 500, func(p *messages.DemandPart) error { d.Add(p); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func tableOf(t tester, p *Pricer, in Input) *Table {
	t.Helper()
	in.NowMs = testAt
	if in.HorizonMs == 0 {
		in.HorizonMs = 24 * hourMs
	}
	job := p.Begin(in)
	if err := job.Solve(nil); err != nil {
		t.Fatal(err)
	}
	table, err := job.Table("a", 1, 5)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func options() Options {
	return Options{SKUsMax: 100, FlowsMax: 1000, RoundsMax: 300, Costs: Costs{Parcel: 800, Unit1000Km: 500}}
}

const costAndWorth = `
name: cost-and-worth
cards:
  km:
    zones:
%s    rates:
      ground:
%s    default_service: ground
    unit_grams: 1000
routes:
  - name: all
    rules:
      - name: one
        scores:
          - cost: {card: km}
          - opportunity
        reducer: penalty_sum
        actions: {full: assign_many, partial: [assign_many, backorder], none: backorder}
fallback: all
`

// byCostAndWorth are rules with a card that asks 800 for a parcel and 50 for a unit over each hundred kilometers.
func byCostAndWorth(t testing.TB) *routing.Rules {
	var zones, rates strings.Builder
	for i := 1; i <= 40; i++ {
		fmt.Fprintf(&zones, "      - {name: z%d, km: %d}\n", i, i*100)
		fmt.Fprintf(&rates, "        z%d: {fixed: 800, per_kg: %d}\n", i, i*50)
	}
	set, err := ruleset.Load("test.yaml", fmt.Appendf(nil, costAndWorth, zones.String(), "        "+strings.TrimLeft(rates.String(), " ")))
	if err != nil {
		t.Fatal(err)
	}
	rules := routing.DefaultRules()
	rules.Set, rules.Version = set, set.Version
	return rules
}

// TestScarceStockIsKept tells the story: the last lamps in the east would go to a customer in the middle, who is a little nearer to them than to
// the plentiful lamps in the west, although the east is about to ask for them and would then wait for lamps from far away. With prices the
// customer in the middle is served from the west, one in the east from the east; and when the rush is over the middle gets the near ones again.
func TestScarceStockIsKept(t *testing.T) {
	rules := byCostAndWorth(t)
	y := newYard(&routing.Site{ID: "EAST", Lon: 20}, &routing.Site{ID: "WEST", Lon: 9}).put("LAMP", "EAST", 5).put("LAMP", "WEST", 500)
	gives := func(postal string) string {
		t.Helper()
		plan := routing.Route(order(postal, "LAMP"), y, rules, testAt)
		if len(plan.Assignments) != 1 {
			t.Fatalf("%v", plan)
		}
		return plan.Assignments[0].Site
	}
	if got := gives("15001"); got != "EAST" {
		t.Fatalf("without prices %s gives to the middle, want the nearer EAST", got)
	}
	c := counter(1000)
	for i := range int64(24) {
		c.Count(order("20001", "LAMP"), testAt-i*hourMs) // the east asks once an hour
		if i%4 == 0 {
			c.Count(order("15001", "LAMP"), testAt-i*hourMs)
		}
	}
	y.table = tableOf(t, NewPricer(options()), Input{Demand: demandOf(t, c), View: y, Rules: rules.Set})
	list, _ := y.table.Entries("", 10)
	if len(list) != 1 || list[0].Site != "EAST" || list[0].Price <= 0 {
		t.Fatalf("prices %v, want one, of the east", list)
	}
	// Every unit but the last few saves the east the way from the west: 11 degrees are 1,223 km, 650 against 50.
	if p := list[0].Price; p < 100 || p > 650 {
		t.Errorf("a lamp in the east is worth %d", p)
	}
	if got := gives("15001"); got != "WEST" {
		t.Errorf("with prices %s gives to the middle, want WEST", got)
	}
	if got := gives("20001"); got != "EAST" {
		t.Errorf("with prices %s gives to the east, want EAST", got)
	}
	if got := y.table.head.Figures.Costs; got != "card km" {
		t.Errorf("costs are of %q", got)
	}
	quiet := NewCounter(CounterOptions{HalfLifeMs: 24 * hourMs, FlowsMax: 10, PostalDigits: 2}, testAt-30*24*hourMs)
	quiet.Count(order("20001", "LAMP"), testAt-20*24*hourMs)
	y.table = tableOf(t, NewPricer(options()), Input{Demand: demandOf(t, quiet), View: y, Rules: rules.Set})
	if got := gives("15001"); got != "EAST" || y.table.Buckets() != 0 {
		t.Errorf("after the rush %s gives to the middle, want EAST; %d prices", got, y.table.Buckets())
	}
	if y.Prices(testAt+25*hourMs) != nil {
		t.Error("a table is known after its horizon")
	}
}

// TestFarTooMuchIsWanted proves that prices stay about where to ship from when a hundred times the stock is ordered: everybody who is served is served
// from nearby, and two sites are apart by no more than the way between them costs.
func TestFarTooMuchIsWanted(t *testing.T) {
	rules := byCostAndWorth(t)
	y := newYard(&routing.Site{ID: "EAST", Lon: 20}, &routing.Site{ID: "WEST", Lon: 9}, &routing.Site{ID: "FAR", Lon: 40})
	y.put("LAMP", "EAST", 20).put("LAMP", "WEST", 30).put("LAMP", "FAR", 10)
	c := counter(1000)
	for i := range int64(24 * 60) {
		for k, postal := range []string{"20001", "09001", "40001"} {
			for range []int{2, 3, 1}[k] {
				c.Count(order(postal, "LAMP"), testAt-i*60_000)
			}
		}
	}
	y.table = tableOf(t, NewPricer(options()), Input{Demand: demandOf(t, c), View: y, Rules: rules.Set})
	if f := y.table.head.Figures; f.OrdersMilli < 100*60_000/2 {
		t.Fatalf("%d orders are expected, want a hundred times the stock", f.OrdersMilli/1000)
	}
	for postal, want := range map[string]string{"20001": "EAST", "09001": "WEST", "40001": "FAR"} {
		if plan := routing.Route(order(postal, "LAMP"), y, rules, testAt); plan.Assignments[0].Site != want {
			list, _ := y.table.Entries("", 10)
			t.Errorf("%s gives to %s, want %s; prices %v", plan.Assignments[0].Site, postal, want, list)
		}
	}
}

// TestCounting proves how orders become demand, by hand-made counts: halved by a half-life, by content and region, joined over nodes.
func TestCounting(t *testing.T) {
	a, b := counter(1000), counter(1000)
	for i := range int64(240) { // ten an hour for a day, at two nodes in turn
		c := []*Counter{a, b}[i%2]
		c.Count(order("20001", "B", "A"), testAt-24*hourMs+i*6*60_000)
		c.Count(order("20999", "A", "B"), testAt-24*hourMs+i*6*60_000)
	}
	d := demandOf(t, a, b)
	if len(d.flows) != 1 {
		t.Fatalf("%d flows, want one: %v", len(d.flows), d.flows)
	}
	for _, f := range d.flows {
		// 480 orders of the last day, of which those of its beginning count half, against all time: 480 × 0.72 / 34.6 h
		if perDay := float64(f.microPerDay) / 1e6; math.Abs(perDay-240) > 2 {
			t.Errorf("%.1f orders a day, want about 240: half of the week-long rate", perDay)
		}
		if f.place.country != "US" || !strings.HasPrefix(f.place.postal, "20") || len(f.lines) != 2 || f.lines[0].SKU != "A" {
			t.Errorf("flow %+v at %+v", f, f.place)
		}
	}
	long := counter(1000)
	req := order("20001")
	for i := range linesMax + 1 {
		req.Needs = append(req.Needs, &messages.LineNeed{Sku: fmt.Sprint("s", i), Quantity: 2}, &messages.LineNeed{Sku: fmt.Sprint("s", i), Quantity: 3}, &messages.LineNeed{Sku: "x"})
	}
	long.Count(req, testAt)
	if long.Flows() != linesMax+1 {
		t.Errorf("a long order makes %d flows, want one for each line", long.Flows())
	}
	for _, f := range long.flows {
		if len(f.lines) != 1 || f.lines[0].Quantity != 5 {
			t.Errorf("line %v", f.lines)
		}
	}
	long.Count(&messages.PlanRequest{}, testAt)
	long.Count(order("20001"), testAt)
	if long.Flows() != linesMax+1 {
		t.Error("an order of nothing is counted")
	}
}

// TestCounterIsBounded proves that a counter never holds more than it may, whatever is ordered, and that contents taken apart for want of room are
// still counted by their lines: a SKU that is in every order keeps most of its demand.
func TestCounterIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(8, 100).Draw(t, "flows")
		c := counter(most)
		orders := rapid.IntRange(1, 400).Draw(t, "orders")
		for i := range orders {
			c.Count(order(fmt.Sprintf("%02d001", i%3), "HOT", fmt.Sprint("x", rapid.IntRange(0, 500).Draw(t, "sku"))), testAt-hourMs+int64(i))
			if c.Flows() > most {
				t.Fatalf("%d flows, at most %d", c.Flows(), most)
			}
		}
		var hot, all float64
		for _, f := range c.flows {
			for _, l := range f.lines {
				if l.SKU == "HOT" {
					hot += f.orders
				}
			}
		}
		if all = float64(orders); most >= 40 && hot < 0.9*all || hot > 1.01*all {
			t.Fatalf("HOT is in %d orders, counted %.1f times; %d taken apart, %d lost", orders, hot, c.Apart, c.Lost)
		}
	})
}

// TestTravels proves that a table arrives as it left, in however many parts, and that parts which do not belong together are refused.
func TestTravels(t *testing.T) {
	y := newYard(&routing.Site{ID: "EAST", Lon: 20}, &routing.Site{ID: "WEST", Lon: 9})
	c := counter(1000)
	for i := range int64(60) {
		c.Count(order("20001", fmt.Sprint("s", i%20)), testAt-i)
		y.put(fmt.Sprint("s", i%20), "EAST", 1).put(fmt.Sprint("s", i%20), "WEST", 900)
	}
	table := tableOf(t, NewPricer(options()), Input{Demand: demandOf(t, c), View: y})
	if table.Buckets() != 20 || table.head.Figures.Costs != "sites' own costs and distance" {
		t.Fatalf("%d prices: %v", table.Buckets(), table.head)
	}
	for _, bytes := range []int{1, 100, 1 << 20} {
		var parts []*messages.PriceTable
		if err := table.Parts(bytes, func(p *messages.PriceTable) error { parts = append(parts, p); return nil }); err != nil {
			t.Fatal(err)
		}
		back, err := Join(parts)
		if err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(back.head, table.head) || !slices.EqualFunc(back.rows, table.rows, func(a, b *messages.PriceRow) bool { return proto.Equal(a, b) }) {
			t.Errorf("%d parts make another table", len(parts))
		}
		if back.Newer(table) || !back.Newer(nil) {
			t.Error("the same table is newer than itself, or not newer than none")
		}
		other := bare(parts[0])
		other.Version++
		if _, err := Join(append(parts, other)); err == nil {
			t.Error("parts of two tables were joined")
		}
	}
	list, more := table.Entries("", 3)
	if len(list) != 3 || !more || list[0].Price < list[2].Price {
		t.Errorf("entries %v", list)
	}
	e := list[0]
	at := testAt + 12*hourMs
	if fast, even := table.Price(e.SKU, e.Site, 1, testAt), table.Price(e.SKU, e.Site, 2, testAt); fast != e.Price || even >= fast {
		t.Errorf("priced %d: %d with what there was, %d with more", e.Price, fast, even)
	}
	if slow := table.Price(e.SKU, e.Site, 1, at); slow >= e.Price {
		t.Errorf("priced %d: %d for a unit that nobody wanted in half of the horizon", e.Price, slow)
	}
	if table.Price("nothing", "EAST", 1, at)+table.Price(e.SKU, "nowhere", 1, at) != 0 {
		t.Error("what is not in the table has a price")
	}
}

// TestPricesAreSound proves over drawn demand, stock and limits that a computation succeeds, stays within its limits, prices only what some site
// could run out of, and begins where another ended.
func TestPricesAreSound(t *testing.T) {
	rules := byCostAndWorth(t)
	rapid.Check(t, func(t *rapid.T) {
		y := newYard(&routing.Site{ID: "A", Lon: 5}, &routing.Site{ID: "B", Lon: 25, CostPerOrder: 30}, &routing.Site{ID: "C", Lon: 60, CostPerUnit: 7})
		y.sites["C"].Status = rapid.SampledFrom([]string{"online", "offline"}).Draw(t, "status")
		skus := []string{"p", "q", "r", "s"}
		for _, sku := range skus {
			for _, site := range y.ids {
				if units := rapid.SampledFrom([]int64{-1, 0, 1, 3, 20, 1 << 50}).Draw(t, "units"); units >= 0 {
					y.put(sku, site, units)
				}
			}
		}
		c := counter(1000)
		for range rapid.IntRange(0, 40).Draw(t, "orders") {
			n := rapid.IntRange(1, 3).Draw(t, "lines")
			req := order(rapid.SampledFrom([]string{"04001", "26001", "61001"}).Draw(t, "to"), rapid.Permutation(skus).Draw(t, "skus")[:n]...)
			req.Needs[0].Quantity = rapid.SampledFrom([]int64{1, 2, 1 << 40}).Draw(t, "quantity")
			c.Count(req, testAt)
		}
		o := options()
		o.SKUsMax, o.FlowsMax, o.RoundsMax = rapid.IntRange(1, 5).Draw(t, "skus max"), rapid.IntRange(1, 30).Draw(t, "flows max"), 40
		in := Input{Demand: demandOf(t, c), View: y}
		if rapid.Bool().Draw(t, "card") {
			in.Rules = rules.Set
		}
		p := NewPricer(o)
		first := tableOf(t, p, in)
		figures := first.head.Figures
		if figures.Skus > int64(o.SKUsMax) || len(first.rows) > o.SKUsMax || figures.Flows > int64(o.FlowsMax) || figures.Rounds > 40 {
			t.Fatalf("beyond the limits: %v", figures)
		}
		list, _ := first.Entries("", 1000)
		for _, e := range list {
			if e.Had != min(y.stock[e.SKU][e.Site], plenty) || e.Had == 0 || y.sites[e.Site].Status != "online" || float64(leastOf(y, e.SKU)) >= float64(e.DemandMilli+1)/1000 {
				t.Fatalf("%+v has a price; stock %v", e, y.stock[e.SKU])
			}
		}
		heir := NewPricer(o)
		heir.Warm(first)
		for _, next := range []*Pricer{p, heir} {
			if again := tableOf(t, next, in); again.head.Figures.Bound < 0 {
				t.Fatalf("%v", again.head)
			}
		}
	})
}

func leastOf(y *yard, sku string) int64 {
	least := int64(math.MaxInt64)
	for site, units := range y.stock[sku] {
		if units > 0 && y.sites[site].Status == "online" {
			least = min(least, units)
		}
	}
	return least
}

// TestNonsense proves that what another node tells is taken only as far as it makes sense.
func TestNonsense(t *testing.T) {
	d := NewDemand(2)
	region := []*messages.DemandRegion{{Country: "US", Prefix: "20"}}
	for _, f := range []*messages.DemandFlow{
		{}, {Region: 1, Skus: []string{"a"}, Quantities: []int64{1}, MicroPerDay: 1}, {Skus: []string{"a"}, MicroPerDay: 1},
		{Skus: []string{"b", "a"}, Quantities: []int64{1, 1}, MicroPerDay: 1}, {Skus: []string{"a"}, Quantities: []int64{0}, MicroPerDay: 1},
		{Skus: []string{"a"}, Quantities: []int64{1}, MicroPerDay: -1}, {Skus: []string{"a"}, Quantities: []int64{1 << 40}, MicroPerDay: 1},
	} {
		d.Add(&messages.DemandPart{Regions: region, Flows: []*messages.DemandFlow{f}})
	}
	if len(d.flows) != 0 {
		t.Errorf("taken: %v", d.flows)
	}
	for _, sku := range []string{"a", "b", "c", "a"} {
		d.Add(&messages.DemandPart{Regions: region, Flows: []*messages.DemandFlow{{Skus: []string{sku}, Quantities: []int64{1}, MicroPerDay: 5}}})
	}
	if len(d.flows) != 2 || d.Cut != 1 {
		t.Errorf("%d flows and %d cut, want 2 and 1", len(d.flows), d.Cut)
	}
	if _, err := Join(nil); err == nil {
		t.Error("nothing was joined")
	}
	head := &messages.PriceTable{Rows: []*messages.PriceRow{{Sku: "a", Sites: []string{"x"}}}}
	if _, err := Join([]*messages.PriceTable{head}); err == nil {
		t.Error("a row without prices was taken")
	}
}
