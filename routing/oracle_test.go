package routing

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"orderyard/messages"
	"orderyard/routing/geo"
)

// oracle finds the best plan by trying every way to give every unit. It shares no code with the engine but the distance.
type oracle struct {
	req    *messages.PlanRequest
	net    *network
	rules  *Rules
	policy string
	cap    int
	have   map[string]map[string]int64 // SKU → site → units, after all filters
	need   map[string]int64
	total  int64
	groups []string
	single []string

	taken map[string]map[string]int64 // site → SKU → units
	units int64
	best  []int64
	sites []string
}

const oracleNow = 1_000_000

func trial(req *messages.PlanRequest, net *network, rules *Rules) *oracle {
	o := &oracle{req: req, net: net, rules: rules, policy: req.Partial, cap: int(req.SplitsLeft),
		have: map[string]map[string]int64{}, need: map[string]int64{}, taken: map[string]map[string]int64{}}
	if len(req.SitesUsed) > 0 {
		o.policy = partialShip
	} else if o.cap <= 0 {
		o.cap = int(rules.SplitsMax)
	}
	if o.policy == partialComplete {
		o.cap = 1
	}
	for _, n := range req.Needs {
		o.need[n.Sku] += n.Quantity
		o.total += n.Quantity
		if n.Group != "" && !slices.Contains(o.groups, n.Group) {
			o.groups = append(o.groups, n.Group)
		}
		if n.Group == "" && !slices.Contains(o.single, n.Sku) {
			o.single = append(o.single, n.Sku)
		}
	}
	for sku := range o.need {
		o.have[sku] = map[string]int64{}
		for id := range net.sites {
			o.have[sku][id] = o.offers(sku, id)
		}
	}
	o.tryGroups(0)
	return o
}

// offers applies the filters to one SKU at one site.
func (o *oracle) offers(sku, id string) int64 {
	s := o.net.sites[id]
	domestic := false
	for _, other := range o.net.sites {
		domestic = domestic || other.Country == o.req.ShipTo.Country
	}
	if s.Status != "online" || s.PausedUntil > oracleNow || domestic && s.Country != "" && s.Country != o.req.ShipTo.Country {
		return 0
	}
	for _, e := range o.req.Exclusions {
		if e.Site == id && (e.Sku == "" || e.Sku == sku) && (e.UntilMs == 0 || e.UntilMs > oracleNow) {
			return 0
		}
	}
	for _, n := range o.req.Needs {
		for _, l := range n.Labels {
			if n.Sku == sku && len(s.LabelsAllowed) > 0 && !slices.Contains(s.LabelsAllowed, l) {
				return 0
			}
		}
	}
	units, latest, told := max(o.net.atp(sku, id), 0), int64(0), int64(0)
	for _, k := range o.req.Known {
		if k.Site == id && k.Sku == sku && oracleNow-k.AtMs < 5000 && k.AtMs > latest {
			latest, told = k.AtMs, k.Atp
		}
	}
	if latest > 0 {
		units = min(units, told)
	}
	return units
}

func (o *oracle) give(site, sku string, units int64) {
	if o.taken[site] == nil {
		o.taken[site] = map[string]int64{}
	}
	o.taken[site][sku] += units
	o.units += units
}

func (o *oracle) tryGroups(i int) {
	if i == len(o.groups) {
		o.trySingles(0)
		return
	}
	o.tryGroups(i + 1)
	for _, site := range o.net.ids {
		fits := true
		wants := map[string]int64{}
		for _, n := range o.req.Needs {
			if n.Group == o.groups[i] {
				wants[n.Sku] += n.Quantity
			}
		}
		for sku, units := range wants {
			fits = fits && o.have[sku][site]-o.taken[site][sku] >= units
		}
		if !fits {
			continue
		}
		for sku, units := range wants {
			o.give(site, sku, units)
		}
		o.tryGroups(i + 1)
		for sku, units := range wants {
			o.give(site, sku, -units)
		}
	}
}

