package ruleset

import (
	"cmp"
	"slices"
	"strings"
)

// Decision is where the rules alone lead an order, with candidates taken one by one.
type Decision struct {
	Match   Match
	Tried   []Tried // the rules asked, in order; the last one decided
	Outcome Outcome
	Actions []Action
	Winner  string // the site that serves everything alone; "" = none does, the optimizer must split or there is not enough
	WaitAt  string // with back-ups: where units wait that nobody has
}

// Tried is what one rule could do.
type Tried struct {
	Rule    string
	Index   int
	Outcome Outcome
	Covered int64
	Dropped []int
}

// Decide finds the route and tries its rules until one does not send the order on. What an earlier rule assigned of an order is not
// taken off here: a rule that assigns a part and sends the rest on is where Decide stops, as the rest is another question. The run
// then holds what the last rule said.
func (r *Run) Decide(candidates []Candidate) Decision {
	d := Decision{Match: r.Route()}
	for _, i := range r.RulesOf(d.Match.Route) {
		d.WaitAt = r.WaitAt(d.Match.Route, i, candidates)
		d.Outcome = r.Try(d.Match.Route, i, candidates)
		d.Actions = r.rule.Actions.For(d.Outcome)
		d.Tried = append(d.Tried, Tried{r.rule.Name, i, d.Outcome, r.covered, r.Dropped()})
		if !does(d.Actions, NextRule) || does(d.Actions, AssignOne) || does(d.Actions, AssignMany) {
			break
		}
	}
	if len(r.ranking) > 0 && r.verdicts[r.ranking[0]].Short == 0 {
		d.Winner = r.candidates[r.ranking[0]].Site.ID
	}
	if d.Outcome == Full {
		d.WaitAt = ""
	}
	return d
}

func does(actions []Action, what string) bool {
	return slices.ContainsFunc(actions, func(a Action) bool { return a.Do == what })
}

// For are the actions of an outcome.
func (a *Actions) For(o Outcome) []Action {
	switch o {
	case Full:
		return a.Full
	case Partial:
		return a.Partial
	}
	return a.None
}

// String is the action as a person wrote it.
func (a Action) String() string {
	switch {
	case a.Word != "":
		return a.Do + ": " + a.Word
	case a.Days > 0:
		return a.Do + ": " + itoa(a.Days)
	}
	return a.Do
}

// CompareOrders says which of two waiting orders is routed first by the sorts of a route: negative = a. Ties fall to priority, the
// earlier promise, the earlier placement and the id, as docs/GLOSSARY.md §7 has it. A time that is not known comes last. Nodes do not ask it yet: who
// waits is known to them by priority, promise and placement, not by route.
func (c *Compiled) CompareOrders(route int, a, b *Order) int {
	for i := range c.routes[route].Sorts {
		if n := c.routes[route].Sorts[i].compare(a, b); n != 0 {
			return n
		}
	}
	return cmp.Or(
		cmp.Compare(b.Priority, a.Priority), earlier(a.DeliverBy, b.DeliverBy), earlier(a.PlacedAt, b.PlacedAt), strings.Compare(a.ID, b.ID),
	)
}

func (s *Sort) compare(a, b *Order) int {
	switch s.By {
	case sortShipBy:
		return earlier(a.DeliverBy, b.DeliverBy)
	case sortShipAfter:
		return earlier(a.ShipAfter, b.ShipAfter)
	case sortPlacedAt:
		return earlier(a.PlacedAt, b.PlacedAt)
	case sortService:
		return cmp.Compare(indexOr(s.Words, a.Service), indexOr(s.Words, b.Service))
	}
	return cmp.Compare(b.Priority, a.Priority)
}

func earlier(a, b Number) int {
	switch {
	case a.Known && b.Known:
		return cmp.Compare(a.Value, b.Value)
	case a.Known:
		return -1
	case b.Known:
		return 1
	}
	return 0
}

// Routes names the routes of the set, in order.
func (c *Compiled) Routes() []string {
	names := make([]string, len(c.routes))
	for i := range c.routes {
		names[i] = c.routes[i].Name
	}
	return slices.Clip(names)
}
