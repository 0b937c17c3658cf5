package order

import (
	"slices"
	"strings"

	"orderyard/messages"
)

// changed takes a site's notice. The site repeats it until it is answered, and the answer is the same whether it was news or not.
func (d *decision) changed(c *messages.FulfillmentChanged) {
	f, ok := d.s.parseFulfillment(c.GetFulfillmentId())
	if !ok || !f.asked || f.over() {
		return
	}
	switch {
	case rejectedBy(c.Status, c.RequestStatus) || c.Reason != "" && len(c.Lines) > 0:
		d.rejected(f, c)
	case c.RequestStatus == requestRefused:
		if f.dropped {
			d.emit(&messages.OrderCancellationRefused{Fulfillment: f.number})
		}
		d.advance(f, c.Status, c.WorkDate, c.Shipment)
	case c.Status == statusCancelled || c.RequestStatus == requestGivenBack:
		if f.dropped {
			d.givenBack(f, true, c.Status)
		} else if rank(f.status) < rankShipped {
			d.emit(&messages.OrderFulfillmentRejected{Fulfillment: f.number, Reason: reasonOther, Note: or(c.Note, "cancelled by the site")})
		}
	case c.RequestStatus == requestSubmitted:
		if f.request == requestUnsubmitted {
			d.emit(&messages.OrderFulfillmentSubmitted{Fulfillment: f.number})
		}
	case c.RequestStatus == requestAccepted || rank(c.Status) >= rankPicking:
		d.advance(f, c.Status, c.WorkDate, c.Shipment)
	}
}

// advance moves the mirror forward to what the site has done; it never moves back. Work that goes on was accepted, even when that
// notice is late.
func (d *decision) advance(f *fulfillment, status messages.FulfillmentStatus, workDate string, shipment *messages.Shipment) {
	if !f.accepted() {
		d.emit(&messages.OrderFulfillmentAccepted{Fulfillment: f.number, WorkDate: workDate})
		t := d.s.count()
		d.allocated(&t) // before the work is released
	}
	switch to := rank(status); {
	case to >= rankPicking && to > rank(f.status),
		to >= rankShipped && shipment.GetId() != "" && !f.hasShipment(shipment.Id):
		d.emit(&messages.OrderFulfillmentMoved{Fulfillment: f.number, Status: status, Shipment: shipment})
	case to == rankOpen && f.status == statusScheduled:
		d.emit(&messages.OrderFulfillmentReleased{Fulfillment: f.number})
	}
}

func (f *fulfillment) hasShipment(id string) bool {
	return slices.ContainsFunc(f.shipped, func(s *messages.Shipment) bool { return s.GetId() == id })
}

// rejected takes a site's rejection. A rejected FO is over, and lines tell which units the stock effect covers (none = all). While the
// site goes on, lines are the units it will not ship (a short pick); the same one counts once, by its sequence.
func (d *decision) rejected(f *fulfillment, c *messages.FulfillmentChanged) {
	if rank(f.status) >= rankShipped || c.Sequence != 0 && slices.Contains(f.partial, c.Sequence) {
		return
	}
	over := rejectedBy(c.Status, c.RequestStatus)
	if over && rejectedBy(0, f.request) { // heard already in answer to the question; this one is final
		d.emit(&messages.OrderFulfillmentCancelled{Fulfillment: f.number})
		return
	}
	e := &messages.OrderFulfillmentRejected{
		Fulfillment: f.number, Reason: or(c.Reason, reasonOther), Note: c.Note, RetryAfterMs: c.RetryAfterMs, Sequence: c.Sequence,
		TimedOut: c.Status == statusTimedOut || c.RequestStatus == requestTimedOut, RejectedAtMs: c.RejectedAtMs,
	}
	if !slices.Contains(rejectReasons, e.Reason) {
		e.Note = strings.TrimSpace(e.Reason + " " + e.Note)
		e.Reason = reasonOther
	}
	if e.TimedOut {
		e.Reason = reasonTimedOut
	}
	if len(c.Lines) > 0 {
		missing := d.s.missing(f, c.Lines)
		if len(missing) == 0 && !over {
			return // names no unit of this FO
		}
		if !f.coveredBy(missing) {
			e.Lines, e.Partial = missing, !over
		}
	}
	d.emit(e)
}

// missing reads the lines of a rejection as live units of f: by the customer's line id if it is told, else by index. A line without
// a quantity means all of it.
func (s *State) missing(f *fulfillment, lines []*messages.FulfillmentLine) []*messages.LineQuantity {
	units := make([]int64, len(f.claims))
	for _, l := range lines {
		i := f.find(l.GetLine())
		if l.GetLineId() != "" {
			i = slices.IndexFunc(f.claims, func(c claim) bool { return s.order.Lines[c.line].GetId() == l.GetLineId() })
		}
		if i < 0 {
			continue
		}
		left := f.claims[i].live() - units[i]
		if l.GetQuantity() > 0 {
			left = min(left, l.GetQuantity())
		}
		units[i] += left
	}
	var list []*messages.LineQuantity
	for i, quantity := range units {
		if quantity > 0 {
			list = append(list, &messages.LineQuantity{Line: f.claims[i].line, Quantity: quantity})
		}
	}
	return list
}

// coveredBy says that nothing of f would be left.
func (f *fulfillment) coveredBy(missing []*messages.LineQuantity) bool {
	left := int64(0)
	for i := range f.claims {
		left += f.claims[i].live()
	}
	for _, m := range missing {
		left -= m.Quantity
	}
	return left == 0
}

// claimLost: a count came out short and the bucket names this claim as one it cannot serve. It says so once, so the order acts on it
// whatever it has heard of the claim so far. A grant that is not heard yet was given: the notice itself says that the bucket holds the
// claim, so it is given back like any other, and the grant that comes later counts no more. A claim that was asserted, without an answer
// yet, is asserted anew: the assertion under way may have been heard before this loss. The other stages are over, or being given back.
func (d *decision) claimLost(c *messages.ClaimLost) {
	id, line, ok := cutLast(c.GetReservationId())
	if !ok {
		return
	}
	f, ok := d.s.parseFulfillment(id)
	if !ok {
		return
	}
	i := f.find(line)
	if i < 0 {
		return
	}
	switch claim := &f.claims[i]; claim.stage {
	case claimAsked, claimReserved, claimAllocated, claimKept:
		d.lose(f, claim, "overcommitted", causeZeroed)
	}
}

// checkClaim answers a bucket that asks whether the order counts on a claim. A claim that was declined or is back was given up for good.
func (s *State) checkClaim(reservation string) *messages.Reply {
	if id, line, ok := cutLast(reservation); ok {
		if f, ok := s.parseFulfillment(id); ok {
			if i := f.find(line); i >= 0 && f.claims[i].stage != claimDeclined && f.claims[i].stage != claimFreed {
				return orderReply(s)
			}
		}
	}
	return messages.Refuse(messages.Fail(messages.CodeNotFound, "reservation_id", "order %s does not count on reservation %s", s.id, reservation))
}

// cutLast splits a reservation id into FO id and line.
func cutLast(id string) (string, uint32, bool) {
	at := strings.LastIndexByte(id, '/')
	if at < 0 {
		return "", 0, false
	}
	line, ok := parseNumber(id[at+1:])
	return id[:at], line, ok
}