func (o *oracle) trySingles(i int) {
	if i == len(o.single) {
		o.judge()
		return
	}
	sku := o.single[i]
	var wants int64
	for _, n := range o.req.Needs {
		if n.Group == "" && n.Sku == sku {
			wants += n.Quantity
		}
	}
	spread := true
	for _, site := range o.net.ids {
		spread = spread && o.have[sku][site] < o.need[sku]
	}
	o.trySites(i, 0, wants, spread)
}

func (o *oracle) trySites(i, at int, wants int64, spread bool) {
	if at == len(o.net.ids) || wants == 0 {
		o.trySingles(i + 1)
		return
	}
	o.trySites(i, at+1, wants, spread)
	site, sku := o.net.ids[at], o.single[i]
	for units := int64(1); units <= min(wants, o.have[sku][site]-o.taken[site][sku]); units++ {
		o.give(site, sku, units)
		if spread {
			o.trySites(i, at+1, wants-units, spread)
		} else {
			o.trySingles(i + 1)
		}
		o.give(site, sku, -units)
	}
}

// judge compares one complete distribution with the best so far.
func (o *oracle) judge() {
	if o.units == 0 || o.policy != partialShip && o.units < o.total {
		return
	}
	var sites []string
	for _, id := range o.net.ids {
		var sum int64
		for _, units := range o.taken[id] {
			sum += units
		}
		if sum > 0 {
			sites = append(sites, id)
		}
	}
	key := keyOf(o.req, o.net, o.rules, sites, func(id string) int64 {
		var sum int64
		for _, units := range o.taken[id] {
			sum += units
		}
		return sum
	})
	if key[keySites] > int64(o.cap) || o.policy == partialComplete && len(sites) > 1 {
		return
	}
	if order := slices.Compare(key, o.best); o.best == nil || order < 0 || order == 0 && slices.Compare(sites, o.sites) < 0 {
		o.best, o.sites = key, sites
	}
}

func keyOf(req *messages.PlanRequest, net *network, rules *Rules, sites []string, units func(string) int64) []int64 {
	key := make([]int64, keys)
	key[keyParcels] = int64(len(sites))
	for _, id := range sites {
		s := net.sites[id]
		meters := geo.DistanceM(req.ShipTo.Lat, req.ShipTo.Lon, s.Lat, s.Lon)
		if !slices.Contains(req.SitesUsed, id) {
			key[keySites]++
		}
		key[keyUnits] -= units(id)
		key[keyDistance] += meters / max(rules.EqualWithinKm*1000, 1)
		key[keyMeters] += meters
		key[keyCost] += s.CostPerOrder + s.CostPerUnit*units(id)
		key[keyLoad] += s.OpenLoadPermille
	}
	return key
}

// drawNetwork makes a small network in which ties are frequent.
func drawNetwork(t *rapid.T, sites, stock int) *network {
	n := newNetwork()
	small := rapid.Int64Range(0, 2)
	for i := range rapid.IntRange(1, sites).Draw(t, "sites") {
		s := east("s"+string(rune('0'+i)), float64(small.Draw(t, "lon")))
		s.CostPerOrder, s.CostPerUnit, s.OpenLoadPermille = small.Draw(t, "per order"), small.Draw(t, "per unit"), small.Draw(t, "load")
		switch rapid.IntRange(0, 19).Draw(t, "kind") {
		case 0:
			s.Status = "suspended"
		case 1:
			s.PausedUntil = oracleNow + 1
		case 2:
			s.Country = "CA"
		case 3:
			s.Country = ""
		case 4:
			s.LabelsAllowed = []string{"food"}
		}
		n.addSite(s)
		for _, sku := range []string{"A", "B", "C"} {
			if units := rapid.IntRange(-1, stock).Draw(t, "stock"); units != 0 {
				n.setStock(sku, s.ID, int64(units))
			}
		}
	}
	return n
}

