package inventory

import (
	"strconv"

	"orderyard/messages"
)

// Tasks appends what the bucket owes: its own timer, a question about an old claim, and notices to the orders of contested claims, oldest first. It is called after
// every command, so the timer is built only when it changes and a notice only once.
func Tasks(s *State, now int64, dst []messages.Task) []messages.Task {
	if due := s.nextStep(now); due != 0 {
		if s.timer.Due != due || s.timer.Command == nil {
			s.timer = messages.Task{
				ID: "expire/" + strconv.FormatInt(due, 10), To: s.ref, Due: due, Command: new(messages.ExpireReservations),
			}
		}
		dst = append(dst, s.timer)
	}
	if s.unchecked != nil {
		dst = append(dst, *s.checkTask(now))
	}
	if next := s.comeBack(now); next > 0 {
		dst = append(dst, messages.Task{ID: "notices", To: s.ref, Due: next, Command: new(messages.ExpireReservations)})
	}
	room := s.atOnce
	for i := range s.notices {
		n := &s.notices[i]
		if !n.isOwed() {
			continue
		}
		if room--; room < 0 {
			break
		}
		if n.task.Command == nil {
			n.task = messages.Task{ID: noticeID(n.of), To: messages.OrderRef(n.of.orderID), Command: &messages.ClaimLost{
				Sku: s.sku, Site: s.site, ReservationId: n.of.id, Quantity: n.of.remaining(),
			}}
		}
		dst = append(dst, n.task)
	}
	return dst
}

// nextStep is when the timer must run; 0 = not at all. Two steps never share a millisecond: the runtime runs a due timer again at
// once, and a million expired holds must not become one journal entry.
//
// The last step may lie ahead of now: it was taken by a clock that has been set back, or by a former owner's. Then nothing waits for it.
func (s *State) nextStep(now int64) int64 {
	earliest := s.steppedAt + 1
	if s.steppedAt > now {
		earliest = now
	}
	switch {
	case s.uncovered() > 0:
		return earliest
	case len(s.expiries.items) > 0:
		return max(s.expiries.items[0].at, earliest)
	}
	return 0
}
