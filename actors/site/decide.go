package site

import (
	"bytes"

	"orderyard/messages"
)

// Decide answers one command against the state and reads only. A refusal is a reply with a Failure; an error means the command
// itself is wrong. Timers and answers to notices have no reply. A command that asks for what is already so gets the present
// state and no events.
func Decide(s *State, command messages.Command, now int64) ([]messages.Event, *messages.Reply, error) {
	switch c := command.(type) {
	case *messages.RequestFulfillment:
		return decideRequest(s, c, now)
	case *messages.ReleaseFulfillment:
		return decideRelease(s, c, now)
	case *messages.CancelFulfillment:
		return decideCancel(s, c)
	case *messages.SiteAction:
		return decideAction(s, c, now)
	case *messages.TaskResult:
		return decideTaskResult(s, c), nil, nil
	case *messages.AnswerDeadline:
		return decideTimer(s, now), nil, nil
	case *messages.ApplySite:
		return decideApply(s, c, now)
	case *messages.SetSiteStatus:
		return decideStatus(s, c, now)
	case *messages.SetSiteCapacity:
		return decideCapacity(s, c, now)
	case *messages.GetSite:
		if s.doc == nil {
			return nil, unknownSite(s), nil
		}
		return nil, viewReply(s, now), nil
	case *messages.ListFulfillments:
		return decideList(s, c)
	}
	return nil, nil, messages.Invalid("", "a site does not understand %T", command)
}

// decideApply creates the site or replaces its document; work, counts and pauses stay. A document without a status keeps the
// present one: applying a file again must not put a site online that an operator has suspended.
func decideApply(s *State, c *messages.ApplySite, now int64) ([]messages.Event, *messages.Reply, error) {
	errs := ValidateDoc(c.Doc)
	if c.Doc != nil && s.id != "" && c.Doc.Id != s.id {
		errs = append(errs, &messages.FieldError{Field: "id", Code: messages.CodeInvalid, Message: "is not the site this was sent to"})
	}
	if failure := messages.InvalidAll(errs); failure != nil {
		return nil, nil, failure
	}
	doc := cloneDoc(c.Doc)
	if doc.Accept == "" {
		doc.Accept = acceptAuto
	}
	if doc.Status == "" {
		doc.Status = statusOnline
		if s.doc.GetStatus() != "" {
			doc.Status = s.doc.Status
		}
	}
	if s.doc != nil && sameDoc(s.doc, doc) {
		return nil, viewReply(s, now), nil
	}
	return changed(s, now, &messages.SiteApplied{Doc: doc})
}

