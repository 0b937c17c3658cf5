package ruleset

import (
	"math"
	"slices"
)

// hourMs is an hour.
const hourMs = 60 * 60 * 1000

// never is the loss of what comes last whatever the others are.
const never = math.MaxInt64

// rate computes the scores of a candidate that passed.
func (r *Run) rate(i int) {
	r.stand(i)
	r.remember(i)
	v, losses := &r.verdicts[i], r.Losses(i)
	for k := range r.rule.scores {
		s := &r.rule.scores[k]
		loss, ok := r.loss(s, len(r.rule.filters)+k)
		if !ok {
			v.Unscored |= 1 << k
			loss = never
		}
		losses[k] = loss
	}
}

// remember takes up what the site gives, which judge has found out.
func (r *Run) remember(i int) {
	r.fresh = true
	if r.verdicts[i].Short == 0 {
		r.given = r.all
		return
	}
	r.given = totals{short: r.verdicts[i].Short, weighed: true, costed: true}
	for k, units := range r.Gives(i) {
		if units > 0 {
			r.given.add(&r.order.Lines[k], units)
		}
	}
}

// Rescore computes the scores of a candidate that passes for another allocation: units of each line, as one part of a split plan. The
// candidate's Gives, Losses and Penalty are those of the part from then on; its place in Ranking stays. Scores of the parts of a plan
// add up; cost counts its split penalty once for each part that is not the whole order.
func (r *Run) Rescore(candidate int, units []int64) []int64 {
	v := &r.verdicts[candidate]
	gives := r.Gives(candidate)
	v.Units, v.Short, v.Unscored = 0, 0, 0
	for k := range gives {
		gives[k] = 0
		if r.lineSKU[k] < 0 {
			continue
		}
		gives[k] = min(max(units[k], 0), r.order.Lines[k].Quantity, unitsMax)
		v.Units += gives[k]
		if gives[k] < r.order.Lines[k].Quantity {
			v.Short++
		}
	}
	r.rate(candidate)
	if r.rule.Reducer == PenaltySum {
		v.Penalty = r.penalty(candidate)
	}
	return r.Losses(candidate)
}

// loss is the value of one score for the site being judged; lower is better. It is false when a fact is missing.
func (r *Run) loss(s *score, index int) (int64, bool) {
	site := r.here.Site
	switch s.op {
	case byDistance:
		return r.here.DistanceM.Value / max(s.Number*1000, 1), r.here.DistanceM.Known
	case byCost:
		cost, ok := r.cost(s)
		if r.given.short > 0 {
			cost = addSat(cost, s.Number)
		}
		return cost, ok
	case byDeliveryTime:
		at, ok := r.arrival(s)
		return divUp(max(subSat(at, r.now), 0), hourMs) / max(s.Number, 1), ok
	case byWorkload:
		return site.LoadPermille.Value / max(s.Number, 1), site.LoadPermille.Known
	case byStockBalance:
		return r.balance(), true
	case byTurnover:
		return r.promised(s, r.turnover)
	case byExpiry:
		return r.promised(s, r.expiry)
	case byRanked:
		return r.position(s)
	case byZone:
		zone, ok := r.zone(s.card)
		return int64(zone), ok
	case byPreferType:
		return int64(indexOr(s.Words, site.Type)), true
	case byFewestParts:
		return r.given.short, true
	case byCapacity:
		return negSat(site.CapacityLeft.Value), site.CapacityLeft.Known
	case byCO2:
		grams, ok := r.grams(s.card)
		return s.card.emission(grams, r.here.DistanceM.Value), ok && r.here.DistanceM.Known
	case byMargin:
		cost, ok := r.cost(s)
		return subSat(addSat(cost, r.given.cost), r.given.value), ok && r.given.costed
	case byOpportunity:
		return r.opportunity()
	}
	a := r.askScore(s, index)
	if s.High {
		a.number = negSat(a.number)
	}
	return a.number, a.err == nil
}

func (r *Run) askScore(s *score, index int) answer {
	if s.expr.perSite {
		return s.expr.ask(r)
	}
	if !r.ready[index] {
		r.asked[index], r.ready[index] = s.expr.ask(r), true
	}
	return r.asked[index]
}

func indexOr(list []string, s string) int {
	if i := slices.Index(list, s); i >= 0 {
		return i
	}
	return len(list)
}

// lanesOf finds the prefixes that fit the destination once for each order and card.
func (r *Run) lanesOf(k *card) []lane {
	if !r.laned[k.index] {
		r.lanes[k.index], r.laned[k.index] = k.lanesTo(r.lanes[k.index][:0], r.order), true
	}
	return r.lanes[k.index]
}

func (r *Run) zone(k *card) (int32, bool) {
	return k.zone(r.lanesOf(k), r.here.Site, r.here.DistanceM)
}

// grams is the weight of what the site gives; units nobody weighed count what the card assumes.
func (r *Run) grams(k *card) (int64, bool) {
	if r.given.weighed {
		return r.given.grams, true
	}
	if k.UnitGrams == 0 {
		return 0, false
	}
	grams := r.given.grams
	for i, units := range r.Gives(r.at) {
		if units > 0 && !r.order.Lines[i].UnitGrams.Known {
			grams = addSat(grams, mulSat(units, k.UnitGrams))
		}
	}
	return grams, true
}

