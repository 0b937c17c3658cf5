package site

import "orderyard/messages"

// decideRequest takes work or refuses it. Asking again under one id answers with how it stands now, whatever the capacity; the
// content of a repeat is not looked at. A refusal is remembered too: the order has dropped the id by then, and a late copy of the
// question must not be taken as work that nobody wants.
func decideRequest(s *State, c *messages.RequestFulfillment, now int64) ([]messages.Event, *messages.Reply, error) {
	fo := c.Fulfillment
	if failure := checkRequest(s, fo); failure != nil {
		return nil, nil, failure
	}
	if j := s.work[fo.Id]; j != nil {
		return nil, standing(j), nil
	}
	if end, over := s.endOf(fo.Id); over {
		return nil, requestOfEnded(fo.Id, end), nil
	}
	hour := s.calendar.hour(now)
	date, refusal := room(s, fo.Id, hour, now)
	if refusal != nil {
		answer := refusal.GetFulfillment()
		return []messages.Event{&messages.FulfillmentRejected{
			FulfillmentId: fo.Id, OrderId: fo.OrderId, Reason: answer.Reason, RetryAfterMs: answer.RetryAfterMs, Remember: true,
		}}, refusal, nil
	}
	reply := &messages.FulfillmentReply{FulfillmentId: fo.Id, Status: scheduled, RequestStatus: accepted, WorkDate: date}
	var events []messages.Event
	switch {
	case s.doc.GetAccept() == acceptManual:
		reply.Status, reply.RequestStatus = open, submitted
		wait := s.doc.GetAnswerWithinMs()
		if wait == 0 {
			wait = answerWithinMs
		}
		events = []messages.Event{&messages.FulfillmentRequested{Fulfillment: fo, Hour: hour, WorkDate: date, DeadlineMs: now + wait}}
	case c.Released:
		reply.Status = open
		events = []messages.Event{
			&messages.FulfillmentAccepted{Fulfillment: fo, Hour: hour, WorkDate: date},
			&messages.FulfillmentOpened{FulfillmentId: fo.Id, Fulfillment: s.opened(&job{name: fo.Id, order: fo, request: accepted, workDate: date, createdAt: now}, now)},
		}
	default:
		events = []messages.Event{&messages.FulfillmentAccepted{Fulfillment: fo, Hour: hour, WorkDate: date}}
	}
	return events, fulfillmentReply(reply), nil
}

// room says on which date new work would be done, or refuses. The refusals that last longest come first, so that the hint when
// to ask again is the honest one.
func room(s *State, id, hour string, now int64) (date string, refusal *messages.Reply) {
	switch {
	case s.doc == nil:
		return "", refuseWork(id, messages.CodeNotFound, reasonClosed, 0, "site %s is unknown", s.id)
	case s.doc.Status != statusOnline:
		return "", refuseWork(id, messages.CodeRejected, reasonClosed, 0, "site %s is %s", s.id, s.doc.Status)
	case s.paused.until > now:
		return "", refuseWork(id, messages.CodeRejected, s.paused.reason, s.paused.until-now, "site %s takes no new work for now", s.id)
	}
	date, until, works := s.calendar.workDay(now)
	if !works {
		return "", refuseWork(id, messages.CodeRejected, reasonClosed, until-now, "site %s has no working day within %d days", s.id, horizonDays)
	}
	limits := s.doc.GetCapacity()
	if most := limits.GetPerDay(); most > 0 && s.days.count(date) >= most {
		return "", refuseWork(id, messages.CodeRejected, reasonCapacity, until-now, "site %s has all the work of %s it can do (per_day %d)", s.id, date, most)
	}
	if most := limits.GetPerHour(); most > 0 && s.hours.count(hour) >= most {
		return "", refuseWork(id, messages.CodeRejected, reasonCapacity, s.calendar.nextHour(now)-now, "site %s has all the work of this hour it can take (per_hour %d)", s.id, most)
	}
	if most := limits.GetOpenMax(); most > 0 && s.atHand >= most {
		return "", refuseWork(id, messages.CodeRejected, reasonCapacity, s.calendar.nextHour(now)-now, "site %s has all the open work it can hold (open_max %d)", s.id, most)
	}
	return date, nil
}

func refuseWork(id, code, reason string, after int64, format string, args ...any) *messages.Reply {
	failure := messages.Fail(code, "", format, args...)
	failure.RetryAfterMs = after
	reply := fulfillmentReply(&messages.FulfillmentReply{
		FulfillmentId: id, Status: rejected, RequestStatus: requestRejected, Reason: reason, RetryAfterMs: after,
	})
	reply.Failure = failure
	return reply
}

