package whatif

import (
	"cmp"
	"slices"

	"orderyard/messages"
	"orderyard/routing"
	"orderyard/routing/ruleset"
)

// Shadow asks a rule set about orders that a yard has just routed, and counts how its plans differ from those that were adopted. Nothing is
// taken from anywhere: every order is asked alone, on what routing was shown for it, so a difference does not grow from order to order as it
// does between two sides. A last unit at a store counts for each plan that would take it. It is for one goroutine, and its size does not
// grow with the orders.
type Shadow struct {
	rules    *routing.Rules
	meters   [2]meter // of the live plans, of the shadow's
	compared Comparison
	present  string // the rules of the live plans counted
}

// NewShadow makes one that has seen nothing. Each side needs a yardstick of its own, of the same card; nil = the sites' own costs only.
func NewShadow(rules *routing.Rules, live, shadow *ruleset.Yardstick) *Shadow {
	return &Shadow{rules: bare(rules), meters: [2]meter{{card: live, tally: newTally()}, {card: shadow, tally: newTally()}}}
}

// Sighting is a question, the plan that answered it, and what routing was shown.
type Sighting struct {
	question *messages.PlanRequest
	plan     *messages.Plan
	shown    snapshot
	now      int64
}

// See keeps what a shadow needs of a decision, right after it was made. It copies no stock and no site: the view must answer with values that are
// never changed in place, as a node's does. The question must not be changed any more; the plan may be.
func See(q *messages.PlanRequest, plan *messages.Plan, v routing.View, now int64) *Sighting {
	s := &Sighting{question: q, now: now, plan: &messages.Plan{
		RulesVersion: plan.RulesVersion, Actions: slices.Clone(plan.Actions), Decision: &messages.DecisionRecord{Exact: plan.GetDecision().GetExact()},
		Assignments: make([]*messages.Assignment, len(plan.Assignments)), Short: copyLines(plan.Short),
	}}
	for i, a := range plan.Assignments {
		s.plan.Assignments[i] = &messages.Assignment{Site: a.Site, DistanceM: a.DistanceM, Lines: copyLines(a.Lines)}
	}
	s.shown.see(q, v)
	return s
}

func copyLines(list []*messages.LineQuantity) []*messages.LineQuantity {
	copied := make([]*messages.LineQuantity, len(list))
	for i, l := range list {
		copied[i] = &messages.LineQuantity{Line: l.Line, Quantity: l.Quantity}
	}
	return copied
}

// Follow asks the shadow's rules what was asked, and counts both plans. When the live plans begin to come from other rules, it begins anew.
func (s *Shadow) Follow(seen *Sighting) {
	if seen.plan.RulesVersion != s.present {
		*s = *NewShadow(s.rules, s.meters[0].card, s.meters[1].card)
		s.present = seen.plan.RulesVersion
	}
	plan := routing.Route(seen.question, &seen.shown, s.rules, seen.now)
	live := s.meters[0].read(seen.question, seen.plan, &seen.shown, seen.now, seen.shown.left)
	shadow := s.meters[1].read(seen.question, plan, &seen.shown, seen.now, seen.shown.left)
	s.compared.Add(seen.question.OrderId, &live, &shadow)
}

// Present are the rules of the live plans that were counted.
func (s *Shadow) Present() string { return s.present }

// Tallies are those of the live plans and of the shadow's, copied.
func (s *Shadow) Tallies() (live, shadow Tally) {
	live.Add(&s.meters[0].tally)
	shadow.Add(&s.meters[1].tally)
	return live, shadow
}

// Changed are how many orders the shadow would have routed differently, and those it would have changed most.
func (s *Shadow) Changed() (orders int64, most []Change) {
	return s.compared.Changed, slices.Clone(s.compared.Most())
}

// snapshot is what routing was shown for one question. It implements routing.View.
type snapshot struct {
	ids   []string
	sites []*routing.Site
	skus  []string // sorted
	stock [][]routing.SiteStock
}

func (v *snapshot) see(q *messages.PlanRequest, of routing.View) {
	v.ids = of.SiteIDs()
	v.sites = make([]*routing.Site, len(v.ids))
	for i, id := range v.ids {
		v.sites[i], _ = of.Site(id)
	}
	for _, n := range q.Needs {
		v.skus = append(v.skus, n.Sku)
	}
	slices.Sort(v.skus)
	v.skus = slices.Compact(v.skus)
	for _, sku := range v.skus {
		v.stock = append(v.stock, of.Stock(sku))
	}
}

// Stock implements routing.View.
func (v *snapshot) Stock(sku string) []routing.SiteStock {
	if i, found := slices.BinarySearch(v.skus, sku); found {
		return v.stock[i]
	}
	return nil
}

// Site implements routing.View.
func (v *snapshot) Site(id string) (*routing.Site, bool) {
	i, found := slices.BinarySearchFunc(v.ids, id, cmp.Compare[string])
	if !found || v.sites[i] == nil {
		return nil, false
	}
	return v.sites[i], true
}

// SiteIDs implements routing.View.
func (v *snapshot) SiteIDs() []string { return v.ids }

// left is what a plan would leave; nothing is taken.
func (v *snapshot) left(sku, site string, units int64) int64 { return atp(v.Stock(sku), site) - units }