// cost is what carrier and site ask for what the site gives, in minor units.
func (r *Run) cost(s *score) (int64, bool) {
	var cost int64
	if !s.Bare {
		cost = addSat(r.here.Site.CostPerOrder, mulSat(r.here.Site.CostPerUnit, r.given.units))
	}
	if s.card == nil {
		return cost, true
	}
	zone, ok := r.zone(s.card)
	grams, weighed := r.grams(s.card)
	if !ok || !weighed {
		return 0, false
	}
	price, ok := s.card.price(zone, r.order.Service, grams)
	return addSat(cost, price), ok
}

// arrival is when the parcel would be there, in Unix milliseconds.
func (r *Run) arrival(s *score) (int64, bool) {
	zone, ok := r.zone(s.card)
	if !ok || !r.here.Site.DispatchAt.Known {
		return 0, false
	}
	return addSat(r.here.Site.DispatchAt.Value, s.card.Zones[zone].Hours.Value*hourMs), true
}

// promised asks a score only of sites that keep the promise; the others come last.
func (r *Run) promised(s *score, ask func(s *score) (int64, bool)) (int64, bool) {
	if s.Promise && r.order.DeliverBy.Known {
		at, ok := r.arrival(s)
		if !ok {
			return 0, false
		}
		if at > r.order.DeliverBy.Value {
			return never, true
		}
	}
	return ask(s)
}

// givenOf adds up what the site gives of each SKU.
func (r *Run) givenOf() []int64 {
	r.want = resize(r.want, len(r.skus))
	clear(r.want)
	for i, units := range r.Gives(r.at) {
		if units > 0 {
			r.want[r.lineSKU[i]] += units
		}
	}
	return r.want
}

// balance is the least stock that would remain of a SKU the site gives, negated: more is better.
func (r *Run) balance() int64 {
	least := int64(math.MaxInt64)
	for k, units := range r.givenOf() {
		if units > 0 && k < len(r.here.Stock) {
			least = min(least, subSat(r.here.Stock[k].ATP, units))
		}
	}
	return negSat(least)
}

// supplyMax is the weeks of supply, in thousandths, of what nobody buys: ten years.
const supplyMax = 520 * 1000

// turnover is the mean over the units given: thousandths of weeks the stock lasts and days it has been there, negated for more is
// better; or thousandths of units sold in a week.
func (r *Run) turnover(s *score) (int64, bool) {
	var sum, n int64
	for k, units := range r.givenOf() {
		if units == 0 {
			continue
		}
		if k >= len(r.here.Stock) {
			return 0, false
		}
		stock := &r.here.Stock[k]
		if s.By == wordAge && !stock.AgeDays.Known || s.By != wordAge && !stock.SoldMilli.Known {
			return 0, false
		}
		sum, n = addSat(sum, mulSat(s.turnover(stock), units)), n+units
	}
	return sum / max(n, 1), true
}

// turnover is that of a unit of stock.
func (s *score) turnover(stock *Stock) int64 {
	switch {
	case s.By == wordAge:
		return negSat(stock.AgeDays.Value)
	case s.By == wordSold:
		return stock.SoldMilli.Value
	case stock.SoldMilli.Value <= 0:
		return -supplyMax
	}
	return -min(mulDiv(stock.ATP, 1_000_000, stock.SoldMilli.Value), supplyMax)
}

// expiry is the days until the first of what the site gives expires: what expires first goes first.
func (r *Run) expiry(*score) (int64, bool) {
	first := int64(never)
	for k, units := range r.givenOf() {
		if units == 0 {
			continue
		}
		if k >= len(r.here.Stock) || !r.here.Stock[k].ExpiresDays.Known {
			return 0, false
		}
		first = min(first, r.here.Stock[k].ExpiresDays.Value)
	}
	return first, true
}

// position is the site's place in a list of sites; those that are not in it come after it.
func (r *Run) position(s *score) (int64, bool) {
	if s.Label != "" && !r.carries(s.Label) {
		return 0, true
	}
	list := s.Words
	switch s.By {
	case wordOrder:
		list = r.order.RankedSites
	case wordChannel:
		list = r.order.ChannelSites
	}
	return int64(indexOr(list, r.here.Site.ID)), len(list) > 0
}

func (r *Run) carries(label string) bool {
	for i := range r.order.Lines {
		if r.lineSKU[i] >= 0 && slices.Contains(r.order.Lines[i].Labels, label) {
			return true
		}
	}
	return false
}

// opportunity is what the units given are worth to orders yet to come.
func (r *Run) opportunity() (int64, bool) {
	var sum int64
	for k, units := range r.givenOf() {
		if units == 0 {
			continue
		}
		if k >= len(r.here.Stock) || !r.here.Stock[k].ShadowPrice.Known {
			return 0, false
		}
		sum = addSat(sum, mulSat(r.here.Stock[k].ShadowPrice.Value, units))
	}
	return sum, true
}
