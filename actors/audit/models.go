package audit

import (
	"fmt"

	"orderyard/actors/entity"
	"orderyard/messages"
)

type report func(invariant, format string, args ...any)

// claim is a reservation as the model sees it.
type claim struct {
	quantity int64
	expires  int64
	order    string
	firm     bool
	live     bool
	// contested: an over-commitment named it and nobody has kept it since. Its order has been told; stock that comes and goes meanwhile is no new one.
	contested bool
	endedAt   int64 // of one that is not live
}

// bucketModel adds and subtracts; it shares no code with the bucket.
type bucketModel struct {
	onHand   int64
	claims   map[string]*claim
	ended    endings
	claimed  int64
	declared bool // an over-commitment was announced and not yet worked off
}

// expiryGraceMs is how late a hold may end while its bucket's partition is served. Behind a takeover its timer may wait for entity.WakeLaterMs before.
const expiryGraceMs = 2_000

func emptyBucketModel() *bucketModel { return &bucketModel{claims: map[string]*claim{}} }

func newBucketModel(state []byte) (*bucketModel, error) {
	s := new(messages.BucketState)
	if err := s.UnmarshalVT(state); err != nil {
		return nil, fmt.Errorf("bucket state: %w", err)
	}
	m := &bucketModel{onHand: s.OnHand, claims: make(map[string]*claim, len(s.Reservations))}
	for _, r := range s.Reservations {
		c := &claim{quantity: r.Quantity - r.Shipped, expires: r.ExpiresAtMs, order: r.OrderId, firm: r.Status == 2, live: r.Status == 1 || r.Status == 2, contested: r.Contested}
		if c.live {
			m.grant(r.Id, c)
		} else {
			m.keep(r.Id, c, r.EndedAtMs)
		}
	}
	m.declared = m.claimed > m.onHand
	return m, nil
}

func (m *bucketModel) entry(events []messages.Event, at int64, bad report) {
	for _, e := range events {
		m.forget(at)
		m.event(e, at, bad)
	}
	switch {
	case m.claimed <= m.onHand:
		m.declared = false
	case !m.declared && m.claimed-m.contested() > m.onHand:
		bad("I1", "oversold: %d on hand, %d claimed, and no over-commitment was declared", m.onHand, m.claimed)
	}
	if m.onHand < 0 {
		bad("I1", "%d on hand", m.onHand)
	}
}

func (m *bucketModel) event(e messages.Event, at int64, bad report) {
	switch e := e.(type) {
	case *messages.StockCounted:
		m.onHand = e.OnHand
	case *messages.StockAdjusted:
		m.onHand += e.Delta
	case *messages.StockReceived:
		m.onHand += e.Quantity
	case *messages.StockReserved:
		m.grant(e.ReservationId, &claim{quantity: e.Quantity, expires: e.ExpiresAtMs, order: e.OrderId, firm: e.Firm, live: true})
	case *messages.ReservationConfirmed:
		c := m.claims[e.ReservationId]
		if c == nil || !c.live || c.firm {
			bad("I7", "reservation %s was confirmed while not held", e.ReservationId)
			return
		}
		c.firm = true
	case *messages.ReservationReleased:
		if m.claims[e.ReservationId] == nil { // never known, or forgotten: the bucket remembers it from now on
			m.keep(e.ReservationId, &claim{}, at)
			return
		}
		m.exit(e.ReservationId, "released", at, bad)
	case *messages.ReservationExpired:
		if c := m.claims[e.ReservationId]; c != nil && (c.firm || c.expires > at) {
			bad("I7", "reservation %s expired at %d, %d ms early", e.ReservationId, at, c.expires-at)
		}
		m.exit(e.ReservationId, "expired", at, bad)
	case *messages.StockShipped:
		c := m.claims[e.ReservationId]
		if c == nil || !c.live || e.Quantity > c.quantity {
			bad("I1", "reservation %s ships %d units it does not hold", e.ReservationId, e.Quantity)
			return
		}
		m.onHand -= e.Quantity
		m.claimed -= e.Quantity
		c.quantity -= e.Quantity
		c.firm = true
		if c.quantity == 0 {
			m.end(e.ReservationId, c, at)
		}
	case *messages.StockRejected:
		m.onHand += e.OnHandDelta
	case *messages.StockOvercommitted:
		m.declared = true
		for _, id := range e.Victims {
			if c := m.claims[id]; c != nil {
				c.contested = true
			}
		}
	case *messages.ClaimKept:
		m.onHand += e.OnHandDelta
		if c := m.claims[e.ReservationId]; c != nil {
			c.contested = false
		}
	}
}

// contested counts the units of claims that are.
func (m *bucketModel) contested() int64 {
	n := int64(0)
	for _, c := range m.claims {
		if c.live && c.contested {
			n += c.quantity
		}
	}
	return n
}

