package inventory

import (
	"orderyard/messages"
)

// State is one bucket. It belongs to one goroutine. Decide and Tasks only read it (Tasks keeps the task it built last).
type State struct {
	// Version is the number of events so far, as the entity core counts them; 0 when nobody counts. Decide compares it with the
	// bucket's own count: a difference means that an event was lost or applied twice (I9).
	Version uint64

	sku, site string
	ref       messages.Ref
	known     bool // counted or received at least once
	atOnce    int  // how many notices are told at a time: NoticesMax
	counts

	reservations map[string]*reservation
	live         reservationList // held and confirmed, in the order they were made
	ended        reservationList // released, expired, shipped, in the order they ended
	expiries     expiries

	incoming      []*messages.Incoming // messages are immutable: replaced, never changed
	countedAsOf   int64
	movements     []movement
	movementsFrom int64  // movements up to here have left the log
	movementsKept uint32 // how many it holds, when they are more than MovementsMax
	sequence      uint64 // events so far
	contest       uint64 // contests so far
	steppedAt     int64  // the last expiry or contest
	declared      int64  // shortfall announced by StockOvercommitted and not yet covered by named victims
	notices       []notice
	later         minHeap[notice] // those that were put off
	noticesOwed   int             // of both, those that are still true; the others wait to be dropped
	timer         messages.Task
	unchecked     *reservation  // the oldest live claim that is unchecked
	asked         *reservation  // the one that is asked about; nil = the oldest
	askFrom       int64         // not before
	question      messages.Task // to its order
}

// counts are the running sums of a bucket. Decide works on a copy: what they will be after the events it is about to give.
type counts struct {
	onHand, safetyStock, unsellable int64
	reserved, allocated             int64
	contested                       int64 // the part of reserved and allocated that has been declared lost
}

func (c *counts) claimed() int64 { return c.reserved + c.allocated }

// sellable units can serve a claim. Damaged units cannot, although they are on hand; there are never more of them than on hand.
func (c *counts) sellable() int64 { return c.onHand - c.unsellable }

// available is ATP before it is made presentable: negative when safety stock or claims outgrow the stock.
func (c *counts) available() int64 {
	return c.sellable() - c.claimed() - c.safetyStock
}

func (c *counts) atp() int64 { return max(0, c.available()) }

// short is how many claimed units cannot be served.
func (c *counts) short() int64 { return max(0, c.claimed()-c.sellable()) }

// uncovered is the part of the shortfall that no named victim answers for.
func (c *counts) uncovered() int64 { return max(0, c.short()-c.contested) }

// drop takes a live claim out of the sums.
func (c *counts) drop(r *reservation) {
	units := r.remaining()
	if r.status == held {
		c.reserved -= units
	} else {
		c.allocated -= units
	}
	if r.contested {
		c.contested -= units
	}
}

// status is the life of a reservation. The numbers are written to snapshots.
type status uint8

const (
	held      status = 1
	confirmed status = 2
	released  status = 3
	expired   status = 4
	shipped   status = 5
)

// String gives the public word. Shipping is no state of a reservation: its exit was the confirmation.
func (st status) String() string {
	switch st {
	case held:
		return "held"
	case confirmed, shipped:
		return "confirmed"
	case released:
		return "released"
	case expired:
		return "expired"
	}
	return ""
}

// reservation is a claim, or the memory of one. One of quantity 0 never was a claim: it was cancelled before it arrived.
type reservation struct {
	id, orderID string
	quantity    int64
	shipped     int64
	expiresAt   int64
	promise     int64
	madeAt      int64
	endedAt     int64
	sequence    uint64 // number of the event that made it
	contest     uint64 // place in the order of contests
	priority    int32
	contests    uint32 // how often it was contested
	status      status
	contested   bool
	told        bool // its order has taken the notice
	rejected    bool // its rejection has had its stock effect
	unchecked   bool // firm from the beginning, and its order has not said yet that it counts on it

	prev, next *reservation
}

// remaining is what the claim still holds.
func (r *reservation) remaining() int64 { return r.quantity - r.shipped }

func (r *reservation) isLive() bool { return r.status == held || r.status == confirmed }

// lapsed says that a hold has run out although the timer has not come by yet.
func (r *reservation) lapsed(now int64) bool { return r.status == held && r.expiresAt <= now }

// reservationList keeps reservations in order of arrival and lets any of them leave at once.
type reservationList struct {
	head, tail *reservation
	length     int
}

func (l *reservationList) add(r *reservation) {
	r.prev, r.next = l.tail, nil
	if l.tail == nil {
		l.head = r
	} else {
		l.tail.next = r
	}
	l.tail = r
	l.length++
}

func (l *reservationList) remove(r *reservation) {
	if r.prev == nil {
		l.head = r.next
	} else {
		r.prev.next = r.next
	}
	if r.next == nil {
		l.tail = r.prev
	} else {
		r.next.prev = r.prev
	}
	r.prev, r.next = nil, nil
	l.length--
}

// movement is a change of what is physically there.
type movement struct{ at, delta int64 }

// New makes a bucket that nothing has happened to yet.
func New(sku, site string) *State {
	return &State{
		sku: sku, site: site, ref: messages.BucketRef(sku, site), atOnce: NoticesMax,
		reservations: make(map[string]*reservation),
		expiries:     newExpiries(),
		later:        newLater(),
	}
}

// LimitNotices sets how many notices are told at a time, which is no part of the state. The simulation does, to meet the limit.
func (s *State) LimitNotices(n int) { s.atOnce = n }

// Known says whether the bucket was ever counted or received.
func (s *State) Known() bool { return s.known }

// ATP is what can be promised now, never negative. Holds that ran out count until the timer has swept them.
func ATP(s *State) int64 { return s.atp() }

// View is the public shape of the bucket.
func View(s *State) *messages.BucketView {
	return s.view(&s.counts, s.incoming, s.sequence)
}

func (s *State) view(c *counts, incoming []*messages.Incoming, version uint64) *messages.BucketView {
	return &messages.BucketView{
		Sku: s.sku, Site: s.site, OnHand: c.onHand, Reserved: c.reserved, Allocated: c.allocated, SafetyStock: c.safetyStock,
		Unsellable: c.unsellable, Incoming: incoming, Atp: c.atp(), Version: version, Overcommitted: c.short(),
	}
}
