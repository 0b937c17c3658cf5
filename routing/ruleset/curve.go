package ruleset

// chord is a straight line that is never above a price list: base for a parcel, and so many millionths of a minor unit for each gram.
type chord struct {
	base, micro int64
	excess      int64 // how far the price of the whole order can lie above it
}

func (c *chord) above(grams int64) int64 { return mulDiv(max(grams, 0), c.micro, 1_000_000) }

// chordOf is the chord of a card for the site being judged. For a list of breaks it begins at the first price and is as steep as the break that
// is cheapest for its weight allows: the price just above a break is that of the next one. Beyond the last break full parcels cost at least
// as much for their weight.
func (r *Run) chordOf(k *card) (c chord) {
	zone, ok := r.zone(k)
	rate := k.rate(r.order.Service)
	if !ok || rate == nil {
		return c
	}
	var all int64
	for i := range r.order.Lines {
		if r.lineSKU[i] >= 0 {
			l := &r.order.Lines[i]
			each := k.UnitGrams
			if l.UnitGrams.Known {
				each = l.UnitGrams.Value
			}
			all = addSat(all, mulSat(each, min(l.Quantity, unitsMax)))
		}
	}
	row := &rate.Rows[zone]
	parcels := k.parcels(all)
	if len(row.Breaks) == 0 {
		c.base, c.micro = max(row.Fixed, 0), mulSat(max(row.PerKg, 0), 1000)
		c.excess = addSat(mulSat(parcels, c.base), addSat(mulDiv(all, max(row.PerKg, 0), 1000), 1))
		return c
	}
	c.base = row.Breaks[0]
	highest := int64(0)
	for i, price := range row.Breaks {
		highest = max(highest, price)
		c.base = min(c.base, price)
		if i == 0 {
			continue
		}
		if steep := mulDiv(price-row.Breaks[0], 1_000_000, max(k.Grams[i], 1)); i == 1 || steep < c.micro {
			c.micro = steep
		}
	}
	c.micro = max(c.micro, 0)
	c.excess = mulSat(addSat(parcels, 1), highest)
	return c
}

// Curve is the truth about a score that follows a price list, for what a candidate of the last Try gives in a plan: units by item. all says that it
// gives everything.
func (r *Run) Curve(k, candidate int, items []Item, units []int64, all bool) int64 {
	s := &r.rule.scores[k]
	r.stand(candidate)
	site := r.here.Site
	var grams, given, profit int64
	for n, u := range units {
		if u <= 0 {
			continue
		}
		times := u
		if items[n].Whole {
			times = 1
		}
		given = addSat(given, u)
		grams = addSat(grams, mulSat(r.gramsOf(s.card, &items[n]), times))
		if s.op == byMargin {
			profit = addSat(profit, mulSat(r.profitOf(&items[n]), times))
		}
	}
	if s.op == byCO2 {
		return s.card.emission(grams, r.here.DistanceM.Value)
	}
	var cost int64
	if !s.Bare {
		cost = addSat(max(site.CostPerOrder, 0), mulSat(site.CostPerUnit, given))
	}
	zone, _ := r.zone(s.card)
	price, _ := s.card.price(zone, r.order.Service, grams)
	cost = addSat(cost, price)
	if s.op == byCost && !all {
		cost = addSat(cost, s.Number)
	}
	return subSat(cost, profit)
}

// Scores are how many the rule of the last Try has, and Score describes one: its name, whether it decides here, and by penalty_sum its weight
// (points for each so many of its unit).
func (r *Run) Scores() int { return len(r.rule.scores) }

// Score describes a score of the rule of the last Try.
func (r *Run) Score(k int) (kind string, muted bool, weight, per int64) {
	s := &r.rule.scores[k]
	return s.Kind, r.mute&(1<<k) != 0, s.Weight, s.Per
}

// Rule is the rule of the last Try.
func (r *Run) Rule() *Rule { return r.rule.Rule }

// Levels is how many ranks of soft filters the rule of the last Try can drop, and Level how many are dropped.
func (r *Run) Levels() (level, levels int) { return r.level, r.rule.levels }
