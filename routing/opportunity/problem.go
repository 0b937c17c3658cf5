package opportunity

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"orderyard/routing"
	"orderyard/routing/ruleset"
	"orderyard/routing/shadow"
)

// item is a SKU of the problem.
type item struct {
	sku       string
	number    int     // in the problem; −1 = not in it
	demand    float64 // units within the horizon
	variance  float64
	stock     []routing.SiteStock
	total     int64   // of its stock
	least     int64   // that a site with stock has
	lasts     float64 // the share of the horizon that the stock of all sites lasts for
	scarce    bool
	mentioned bool
}

// part is orders of a flow that can be served in the same way: with these lines.
type part struct {
	place  *place
	lines  []Line
	orders float64 // within the horizon
}

// flows lists them by content and region, so that the same demand is always the same problem.
func (j *Job) flows() []*flow {
	list := make([]*flow, 0, len(j.in.Demand.flows))
	for _, f := range j.in.Demand.flows {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b *flow) int { return strings.Compare(a.key, b.key) })
	return list
}

func (j *Job) expected(f *flow) float64 {
	return float64(f.microPerDay) / shadow.Micro * float64(j.in.HorizonMs) / dayMs
}

// readItems adds up what is asked for of every SKU, and looks what there is.
func (j *Job) readItems(flows []*flow) map[string]*item {
	items := map[string]*item{}
	var orders float64
	for _, f := range flows {
		expected := j.expected(f)
		orders += expected
		for _, l := range f.lines {
			it := items[l.SKU]
			if it == nil {
				it = j.newItem(l.SKU)
				items[l.SKU] = it
			}
			units := float64(l.Quantity)
			it.demand += expected * units
			it.variance += expected * units * units
		}
	}
	for _, it := range items {
		it.lasts = 1
		if total := float64(it.total); total < it.demand {
			it.lasts = total / it.demand
		}
	}
	j.figures.OrdersMilli = int64(min(orders*1000, plenty))
	return items
}

func (j *Job) newItem(sku string) *item {
	it := &item{sku: sku, number: -1}
	for _, s := range j.in.View.Stock(sku) {
		site, ok := j.in.View.Site(s.Site)
		if !ok || site.Status != "online" || s.ATP <= 0 {
			continue
		}
		s.ATP = min(s.ATP, plenty)
		it.stock = append(it.stock, s)
		it.total += s.ATP
		if len(it.stock) == 1 || s.ATP < it.least {
			it.least = s.ATP
		}
	}
	return it
}

// choose marks the SKUs that get prices: those that some site could run out of, the scarcest first.
func (j *Job) choose(items map[string]*item) {
	var list []*item
	for _, it := range items {
		if len(it.stock) > 0 && float64(it.least) < it.demand {
			list = append(list, it)
		}
	}
	slices.SortFunc(list, func(a, b *item) int {
		return cmp.Or(cmp.Compare(b.demand*float64(a.total), a.demand*float64(b.total)), strings.Compare(a.sku, b.sku))
	})
	if cut := len(list) - j.p.o.SKUsMax; cut > 0 {
		j.figures.SkusCut = int64(cut)
		list = list[:j.p.o.SKUsMax]
	}
	for _, it := range list {
		it.scarce = true
	}
	j.figures.Skus = int64(len(list))
}

// served takes the flows apart by what will be left to ship. Whatever is there goes to whoever orders first, so a SKU that lasts for half of the
// horizon is in the orders of that half, and those that come later ship without it. What nothing scarce is in needs no prices.
func (j *Job) served(flows []*flow, items map[string]*item) (parts []part) {
	for _, f := range flows {
		lines := slices.Clone(f.lines)
		slices.SortStableFunc(lines, func(a, b Line) int { return cmp.Compare(items[a.SKU].lasts, items[b.SKU].lasts) })
		until, expected := 0.0, j.expected(f)
		for i, l := range lines {
			lasts := items[l.SKU].lasts
			if lasts <= until {
				continue
			}
			rest := slices.Clone(lines[i:])
			slices.SortFunc(rest, func(a, b Line) int { return strings.Compare(a.SKU, b.SKU) })
			if slices.ContainsFunc(rest, func(l Line) bool { return items[l.SKU].scarce }) {
				parts = append(parts, part{f.place, rest, expected * (lasts - until)})
			}
			until = lasts
		}
	}
	return parts
}

// readSites lists the sites that have something of what is asked for.
func (j *Job) readSites(parts []part, items map[string]*item) {
	has := map[string]bool{}
	for i := range parts {
		for _, l := range parts[i].lines {
			if it := items[l.SKU]; !it.mentioned {
				it.mentioned = true
				for _, s := range it.stock {
					has[s.Site] = true
				}
			}
		}
	}
	for _, id := range j.in.View.SiteIDs() {
		if has[id] {
			s, _ := j.in.View.Site(id)
			j.sites = append(j.sites, s)
		}
	}
	j.figures.Sites = int64(len(j.sites))
}