func drawRequest(t *rapid.T, n *network, lines int, quantity int64) *messages.PlanRequest {
	req := &messages.PlanRequest{ShipTo: at0(), Partial: rapid.SampledFrom([]string{"split", "complete_only", "ship_available"}).Draw(t, "partial"),
		SplitsLeft: rapid.Int32Range(0, 4).Draw(t, "splits_left")}
	site := rapid.SampledFrom(append([]string{"unknown"}, n.ids...))
	sku := rapid.SampledFrom([]string{"A", "B", "C"})
	for i := range rapid.IntRange(1, lines).Draw(t, "lines") {
		l := line(uint32(i), sku.Draw(t, "sku"), rapid.Int64Range(1, quantity).Draw(t, "quantity"))
		l.Group = rapid.SampledFrom([]string{"", "", "", "", "g", "h"}).Draw(t, "group")
		if rapid.IntRange(0, 9).Draw(t, "label") == 0 {
			l.Labels = []string{rapid.SampledFrom([]string{"food", "toxic"}).Draw(t, "which")}
		}
		req.Needs = append(req.Needs, l)
	}
	rare := rapid.SampledFrom([]int{0, 0, 0, 0, 1, 2})
	for range rare.Draw(t, "used") {
		req.SitesUsed = append(req.SitesUsed, site.Draw(t, "used site"))
	}
	for range rare.Draw(t, "exclusions") {
		e := &messages.Exclusion{Site: site.Draw(t, "excluded"), UntilMs: rapid.SampledFrom([]int64{0, oracleNow, oracleNow + 1}).Draw(t, "until")}
		e.Sku = rapid.SampledFrom([]string{"", "A", "B", "Z"}).Draw(t, "excluded sku")
		req.Exclusions = append(req.Exclusions, e)
	}
	for i := range rare.Draw(t, "known") {
		req.Known = append(req.Known, &messages.KnownStock{Site: site.Draw(t, "told by"), Sku: sku.Draw(t, "told of"),
			Atp: rapid.Int64Range(0, 3).Draw(t, "told"), AtMs: rapid.SampledFrom([]int64{oracleNow - 5000, oracleNow - 4999, oracleNow}).Draw(t, "at") - int64(i)})
	}
	return req
}

// TestAgainstOracle proves that plans are the best there are, by comparing the score vector and the sites with those of a search
// through every distribution, on small instances with all policies, groups, shared SKUs, labels, exclusions and used sites.
func TestAgainstOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		net := drawNetwork(t, 5, 3)
		req := drawRequest(t, net, 4, 3)
		rules := DefaultRules()
		rules.EqualWithinKm = rapid.SampledFrom([]int64{0, 0, 200}).Draw(t, "equal within")
		want := trial(req, net, rules)
		plan := Route(req, net, rules, oracleNow)
		if !plan.Decision.Exact {
			t.Fatalf("not exact: %v", plan)
		}
		var sites []string
		given := map[string]int64{}
		for _, a := range plan.Assignments {
			sites = append(sites, a.Site)
			for _, l := range a.Lines {
				given[a.Site] += l.Quantity
			}
		}
		if want.best == nil || sites == nil {
			if want.best != nil || sites != nil {
				t.Fatalf("got %v, want %v by %v", plan, want.best, want.sites)
			}
			return
		}
		slices.Sort(sites)
		got := keyOf(req, net, rules, sites, func(id string) int64 { return given[id] })
		compared := int(keys)
		if len(want.need) < len(req.Needs) {
			compared = keyCost // whole lines come before cost, which the oracle does not know
		}
		if !slices.Equal(got[:compared], want.best[:compared]) || compared == keys && !slices.Equal(sites, want.sites) {
			t.Fatalf("got %v by %v, want %v by %v\n%v", got, sites, want.best, want.sites, plan)
		}
	})
}
