package ruleset_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"orderyard/routing/ruleset"
)

// tryRules has three soft filters of two ranks, a hard one, and two back-ups.
const tryRules = `
filters:
- {group: a, soft: true, rank: 5}
- {group: b, soft: true, rank: 2}
- group: {none: [x]}
- {group: c, soft: true, rank: 5}
- labels: site
- stock: any
scores: [workload]
backups: {sites: [S4, S1], domestic_first: true}
split: {splits_max: 9}
`

// drawn is a random order and network, small enough for a model that tries everything.
type drawn struct {
	order ruleset.Order
	sites []ruleset.Candidate
}

func draw(t *rapid.T) drawn {
	d := drawn{order: ruleset.Order{Country: "US"}}
	for i := range rapid.IntRange(1, 3).Draw(t, "lines") {
		l := ruleset.Line{ID: fmt.Sprint(i), SKU: rapid.SampledFrom([]string{"A", "B"}).Draw(t, "sku"), Quantity: rapid.Int64Range(0, 4).Draw(t, "quantity")}
		l.Group = rapid.SampledFrom([]string{"", "", "g"}).Draw(t, "group")
		if rapid.Bool().Draw(t, "labeled") {
			l.Labels = []string{"toxic"}
		}
		d.order.Lines = append(d.order.Lines, l)
	}
	for i := range 6 {
		s := &ruleset.Site{ID: fmt.Sprint("S", i), Country: rapid.SampledFrom([]string{"US", "CA"}).Draw(t, "country"), LoadPermille: ruleset.Known(int64(i))}
		for _, g := range []string{"a", "b", "c"} {
			if rapid.IntRange(0, 2).Draw(t, g) > 0 {
				s.Groups = append(s.Groups, g)
			}
		}
		if rapid.IntRange(0, 6).Draw(t, "x") == 0 {
			s.Groups = append(s.Groups, "x")
		}
		if rapid.Bool().Draw(t, "food only") {
			s.LabelsAllowed = []string{"food"}
		}
		c := ruleset.Candidate{Site: s}
		for range 2 {
			c.Stock = append(c.Stock, ruleset.Stock{ATP: rapid.Int64Range(-1, 6).Draw(t, "atp")})
		}
		d.sites = append(d.sites, c)
	}
	return d
}

// alone is what a site gives alone, by line, the dumb way: lines in order, a group all or nothing.
func (d *drawn) alone(c *ruleset.Candidate, skus []string) []int64 {
	left := map[string]int64{}
	for i, sku := range skus {
		left[sku] = max(c.Stock[i].ATP, 0)
	}
	mayGive := func(l *ruleset.Line) bool { return len(l.Labels) == 0 || len(c.Site.LabelsAllowed) == 0 }
	gives := make([]int64, len(d.order.Lines))
	groupDone := false
	for i := range d.order.Lines {
		l := &d.order.Lines[i]
		switch {
		case l.Quantity <= 0:
		case l.Group == "" && mayGive(l):
			gives[i] = min(l.Quantity, left[l.SKU])
			left[l.SKU] -= gives[i]
		case l.Group != "" && !groupDone:
			groupDone = true
			need, whole := map[string]int64{}, true
			for j := i; j < len(d.order.Lines); j++ {
				if m := &d.order.Lines[j]; m.Group == "g" && m.Quantity > 0 {
					need[m.SKU] += m.Quantity
					whole = whole && mayGive(m)
				}
			}
			for sku, units := range need {
				whole = whole && units <= left[sku]
			}
			for j := i; j < len(d.order.Lines) && whole; j++ {
				if m := &d.order.Lines[j]; m.Group == "g" && m.Quantity > 0 {
					gives[j] = m.Quantity
					left[m.SKU] -= m.Quantity
				}
			}
		}
	}
	return gives
}

