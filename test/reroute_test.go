package test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

// TestRerouteByMessage proves that a site's "no" moves the order on: for each reason the stock effect is booked and the next plan
// leaves the site out; when all refuse, a named exception or the wait for stock follows; and no site ever takes more than it said. Both engines
// keep to it: the built-in rules, and operators' rules.
func TestRerouteByMessage(t *testing.T) {
	t.Run("built-in rules", func(t *testing.T) { rerouteByMessage(t) })
	t.Run("operators' rules", func(t *testing.T) {
		file, err := filepath.Abs("../configs/routing/default.yaml")
		if err != nil {
			t.Fatal(err)
		}
		rerouteByMessage(t, "ORDERYARD_ROUTING_RULES="+file)
	})
}

func rerouteByMessage(t *testing.T, env ...string) {
	t.Parallel()
	h := open(t, t.TempDir(), env...)
	nc := h.connect()
	for i := range places {
		applySite(t, nc, site(i, manual))
	}
	for _, c := range []struct {
		reason string
		effect func(den wire.Bucket) bool // of two units of ten
	}{
		{"not_in_stock", func(b wire.Bucket) bool { return b.OnHand == 0 && b.Unsellable == 0 && b.ATP == 0 }},
		{"mismatch", func(b wire.Bucket) bool { return b.OnHand == 8 && b.Unsellable == 0 && b.ATP == 8 }},
		{"damaged", func(b wire.Bucket) bool { return b.OnHand == 10 && b.Unsellable == 2 && b.ATP == 8 }},
		{"capacity", untouched}, {"closed", untouched}, {"carrier", untouched}, {"other", untouched},
	} {
		t.Run(c.reason, func(t *testing.T) { rejectOnce(t, nc, c.reason, c.effect) })
	}
	t.Run("all refuse", func(t *testing.T) { allRefuse(t, nc) })
	t.Run("nobody else has it", func(t *testing.T) { nobodyElse(t, nc) })
	rest(t, nc, answerIn)
	h.verify()
}

func untouched(b wire.Bucket) bool { return b.OnHand == 10 && b.Unsellable == 0 && b.ATP == 10 }

// tell is a site's word about a fulfillment order.
func tell(t testing.TB, nc *nats.Conn, verb, site string, r wire.FulfillmentRequest) wire.FulfillmentAnswer {
	t.Helper()
	return must[wire.FulfillmentAnswer](t, nc, messages.FulfillmentSubject(verb, site), r)
}

// submitted waits until the order's newest fulfillment order, number n, lies before a site's people.
func submitted(t testing.TB, nc *nats.Conn, id string, n int) wire.Fulfillment {
	t.Helper()
	var fo wire.Fulfillment
	eventually(t, answerIn, func() string {
		view := orderOf(t, nc, id)
		if len(view.Fulfillments) < n {
			return fmt.Sprintf("order %s has %d fulfillment orders, want %d: %+v", id, len(view.Fulfillments), n, view)
		}
		if fo = view.Fulfillments[n-1]; fo.RequestStatus != "submitted" {
			return fmt.Sprintf("%s is %s/%s", fo.ID, fo.Status, fo.RequestStatus)
		}
		return ""
	})
	return fo
}

func rejectOnce(t *testing.T, nc *nats.Conn, reason string, effect func(wire.Bucket) bool) {
	sku := "R-" + reason
	for i := range 3 {
		setStock(t, nc, sku, places[i].id, 10)
	}
	id := place(t, nc, order("reject-"+reason, 2, sku))
	fo := submitted(t, nc, id, 1)
	if fo.Site != "den" {
		t.Fatalf("the first plan is %s, want the nearest", fo.Site)
	}
	refuse := func(fo wire.Fulfillment) {
		tell(t, nc, "reject", fo.Site, wire.FulfillmentRequest{FulfillmentID: fo.ID, Reason: reason, Note: "a test says no"})
	}
	refuse(fo)
	n := 2
	next := submitted(t, nc, id, n)
	if reason == "carrier" && next.Site == "den" { // another service of the same site may be tried once
		refuse(next)
		n++
		next = submitted(t, nc, id, n)
	}
	if next.Site == "den" {
		t.Fatalf("re-routed to the site that rejected")
	}
	view := orderOf(t, nc, id)
	excluded := slices.ContainsFunc(view.Exclusions, func(x wire.Exclusion) bool { return x.Site == "den" && x.Reason == reason })
	if view.Fulfillments[0].Status != "rejected" || view.Fulfillments[0].Reason != reason || !excluded || view.Decisions[0].Cause != "rejected" {
		t.Errorf("after the rejection: %+v", view)
	}
	eventually(t, answerIn, func() string {
		if b := bucket(t, nc, sku, "den"); b.Reserved != 0 || b.Allocated != 0 || !effect(b) {
			return fmt.Sprintf("stock of the site that rejected: %+v", b)
		}
		return ""
	})
	must[wire.SiteAnswer](t, nc, messages.SiteSubject("resume"), wire.ResumeSiteRequest{ID: "den"}) // capacity and closed pause it
	for _, verb := range []string{"accept", "pick", "pack", "ship", "deliver"} {
		tell(t, nc, verb, next.Site, wire.FulfillmentRequest{FulfillmentID: next.ID})
	}
	reaches(t, nc, id, "completed")
	if b := bucket(t, nc, sku, next.Site); b.OnHand != 8 || b.Allocated != 0 || b.Reserved != 0 {
		t.Errorf("after delivery: %+v", b)
	}
}

