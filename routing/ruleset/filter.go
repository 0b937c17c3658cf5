package ruleset

import "slices"

// said is what a filter answers.
type said uint8

const (
	yes said = iota
	no
	silent // a fact is missing
)

// judge asks the filters of the rule about one candidate, in the order written, until one says no. Filters that keep stock back
// lower the caps that later ones count.
func (r *Run) judge(i int) {
	r.stand(i)
	v := &r.verdicts[i]
	*v = Verdict{Failed: Passed, Backup: v.Backup}
	caps := r.Caps(i)
	for k := range caps {
		caps[k] = 0
		if k < len(r.here.Stock) {
			caps[k] = max(r.here.Stock[k].ATP, 0)
		}
		if r.plenty {
			caps[k] = r.needs[k]
		}
	}
	blocked := r.Blocked(i)
	clear(blocked)
	for k := range r.rule.filters {
		f := &r.rule.filters[k]
		if r.dropped(f) || r.plenty && f.counts() {
			continue
		}
		switch r.test(f, k) {
		case no:
			v.Failed = int32(k)
			return
		case silent:
			v.Abstained |= 1 << k
		}
	}
	given := r.give()
	v.Units, v.Short = given.units, given.short
	least := r.rule.Split.PartValueMin
	switch {
	case given.units == 0 && r.all.units > 0:
		v.Failed = FailedStock
	case least > 0 && given.short > 0 && (given.value < least || r.all.value-given.value < least):
		v.Failed = FailedValue
	}
}

// stand turns to a candidate.
func (r *Run) stand(i int) {
	r.at, r.here, r.fresh, r.mode = i, &r.candidates[i], false, r.rule.mode
}

// counts says that the filter is about stock.
func (f *filter) counts() bool {
	switch f.op {
	case opStock, opSafetyStock, opWeeksOfSupply, opShipThreshold, opKeepTogether:
		return true
	}
	return false
}

func verdict(ok bool) said {
	if ok {
		return yes
	}
	return no
}

// test asks one filter about the site being judged.
func (r *Run) test(f *filter, index int) said {
	s := r.here.Site
	switch f.op {
	case opStock:
		return verdict(r.inStock(f.Words[0]))
	case opSafetyStock, opWeeksOfSupply:
		return r.keepBack(f)
	case opKeepTogether:
		return r.keepTogether(f)
	case opShipThreshold:
		return verdict(r.give().value >= f.Number)
	case opPreselected:
		return verdict(len(r.order.Preselected) == 0 || slices.Contains(r.order.Preselected, s.ID))
	case opLabels:
		return r.testLabels(f)
	case opExpr:
		return r.testExpr(f, index)
	case opWithinKm:
		if !r.here.DistanceM.Known {
			return silent
		}
		return verdict(r.here.DistanceM.Value <= f.Number*1000)
	case opCountry:
		return r.testCountry(f, s)
	case opMarket:
		return r.testMarket(f, s)
	case opCarrier:
		return r.testCarrier(f, s)
	case opGroup, opBusinessType:
		return verdict(f.testGroup(s))
	}
	return r.testCapacity(f, s)
}

func (f *filter) testGroup(s *Site) bool {
	if f.op == opBusinessType {
		return slices.Contains(f.Words, s.Type)
	}
	for _, g := range f.All {
		if !slices.Contains(s.Groups, g) {
			return false
		}
	}
	return (len(f.Words) == 0 || overlap(f.Words, s.Groups)) && !overlap(f.None, s.Groups)
}

func overlap(a, b []string) bool {
	for _, x := range a {
		if slices.Contains(b, x) {
			return true
		}
	}
	return false
}

// testCapacity asks the kinds about how busy a site is and when it works.
func (r *Run) testCapacity(f *filter, s *Site) said {
	margin := f.Number * 60_000
	switch f.op {
	case opOrderLimit:
		most := s.OrderLimit
		if f.Number > 0 && (!most.Known || f.Number < most.Value) {
			most = Known(f.Number)
		}
		if !most.Known || !s.OrdersInWindow.Known {
			return silent
		}
		return verdict(s.OrdersInWindow.Value < most.Value)
	case opPickCapacity:
		if !s.CapacityLeft.Known {
			return silent
		}
		return verdict(s.CapacityLeft.Value >= f.Number)
	case opSameDay:
		if !s.SameDayUntil.Known {
			return silent
		}
		return verdict(r.now+margin <= s.SameDayUntil.Value)
	case opOpenNow:
		if !s.OpenUntil.Known {
			return silent
		}
		return verdict(r.now+margin < s.OpenUntil.Value)
	}
	return silent
}

