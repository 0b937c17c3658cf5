package whatif

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"orderyard/messages"
	"orderyard/routing"
	"orderyard/routing/geo"
	"orderyard/routing/ruleset"
)

func rulesOf(t testing.TB, name string) *routing.Rules {
	t.Helper()
	rules := routing.DefaultRules()
	if name == "builtin" {
		return rules
	}
	text, err := os.ReadFile("../../configs/routing/" + name)
	if err != nil {
		t.Fatal(err)
	}
	set, err := ruleset.Load(name, text)
	if err != nil {
		t.Fatal(err)
	}
	rules.Set, rules.Version = set, set.Version
	return rules
}

// monday is 2026-11-02 10:00 UTC.
const monday = 1793613600000

var skus = []string{"A", "B", "C", "D"}

// drawYard makes sites at postal codes, some with limits, some stores, and stock of four SKUs.
func drawYard(t *rapid.T) *Yard {
	y := NewYard()
	for i := range rapid.IntRange(1, 8).Draw(t, "sites") {
		lat, lon, _ := geo.Locate("US", geo.PopulationPostal(rapid.Uint64().Draw(t, "place")))
		s := &routing.Site{
			ID: fmt.Sprintf("S%d", i), Type: rapid.SampledFrom([]string{"dc", store}).Draw(t, "type"), Country: "US", Lat: lat, Lon: lon, Status: "online",
			CostPerOrder: rapid.Int64Range(0, 300).Draw(t, "per order"), CostPerUnit: rapid.Int64Range(0, 50).Draw(t, "per unit"),
		}
		s.Hour.Limit = rapid.Int64Range(0, 3).Draw(t, "per hour")
		s.Day.Limit = rapid.Int64Range(0, 9).Draw(t, "per day")
		s.Locate()
		y.AddSite(s)
		for _, sku := range skus {
			if units := rapid.Int64Range(-1, 12).Draw(t, "stock"); units != 0 {
				y.AddStock(sku, s.ID, units)
			}
		}
	}
	return y
}

func drawOrders(t *rapid.T) []*messages.Order {
	var orders []*messages.Order
	for i := range rapid.IntRange(0, 30).Draw(t, "orders") {
		o := &messages.Order{
			Channel: "web", ExternalId: strconv.Itoa(i), PlacedAtMs: monday + rapid.Int64Range(0, 48*hourMs).Draw(t, "at"), Currency: "USD",
			ShipTo:  &messages.Address{Country: "US", PostalCode: geo.PopulationPostal(rapid.Uint64().Draw(t, "to"))},
			Partial: rapid.SampledFrom([]string{"split", "complete_only", "ship_available"}).Draw(t, "partial"),
		}
		if rapid.Bool().Draw(t, "promised") {
			o.DeliverBy = "2026-11-06"
		}
		for n := range rapid.IntRange(1, 4).Draw(t, "lines") {
			o.Lines = append(o.Lines, &messages.OrderLine{
				Id: strconv.Itoa(n), Sku: rapid.SampledFrom(skus).Draw(t, "sku"), Quantity: rapid.Int64Range(1, 5).Draw(t, "units"), UnitPrice: 900,
			})
		}
		orders = append(orders, o)
	}
	Sort(orders)
	return orders
}

