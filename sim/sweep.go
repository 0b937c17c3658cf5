package sim

import (
	"slices"

	"orderyard/messages"
	"orderyard/routing"
	"orderyard/routing/sweep"
)

// sweep asks a few orders what may be moved and moves it: half the time as routing/sweep would, with thresholds that let everything pass, half the
// time to any site, whatever it has. Answers come late, so many a sweep is stale.
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
				l.sweepAnywhere(orders, versions)
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

func (l *load) sweepAnywhere(orders []sweep.Order, versions []uint64) {
	for i, o := range orders {
		plan := &messages.Plan{RulesVersion: "sim"}
		to := l.pick(l.sites)
		for _, n := range o.Question.Needs {
			if o.Question.Partial != "complete_only" {
				to = l.pick(l.sites)
			}
			at := slices.IndexFunc(plan.Assignments, func(a *messages.Assignment) bool { return a.Site == to })
			if at < 0 {
				at = len(plan.Assignments)
				plan.Assignments = append(plan.Assignments, &messages.Assignment{Site: to})
			}
			plan.Assignments[at].Lines = append(plan.Assignments[at].Lines, &messages.LineQuantity{Line: n.Line, Quantity: n.Quantity})
		}
		l.reassign(o.Question.OrderId, versions[i], plan)
	}
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
