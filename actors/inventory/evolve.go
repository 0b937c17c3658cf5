package inventory

import (
	"fmt"

	"orderyard/messages"
)

// Evolve writes one event into the state. `at` is the time of the journal entry that carries it; nothing else tells time here.
func Evolve(s *State, event messages.Event, at int64) {
	s.sequence++
	switch e := event.(type) {
	case *messages.CommandRefused: // only the answer is remembered
	case *messages.StockReserved:
		s.onReserved(e, at)
	case *messages.ReservationConfirmed:
		s.onConfirmed(s.claim(e.ReservationId, event), at)
	case *messages.ReservationReleased:
		s.onReleased(e.ReservationId, at)
	case *messages.ReservationExpired:
		r := s.claim(e.ReservationId, event)
		if !r.lapsed(at) {
			s.broken("I7", "reservation %s, %s until %d, expired at %d", r.id, r.status, r.expiresAt, at)
		}
		s.end(r, expired, at)
		s.steppedAt = at
	case *messages.StockShipped:
		s.onShipped(e, at)
	case *messages.StockCounted:
		s.onCounted(e)
	case *messages.StockLevelsSet:
		s.safetyStock, s.unsellable = e.SafetyStock, e.Unsellable
		s.movementsKept = max(s.movementsKept, min(e.MovementsKept, MovementsWide))
	case *messages.StockAdjusted:
		s.onHand += e.Delta
		s.moved(at, e.Delta)
	case *messages.StockReceived:
		s.known = true
		s.onHand += e.Quantity
		s.moved(at, e.Quantity)
		s.incoming = arrived(s.incoming, e.Reference, e.Quantity)
	case *messages.StockRejected:
		s.onRejected(e, at)
	case *messages.StockOvercommitted:
		s.onOvercommitted(e, at)
	case *messages.ClaimKept:
		s.onHand += e.OnHandDelta
		s.uncontest(s.claim(e.ReservationId, event))
	case *messages.ClaimChecked:
		s.checked(s.claim(e.ReservationId, event))
	case *messages.OvercommitTold:
		if r := s.reservations[e.ReservationId]; r != nil && r.contested && !r.told {
			r.told = true
			s.noticesOwed--
		}
	default:
		panic(fmt.Sprintf("inventory: %T is no event of a bucket", event))
	}
	s.forget(at)
	s.expiries.settle()
	s.settleNotices()
	if name, what := s.check(); name != "" {
		s.broken(name, "%s after %s", what, messages.EventName(event))
	}
}

// claim finds the live claim that an event is about. An event that ends a claim twice would be a second exit.
func (s *State) claim(id string, event messages.Event) *reservation {
	r := s.reservations[id]
	if r == nil || !r.isLive() {
		s.broken("I7", "%s of reservation %s, which is not live", messages.EventName(event), id)
	}
	return r
}

func (s *State) onReserved(e *messages.StockReserved, at int64) {
	r := s.reservations[e.ReservationId]
	if r != nil && r.status == held {
		s.onExtended(r, e)
		return
	}
	fresh := &reservation{
		id: e.ReservationId, orderID: e.OrderId, quantity: e.Quantity, expiresAt: e.ExpiresAtMs, promise: e.PromiseMs, madeAt: at,
		sequence: s.sequence, priority: e.Priority, status: held,
	}
	if r != nil {
		if r.status != released && r.status != expired {
			s.broken("I7", "reservation %s is made anew while confirmed", r.id)
		}
		fresh.contests = r.contests
		s.ended.remove(r)
	}
	s.reservations[fresh.id] = fresh
	s.live.add(fresh)
	if e.Firm {
		fresh.status, fresh.unchecked = confirmed, fresh.orderID != ""
		s.allocated += fresh.quantity
		if s.unchecked == nil && fresh.unchecked {
			s.unchecked = fresh
		}
	} else {
		s.expiries.add(fresh)
		s.reserved += fresh.quantity
	}
	s.undeclare()
}

func (s *State) onExtended(r *reservation, e *messages.StockReserved) {
	s.uncontest(r)
	s.reserved += e.Quantity - r.quantity
	r.quantity, r.orderID, r.priority, r.promise = e.Quantity, e.OrderId, e.Priority, e.PromiseMs
	switch {
	case e.Firm:
		s.firm(r)
	case r.expiresAt != e.ExpiresAtMs:
		r.expiresAt = e.ExpiresAtMs
		s.expiries.stale++
		s.expiries.add(r)
	}
	s.undeclare()
}

// undeclare ends the exemption of an over-commitment once claims are covered again: from here on a new hold must fit.
func (s *State) undeclare() {
	if s.available() >= 0 {
		s.declared = 0
	}
}

func (s *State) onConfirmed(r *reservation, at int64) {
	if r.status != held || r.lapsed(at) {
		s.broken("I7", "reservation %s, %s until %d, confirmed at %d", r.id, r.status, r.expiresAt, at)
	}
	s.firm(r)
}

// firm turns a hold into an allocation.
func (s *State) firm(r *reservation) {
	s.reserved -= r.remaining()
	s.allocated += r.remaining()
	r.status, r.expiresAt = confirmed, 0
	s.expiries.stale++
}

func (s *State) onReleased(id string, at int64) {
	r := s.reservations[id]
	if r == nil {
		r = &reservation{id: id, status: released, endedAt: at, sequence: s.sequence}
		s.reservations[id] = r
		s.ended.add(r)
		return
	}
	if !r.isLive() {
		s.broken("I7", "reservation %s, %s, was released", id, r.status)
	}
	s.end(r, released, at)
}

