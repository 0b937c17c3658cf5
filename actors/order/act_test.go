package order

import (
	"testing"

	"orderyard/messages"
)

// TestJournalWithUnitsOpenedUnderAnException proves that an order of an older build is cancelled when its day has come: there stock woke it
// while a person was to decide, so its units are open, may not be planned and wait for nothing. The journal is written by hand.
func TestJournalWithUnitsOpenedUnderAnException(t *testing.T) {
	h := newHarness(t, "web-1")
	h.step(&messages.PlaceOrder{Order: testOrder("1", "A*2"), Fingerprint: 1})
	h.local(func(*messages.PlanRequest) *messages.Plan {
		return &messages.Plan{Actions: []*messages.PlanAction{{Do: actCare}, {Do: actCancelAfter, Days: 1}}}
	})
	reopened := &messages.UnitsReopened{Cause: causeArrived, Sku: "A"}
	b, err := reopened.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	h.log = append(h.log, entry{at: h.now, events: []*messages.EventRecord{{Type: messages.EventType(reopened), Data: b}}})
	h.restart()
	if tally := h.s.count(); tally.open != 2 || h.s.exception(exceptionUnroutable) < 0 {
		t.Fatalf("not the journal of the older build: %+v", tally)
	}
	h.now += dayMs
	h.local(nil)
	if h.s.life != lifeCancelled || h.s.cancelReason != cancelExpired {
		t.Errorf("order is %s (%s), want it cancelled: expired", h.s.life, h.s.cancelReason)
	}
}
