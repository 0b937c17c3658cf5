package inventory

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"orderyard/messages"
)

// cover is called before on hand and unsellable become what is given: it names the claims that can then no longer be served. They are
// named before the units go, so that I1 holds after each single event. Expired holds go first; nobody living should lose to them.
func (d *decision) cover(onHand, unsellable int64) {
	before := d.counts
	d.onHand, d.unsellable = onHand, unsellable
	if d.uncovered() > 0 {
		d.expireDue()
		if d.uncovered() > 0 {
			d.contest()
		}
	}
	d.onHand, d.unsellable = before.onHand, before.unsellable
}

// contest names victims for what is uncovered, at most StepMax; the timer goes on. A hold of a cart has no order that could answer:
// it is released at once. A claim of an order stays counted until the order has answered, because its units may be picked already.
func (d *decision) contest() {
	victims := d.victims()
	event := &messages.StockOvercommitted{Short: d.short(), Victims: make([]string, len(victims))}
	d.add(event)
	for i, r := range victims {
		event.Victims[i] = r.id
		if r.orderID != "" {
			d.contested += r.remaining()
			continue
		}
		d.add(&messages.ReservationReleased{ReservationId: r.id})
		d.drop(r)
	}
}

// victims chooses the claims that lose: lowest priority, then latest promise, then newest, until the shortfall is covered.
func (d *decision) victims() []*reservation {
	need := d.uncovered()
	most := int(min(need, StepMax)) // every claim covers one unit at least
	// The heap holds the best victims so far, the worst of them on top.
	best := minHeap[*reservation]{less: func(a, b *reservation) bool { return compareVictims(a, b) > 0 }}
	for r := d.s.live.head; r != nil; r = r.next {
		if r.contested || r == d.leaving || r.lapsed(d.now) {
			continue
		}
		if len(best.items) < most {
			best.push(r)
		} else if compareVictims(r, best.items[0]) < 0 {
			best.replaceTop(r)
		}
	}
	slices.SortFunc(best.items, compareVictims)
	for i, r := range best.items {
		if need -= r.remaining(); need <= 0 {
			return best.items[:i+1]
		}
	}
	return best.items
}

// compareVictims puts the claim that loses first in front. A claim without a promise has promised nothing: it counts as the latest.
func compareVictims(a, b *reservation) int {
	if c := cmp.Compare(a.priority, b.priority); c != 0 {
		return c
	}
	if a.promise != b.promise {
		if a.promise == 0 || b.promise == 0 {
			return cmp.Compare(a.promise, b.promise)
		}
		return cmp.Compare(b.promise, a.promise)
	}
	return cmp.Compare(b.sequence, a.sequence)
}

// notice is one contest to be told to an order. The task is built when it is first asked for.
type notice struct {
	of      *reservation
	contest uint64
	task    messages.Task
	times   uint32 // it was put off
	until   int64  // it was last
}

// isOwed is false once the order has been told or the claim is no longer contested.
func (n *notice) isOwed() bool {
	return n.of != nil && n.of.contested && !n.of.told && n.of.contest == n.contest
}

// noticeID names the notice of the reservation's present contest. Each contest is an intention of its own: under the id of an
// earlier one the order would repeat its earlier answer and never hear of this one.
func noticeID(r *reservation) string {
	if r.contests <= 1 {
		return r.id + "/lost"
	}
	return r.id + "/lost/" + strconv.FormatUint(uint64(r.contests), 10)
}

// told takes the order's answer to a notice. The order itself follows with CancelReservation or KeepClaim. An order that does not
// exist never will: its claim is freed at once. One that fails on the notice, or is quarantined, has heard nothing.
func (s *State) told(c *messages.TaskResult) []messages.Event {
	i := strings.LastIndex(c.TaskId, "/lost")
	if i < 0 {
		return nil
	}
	r := s.reservations[c.TaskId[:i]]
	if r == nil || !r.contested || r.told || noticeID(r) != c.TaskId {
		return nil
	}
	switch c.GetReply().GetFailure().GetCode() {
	case messages.CodeInternal:
		return nil
	case messages.CodeNotFound:
		return []messages.Event{&messages.ReservationReleased{ReservationId: r.id}}
	}
	return []messages.Event{&messages.OvercommitTold{ReservationId: r.id}}
}