// cut keeps the parts with the most orders, as far as the limits allow; what is kept stands for the others too.
func (j *Job) cut(parts []part) []part {
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(b.orders, a.orders) })
	var all, some float64
	cells, keep := 0, len(parts)
	for i := range parts {
		all += parts[i].orders
		cells += len(parts[i].lines) * (len(j.sites) + 1)
		if keep == len(parts) && (i >= j.p.o.FlowsMax || cells > cellsMax) {
			keep = i
		}
		if i < keep {
			some = all
		}
	}
	j.figures.FlowsCut = int64(len(parts)-keep) + j.in.Demand.Cut
	for i := range parts[:keep] {
		parts[i].orders *= all / some
	}
	return parts[:keep]
}

// build writes the problem down: types, destinations with their costs, stock.
func (j *Job) build(parts []part, items map[string]*item) {
	types, places := map[string]int{}, map[*place]int{}
	p := &j.problem
	for i := range parts {
		f := &parts[i]
		key := string(flowKey(nil, "", "", f.lines))
		if _, known := types[key]; !known {
			types[key] = len(p.Types)
			p.Types = append(p.Types, j.typeOf(f.lines, items))
		}
		if _, known := places[f.place]; !known {
			places[f.place] = len(places)
		}
		expected := min(f.orders*shadow.Micro, expectedMax)
		p.Flows = append(p.Flows, shadow.Flow{Type: types[key], Destination: places[f.place], Expected: int64(expected)})
	}
	slices.SortStableFunc(p.Flows, func(a, b shadow.Flow) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Destination, b.Destination))
	})
	j.figures.Flows = int64(len(p.Flows))
	j.measure(places)
	j.supply()
}

func (j *Job) typeOf(lines []Line, items map[string]*item) []shadow.Line {
	out := make([]shadow.Line, len(lines))
	for i, l := range lines {
		it := items[l.SKU]
		if it.number < 0 {
			it.number = len(j.items)
			j.items = append(j.items, it)
		}
		out[i] = shadow.Line{Item: it.number, Quantity: l.Quantity}
	}
	return out
}

// measure says what parcels cost.
func (j *Job) measure(places map[*place]int) {
	r := newRuler(j.in.Rules, j.p.o.Costs)
	j.figures.Costs = r.name
	facts := make([]ruleset.Site, len(j.sites))
	for k, s := range j.sites {
		s.FactsAt(j.in.NowMs, &facts[k])
	}
	j.problem.Destinations = make([]shadow.Destination, len(places))
	var sum, n int64
	for at, number := range places {
		r.to(at)
		d := &j.problem.Destinations[number]
		d.Fixed, d.Unit = make([]int64, len(j.sites)), make([]int64, len(j.sites))
		for k, s := range j.sites {
			d.Fixed[k], d.Unit[k] = r.from(s, &facts[k], at)
			d.ShortFixed, d.ShortUnit = max(d.ShortFixed, 2*d.Fixed[k]), max(d.ShortUnit, 2*d.Unit[k])
			sum, n = sum+d.Fixed[k]/gainShare, n+1
		}
	}
	j.gain = sum / max(n, 1)
}

// supply says what there is, and how much of it is missing in total: of what is served, only by chance.
func (j *Job) supply() {
	p := &j.problem
	p.Sites, p.Items = len(j.sites), len(j.items)
	p.Stock, p.ShortMax = make([]int64, p.Sites*p.Items), make([]int64, p.Items)
	for i, it := range j.items {
		for _, s := range it.stock {
			k, found := slices.BinarySearchFunc(j.sites, s.Site, func(site *routing.Site, id string) int { return strings.Compare(site.ID, id) })
			if !found {
				continue
			}
			if p.Stock[k*p.Items+i] = s.ATP; !it.scarce {
				p.Stock[k*p.Items+i] = plenty
			}
		}
		if it.scarce {
			p.ShortMax[i] = int64(math.Ceil(min(short(it.demand*it.lasts, it.variance*it.lasts, float64(it.total)), plenty)))
		}
	}
}

// short is the mean of max(0, demand − units) for a demand that is nearly normal.
func short(mean, variance, units float64) float64 {
	deviation := math.Sqrt(variance)
	if deviation == 0 {
		return max(mean-units, 0)
	}
	z := (units - mean) / deviation
	density := math.Exp(-z*z/2) / math.Sqrt(2*math.Pi)
	return deviation * (density - z*math.Erfc(z/math.Sqrt2)/2)
}

// warm takes up the prices of the last time.
func (j *Job) warm() {
	p := &j.problem
	j.prices = make([]int64, (p.Sites+1)*p.Items)
	known := 0
	for i, it := range j.items {
		for k, s := range j.sites {
			price := j.p.last[bucket{it.sku, s.ID}]
			if j.prices[k*p.Items+i] = price; price > 0 {
				known++
			}
		}
		j.prices[p.Sites*p.Items+i] = j.p.last[bucket{sku: it.sku}]
	}
	if known > 0 {
		j.left = max(j.p.o.RoundsMax/warmShare, 1)
	}
}
