package order

import (
	"slices"

	"orderyard/messages"
)

// evolvePlan makes the assignments FOs. A plan without any is evidence and no attempt.
func (s *State) evolvePlan(e *messages.PlanAdopted, at int64) {
	plan := e.GetPlan()
	s.plans = plan.GetPlanNo()
	if !s.forked { // decisions are shown, never decided upon
		if bytes, err := plan.MarshalVT(); err == nil {
			s.decisions = append([][]byte{bytes}, s.decisions[:min(len(s.decisions), decisionsMax-1)]...)
		}
	}
	s.note(at, "planned", plan.GetCause())
	if len(plan.GetAssignments()) == 0 {
		return
	}
	switch plan.Cause {
	case causeManual:
	case causeSweep: // nothing has failed
		s.note(at, "moved", "by sweep")
	default:
		s.attempts++
	}
	if plan.Cause != causePlaced {
		s.reroutes++
	}
	for _, a := range plan.Assignments {
		f := fulfillment{
			number: uint32(len(s.fulfillments)) + 1, site: a.Site, manual: a.Manual, status: statusScheduled, request: requestUnsubmitted,
			created: at, plan: plan.PlanNo, distance: a.DistanceM, swept: plan.Cause == causeSweep, claims: make([]claim, 0, len(a.Lines)),
		}
		f.id = fulfillmentID(s.id, f.number)
		for _, l := range a.Lines {
			if int64(l.GetLine()) < int64(len(s.lines)) {
				f.claims = append(f.claims, claim{line: l.Line, quantity: l.Quantity, stage: claimAsked})
			}
		}
		s.fulfillments = append(s.fulfillments, f)
	}
}

// claim finds a claim to write; nil when there is none.
func (s *State) claim(number, line uint32) (*fulfillment, *claim) {
	f := s.fulfillment(number)
	if f == nil {
		return nil, nil
	}
	i := f.find(line)
	if i < 0 {
		return nil, nil
	}
	s.own(f)
	return f, &f.claims[i]
}

func (s *State) setStage(number, line uint32, to stage) {
	if _, c := s.claim(number, line); c != nil {
		c.stage = to
	}
}

// evolveReserved: first granted, extended, or granted after it was thought declined; that one is given back.
func (s *State) evolveReserved(e *messages.LineReserved) {
	_, c := s.claim(e.Fulfillment, e.Line)
	if c == nil {
		return
	}
	c.verb = 0 // the next extension is another task
	switch c.stage {
	case claimAsked:
		c.stage, c.expires = claimReserved, e.ExpiresAtMs
	case claimReserved:
		c.expires = e.ExpiresAtMs
		c.extensions++
	case claimDeclined:
		// Its units are open again, and perhaps planned elsewhere: the claim goes back empty.
		c.stage, c.rejected = claimFreeing, c.quantity
	}
}

// evolveDeclined keeps what the bucket told of its stock. An FO that nobody was asked about and that has no unit left ends here.
func (s *State) evolveDeclined(e *messages.LineDeclined, at int64) {
	f, c := s.claim(e.Fulfillment, e.Line)
	if c == nil {
		return
	}
	c.stage = claimDeclined
	s.know(f, c, e.Atp, at)
	s.planCause = causeDeclined
	s.noteSite(at, "declined", f, s.order.Lines[c.line].GetSku())
	if !f.asked && !f.living() {
		f.status, f.why = statusCancelled, causeDeclined
	}
}

// evolveLost: goods in the site's hands stay claimed, by the order's word; all others leave when the site has given them back.
func (s *State) evolveLost(e *messages.LineLost, at int64) {
	f, c := s.claim(e.Fulfillment, e.Line)
	if c == nil {
		return
	}
	c.stage = claimLost
	if f.taken() {
		c.keep()
	}
	s.noteSite(at, "claim_lost", f, e.Reason)
}

// keep owes the bucket the order's word that the goods exist. Each time is a new question: the bucket may lose the same claim again,
// and under the old id it would only repeat its first answer.
func (c *claim) keep() {
	c.stage = claimKept
	c.extensions++
	c.verb = 0 // the task built last has the old number
}

// evolveFreed: the units are open again; or the rest of a claim that was shipped short is settled.
func (s *State) evolveFreed(e *messages.LineFreed, at int64) {
	f, c := s.claim(e.Fulfillment, e.Line)
	if c == nil {
		return
	}
	if c.stage == claimShipped {
		c.quantity, c.rejected, c.affected, c.found = c.quantity-c.rejected, 0, 0, finding{}
		return
	}
	c.stage = claimFreed
	if e.Told {
		s.know(f, c, e.Atp, at)
	}
}

func (s *State) evolveAsked(e *messages.OrderFulfillmentAsked) {
	if f := s.fulfillment(e.Fulfillment); f != nil {
		f.asked, f.released = true, e.Released
		if f.released && f.manual { // its people see the question at once; other sites open what they accept
			f.status = statusOpen
		}
	}
}

// allocate: the site has accepted, and claims that their buckets hold firmly need no further word.
func (s *State) allocate(f *fulfillment) {
	if f.dropped {
		return
	}
	s.own(f)
	for i := range f.claims {
		if c := &f.claims[i]; c.stage == claimReserved && c.expires == 0 {
			c.stage = claimAllocated
		}
	}
}

