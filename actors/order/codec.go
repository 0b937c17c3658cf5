package order

import (
	"errors"
	"fmt"

	"orderyard/messages"
)

// MarshalState gives the state's bytes: the same events give the same bytes.
func (s *State) MarshalState() []byte {
	m := &messages.OrderState{
		Id: s.id, Order: s.order, Fingerprint: s.fingerprint, Life: s.life, AcceptedAtMs: s.acceptedAt, PlacedMs: s.placedAt,
		ChangedAtMs: s.changedAt, EndedAtMs: s.endedAt, AllocatedAtMs: s.allocatedAt, Holds: s.holds, Exceptions: s.exceptions,
		Exclusions: s.exclusions, Known: s.known, Timeline: s.timeline, Decisions: s.decisions, PlanCause: s.planCause, Plans: s.plans,
		Attempts: s.attempts, Rejections: s.rejections, Reroutes: s.reroutes, UnacceptedSinceMs: s.unacceptedFrom, UnacceptedMs: s.unacceptedMs,
		BackorderedAtMs: s.backorderedAt, CancelReason: s.cancelReason, Queue: s.queue, CancelAtMs: s.cancelAt,
	}
	m.Lines = make([]*messages.OrderLineState, len(s.lines))
	for i, line := range s.lines {
		m.Lines[i] = &messages.OrderLineState{Cancelled: line.cancelled, Backordered: line.backordered}
	}
	m.Fulfillments = make([]*messages.OrderFulfillmentState, len(s.fulfillments))
	for i := range s.fulfillments {
		m.Fulfillments[i] = s.fulfillments[i].write()
	}
	b, err := m.MarshalVT()
	if err != nil {
		panic(fmt.Sprintf("order %s: encode state: %v", s.id, err)) // only text that is not UTF-8 could do this, and Validate refuses it
	}
	return b
}

func (f *fulfillment) write() *messages.OrderFulfillmentState {
	m := &messages.OrderFulfillmentState{
		Number: f.number, Site: f.site, Manual: f.manual, Status: f.status, RequestStatus: f.request, ToldToSite: f.asked,
		AskedReleased: f.released, Dropped: f.dropped, CancellationRefused: f.refused, Reason: f.reason, Note: f.note, DropReason: f.why,
		WorkDate: f.workDate, CreatedAtMs: f.created, PlanNo: f.plan, DistanceM: f.distance, PartialRejections: f.partial, Shipments: f.shipped, Swept: f.swept,
		Lines: make([]*messages.OrderFulfillmentLine, len(f.claims)),
	}
	for i := range f.claims {
		c := &f.claims[i]
		m.Lines[i] = &messages.OrderFulfillmentLine{
			Line: c.line, Quantity: c.quantity, Stage: uint32(c.stage), ExpiresAtMs: c.expires, RejectReason: effects[c.found.effect],
			RejectedQuantity: c.rejected, Extensions: c.extensions, Affected: c.affected, RejectedAtMs: c.found.at,
		}
	}
	return m
}

// UnmarshalState reads the bytes back. Bytes that are no state of an order are an error, so that what it gives never panics later.
func UnmarshalState(b []byte) (*State, error) {
	m := new(messages.OrderState)
	if err := m.UnmarshalVT(b); err != nil {
		return nil, fmt.Errorf("decode order state: %w", err)
	}
	s := New(m.Id)
	s.fingerprint, s.life, s.acceptedAt, s.placedAt, s.changedAt = m.Fingerprint, m.Life, m.AcceptedAtMs, m.PlacedMs, m.ChangedAtMs
	s.endedAt, s.allocatedAt, s.holds, s.exceptions, s.exclusions = m.EndedAtMs, m.AllocatedAtMs, m.Holds, m.Exceptions, m.Exclusions
	s.known, s.timeline, s.decisions, s.planCause, s.plans = m.Known, m.Timeline, m.Decisions, m.PlanCause, m.Plans
	s.attempts, s.rejections, s.reroutes, s.unacceptedFrom = m.Attempts, m.Rejections, m.Reroutes, m.UnacceptedSinceMs
	s.unacceptedMs, s.backorderedAt, s.cancelReason = m.UnacceptedMs, m.BackorderedAtMs, m.CancelReason
	s.queue, s.cancelAt = m.Queue, m.CancelAtMs
	if m.Order == nil {
		if len(m.Lines)+len(m.Fulfillments) > 0 {
			return nil, errors.New("decode order state: it has lines but no order")
		}
		return s, nil
	}
	s.setOrder(m.Order)
	if len(m.Lines) != len(m.Order.Lines) {
		return nil, fmt.Errorf("decode order %s: %d lines are kept of %d", s.id, len(m.Lines), len(m.Order.Lines))
	}
	s.lines = make([]lineState, len(m.Lines))
	for i, line := range m.Lines {
		s.lines[i] = lineState{cancelled: line.Cancelled, backordered: line.Backordered}
	}
	s.fulfillments = make([]fulfillment, len(m.Fulfillments))
	for i, from := range m.Fulfillments {
		if from.Number != uint32(i)+1 {
			return nil, fmt.Errorf("decode order %s: fulfillment %d stands in place %d", s.id, from.Number, i+1)
		}
		if err := s.fulfillments[i].read(s, from); err != nil {
			return nil, fmt.Errorf("decode order %s: fulfillment %d: %w", s.id, from.Number, err)
		}
	}
	for i, open := range s.openUnits() {
		if line := s.lines[i]; open < 0 || line.cancelled < 0 || line.backordered < 0 {
			return nil, fmt.Errorf("decode order %s: line %d has more units than were ordered", s.id, i)
		}
	}
	return s, nil
}

func (f *fulfillment) read(s *State, m *messages.OrderFulfillmentState) error {
	*f = fulfillment{
		id: fulfillmentID(s.id, m.Number), number: m.Number, site: m.Site, manual: m.Manual, status: m.Status, request: m.RequestStatus,
		asked: m.ToldToSite, released: m.AskedReleased, dropped: m.Dropped, refused: m.CancellationRefused, reason: m.Reason, note: m.Note,
		why: m.DropReason, workDate: m.WorkDate, created: m.CreatedAtMs, plan: m.PlanNo, distance: m.DistanceM, partial: m.PartialRejections,
		shipped: m.Shipments, swept: m.Swept, claims: make([]claim, len(m.Lines)),
	}
	for i, l := range m.Lines {
		switch {
		case int64(l.Line) >= int64(len(s.lines)) || i > 0 && l.Line <= m.Lines[i-1].Line:
			return fmt.Errorf("line %d is not there, or out of order", l.Line)
		case l.Stage == 0 || l.Stage > stageMax:
			return fmt.Errorf("stage %d is not known", l.Stage)
		case l.RejectedQuantity < 0 || l.Quantity < l.RejectedQuantity || l.Quantity > s.order.Lines[l.Line].GetQuantity():
			return fmt.Errorf("line %d: %d of %d units are rejected", l.Line, l.RejectedQuantity, l.Quantity)
		}
		f.claims[i] = claim{
			line: l.Line, quantity: l.Quantity, stage: stage(l.Stage), expires: l.ExpiresAtMs,
			found: finding{effect: effectOf(l.RejectReason), at: l.RejectedAtMs}, rejected: l.RejectedQuantity, extensions: l.Extensions, affected: l.Affected,
		}
	}
	return nil
}
