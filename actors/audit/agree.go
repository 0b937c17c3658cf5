package audit

import (
	"cmp"
	"maps"
	"slices"

	"orderyard/messages"
)

// Part is what an auditor leaves of the partitions it has read: what it found, and what buckets and orders must agree about. The entities
// themselves are not part of it, so that partitions can be audited one after the other in the memory of the largest.
type Part struct {
	Entities int
	Commits  int64
	Events   int64
	Compared int64
	Busy     string // what an entity still owes another; "" = nothing is under way
	Found    []Violation

	partition int // of what is found by Agree when there is only one
	believed  []stake
	held      []stake
	expected  []string // fulfillment orders that their orders count on and that have not left
	hands     []work   // what sites have at hand
}

// stake is a claim of an order on a bucket, as one of the two sees it.
type stake struct {
	bucket, reservation, order string
	quantity                   int64
}

// place is where a claim must be found on the other side.
type place struct{ bucket, reservation string }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func sortedRefs[V any](m map[messages.Ref]V) []messages.Ref {
	return slices.SortedFunc(maps.Keys(m), func(x, y messages.Ref) int {
		return cmp.Or(cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.ID, y.ID))
	})
}

// LastAt is the time of the youngest entry so far, Unix ms: the present of a history that has ended.
func (a *Auditor) LastAt() int64 { return a.lastAt }

// Close makes the checks that need whole entities: holds past their time at now, what is under way, money, units, and what a checkpoint has
// beyond the history. The auditor may still be asked afterwards; closing again repeats what it found.
func (a *Auditor) Close(now int64) *Part {
	a.position, a.record = 0, 0
	a.unmet()
	p := &Part{Entities: len(a.subjects), Commits: a.Commits, Events: a.Events, Compared: a.Compared, partition: a.partition}
	for _, ref := range sortedRefs(a.subjects) {
		s := a.subjects[ref]
		if s.broken {
			continue
		}
		a.guard(ref, s, func() { a.closeOne(p, ref, s, now) })
	}
	p.Found = a.found
	return p
}

func (a *Auditor) closeOne(p *Part, ref messages.Ref, s *subject, now int64) {
	if p.Busy == "" {
		p.Busy = busy(s, ref, now)
	}
	switch {
	case s.bucket != nil:
		if since, served := a.served[int(s.home)]; served {
			s.bucket.overdue(now, since, func(format string, args ...any) { a.violate("I7", ref, format, args...) })
		}
		p.hold(ref, s.bucket)
	case s.site != nil:
		p.work(ref, s.site)
	case ref.Kind == messages.KindOrder:
		a.count(ref, s.core, linesOf(s.core))
		if view := orderView(s.core); view != nil && view.Order != nil {
			a.money(ref, view)
			p.believe(ref, view)
		}
	}
}

// Journal is the invariant of a record that is not what was written.
const Journal = "journal"

// Break ends an audit where the journal is damaged: what is whole only with the rest is not judged.
func (a *Auditor) Break(damage Violation) *Part {
	return &Part{
		Entities: len(a.subjects), Commits: a.Commits, Events: a.Events, Compared: a.Compared, partition: a.partition, Found: append(a.found, damage),
	}
}

// busy names something that the entity owes another now, or "".
func busy(s *subject, ref messages.Ref, now int64) string {
	for _, t := range s.core.Machine().Tasks(now, nil) {
		if t.To != ref && t.Due <= now {
			return ref.String() + " owes " + t.ID
		}
	}
	return ""
}

// hold notes the live claims that a bucket holds for orders.
func (p *Part) hold(ref messages.Ref, m *bucketModel) {
	for _, id := range sortedKeys(m.claims) {
		if c := m.claims[id]; c.live {
			p.held = append(p.held, stake{bucket: ref.ID, reservation: id, order: c.order, quantity: c.quantity})
		}
	}
}

// believe notes the claims that an order counts on.
func (p *Part) believe(ref messages.Ref, view *messages.OrderView) {
	for _, fo := range view.Fulfillments {
		if !atHand(fo.Status) {
			continue
		}
		p.expected = append(p.expected, fo.Id)
		for _, line := range fo.Lines {
			bucket := messages.BucketRef(line.Sku, fo.Site)
			p.believed = append(p.believed, stake{bucket: bucket.ID, reservation: line.ReservationId, order: ref.ID, quantity: line.Quantity})
		}
	}
}

