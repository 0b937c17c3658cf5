package order

import (
	"math/bits"
	"strconv"
	"time"

	"orderyard/messages"
)

// State is one order. New or UnmarshalState makes one. It is used by one goroutine at a time.
type State struct {
	// Version is the entity's, set by its runtime before Decide; it appears in replies and views and is not part of the bytes.
	Version uint64

	id          string
	order       *messages.Order // nil = nothing was placed. Shared with the event that brought it: never written
	fingerprint uint64
	life        string
	acceptedAt  int64 // when the placement was decided
	placedAt    int64 // when the customer placed it
	changedAt   int64
	endedAt     int64
	allocatedAt int64 // when every live unit was first allocated; 0 = not yet

	lines        []lineState
	fulfillments []fulfillment // number n is at n−1: numbers are never reused and nothing is removed

	// The lists below are shared between a state and its fork: they are replaced or appended to, never written in place.
	holds      []*messages.OrderHold
	exceptions []*messages.OrderException
	exclusions []*messages.Exclusion
	known      []*messages.KnownStock
	timeline   []*messages.TimelineEntry
	decisions  [][]byte // plans, latest first, encoded

	planCause      string // why the open units are open
	plans          uint32 // number of the last recorded plan
	attempts       uint32
	rejections     uint32
	reroutes       uint32
	unacceptedFrom int64 // the elapsed brake runs since then; 0 = it stands
	unacceptedMs   int64 // what it counted before
	backorderedAt  int64
	cancelReason   string // set = cancellation was requested
	queue          string // where a rule has put the order; "" = nowhere
	cancelAt       int64  // what still waits then is cancelled; 0 = it waits as long as it must

	derived
}

// derived follows from the order alone or is a cache; it is not part of the bytes.
type derived struct {
	self    messages.Ref
	units   int64
	total   int64
	promise int64 // end of the promised day, Unix ms; 0 = none
	timers  [timerKinds]*messages.Task

	forked bool   // this state is a fork: it keeps no timeline
	spare  *State // the last fork, whose slices are used again
	arena  []claim
}

// lineState is what a line knows itself; its other units are in claims or open.
type lineState struct {
	cancelled   int64
	backordered int64
}

// fulfillment is the order's side of one fulfillment order.
type fulfillment struct {
	id       string // "<order id>.<number>"
	number   uint32
	site     string
	manual   bool
	claims   []claim // by line, ascending, one per line
	status   messages.FulfillmentStatus
	request  messages.RequestStatus // the handshake without a cancellation, which the flags below tell
	asked    bool                   // the site may know of it
	released bool                   // it was asked as released work
	dropped  bool                   // the order wants it back; the site's answer is awaited when it was asked
	refused  bool                   // the site would not give it back
	swept    bool                   // a sweep made it
	reason   string                 // of the site's rejection
	note     string
	why      string // it was dropped
	workDate string
	created  int64
	plan     uint32
	distance int64
	partial  []uint64 // sequences of the partial rejections that were counted
	shipped  []*messages.Shipment

	task   *messages.Task // cache of the task to the site
	verb   byte
	shared bool // claims belong to the state this one was forked from
}

// stage is where a claim stands with its bucket. The numbers are written to checkpoints.
type stage uint8

const (
	claimAsked     stage = 1 // ReserveStock is owed
	claimReserved  stage = 2 // the bucket holds it: until expires, or firmly when that is 0
	claimAllocated stage = 3 // firm, and the site has accepted
	claimShipped   stage = 4 // the bucket has booked the units out
	claimDeclined  stage = 5 // the bucket said no: nothing to free
	claimFreeing   stage = 6 // CancelReservation is owed; the units are on their way back
	claimFreed     stage = 7 // the bucket has them back
	claimLost      stage = 8 // the bucket can no longer serve it; the site was asked to give the FO back
	claimKept      stage = 9 // KeepClaim is owed: the goods are in the site's hands
	stageMax             = 9
)

// claim is one reservation: units of one line at the FO's site.
type claim struct {
	line       uint32
	extensions uint32
	quantity   int64 // as reserved
	rejected   int64 // of these, refused by the site while it goes on with the rest
	affected   int64 // units the stock effect covers
	expires    int64
	task       *messages.Task // cache of the task to the bucket
	stage      stage
	verb       byte // of the cached task
	found      finding
}

// finding is what a site's rejection says of the stock, and when the site found that.
type finding struct {
	at     int64 // 0 = nobody knows
	effect uint8 // index into effects
}

// live is how many units the FO still means to deliver by this claim.
func (c *claim) live() int64 {
	switch c.stage {
	case claimDeclined, claimFreeing, claimFreed:
		return 0
	}
	return c.quantity - c.rejected
}

// away is how many units are not open because of this claim: its live ones, or those on their way back from the bucket. A partial
// rejection's units leave the claim at once: the site has said that it will never ship them.
func (c *claim) away() int64 {
	switch c.stage {
	case claimDeclined, claimFreed:
		return 0
	}
	return c.quantity - c.rejected
}

// New is an order that has not been placed.
func New(id string) *State {
	return &State{id: id, derived: derived{self: messages.OrderRef(id)}}
}

// Channel is the order's channel; empty before placement.
func Channel(s *State) string { return s.order.GetChannel() }

// Lines are the lines as they were placed; nil before. They are shared: do not change them.
func Lines(s *State) []*messages.OrderLine { return s.order.GetLines() }

// terminal says that the order's life is over.
func (s *State) terminal() bool { return s.life == lifeCompleted || s.life == lifeCancelled }

