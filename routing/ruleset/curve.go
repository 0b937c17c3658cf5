package ruleset

import (
	"math"
	"slices"
)

// chord is a straight line that is never above a price list: base for a parcel, and so many millionths of a minor unit for each gram.
type chord struct {
	base, micro int64
	excess      int64 // how far the price of the whole order can lie above it
}

func (c *chord) above(grams int64) int64 { return mulDiv(max(grams, 0), c.micro, 1_000_000) }

// chordOf is the chord of a card for the site being judged. A price by breaks holds up to its break, so the line has to stay below it there; beyond
// the last one full parcels cost at least as much for their weight.
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
	c.excess = mulSat(addSat(parcels, 1), slices.Max(row.Breaks))
	c.through(k.Grams, row.Breaks)
	return c
}

// through lays the chord through the first price at its break, as steep as all others allow. Where that would begin below zero it begins at
// zero instead.
func (c *chord) through(grams, prices []int64) {
	const flat = int64(math.MaxInt64)
	least := func(from int64, begin int64) (micro int64) {
		micro = flat
		for i, price := range prices {
			if grams[i] > from {
				micro = min(micro, mulDiv(max(price-begin, 0), 1_000_000, grams[i]-from))
			}
		}
		return micro
	}
	if c.micro = least(grams[0], prices[0]); c.micro == flat { // there is one break only
		c.micro = 0
	}
	c.base = prices[0] - divUp(mulSat(c.micro, grams[0]), 1_000_000)
	for i, price := range prices { // cheaper than the first one: the line lies flat below all
		if i > 0 && price < prices[0] {
			c.base, c.micro = slices.Min(prices), 0
		}
	}
	if c.base < 0 {
		c.base, c.micro = 0, least(0, 0)
	}
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

// FewestParts is the kind of the score that counts what a site does not give whole.
const FewestParts = scoreFewestParts

// AddsUp says that a kind of score adds up over the units of a plan, so that it may compare plans from one site otherwise than the sites.
func AddsUp(kind string) bool {
	return kind == scoreStockBalance || kind == scoreTurnover || kind == scoreExpiry
}

// Level is what a loss of a candidate counts in the objective of a plan from that site alone: see Terms for what is never negative.
func (r *Run) Level(k int, loss int64) int64 {
	switch r.rule.scores[k].op {
	case byFewestParts, byCost, byMargin, byCO2, byOpportunity:
		if loss == never {
			return r.last[k]
		}
		return loss
	}
	least, most := int64(math.MaxInt64), int64(math.MinInt64)
	for _, i := range r.ranking {
		if v := r.Losses(int(i))[k]; v != never {
			least, most = min(least, v), max(most, v)
		}
	}
	switch {
	case most == math.MinInt64:
		return 0
	case loss == never:
		loss = addSat(most, 1)
	}
	return subSat(loss, min(least, 0))
}

// Rule is the rule of the last Try.
func (r *Run) Rule() *Rule { return r.rule.Rule }
