package order

import (
	"slices"

	"orderyard/messages"
)

// cancel asks for the whole order back. It answers at once; units are cancelled as buckets and sites give them back, and what a site
// no longer gives back is delivered. Asking again answers ok again.
func (d *decision) cancel(c *messages.CancelOrder) (*messages.Reply, *messages.Failure) {
	s := d.s
	reason := or(c.GetReason(), reasonCustomer)
	if !slices.Contains(cancelReasons, reason) {
		return nil, messages.Invalid("reason", "is %q, must be one of %v", reason, cancelReasons)
	}
	if reason == reasonOther && c.GetNote() == "" {
		return nil, messages.Invalid("note", "must say why when the reason is other")
	}
	if failure := checkText("note", c.GetNote(), c.GetActor()); failure != nil {
		return nil, failure
	}
	if t := s.count(); s.life == lifeCancelled || s.cancelReason != "" && t.recalled+int(t.returning) > 0 {
		return d.cancelReply(), nil
	}
	if failure := s.tooLate(); failure != nil {
		return messages.Refuse(failure), nil
	}
	d.emit(&messages.CancelRequested{Reason: reason, Note: c.GetNote(), Actor: c.GetActor()})
	for i := range s.fulfillments {
		if f := &s.fulfillments[i]; !f.dropped && !f.over() && !f.taken() {
			d.emit(&messages.FulfillmentDropped{Fulfillment: f.number, Reason: dropCancelled})
		}
	}
	d.settle()
	return d.cancelReply(), nil
}

func (d *decision) cancelReply() *messages.Reply {
	reply := orderReply(d.s)
	if d.s.life != lifeCancelled {
		reply.GetOrder().Message = "cancellation requested; each unit is cancelled when its site and its bucket have given it back"
	} else {
		reply.GetOrder().Message = "cancelled"
	}
	return reply
}

// tooLate says why nothing can be cancelled, and what can be done instead.
func (s *State) tooLate() *messages.Failure {
	t := s.count()
	switch {
	case s.life == lifeCompleted || t.delivered > 0 && t.delivered == s.live(&t):
		return messages.Fail(messages.CodeTooLate, "", "order %s is delivered; take it back as a return", s.id)
	case t.shipped+t.delivered > 0:
		return messages.Fail(messages.CodeTooLate, "",
			"units of order %s are shipped; refuse the parcel or return them after delivery, and ask support about units not yet shipped", s.id)
	}
	for i := range s.fulfillments {
		f := &s.fulfillments[i]
		if !f.taken() && !f.over() && f.living() {
			return nil
		}
	}
	if t.open+t.backordered+t.returning > 0 {
		return nil
	}
	return messages.Fail(messages.CodeTooLate, "",
		"every unit of order %s is picked; return it after delivery, or ask the site to put the goods back", s.id)
}

// living says that the FO holds units the order means to deliver.
func (f *fulfillment) living() bool {
	return slices.ContainsFunc(f.claims, func(c claim) bool { return c.live() > 0 })
}

// cancelUnits cancels what is back: open units and back-ordered ones.
func (d *decision) cancelUnits() {
	units := d.s.openUnits()
	for i := range units {
		units[i] += d.s.lines[i].backordered
	}
	d.emit(&messages.UnitsCancelled{Lines: quantities(units), Reason: d.s.cancelReason})
}
