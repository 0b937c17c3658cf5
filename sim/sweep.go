package sim

import (
	"slices"

	"orderyard/messages"
	"orderyard/routing"
	"orderyard/routing/sweep"
)

// sweep asks a few orders what may be moved and moves it: half the time as routing/sweep would, with thresholds that let everything pass, half the
// time to any site that has ever had it, however much. Answers come late, so many a sweep is stale.
func (l *load) sweep() {
	n := l.w.anybody()
	if n == nil {
		return
	}
	ids := n.know.MayMove(l.pick([]string{"", "web-o-2", "web-o-4"}), 6)
	left := len(ids)
	var orders []sweep.Order
	var versions []uint64
	for _, id := range ids {
		l.ask("", messages.OrderRef(id), &messages.GetOrder{Movable: true}, func(r *messages.Reply) {
			if v := r.GetOrder().GetView(); v.GetMovable() != nil {
				orders = append(orders, sweep.Order{Question: v.Movable.Question, Present: v.Movable.Present})
				versions = append(versions, v.Version)
			}
			if left--; left > 0 || l.calm {
				return
			}
			if l.w.chance(50) {
				l.sweepWell(n, orders, versions)
			} else {
				l.sweepAnywhere(n, orders, versions)
			}
		})
	}
}

func (l *load) sweepWell(n *node, orders []sweep.Order, versions []uint64) {
	limits := sweep.DefaultLimits()
	limits.SavingMin, limits.SavingPercentMin = 0, 0
	r := sweep.Better(orders, n.know.View(), routing.DefaultRules(), l.w.time(), limits)
	for i := range r.Moves {
		m := &r.Moves[i]
		l.reassign(orders[m.Order].Question.OrderId, versions[m.Order], m.To)
	}
}

// sweepAnywhere names no bucket that was never counted: routing never does, and such a bucket remembers neither what it refused nor what was cancelled.
func (l *load) sweepAnywhere(n *node, orders []sweep.Order, versions []uint64) {
	for i, o := range orders {
		plan := &messages.Plan{RulesVersion: "sim"}
		everywhere := l.sitesOf(n, o.Question.Needs...)
		if len(everywhere) == 0 {
			continue
		}
		to := l.pick(everywhere)
		for _, need := range o.Question.Needs {
			if o.Question.Partial != "complete_only" {
				to = l.pick(l.sitesOf(n, need))
			}
			at := slices.IndexFunc(plan.Assignments, func(a *messages.Assignment) bool { return a.Site == to })
			if at < 0 {
				at = len(plan.Assignments)
				plan.Assignments = append(plan.Assignments, &messages.Assignment{Site: to})
			}
			plan.Assignments[at].Lines = append(plan.Assignments[at].Lines, &messages.LineQuantity{Line: need.Line, Quantity: need.Quantity})
		}
		l.reassign(o.Question.OrderId, versions[i], plan)
	}
}

// sitesOf are the sites at which every one of them was counted, as far as the node knows.
func (l *load) sitesOf(n *node, needs ...*messages.LineNeed) []string {
	sites := slices.Clone(l.sites)
	for _, need := range needs {
		stock := n.know.View().Stock(need.Sku)
		sites = slices.DeleteFunc(sites, func(site string) bool {
			return !slices.ContainsFunc(stock, func(s routing.SiteStock) bool { return s.Site == site })
		})
	}
	return sites
}

// reassign moves an order, which may have moved on.
func (l *load) reassign(id string, version uint64, plan *messages.Plan) {
	for _, a := range plan.Assignments {
		a.Manual = l.manual[a.Site]
	}
	if l.w.chance(10) {
		version--
	}
	l.ask(l.id("sweep"), messages.OrderRef(id), &messages.Reassign{Version: version, Plan: plan}, func(r *messages.Reply) {
		switch r.GetFailure().GetCode() {
		case "":
			l.w.result.Swept++
		case messages.CodeConflict:
		default:
			l.w.violate("I3", id, "a sweep was answered %v", r)
		}
	})
}
