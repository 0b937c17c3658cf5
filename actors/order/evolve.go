package order

import (
	"slices"

	"orderyard/messages"
)

// Evolve writes one event. It never fails: what names a line or an FO that is not there changes nothing.
func Evolve(s *State, event messages.Event, at int64) {
	if _, refused := event.(*messages.CommandRefused); refused {
		return // only the answer is remembered
	}
	s.changedAt = at
	if placed, ok := event.(*messages.OrderPlaced); ok {
		s.evolvePlaced(placed, at)
		return
	}
	if s.order == nil {
		return
	}
	switch e := event.(type) {
	case *messages.LineReserved:
		s.evolveReserved(e)
	case *messages.LineAllocated:
		s.setStage(e.Fulfillment, e.Line, claimAllocated)
	case *messages.LineStockShipped:
		s.setStage(e.Fulfillment, e.Line, claimShipped)
	case *messages.OrderFulfillmentAsked:
		s.evolveAsked(e)
	case *messages.OrderFulfillmentReleased:
		s.evolveMoved(e.Fulfillment, statusOpen, nil, at)
	case *messages.OrderFulfillmentMoved:
		s.evolveMoved(e.Fulfillment, e.Status, e.Shipment, at)
	case *messages.OrderAllocated:
		s.allocatedAt = at
		s.note(at, "allocated", "")
	default:
		// The rest may start or stop the elapsed brake; what is above cannot, and is most of what happens.
		if s.evolveFulfillment(event, at) || s.evolveOrder(event, at) {
			s.clock(at)
		}
	}
}

func (s *State) evolvePlaced(e *messages.OrderPlaced, at int64) {
	s.setOrder(e.Order)
	s.fingerprint, s.life, s.acceptedAt, s.placedAt = e.Fingerprint, lifePlaced, at, e.Order.GetPlacedAtMs()
	if s.placedAt == 0 {
		s.placedAt = at
	}
	s.lines = make([]lineState, len(e.Order.GetLines()))
	s.note(at, "placed", "")
}

// evolveFulfillment writes what happens to FOs; false when the event is not about one.
func (s *State) evolveFulfillment(event messages.Event, at int64) bool {
	switch e := event.(type) {
	case *messages.PlanAdopted:
		s.evolvePlan(e, at)
	case *messages.LineDeclined:
		s.evolveDeclined(e, at)
	case *messages.LineLost:
		s.evolveLost(e, at)
	case *messages.LineFreed:
		s.evolveFreed(e, at)
	case *messages.OrderFulfillmentSubmitted:
		if f := s.fulfillment(e.Fulfillment); f != nil {
			f.request = requestSubmitted
			s.noteSite(at, "submitted", f, "")
		}
	case *messages.OrderFulfillmentAccepted:
		if f := s.fulfillment(e.Fulfillment); f != nil {
			f.request, f.workDate = requestAccepted, e.WorkDate
			s.allocate(f)
			s.noteSite(at, "accepted", f, "")
		}
	case *messages.OrderFulfillmentRejected:
		s.evolveRejected(e, at)
	case *messages.FulfillmentDropped:
		s.evolveDropped(e, at)
	case *messages.OrderFulfillmentCancelled:
		if f := s.fulfillment(e.Fulfillment); f != nil {
			s.end(f)
			s.noteSite(at, "given_back", f, "")
		}
	case *messages.OrderCancellationRefused:
		s.evolveRefused(e, at)
	default:
		return false
	}
	return true
}

// evolveOrder writes what happens to the order as a whole.
func (s *State) evolveOrder(event messages.Event, at int64) bool {
	switch e := event.(type) {
	case *messages.OrderOpened:
		s.life, s.planCause = lifeOpen, causePlaced
	case *messages.UnitsBackordered:
		s.eachLine(e.Lines, func(line *lineState, quantity int64) { line.backordered += quantity })
		s.backorderedAt = at
		s.note(at, "backordered", "")
	case *messages.UnitsReopened:
		for i := range s.lines {
			s.lines[i].backordered = 0
		}
		if e.Sku != "" {
			// The stock has moved since a bucket told of it: its word outranks the view no more. A new list, for forks share the old one.
			s.known = slices.DeleteFunc(slices.Clone(s.known), func(k *messages.KnownStock) bool { return k.Sku == e.Sku })
		}
		s.planCause = e.Cause
		s.note(at, "reopened", e.Cause)
	case *messages.UnitsCancelled:
		s.evolveCancelled(e, at)
	case *messages.CancelRequested:
		s.cancelReason = or(e.Reason, reasonCustomer)
		s.note(at, "cancel_requested", e.Reason)
	case *messages.HoldPlaced, *messages.HoldReleased, *messages.ExceptionOpened, *messages.ExceptionResolved:
		s.evolveStops(e, at)
	case *messages.OrderQueued:
		s.queue = e.Queue
		s.note(at, "queued", e.Queue)
	case *messages.CancelScheduled:
		s.cancelAt = e.AtMs
		s.note(at, "cancel_scheduled", "")
	case *messages.OrderCompleted:
		s.life, s.endedAt = lifeCompleted, at
		s.note(at, "completed", "")
	case *messages.OrderCancelled:
		s.life, s.endedAt, s.cancelReason = lifeCancelled, at, e.Reason
		s.note(at, "cancelled", e.Reason)
	default:
		return false
	}
	return true
}