// serves is what the sites that pass at a hardness have together: units, and whether that is everything.
func (d *drawn) serves(skus []string, needs []int64, level int, backups []string) (units int64, sites []string, full bool) {
	sums := map[string]int64{}
	for i := range d.sites {
		c := &d.sites[i]
		has := func(g string) bool { return slices.Contains(c.Site.Groups, g) }
		isBackup := c.Site.ID == "S4" || c.Site.ID == "S1"
		refused := level < 2 && (!has("a") || !has("c")) || level < 1 && !has("b") || has("x") || isBackup && !slices.Contains(backups, c.Site.ID)
		if refused {
			continue
		}
		gives, total := d.alone(c, skus), int64(0)
		for k, n := range gives {
			total += n
			sums[d.order.Lines[k].SKU] += n
		}
		if total > 0 {
			sites = append(sites, c.Site.ID)
		}
	}
	all := int64(0)
	for i, sku := range skus {
		all += needs[i]
		units += min(sums[sku], needs[i])
	}
	return units, sites, units == all
}

// TestTry proves that Try serves as much as can be and no softer than needed, against a model that tries every hardness in the order of
// the language: back-ups one by one, then a rank of soft filters less; and that single sites give what a dumb count gives.
func TestTry(t *testing.T) {
	c := compile(t, around(tryRules))
	var r ruleset.Run
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		r.Begin(c, &d.order, benchNow)
		if len(r.SKUs()) == 0 {
			return
		}
		for i := range d.sites {
			d.sites[i].Stock = d.sites[i].Stock[:len(r.SKUs())]
		}
		outcome := r.Try(0, 0, d.sites)
		turns := []string{"S4", "S1"}
		if d.sites[1].Site.Country == "US" && d.sites[4].Site.Country != "US" {
			turns = []string{"S1", "S4"}
		}
		best, bestLevel, bestSites, found := int64(-1), 0, []string(nil), false
		for level := 0; level <= 2 && !found; level++ {
			for n := 0; n <= 2 && !found; n++ {
				units, sites, full := d.serves(r.SKUs(), r.Needs(), level, turns[:n])
				if units > best {
					best, bestLevel, bestSites = units, level, sites
				}
				found = full
			}
		}
		want := map[bool]ruleset.Outcome{true: ruleset.Full, false: ruleset.Partial}[found]
		if best == 0 {
			want = ruleset.None
		}
		dropped := [][]int{nil, {1}, {0, 1, 3}}[bestLevel]
		var ranked []string
		for _, i := range r.Ranking() {
			ranked = append(ranked, d.sites[i].Site.ID)
			if want := d.alone(&d.sites[i], r.SKUs()); !slices.Equal(r.Gives(int(i)), want) {
				t.Fatalf("%s gives %v, want %v", d.sites[i].Site.ID, r.Gives(int(i)), want)
			}
		}
		slices.Sort(ranked)
		if outcome != want || r.Covered() != best || !slices.Equal(r.Dropped(), dropped) || !slices.Equal(ranked, bestSites) {
			t.Fatalf("%v %d units from %v without %v, want %v %d from %v without %v", outcome, r.Covered(), ranked, r.Dropped(), want, best, bestSites, dropped)
		}
		best = -1
		for _, i := range r.Ranking() { // more units first, then less load
			if v := r.Verdicts()[i]; best >= 0 && v.Units*10-int64(i) > best {
				t.Fatalf("ranking %v is not by units and load", r.Ranking())
			}
			best = r.Verdicts()[i].Units*10 - int64(i)
		}
	})
}

// TestLargeOrder proves that an order of 500 lines with 500 SKUs and groups is judged right where lookups go through a map.
func TestLargeOrder(t *testing.T) {
	c := compile(t, around("filters: [{stock: all}]\nscores: [distance]"))
	o, sites := shopper(500), network(3, 500)
	for i := range sites {
		for k := range sites[i].Stock {
			sites[i].Stock[k].ATP = 3
		}
	}
	for i := range o.Lines {
		o.Lines[i].Group = fmt.Sprint("g", i/2)
	}
	sites[1].Stock[499].ATP = 0
	var r ruleset.Run
	for range 2 {
		r.Begin(c, o, benchNow)
		r.Decide(sites)
		if len(r.SKUs()) != 500 || len(r.Ranking()) != 2 || r.Gives(0)[499] != o.Lines[499].Quantity {
			t.Fatalf("%d SKUs, ranking %v", len(r.SKUs()), r.Ranking())
		}
		r.Done()
	}
}