// TestSameRulesNoDifference proves that a rule set compared with itself changes nothing, in any figure and for any order, over drawn yards; and
// that each side conserves units: what was taken and what is left is what there was, what is assigned and what is short is what was ordered.
func TestSameRulesNoDifference(t *testing.T) {
	sets := []*routing.Rules{rulesOf(t, "builtin"), rulesOf(t, "default.yaml"), rulesOf(t, "cost.yaml")}
	card := sets[1].Set
	rapid.Check(t, func(t *rapid.T) {
		yard, orders := drawYard(t), drawOrders(t)
		before := map[string]int64{}
		for _, sku := range skus {
			for _, id := range yard.ids {
				before[sku+"@"+id] = yard.ATP(sku, id)
			}
		}
		rules := rapid.SampledFrom(sets).Draw(t, "rules")
		base, candidate := yard.Side(rules, card.Yardstick("")), yard.Side(rules, card.Yardstick(""))
		candidate.rules = rules // with all the evidence
		var compared Comparison
		given := map[string]int64{}
		for _, o := range orders {
			a, b := base.Take(o), candidate.Take(o)
			compared.Add(o.ExternalId, &a, &b)
			units := int64(0)
			for _, p := range a.Parts {
				units += p.Units
				given[p.Site] += p.Units
			}
			if units+a.Short != a.Ordered {
				t.Fatalf("order %s: %d assigned, %d short, %d ordered", o.ExternalId, units, a.Short, a.Ordered)
			}
		}
		if compared.Changed != 0 || len(compared.Most()) != 0 || !reflect.DeepEqual(base.Tally(), candidate.Tally()) {
			t.Fatalf("the same rules differ: %+v\n%+v\n%+v", compared, base.Tally(), candidate.Tally())
		}
		for _, f := range Figures(base.Tally(), candidate.Tally()) {
			if f.Difference().Value != 0 {
				t.Fatalf("%s differs by %d", f.Name, f.Difference().Value)
			}
		}
		for key, had := range before {
			sku, id, _ := messages.SplitBucket(key)
			left := base.ATP(sku, id)
			if left > had || left < 0 && had >= 0 || yard.ATP(sku, id) != had {
				t.Fatalf("%s: %d before, %d left, the yard has %d", key, had, left, yard.ATP(sku, id))
			}
			given[id] -= had - left
		}
		for id, units := range given {
			if units != 0 {
				t.Fatalf("%s: plans give %d units more than were taken", id, units)
			}
		}
		checkTally(t, base.Tally())
	})
}

func checkTally(t *rapid.T, c *Tally) {
	units := int64(0)
	for _, l := range c.Sites {
		units += l.Units
	}
	if c.UnitsAssigned+c.UnitsShort != c.UnitsOrdered || units != c.UnitsAssigned || c.Full+c.Partial+c.None != c.Orders ||
		c.PromiseKept+c.PromiseBroken+c.PromiseUnknown != c.Promised {
		t.Fatalf("the sums do not agree: %+v", c)
	}
}

// TestMostChanged proves that the comparison keeps the most changed orders in their order, whatever order they come in, against sorting all.
func TestMostChanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c Comparison
		var all []Change
		for i := range rapid.IntRange(0, 60).Draw(t, "orders") {
			part := func() Outcome {
				return Outcome{Plan: rapid.Uint64Range(0, 2).Draw(t, "plan"), Parts: []Part{{Cost: rapid.Int64Range(0, 9).Draw(t, "cost"), Boxes: rapid.Int64Range(1, 2).Draw(t, "boxes")}}}
			}
			a, b := part(), part()
			c.Add(strconv.Itoa(i), &a, &b)
			if a.Plan != b.Plan {
				all = append(all, Change{strconv.Itoa(i), a, b})
			}
		}
		slices.SortFunc(all, moreChanged)
		if c.Changed != int64(len(all)) || len(c.Most()) != min(len(all), ChangesMax) {
			t.Fatalf("%d of %d changed, %d kept", c.Changed, len(all), len(c.Most()))
		}
		for i, got := range c.Most() {
			if got.Order != all[i].Order {
				t.Fatalf("place %d holds %s, want %s", i, got.Order, all[i].Order)
			}
		}
	})
}

// TestStories shows the outcome of small yards: `yard` makes one, a line per site with its stock, or per order; `compare` routes the orders under two
// rule sets and says each order's two plans and every figure that is known.
func TestStories(t *testing.T) {
	var yard *Yard
	var orders []*messages.Order
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "yard":
				yard, orders = readYard(t, d.Input)
				return ""
			case "compare":
				return compared(t, d, yard, orders)
			}
			d.Fatalf(t, "unknown directive %s", d.Cmd)
			return ""
		})
	})
}