// requestOfEnded answers a request for work that is over: shipped goods were taken, everything else is a rejection that names
// how it ended.
func requestOfEnded(id string, end ending) *messages.Reply {
	reply := &messages.FulfillmentReply{FulfillmentId: id, Status: end.status, RequestStatus: endRequest(end.status), Reason: end.reason}
	if end.status == delivered {
		return fulfillmentReply(reply)
	}
	switch end.status {
	case cancelled:
		reply.RequestStatus = requestRejected
	case rejected:
		reply.RejectedAtMs = end.at
	}
	if reply.Reason == "" {
		reply.Reason = statusWord(end.status)
	}
	answer := fulfillmentReply(reply)
	answer.Failure = messages.Fail(messages.CodeRejected, "", "fulfillment order %s was %s before", id, statusWord(end.status))
	return answer
}

// endRequest is the handshake's state of work that ended so.
func endRequest(status messages.FulfillmentStatus) messages.RequestStatus {
	switch status {
	case rejected:
		return requestRejected
	case timedOut:
		return requestTimedOut
	case cancelled:
		return cancellationAccepted
	}
	return accepted
}

// decideRelease makes accepted work visible to the site's people. Releasing again repeats the present state. Work that ended
// without being shipped answers too_late with how it ended: the notice that says so is on its way.
func decideRelease(s *State, c *messages.ReleaseFulfillment, now int64) ([]messages.Event, *messages.Reply, error) {
	id := c.FulfillmentId
	if j := s.work[id]; j != nil {
		if j.status != scheduled {
			return nil, standing(j), nil
		}
		return []messages.Event{&messages.FulfillmentOpened{FulfillmentId: id, Fulfillment: s.opened(j, now)}}, standingAs(j, open, j.request), nil
	}
	end, over := s.endOf(id)
	switch {
	case !over:
		return nil, unknownWork(s, id), nil
	case end.status == delivered:
		return nil, endedReply(id, end), nil
	}
	return nil, tooLateEnded(id, "release", end), nil
}

// decideCancel gives work back that nobody has picked. From picked on the site keeps it and says cancellation_rejected, which is
// an answer and no failure; so it says of goods that have left, however long ago that was, until the order has been told. Work that never came or was given back already counts as cancelled; an id that is unknown is
// remembered as cancelled, so that a request overtaken by its cancellation takes no capacity. Work that was rejected is called so
// only while its notice, which has the reason and the lines, is on the way.
func decideCancel(s *State, c *messages.CancelFulfillment) ([]messages.Event, *messages.Reply, error) {
	id := c.FulfillmentId
	v := &checks{}
	if err := checkID(id); err != nil {
		v.fail("fulfillment_id", "%v", err)
	}
	v.text("reason", c.Reason, noteMax)
	if failure := messages.InvalidAll(v.errs); failure != nil {
		return nil, nil, failure
	}
	j := s.work[id]
	if end, over := s.endOf(id); over && j == nil {
		reply := &messages.FulfillmentReply{FulfillmentId: id, Status: end.status, RequestStatus: cancellationAccepted, Reason: end.reason}
		switch {
		case end.status == delivered:
			reply.RequestStatus = cancellationRejected
		case len(s.pending[id]) == 0:
			// No notice has more to say, as when the request itself was refused: an order that heard "rejected" would wait for one.
			reply.Status = cancelled
		}
		return nil, fulfillmentReply(reply), nil
	}
	switch {
	case j == nil || j.status < picked:
		reply := &messages.FulfillmentReply{FulfillmentId: id, Status: cancelled, RequestStatus: cancellationAccepted, Reason: c.Reason}
		return []messages.Event{&messages.FulfillmentCancelled{FulfillmentId: id, Reason: c.Reason}}, fulfillmentReply(reply), nil
	case j.request == cancellationRejected:
		return nil, standing(j), nil
	}
	return []messages.Event{&messages.CancellationRefused{FulfillmentId: id}}, standingAs(j, j.status, cancellationRejected), nil
}

// opened is the work as the site's people will see it: the public event stands alone, so that a site can work from it.
func (s *State) opened(j *job, now int64) *messages.FulfillmentOrder {
	shown := *j
	shown.status, shown.changedAt = open, now
	return s.fulfillment(&shown)
}

// standing is the reply that says how a job stands; standingAs how it will.
func standing(j *job) *messages.Reply { return standingAs(j, j.status, j.request) }

func standingAs(j *job, status messages.FulfillmentStatus, request messages.RequestStatus) *messages.Reply {
	return fulfillmentReply(&messages.FulfillmentReply{
		FulfillmentId: j.id(), Status: status, RequestStatus: request, WorkDate: j.workDate,
	})
}

func endedReply(id string, end ending) *messages.Reply {
	return fulfillmentReply(&messages.FulfillmentReply{
		FulfillmentId: id, Status: end.status, RequestStatus: endRequest(end.status), Reason: end.reason,
	})
}

func fulfillmentReply(r *messages.FulfillmentReply) *messages.Reply {
	return &messages.Reply{Body: &messages.Reply_Fulfillment{Fulfillment: r}}
}

func tooLateEnded(id, action string, end ending) *messages.Reply {
	reply := endedReply(id, end)
	reply.Failure = messages.Fail(messages.CodeTooLate, "", "cannot %s fulfillment order %s: it is %s, nothing more can be done with it",
		action, id, statusWord(end.status))
	return reply
}
