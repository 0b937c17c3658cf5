package actors

import (
	"context"
	"slices"

	"orderyard/messages"
	"orderyard/routing"
)

// pastRulesMax is how many rule sets a node remembers after they were replaced, to explain decisions made by them.
const pastRulesMax = 8

// remember keeps rules that were in force; the caller holds no lock and is the only one that swaps them.
func (k *Knowledge) remember(rules *routing.Rules) {
	k.pastMu.Lock()
	defer k.pastMu.Unlock()
	k.past = slices.DeleteFunc(k.past, func(r *routing.Rules) bool { return r.Version == rules.Version })
	k.past = append(k.past, rules)
	if len(k.past) > pastRulesMax {
		k.past = slices.Delete(k.past, 0, 1)
	}
}

// rulesOf finds rules by the version that a plan stores.
func (k *Knowledge) rulesOf(version string) *routing.Rules {
	k.pastMu.Lock()
	defer k.pastMu.Unlock()
	for _, r := range k.past {
		if r.Version == version {
			return r
		}
	}
	return nil
}

// Want says what would have to be otherwise for a site to give in one of the order's plans: the latest one when planNo is 0. The decision is made
// again from its record by the rules of then, so it holds whatever happened since. A refusal names what stands in the way; a retryable one says
// that ctx has ended first.
func (k *Knowledge) Want(ctx context.Context, v *messages.OrderView, planNo uint32, site string) (*routing.Flip, *messages.Failure) {
	var plan *messages.Plan
	for _, p := range v.GetDecisions() {
		if plan == nil && planNo == 0 || p.PlanNo == planNo {
			plan = p
		}
	}
	switch {
	case plan == nil && planNo == 0:
		return nil, messages.Fail(messages.CodeNotFound, "order_id", "the order was not routed yet")
	case plan == nil:
		return nil, messages.Fail(messages.CodeNotFound, "plan", "the order keeps no plan %d", planNo)
	}
	rules := k.rulesOf(plan.RulesVersion)
	if rules == nil {
		return nil, messages.Fail(messages.CodeNotFound, "want", "plan %d was made by rules %s, which this node does not remember; those in force are %s",
			plan.PlanNo, plan.RulesVersion, k.Rules().Version)
	}
	req, now, err := routing.Again(v.Order, plan)
	if err != nil {
		return nil, messages.Fail(messages.CodeNotFound, "want", "%v; publish a rule set to have them recorded", err)
	}
	then, err := routing.RecordedView(req, plan, k.view)
	if err != nil {
		return nil, messages.Fail(messages.CodeNotFound, "want", "%v", err)
	}
	flip, ok := routing.WantUntil(req, then, rules, now, site, func() bool { return ctx.Err() != nil })
	if !ok {
		return nil, messages.Retry(messages.CodeTimeout, 0, "what would make %s win takes longer than the caller waits: wait longer", site)
	}
	return &flip, nil
}
