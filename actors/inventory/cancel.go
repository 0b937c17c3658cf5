package inventory

import (
	"orderyard/messages"
)

// Rejection reasons that change the stock (GLOSSARY §3). All others only free the claim.
const (
	reasonNotInStock = "not_in_stock"
	reasonMismatch   = "mismatch"
	reasonDamaged    = "damaged"
)

// cancel frees a claim, and books what the site's rejection says about the stock, in one commit.
func (s *State) cancel(c *messages.CancelReservation, now int64) ([]messages.Event, *messages.Reply, *messages.Failure) {
	if f := s.checkAbout(c.Sku, c.Site, c.ReservationId); f != nil {
		return nil, nil, f
	}
	if c.RejectedQuantity < 0 {
		return nil, nil, messages.Invalid("rejected_quantity", "must not be negative, is %d", c.RejectedQuantity)
	}
	if c.RejectedAtMs < 0 {
		return nil, nil, messages.Invalid("rejected_at_ms", "must not be negative, is %d", c.RejectedAtMs)
	}
	r := s.reservations[c.ReservationId]
	d := s.decide(now)
	switch {
	case r == nil && s.known:
		// Remembered, so that its reservation cannot take stock when it arrives later.
		d.add(&messages.ReservationReleased{ReservationId: c.ReservationId})
		return d.events, answerAbout(&d.counts, released, 0), nil
	case r == nil:
		return nil, answerAbout(&d.counts, released, 0), nil
	case r.status == shipped:
		return nil, refuse(&d.counts, shipped, messages.Fail(messages.CodeTooLate, "reservation_id", "the units of %s have been shipped", r.id)), nil
	}
	units, end := r.quantity, r.status
	switch {
	case r.lapsed(now):
		d.leaving, end = r, expired
		d.expire([]*reservation{r})
	case r.isLive():
		units, end = r.remaining(), released
		d.release(r)
	}
	if c.RejectedQuantity > 0 {
		units = min(units, c.RejectedQuantity)
	}
	// Also for a claim that ended before the site answered: what the site found is true all the same. But only once.
	if !r.rejected && r.quantity > 0 {
		d.reject(r, c, units)
	}
	return d.events, answerAbout(&d.counts, end, 0), nil
}

// reject books the stock effect of a rejection. How many units are on hand, a count that was taken after the site found it knows better: an
// older finding is ignored, as an older count is. Not so damaged units: a count need not say in what state the units are.
func (d *decision) reject(r *reservation, c *messages.CancelReservation, units int64) {
	found := c.RejectedAtMs
	if found > d.now {
		found = 0 // from a clock that is ahead; believed, it would silence later counts
	}
	older := found != 0 && found < d.s.countedAsOf
	rejected := &messages.StockRejected{ReservationId: r.id, Reason: c.RejectReason}
	switch {
	case c.RejectReason == reasonDamaged:
		rejected.UnsellableDelta = min(units, d.sellable())
	case older:
		return
	case c.RejectReason == reasonNotInStock:
		rejected.OnHandDelta, rejected.AsOfMs = d.nothingLeft(r, found)
	case c.RejectReason == reasonMismatch:
		rejected.OnHandDelta, rejected.AsOfMs = -min(units, d.sellable()), found
	default:
		return
	}
	onHand, unsellable := d.onHand+rejected.OnHandDelta, d.unsellable+rejected.UnsellableDelta
	d.cover(onHand, unsellable)
	d.add(rejected)
	d.onHand, d.unsellable = onHand, unsellable
}

// nothingLeft reads not_in_stock as a count: nothing sellable was left but what was picked, and what moved since is added. The bucket does
// not know what is picked: claims that are not covered become contested, and the orders whose units are picked keep theirs (KeepClaim).
// Only what the claim itself has shipped since was in the picker's hands for certain. Unsellable units lie apart and stay. Found at an
// unknown time, or before the log of movements begins, it is of now.
func (d *decision) nothingLeft(r *reservation, found int64) (delta, asOf int64) {
	left := int64(0)
	if found < d.s.movementsFrom {
		found = 0
	}
	if found != 0 {
		left = max(0, r.shipped+d.s.movedSince(found))
	}
	return min(0, left-d.sellable()), found
}

// ship takes units out of the building. That is a fact, not a wish: a hold need not be confirmed for it, and a contested claim whose
// units leave has thereby been kept.
func (s *State) ship(c *messages.ShipStock, now int64) ([]messages.Event, *messages.Reply, *messages.Failure) {
	if f := s.checkAbout(c.Sku, c.Site, c.ReservationId); f != nil {
		return nil, nil, f
	}
	if c.Quantity < 0 || c.Quantity > QuantityMax {
		return nil, nil, messages.Invalid("quantity", "must be between 0 (all) and %d, is %d", QuantityMax, c.Quantity)
	}
	r := s.reservations[c.ReservationId]
	d := s.decide(now)
	switch {
	case r == nil:
		return nil, s.unknownReservation(c.ReservationId), nil
	case r.status == shipped, !r.isLive() && r.shipped > 0 && c.Quantity <= r.shipped:
		return nil, answerAbout(&d.counts, shipped, 0), nil
	case !r.isLive():
		return nil, refuseEnded(&d.counts, r, r.status), nil
	}
	units := r.remaining()
	if c.Quantity > units {
		return nil, nil, messages.Invalid("quantity", "reservation %s holds %d units, %d were to be shipped", r.id, units, c.Quantity)
	}
	if r.contested || d.uncovered() > 0 {
		d.keep(r)
	}
	if c.Quantity > 0 {
		units = c.Quantity
	}
	d.add(&messages.StockShipped{ReservationId: r.id, Quantity: units})
	if r.status == held {
		d.reserved -= r.remaining()
		d.allocated += r.remaining()
	}
	d.allocated -= units
	d.onHand -= units
	return d.events, answerAbout(&d.counts, shipped, 0), nil
}

// keep answers an over-commitment: the units are in somebody's hands already.
func (s *State) keep(c *messages.KeepClaim, now int64) ([]messages.Event, *messages.Reply, *messages.Failure) {
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
	case r.status == shipped:
		return nil, answerAbout(&d.counts, shipped, 0), nil
	case !r.isLive():
		return nil, refuseEnded(&d.counts, r, r.status), nil
	case r.contested:
		d.keep(r)
	}
	return d.events, answerAbout(&d.counts, r.status, r.expiresAt), nil
}

// keep ends a contest in favor of the claim. On hand rises by what is missing and no more: a keep never makes units available, so a
// count that saw the picked units already is not counted twice.
func (d *decision) keep(r *reservation) {
	d.leaving = r
	d.expireDue()
	delta := min(r.remaining(), d.short())
	d.add(&messages.ClaimKept{ReservationId: r.id, OnHandDelta: delta})
	d.onHand += delta
	if r.contested {
		d.contested -= r.remaining()
	}
}
