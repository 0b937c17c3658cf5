package order

import (
	"strconv"

	"orderyard/messages"
)

// View shows the whole order. Timeline and decisions come when they are asked for, decisions latest first.
func View(s *State, flags *messages.GetOrder) *messages.OrderView {
	v := &messages.OrderView{
		OrderId: s.id, Order: s.order, Status: Status(s), Life: s.life, Units: s.unitCounts(), Holds: s.holds, Exceptions: s.exceptions,
		Version: s.Version, AcceptedAtMs: s.acceptedAt, Rejections: s.rejections, Attempts: s.attempts, CancelReason: s.cancelReason,
		Exclusions: s.exclusions,
	}
	parts := make([][]*messages.LineQuantity, len(s.fulfillments))
	for i := range s.fulfillments {
		f := &s.fulfillments[i]
		v.Fulfillments = append(v.Fulfillments, s.fulfillmentOrder(f))
		for j := range f.claims {
			if units := f.claims[j].live(); units > 0 && !f.over() {
				parts[i] = append(parts[i], &messages.LineQuantity{Line: f.claims[j].line, Quantity: units})
			}
		}
	}
	if len(parts) > 0 {
		for i, amount := range amounts(s.order, parts) {
			v.Fulfillments[i].Amount = amount
		}
	}
	if flags.GetTimeline() {
		v.Timeline = s.timeline
	}
	if flags.GetDecisions() {
		for _, bytes := range s.decisions {
			if plan := new(messages.Plan); plan.UnmarshalVT(bytes) == nil {
				v.Decisions = append(v.Decisions, plan)
			}
		}
	}
	return v
}

// unitCounts gives the units of every line by state. Units coming back from a bucket or a site are open; open units of an order that
// waits for a person are in that exception.
func (s *State) unitCounts() []*messages.UnitCounts { return Units(s, nil) }

// Units is that for whoever asks often: it fills the messages in dst, as far as they reach, and gives one for every line.
func Units(s *State, dst []*messages.UnitCounts) []*messages.UnitCounts {
	counts := dst[:0]
	for i := range s.lines {
		l := &s.lines[i]
		if i < len(dst) {
			counts = append(counts, dst[i])
			counts[i].Reset()
		} else {
			counts = append(counts, new(messages.UnitCounts))
		}
		counts[i].Open, counts[i].Backordered, counts[i].Cancelled = s.order.Lines[i].GetQuantity()-l.cancelled-l.backordered, l.backordered, l.cancelled
	}
	for i := range s.fulfillments {
		f := &s.fulfillments[i]
		for j := range f.claims {
			c, u := &f.claims[j], counts[f.claims[j].line]
			u.Open -= c.away()
			if c.stage == claimFreeing {
				u.Open += c.away()
				continue
			}
			var t tally
			if live := c.live(); live > 0 {
				*t.place(f, c) = live
			}
			u.Open += t.lost
			u.Planned += t.planned
			u.Reserved += t.reserved
			u.Allocated += t.allocated
			u.Released += t.released
			u.Picked += t.picked
			u.Packed += t.packed
			u.Shipped += t.shipped
			u.Delivered += t.delivered
		}
	}
	if s.exception(exceptionUnroutable) >= 0 {
		for _, u := range counts {
			u.Exception, u.Open = u.Open, 0
		}
	}
	return counts
}

// fulfillmentOrder shows one FO as the order knows it: its live lines, or all of them once it has ended.
func (s *State) fulfillmentOrder(f *fulfillment) *messages.FulfillmentOrder {
	o := s.order
	fo := &messages.FulfillmentOrder{
		Id: f.id, OrderId: s.id, Site: f.site, Channel: o.Channel, Service: or(o.ShippingService, serviceDefault), Priority: o.Priority,
		ShipTo: o.ShipTo, Status: f.status, RequestStatus: f.handshake(), Reason: or(f.reason, f.why), Note: f.note, CreatedAtMs: f.created,
		WorkDate: f.workDate, Shipments: f.shipped, DeliverBy: o.DeliverBy,
	}
	over := f.over()
	fo.Lines = make([]*messages.FulfillmentLine, 0, len(f.claims))
	for i := range f.claims {
		c := &f.claims[i]
		quantity := c.live()
		if over {
			quantity = c.quantity
		}
		if quantity > 0 {
			line := o.Lines[c.line]
			fo.Lines = append(fo.Lines, &messages.FulfillmentLine{
				Line: c.line, LineId: line.GetId(), Sku: line.GetSku(), Quantity: quantity, ReservationId: f.id + "/" + strconv.FormatUint(uint64(c.line), 10),
			})
		}
	}
	return fo
}

// handshake is the request status with what became of a cancellation.
func (f *fulfillment) handshake() messages.RequestStatus {
	switch {
	case f.request == requestRejected || f.request == requestTimedOut:
		return f.request
	case f.refused:
		return requestRefused
	case f.recalled():
		return requestRecalled
	case f.dropped && f.status == statusCancelled && f.asked:
		return requestGivenBack
	}
	return f.request
}
