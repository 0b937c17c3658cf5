package order

import (
	"strconv"

	"orderyard/messages"
)

// The order's timers.
const (
	timerReplan = iota
	timerHold
	timerElapsed
	timerCancel
	timerKinds
)

var timerNames = [timerKinds]string{"replan", "hold", "elapsed", "cancel"}

// Tasks appends what the order owes: the plan it waits for, then per FO the message to the site and those to its buckets, then its
// timers. Tasks that are owed again are the same objects as before, so that asking after every command costs a look at each claim.
func Tasks(s *State, now int64, dst []messages.Task) []messages.Task {
	if s.order == nil {
		return dst
	}
	t := s.count()
	if s.wantsPlan(&t) {
		dst = append(dst, messages.Task{
			ID: s.id + "/p" + strconv.FormatUint(uint64(s.plans)+1, 10), To: messages.Ref{Kind: messages.KindRouting, ID: s.id},
			Command: s.request(&t, now),
		})
	}
	releasable, sweeping := s.releasable(), s.sweeping()
	for i := range s.fulfillments {
		f := &s.fulfillments[i]
		if verb := f.owedToSite(releasable); verb != 0 {
			if f.task == nil || f.verb != verb {
				f.task, f.verb = s.siteTask(f, verb), verb
			}
			dst = append(dst, *f.task)
		}
		for j := range f.claims {
			c := &f.claims[j]
			verb := f.owedToBucket(c)
			if verb == 0 || sweeping && f.swept && c.stage == claimAsked {
				continue
			}
			if c.task == nil || c.verb != verb {
				c.task, c.verb = s.bucketTask(f, c, verb), verb
			}
			dst = append(dst, *c.task)
		}
	}
	if s.life != lifeOpen {
		return dst
	}
	return s.timerTasks(&t, dst)
}

// owedToSite is the verb of the message the site must get now, or 0.
func (f *fulfillment) owedToSite(releasable bool) byte {
	switch {
	case !f.asked || f.over():
		return 0
	case f.dropped:
		return verbCancel
	case f.request == requestUnsubmitted:
		return verbRequest
	case f.status != statusScheduled || !releasable:
		return 0
	case f.request == requestSubmitted && !f.released, f.accepted() && f.firm():
		return verbRelease
	}
	return 0
}

// firm says that every live claim is allocated.
func (f *fulfillment) firm() bool {
	for i := range f.claims {
		if c := &f.claims[i]; c.live() > 0 && c.stage != claimAllocated {
			return false
		}
	}
	return true
}

// owedToBucket is the verb of the message the claim's bucket must get, or 0.
func (f *fulfillment) owedToBucket(c *claim) byte {
	switch c.stage {
	case claimAsked:
		return verbReserve
	case claimReserved:
		switch {
		case c.expires == 0:
			return 0 // firm since it was granted
		case !f.accepted():
			return verbReserve // before it expires
		case !f.dropped:
			return verbConfirm
		}
	case claimAllocated:
		if rank(f.status) >= rankShipped {
			return verbShip
		}
	case claimShipped:
		if c.rejected > 0 {
			return verbCancel
		}
	case claimFreeing:
		return verbCancel
	case claimKept:
		return verbKeep
	}
	return 0
}

func (s *State) siteTask(f *fulfillment, verb byte) *messages.Task {
	task := &messages.Task{ID: f.id + "/" + string(rune(verb)), To: messages.SiteRef(f.site)}
	switch verb {
	case verbRequest:
		task.Command = &messages.RequestFulfillment{Fulfillment: s.fulfillmentOrder(f), Released: f.released}
	case verbRelease:
		task.Command = &messages.ReleaseFulfillment{FulfillmentId: f.id}
	case verbCancel:
		task.Command = &messages.CancelFulfillment{FulfillmentId: f.id, Reason: f.why}
	}
	return task
}

