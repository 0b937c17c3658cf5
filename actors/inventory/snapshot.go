package inventory

import (
	"cmp"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"orderyard/messages"
)

// reservationsField is the number of BucketState.reservations.
const reservationsField = 6

// MarshalState gives the bucket as bytes: the same bytes for the same events, whether they were lived, replayed or restored
// halfway. Live reservations go first in the order they were made, then ended ones in the order they ended.
func (s *State) MarshalState() []byte {
	b := s.header()
	// Reservations are appended one by one through one message: a million of them would otherwise be built twice.
	scratch := new(messages.ReservationState)
	for _, list := range []*reservationList{&s.live, &s.ended} {
		for r := list.head; r != nil; r = r.next {
			r.into(scratch)
			size := scratch.SizeVT()
			b = protowire.AppendTag(b, reservationsField, protowire.BytesType)
			b = protowire.AppendVarint(b, uint64(size))
			b = slices.Grow(b, size)[:len(b)+size]
			if _, err := scratch.MarshalToSizedBufferVT(b[len(b)-size:]); err != nil {
				panic(fmt.Sprintf("inventory: encode reservation %s: %v", r.id, err))
			}
		}
	}
	return b
}

func (s *State) header() []byte {
	m := &messages.BucketState{
		Sku: s.sku, Site: s.site, OnHand: s.onHand, SafetyStock: s.safetyStock, Unsellable: s.unsellable, Incoming: s.incoming,
		CountedAsOfMs: s.countedAsOf, Sequence: s.sequence, SteppedAtMs: s.steppedAt, MovementsFromMs: s.movementsFrom, Known: s.known,
		Contest: s.contest, Uncovered: s.declared, MovementsKept: s.movementsKept,
	}
	older := max(0, len(s.movements)-MovementsMax)
	for i, mv := range s.movements {
		if i >= older {
			m.Movements = append(m.Movements, &messages.StockMovement{AtMs: mv.at, Delta: mv.delta})
			continue
		}
		m.OlderMovements = append(m.OlderMovements, &messages.StockMovement{AtMs: mv.at, Delta: mv.delta})
		m.MovementsFromMs, m.OlderFromMs = max(m.MovementsFromMs, mv.at), s.movementsFrom
	}
	b, err := m.MarshalVT()
	if err != nil {
		panic(fmt.Sprintf("inventory: encode bucket %s: %v", s.ref, err))
	}
	return b
}

func (r *reservation) into(m *messages.ReservationState) {
	m.Id, m.Quantity, m.ExpiresAtMs, m.OrderId, m.Priority, m.PromiseMs = r.id, r.quantity, r.expiresAt, r.orderID, r.priority, r.promise
	m.Status, m.Sequence, m.Contested, m.EndedAtMs, m.MadeAtMs, m.Told = uint32(r.status), r.sequence, r.contested, r.endedAt, r.madeAt, r.told
	m.Shipped, m.Contest, m.Contests, m.Rejected, m.Unchecked = r.shipped, r.contest, r.contests, r.rejected, r.unchecked
}

