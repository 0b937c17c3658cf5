package audit

import (
	"cmp"
	"maps"
	"slices"

	"orderyard/messages"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (a *Auditor) refs(kind messages.Kind) []messages.Ref {
	var refs []messages.Ref
	for ref := range a.cores {
		if ref.Kind == kind {
			refs = append(refs, ref)
		}
	}
	slices.SortFunc(refs, func(x, y messages.Ref) int { return cmp.Compare(x.ID, y.ID) })
	return refs
}

// agree compares the claims that buckets hold for orders with those that orders believe in. It is only true when nothing is under way.
func (a *Auditor) agree() {
	believed := map[string]int64{} // reservation id → units that an order counts on
	for _, ref := range a.refs(messages.KindOrder) {
		view := orderView(a.cores[ref])
		if view == nil {
			continue
		}
		for _, fo := range view.Fulfillments {
			if !atHand(fo.Status) {
				continue
			}
			for _, line := range fo.Lines {
				believed[line.ReservationId] += line.Quantity
				bucket := messages.BucketRef(line.Sku, fo.Site)
				c := a.claim(bucket, line.ReservationId)
				if c == nil || !c.live || c.quantity < line.Quantity {
					a.violate("I3", ref, "counts on %d of %s under %s, the bucket holds %+v", line.Quantity, bucket.ID, line.ReservationId, c)
				}
			}
		}
	}
	for _, ref := range a.refs(messages.KindBucket) {
		m := a.buckets[ref]
		for _, id := range sortedKeys(m.claims) {
			if c := m.claims[id]; c.live && c.order != "" && believed[id] == 0 {
				a.violate("I3", ref, "holds %d units under %s for order %s, which does not count on them", c.quantity, id, c.order)
			}
		}
	}
}

func (a *Auditor) claim(bucket messages.Ref, id string) *claim {
	if m := a.buckets[bucket]; m != nil {
		return m.claims[id]
	}
	return nil
}

// atHand says that the units are still in the building and spoken for.
func atHand(s messages.FulfillmentStatus) bool {
	return s >= messages.FulfillmentStatus_FULFILLMENT_STATUS_SCHEDULED && s <= messages.FulfillmentStatus_FULFILLMENT_STATUS_PACKED
}

// Placed counts the orders that were placed.
func (a *Auditor) Placed() int { return len(a.placed) }

// Entities counts what the history holds.
func (a *Auditor) Entities() int { return len(a.cores) }

// Busy names something an entity still owes another, or "" when nothing is under way.
func (a *Auditor) Busy(now int64) string {
	for _, kind := range []messages.Kind{messages.KindOrder, messages.KindBucket, messages.KindSite} {
		for _, ref := range a.refs(kind) {
			for _, t := range a.cores[ref].Machine().Tasks(now, nil) {
				if t.To != ref && t.Due <= now {
					return ref.String() + " owes " + t.ID
				}
			}
		}
	}
	return ""
}