// exit ends a claim, once.
func (m *bucketModel) exit(id, how string, at int64, bad report) {
	c := m.claims[id]
	if c == nil || !c.live {
		bad("I7", "reservation %s was %s a second time", id, how)
		return
	}
	m.end(id, c, at)
}

// overdue names the holds that should have ended by now, in a partition that is served since a time.
func (m *bucketModel) overdue(now, since int64, bad func(format string, args ...any)) {
	for _, id := range sortedKeys(m.claims) {
		if c := m.claims[id]; c.live && !c.firm && max(c.expires, since+entity.WakeLaterMs)+expiryGraceMs < now {
			bad("hold %s should have ended %d ms ago", id, now-c.expires)
		}
	}
}

// siteModel counts accepted work per window.
type siteModel struct {
	capacity *messages.SiteCapacity
	hours    map[string]int64
	days     map[string]int64
	work     map[string]*workModel
	atHand   int64
}

type workModel struct {
	order     string
	hour, day string
	shipped   bool
}

func emptySiteModel() *siteModel {
	return &siteModel{hours: map[string]int64{}, days: map[string]int64{}, work: map[string]*workModel{}}
}

func newSiteModel(state []byte) (*siteModel, error) {
	s := new(messages.SiteState)
	if err := s.UnmarshalVT(state); err != nil {
		return nil, fmt.Errorf("site state: %w", err)
	}
	m := emptySiteModel()
	m.capacity = s.Doc.GetCapacity()
	for _, w := range s.Hours {
		m.hours[w.Window] = w.Count
	}
	for _, w := range s.Days {
		m.days[w.Window] = w.Count
	}
	for _, w := range s.Work {
		shipped := w.Fulfillment.Status >= messages.FulfillmentStatus_FULFILLMENT_STATUS_SHIPPED
		m.work[w.Fulfillment.Id] = &workModel{order: w.Fulfillment.OrderId, hour: w.Hour, day: w.Fulfillment.WorkDate, shipped: shipped}
		if !shipped {
			m.atHand++
		}
	}
	return m, nil
}

func (m *siteModel) entry(events []messages.Event, bad report) {
	for _, e := range events {
		switch e := e.(type) {
		case *messages.SiteApplied:
			m.capacity = e.Doc.GetCapacity()
		case *messages.SiteCapacitySet:
			m.capacity = e.Capacity
		case *messages.FulfillmentRequested:
			m.take(e.Fulfillment, e.Hour, e.WorkDate, bad)
		case *messages.FulfillmentAccepted:
			if m.work[e.Fulfillment.GetId()] == nil {
				m.take(e.Fulfillment, e.Hour, e.WorkDate, bad)
			}
		case *messages.FulfillmentMoved:
			m.move(e.FulfillmentId, e.Status)
		case *messages.FulfillmentRejected:
			m.free(e.FulfillmentId)
		case *messages.FulfillmentTimedOut:
			m.free(e.FulfillmentId)
		case *messages.FulfillmentCancelled:
			m.free(e.FulfillmentId)
		}
	}
}

func (m *siteModel) take(fo *messages.FulfillmentOrder, hour, day string, bad report) {
	id := fo.GetId()
	m.work[id] = &workModel{order: fo.GetOrderId(), hour: hour, day: day}
	m.hours[hour]++
	m.days[day]++
	m.atHand++
	c := m.capacity
	if most := c.GetPerHour(); most > 0 && hour != "" && m.hours[hour] > most {
		bad("I5", "%s took %d in the hour %s, %d are allowed", id, m.hours[hour], hour, most)
	}
	if most := c.GetPerDay(); most > 0 && day != "" && m.days[day] > most {
		bad("I5", "%s took %d for the day %s, %d are allowed", id, m.days[day], day, most)
	}
	if most := c.GetOpenMax(); most > 0 && m.atHand > most {
		bad("I5", "%s made %d open, %d are allowed", id, m.atHand, most)
	}
}

func (m *siteModel) move(id string, status messages.FulfillmentStatus) {
	w := m.work[id]
	if w == nil {
		return
	}
	if !w.shipped && status >= messages.FulfillmentStatus_FULFILLMENT_STATUS_SHIPPED {
		w.shipped = true
		m.atHand--
	}
	if status == messages.FulfillmentStatus_FULFILLMENT_STATUS_DELIVERED { // its site knows it no more
		delete(m.work, id)
	}
}

func (m *siteModel) free(id string) {
	w := m.work[id]
	if w == nil || w.shipped {
		return
	}
	m.hours[w.hour]--
	m.days[w.day]--
	m.atHand--
	delete(m.work, id)
}
