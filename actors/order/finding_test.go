package order

import (
	"testing"

	"orderyard/actors/inventory"
	"orderyard/messages"
)

// TestOldFindingLoses proves that what a site found before a count does not undo that count, however late the order hears and tells of it,
// and that a finding nobody knows the time of, or one younger than the count, takes the stock away: a real bucket is counted, and
// told by the order of an empty shelf found before, at an unknown time, and after.
func TestOldFindingLoses(t *testing.T) {
	for _, c := range []struct {
		name   string
		found  int64 // after the count; 0 = unknown
		partly bool  // the site goes on with the other unit
		want   int64
	}{
		{"before", -60_000, false, 100}, {"unknown", 0, false, 0}, {"after", 30_000, false, 0},
		{"partly, before", -60_000, true, 99}, {"partly, unknown", 0, true, 0}, {"partly, after", 30_000, true, 0},
	} {
		y := newYard(t)
		y.rest()
		y.now += 120_000
		y.count("DEN", 100)
		notice := &messages.FulfillmentChanged{
			FulfillmentId: "web-1.1", Status: statusRejected, RequestStatus: requestRejected, Reason: "not_in_stock", Sequence: 1,
		}
		if c.found != 0 {
			notice.RejectedAtMs = y.now + c.found
		}
		y.now += 60_000
		if c.partly {
			notice.Status, notice.RequestStatus = status("picking"), requestAccepted
			notice.Lines = []*messages.FulfillmentLine{{Line: 0, Quantity: 1}}
		}
		y.step(notice)
		if c.partly { // the effect waits until the rest has left
			y.step(&messages.FulfillmentChanged{FulfillmentId: "web-1.1", Status: status("shipped"), RequestStatus: requestAccepted, Sequence: 2})
		}
		y.restart() // the time is part of the order's state
		y.local(y.route)
		y.rest()
		if got := inventory.View(y.buckets["A@DEN"]); got.OnHand != c.want || got.Allocated != 0 {
			t.Errorf("%s: %d are on hand and %d allocated, want %d and none", c.name, got.OnHand, got.Allocated, c.want)
		}
	}
}

// TestMismatchIsCountedOnce proves that units a site could not find leave the books once, also when somebody counts the shelf after the site has said
// so and before the order has heard it: a real bucket of 5 loses the 2 of an order that hears of it half a minute late, then the count arrives.
func TestMismatchIsCountedOnce(t *testing.T) {
	for _, c := range []struct {
		name    string
		counted int64 // after the site has found it
		onHand  int64
		want    int64
	}{{"counted between", 20_000, 3, 3}, {"counted before", -20_000, 5, 3}, {"counted after", 45_000, 3, 3}} {
		y := newYard(t)
		y.rest()
		y.now += 120_000
		found := y.now
		y.now += 30_000
		y.step(&messages.FulfillmentChanged{
			FulfillmentId: "web-1.1", Status: statusRejected, RequestStatus: requestRejected, Reason: "mismatch", Sequence: 1, RejectedAtMs: found,
		})
		y.local(y.route)
		y.rest()
		y.now += 30_000
		y.bucket("A@DEN", &messages.SetStock{OnHand: c.onHand, AsOfMs: found + c.counted})
		if got := inventory.View(y.buckets["A@DEN"]); got.OnHand != c.want {
			t.Errorf("%s: %d are on hand, want %d", c.name, got.OnHand, c.want)
		}
	}
}
