package site

import (
	"fmt"
	"strings"

	"orderyard/messages"
)

// decideAction hears what the site's own system says: accept, reject, pick, pack, ship, deliver. Saying again what has happened
// is ok and answers the present state; what cannot be any more is too_late, what cannot be yet is rejected, and both name the
// status and what can be done.
func decideAction(s *State, c *messages.SiteAction, now int64) ([]messages.Event, *messages.Reply, error) {
	if failure := checkAction(c); failure != nil {
		return nil, nil, failure
	}
	j := s.work[c.FulfillmentId]
	if j == nil {
		end, over := s.endOf(c.FulfillmentId)
		switch {
		case !over:
			return nil, unknownWork(s, c.FulfillmentId), nil
		case end.status == delivered && c.Action != "reject", end.status == rejected && c.Action == "reject":
			return nil, endedReply(c.FulfillmentId, end), nil
		}
		return nil, tooLateEnded(c.FulfillmentId, c.Action, end), nil
	}
	switch c.Action {
	case "accept":
		return acceptWork(s, j)
	case "reject":
		return rejectWork(s, j, c, now)
	case "pick":
		return step(j, picked, "pick", open, picking)
	case "pack":
		return step(j, packed, "pack", picking, picked)
	case "ship":
		return shipWork(j, c, now)
	}
	return deliverWork(j, c, now)
}

func checkAction(c *messages.SiteAction) *messages.Failure {
	v := &checks{}
	v.oneOf("action", c.Action, "accept", "reject", "pick", "pack", "ship", "deliver")
	if err := checkID(c.FulfillmentId); err != nil {
		v.fail("fulfillment_id", "%v", err)
	}
	v.text("note", c.Note, noteMax)
	if c.Action == "reject" {
		v.oneOf("reason", c.Reason, "not_in_stock", "mismatch", "damaged", reasonCapacity, reasonClosed, "carrier", reasonOther)
		v.check(c.Reason != reasonOther || c.Note != "", "note", "is required with reason other")
		v.check(c.RetryAfterMs >= 0 && c.RetryAfterMs <= waitMaxMs, "retry_after_ms", "must be between 0 and 30 days")
	}
	if p := c.Shipment; p != nil {
		v.text("shipment.id", p.Id, noteMax)
		v.text("shipment.carrier", p.Carrier, noteMax)
		v.text("shipment.service", p.Service, noteMax)
		v.text("shipment.tracking", p.Tracking, noteMax)
	}
	return messages.InvalidAll(v.errs)
}

// acceptWork is a manual site's yes. An answer that comes after its deadline but before the timer ran still counts: nobody has
// been told otherwise.
func acceptWork(s *State, j *job) ([]messages.Event, *messages.Reply, error) {
	if j.request != submitted {
		return nil, standing(j), nil
	}
	asked := j.asked()
	fo := &messages.FulfillmentOrder{Id: j.id(), OrderId: asked.OrderId, Site: s.id, Channel: asked.Channel}
	event := &messages.FulfillmentAccepted{Fulfillment: fo, Hour: j.hour, WorkDate: j.workDate}
	return []messages.Event{event}, standingAs(j, j.status, accepted), nil
}

// rejectWork gives the whole fulfillment order back; lines name the units that the stock effect covers (all when empty).
// Capacity and closed also keep new work away for a while.
func rejectWork(s *State, j *job, c *messages.SiteAction, now int64) ([]messages.Event, *messages.Reply, error) {
	lines, failure := rejectedLines(j, c.Lines)
	if failure != nil {
		return nil, nil, failure
	}
	if j.status >= packed {
		return nil, impossible(j, "reject", messages.CodeTooLate), nil
	}
	after := c.RetryAfterMs
	var until int64
	switch c.Reason {
	case reasonCapacity:
		if after == 0 {
			after = s.calendar.nextHour(now) - now
		}
		until = now + after
	case reasonClosed:
		after = max(after, s.calendar.nextOpening(now)-now)
		until = now + after
	}
	event := &messages.FulfillmentRejected{
		FulfillmentId: j.id(), OrderId: j.asked().OrderId, Reason: c.Reason, Note: c.Note, Lines: lines, Notify: true, Remember: true, RetryAfterMs: after,
		RejectedAtMs: now,
	}
	events := []messages.Event{event}
	if until > now && until > s.paused.until { // a shorter pause never shortens a longer one
		events = append(events, &messages.SitePausedUntil{UntilMs: until, Reason: c.Reason})
	}
	reply := standingAs(j, rejected, requestRejected)
	reply.GetFulfillment().Reason, reply.GetFulfillment().RetryAfterMs = c.Reason, after
	return events, reply, nil
}

