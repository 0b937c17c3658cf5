package egress

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"orderyard/messages"
)

// everyEvent has one of each public event, with text in every place.
func everyEvent(text string) []messages.Event {
	fo := &messages.FulfillmentOrder{
		Id: "web-1.1", Channel: text, Service: text, DeliverBy: text, WorkDate: text, Priority: 3,
		ShipTo: &messages.Address{Name: text, Line1: text, Country: text, PostalCode: text, HasPosition: true, Lat: 39.75, Lon: -1e-7},
		Lines:  []*messages.FulfillmentLine{{LineId: text, Sku: text, Quantity: 1}},
	}
	shipment := &messages.Shipment{Id: text, Carrier: text, Tracking: text, ShippedAtMs: 1000}
	shipped, delivered := messages.FulfillmentStatus_FULFILLMENT_STATUS_SHIPPED, messages.FulfillmentStatus_FULFILLMENT_STATUS_DELIVERED
	return []messages.Event{
		&messages.OrderPlaced{Order: &messages.Order{ExternalId: text, Currency: text, Lines: []*messages.OrderLine{{Id: text, Sku: text, Quantity: 1}}}},
		&messages.PlanAdopted{FirstFulfillment: 1, Plan: &messages.Plan{
			PlanNo: 1, Cause: text, Short: []*messages.LineQuantity{{Line: 1, Quantity: 2}},
			Assignments: []*messages.Assignment{{Site: text, Lines: []*messages.LineQuantity{{Quantity: 1}}}},
		}},
		&messages.OrderAllocated{}, &messages.OrderFulfillmentReleased{Fulfillment: 1},
		&messages.OrderFulfillmentMoved{Fulfillment: 1, Status: shipped, Shipment: shipment},
		&messages.OrderFulfillmentMoved{Fulfillment: 1, Status: delivered}, &messages.OrderCancelled{Reason: text},
		&messages.HoldPlaced{Reason: text, Note: text, Actor: text, UntilMs: 1000}, &messages.ExceptionOpened{Kind: text, Detail: text, Owner: text},
		&messages.OrderCompleted{},
		&messages.FulfillmentRequested{Fulfillment: fo, DeadlineMs: 1000}, &messages.FulfillmentAccepted{Fulfillment: fo},
		&messages.FulfillmentOpened{FulfillmentId: "web-1.1"}, &messages.FulfillmentOpened{FulfillmentId: "web-1.2", Fulfillment: fo},
		&messages.FulfillmentRejected{FulfillmentId: "web-1.1", Reason: text, Note: text, Lines: fo.Lines, RetryAfterMs: 5},
		&messages.FulfillmentTimedOut{FulfillmentId: "web-1.1"},
		&messages.FulfillmentMoved{FulfillmentId: "web-1.1", Status: shipped, Shipment: shipment},
		&messages.FulfillmentCancelled{FulfillmentId: "web-1.1", Reason: text},
		&messages.StockReserved{ReservationId: text, Quantity: 1}, &messages.StockOvercommitted{Short: 2, Victims: []string{text, "b"}},
	}
}

func tellAll(t *testing.T, entries ...*messages.Entry) []string {
	t.Helper()
	var lines []string
	tr := newTranslator(slog.New(slog.DiscardHandler), newMetrics(nil, &Egress{}))
	err := tr.commit(&messages.Commit{Entries: entries}, func(ev *outgoing) error {
		lines = append(lines, fmt.Sprintf("%s %s %s %s", messages.EventSubject(ev.family, ev.event, ev.key), ev.id, ev.about, ev.data))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d events:\n%s\nwant %d", len(got), strings.Join(got, "\n"), len(want))
		return
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("event %d\n%s, want\n%s", i, got[i], want[i])
		}
	}
}

