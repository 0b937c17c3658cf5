package inventory

import (
	"orderyard/messages"
)

// reserve decides ReserveStock: the hot path. Three allocations serve one reservation: event, answer, and the record in Evolve.
func (s *State) reserve(c *messages.ReserveStock, now int64) ([]messages.Event, *messages.Reply, *messages.Failure) {
	hold, fail := s.checkReserve(c)
	if fail != nil {
		return nil, nil, fail
	}
	if !s.known {
		return nil, s.unknownBucket(), nil
	}
	d := s.decide(now)
	r := s.reservations[c.ReservationId]
	expiresAt, own, safe := now+hold, int64(0), false
	switch {
	case r == nil:
		if len(s.reservations) >= ReservationsMax {
			full := messages.Retry(messages.CodeLimit, retryAfterMs, "the bucket keeps %d reservations already", len(s.reservations))
			return nil, messages.Refuse(full), nil
		}
	case r.lapsed(now):
		d.expire([]*reservation{r})
	case r.status == held:
		if r.orderID != "" && r.orderID != c.OrderId {
			return nil, nil, messages.Fail(messages.CodeConflict, "order_id", "reservation %s belongs to order %s", r.id, r.orderID)
		}
		// Extending never shortens: an extension that arrives late must do no harm. And a claim that can be served never loses to
		// a shortfall that others were named for.
		expiresAt, own, safe = max(expiresAt, r.expiresAt), r.quantity, !r.contested && c.Quantity <= r.quantity
	case r.status == confirmed && c.Firm && r.orderID == c.OrderId && r.quantity == c.Quantity: // asked again after its answer was forgotten
		return nil, answerAbout(&s.counts, confirmed, 0), nil
	case r.isLive() || r.status == shipped:
		return nil, nil, messages.Fail(messages.CodeConflict, "reservation_id", "reservation %s has been confirmed", r.id)
	case r.status == released && (r.quantity == 0 || r.orderID != ""):
		// Cancelled before it arrived, or released by an order, which never uses an id twice: this command is late.
		return nil, refuseEnded(&s.counts, r, released), nil
	}
	if missing := c.Quantity - own - d.available(); missing > 0 && !safe {
		due, freed, more := s.expiries.due(now, missing, StepMax, r)
		if freed < missing {
			return s.decline(c, &d, r, due, more)
		}
		d.expire(due)
	}
	return d.grant(c, expiresAt, own)
}

// decline refuses for want of units. Holds that have run out count as free in the answer; the timer frees them. To an order the
// refusal is final, for it goes elsewhere: the id is remembered as ended, so that a late copy of the question takes no stock that
// arrived meanwhile. A cart may ask again under its id.
func (s *State) decline(c *messages.ReserveStock, d *decision, r *reservation, due []*reservation, more bool) ([]messages.Event, *messages.Reply, *messages.Failure) {
	if more {
		return nil, messages.Refuse(messages.Retry(messages.CodeLimit, retryAfterMs, "more than %d holds are about to be freed", StepMax)), nil
	}
	d.expire(due)
	reply := refuse(&d.counts, 0, messages.Fail(messages.CodeDeclined, "quantity",
		"%d units of %s are wanted at %s, %d are available", c.Quantity, s.sku, s.site, d.atp()))
	if r == nil && c.OrderId != "" {
		return []messages.Event{&messages.ReservationReleased{ReservationId: c.ReservationId}}, reply, nil
	}
	return nil, reply, nil
}

// grant gives the event and the answer of a reservation that is granted: a hold, or at once an allocation.
func (d *decision) grant(c *messages.ReserveStock, expiresAt, own int64) ([]messages.Event, *messages.Reply, *messages.Failure) {
	made := new(struct {
		event messages.StockReserved
		list  [1]messages.Event // saves the allocation of a slice
	})
	e := &made.event
	e.ReservationId, e.Quantity, e.ExpiresAtMs = c.ReservationId, c.Quantity, expiresAt
	e.OrderId, e.Priority, e.PromiseMs = c.OrderId, c.Priority, c.PromiseMs
	if d.events == nil {
		d.events = made.list[:0]
	}
	d.add(e)
	if c.Firm {
		e.Firm, e.ExpiresAtMs = true, 0
		d.reserved -= own
		d.allocated += c.Quantity
		return d.events, answerAbout(&d.counts, confirmed, 0), nil
	}
	d.reserved += c.Quantity - own
	return d.events, answerAbout(&d.counts, held, expiresAt), nil
}

func (s *State) checkReserve(c *messages.ReserveStock) (hold int64, fail *messages.Failure) {
	if f := s.checkAbout(c.Sku, c.Site, c.ReservationId); f != nil {
		return 0, f
	}
	if c.Quantity < 1 || c.Quantity > QuantityMax {
		return 0, messages.Invalid("quantity", "must be between 1 and %d, is %d", QuantityMax, c.Quantity)
	}
	if c.OrderId != "" {
		if f := checkID("order_id", c.OrderId); f != nil {
			return 0, f
		}
	}
	switch {
	case c.HoldForMs == 0:
		return HoldDefaultMs, nil
	case c.HoldForMs < HoldMinMs || c.HoldForMs > HoldMaxMs:
		return 0, messages.Invalid("hold_for_ms", "must be between %d and %d, is %d", HoldMinMs, HoldMaxMs, c.HoldForMs)
	}
	return c.HoldForMs, nil
}

// confirm makes a hold firm. A hold that has run out cannot be saved any more, and the answer makes that final: it expires here,
// so that no other clock can tell otherwise later.
func (s *State) confirm(c *messages.ConfirmReservation, now int64) ([]messages.Event, *messages.Reply, *messages.Failure) {
	if f := s.checkAbout(c.Sku, c.Site, c.ReservationId); f != nil {
		return nil, nil, f
	}
	r := s.reservations[c.ReservationId]
	d := s.decide(now)
	switch {
	case r == nil:
		return nil, s.unknownReservation(c.ReservationId), nil
	case r.lapsed(now):
		d.expire([]*reservation{r})
		return d.events, refuseEnded(&d.counts, r, expired), nil
	case r.status == held:
		d.add(&messages.ReservationConfirmed{ReservationId: r.id})
		return d.events, answerAbout(&d.counts, confirmed, 0), nil
	case r.status == confirmed || r.status == shipped:
		return nil, answerAbout(&d.counts, confirmed, 0), nil
	}
	return nil, refuseEnded(&d.counts, r, r.status), nil
}

// sweep is the bucket's timer: it expires what is due and goes on naming victims, a bounded step of each.
func (s *State) sweep(now int64) []messages.Event {
	d := s.decide(now)
	d.expireDue()
	if d.uncovered() > 0 {
		d.contest()
	}
	return d.events
}