// rejectedLines resolves what the site wrote, a line id (or the order's line index) and a quantity (0 = all of it), against the
// fulfillment order, and reports everything that does not fit.
func rejectedLines(j *job, given []*messages.FulfillmentLine) ([]*messages.FulfillmentLine, *messages.Failure) {
	if len(given) > linesMax {
		return nil, messages.Invalid("lines", "has %d lines, at most %d are allowed", len(given), linesMax)
	}
	v := &checks{}
	seen := make(map[*messages.FulfillmentLine]bool, len(given))
	out := make([]*messages.FulfillmentLine, 0, len(given))
	asked := j.asked().Lines // once: of packed work it gives other lines each time
	for i, g := range given {
		line := findLine(asked, g)
		switch {
		case line == nil:
			v.fail(fmt.Sprintf("lines[%d].line_id", i), "fulfillment order %s has no line %q", j.id(), g.GetLineId())
			continue
		case seen[line]:
			v.fail(fmt.Sprintf("lines[%d].line_id", i), "line %q is named twice", line.LineId)
			continue
		case g.Quantity < 0 || g.Quantity > line.Quantity:
			v.fail(fmt.Sprintf("lines[%d].quantity", i), "must be between 1 and %d", line.Quantity)
			continue
		}
		seen[line] = true
		quantity := g.Quantity
		if quantity == 0 {
			quantity = line.Quantity
		}
		out = append(out, &messages.FulfillmentLine{
			Line: line.Line, LineId: line.LineId, Sku: line.Sku, Quantity: quantity, ReservationId: line.ReservationId,
		})
	}
	if failure := messages.InvalidAll(v.errs); failure != nil {
		return nil, failure
	}
	return out, nil
}

func findLine(lines []*messages.FulfillmentLine, g *messages.FulfillmentLine) *messages.FulfillmentLine {
	for _, line := range lines {
		if g.GetLineId() != "" && line.LineId == g.LineId || g.GetLineId() == "" && g != nil && line.Line == g.Line {
			return line
		}
	}
	return nil
}

// step moves work forward to a status, from the statuses named. Beyond it already: the step has happened.
func step(j *job, to messages.FulfillmentStatus, action string, from ...messages.FulfillmentStatus) ([]messages.Event, *messages.Reply, error) {
	if j.status >= to {
		return nil, standing(j), nil
	}
	if !mayMove(j, from...) {
		return nil, impossible(j, action, messages.CodeRejected), nil
	}
	return []messages.Event{&messages.FulfillmentMoved{FulfillmentId: j.id(), Status: to}}, standingAs(j, to, j.request), nil
}

// mayMove: the work was accepted and stands at one of these. After a refused cancellation the work goes on.
func mayMove(j *job, from ...messages.FulfillmentStatus) bool {
	if j.request != accepted && j.request != cancellationRejected {
		return false
	}
	for _, status := range from {
		if j.status == status {
			return true
		}
	}
	return false
}

// shipWork books a shipment. A site that tells shipments only may ship open work; the steps between are implied.
func shipWork(j *job, c *messages.SiteAction, now int64) ([]messages.Event, *messages.Reply, error) {
	if j.status >= shipped {
		return nil, standing(j), nil
	}
	if !mayMove(j, open, picking, picked, packed) {
		return nil, impossible(j, "ship", messages.CodeRejected), nil
	}
	parcel := cloneShipment(c.Shipment)
	if parcel.Id == "" {
		parcel.Id = j.id() + "-1"
	}
	if parcel.Service == "" {
		parcel.Service = j.asked().Service
	}
	if parcel.ShippedAtMs == 0 {
		parcel.ShippedAtMs = now
	}
	parcel.DeliveredAtMs = 0
	return []messages.Event{&messages.FulfillmentMoved{FulfillmentId: j.id(), Status: shipped, Shipment: parcel}}, standingAs(j, shipped, j.request), nil
}

// deliverWork ends the work: the parcel has arrived.
func deliverWork(j *job, c *messages.SiteAction, now int64) ([]messages.Event, *messages.Reply, error) {
	if j.status != shipped {
		return nil, impossible(j, "deliver", messages.CodeRejected), nil
	}
	var parcel *messages.Shipment
	if n := len(j.shipments); n > 0 {
		parcel = cloneShipment(j.shipments[n-1])
		if parcel.DeliveredAtMs = c.Shipment.GetDeliveredAtMs(); parcel.DeliveredAtMs == 0 {
			parcel.DeliveredAtMs = now
		}
	}
	return []messages.Event{&messages.FulfillmentMoved{FulfillmentId: j.id(), Status: delivered, Shipment: parcel}}, standingAs(j, delivered, j.request), nil
}

func cloneShipment(p *messages.Shipment) *messages.Shipment {
	if p == nil {
		return &messages.Shipment{}
	}
	return &messages.Shipment{
		Id: p.Id, Carrier: p.Carrier, Service: p.Service, Tracking: p.Tracking, ShippedAtMs: p.ShippedAtMs, DeliveredAtMs: p.DeliveredAtMs,
	}
}

// impossible answers with the present state, and says what it is and what can be done instead.
func impossible(j *job, action, code string) *messages.Reply {
	reply := standing(j)
	can := "nothing"
	if actions := supportedActions(j.status, j.request); len(actions) > 0 {
		can = strings.Join(actions, ", ")
	}
	reply.Failure = messages.Fail(code, "", "cannot %s fulfillment order %s: it is %s, its request is %s; supported: %s",
		action, j.id(), statusWord(j.status), requestWord(j.request), can)
	return reply
}
