package ruleset

import "math"

// Terms are what one score adds to a plan, as sums: something for each site that gives, and something for what it gives. Scores of one
// site alone are no sums in every kind; those of a plan are made so:
//
//   - what a score says of a site whatever it gives (distance, zone, delivery_time, workload, ranked, prefer_type, capacity, expr) is added
//     once for each site that gives. A score that prefers more counts from the best candidate on, so that no site is ever worth adding;
//   - fewest_parts adds, for each site, the lines it does not give whole: nothing for one site that gives everything, and for an order cut into
//     parts the lines times the further parts;
//   - stock_balance, turnover and expiry add up over the units given;
//   - cost, margin and co2 by a card follow its price list, which is no sum: these terms are then the best sums never above it, and
//     Curve tells the truth of a part;
//   - a site that comes last in a score adds more than any other one could, whatever it gives.
type Terms struct {
	Fixed []int64 // by candidate
	Alone []int64 // by candidate: added when it gives everything; nil = nothing
	Cost  []int64 // candidate × item: of a unit of a divisible item, of a whole item at once; nil = nothing
	Last  []bool  // by candidate: it comes last, and Curve says nothing of it
	Curve bool
	// Excess is how much a part may cost above the terms, at most.
	Excess int64
}

// Terms fills the terms of a score of the last Try, for the candidates that pass, in the order of list. Slices are reused.
func (r *Run) Terms(k int, list []int32, items []Item, t *Terms) {
	s := &r.rule.scores[k]
	t.Fixed, t.Curve, t.Excess = resize(t.Fixed, len(list)), false, 0
	alone, cost := t.Alone[:0], t.Cost[:0]
	t.Alone, t.Cost, t.Last = nil, nil, resize(t.Last, len(list))
	someLast := false
	for at, i := range list {
		t.Last[at] = r.Losses(int(i))[k] == never // its facts say nothing, or speak against it
		someLast = someLast || t.Last[at]
	}
	switch s.op {
	case byFewestParts, byCost, byMargin, byCO2, byOpportunity, byStockBalance, byTurnover, byExpiry:
		t.Cost = resize(cost, len(list)*len(items))
		clear(t.Cost)
	}
	amounts := s.op == byCost || s.op == byMargin || s.op == byCO2 || s.op == byOpportunity
	if s.op == byCost && s.Number > 0 || amounts && someLast {
		t.Alone = resize(alone, len(list))
		clear(t.Alone)
	}
	for at, i := range list {
		t.Fixed[at] = 0
		r.stand(int(i))
		var row []int64
		if t.Cost != nil {
			row = t.Cost[at*len(items) : (at+1)*len(items)]
		}
		if !t.Last[at] {
			r.terms(s, k, int(i), at, items, row, t)
		}
	}
	t.level(items)
	for at, i := range list {
		if amounts && t.Last[at] && r.verdicts[i].Short == 0 {
			t.Alone[at] = min(subSat(r.last[k], t.Fixed[at]), 0) // one parcel from there is compared with one from the worst other site
		}
	}
}

// terms fills one candidate's.
func (r *Run) terms(s *score, k, i, at int, items []Item, row []int64, t *Terms) {
	switch s.op {
	case byFewestParts:
		if !r.here.Used {
			t.Fixed[at] = r.open
		}
		for n := range items {
			if items[n].Whole {
				row[n] = -int64(len(items[n].Lines))
			}
		}
	case byCost, byMargin:
		r.costTerms(s, i, at, items, row, t)
	case byCO2:
		r.co2Terms(s, at, items, row, t)
	case byOpportunity, byStockBalance, byTurnover, byExpiry:
		for n := range items {
			row[n] = r.unitTerm(s, &items[n])
		}
	default:
		t.Fixed[at] = r.Losses(i)[k]
	}
}

// level makes what is added for a site never negative, and what one adds that comes last one more than any of the others can, whatever they give.
func (t *Terms) level(items []Item) {
	least, most := int64(math.MaxInt64), int64(math.MinInt64)
	for at, v := range t.Fixed {
		if !t.Last[at] {
			least, most = min(least, v), max(most, addSat(v, t.rowsMost(at, items)))
		}
	}
	if most == math.MinInt64 { // all come last
		clear(t.Fixed)
		return
	}
	base := min(least, 0)
	for at, v := range t.Fixed {
		if t.Last[at] {
			v = addSat(addSat(most, t.Excess), 1)
		}
		t.Fixed[at] = subSat(v, base)
	}
}