// allRefuse: five sites have it, all five say no. The order stops with the exception that names the brake, and holds no stock.
func allRefuse(t *testing.T, nc *nats.Conn) {
	for _, p := range places {
		setStock(t, nc, "UNLOVED", p.id, 10)
	}
	id := place(t, nc, order("unloved", 1, "UNLOVED"))
	var asked []string
	for n := range places {
		fo := submitted(t, nc, id, n+1)
		if slices.Contains(asked, fo.Site) {
			t.Fatalf("site %s is asked twice", fo.Site)
		}
		asked = append(asked, fo.Site)
		tell(t, nc, "reject", fo.Site, wire.FulfillmentRequest{FulfillmentID: fo.ID, Reason: "other", Note: "no"})
	}
	view := reaches(t, nc, id, "exception")
	if e := view.Exceptions[0]; e.Kind != "unroutable" || e.Owner != "routing_desk" || !strings.Contains(e.Detail, "rejections_max") {
		t.Errorf("exception %+v", e)
	}
	for _, p := range places {
		if b := bucket(t, nc, "UNLOVED", p.id); b.Reserved+b.Allocated != 0 || b.ATP != 10 {
			t.Errorf("%+v, want all free", b)
		}
	}
}

// nobodyElse: the only site that has it says no. No candidate is no attempt: the units wait, as the order's policy says.
func nobodyElse(t *testing.T, nc *nats.Conn) {
	setStock(t, nc, "LONELY", "den", 10)
	id := place(t, nc, order("lonely", 1, "LONELY"))
	fo := submitted(t, nc, id, 1)
	tell(t, nc, "reject", fo.Site, wire.FulfillmentRequest{FulfillmentID: fo.ID, Reason: "damaged"})
	reaches(t, nc, id, "backordered")
}

// TestCapacityHolds proves that a site never takes more than it said, with hundreds of orders at once, before and after kill -9: one
// site is bounded by open work, one by the hour, the third takes what they refuse.
func TestCapacityHolds(t *testing.T) {
	t.Parallel()
	const most, orders = 40, 300
	h := open(t, t.TempDir())
	nc := h.connect()
	applySite(t, nc, site(0, func(s *wire.Site) { s.Capacity = &wire.SiteCapacity{OpenMax: most} }))
	applySite(t, nc, site(1, func(s *wire.Site) { s.Capacity = &wire.SiteCapacity{PerHour: most} }))
	applySite(t, nc, site(2, nil))
	for i := range 3 {
		setStock(t, nc, "BULKY", places[i].id, 10_000)
	}
	began := time.Now().Truncate(time.Hour)
	for life := range 2 {
		crowdOf(t, h, orders, fmt.Sprintf("life-%d", life), "BULKY")
		rest(t, nc, answerIn)
		den, dal := siteOf(t, nc, "den"), siteOf(t, nc, "dal")
		hours := int64(time.Since(began)/time.Hour) + 1 // two, when the hour turns meanwhile
		if den.Open != most || dal.AcceptedThisHour > most || dal.Open > most*hours {
			t.Errorf("life %d: den has %d open of %d, dal took %d this hour of %d and has %d open", life, den.Open, most, dal.AcceptedThisHour, most, dal.Open)
		}
		list := must[wire.FulfillmentListAnswer](t, nc, messages.FulfillmentSubject("list", "den"), wire.FulfillmentListRequest{Limit: 500})
		if len(list.Fulfillments) != most {
			t.Errorf("life %d: den lists %d fulfillment orders", life, len(list.Fulfillments))
		}
		released := 0
		for _, row := range rows(t, nc, wire.ListFilter{Status: "released"}) {
			released += int(row.Units)
		}
		t.Logf("life %d: den %d open, dal %d this hour, %d orders released", life, den.Open, dal.AcceptedThisHour, released)
		if released != orders*(life+1) {
			t.Errorf("life %d: %d orders released, want %d", life, released, orders*(life+1))
		}
		if life == 0 {
			h.kill()
			h = h.again()
			nc = h.connect()
		}
	}
	h.verify()
}

func siteOf(t testing.TB, nc *nats.Conn, id string) *wire.SiteView {
	t.Helper()
	return must[wire.SiteAnswer](t, nc, messages.SiteSubject("get"), wire.GetSiteRequest{ID: id}).SiteView
}

// crowdOf places n orders of one unit at once.
func crowdOf(t *testing.T, h *house, n int, name, sku string) {
	t.Helper()
	conns := connections(h, 4)
	var mu sync.Mutex
	var failed []string
	together(n, func(i int) {
		a, err := insist[wire.OrderReceipt](conns[i%len(conns)], messages.PlaceSubject("web"), order(fmt.Sprintf("%s-%d", name, i), 1, sku), "")
		if err != nil || a.failure != nil {
			mu.Lock()
			failed = append(failed, fmt.Sprint(err, a.failure))
			mu.Unlock()
		}
	})
	if len(failed) > 0 {
		t.Fatalf("%d orders were not taken: %s", len(failed), failed[0])
	}
}