// TestOrderEvents proves the public words for an order's journal events: what is private stays private, picking is no news to a
// channel, a plan that found nothing is none, and a later plan with a cause is a re-route.
func TestOrderEvents(t *testing.T) {
	picked := messages.FulfillmentStatus_FULFILLMENT_STATUS_PICKED
	assigned := []*messages.Assignment{{Site: "den", DistanceM: 5, Lines: []*messages.LineQuantity{{Line: 0, Quantity: 2}}}}
	got := tellAll(t, entry(messages.OrderRef("web-1"), 0,
		&messages.OrderPlaced{Order: &messages.Order{
			Channel: "web", ExternalId: "1", Currency: "USD", PlacedAtMs: 1_795_338_000_000, CustomerEmail: "secret@example.com",
			ShipTo: &messages.Address{Name: "Secret", Country: "US", PostalCode: "80202"},
			Lines:  []*messages.OrderLine{{Id: "1", Sku: "A", Quantity: 2, UnitPrice: 5}},
		}},
		&messages.OrderOpened{},
		&messages.PlanAdopted{FirstFulfillment: 1, Plan: &messages.Plan{PlanNo: 1, Cause: "placed", RulesVersion: "r1", Assignments: assigned}},
		&messages.LineReserved{Fulfillment: 1},
		&messages.PlanAdopted{FirstFulfillment: 2, Plan: &messages.Plan{PlanNo: 2, Cause: "rejected", Assignments: assigned}},
		&messages.PlanAdopted{Plan: &messages.Plan{PlanNo: 3, Cause: "timer"}},
		&messages.OrderFulfillmentMoved{Fulfillment: 2, Status: picked},
		&messages.OrderFulfillmentReleased{Fulfillment: 2},
	))
	head := func(version int) string {
		return fmt.Sprintf(`{"order_id":"web-1","channel":"web","version":%d`, version)
	}
	wantLines(t, got,
		`oy.v1.evt.order.placed.web order/web-1/1 web-1 `+head(1)+`,"external_id":"1","placed_at":"2026-11-22T09:00:00Z","currency":"USD",`+
			`"ship_to":{"country":"US","postal_code":"80202"},"lines":[{"id":"1","sku":"A","quantity":2,"unit_price":5}]}`,
		`oy.v1.evt.order.planned.web order/web-1/3 web-1 `+head(3)+`,"plan_no":1,"cause":"placed","rules_version":"r1",`+
			`"assignments":[{"fulfillment_id":"web-1.1","site":"den","distance_m":5,"lines":[{"line":0,"quantity":2}]}]}`,
		`oy.v1.evt.order.rerouted.web order/web-1/5 web-1 `+head(5)+`,"plan_no":2,"cause":"rejected","rules_version":"",`+
			`"assignments":[{"fulfillment_id":"web-1.2","site":"den","distance_m":5,"lines":[{"line":0,"quantity":2}]}]}`,
		`oy.v1.evt.order.released.web order/web-1/8 web-1 `+head(8)+`,"fulfillment_id":"web-1.2"}`,
	)
}

// TestFulfillmentEvents proves that a site can work from the requested event alone: it carries lines and address, also when the
// journal's opening holds only the id and the acceptance stands in the same entry.
func TestFulfillmentEvents(t *testing.T) {
	fo := &messages.FulfillmentOrder{
		Id: "web-1.1", Channel: "web", ShipTo: &messages.Address{Name: "A. Buyer", Country: "US", PostalCode: "80202"},
		Lines: []*messages.FulfillmentLine{{LineId: "1", Sku: "A", Quantity: 2}},
	}
	work := `,"channel":"web","ship_to":{"country":"US","postal_code":"80202","name":"A. Buyer"},"lines":[{"line_id":"1","sku":"A","quantity":2}]`
	open := `,"status":"open","request_status":"accepted"`
	head := func(version int) string {
		return fmt.Sprintf(`{"fulfillment_id":"web-1.1","order_id":"web-1","site":"den","version":%d`, version)
	}
	wantLines(t, tellAll(t,
		entry(messages.SiteRef("den"), 4, &messages.FulfillmentAccepted{Fulfillment: fo}, &messages.FulfillmentOpened{FulfillmentId: "web-1.1"}),
		entry(messages.SiteRef("den"), 6, &messages.FulfillmentOpened{FulfillmentId: "web-1.1", Fulfillment: fo},
			&messages.FulfillmentMoved{FulfillmentId: "web-1.1", Status: messages.FulfillmentStatus_FULFILLMENT_STATUS_PICKING},
			&messages.FulfillmentMoved{FulfillmentId: "web-1.1", Status: messages.FulfillmentStatus_FULFILLMENT_STATUS_PACKED},
			&messages.FulfillmentTimedOut{FulfillmentId: "web-1.1"}),
	),
		`oy.v1.evt.fulfillment.accepted.den site/den/5 web-1.1 `+head(5)+work+`}`,
		`oy.v1.evt.fulfillment.requested.den site/den/6 web-1.1 `+head(6)+open+work+`}`,
		`oy.v1.evt.fulfillment.requested.den site/den/7 web-1.1 `+head(7)+open+work+`}`,
		`oy.v1.evt.fulfillment.packed.den site/den/9 web-1.1 `+head(9)+`}`,
		`oy.v1.evt.fulfillment.rejected.den site/den/10 web-1.1 `+head(10)+`,"reason":"timed_out"}`,
	)
}