// UnmarshalState reads a bucket back. Bytes that no bucket could have written are an error, never a bucket that breaks later.
func UnmarshalState(b []byte) (*State, error) {
	m := new(messages.BucketState)
	if err := m.UnmarshalVT(b); err != nil {
		return nil, fmt.Errorf("decode bucket: %w", err)
	}
	s := New(m.Sku, m.Site)
	s.onHand, s.safetyStock, s.unsellable = m.OnHand, m.SafetyStock, m.Unsellable
	s.countedAsOf, s.sequence, s.steppedAt, s.movementsFrom = m.CountedAsOfMs, m.Sequence, m.SteppedAtMs, m.MovementsFromMs
	s.known, s.contest, s.declared, s.incoming, s.movementsKept = m.Known, m.Contest, m.Uncovered, m.Incoming, m.MovementsKept
	if len(m.OlderMovements) > 0 {
		s.movementsFrom = m.OlderFromMs
	}
	movements := append(m.OlderMovements, m.Movements...)
	if m.MovementsKept > MovementsWide || len(movements) > s.keeps() {
		return nil, fmt.Errorf("decode bucket %s: %d movements, at most %d are kept", s.ref, len(movements), s.keeps())
	}
	for _, mv := range movements {
		s.movements = append(s.movements, movement{at: mv.AtMs, delta: mv.Delta})
	}
	s.reservations = make(map[string]*reservation, len(m.Reservations))
	for _, rs := range m.Reservations {
		if err := s.restore(rs); err != nil {
			return nil, fmt.Errorf("decode bucket %s: %w", s.ref, err)
		}
	}
	slices.SortFunc(s.notices, func(a, b notice) int { return cmp.Compare(a.contest, b.contest) })
	s.expiries.order()
	if s.ended.length > EndedMax {
		return nil, fmt.Errorf("decode bucket %s: %d ended reservations, at most %d are kept", s.ref, s.ended.length, EndedMax)
	}
	if name, what := s.check(); name != "" {
		return nil, fmt.Errorf("decode bucket %s: %s broken: %s", s.ref, name, what)
	}
	return s, nil
}

// restore puts one reservation back where it was.
func (s *State) restore(m *messages.ReservationState) error {
	r := &reservation{
		id: m.Id, orderID: m.OrderId, quantity: m.Quantity, shipped: m.Shipped, sequence: m.Sequence, contests: m.Contests, rejected: m.Rejected,
	}
	if m.Status < uint32(held) || m.Status > uint32(shipped) {
		return fmt.Errorf("reservation %s has status %d", m.Id, m.Status)
	}
	r.status = status(m.Status)
	switch {
	case m.Id == "":
		return fmt.Errorf("a reservation has no id")
	case s.reservations[m.Id] != nil:
		return fmt.Errorf("reservation %s is there twice", m.Id)
	case m.Quantity < 0 || m.Quantity > QuantityMax || m.Shipped < 0 || m.Shipped > m.Quantity:
		return fmt.Errorf("reservation %s has shipped %d of %d units", m.Id, m.Shipped, m.Quantity)
	case m.Sequence == 0 || m.Sequence > s.sequence:
		return fmt.Errorf("reservation %s was made by event %d of %d", m.Id, m.Sequence, s.sequence)
	}
	s.reservations[r.id] = r
	if !r.isLive() {
		r.endedAt = m.EndedAtMs
		s.ended.add(r)
		return nil
	}
	return s.restoreLive(r, m)
}

func (s *State) restoreLive(r *reservation, m *messages.ReservationState) error {
	switch {
	case r.remaining() == 0 || r.status == held && r.shipped != 0:
		return fmt.Errorf("reservation %s is %s and has shipped %d of %d units", r.id, r.status, r.shipped, r.quantity)
	case s.live.tail != nil && s.live.tail.sequence >= r.sequence:
		return fmt.Errorf("reservation %s is out of order", r.id)
	case m.Contested && (m.Contest == 0 || m.Contest > s.contest):
		return fmt.Errorf("reservation %s is contest %d of %d", r.id, m.Contest, s.contest)
	case m.Unchecked && (r.status != confirmed || r.orderID == ""):
		return fmt.Errorf("reservation %s is %s for order %q and unchecked", r.id, r.status, r.orderID)
	}
	if r.unchecked = m.Unchecked; r.unchecked && s.unchecked == nil {
		s.unchecked = r
	}
	r.priority, r.promise, r.madeAt = m.Priority, m.PromiseMs, m.MadeAtMs
	s.live.add(r)
	if r.status == held {
		r.expiresAt = m.ExpiresAtMs
		s.reserved += r.quantity
		s.expiries.items = append(s.expiries.items, expiry{at: r.expiresAt, sequence: r.sequence, of: r})
	} else {
		s.allocated += r.remaining()
	}
	if m.Contested {
		r.contested, r.told, r.contest = true, m.Told, m.Contest
		s.contested += r.remaining()
		if !r.told {
			s.notices = append(s.notices, notice{of: r, contest: r.contest})
			s.noticesOwed++
		}
	}
	return nil
}
