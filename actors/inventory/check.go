package inventory

import (
	"strings"

	"orderyard/messages"
)

// A claim that is firm from the beginning never expires, so somebody must notice should its order not know of it: a late copy of a question that
// the bucket had refused, and forgotten since, is granted, and the answer is lost. The order that heard the refusal has gone on. So the bucket
// asks about each such claim once, when it has been there for CheckAfterMs; most have been shipped or given back by then.

const checkSuffix = "/check"

// checkTask is the question about the oldest unchecked claim, or the next one that was not put off. One is under way at a time: that is enough for
// what hardly ever happens.
func (s *State) checkTask(now int64) *messages.Task {
	if s.asked != nil && s.asked.madeAt+CheckAfterMs > now {
		s.asked, s.askFrom = nil, now+checkPauseMs
	}
	r := s.asked
	if r == nil {
		r = s.unchecked
	}
	due := max(r.madeAt+CheckAfterMs, s.askFrom)
	if cut := len(s.question.ID) - len(checkSuffix); cut < 0 || s.question.ID[:cut] != r.id || s.question.Due != due {
		s.question = messages.Task{
			ID: r.id + checkSuffix, To: messages.OrderRef(r.orderID), Due: due,
			Command: &messages.CheckClaim{Sku: s.sku, Site: s.site, ReservationId: r.id},
		}
	}
	return &s.question
}

// checked: the claim is known to its order, or gone. The next unchecked one was made after it.
func (s *State) checked(r *reservation) {
	r.unchecked = false
	if s.asked == r {
		s.asked = r.nextUnchecked()
	}
	for s.unchecked != nil && !s.unchecked.unchecked {
		s.unchecked = s.unchecked.next
	}
}

// checkAnswered takes the order's word. An order that does not count on the claim, or does not exist, never will.
func (s *State) checkAnswered(c *messages.TaskResult) []messages.Event {
	id, ok := strings.CutSuffix(c.TaskId, checkSuffix)
	r := s.reservations[id]
	if !ok || r == nil || !r.unchecked || !r.isLive() {
		return nil
	}
	switch c.GetReply().GetFailure().GetCode() {
	case "":
		return []messages.Event{&messages.ClaimChecked{ReservationId: r.id}}
	case messages.CodeNotFound:
		return []messages.Event{&messages.ReservationReleased{ReservationId: r.id}}
	}
	return nil // asked again
}
