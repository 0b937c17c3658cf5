package site

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"orderyard/messages"
)

// Proves that work which lies packed is what it was, whatever happens to it: a site that has packed all but its newest work, and one that was read back
// from bytes at any moment between, decide, tell and write the same.
func TestPackedWork(t *testing.T) {
	doc := &messages.SiteDoc{Accept: acceptManual}
	one, other := applied(t, doc), applied(t, doc)
	rng := rand.New(rand.NewPCG(1, 2))
	ids := make([]string, 3*warmMax)
	for i := range ids {
		ids[i] = fmt.Sprintf("web-%d.1", i)
		for _, r := range []*runner{one, other} {
			r.do(&messages.RequestFulfillment{Fulfillment: work(ids[i]), Released: true}, someday)
		}
	}
	same := func(what string) {
		t.Helper()
		if a, b := one.site.MarshalState(), other.site.MarshalState(); !bytes.Equal(a, b) {
			t.Fatalf("%s: %d bytes and %d bytes", what, len(a), len(b))
		}
	}
	same("all asked for")
	for step := range 400 {
		now := someday + int64(step)
		id := ids[rng.IntN(len(ids))]
		var c messages.Command
		switch action := []string{"accept", "reject", "cancel", "pick", "ship", "restart"}[rng.IntN(6)]; action {
		case "accept", "pick":
			c = &messages.SiteAction{Action: action, FulfillmentId: id}
		case "reject":
			c = &messages.SiteAction{Action: action, FulfillmentId: id, Reason: "damaged"}
		case "ship":
			c = &messages.SiteAction{Action: action, FulfillmentId: id, Shipment: &messages.Shipment{Carrier: "ups", Tracking: "1Z" + id}}
		case "cancel":
			c = &messages.CancelFulfillment{FulfillmentId: id}
		default:
			other.restart(t)
			continue
		}
		events, reply, err := one.do(c, now)
		events2, reply2, err2 := other.do(c, now)
		if a, b := fmt.Sprint(events, reply, err), fmt.Sprint(events2, reply2, err2); a != b {
			t.Fatalf("%T about %s:\n%s, and\n%s", c, id, a, b)
		}
		same(fmt.Sprintf("step %d", step))
	}
	unpacked := 0
	for _, j := range one.site.work {
		if (j.order == nil) != (j.packed != nil) {
			t.Errorf("%s is packed and not packed", j.name)
		}
		if j.packed == nil {
			unpacked++
		}
	}
	if unpacked > warmMax || len(one.site.warm) > 2*warmMax+1 || one.site.byID.size <= 2*warmMax {
		t.Errorf("%d of %d unpacked, %d noted", unpacked, one.site.byID.size, len(one.site.warm))
	}
}

// Proves that a line named twice in a rejection is refused as such for work that lies packed, too: its lines are other objects each time they are read.
func TestPackedWorkRejectsALineOnce(t *testing.T) {
	r := applied(t, &messages.SiteDoc{Accept: acceptManual})
	r.do(&messages.RequestFulfillment{Fulfillment: work("web-1.1"), Released: true}, someday)
	r.restart(t)
	line := r.site.work["web-1.1"].asked().Lines[0]
	twice := []*messages.FulfillmentLine{{LineId: line.LineId}, {LineId: line.LineId}}
	_, reply, err := r.do(&messages.SiteAction{Action: "reject", FulfillmentId: "web-1.1", Reason: "damaged", Lines: twice}, someday)
	if text := fmt.Sprint(reply, err); !strings.Contains(text, "is named twice") {
		t.Errorf("answered %s", text)
	}
}

// Proves that work whose bytes are damaged where nobody looks until it is asked for is refused when the site is read back, as all of it was before work lay
// packed.
func TestDamagedWorkIsRefused(t *testing.T) {
	r := applied(t, &messages.SiteDoc{})
	r.do(&messages.RequestFulfillment{Fulfillment: work("web-1.1"), Released: true}, someday)
	good := r.site.MarshalState()
	if _, err := UnmarshalState(good); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x07 // another wire type, where it is a tag
		var whole messages.SiteState
		if whole.UnmarshalVT(bad) != nil {
			if _, err := UnmarshalState(bad); err == nil {
				t.Errorf("byte %d: taken", i)
			}
		}
	}
}