// bucketTask names the message so that its id begins with the reservation's, which then is a part of the same string.
func (s *State) bucketTask(f *fulfillment, c *claim, verb byte) *messages.Task {
	id := make([]byte, 0, len(f.id)+12)
	id = append(append(id, f.id...), '/')
	id = strconv.AppendUint(id, uint64(c.line), 10)
	cut := len(id)
	id = append(id, '/', verb)
	number := uint64(0)
	switch {
	case verb == verbKeep:
		id = strconv.AppendUint(id, uint64(c.extensions), 10)
	case verb == verbReserve:
		if c.stage == claimReserved {
			number = uint64(c.extensions) + 1
		}
		id = strconv.AppendUint(id, number, 10)
	}
	sku := s.order.Lines[c.line].GetSku()
	task := &messages.Task{ID: string(id)}
	if c.task != nil {
		task.To = c.task.To
	} else {
		task.To = messages.BucketRef(sku, f.site)
	}
	reservation := task.ID[:cut]
	switch verb {
	case verbReserve:
		switch {
		case number > 0:
			task.Due = c.expires - extendBefore
		case f.swept:
			task.Due = f.created + letGoMs
		}
		task.Command = &messages.ReserveStock{
			Sku: sku, Site: f.site, ReservationId: reservation, Quantity: c.quantity, HoldForMs: holdForMs, OrderId: s.id,
			Priority: s.order.Priority, PromiseMs: s.promise, Firm: true,
		}
	case verbConfirm:
		task.Command = &messages.ConfirmReservation{Sku: sku, Site: f.site, ReservationId: reservation}
	case verbCancel:
		cancel := &messages.CancelReservation{Sku: sku, Site: f.site, ReservationId: reservation}
		if c.found.effect != 0 {
			cancel.RejectReason, cancel.RejectedAtMs = effects[c.found.effect], c.found.at
			if c.affected < c.quantity {
				cancel.RejectedQuantity = c.affected
			}
		}
		task.Command = cancel
	case verbShip:
		task.Command = &messages.ShipStock{Sku: sku, Site: f.site, ReservationId: reservation, Quantity: c.quantity - c.rejected}
	case verbKeep:
		task.Command = &messages.KeepClaim{Sku: sku, Site: f.site, ReservationId: reservation}
	}
	return task
}

// timerTasks are the order's own wake-ups. A timer's id holds its due time: another time is another timer.
func (s *State) timerTasks(t *tally, dst []messages.Task) []messages.Task {
	if due := s.replanDue(t); due > 0 {
		dst = append(dst, *s.timerTask(timerReplan, due))
	}
	until := int64(0)
	for _, h := range s.holds {
		if h.UntilMs > 0 && (until == 0 || h.UntilMs < until) {
			until = h.UntilMs
		}
	}
	if until > 0 {
		dst = append(dst, *s.timerTask(timerHold, until))
	}
	if due := s.cancelDue(t); due > 0 {
		dst = append(dst, *s.timerTask(timerCancel, due))
	}
	if due := s.elapsedDue(); due > 0 {
		dst = append(dst, *s.timerTask(timerElapsed, due))
	}
	return dst
}

// replanDue is when back-ordered units are planned again although nobody woke them; 0 = they do not wait, or for a person.
func (s *State) replanDue(t *tally) int64 {
	if t.backordered == 0 || s.cancelReason != "" || s.exception(exceptionUnroutable) >= 0 {
		return 0
	}
	return s.backorderedAt + replanAfterMs
}

// cancelDue is when what waits is cancelled; 0 = never. Open units wait too while an exception keeps them from being planned.
func (s *State) cancelDue(t *tally) int64 {
	if waits := t.backordered > 0 || t.open > 0 && s.exception(exceptionUnroutable) >= 0; !waits || s.cancelReason != "" {
		return 0
	}
	return s.cancelAt
}

func (s *State) timerTask(kind int, due int64) *messages.Task {
	if have := s.timers[kind]; have != nil && have.Due == due {
		return have
	}
	s.timers[kind] = &messages.Task{
		ID: s.id + "/t-" + timerNames[kind] + "-" + strconv.FormatInt(due, 10), To: s.self, Due: due,
		Command: &messages.OrderTimer{Timer: timerNames[kind]},
	}
	return s.timers[kind]
}
