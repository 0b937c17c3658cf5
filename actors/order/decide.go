package order

import (
	"slices"

	"orderyard/messages"
)

// decision is one Decide at work: the fork shows the state as the events so far leave it.
type decision struct {
	s      *State
	now    int64
	events []messages.Event
	reason string // why this command itself cancels units; "" = it does not
}

// emit decides that something happens.
func (d *decision) emit(e messages.Event) {
	if d.events == nil {
		d.events = make([]messages.Event, 0, 2)
	}
	d.events = append(d.events, e)
	Evolve(d.s, e, d.now)
	d.s.Version++
}

// Decide answers one command. It reads s and changes nothing but scratch memory. Refusals are replies; an error is a
// *messages.Failure and means that the command itself is wrong. Answers and timers that come late give nothing at all.
func Decide(s *State, cmd messages.Command, now int64) ([]messages.Event, *messages.Reply, error) {
	if place, ok := cmd.(*messages.PlaceOrder); ok {
		return decidePlace(s, place, now)
	}
	if s.order == nil {
		return nil, unknown(s, cmd), nil
	}
	if get, ok := cmd.(*messages.GetOrder); ok {
		reply := orderReply(s)
		reply.GetOrder().View = View(s, get)
		if get.GetMovable() {
			reply.GetOrder().View.Movable = movable(s, now)
		}
		return nil, reply, nil
	}
	d := decision{s: s.fork(), now: now}
	reply, failure := d.command(cmd)
	if failure != nil {
		return nil, nil, failure
	}
	_, timer := cmd.(*messages.OrderTimer)
	if len(d.events) > 0 || timer {
		d.settle()
	}
	if body := reply.GetOrder(); body != nil {
		body.Status, body.Version = Status(d.s), d.s.Version
	}
	return d.events, reply, nil
}

// command runs the command's own part; settle does what follows from it.
func (d *decision) command(cmd messages.Command) (*messages.Reply, *messages.Failure) {
	switch c := cmd.(type) {
	case *messages.AdoptPlan:
		d.adopt(c)
		return nil, nil
	case *messages.TaskResult:
		d.result(c)
		return nil, nil
	case *messages.OrderTimer:
		d.timer()
		return nil, nil
	case *messages.FulfillmentChanged:
		d.changed(c)
	case *messages.ClaimLost:
		d.claimLost(c)
	case *messages.CheckClaim:
		return d.s.checkClaim(c.GetReservationId()), nil
	case *messages.StockArrived:
		d.arrived(c)
	case *messages.CancelOrder:
		return d.cancel(c)
	case *messages.HoldOrder:
		return d.hold(c)
	case *messages.ReleaseOrder:
		return d.release(c)
	case *messages.Reassign:
		return d.reassign(c)
	default:
		return nil, messages.Invalid("", "an order does not understand %T", cmd)
	}
	return orderReply(d.s), nil
}

func orderReply(s *State) *messages.Reply { return replyWith(s.id, Status(s), s.Version) }

// replyWith makes the three parts of a reply at once.
func replyWith(id, status string, version uint64) *messages.Reply {
	made := new(struct {
		reply messages.Reply
		body  messages.Reply_Order
		order messages.OrderReply
	})
	made.order.OrderId, made.order.Status, made.order.Version = id, status, version
	made.body.Order = &made.order
	made.reply.Body = &made.body
	return &made.reply
}

// unknown answers for an order that was never placed; nobody waits for what is said to timers and answers.
func unknown(s *State, cmd messages.Command) *messages.Reply {
	switch cmd.(type) {
	case *messages.TaskResult, *messages.OrderTimer, *messages.AdoptPlan:
		return nil
	}
	return messages.Refuse(messages.Fail(messages.CodeNotFound, "order_id", "order %s is not known", s.id))
}

// settle decides what follows from the state alone, once the command's own events are in: one pass in this order is enough,
// since no rule makes an earlier one true.
func (d *decision) settle() {
	s := d.s
	if s.life != lifeOpen {
		return
	}
	t := s.count()
	if s.cancelReason != "" && t.open+t.backordered > 0 {
		d.cancelUnits()
		t = s.count()
	}
	if t.declined > 0 && t.asked == 0 && !t.committed && s.partial() == partialComplete {
		d.dropKept(dropIncomplete)
		t = s.count()
	}
	d.brakes(&t)
	d.causesGone(&t)
	d.askSites(&t)
	d.allocated(&t)
	d.finish(&t)
}

// allocated tells once that every live unit is firmly claimed at sites that have accepted it.
func (d *decision) allocated(t *tally) {
	if live := d.s.live(t); d.s.allocatedAt == 0 && live > 0 && t.firm == live {
		d.emit(&messages.OrderAllocated{})
	}
}

// brakes stops the order when one of GLOSSARY §4 is at its limit.
func (d *decision) brakes(t *tally) {
	if d.s.exception(exceptionUnroutable) >= 0 {
		return
	}
	if detail := d.s.brake(t, d.now); detail != "" {
		d.emit(&messages.ExceptionOpened{Kind: exceptionUnroutable, Detail: detail, Owner: ownerRouting})
	}
}