// readYard: "site ID type postal A=3 B=2 hour=1", then "order ID +hours postal A=1 B=1 by=2026-11-04".
func readYard(t *testing.T, text string) (*Yard, []*messages.Order) {
	yard, orders := NewYard(), []*messages.Order(nil)
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if words[0] == "site" {
			lat, lon, ok := geo.Locate("US", words[3])
			if !ok {
				t.Fatalf("postal code %s is not on the map", words[3])
			}
			s := &routing.Site{ID: words[1], Type: words[2], Country: "US", PostalCode: words[3], Lat: lat, Lon: lon, Status: "online", CostPerOrder: 150, CostPerUnit: 30}
			s.Locate()
			for _, w := range words[4:] {
				name, n := assignment(t, w)
				if name == "hour" {
					s.Hour.Limit = n
				} else {
					yard.AddStock(name, s.ID, n)
				}
			}
			s.Calendar = always{}
			yard.AddSite(s)
			continue
		}
		_, hours := assignment(t, "h="+words[2])
		o := &messages.Order{
			Channel: "web", ExternalId: words[1], PlacedAtMs: monday + hours*hourMs, ShipTo: &messages.Address{Country: "US", PostalCode: words[3]}, Partial: "ship_available",
		}
		for i, w := range words[4:] {
			if day, ok := strings.CutPrefix(w, "by="); ok {
				o.DeliverBy = day
				continue
			}
			sku, n := assignment(t, w)
			o.Lines = append(o.Lines, &messages.OrderLine{Id: strconv.Itoa(i), Sku: sku, Quantity: n, UnitPrice: 1000})
		}
		orders = append(orders, o)
	}
	Sort(orders)
	return yard, orders
}

func assignment(t *testing.T, word string) (string, int64) {
	name, number, _ := strings.Cut(word, "=")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return name, n
}

// always is a calendar of a site that never closes: what is accepted leaves at the end of the UTC day.
type always struct{}

func (always) WorkDays(now int64) *routing.WorkDays {
	from := now / (24 * hourMs) * 24 * hourMs
	w := &routing.WorkDays{From: from, Until: from + 24*hourMs, Horizon: from + 48*hourMs, Works: true}
	for day := range int64(2) {
		closes := from + (day+1)*24*hourMs
		w.Days = append(w.Days, routing.WorkDay{OpensAt: closes - 24*hourMs, CutOffAt: closes, ClosesAt: closes})
	}
	w.JoinDays()
	return w
}

func compared(t *testing.T, d *datadriven.TestData, yard *Yard, orders []*messages.Order) string {
	base, candidate := rulesOf(t, d.CmdArgs[0].Key), rulesOf(t, d.CmdArgs[1].Key)
	stick := func() *ruleset.Yardstick {
		if d.HasArg("bare") {
			return nil
		}
		return rulesOf(t, "default.yaml").Set.Yardstick("")
	}
	a, b := yard.Side(base, stick()), yard.Side(candidate, stick())
	var c Comparison
	var out strings.Builder
	for _, o := range orders {
		x, y := a.Take(o), b.Take(o)
		c.Add(o.ExternalId, &x, &y)
		fmt.Fprintf(&out, "%s: %s | %s\n", o.ExternalId, &x, &y)
	}
	for _, m := range c.Most() {
		fmt.Fprintf(&out, "changed %s: cost %+d, packages %+d\n", m.Order, m.Cost(), m.Packages())
	}
	for _, f := range Figures(a.Tally(), b.Tally()) {
		if f.Base.Known || f.New.Known {
			fmt.Fprintf(&out, "%s: %s | %s\n", f.Name, text(f.Base, f.Decimals), text(f.New, f.Decimals))
		}
	}
	for _, side := range []*Side{a, b} {
		for _, id := range slices.Sorted(maps.Keys(side.Tally().Sites)) {
			l := side.Tally().Sites[id]
			fmt.Fprintf(&out, "%s: %d orders, %d units  ", id, l.Orders, l.Units)
		}
		fmt.Fprintf(&out, "%v\n", side.Tally().Actions)
	}
	return out.String()
}

