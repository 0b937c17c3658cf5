package order

import (
	"orderyard/messages"
)

// bucketModel is a dumb bucket: it keeps its word about ids, and nothing else.
type bucketModel struct {
	older     bool // of a build that holds for a while instead of allocating
	sku, site string
	onHand    int64
	claims    map[string]*claimModel
	answers   map[string]*messages.Reply // of commands that changed something
}

type claimModel struct {
	quantity, shipped int64
	status            string // held confirmed shipped released expired
	expires           int64
	contested         bool
}

func (c *claimModel) active() bool { return c.status == "held" || c.status == "confirmed" }

func (b *bucketModel) atp() int64 {
	atp := b.onHand
	for _, c := range b.claims {
		if c.active() {
			atp -= c.quantity - c.shipped
		}
	}
	return atp
}

func (b *bucketModel) expire(now int64) {
	for _, c := range b.claims {
		if c.status == "held" && c.expires <= now {
			c.status = "expired"
		}
	}
}

func (b *bucketModel) receive(task messages.Task, now int64) *messages.Reply {
	if first := b.answers[task.ID]; first != nil {
		return first
	}
	b.expire(now)
	var reply *messages.Reply
	changed := false
	switch c := task.Command.(type) {
	case *messages.ReserveStock:
		reply, changed = b.reserve(c, now)
	case *messages.ConfirmReservation:
		r := b.claims[c.ReservationId]
		if r == nil || !r.active() {
			return b.no("declined")
		}
		changed = r.status == "held"
		r.status = "confirmed"
	case *messages.CancelReservation:
		changed = b.cancel(c)
	case *messages.ShipStock:
		r := b.claims[c.ReservationId]
		if r == nil || !r.active() {
			return b.no("declined")
		}
		r.shipped += c.Quantity
		b.onHand -= c.Quantity
		r.contested, changed = false, true
		if r.status = "confirmed"; r.shipped >= r.quantity {
			r.status = "shipped"
		}
	case *messages.KeepClaim:
		r := b.claims[c.ReservationId]
		if r == nil || !r.active() {
			return b.no("declined")
		}
		b.onHand = max(b.onHand, b.onHand-b.atp())
		r.contested, changed = false, true
	}
	if reply == nil {
		reply = b.yes(0)
	}
	if changed {
		b.answers[task.ID] = reply
	}
	return reply
}

func (b *bucketModel) reserve(c *messages.ReserveStock, now int64) (*messages.Reply, bool) {
	r := b.claims[c.ReservationId]
	switch {
	case r != nil && r.status == "held":
		r.expires = max(r.expires, now+c.HoldForMs)
		return b.yes(r.expires), true
	case r != nil && r.status != "expired":
		return b.no("conflict"), false
	case b.atp() < c.Quantity && c.Firm && !b.older:
		b.claims[c.ReservationId] = &claimModel{status: "released"} // a late copy takes nothing that arrives meanwhile
		return b.no("declined"), true
	case b.atp() < c.Quantity:
		return b.no("declined"), false
	}
	if c.Firm && !b.older {
		b.claims[c.ReservationId] = &claimModel{quantity: c.Quantity, status: "confirmed"}
		reply := b.yes(0)
		reply.GetStock().ReservationStatus = reservationConfirmed
		return reply, true
	}
	b.claims[c.ReservationId] = &claimModel{quantity: c.Quantity, status: "held", expires: now + c.HoldForMs}
	return b.yes(now + c.HoldForMs), true
}

func (b *bucketModel) cancel(c *messages.CancelReservation) bool {
	r := b.claims[c.ReservationId]
	if r == nil {
		b.claims[c.ReservationId] = &claimModel{status: "released"}
		return true
	}
	if r.status == "expired" { // a late extension must not make it anew
		r.status = "released"
		return true
	}
	if !r.active() {
		return false
	}
	r.status = "released"
	if c.RejectReason == "not_in_stock" {
		b.onHand -= max(b.atp(), 0)
	}
	return true
}

func (b *bucketModel) yes(expires int64) *messages.Reply {
	return &messages.Reply{Body: &messages.Reply_Stock{Stock: &messages.StockReply{Atp: max(b.atp(), 0), ExpiresAtMs: expires}}}
}

func (b *bucketModel) no(code string) *messages.Reply {
	r := b.yes(0)
	r.Failure = messages.Fail(code, "", "says the bucket")
	return r
}

// siteModel is a dumb site: it works on what it accepted and remembers what it gave back.
type siteModel struct {
	id      string
	manual  bool
	work    map[string]*workModel
	ids     []string // of work, in the order it came
	notices []*messages.FulfillmentChanged
	seq     uint64
	answers map[string]*messages.Reply
}

type workModel struct {
	status  messages.FulfillmentStatus
	request messages.RequestStatus
	units   map[uint32]int64 // by line, still meant to be shipped
}

// holds says that the site may still ship the units.
func (w *workModel) holds() bool {
	return w.status != statusCancelled && w.status != statusRejected && w.status != statusTimedOut
}