// TestStockEvents proves that a commit's many changes of one bucket are one event with the last ATP, that the last unit's going is
// told once more, that an unknown ATP is left out, and that an over-commitment comes behind what
// led to it.
func TestStockEvents(t *testing.T) {
	reserve := func(sku string, version uint64, atp int64) *messages.Entry {
		e := entry(messages.BucketRef(sku, "den"), version, &messages.StockReserved{Quantity: 1})
		e.Reply, _ = (&messages.Reply{Body: &messages.Reply_Stock{Stock: &messages.StockReply{Atp: atp}}}).MarshalVT()
		return e
	}
	wantLines(t, tellAll(t, reserve("A", 0, 2), reserve("B", 0, 5), reserve("A", 1, 1), reserve("A", 2, 0)),
		`oy.v1.evt.stock.changed.den bucket/A@den/3 A@den {"sku":"A","site":"den","version":3,"atp":0,"changes":3}`,
		`oy.v1.evt.stock.out.den bucket/A@den/3/out A@den {"sku":"A","site":"den","version":3}`,
		`oy.v1.evt.stock.changed.den bucket/B@den/1 B@den {"sku":"B","site":"den","version":1,"atp":5,"changes":1}`,
	)
	wantLines(t, tellAll(t, reserve("A", 0, 2), entry(messages.BucketRef("A", "den"), 1, &messages.ReservationExpired{ReservationId: "r"})),
		`oy.v1.evt.stock.changed.den bucket/A@den/2 A@den {"sku":"A","site":"den","version":2,"changes":2}`,
	)
	wantLines(t, tellAll(t, entry(messages.BucketRef("ü 1", "den"), 0, &messages.StockCounted{}, &messages.StockOvercommitted{Short: 3, Victims: []string{"x"}})),
		`oy.v1.evt.stock.changed.den bucket/%C3%BC%201@den/1 %C3%BC%201@den {"sku":"ü 1","site":"den","version":1,"atp":0,"changes":1}`,
		`oy.v1.evt.stock.out.den bucket/%C3%BC%201@den/1/out %C3%BC%201@den {"sku":"ü 1","site":"den","version":1}`,
		`oy.v1.evt.stock.overcommitted.den bucket/%C3%BC%201@den/2 %C3%BC%201@den {"sku":"ü 1","site":"den","version":2,"short":3,"reservations":["x"]}`,
	)
}

// FuzzTranslate looks for journal bytes that make the translator panic or write a payload that is not JSON.
func FuzzTranslate(f *testing.F) {
	for _, e := range everyEvent("x\"") {
		b, err := e.MarshalVT()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(messages.EventType(e), "web-1", b)
	}
	f.Fuzz(func(t *testing.T, number uint32, id string, data []byte) {
		tr := newTranslator(slog.New(slog.DiscardHandler), newMetrics(nil, &Egress{}))
		for _, kind := range []messages.Kind{messages.KindOrder, messages.KindBucket, messages.KindSite} {
			record := &messages.EventRecord{Type: number, Data: data}
			e := &messages.Entry{Kind: uint32(kind), Id: id, Events: []*messages.EventRecord{record, record}, Reply: data}
			if err := tr.commit(&messages.Commit{Entries: []*messages.Entry{e}}, func(ev *outgoing) error {
				if !json.Valid(bytes.Clone(ev.data)) {
					t.Errorf("%s.%s: %q", ev.family, ev.event, ev.data)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
	})
}