// evolveStops writes holds and exceptions. The lists are replaced: a fork may share them.
func (s *State) evolveStops(event messages.Event, at int64) {
	switch e := event.(type) {
	case *messages.HoldPlaced:
		h := &messages.OrderHold{Reason: e.Reason, Note: e.Note, PlacedAtMs: at, UntilMs: e.UntilMs, Actor: e.Actor}
		if i := s.heldBy(e.Reason); i >= 0 {
			s.holds = slices.Clone(s.holds)
			s.holds[i] = h
		} else {
			s.holds = append(s.holds, h)
		}
		s.note(at, "held", e.Reason)
	case *messages.HoldReleased:
		s.holds = slices.DeleteFunc(slices.Clone(s.holds), func(h *messages.OrderHold) bool { return h.Reason == e.Reason })
		s.note(at, "hold_released", e.Reason)
	case *messages.ExceptionOpened:
		s.exceptions = append(s.exceptions, &messages.OrderException{Kind: e.Kind, Detail: e.Detail, Owner: e.Owner, OpenedAtMs: at})
		s.note(at, "exception", e.Kind)
	case *messages.ExceptionResolved:
		s.exceptions = slices.DeleteFunc(slices.Clone(s.exceptions), func(x *messages.OrderException) bool { return x.Kind == e.Kind })
		if e.Kind == exceptionUnroutable && e.By != byCauseGone && e.By != byCancel {
			// A person plans anew: brakes 2–4 start again, exclusions stay.
			s.rejections, s.attempts, s.unacceptedMs, s.unacceptedFrom, s.planCause = 0, 0, 0, 0, causeManual
		}
		if e.ClockRestarts {
			s.unacceptedMs, s.unacceptedFrom = 0, 0
		}
		s.note(at, "exception_resolved", e.Kind)
	}
}

// evolveCancelled takes units from where they wait: back-ordered ones when the line has any, then open ones.
func (s *State) evolveCancelled(e *messages.UnitsCancelled, at int64) {
	s.eachLine(e.Lines, func(line *lineState, quantity int64) {
		line.cancelled += quantity
		line.backordered -= min(line.backordered, quantity)
	})
	s.note(at, "units_cancelled", e.Reason)
}

func (s *State) eachLine(lines []*messages.LineQuantity, do func(line *lineState, quantity int64)) {
	for _, l := range lines {
		if int64(l.GetLine()) < int64(len(s.lines)) {
			do(&s.lines[l.Line], l.GetQuantity())
		}
	}
}

// clock runs the elapsed brake while units are unaccepted and nobody holds the order.
func (s *State) clock(at int64) {
	runs := false
	if s.releasable() && s.cancelReason == "" {
		t := s.count()
		runs = t.unaccepted > 0
	}
	switch {
	case runs && s.unacceptedFrom == 0:
		s.unacceptedFrom = at
	case !runs && s.unacceptedFrom != 0:
		s.unacceptedMs += max(at-s.unacceptedFrom, 0)
		s.unacceptedFrom = 0
	}
}

// note adds to the timeline, which forgets its oldest entries.
func (s *State) note(at int64, what, detail string) {
	if s.forked {
		return
	}
	if len(s.timeline) >= timelineMax {
		s.timeline = append([]*messages.TimelineEntry(nil), s.timeline[len(s.timeline)-timelineKept:]...)
	}
	s.timeline = append(s.timeline, &messages.TimelineEntry{AtMs: at, What: what, Detail: detail})
}

// noteSite adds what happened to an FO: "2 DEN capacity".
func (s *State) noteSite(at int64, what string, f *fulfillment, reason string) {
	if s.forked {
		return
	}
	if reason != "" {
		reason = " " + reason
	}
	s.note(at, what, f.id[len(s.id)+1:]+" "+f.site+reason)
}