// fulfillment finds an FO by number; nil when there is none.
func (s *State) fulfillment(number uint32) *fulfillment {
	if number == 0 || int64(number) > int64(len(s.fulfillments)) {
		return nil
	}
	return &s.fulfillments[number-1]
}

// find gives the index of a line's claim, or −1.
func (f *fulfillment) find(line uint32) int {
	low, high := 0, len(f.claims)
	for low < high {
		mid := int(uint(low+high) >> 1)
		if f.claims[mid].line < line {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low < len(f.claims) && f.claims[low].line == line {
		return low
	}
	return -1
}

// over says that nobody works on the FO any more and nobody will.
func (f *fulfillment) over() bool {
	switch f.status {
	case messages.FulfillmentStatus_FULFILLMENT_STATUS_CANCELLED, messages.FulfillmentStatus_FULFILLMENT_STATUS_REJECTED,
		messages.FulfillmentStatus_FULFILLMENT_STATUS_TIMED_OUT:
		return true
	}
	return false
}

// recalled says that the site has been asked to give it back and has not answered.
func (f *fulfillment) recalled() bool { return f.dropped && f.asked && !f.over() }

func (f *fulfillment) accepted() bool {
	return f.request == messages.RequestStatus_REQUEST_STATUS_ACCEPTED
}

// taken says that the goods are in the site's hands: picked or later, or the site said so by refusing to give them back.
func (f *fulfillment) taken() bool { return f.refused || rank(f.status) >= rankPicked }

// rank orders the statuses of work that goes on; a later one is never followed by an earlier one.
func rank(status messages.FulfillmentStatus) int {
	switch status {
	case messages.FulfillmentStatus_FULFILLMENT_STATUS_SCHEDULED:
		return 1
	case messages.FulfillmentStatus_FULFILLMENT_STATUS_OPEN, messages.FulfillmentStatus_FULFILLMENT_STATUS_ON_HOLD:
		return 2
	case messages.FulfillmentStatus_FULFILLMENT_STATUS_PICKING:
		return rankPicking
	case messages.FulfillmentStatus_FULFILLMENT_STATUS_PICKED:
		return rankPicked
	case messages.FulfillmentStatus_FULFILLMENT_STATUS_PACKED:
		return rankPacked
	case messages.FulfillmentStatus_FULFILLMENT_STATUS_SHIPPED:
		return rankShipped
	case messages.FulfillmentStatus_FULFILLMENT_STATUS_DELIVERED:
		return rankDelivered
	}
	return 0
}

const (
	rankOpen      = 2
	rankPicking   = 3
	rankPicked    = 4
	rankPacked    = 5
	rankShipped   = 6
	rankDelivered = 7
)

// setOrder takes the content and computes what follows from it alone.
func (s *State) setOrder(o *messages.Order) {
	s.order = o
	s.units = 0
	for _, line := range o.GetLines() {
		s.units += line.GetQuantity()
	}
	s.total, _ = orderTotal(o)
	s.promise = 0
	if day, err := time.Parse(time.DateOnly, o.GetDeliverBy()); err == nil {
		s.promise = day.UnixMilli() + dayMs - 1
	}
}

// orderTotal is what the customer owes: lines + shipping + tax − discount. ok is false when it does not fit.
func orderTotal(o *messages.Order) (total int64, ok bool) {
	sum := uint64(0)
	for _, line := range o.GetLines() {
		if line.GetQuantity() < 0 || line.GetUnitPrice() < 0 {
			return 0, false
		}
		high, low := bits.Mul64(uint64(line.GetQuantity()), uint64(line.GetUnitPrice()))
		if high != 0 || low > totalMax || sum+low > totalMax {
			return 0, false
		}
		sum += low
	}
	for _, part := range [...]int64{o.GetShippingAmount(), o.GetTax()} {
		if part < 0 || uint64(part) > totalMax || sum+uint64(part) > totalMax {
			return 0, false
		}
		sum += uint64(part)
	}
	if o.GetDiscount() < 0 || uint64(o.GetDiscount()) > sum {
		return 0, false
	}
	return int64(sum) - o.GetDiscount(), true
}

// fork gives a copy to decide on. Claims are copied when they are first written; the copy's slices are used again by the next fork.
func (s *State) fork() *State {
	w := s.spare
	if w == nil {
		w = new(State)
	}
	fulfillments, lines, arena := w.fulfillments[:0], w.lines[:0], w.arena[:0]
	*w = *s
	w.spare, w.forked, w.arena = nil, true, arena
	w.fulfillments = append(fulfillments, s.fulfillments...)
	w.lines = append(lines, s.lines...)
	for i := range w.fulfillments {
		w.fulfillments[i].shared = true
	}
	w.holds, w.exceptions = w.holds[:len(w.holds):len(w.holds)], w.exceptions[:len(w.exceptions):len(w.exceptions)]
	w.exclusions, w.known = w.exclusions[:len(w.exclusions):len(w.exclusions)], w.known[:len(w.known):len(w.known)]
	s.spare = w
	return w
}

// own makes the claims of f writable.
func (s *State) own(f *fulfillment) {
	if !f.shared {
		return
	}
	from := len(s.arena)
	s.arena = append(s.arena, f.claims...)
	f.claims = s.arena[from:len(s.arena):len(s.arena)]
	f.shared = false
}

// fulfillmentID is the FO's name everywhere: "<order id>.<number>".
func fulfillmentID(order string, number uint32) string {
	return order + "." + strconv.FormatUint(uint64(number), 10)
}
