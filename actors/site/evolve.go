package site

import (
	"slices"
	"strings"

	"orderyard/messages"
)

// Evolve folds one event into the state; at is when it was decided. It accepts every event ever written: an event about work it
// does not know changes nothing.
func Evolve(s *State, event messages.Event, at int64) {
	switch e := event.(type) {
	case *messages.SiteApplied:
		s.setDoc(e.Doc)
	case *messages.SiteStatusSet:
		doc := cloneDoc(s.doc)
		doc.Status = e.Status
		s.setDoc(doc)
	case *messages.SiteCapacitySet:
		doc := cloneDoc(s.doc)
		doc.Capacity = e.Capacity
		s.setDoc(doc)
	case *messages.SitePausedUntil:
		s.paused = pause{e.UntilMs, e.Reason}
	case *messages.FulfillmentRequested:
		s.take(e.Fulfillment, &job{status: open, request: submitted, hour: e.Hour, workDate: e.WorkDate, deadline: e.DeadlineMs}, at)
	case *messages.FulfillmentAccepted:
		s.onAccepted(e, at)
	case *messages.FulfillmentOpened:
		if j := s.work[e.FulfillmentId]; j != nil && j.status == scheduled {
			s.move(j, open, at)
		}
	case *messages.FulfillmentMoved:
		s.onMoved(e, at)
	case *messages.FulfillmentRejected:
		s.onRejected(e, at)
	case *messages.FulfillmentTimedOut:
		if j := s.work[e.FulfillmentId]; j != nil {
			s.giveBack(j, timedOut, "", at)
			s.tell(j, &messages.FulfillmentChanged{Status: timedOut, RequestStatus: requestTimedOut})
		}
	case *messages.FulfillmentCancelled:
		if j := s.work[e.FulfillmentId]; j != nil {
			s.giveBack(j, cancelled, e.Reason, at)
		} else { // cancelled before it was asked for
			s.ended.add(e.FulfillmentId, ending{at, e.Reason, cancelled})
		}
	case *messages.CancellationRefused:
		if j := s.work[e.FulfillmentId]; j != nil {
			s.changes(j)
			j.request, j.changedAt = cancellationRejected, at
		}
	case *messages.OrderTold:
		s.onTold(e.FulfillmentId, e.Sequence)
	}
}

func (s *State) setDoc(doc *messages.SiteDoc) {
	s.doc = doc
	if s.id == "" {
		s.id = doc.GetId()
	}
	s.calendar, _ = newCalendar(doc.GetCalendar())
}

// take puts a fulfillment order into work and counts it in its windows.
func (s *State) take(asked *messages.FulfillmentOrder, j *job, at int64) {
	id := asked.GetId()
	if _, over := s.ended.byID[id]; over || id == "" || s.work[id] != nil {
		return
	}
	j.name = strings.Clone(id) // it outlives the message that it is a part of
	j.order, j.changedAt, j.createdAt = asked, at, at
	if asked.CreatedAtMs != 0 {
		j.createdAt = asked.CreatedAtMs
	}
	j.hour, j.workDate = s.hours.add(j.hour), s.days.add(j.workDate)
	s.shelve(j)
	s.warms(j)
}

// shelve enters a job into the map and every index beside it.
func (s *State) shelve(j *job) {
	s.work[j.id()] = j
	s.byID.put(j.id(), j)
	if j.deadline != 0 {
		s.deadlines.put(deadline{j.deadline, j.id()}, j)
	}
	s.tally(j.status, +1)
}

func (s *State) tally(status messages.FulfillmentStatus, n int64) {
	if beforeShipping(status) {
		s.atHand += n
	}
	if notBegun(status) {
		s.unstarted += n
	}
}

// beforeShipping: the units are still in the building. notBegun: nobody has touched them.
func beforeShipping(status messages.FulfillmentStatus) bool { return status < shipped }
func notBegun(status messages.FulfillmentStatus) bool       { return status < picking }

func (s *State) move(j *job, status messages.FulfillmentStatus, at int64) {
	s.changes(j)
	s.tally(j.status, -1)
	j.status, j.changedAt = status, at
	s.tally(j.status, +1)
}

// answered: the site has said yes or no, nobody awaits its answer any more.
func (s *State) answered(j *job) {
	if j.deadline != 0 {
		s.changes(j)
		s.deadlines.drop(deadline{j.deadline, j.id()})
		j.deadline = 0
	}
}

func (s *State) onAccepted(e *messages.FulfillmentAccepted, at int64) {
	j := s.work[e.Fulfillment.GetId()]
	if j == nil {
		s.take(e.Fulfillment, &job{status: scheduled, request: accepted, hour: e.Hour, workDate: e.WorkDate}, at)
		return
	}
	if j.request != submitted {
		return
	}
	s.answered(j) // its capacity was taken when it was submitted
	s.changes(j)
	j.request, j.changedAt = accepted, at
	s.tell(j, &messages.FulfillmentChanged{Status: j.status, RequestStatus: accepted, WorkDate: j.workDate})
}

func (s *State) onMoved(e *messages.FulfillmentMoved, at int64) {
	j := s.work[e.FulfillmentId]
	if j == nil || e.Status <= j.status || e.Status < picking || e.Status > delivered {
		return
	}
	s.answered(j)
	s.move(j, e.Status, at)
	if e.Shipment != nil {
		if n := len(j.shipments); n > 0 && j.shipments[n-1].GetId() == e.Shipment.Id {
			// A view handed out earlier shares the old list: replace, do not write.
			j.shipments = append(slices.Clone(j.shipments[:n-1]), e.Shipment)
		} else {
			j.shipments = append(slices.Clip(j.shipments), e.Shipment)
		}
	}
	s.tell(j, &messages.FulfillmentChanged{Status: e.Status, RequestStatus: j.request, Shipment: e.Shipment, WorkDate: j.workDate})
	if e.Status == delivered {
		s.leave(j, delivered, "", at)
	}
}

func (s *State) onRejected(e *messages.FulfillmentRejected, at int64) {
	j := s.work[e.FulfillmentId]
	if j == nil {
		if e.Remember {
			s.ended.add(e.FulfillmentId, ending{at, e.Reason, rejected})
		}
		return
	}
	s.giveBack(j, rejected, e.Reason, at)
	if e.Notify {
		s.tell(j, &messages.FulfillmentChanged{
			Status: rejected, RequestStatus: requestRejected, Reason: e.Reason, Note: e.Note, Lines: e.Lines, RetryAfterMs: e.RetryAfterMs,
			RejectedAtMs: e.RejectedAtMs,
		})
	}
}

// giveBack ends work that was not shipped: its capacity is free again, in the windows it was taken from.
func (s *State) giveBack(j *job, as messages.FulfillmentStatus, reason string, at int64) {
	if beforeShipping(j.status) {
		s.hours.free(j.hour)
		s.days.free(j.workDate)
	}
	s.leave(j, as, reason, at)
}

// leave takes a job out of the work and remembers how it ended.
func (s *State) leave(j *job, as messages.FulfillmentStatus, reason string, at int64) {
	if j.deadline != 0 {
		s.deadlines.drop(deadline{j.deadline, j.id()})
	}
	s.tally(j.status, -1)
	delete(s.work, j.id())
	s.byID.drop(j.id())
	s.ended.add(j.id(), ending{at, reason, as})
}
