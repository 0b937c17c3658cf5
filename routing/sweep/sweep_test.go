package sweep

import (
	"cmp"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"orderyard/messages"
	"orderyard/routing"
	"orderyard/routing/geo"
	"orderyard/routing/ruleset"
)

const now = 1793613600000 // 2026-11-02 10:00 UTC

func rulesOf(t testing.TB, name string) *routing.Rules {
	t.Helper()
	rules := routing.DefaultRules()
	if name == "" || name == "builtin" {
		return rules
	}
	file := "../../configs/routing/" + name + ".yaml"
	if name == "cheapest" {
		file = "testdata/cheapest.yaml"
	}
	text, err := os.ReadFile(file)
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

// yard is a view that is written down.
type yard struct {
	ids   []string
	sites map[string]*routing.Site
	stock map[string][]routing.SiteStock
}

func newYard() *yard {
	return &yard{sites: map[string]*routing.Site{}, stock: map[string][]routing.SiteStock{}}
}

func (y *yard) Stock(sku string) []routing.SiteStock { return y.stock[sku] }
func (y *yard) Site(id string) (*routing.Site, bool) { s, ok := y.sites[id]; return s, ok }
func (y *yard) SiteIDs() []string                    { return y.ids }
func (y *yard) atp(sku, site string) int64           { return (&stock{View: y}).atp(sku, site) }
func (y *yard) add(sku, site string, units int64) {
	s := &stock{View: y, own: map[string][]routing.SiteStock{}}
	s.add(sku, site, units)
	y.stock[sku] = s.own[sku]
}

func (y *yard) addSite(s *routing.Site) {
	s.Locate()
	y.sites[s.ID] = s
	y.ids = append(y.ids, s.ID)
	slices.Sort(y.ids)
}

// daily is a calendar of days by UTC; what is accepted by noon leaves at six.
type daily struct{}

func (daily) WorkDays(at int64) *routing.WorkDays {
	const hour = 60 * 60 * 1000
	from := at - at%dayMs
	w := &routing.WorkDays{From: from, Until: from + dayMs, Horizon: from + 7*dayMs, Works: true}
	for d := range int64(7) {
		w.Days = append(w.Days, routing.WorkDay{OpensAt: from + d*dayMs + 8*hour, CutOffAt: from + d*dayMs + 12*hour, ClosesAt: from + d*dayMs + 18*hour})
	}
	w.JoinDays()
	return w
}

var cities = map[string][2]float64{
	"DEN": {39.74, -104.99}, "NYC": {40.71, -74.01}, "SEA": {47.61, -122.33}, "CHI": {41.88, -87.63}, "DAL": {32.78, -96.80},
}

// TestStories proves what moves and what stays as readable stories.
func TestStories(t *testing.T) {
	var y *yard
	var orders []Order
	rules := ""
	datadriven.RunTest(t, "testdata/stories.txt", func(t *testing.T, d *datadriven.TestData) string {
		word := func(key string) string {
			for _, a := range d.CmdArgs {
				if a.Key == key {
					return strings.Join(a.Vals, ",")
				}
			}
			return ""
		}
		number := func(text string) int64 {
			n, err := strconv.ParseInt(text, 10, 64)
			if text != "" && err != nil {
				d.Fatalf(t, "%v", err)
			}
			return n
		}
		switch d.Cmd {
		case "new":
			y, orders, rules = newYard(), nil, word("rules")
		case "site":
			at := cities[d.CmdArgs[0].Key]
			s := &routing.Site{
				ID: d.CmdArgs[0].Key, Type: "dc", Country: "US", Lat: at[0], Lon: at[1], Status: cmp.Or(word("status"), "online"),
				CostPerOrder: number(word("per_order")), CostPerUnit: number(word("per_unit")),
			}
			if len(d.CmdArgs) > 1 && d.CmdArgs[len(d.CmdArgs)-1].Key == "calendar" {
				s.Calendar = daily{}
			}
			y.addSite(s)
		case "stock":
			for _, a := range d.CmdArgs {
				sku, at, _ := strings.Cut(a.Key, "@")
				y.add(sku, at, number(a.Vals[0]))
			}
		case "order":
			to := cities[word("to")]
			q := &messages.PlanRequest{
				OrderId: d.CmdArgs[0].Key, PlanNo: 2, Cause: "sweep", Service: "standard", Channel: "web", Partial: cmp.Or(word("partial"), "split"), SplitsLeft: 3,
				PlacedAtMs: now - 1000 + int64(len(orders)), Priority: int32(number(word("priority"))), DeliverBy: word("by"),
				ShipTo: &messages.Address{Country: "US", HasPosition: true, Lat: to[0], Lon: to[1]}, Currency: "USD",
			}
			for i, text := range strings.Split(word("lines"), ",") {
				sku, n, _ := strings.Cut(text, "*")
				q.Needs = append(q.Needs, &messages.LineNeed{Line: uint32(i), Sku: sku, Quantity: number(n), Id: fmt.Sprint(i), UnitPrice: 1000})
			}
			o := Order{Question: q}
			for _, text := range strings.Split(word("at"), ",") {
				at, rest, _ := strings.Cut(text, ":")
				line, units, _ := strings.Cut(rest, ":")
				o.Present = append(o.Present, &messages.Assignment{Site: at, Lines: []*messages.LineQuantity{{Line: uint32(number(line)), Quantity: number(units)}}})
			}
			orders = append(orders, o)
		case "sweep":
			l := DefaultLimits()
			if word("min") != "" {
				l.SavingMin = number(word("min"))
			}
			if word("percent") != "" {
				l.SavingPercentMin = number(word("percent"))
			}
			if word("routes") != "" {
				l.RoutesMax = int(number(word("routes")))
			}
			r := Better(orders, y, rulesOf(t, rules), now, l)
			return show(orders, &r)
		default:
			d.Fatalf(t, "unknown command %s", d.Cmd)
		}
		return ""
	})
}

func show(orders []Order, r *Result) string {
	var b strings.Builder
	for _, m := range r.Moves {
		fmt.Fprintf(&b, "%s: %s → %s saves %d (group %d)\n", orders[m.Order].Question.OrderId, parts(m.From), parts(m.To.Assignments), m.Saving(), m.Group)
	}
	card := ""
	if r.Card != "" {
		card = " by card " + r.Card
	}
	fmt.Fprintf(&b, "%d of %d move: %d → %d, saves %d%s", len(r.Moves), r.Compared, r.Before, r.After, r.Saving(), card)
	if r.Cut {
		b.WriteString(", cut")
	}
	return b.String() + "\n"
}

func parts(list []*messages.Assignment) string {
	var words []string
	for _, a := range list {
		text := a.Site
		for _, l := range a.Lines {
			text += fmt.Sprintf(" %d:%d", l.Line, l.Quantity)
		}
		words = append(words, text)
	}
	return strings.Join(words, ", ")
}

// drawYard makes sites at postal codes, some with limits.
func drawYard(t *rapid.T) *yard {
	y := newYard()
	for i := range rapid.IntRange(1, 5).Draw(t, "sites") {
		lat, lon, _ := geo.Locate("US", geo.PopulationPostal(rapid.Uint64().Draw(t, "place")))
		s := &routing.Site{
			ID: fmt.Sprintf("S%d", i), Type: "dc", Country: "US", Lat: lat, Lon: lon, Status: "online",
			CostPerOrder: rapid.Int64Range(0, 600).Draw(t, "per order"), CostPerUnit: rapid.Int64Range(0, 90).Draw(t, "per unit"),
			OpenMax: rapid.Int64Range(0, 6).Draw(t, "open max"),
		}
		if rapid.Bool().Draw(t, "calendar") {
			s.Calendar = daily{}
		}
		y.addSite(s)
	}
	return y
}

var skus = []string{"A", "B"}

func (y *yard) receive(t *rapid.T, most int64) {
	for _, sku := range skus {
		for _, id := range y.ids {
			if units := rapid.Int64Range(0, most).Draw(t, "stock"); units > 0 {
				y.add(sku, id, units)
			}
		}
	}
}

// drawOrders places orders one after the other, as they come, and takes their units out of the yard.
func drawOrders(t *rapid.T, y *yard, rules *routing.Rules) []Order {
	var orders []Order
	for i := range rapid.IntRange(0, 12).Draw(t, "orders") {
		q := &messages.PlanRequest{
			OrderId: "web-" + strconv.Itoa(i), PlanNo: 1, Cause: "placed", Service: "standard", Channel: "web", SplitsLeft: 3, PlacedAtMs: now - 100 + int64(i),
			Partial:  rapid.SampledFrom([]string{"split", "complete_only", "ship_available"}).Draw(t, "partial"),
			Priority: rapid.Int32Range(0, 2).Draw(t, "priority"), DeliverBy: rapid.SampledFrom([]string{"", "2026-11-04", "2026-11-06"}).Draw(t, "by"),
			ShipTo: &messages.Address{Country: "US", PostalCode: geo.PopulationPostal(rapid.Uint64().Draw(t, "to"))}, Currency: "USD",
		}
		for n := range rapid.IntRange(1, 3).Draw(t, "lines") {
			q.Needs = append(q.Needs, &messages.LineNeed{
				Line: uint32(n), Sku: rapid.SampledFrom(skus).Draw(t, "sku"), Quantity: rapid.Int64Range(1, 3).Draw(t, "units"), UnitPrice: 900,
			})
		}
		p := routing.Route(q, y, rules, now)
		if len(p.Short) > 0 {
			continue
		}
		o := Order{Question: q, Present: p.Assignments}
		q.Cause, q.PlanNo = "sweep", 2
		y.book(&o, o.Present, -1)
		orders = append(orders, o)
	}
	return orders
}

func (y *yard) book(o *Order, parts []*messages.Assignment, sign int64) {
	w := work{Order: *o}
	for _, a := range parts {
		for _, l := range a.Lines {
			y.add(w.sku(l.Line), a.Site, sign*l.Quantity)
		}
	}
}

func units(parts []*messages.Assignment) map[uint32]int64 {
	sum := map[uint32]int64{}
	for _, a := range parts {
		for _, l := range a.Lines {
			sum[l.Line] += l.Quantity
		}
	}
	return sum
}

// sold is a view whose stock is gone when it is asked again.
type sold struct {
	*yard
	asked map[string]bool
}

func (v sold) Stock(sku string) []routing.SiteStock {
	if v.asked[sku] {
		return nil
	}
	v.asked[sku] = true
	return v.yard.Stock(sku)
}

// TestProperties proves over drawn yards, rules and histories: never more units than there are, whichever group moves first; no order loses units,
// its promise or a parcel for nothing; the savings sum up and are above the thresholds; the input is not written; and the same input gives the
// same output, also when others write the view meanwhile.
func TestProperties(t *testing.T) {
	sets := []*routing.Rules{rulesOf(t, "builtin"), rulesOf(t, "default"), rulesOf(t, "cost"), rulesOf(t, "cheapest")}
	rapid.Check(t, func(t *rapid.T) {
		y := drawYard(t)
		rules := rapid.SampledFrom(sets).Draw(t, "rules")
		y.receive(t, 6)
		orders := drawOrders(t, y, rules)
		y.receive(t, 4)
		l := DefaultLimits()
		l.SavingMin, l.SavingPercentMin = rapid.Int64Range(0, 200).Draw(t, "min"), rapid.Int64Range(0, 20).Draw(t, "percent")
		l.RoutesMax = rapid.SampledFrom([]int{0, 3, 30, 10_000}).Draw(t, "routes")
		before := proto.Clone(&messages.OrderView{Movable: movables(orders)})
		r := Better(orders, y, rules, now, l)
		if again := Better(orders, y, rules, now, l); !reflect.DeepEqual(stripped(&r), stripped(&again)) {
			t.Fatalf("the same input gives\n%s\nand\n%s", show(orders, &r), show(orders, &again))
		}
		if meanwhile := Better(orders, sold{y, map[string]bool{}}, rules, now, l); !reflect.DeepEqual(stripped(&r), stripped(&meanwhile)) {
			t.Fatalf("while stock is sold\n%s\nand in a yard at rest\n%s", show(orders, &meanwhile), show(orders, &r))
		}
		if !proto.Equal(before, &messages.OrderView{Movable: movables(orders)}) {
			t.Fatal("the input was written")
		}
		if r.Routes > l.RoutesMax {
			t.Fatalf("%d calls of Route, at most %d are allowed", r.Routes, l.RoutesMax)
		}
		checkMoves(t, y, orders, rules, &r, l)
		checkGroups(t, orders, &r)
		checkStock(t, y, orders, &r)
	})
}

// checkGroups joins moves pair by pair, as long as it takes: those of one group need each other, those of two need nothing of each other.
func checkGroups(t *rapid.T, orders []Order, r *Result) {
	net := make([]map[string]int64, len(r.Moves))
	group := make([]int, len(r.Moves))
	for i, m := range r.Moves {
		net[i], group[i] = map[string]int64{}, i
		w := work{Order: orders[m.Order]}
		for sign, parts := range map[int64][]*messages.Assignment{1: m.To.Assignments, -1: m.From} {
			for _, a := range parts {
				for _, l := range a.Lines {
					net[i][w.sku(l.Line)+"@"+a.Site] += sign * l.Quantity
				}
			}
		}
	}
	for again := true; again; {
		again = false
		for i := range net {
			for j := range net {
				for bucket := range net[i] {
					if net[i][bucket] > 0 && net[j][bucket] < 0 && group[i] != group[j] {
						group[i] = min(group[i], group[j])
						group[j], again = group[i], true
					}
				}
			}
		}
	}
	for i := range net {
		for j := range net {
			if (group[i] == group[j]) != (r.Moves[i].Group == r.Moves[j].Group) {
				t.Fatalf("moves %d and %d: %s", i, j, show(orders, r))
			}
		}
	}
}

func movables(orders []Order) *messages.Movable {
	m := &messages.Movable{Question: &messages.PlanRequest{}}
	for _, o := range orders {
		m.Present = append(m.Present, o.Present...)
		m.Question.Needs = append(m.Question.Needs, o.Question.Needs...)
		m.Question.SitesUsed = append(m.Question.SitesUsed, o.Question.String())
	}
	return m
}

// stripped is a result without the pointers in it.
func stripped(r *Result) []string {
	list := []string{fmt.Sprint(r.Before, r.After, r.Compared, r.Routes, r.Cut, r.Card)}
	for _, m := range r.Moves {
		list = append(list, fmt.Sprint(m.Order, m.Before, m.After, m.Group, parts(m.From), parts(m.To.Assignments)))
	}
	return list
}

func checkMoves(t *rapid.T, y *yard, orders []Order, rules *routing.Rules, r *Result, l Limits) {
	scale := newScale(y, rules, now)
	saving, byGroup, cost := int64(0), map[int]int64{}, map[int]int64{}
	for i, m := range r.Moves {
		o := orders[m.Order]
		if i > 0 && r.Moves[i-1].Order >= m.Order {
			t.Fatal("an order moves twice, or moves are out of order")
		}
		if !reflect.DeepEqual(units(m.From), units(m.To.Assignments)) || len(m.To.Short) > 0 {
			t.Fatalf("%s had %s and gets %s", o.Question.OrderId, parts(m.From), parts(m.To.Assignments))
		}
		was, is := scale.measure(o.Question, m.From), scale.measure(o.Question, m.To.Assignments)
		if was.cost != m.Before || is.cost != m.After || is.arrives > was.arrives || is.parcels > was.parcels && is.cost >= was.cost {
			t.Fatalf("%s moves from %+v to %+v", o.Question.OrderId, was, is)
		}
		saving += m.Saving()
		byGroup[m.Group] += m.Saving()
		cost[m.Group] += m.Before
	}
	if saving != r.Saving() {
		t.Fatalf("the savings are %d, the joint saving is %d", saving, r.Saving())
	}
	for g, s := range byGroup {
		if s <= l.SavingMin || s <= 0 || s*100 <= cost[g]*l.SavingPercentMin {
			t.Fatalf("group %d saves %d of %d, the thresholds are %d and %d %%", g, s, cost[g], l.SavingMin, l.SavingPercentMin)
		}
	}
}

// checkStock moves group after group, from the last to the first: no bucket is ever short of units between two groups.
func checkStock(t *rapid.T, y *yard, orders []Order, r *Result) {
	groups := 0
	for _, m := range r.Moves {
		groups = max(groups, m.Group+1)
	}
	for g := groups - 1; g >= 0; g-- {
		for _, m := range r.Moves {
			if m.Group == g {
				y.book(&orders[m.Order], m.From, 1)
			}
		}
		for _, m := range r.Moves {
			if m.Group == g {
				y.book(&orders[m.Order], m.To.Assignments, -1)
			}
		}
		for _, sku := range skus {
			for _, id := range y.ids {
				if y.atp(sku, id) < 0 {
					t.Fatalf("after group %d %s@%s has %d", g, sku, id, y.atp(sku, id))
				}
			}
		}
	}
}

// TestNothingToGain proves that a yard whose orders all lie as Route would put them alone moves nothing, whatever the thresholds.
func TestNothingToGain(t *testing.T) {
	rules := rulesOf(t, "default")
	rapid.Check(t, func(t *rapid.T) {
		y := drawYard(t)
		for _, s := range y.sites {
			s.CostPerOrder, s.CostPerUnit, s.OpenMax = 100, 10, 0
		}
		y.receive(t, 1)
		for _, sku := range skus {
			for _, id := range y.ids {
				y.add(sku, id, 1000) // there is enough for everybody at the best place
			}
		}
		orders := drawOrders(t, y, rules)
		for i := range orders { // the same cause, so that nothing but the place could differ
			orders[i].Question.Cause = "placed"
		}
		l := DefaultLimits()
		l.SavingMin, l.SavingPercentMin = 0, 0
		if r := Better(orders, y, rules, now, l); r.Saving() != 0 || len(r.Moves) != 0 {
			t.Fatal(show(orders, &r))
		}
	})
}