func text(n ruleset.Number, decimals int) string {
	if !n.Known {
		return "unknown"
	}
	s := fmt.Sprintf("%0*d", decimals+1, n.Value)
	if decimals == 0 {
		return s
	}
	return s[:len(s)-decimals] + "." + s[len(s)-decimals:]
}

// TestShadow proves over drawn yards that a shadow with the rules in force differs from them in nothing, that one with other rules counts what a side
// of its own would have planned for each order alone, that it begins anew with other live rules, and that tallies add up.
func TestShadow(t *testing.T) {
	present, other := rulesOf(t, "builtin"), rulesOf(t, "default.yaml")
	stick := func() *ruleset.Yardstick { return other.Set.Yardstick("") }
	rapid.Check(t, func(t *rapid.T) {
		yard, orders := drawYard(t), drawOrders(t)
		same, changed := NewShadow(present, stick(), stick()), NewShadow(other, stick(), stick())
		var alone Comparison
		var sum Tally
		for _, o := range orders {
			q := routing.Question(o, cause)
			plan := routing.Route(q, yard, present, o.PlacedAtMs)
			seen := See(q, plan, yard, o.PlacedAtMs)
			plan.Assignments = nil // the order may do with it what it likes
			same.Follow(seen)
			changed.Follow(seen)
			second := routing.Route(q, yard, other, o.PlacedAtMs)
			m := meter{card: stick(), tally: newTally()}
			out := m.read(q, second, yard, o.PlacedAtMs, func(sku, site string, units int64) int64 { return yard.ATP(sku, site) - units })
			sum.Add(&m.tally)
			live := Outcome{Plan: fingerprint(seen.plan)}
			alone.Add(q.OrderId, &live, &out)
		}
		if n, most := same.Changed(); n != 0 || len(most) != 0 {
			t.Fatalf("the same rules change %d orders", n)
		}
		if a, b := same.Tallies(); !reflect.DeepEqual(a, b) || a.Orders != int64(len(orders)) {
			t.Fatalf("%+v\n%+v", a, b)
		}
		if _, b := changed.Tallies(); len(orders) > 0 && !reflect.DeepEqual(b, sum) {
			t.Fatalf("the shadow counts\n%+v\nalone\n%+v", b, sum)
		}
		if n, _ := changed.Changed(); n != alone.Changed {
			t.Fatalf("%d orders changed, alone %d", n, alone.Changed)
		}
	})
	o := &messages.Order{Channel: "web", ExternalId: "1", PlacedAtMs: monday, Lines: []*messages.OrderLine{{Id: "1", Sku: "A", Quantity: 1}}}
	s := NewShadow(other, nil, nil)
	for i, version := range []string{"one", "one", "two"} {
		q := routing.Question(o, cause)
		s.Follow(See(q, &messages.Plan{RulesVersion: version}, NewYard(), monday))
		if live, _ := s.Tallies(); live.Orders != []int64{1, 2, 1}[i] || s.Present() != version {
			t.Errorf("after %d plans: %d counted, by %s", i+1, live.Orders, s.Present())
		}
	}
}

// BenchmarkSee is what a node with a shadow pays on its own way, for each new order: three lines, thirty sites.
func BenchmarkSee(b *testing.B) {
	yard := NewYard()
	for i := range 30 {
		s := &routing.Site{ID: fmt.Sprintf("S%02d", i), Country: "US", Status: "online", Lat: 30 + float64(i), Lon: -90}
		s.Locate()
		yard.AddSite(s)
		for _, sku := range skus {
			yard.AddStock(sku, s.ID, 5)
		}
	}
	o := &messages.Order{Channel: "web", ExternalId: "1", PlacedAtMs: monday, ShipTo: &messages.Address{Country: "US", PostalCode: "80202"}}
	for i, sku := range skus[:3] {
		o.Lines = append(o.Lines, &messages.OrderLine{Id: strconv.Itoa(i), Sku: sku, Quantity: 1})
	}
	q := routing.Question(o, cause)
	plan := routing.Route(q, yard, routing.DefaultRules(), monday)
	b.ReportAllocs()
	for b.Loop() {
		See(q, plan, yard, monday)
	}
}