// atHand says that the units are still in the building and spoken for.
func atHand(s messages.FulfillmentStatus) bool {
	return s >= messages.FulfillmentStatus_FULFILLMENT_STATUS_SCHEDULED && s <= messages.FulfillmentStatus_FULFILLMENT_STATUS_PACKED
}

// money checks that an order which is with sites as a whole is worth its total, to the minor unit (I8).
func (a *Auditor) money(ref messages.Ref, view *messages.OrderView) {
	assigned, ordered := int64(0), int64(0)
	for _, line := range view.Order.Lines {
		ordered += line.Quantity
	}
	total := -view.Order.Discount + view.Order.ShippingAmount + view.Order.Tax
	for _, line := range view.Order.Lines {
		total += line.Quantity * line.UnitPrice
	}
	sum := int64(0)
	for _, fo := range view.Fulfillments {
		if over(fo.Status) {
			continue
		}
		sum += fo.Amount
		for _, line := range fo.Lines {
			assigned += line.Quantity
		}
	}
	if assigned == ordered && sum != total {
		a.violate("I8", ref, "its fulfillment orders are worth %d, the order %d", sum, total)
	}
}

// over says that nobody works on a fulfillment order any more and nobody will: the lines it shows are history.
func over(s messages.FulfillmentStatus) bool {
	switch s {
	case messages.FulfillmentStatus_FULFILLMENT_STATUS_CANCELLED, messages.FulfillmentStatus_FULFILLMENT_STATUS_REJECTED,
		messages.FulfillmentStatus_FULFILLMENT_STATUS_TIMED_OUT:
		return true
	}
	return false
}

// Agree compares the claims that buckets hold for orders with those that orders count on, and the work of sites with what their orders still want of
// them, over all partitions. It is only true when nothing is under way.
func Agree(parts []*Part) []Violation {
	return append(claims(parts), strays(parts)...)
}

func claims(parts []*Part) []Violation {
	size := 0
	for _, p := range parts {
		size += len(p.held)
	}
	held := make(map[place]int64, size)
	for _, p := range parts {
		for _, h := range p.held {
			held[place{h.bucket, h.reservation}] += h.quantity
		}
	}
	var found []Violation
	for _, p := range parts {
		for _, b := range p.believed {
			at := place{b.bucket, b.reservation}
			if has := held[at]; has < b.quantity {
				found = p.disagree(found, messages.OrderRef(b.order), "counts on %d units of %s under %s, the bucket holds %d", b.quantity, b.bucket, b.reservation, has)
			}
			delete(held, at)
		}
	}
	for _, p := range parts { // what is left is held for nobody, or without an order
		for _, h := range p.held {
			if _, left := held[place{h.bucket, h.reservation}]; left && h.order != "" {
				found = p.disagree(found, messages.Ref{Kind: messages.KindBucket, ID: h.bucket},
					"holds %d units under %s for order %s, which does not count on them", h.quantity, h.reservation, h.order)
			}
		}
	}
	return found
}

func (p *Part) disagree(found []Violation, ref messages.Ref, format string, args ...any) []Violation {
	one := Auditor{found: found, partition: p.partition}
	one.violate("I3", ref, format, args...)
	return one.found
}

// Placed counts the orders that were placed.
func (a *Auditor) Placed() (n int) {
	for _, s := range a.subjects {
		if s.placed {
			n++
		}
	}
	return n
}

// Busy names something an entity still owes another, or "" when nothing is under way.
func (a *Auditor) Busy(now int64) string {
	for _, ref := range sortedRefs(a.subjects) {
		if what := busy(a.subjects[ref], ref, now); what != "" {
			return what
		}
	}
	return ""
}

// Finish closes the only auditor of a history, and when nothing is under way (settled) compares claims. It gives everything found.
func (a *Auditor) Finish(now int64, settled bool) []Violation {
	p := a.Close(now)
	if !settled {
		return p.Found
	}
	return append(p.Found, Agree([]*Part{p})...)
}

// First puts violations in the order in which they happened: by position, those that were found in the end behind.
func First(found []Violation) {
	slices.SortStableFunc(found, func(x, y Violation) int {
		if (x.Position == 0) != (y.Position == 0) {
			return cmp.Compare(y.Position, x.Position)
		}
		return cmp.Or(cmp.Compare(x.Position, y.Position), cmp.Compare(x.Partition, y.Partition))
	})
}
