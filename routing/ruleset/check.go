package ruleset

import (
	"slices"
	"strings"
)

// check applies the rules of validity that no single value can break: names that must differ or be there, actions that must lead
// somewhere. Problems of form have been found before.
func (s *Set) check(p *problems) {
	s.checkFallback(p)
	names := map[string]bool{}
	for i := range s.Routes {
		r := &s.Routes[i]
		if r.Name != "" && names[r.Name] {
			p.complain(r.at, "is called %q like an earlier route", r.Name)
		}
		names[r.Name] = true
		r.check(p, i == len(s.Routes)-1)
		for j := range r.Rules {
			r.Rules[j].check(p, s, j == len(r.Rules)-1)
		}
	}
}

func (s *Set) checkFallback(p *problems) {
	var names []string
	for _, r := range s.Routes {
		names = append(names, r.Name)
	}
	i := slices.Index(names, s.Fallback)
	switch {
	case len(names) > 0 && (names[len(names)-1] == s.Fallback || names[len(names)-1] == ""):
	case len(p.found) > 0 && (s.Fallback == "" || len(s.Routes) == 0): // the reader has said what is missing
	case len(s.Routes) == 0:
		p.complain(s.at, "has no route: no order could be routed")
	case i < 0:
		p.complain(s.fallbackAt, "names %q, which is no route%s", s.Fallback, didYouMean(s.Fallback, names))
	case i < len(names)-1:
		p.complain(s.fallbackAt, "names %q, which is not the last route: no order would ever reach those behind it", s.Fallback)
	}
}

func (r *Route) check(p *problems, fallback bool) {
	switch {
	case fallback && r.When.Text != "":
		p.complain(r.When.at, "stands at the fallback, which takes every order; leave it out")
	case fallback && r.Active != Active{}:
		p.complain(r.at, "is the fallback, which must always be there: no enabled, active_from or active_to")
	case !fallback && r.When == Expr{}:
		p.complain(r.at, "needs the key when; only the fallback takes every order")
	}
	if len(r.Rules) == 0 {
		p.complain(r.at, "has no rule: its orders would go nowhere")
	}
	names := map[string]bool{}
	for i := range r.Rules {
		rule := &r.Rules[i]
		if rule.Name != "" && names[rule.Name] {
			p.complain(rule.at, "is called %q like an earlier rule of the route", rule.Name)
		}
		names[rule.Name] = true
	}
	if n := len(r.Rules); n > 0 && r.Rules[n-1].Active != (Active{}) {
		p.complain(r.Rules[n-1].at, "is the last rule of its route, which must always be there: no enabled, active_from or active_to")
	}
	by := map[string]bool{}
	for _, sort := range r.Sorts {
		if by[sort.By] && sort.By != "" {
			p.complain(r.at, "sorts by %s twice", sort.By)
		}
		by[sort.By] = true
	}
}

// waitingOrder is how a node routes waiting orders, whatever the rules say; the rest of ties falls to the same.
var waitingOrder = []string{sortPriority, sortShipBy, sortPlacedAt}

// NotYet are the places where the set asks for what is checked and tested, but what no node does: sorts other than the order in which waiting orders are
// routed in any case.
func (s *Set) NotYet() []Problem {
	p := &problems{source: s.source}
	for i := range s.Routes {
		r := &s.Routes[i]
		for k := range r.Sorts {
			if k == len(waitingOrder) || r.Sorts[k].By != waitingOrder[k] {
				p.complain(r.sortsAt, "is not applied yet: waiting orders are routed by %s and id", strings.Join(waitingOrder, ", "))
				break
			}
		}
	}
	return p.sorted()
}

func (r *Rule) check(p *problems, s *Set, last bool) {
	for i := range r.Scores {
		score := &r.Scores[i]
		if score.Card == "" {
			continue
		}
		at := slices.IndexFunc(s.Cards, func(c Card) bool { return c.Name == score.Card })
		if at < 0 {
			var names []string
			for _, c := range s.Cards {
				names = append(names, c.Name)
			}
			p.complain(score.at, "names %q, which is no card%s", score.Card, didYouMean(score.Card, names))
			continue
		}
		score.checkCard(p, &s.Cards[at])
	}
	r.checkOrder(p)
	r.Actions.check(p, r.at, last)
}

// checkCard complains about a card that cannot answer what the score asks.
func (s *Score) checkCard(p *problems, c *Card) {
	timeless := slices.ContainsFunc(c.Zones, func(z Zone) bool { return !z.Hours.Known })
	switch {
	case (s.Kind == scoreCost || s.Kind == scoreMargin) && len(c.Rates) == 0:
		p.complain(s.at, "needs prices, but card %s has no rates", c.Name)
	case (s.Kind == scoreDeliveryTime || s.Promise) && timeless:
		p.complain(s.at, "needs times, but a zone of card %s has no hours", c.Name)
	case s.Kind == scoreCO2 && c.ParcelCO2 == 0 && c.TonneKmCO2 == 0:
		p.complain(s.at, "needs emissions, but card %s has no co2", c.Name)
	}
}

// checkOrder complains about filters that a later one would make wrong: what a filter takes from the stock must be known to those
// that count it.
func (r *Rule) checkOrder(p *problems) {
	counted := ""
	for i := range r.Filters {
		f := &r.Filters[i]
		switch f.Kind {
		case filterStock, filterShipThreshold:
			counted = f.Kind
		case filterSafetyStock, filterWeeksOfSupply, filterLabels, filterKeepTogether:
			if counted != "" {
				p.complain(f.at, "must stand before %s, which counts what it leaves", counted)
			}
		}
	}
}

// check: full assigns; partial may assign what there is and says what becomes of the rest; none says what becomes of everything.
func (a *Actions) check(p *problems, rule At, last bool) {
	a.checkList(p, a.Full, "full", last)
	a.checkList(p, a.Partial, "partial", last)
	a.checkList(p, a.None, "none", last)
}

func (a *Actions) checkList(p *problems, list []Action, outcome string, last bool) {
	assigns, goes, cancels := 0, 0, 0
	for i := range list {
		at := list[i].at
		switch list[i].Do {
		case "":
			return // has been complained about
		case AssignOne, AssignMany:
			if assigns++; assigns == 2 {
				p.complain(at, "assigns a second time")
			}
			if outcome == "none" {
				p.complain(at, "assigns what is not there")
			}
		case CancelAfterDays, ClearCancel:
			if cancels++; cancels == 2 {
				p.complain(at, "says a second time when to cancel")
			}
		default:
			if goes++; goes == 2 {
				p.complain(at, "sends the units a second way")
			}
			if outcome == "full" && assigns > 0 {
				p.complain(at, "leaves nothing for %s: full assigns everything", list[i].Do)
			}
			if list[i].Do == NextRule && last {
				p.complain(at, "stands in the last rule of the route; say what becomes of the units: backorder, hold, move_to_queue or customer_care")
			}
		}
	}
	if len(list) == 0 {
		return
	}
	switch {
	case outcome == "full" && assigns == 0:
		p.complain(list[0].at, "must assign: assign_one or assign_many")
	case outcome != "full" && goes == 0:
		p.complain(list[0].at, "must say what becomes of the units: next_rule, backorder, hold, move_to_queue or customer_care")
	}
}