func (r *Run) testCountry(f *filter, s *Site) said {
	switch {
	case s.Country == "":
		return silent // it names no country and serves every one
	case f.Words[0] != wordDestination:
		return verdict(slices.Contains(f.Words, s.Country))
	case r.order.Country == "":
		return silent
	}
	return verdict(s.Country == r.order.Country)
}

func (r *Run) testMarket(f *filter, s *Site) said {
	switch {
	case len(s.Markets) == 0:
		return silent // it names no market and serves every one
	case f.Words[0] != wordOrder:
		return verdict(overlap(f.Words, s.Markets))
	case r.order.Market == "":
		return silent
	}
	return verdict(slices.Contains(s.Markets, r.order.Market))
}

func (r *Run) testCarrier(f *filter, s *Site) said {
	if len(s.Carriers) == 0 {
		return silent
	}
	for i := range s.Carriers {
		c := &s.Carriers[i]
		serves := c.Service == "" || r.order.Service == "" || c.Service == r.order.Service
		if serves && (f.Words[0] == wordAny || slices.Contains(f.Words, c.Name)) {
			return yes
		}
	}
	return no
}

func (r *Run) inStock(word string) bool {
	given := r.give()
	switch word {
	case wordAll:
		return given.short == 0
	case wordLine:
		return given.short < r.open
	}
	return given.units > 0
}

// keepBack lowers the caps by what must stay at the site: units, a share, or weeks of its own demand. It says no when that leaves
// nothing of something that was there.
func (r *Run) keepBack(f *filter) said {
	caps := r.Caps(r.at)
	before, after, answer := false, false, yes
	for k := range caps {
		keep := f.Number
		if f.op == opWeeksOfSupply {
			if k >= len(r.here.Stock) || !r.here.Stock[k].SoldMilli.Known {
				keep, answer = 0, silent
			} else {
				keep = divUp(max(mulSat(f.Number, r.here.Stock[k].SoldMilli.Value), 0), 1000)
			}
		} else if f.Percent > 0 {
			keep = max(keep, divUp(mulSat(caps[k], f.Percent), 100))
		}
		before = before || caps[k] > 0
		caps[k] = max(caps[k]-keep, 0)
		after = after || caps[k] > 0
	}
	r.fresh = false
	if before && !after {
		return no
	}
	return answer
}

// keepTogether says no when the site has something, but nothing that may go alone.
func (r *Run) keepTogether(f *filter) said {
	m := r.mode | f.together()
	if m == r.mode {
		return yes
	}
	before := r.give().units
	r.mode, r.fresh = m, false
	return verdict(before == 0 || r.give().units > 0)
}

// testLabels blocks the lines whose labels the site must not serve, and says no when it blocks all of them.
func (r *Run) testLabels(f *filter) said {
	blocked, free, before := r.Blocked(r.at), false, false
	for i := range r.order.Lines {
		if r.lineSKU[i] < 0 {
			continue
		}
		before = before || !blocked[i]
		if !blocked[i] && f.forbidden(&r.order.Lines[i], r.here.Site) != "" {
			blocked[i], r.fresh, r.blocks = true, false, true
		}
		free = free || !blocked[i]
	}
	return verdict(free || !before)
}

// forbidden is the first label of a line that keeps it from a site; "" = none.
func (f *filter) forbidden(l *Line, s *Site) string {
	for _, label := range l.Labels {
		if len(f.Labels) == 0 {
			if len(s.LabelsAllowed) > 0 && !slices.Contains(s.LabelsAllowed, label) {
				return label
			}
			continue
		}
		for i := range f.Labels {
			p := &f.Labels[i]
			if p.Label == label && !slices.Contains(p.Sites, s.ID) && !overlap(p.Groups, s.Groups) {
				return label
			}
		}
	}
	return ""
}

// testExpr asks CEL. What needs a fact that nobody told abstains; what fails otherwise, at its cost limit for one, says no.
func (r *Run) testExpr(f *filter, index int) said {
	a := r.askFilter(f, index)
	switch {
	case a.unknown():
		return silent
	case a.err != nil:
		return no
	}
	return verdict(a.number != 0)
}

// askFilter asks once for each order what is not about the site.
func (r *Run) askFilter(f *filter, index int) answer {
	if f.expr.perSite {
		return f.expr.ask(r)
	}
	if !r.ready[index] {
		r.asked[index], r.ready[index] = f.expr.ask(r), true
	}
	return r.asked[index]
}
