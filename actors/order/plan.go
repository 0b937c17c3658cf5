package order

import (
	"cmp"
	"fmt"
	"slices"

	"orderyard/messages"
)

// wantsPlan says that open units may be planned now: nothing asked is unanswered, nothing is on its way back, nobody stopped it.
func (s *State) wantsPlan(t *tally) bool {
	return s.life == lifeOpen && t.open > 0 && s.cancelReason == "" &&
		t.asked == 0 && t.returning == 0 && t.recalled == 0 && s.exception(exceptionUnroutable) < 0
}

// brake says why the order must stop, or nothing. The counting brakes matter when another plan would be made.
func (s *State) brake(t *tally, now int64) string {
	if t.unaccepted > 0 && s.elapsed(now) >= elapsedMaxMs {
		return fmt.Sprintf("elapsed_max: units went unaccepted for %d h", elapsedMaxMs/3600_000)
	}
	if !s.wantsPlan(t) {
		return ""
	}
	switch {
	case s.rejections >= rejectionsMax:
		return fmt.Sprintf("rejections_max: sites rejected %d times", s.rejections)
	case s.attempts >= attemptsMax:
		return fmt.Sprintf("attempts_max: planned %d times", s.attempts)
	}
	return ""
}

// elapsed is how long units have gone unaccepted.
func (s *State) elapsed(now int64) int64 {
	if s.unacceptedFrom == 0 {
		return s.unacceptedMs
	}
	return s.unacceptedMs + max(now-s.unacceptedFrom, 0)
}

// elapsedDue is when the brake takes hold; 0 = the clock stands.
func (s *State) elapsedDue() int64 {
	if s.unacceptedFrom == 0 {
		return 0
	}
	return s.unacceptedFrom + elapsedMaxMs - s.unacceptedMs
}

// Probe is the question the order would put to routing if it took the arrival of stock for a reason to plan again; nil when it would
// not ask at once. The node answers it from its view first: an order that would only go back to waiting is left alone, so that one
// that nobody can serve writes nothing, however often the stock of its SKU moves.
func Probe(s *State, c *messages.StockArrived, now int64) *messages.PlanRequest {
	if s.order == nil {
		return nil
	}
	d := decision{s: s.fork(), now: now}
	if d.arrived(c); len(d.events) == 0 {
		return nil
	}
	d.settle()
	if t := d.s.count(); d.s.wantsPlan(&t) {
		return d.s.request(&t, now)
	}
	return nil
}

// request asks routing about the open units.
func (s *State) request(t *tally, now int64) *messages.PlanRequest {
	r := s.question(s.openUnits(), or(s.planCause, causeDropped), s.sitesUsed(), now)
	if t.committed || t.kept > 0 && r.Partial == partialShip {
		// What is missing now is no reason to let go of what sites already have: it may come from one more site at least. Without this,
		// work kept for a manual site waited for an out_of_stock hold that waited for units no other site was allowed to ship.
		r.Partial, r.SplitsLeft = partialShip, max(r.SplitsLeft, 1)
	}
	return r
}

// question asks routing about units of each line, with the sites that keep work of this order whatever the answer is.
func (s *State) question(units []int64, cause string, used []string, now int64) *messages.PlanRequest {
	o := s.order
	r := &messages.PlanRequest{
		OrderId: s.id, PlanNo: s.plans + 1, Cause: cause, ShipTo: o.ShipTo, Service: or(o.ShippingService, serviceDefault),
		Channel: o.Channel, Partial: s.partial(), PlacedAtMs: s.placedAt, Labels: o.Labels, Priority: o.Priority, DeliverBy: o.DeliverBy,
		Total: s.total, Currency: o.Currency, Attributes: o.Attributes, Queue: s.queue,
	}
	r.Needs = make([]*messages.LineNeed, 0, len(units))
	for i, quantity := range units {
		if quantity > 0 {
			line := o.Lines[i]
			r.Needs = append(r.Needs, &messages.LineNeed{
				Line: uint32(i), Sku: line.Sku, Quantity: quantity, Labels: line.Labels, Group: line.Group, Id: line.Id, UnitPrice: line.UnitPrice,
				Attributes: line.Attributes,
			})
		}
	}
	r.SitesUsed = used
	r.SplitsLeft = max(s.splitsMax()-int32(len(r.SitesUsed)), 0)
	if r.Partial == partialComplete {
		r.SplitsLeft = 1
	}
	for _, x := range s.exclusions {
		if x.UntilMs == 0 || x.UntilMs > now {
			r.Exclusions = append(r.Exclusions, x)
		}
	}
	for _, k := range s.known {
		if k.AtMs+knownForMs > now {
			r.Known = append(r.Known, k)
		}
	}
	return r
}

// sitesUsed lists the sites with live work of this order, in FO order.
func (s *State) sitesUsed() []string {
	var sites []string
	for i := range s.fulfillments {
		f := &s.fulfillments[i]
		if !f.over() && !slices.Contains(sites, f.site) {
			sites = append(sites, f.site)
		}
	}
	return sites
}