// causesGone closes what the order itself opened and whose cause is gone.
func (d *decision) causesGone(t *tally) {
	if i := d.s.exception(exceptionUnroutable); i >= 0 && t.unaccepted == 0 && (d.s.exceptions[i].Detail != careDetail || t.backordered == 0) {
		// The eight hours that opened it are over with it: what waits for stock meanwhile has its own ahead.
		d.emit(&messages.ExceptionResolved{Kind: exceptionUnroutable, By: byCauseGone, ClockRestarts: d.s.unacceptedMs >= elapsedMaxMs})
	}
	if i := d.s.heldBy(holdOutOfStock); i >= 0 && d.s.holds[i].Actor == bySystem && t.backordered == 0 && t.open == 0 {
		d.emit(&messages.HoldReleased{Reason: holdOutOfStock, By: byStock})
	}
}

// askSites asks each site whose claims are all reserved. Under split and complete_only no site is asked before the whole order is
// covered; once one has been asked, that is past. A manual site is asked when its people may begin at once; another one is told when it may, too,
// and then opens what it accepts: not before its claims are firm.
func (d *decision) askSites(t *tally) {
	s := d.s
	if t.kept == 0 {
		return
	}
	covered := t.open == 0 && t.backordered == 0 && t.asked == 0 && t.returning == 0 && t.recalled == 0
	if !covered && !t.committed && s.partial() != partialShip {
		return
	}
	for i := range s.fulfillments {
		f := &s.fulfillments[i]
		if f.asked || f.dropped || f.over() || !f.gathered() || f.manual && !s.releasable() {
			continue
		}
		d.emit(&messages.OrderFulfillmentAsked{Fulfillment: f.number, Released: f.manual || s.releasable() && f.secured()})
	}
}

// gathered says that every claim is answered and at least one is there.
func (f *fulfillment) gathered() bool {
	some := false
	for i := range f.claims {
		switch f.claims[i].stage {
		case claimReserved:
			some = true
		case claimDeclined, claimFreed:
		default:
			return false
		}
	}
	return some
}

// secured says that no claim can expire.
func (f *fulfillment) secured() bool {
	for i := range f.claims {
		if c := &f.claims[i]; c.stage == claimReserved && c.expires != 0 {
			return false
		}
	}
	return true
}

// releasable says that nothing stands between allocated units and the work on them.
func (s *State) releasable() bool {
	return s.life == lifeOpen && len(s.holds) == 0 && len(s.exceptions) == 0
}

// finish ends the order's life when every unit has ended and nothing is owed.
func (d *decision) finish(t *tally) {
	s := d.s
	live := s.live(t)
	switch {
	case t.unbooked > 0 || t.recalled > 0:
	case live == 0:
		for _, e := range slices.Clone(s.exceptions) {
			d.emit(&messages.ExceptionResolved{Kind: e.Kind, By: byCancel})
		}
		for _, h := range slices.Clone(s.holds) {
			d.emit(&messages.HoldReleased{Reason: h.Reason, By: byCancel})
		}
		d.emit(&messages.OrderCancelled{Reason: or(s.cancelReason, or(d.reason, reasonInventory))})
	case t.delivered == live && len(s.holds) == 0 && len(s.exceptions) == 0:
		d.emit(&messages.OrderCompleted{})
	}
}

// timer looks at the clock: whatever is due is done, whichever timer rang. The elapsed brake is one of settle's rules.
func (d *decision) timer() {
	s := d.s
	if s.life != lifeOpen {
		return
	}
	for _, h := range slices.Clone(s.holds) {
		if h.UntilMs > 0 && h.UntilMs <= d.now {
			d.releaseHold(h.Reason, byTimer)
		}
	}
	t := s.count()
	if due := s.cancelDue(&t); due > 0 && due <= d.now {
		d.cancelWaiting()
		t = s.count()
	}
	if due := s.replanDue(&t); due > 0 && due <= d.now {
		d.reopen(&messages.UnitsReopened{Cause: causeTimer})
	}
}

// reopen lets the units that wait be planned again, but not while a person must decide first: as open units they would wait for nothing that comes.
func (d *decision) reopen(e *messages.UnitsReopened) {
	t := d.s.count()
	d.brakes(&t)
	if d.s.replanDue(&t) > 0 {
		d.emit(e)
	}
}

// arrived wakes the order when it waits for the SKU. All its back-ordered units are planned again: a policy may need them together.
func (d *decision) arrived(c *messages.StockArrived) {
	s := d.s
	if s.life != lifeOpen || s.cancelReason != "" {
		return
	}
	for i := range s.lines {
		if s.lines[i].backordered > 0 && s.order.Lines[i].GetSku() == c.GetSku() {
			d.reopen(&messages.UnitsReopened{Cause: causeArrived, Sku: c.GetSku()})
			return
		}
	}
}
