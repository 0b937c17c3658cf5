package order

import (
	"slices"
	"strings"

	"orderyard/messages"
)

// Status is the order's headline: the first word of GLOSSARY §2 that applies. Empty for an order that was never placed.
func Status(s *State) string {
	if s.order == nil {
		return ""
	}
	t := s.count()
	return s.headline(&t)
}

func (s *State) headline(t *tally) string {
	live := s.live(t)
	switch {
	case live == 0 || s.life == lifeCancelled:
		return "cancelled"
	case len(s.exceptions) > 0:
		return "exception"
	case len(s.holds) > 0:
		return "held"
	case s.life == lifeCompleted:
		return "completed"
	case t.delivered == live:
		return "delivered"
	case t.shipped+t.delivered == live:
		return "shipped"
	case t.shipped+t.delivered > 0:
		return "partially_shipped"
	case t.picked+t.packed+t.picking > 0:
		return "in_fulfillment"
	case t.released > 0:
		return "released"
	case t.allocated > 0 && t.allocated+t.backordered == live:
		return "allocated"
	case t.planned+t.reserved > 0:
		return "reserving"
	case s.life == lifePlaced:
		return "placed"
	case t.open+t.returning+t.lost > 0 || t.backordered == 0:
		return "planning"
	}
	return "backordered"
}

// statusWords are the contract's words, by number.
var statusWords = func() (words [16]string) {
	for number, name := range messages.FulfillmentStatus_name {
		words[number] = strings.ToLower(strings.TrimPrefix(name, "FULFILLMENT_STATUS_"))
	}
	return words
}()

func statusWord(status messages.FulfillmentStatus) string {
	if status < 0 || int(status) >= len(statusWords) {
		return ""
	}
	return statusWords[status]
}

// Waits lists the SKUs whose arrival wakes the order, sorted. While a person must decide first, none does.
func Waits(s *State) []string {
	if s.life != lifeOpen || s.cancelReason != "" || s.exception(exceptionUnroutable) >= 0 {
		return nil
	}
	var skus []string
	for i := range s.lines {
		if s.lines[i].backordered > 0 {
			skus = append(skus, s.order.Lines[i].GetSku())
		}
	}
	slices.Sort(skus)
	return slices.Compact(skus)
}

// waiting counts the units that wait for each of these SKUs.
func (s *State) waiting(skus []string) []int64 {
	if len(skus) == 0 {
		return nil
	}
	units := make([]int64, len(skus))
	for i := range s.lines {
		if at, found := slices.BinarySearch(skus, s.order.Lines[i].GetSku()); found {
			units[at] += s.lines[i].backordered
		}
	}
	return units
}

// Summary is the order's row in a list; nil before placement. It costs one look at each claim.
func Summary(s *State) *messages.OrderSummary {
	if s.order == nil {
		return nil
	}
	t := s.count()
	sum := &messages.OrderSummary{
		OrderId: s.id, Channel: s.order.Channel, Status: s.headline(&t), PlacedAtMs: s.placedAt, Units: s.units, Total: s.total,
		Currency: s.order.Currency, AcceptedAtMs: s.acceptedAt, Reroutes: s.reroutes, ChangedAtMs: s.changedAt, AllocatedAtMs: s.allocatedAt,
		Backordered: t.backordered, Lines: uint32(len(s.lines)), Priority: s.order.Priority, DeliverBy: s.order.DeliverBy,
		Waiting: s.waiting(Waits(s)),
	}
	if s.atRest(&t) {
		sum.Movable = t.movable
	}
	for i := range s.fulfillments {
		f := &s.fulfillments[i]
		if f.over() {
			continue
		}
		sum.Fulfillments++
		if !slices.Contains(sum.Sites, f.site) {
			sum.Sites = append(sum.Sites, f.site)
		}
	}
	for _, e := range s.exceptions {
		sum.Exceptions = append(sum.Exceptions, e.Kind)
	}
	return sum
}