func (s *siteModel) receive(task messages.Task, full bool) *messages.Reply {
	if first := s.answers[task.ID]; first != nil {
		return first
	}
	var reply *messages.Reply
	changed := false
	switch c := task.Command.(type) {
	case *messages.RequestFulfillment:
		reply, changed = s.request(c, full)
	case *messages.ReleaseFulfillment:
		w := s.work[c.FulfillmentId]
		switch {
		case w == nil:
			return siteNo("not_found", statusRejected, requestRejected)
		case !w.holds():
			return siteNo("too_late", w.status, requestRejected)
		case w.status == statusScheduled:
			w.status, changed = statusOpen, true
		}
		reply = siteYes(w.status, w.request)
	case *messages.CancelFulfillment:
		reply, changed = s.cancel(c.FulfillmentId)
	}
	if changed {
		s.answers[task.ID] = reply
	}
	return reply
}

func (s *siteModel) request(c *messages.RequestFulfillment, full bool) (*messages.Reply, bool) {
	fo := c.Fulfillment
	if w := s.work[fo.Id]; w != nil {
		if !w.holds() {
			return siteNo("rejected", w.status, requestRejected), false
		}
		return siteYes(w.status, w.request), false
	}
	if full {
		return siteNo("rejected", statusRejected, requestRejected), false
	}
	w := &workModel{status: statusScheduled, request: requestAccepted, units: map[uint32]int64{}}
	if c.Released {
		w.status = statusOpen
	}
	if s.manual {
		w.status, w.request = statusOpen, requestSubmitted
	}
	for _, l := range fo.Lines {
		w.units[l.Line] = l.Quantity
	}
	s.work[fo.Id] = w
	s.ids = append(s.ids, fo.Id)
	return siteYes(w.status, w.request), true
}

func (s *siteModel) cancel(id string) (*messages.Reply, bool) {
	w := s.work[id]
	switch {
	case w == nil:
		s.work[id] = &workModel{status: statusCancelled}
		return siteYes(statusCancelled, requestGivenBack), true
	case !w.holds():
		return siteYes(w.status, requestGivenBack), false
	case rank(w.status) >= rankPicked:
		w.request = requestRefused
		return siteYes(w.status, requestRefused), true
	}
	w.status = statusCancelled
	return siteYes(statusCancelled, requestGivenBack), true
}

func siteYes(status messages.FulfillmentStatus, request messages.RequestStatus) *messages.Reply {
	return &messages.Reply{Body: &messages.Reply_Fulfillment{Fulfillment: &messages.FulfillmentReply{Status: status, RequestStatus: request, Reason: ""}}}
}

func siteNo(code string, status messages.FulfillmentStatus, request messages.RequestStatus) *messages.Reply {
	r := siteYes(status, request)
	r.GetFulfillment().Reason = "capacity"
	r.Failure = messages.Fail(code, "", "says the site")
	return r
}

func (s *siteModel) tell(id string, c *messages.FulfillmentChanged) {
	s.seq++
	c.FulfillmentId, c.Sequence = id, s.seq
	s.notices = append(s.notices, c)
}

// advance moves a piece of work one step: accepted, picking, picked, packed, shipped, delivered.
func (s *siteModel) advance(id string) bool {
	w := s.work[id]
	switch {
	case w.request == requestSubmitted:
		w.request = requestAccepted
		s.tell(id, &messages.FulfillmentChanged{Status: w.status, RequestStatus: w.request})
		return true
	case !w.holds() || rank(w.status) < rankOpen || rank(w.status) >= rankDelivered:
		return false
	}
	w.status++
	if w.status == messages.FulfillmentStatus_FULFILLMENT_STATUS_ON_HOLD {
		w.status++
	}
	c := &messages.FulfillmentChanged{Status: w.status, RequestStatus: w.request}
	if rank(w.status) >= rankShipped {
		c.Shipment = &messages.Shipment{Id: id + "-1"}
	}
	s.tell(id, c)
	return true
}

// reject gives the whole FO back; shortPick takes one unit out of it and goes on.
func (s *siteModel) reject(id, reason string, timedOut bool) bool {
	w := s.work[id]
	if !w.holds() || rank(w.status) >= rankPacked {
		return false
	}
	w.status = statusRejected
	c := &messages.FulfillmentChanged{Status: statusRejected, RequestStatus: requestRejected, Reason: reason}
	if timedOut {
		w.status = statusTimedOut
		c = &messages.FulfillmentChanged{Status: statusTimedOut, RequestStatus: requestTimedOut}
	}
	s.tell(id, c)
	return true
}

func (s *siteModel) shortPick(id string, line uint32) bool {
	w := s.work[id]
	if w.status != statusPicking || w.units[line] == 0 {
		return false
	}
	total := int64(0)
	for _, n := range w.units {
		total += n
	}
	if total == 1 {
		return s.reject(id, "damaged", false)
	}
	w.units[line]--
	s.tell(id, &messages.FulfillmentChanged{
		Status: w.status, RequestStatus: w.request, Reason: "damaged", Lines: []*messages.FulfillmentLine{{Line: line, Quantity: 1}},
	})
	return true
}