// end takes a claim out of the sums and keeps what late commands will ask about.
func (s *State) end(r *reservation, st status, at int64) {
	s.drop(r)
	if r.status == held {
		s.expiries.stale++
	}
	if r.contested && !r.told {
		s.noticesOwed--
	}
	s.checked(r)
	s.live.remove(r)
	r.status, r.endedAt = st, at
	r.expiresAt, r.madeAt, r.promise, r.priority = 0, 0, 0, 0
	r.contested, r.told, r.contest = false, false, 0
	s.ended.add(r)
}

func (s *State) onShipped(e *messages.StockShipped, at int64) {
	r := s.claim(e.ReservationId, e)
	if e.Quantity > r.remaining() {
		s.broken("I1", "reservation %s ships %d units of %d", r.id, e.Quantity, r.remaining())
	}
	if r.status == held {
		s.firm(r)
	}
	s.uncontest(r)
	s.allocated -= e.Quantity
	s.onHand -= e.Quantity
	r.shipped += e.Quantity
	if r.remaining() == 0 {
		s.end(r, shipped, at)
	}
	s.moved(at, -e.Quantity)
}

func (s *State) onCounted(e *messages.StockCounted) {
	s.known = true
	s.onHand = e.OnHand
	s.countedAsOf = max(s.countedAsOf, e.AsOfMs)
	s.forgetMovements()
}

// forgetMovements drops what no acceptable count can ask for.
func (s *State) forgetMovements() {
	kept := s.movements[:0]
	for _, m := range s.movements {
		if m.at > s.countedAsOf {
			kept = append(kept, m)
		}
	}
	s.movements = kept
}

func (s *State) onRejected(e *messages.StockRejected, at int64) {
	s.onHand += e.OnHandDelta
	s.unsellable += e.UnsellableDelta
	if r := s.reservations[e.ReservationId]; r != nil {
		r.rejected = true
	}
	asOf := e.AsOfMs
	if asOf == 0 {
		asOf = at
	}
	if e.Reason == reasonNotInStock {
		// Somebody stood before the empty shelf: that is a count, and older counts must not bring the units back.
		s.countedAsOf = max(s.countedAsOf, asOf)
		s.forgetMovements()
		return
	}
	if e.OnHandDelta != 0 {
		s.moved(asOf, e.OnHandDelta) // the log is out of order then, which costs nothing: each movement is looked at by itself
	}
}

func (s *State) onOvercommitted(e *messages.StockOvercommitted, at int64) {
	for _, id := range e.Victims {
		r := s.reservations[id]
		if r == nil || !r.isLive() || r.contested {
			continue
		}
		s.contest++
		r.contested, r.told, r.contest = true, false, s.contest
		r.contests++
		s.contested += r.remaining()
		s.notices = append(s.notices, notice{of: r, contest: r.contest})
		s.noticesOwed++
	}
	s.declared = max(0, e.Short-s.contested)
	s.steppedAt = at
}

// uncontest gives a claim its units back in the books; its order need not be told any more.
func (s *State) uncontest(r *reservation) {
	if !r.contested {
		return
	}
	s.contested -= r.remaining()
	if !r.told {
		s.noticesOwed--
	}
	r.contested, r.told, r.contest = false, false, 0
}

// settleNotices drops notices that are owed no more from the front, and all of them when they are the greater part.
func (s *State) settleNotices() {
	for len(s.notices) > 0 && !s.notices[0].isOwed() {
		s.notices[0] = notice{}
		s.notices = s.notices[1:]
	}
	if len(s.notices) == 0 {
		s.notices = nil
		return
	}
	if len(s.notices) < 2*s.noticesOwed+16 {
		return
	}
	kept := make([]notice, 0, s.noticesOwed)
	for i := range s.notices {
		if s.notices[i].isOwed() {
			kept = append(kept, s.notices[i])
		}
	}
	s.notices = kept
}

// forget drops ended reservations that are too old or too many, a few per event.
func (s *State) forget(at int64) {
	for range pruneMax {
		r := s.ended.head
		if r == nil || s.ended.length <= EndedMax && r.endedAt+EndedKeepMs > at {
			return
		}
		s.ended.remove(r)
		delete(s.reservations, r.id)
	}
}

// check tells the invariant that is broken, if one is. It costs a few comparisons and stays on in production.
func (s *State) check() (name, what string) {
	c := &s.counts
	switch {
	case c.onHand < 0 || c.onHand > CountMax || c.unsellable < 0 || c.unsellable > c.onHand || c.safetyStock < 0 || c.safetyStock > CountMax:
		return "I1", fmt.Sprintf("on hand %d, unsellable %d, safety stock %d", c.onHand, c.unsellable, c.safetyStock)
	case c.reserved < 0 || c.allocated < 0 || c.contested < 0 || c.contested > c.claimed():
		return "I1", fmt.Sprintf("reserved %d, allocated %d, contested %d", c.reserved, c.allocated, c.contested)
	case c.uncovered() > s.declared:
		return "I1", fmt.Sprintf("oversold: %d units sellable, %d reserved, %d allocated, of these %d contested and %d declared short",
			c.sellable(), c.reserved, c.allocated, c.contested, s.declared)
	}
	return "", ""
}

func (s *State) broken(name, format string, args ...any) {
	panic(fmt.Sprintf("inventory: %s broken at %s: %s", name, s.ref, fmt.Sprintf(format, args...)))
}