// evolveMoved: the mirror moves forward only; shipments are kept by id.
func (s *State) evolveMoved(number uint32, status messages.FulfillmentStatus, shipment *messages.Shipment, at int64) {
	f := s.fulfillment(number)
	if f == nil {
		return
	}
	if rank(status) > rank(f.status) {
		f.status = status
		s.noteSite(at, statusWord(status), f, "")
	}
	if shipment == nil {
		return
	}
	f.shipped = slices.Clone(f.shipped)
	if i := slices.IndexFunc(f.shipped, func(have *messages.Shipment) bool { return have.GetId() == shipment.GetId() }); i >= 0 {
		f.shipped[i] = shipment
	} else {
		f.shipped = append(f.shipped, shipment)
	}
}

// evolveRejected frees what the site will not ship, remembers how the bucket's books change by it, and keeps the site out (GLOSSARY §3).
func (s *State) evolveRejected(e *messages.OrderFulfillmentRejected, at int64) {
	f := s.fulfillment(e.Fulfillment)
	if f == nil || f.over() {
		return
	}
	s.restart(f)
	s.rejections++
	s.planCause = causeRejected
	if e.TimedOut {
		s.planCause = causeTimeout
	}
	s.exclude(f, e, at)
	s.own(f)
	f.reason, f.note = e.Reason, e.Note
	s.noteSite(at, "rejected", f, e.Reason)
	found := finding{effect: effectOf(e.Reason), at: e.RejectedAtMs}
	for _, l := range e.Lines {
		if i := f.find(l.GetLine()); i >= 0 && e.Partial {
			f.claims[i].shrink(l.GetQuantity(), found)
		} else if i >= 0 {
			f.claims[i].affect(l.GetQuantity(), found)
		}
	}
	if e.Partial {
		if e.Sequence != 0 {
			f.partial = append(f.partial[:len(f.partial):len(f.partial)], e.Sequence)
		}
		return
	}
	for i := range f.claims {
		if c := &f.claims[i]; len(e.Lines) == 0 {
			c.affect(c.live(), found)
		}
	}
	f.request = requestRejected
	if e.TimedOut {
		f.request = requestTimedOut
	}
	if e.Recall {
		f.dropped, f.why = true, causeRejected
		return
	}
	s.end(f)
}

// end: the site can no longer ship the FO. How it ended follows from the handshake.
func (s *State) end(f *fulfillment) {
	switch f.request {
	case requestRejected:
		f.status = statusRejected
	case requestTimedOut:
		f.status = statusTimedOut
	default:
		f.status = statusCancelled
	}
	s.freeClaims(f)
}

// shrink takes rejected units out of a claim the site goes on with; a claim that loses all of them goes back to its bucket.
func (c *claim) shrink(quantity int64, found finding) {
	live := c.live()
	if live <= 0 || quantity <= 0 {
		return
	}
	c.affect(min(quantity, live), found)
	if quantity >= live {
		c.stage = claimFreeing
		return
	}
	c.rejected += quantity
}

// affect notes the stock effect. One cancel carries one reason and one time: of two different ones, the last with an effect stands.
func (c *claim) affect(quantity int64, found finding) {
	switch {
	case found.effect == 0 || quantity <= 0:
		return
	case found.effect == c.found.effect:
		c.affected += quantity
	default:
		c.affected = quantity
	}
	c.found = found
}

// evolveDropped: an FO that no site was asked about is given back at once.
func (s *State) evolveDropped(e *messages.FulfillmentDropped, at int64) {
	f := s.fulfillment(e.Fulfillment)
	if f == nil || f.over() {
		return
	}
	s.restart(f)
	f.dropped, f.why = true, e.Reason
	if e.Reason == causeZeroed || e.Reason == causeTimeout || e.Reason == causeDropped {
		s.planCause = e.Reason
	}
	s.noteSite(at, "dropped", f, e.Reason)
	if f.asked {
		return
	}
	s.end(f)
	if e.Reason == dropSweep {
		f.empty()
	}
}

// empty: the units of a swept FO are in another one from the same commit on, so its claims go back empty, and are waited for there.
func (f *fulfillment) empty() {
	for i := range f.claims {
		if c := &f.claims[i]; c.stage == claimFreeing {
			c.rejected = c.quantity
		}
	}
}

// evolveRefused: the site keeps working, so the FO goes on. It was accepted then, and its lost claims are asserted.
func (s *State) evolveRefused(e *messages.OrderCancellationRefused, at int64) {
	f := s.fulfillment(e.Fulfillment)
	if f == nil || f.over() {
		return
	}
	f.dropped, f.refused, f.request = false, true, requestAccepted
	s.own(f)
	s.allocate(f)
	for i := range f.claims {
		c := &f.claims[i]
		if c.stage == claimLost {
			c.keep()
		}
		if c.live() > 0 && c.rejected == 0 { // of a "no" that a duplicate of the question has overtaken
			c.affected, c.found = 0, finding{}
		}
	}
	s.noteSite(at, "cancellation_refused", f, "")
}

// restart: accepted work is lost, so the elapsed brake starts anew.
func (s *State) restart(f *fulfillment) {
	if f.accepted() {
		s.unacceptedMs, s.unacceptedFrom = 0, 0
	}
}

// freeClaims sends every claim of an FO that has ended back to its bucket.
func (s *State) freeClaims(f *fulfillment) {
	s.own(f)
	for i := range f.claims {
		switch c := &f.claims[i]; c.stage {
		case claimAsked, claimReserved, claimAllocated, claimLost, claimKept:
			c.stage = claimFreeing
		}
	}
}