// rowsMost is the most that a candidate can add by what it gives.
func (t *Terms) rowsMost(at int, items []Item) (sum int64) {
	if t.Cost == nil {
		return 0
	}
	for n, c := range t.Cost[at*len(items) : (at+1)*len(items)] {
		if units := items[n].Quantity; c > 0 && !items[n].Whole {
			c = mulSat(c, units)
		}
		sum = addSat(sum, max(c, 0))
	}
	return sum
}

// unitTerm is what a unit of a divisible item, or a whole one at once, adds to a score that adds up over units.
func (r *Run) unitTerm(s *score, it *Item) (sum int64) {
	r.Parts(it, func(sku int32, units int64) {
		var stock Stock
		if int(sku) < len(r.here.Stock) {
			stock = r.here.Stock[sku]
		}
		var value int64
		switch s.op {
		case byOpportunity:
			value = stock.ShadowPrice.Value
		case byExpiry:
			value = stock.ExpiresDays.Value
		case byTurnover:
			value = s.turnover(&stock)
		case byStockBalance:
			value = negSat(stock.ATP)
			if it.Whole {
				value = addSat(value, units)
			}
		}
		if it.Whole {
			value = mulSat(value, units)
		}
		sum = addSat(sum, value)
	})
	return sum
}

// costTerms are the site's own costs and what stays below the card's prices.
func (r *Run) costTerms(s *score, i, at int, items []Item, row []int64, t *Terms) {
	site := r.here.Site
	fixed, perUnit := int64(0), int64(0)
	if !s.Bare {
		fixed, perUnit = site.CostPerOrder, site.CostPerUnit
	}
	if s.op == byCost && s.Number > 0 {
		fixed = addSat(fixed, s.Number)
		if r.verdicts[i].Short == 0 {
			t.Alone[at] = -s.Number
		}
	}
	var line chord
	if s.card != nil {
		line = r.chordOf(s.card)
		fixed = addSat(fixed, line.base)
		t.Curve = true
		t.Excess = max(t.Excess, line.excess)
	}
	t.Fixed[at] = max(fixed, 0)
	for n := range items {
		it := &items[n]
		units := int64(1)
		if it.Whole {
			units = it.Quantity
		}
		row[n] = mulSat(perUnit, units)
		if s.card != nil {
			row[n] = addSat(row[n], line.above(r.gramsOf(s.card, it)))
		}
		if s.op == byMargin {
			row[n] = subSat(row[n], r.profitOf(it))
		}
	}
}

// gramsOf is the weight of a unit of a divisible item, or of a whole one.
func (r *Run) gramsOf(c *card, it *Item) (grams int64) {
	for _, k := range it.Lines {
		l := &r.order.Lines[k]
		each := c.UnitGrams
		if l.UnitGrams.Known {
			each = l.UnitGrams.Value
		}
		if !it.Whole {
			if grams == 0 || each < grams { // lines of one SKU weigh alike; if they are said not to, the lightest is the bound
				grams = each
			}
			continue
		}
		grams = addSat(grams, mulSat(each, min(l.Quantity, unitsMax)))
	}
	return grams
}

// ValueOf is what so many units of an item are worth, in minor units; of a whole item all of them.
func (r *Run) ValueOf(it *Item, units int64) (value int64) {
	for at, k := range it.Lines {
		l := &r.order.Lines[k]
		if it.Whole {
			value = addSat(value, mulSat(l.UnitPrice, min(l.Quantity, unitsMax)))
		} else if each := mulSat(l.UnitPrice, units); at == 0 || each < value { // lines of one SKU cost alike; if not, the least counts
			value = each
		}
	}
	return value
}

// profitOf is what the units bring above what they cost to buy.
func (r *Run) profitOf(it *Item) (profit int64) {
	for _, k := range it.Lines {
		l := &r.order.Lines[k]
		each := subSat(l.UnitPrice, l.UnitCost.Value)
		if !it.Whole {
			return each
		}
		profit = addSat(profit, mulSat(each, min(l.Quantity, unitsMax)))
	}
	return profit
}

func (r *Run) co2Terms(s *score, at int, items []Item, row []int64, t *Terms) {
	t.Curve = true
	t.Fixed[at] = s.card.ParcelCO2
	perTonne := mulSat(max(r.here.DistanceM.Value, 0), s.card.TonneKmCO2)
	var all int64
	for n := range items {
		grams := r.gramsOf(s.card, &items[n])
		row[n] = mulDiv(perTonne, grams, 1_000_000_000)
		if !items[n].Whole {
			grams = mulSat(grams, items[n].Quantity)
		}
		all = addSat(all, grams)
	}
	t.Excess = max(t.Excess, addSat(s.card.emission(all, r.here.DistanceM.Value), 1))
}
