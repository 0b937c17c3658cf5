package site

import (
	"strconv"
	"strings"

	"orderyard/messages"
)

// notice is one change owed to an order. It is owed until the order has answered it, whatever happens to the work meanwhile.
type notice struct {
	task   string // "<fulfillment id>/n<sequence>"
	order  messages.Ref
	change *messages.FulfillmentChanged
	times  uint64 // it was put off
	until  int64  // it is; 0 = it is not
}

// turn is its place among those that are owed: the oldest first, of those that were put off as often.
func (n *notice) turn() uint64 { return min(n.times, 1<<15)<<48 + n.change.Sequence }

func newNotice(orderID string, change *messages.FulfillmentChanged) *notice {
	task := change.FulfillmentId + "/n" + strconv.FormatUint(change.Sequence, 10)
	return &notice{task: task, order: messages.OrderRef(orderID), change: change}
}

// tell owes the order a notice about j. It waits behind older ones of the same fulfillment order.
func (s *State) tell(j *job, change *messages.FulfillmentChanged) {
	s.sequence++
	change.FulfillmentId, change.Sequence = j.id(), s.sequence
	s.owe(newNotice(j.asked().OrderId, change))
}

func (s *State) owe(n *notice) {
	id := n.change.FulfillmentId
	queue := s.pending[id]
	if len(queue) == 0 {
		s.owed.put(n.turn(), n)
	}
	s.pending[id] = append(queue, n)
}

// onTold removes the oldest notice of a fulfillment order, if it is the one named, and lets the next one out.
func (s *State) onTold(id string, sequence uint64) {
	queue := s.pending[id]
	if len(queue) == 0 || queue[0].change.Sequence != sequence {
		return
	}
	s.owed.drop(queue[0].turn())
	s.putOff.drop(deadline{queue[0].until, id})
	if queue = queue[1:]; len(queue) == 0 {
		delete(s.pending, id)
		return
	}
	s.pending[id] = queue
	s.owed.put(queue[0].turn(), queue[0])
}

// Postpone lets others go before a notice that is not taken for now, where there are more than are told at a time: else the orders of one partition that
// nobody serves would keep the site from telling all others. It says whether others go. It is no part of the state: a site that was read back begins anew.
func Postpone(s *State, task string, now int64) bool {
	id, ok := noticeOf(task)
	if !ok || s.owed.size <= s.atOnce {
		return false
	}
	queue := s.pending[id]
	if len(queue) == 0 || queue[0].task != task || queue[0].until > 0 {
		return false
	}
	n := queue[0]
	s.owed.drop(n.turn())
	n.until = now + min(int64(putOffMinMs)<<min(n.times, 8), putOffMaxMs)
	n.times++
	s.putOff.put(deadline{n.until, id}, n)
	return true
}

// comeBack takes the notices whose time is over back among the others, and says when the next one's is; 0 = none is put off.
func (s *State) comeBack(now int64) int64 {
	for {
		next, n, ok := s.putOff.first()
		switch {
		case !ok:
			return 0
		case next.at > now && next.at <= now+putOffMaxMs: // later: the clock was set back
			return next.at
		}
		s.putOff.drop(next)
		n.until = 0
		s.owed.put(n.turn(), n)
	}
}

// Tasks appends what the site owes the world: the oldest notice of each fulfillment order, in the order the changes happened,
// and its own timers. Of more than noticesMax notices the younger ones wait until older ones are told or put off, so it never costs more than those.
func Tasks(s *State, now int64, dst []messages.Task) []messages.Task {
	if next := s.comeBack(now); next > 0 {
		dst = append(dst, messages.Task{ID: "notices", To: messages.SiteRef(s.id), Due: next, Command: &messages.AnswerDeadline{}})
	}
	room := s.atOnce
	s.owed.each(func(_ uint64, n *notice) bool {
		if room--; room < 0 {
			return false
		}
		dst = append(dst, messages.Task{ID: n.task, To: n.order, Command: n.change})
		return true
	})
	// A timer that had more to do than one step may hold has a new id afterwards, so that it is not taken for the one just run.
	if due, _, waiting := s.deadlines.first(); waiting {
		dst = append(dst, messages.Task{
			ID: "answer/" + due.id + "/" + strconv.FormatInt(due.at, 10), To: messages.SiteRef(s.id), Due: due.at, Command: &messages.AnswerDeadline{},
		})
	}
	if s.unstarted > 0 && s.doc.GetStatus() == statusOffline {
		dst = append(dst, messages.Task{
			ID: "offline/" + strconv.FormatInt(s.unstarted, 10), To: messages.SiteRef(s.id), Command: &messages.AnswerDeadline{},
		})
	}
	return dst
}

// noticeOf gives the fulfillment order of a notice's task.
func noticeOf(task string) (id string, ok bool) {
	slash := strings.LastIndex(task, "/n")
	if slash < 0 {
		return "", false
	}
	return task[:slash], true
}

// decideTaskResult: the order has answered a notice. Whatever it said it has heard it; a refusal to take it (an order that does
// not exist) would be the same the next time. Only a failure that is worth retrying leaves the notice owed, and one of ours: an order that
// fails on it, or is quarantined, has heard nothing.
func decideTaskResult(s *State, c *messages.TaskResult) []messages.Event {
	id, ok := noticeOf(c.TaskId)
	if f := c.Reply.GetFailure(); !ok || f.GetRetryable() || f.GetCode() == messages.CodeInternal {
		return nil
	}
	queue := s.pending[id]
	if len(queue) == 0 || queue[0].task != c.TaskId {
		return nil
	}
	return []messages.Event{&messages.OrderTold{FulfillmentId: id, Sequence: queue[0].change.Sequence}}
}

// decideTimer is the site's own wake-up: answers that are overdue, and work that an offline site gives back. At most sliceMax
// events come of one step; Tasks asks for the next step at once.
func decideTimer(s *State, now int64) []messages.Event {
	var events []messages.Event
	taken := map[string]bool{} // looked up only
	s.deadlines.each(func(due deadline, j *job) bool {
		if due.at > now || len(events) >= sliceMax {
			return false
		}
		taken[due.id] = true
		events = append(events, &messages.FulfillmentTimedOut{FulfillmentId: due.id})
		return true
	})
	if s.unstarted == 0 || s.doc.GetStatus() != statusOffline {
		return events
	}
	s.byID.each(func(id string, j *job) bool {
		if notBegun(j.status) && !taken[id] {
			if len(events) >= sliceMax {
				return false
			}
			events = append(events, &messages.FulfillmentRejected{
				FulfillmentId: id, OrderId: j.asked().OrderId, Reason: reasonClosed, Note: "the site is offline", Notify: true, Remember: true,
			})
		}
		return true
	})
	return events
}