// adopt takes a routing result if it answers the question that is open now.
func (d *decision) adopt(c *messages.AdoptPlan) {
	s, plan := d.s, c.GetPlan()
	t := s.count()
	if plan.GetPlanNo() != s.plans+1 || !s.wantsPlan(&t) {
		return
	}
	open := s.openUnits()
	assignments := fit(plan.Assignments, open) // open is what remains short
	short := quantities(open)
	whole := !t.committed && s.partial() != partialShip
	if whole && s.partial() == partialComplete && len(assignments) > 1 {
		assignments, short = nil, quantities(s.openUnits())
	}
	if whole && len(short) > 0 {
		assignments = nil
		if t.kept > 0 { // once more without them: the whole order may fit where its parts do not
			d.record(plan, nil, short)
			d.dropKept(dropIncomplete)
			return
		}
		short = quantities(s.openUnits())
	}
	// Waking up and finding nothing happens again and again; it leaves no record.
	if quiet := s.planCause == causeArrived || s.planCause == causeTimer; len(assignments) > 0 || !quiet {
		d.record(plan, assignments, short)
	}
	if len(short) > 0 {
		d.short(short)
	}
	d.act(plan.GetActions())
}

// record makes the plan the order's, with at most candidatesMax candidates kept as evidence.
func (d *decision) record(plan *messages.Plan, assignments []*messages.Assignment, short []*messages.LineQuantity) {
	d.recordAs(or(d.s.planCause, causeDropped), plan, assignments, short)
}

func (d *decision) recordAs(cause string, plan *messages.Plan, assignments []*messages.Assignment, short []*messages.LineQuantity) {
	adopted := &messages.Plan{
		PlanNo: plan.PlanNo, Cause: cause, Assignments: assignments, Short: short, RulesVersion: plan.RulesVersion,
		Decision: plan.Decision, Actions: plan.Actions,
	}
	if r := plan.Decision; r != nil && len(r.Candidates) > candidatesMax {
		r.Candidates = r.Candidates[:candidatesMax:candidatesMax] // the answer is this order's own
	}
	d.emit(&messages.PlanAdopted{Plan: adopted, FirstFulfillment: uint32(len(d.s.fulfillments)) + 1})
}

// short does with units that no site has what the order says.
func (d *decision) short(lines []*messages.LineQuantity) {
	switch d.s.onShort() {
	case shortCancel:
		d.emit(&messages.UnitsCancelled{Lines: lines, Reason: reasonInventory})
	case shortHold:
		d.emit(&messages.UnitsBackordered{Lines: lines})
		if d.s.heldBy(holdOutOfStock) < 0 {
			d.emit(&messages.HoldPlaced{Reason: holdOutOfStock, Actor: bySystem})
		}
	default:
		d.emit(&messages.UnitsBackordered{Lines: lines})
	}
}

// dropKept gives up what was claimed for sites that were not asked.
func (d *decision) dropKept(reason string) {
	for i := range d.s.fulfillments {
		f := &d.s.fulfillments[i]
		if !f.asked && !f.dropped && !f.over() {
			d.emit(&messages.FulfillmentDropped{Fulfillment: f.number, Reason: reason})
		}
	}
}

// fit holds a plan to the open units and takes what it uses off them. A plan that fits, as routing's always should, is used as it
// is; anything else is cut down rather than trusted.
func fit(assignments []*messages.Assignment, open []int64) []*messages.Assignment {
	out := assignments[:0:0]
	for _, a := range assignments {
		if messages.CheckToken(a.GetSite()) != nil {
			continue
		}
		lines := fitLines(a.Lines, open)
		switch {
		case len(lines) == 0:
		case len(lines) == len(a.Lines) && &lines[0] == &a.Lines[0]:
			out = append(out, a)
		default:
			out = append(out, &messages.Assignment{Site: a.Site, Lines: lines, DistanceM: a.DistanceM, Manual: a.Manual})
		}
	}
	return out
}

func fitLines(lines []*messages.LineQuantity, open []int64) []*messages.LineQuantity {
	fits := true
	for i, l := range lines {
		fits = fits && int64(l.GetLine()) < int64(len(open)) && (i == 0 || l.GetLine() > lines[i-1].GetLine()) &&
			l.GetQuantity() > 0 && l.GetQuantity() <= open[l.GetLine()]
	}
	if fits {
		for _, l := range lines {
			open[l.Line] -= l.Quantity
		}
		return lines
	}
	var cut []*messages.LineQuantity
	for _, l := range lines {
		if int64(l.GetLine()) >= int64(len(open)) || l.GetQuantity() <= 0 {
			continue
		}
		quantity := min(l.Quantity, open[l.Line])
		if quantity == 0 {
			continue
		}
		open[l.Line] -= quantity
		at, twice := slices.BinarySearchFunc(cut, l.Line, func(have *messages.LineQuantity, line uint32) int { return cmp.Compare(have.Line, line) })
		if twice {
			cut[at].Quantity += quantity
		} else {
			cut = slices.Insert(cut, at, &messages.LineQuantity{Line: l.Line, Quantity: quantity})
		}
	}
	return cut
}