// sameDoc compares by content: a site document holds no maps, so equal documents have equal bytes.
func sameDoc(a, b *messages.SiteDoc) bool {
	x, errX := a.MarshalVT()
	y, errY := b.MarshalVT()
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// decideStatus sets online, suspended or offline. Putting a site online also ends a pause that a rejection began: the operator
// says that it takes work.
func decideStatus(s *State, c *messages.SetSiteStatus, now int64) ([]messages.Event, *messages.Reply, error) {
	switch c.Status {
	case statusOnline, statusSuspended, statusOffline:
	default:
		return nil, nil, messages.Invalid("status", "is %q, must be one of online, suspended, offline", c.Status)
	}
	if s.doc == nil {
		return nil, unknownSite(s), nil
	}
	var events []messages.Event
	if s.doc.Status != c.Status {
		events = append(events, &messages.SiteStatusSet{Status: c.Status})
	}
	if c.Status == statusOnline && s.paused.until > now {
		events = append(events, &messages.SitePausedUntil{})
	}
	return changed(s, now, events...)
}

// decideCapacity sets all limits, or those that are given over the present ones.
func decideCapacity(s *State, c *messages.SetSiteCapacity, now int64) ([]messages.Event, *messages.Reply, error) {
	was, limits := s.doc.GetCapacity(), c.Capacity
	switch {
	case c.Change != nil:
		limits = &messages.SiteCapacity{PerHour: was.GetPerHour(), PerDay: was.GetPerDay(), OpenMax: was.GetOpenMax()}
		setGiven(&limits.PerHour, c.Change.PerHour)
		setGiven(&limits.PerDay, c.Change.PerDay)
		setGiven(&limits.OpenMax, c.Change.OpenMax)
	case limits == nil:
		return nil, nil, messages.Invalid("capacity", "is required; 0 stands for no limit")
	}
	if failure := messages.InvalidAll(validateCapacity(limits)); failure != nil {
		return nil, nil, failure
	}
	if s.doc == nil {
		return nil, unknownSite(s), nil
	}
	if was.GetPerHour() == limits.PerHour && was.GetPerDay() == limits.PerDay && was.GetOpenMax() == limits.OpenMax {
		return nil, viewReply(s, now), nil
	}
	return changed(s, now, &messages.SiteCapacitySet{Capacity: limits})
}

func setGiven(limit, given *int64) {
	if given != nil {
		*limit = *given
	}
}

// changed answers with the site as it will be: the view of the present with the decided changes to its document.
func changed(s *State, now int64, events ...messages.Event) ([]messages.Event, *messages.Reply, error) {
	after := State{
		Version: s.Version + uint64(len(events)), id: s.id, doc: s.doc, calendar: s.calendar, paused: s.paused, atHand: s.atHand,
		hours: s.hours, days: s.days,
	}
	for _, e := range events {
		Evolve(&after, e, now) // document and pause are replaced, never written: s is untouched
	}
	return events, viewReply(&after, now), nil
}

func viewReply(s *State, now int64) *messages.Reply {
	return &messages.Reply{Body: &messages.Reply_Site{Site: &messages.SiteReply{Site: View(s, now)}}}
}

func unknownSite(s *State) *messages.Reply {
	return messages.Refuse(messages.Fail(messages.CodeNotFound, "site", "site %s is unknown", s.id))
}

func unknownWork(s *State, id string) *messages.Reply {
	return messages.Refuse(messages.Fail(messages.CodeNotFound, "fulfillment_id", "site %s does not know fulfillment order %s", s.id, id))
}

// decideList gives one page of the work in id order. Work that ended is found by its id alone, while it is remembered.
func decideList(s *State, c *messages.ListFulfillments) ([]messages.Event, *messages.Reply, error) {
	var status messages.FulfillmentStatus
	if c.Status != "" {
		var known bool
		if status, known = parseStatus(c.Status); !known {
			return nil, nil, messages.Invalid("status", "%q is not a status of a fulfillment order", c.Status)
		}
	}
	if s.doc == nil {
		return nil, unknownSite(s), nil
	}
	if c.FulfillmentId != "" {
		return nil, listOne(s, c.FulfillmentId), nil
	}
	limit := int(min(c.Limit, listMax))
	if limit == 0 {
		limit = listDefault
	}
	reply := &messages.SiteReply{}
	s.byID.from(c.After, func(id string, j *job) bool {
		switch {
		case id == c.After || status != 0 && j.status != status:
			return true
		case len(reply.Fulfillments) == limit:
			reply.NextPage = reply.Fulfillments[limit-1].Id
			return false
		}
		reply.Fulfillments = append(reply.Fulfillments, s.fulfillment(j))
		return true
	})
	return nil, &messages.Reply{Body: &messages.Reply_Site{Site: reply}}, nil
}

func listOne(s *State, id string) *messages.Reply {
	var fo *messages.FulfillmentOrder
	if j := s.work[id]; j != nil {
		fo = s.fulfillment(j)
	} else if end, over := s.endOf(id); over {
		fo = &messages.FulfillmentOrder{
			Id: id, Site: s.id, Status: end.status, RequestStatus: endRequest(end.status), Reason: end.reason, ChangedAtMs: end.at,
		}
	} else {
		return unknownWork(s, id)
	}
	return &messages.Reply{Body: &messages.Reply_Site{Site: &messages.SiteReply{Fulfillments: []*messages.FulfillmentOrder{fo}}}}
}
