package order

import (
	"slices"

	"orderyard/messages"
)

// A sweep moves units that no site was asked about. An FO may move while `asked` is not set: its site cannot know of it, so it can be given
// up without a word. In an order at rest these are the FOs of manual sites that wait for the release conditions, and none else: every other
// site is asked in the commit that gathers its claims. What a site was asked about, has accepted or works on is never touched.
//
// Moving keeps the rule that no unit is claimed at two buckets. The old claims go back, empty, in the commit that makes the new FOs; their
// buckets are asked when every old claim is back, and not before letGoMs have passed (Tasks). So an order never competes with itself, and two
// orders that change places both let go before either asks; without the pause the first of two was through before the second had begun. In
// between anybody may take the units, as ever: then the order is declined, and plans again.

// movable says that the FO's site cannot know of it.
func (f *fulfillment) movable() bool { return !f.asked && !f.dropped && !f.over() && f.living() }

// atRest says that a sweep may move what is movable: nothing else is under way, and no person has a say in the choice of the site.
func (s *State) atRest(t *tally) bool {
	return s.life == lifeOpen && s.cancelReason == "" && t.movable > 0 && t.asked == 0 && t.open == 0 && t.freeing == 0 && t.recalled == 0 &&
		t.lost == 0 && s.exception(exceptionUnroutable) < 0 && s.heldBy(holdSiteChoice) < 0
}

// sweeping says that claims of swept FOs are not back yet.
func (s *State) sweeping() bool {
	for i := range s.fulfillments {
		f := &s.fulfillments[i]
		if f.why == dropSweep && slices.ContainsFunc(f.claims, func(c claim) bool { return c.stage == claimFreeing }) {
			return true
		}
	}
	return false
}

// movableUnits gives the movable units per line. The slice is new.
func (s *State) movableUnits() []int64 {
	units := make([]int64, len(s.lines))
	for i := range s.fulfillments {
		if f := &s.fulfillments[i]; f.movable() {
			for j := range f.claims {
				units[f.claims[j].line] += f.claims[j].live()
			}
		}
	}
	return units
}

// movable is the question a sweep puts to routing about this order; nil when it is none of its business. An order that a bucket has told of
// its stock a moment ago is left in peace: what the view says of that bucket may be older.
func movable(s *State, now int64) *messages.Movable {
	t := s.count()
	if !s.atRest(&t) || slices.ContainsFunc(s.known, func(k *messages.KnownStock) bool { return k.AtMs+knownForMs > now }) {
		return nil
	}
	m := &messages.Movable{}
	var used []string
	for i := range s.fulfillments {
		f := &s.fulfillments[i]
		switch {
		case f.movable():
			m.Present = append(m.Present, &messages.Assignment{Site: f.site, Lines: f.liveLines(), DistanceM: f.distance, Manual: f.manual})
		case !f.over() && !slices.Contains(used, f.site):
			used = append(used, f.site)
		}
	}
	m.Question = s.question(s.movableUnits(), causeSweep, used, now)
	if t.committed {
		m.Question.Partial, m.Question.SplitsLeft = partialShip, max(m.Question.SplitsLeft, 1)
	}
	return m
}

// liveLines are the units the FO means to deliver, by line.
func (f *fulfillment) liveLines() []*messages.LineQuantity {
	var lines []*messages.LineQuantity
	for i := range f.claims {
		if n := f.claims[i].live(); n > 0 {
			lines = append(lines, &messages.LineQuantity{Line: f.claims[i].line, Quantity: n})
		}
	}
	return lines
}

// reassign moves all movable units as a sweep wants, or none. FOs that the plan leaves as they are stay. It counts as no attempt and no
// rejection.
func (d *decision) reassign(c *messages.Reassign) (*messages.Reply, *messages.Failure) {
	s, plan := d.s, c.GetPlan()
	t := s.count()
	if c.GetVersion() != s.Version || !s.atRest(&t) {
		return messages.Refuse(messages.Fail(messages.CodeConflict, "version", "order %s has moved on since version %d", s.id, c.GetVersion())), nil
	}
	units := s.movableUnits()
	assignments := fit(plan.GetAssignments(), units)
	if len(quantities(units)) > 0 || s.partial() == partialComplete && len(assignments) > 1 {
		return messages.Refuse(messages.Fail(messages.CodeConflict, "plan", "the plan is not one for all units of order %s that may move", s.id)), nil
	}
	var leave []uint32
	for i := range s.fulfillments {
		f := &s.fulfillments[i]
		if !f.movable() {
			continue
		}
		if same := slices.IndexFunc(assignments, f.is); same >= 0 {
			assignments = slices.Delete(slices.Clone(assignments), same, same+1)
		} else {
			leave = append(leave, f.number)
		}
	}
	if len(leave) == 0 {
		return orderReply(s), nil
	}
	for _, number := range leave {
		d.emit(&messages.FulfillmentDropped{Fulfillment: number, Reason: dropSweep})
	}
	// The command is not written to: it may come again under its id, and must be the same then.
	own := &messages.Plan{PlanNo: s.plans + 1, RulesVersion: plan.RulesVersion, Decision: ownDecision(plan.Decision), Actions: plan.Actions}
	d.recordAs(causeSweep, own, assignments, nil)
	return orderReply(s), nil
}

// ownDecision gives evidence that may be cut: a copy of what is too long.
func ownDecision(r *messages.DecisionRecord) *messages.DecisionRecord {
	if len(r.GetCandidates()) <= candidatesMax {
		return r
	}
	data, err := r.MarshalVT()
	own := new(messages.DecisionRecord)
	if err != nil || own.UnmarshalVT(data) != nil {
		return nil
	}
	return own
}

// is says that the FO is what the assignment asks for.
func (f *fulfillment) is(a *messages.Assignment) bool {
	return a.Site == f.site && slices.EqualFunc(a.Lines, f.liveLines(), func(x, y *messages.LineQuantity) bool {
		return x.Line == y.Line && x.Quantity == y.Quantity
	})
}
