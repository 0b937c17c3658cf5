package order

import (
	"bytes"
	"fmt"

	"orderyard/messages"
)

// decidePlace takes the order, or answers again for the same content. Placing is the one command that makes an order.
func decidePlace(s *State, c *messages.PlaceOrder, now int64) ([]messages.Event, *messages.Reply, error) {
	if s.order != nil {
		if first := s.order.Channel; c.Order != nil && c.Order.Channel != first {
			return nil, nil, messages.Fail(messages.CodeConflict, "channel",
				"order %s was placed by channel %s: the ids of both orders are the same, written together; use another external_id, and no channel whose name begins with another's and '-'",
				s.id, first)
		}
		if !s.sameContent(c) {
			return nil, nil, messages.Fail(messages.CodeConflict, "external_id",
				"order %s was placed before with other content; amend it or use another external_id", s.id)
		}
		reply := placeReply(s)
		reply.Replayed = true
		return nil, reply, nil
	}
	errs := Validate(c)
	if len(errs) == 0 {
		if id := messages.OrderID(c.Order.Channel, c.Order.ExternalId); id != s.id {
			errs = append(errs, wrong("external_id", "names order %s, the command was sent to %s", id, s.id))
		}
	}
	if failure := messages.InvalidAll(errs); failure != nil {
		return nil, nil, failure
	}
	d := decision{s: s.fork(), now: now, events: make([]messages.Event, 0, 4)}
	d.emit(&messages.OrderPlaced{Order: c.Order, Fingerprint: c.Fingerprint})
	if mismatched(d.s) {
		detail := fmt.Sprintf("the order comes to %d, the payment says %d", d.s.total, c.Order.PaymentAmount)
		d.emit(&messages.ExceptionOpened{Kind: exceptionMismatch, Detail: detail, Owner: ownerPayments})
	}
	d.emit(&messages.OrderOpened{})
	return d.events, placeReply(d.s), nil
}

// sameContent compares by the node's fingerprint; without one, by the bytes.
func (s *State) sameContent(c *messages.PlaceOrder) bool {
	if c.Fingerprint != 0 || s.fingerprint != 0 {
		return c.Fingerprint == s.fingerprint
	}
	if c.Order == nil {
		return false
	}
	first, err1 := s.order.MarshalVT()
	again, err2 := c.Order.MarshalVT()
	return err1 == nil && err2 == nil && bytes.Equal(first, again)
}

// mismatched says that the payment does not pay this order. Shipping it may wait for a person; taking it need not.
func mismatched(s *State) bool {
	if !s.order.GetHasPayment() {
		return false
	}
	difference := s.total - s.order.PaymentAmount
	return difference > mismatchWithin || difference < -mismatchWithin
}

// placeReply is the same whenever it is asked for: the placement's own answer, whatever has become of the order since.
func placeReply(s *State) *messages.Reply {
	version := uint64(2) // OrderPlaced, OrderOpened
	if mismatched(s) {
		version++
	}
	return replyWith(s.id, lifePlaced, version)
}
