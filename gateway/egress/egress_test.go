package egress

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"orderyard/gateway/ingress"
	"orderyard/messages"
)

// entry makes an entry of the given events.
func entry(ref messages.Ref, version uint64, events ...messages.Event) *messages.Entry {
	e := &messages.Entry{Kind: uint32(ref.Kind), Id: ref.ID, Version: version, AtMs: 1_795_338_000_000}
	if ref.Kind == messages.KindOrder {
		e.Topic = "web"
	}
	for _, event := range events {
		b, err := event.MarshalVT()
		if err != nil {
			panic(err)
		}
		e.Events = append(e.Events, &messages.EventRecord{Type: messages.EventType(event), Data: b})
	}
	return e
}

func held(order string, version uint64) *messages.Entry {
	return entry(messages.OrderRef(order), version, &messages.HoldPlaced{Reason: "other"})
}

// TestPublishes proves that what the journal tells appears in the stream in its order, as a CloudEvent whose id is made of the
// entity and its version, and that the cursor follows.
func TestPublishes(t *testing.T) {
	y := newYard(t, 1)
	e, stop := y.run(Options{})
	defer stop()
	y.source.add(0, entry(messages.OrderRef("web-1"), 0, &messages.OrderPlaced{Order: &messages.Order{ExternalId: "1"}}, &messages.OrderOpened{}))
	y.source.add(0, entry(messages.OrderRef("web-1"), 2, &messages.OrderAllocated{}))
	y.source.add(0, entry(messages.OrderRef("web-1"), 3, &messages.LineReserved{})) // private
	eventually(t, "cursor", func() bool { return y.cursors.get("egress/0") == 3 && e.Floor(0) == 3 && e.Published(0) == 3 })
	got := y.events()
	if len(got) != 2 || got[0].subject != "oy.v1.evt.order.placed.web" || got[1].subject != "oy.v1.evt.order.allocated.web" {
		t.Fatalf("published %v", got)
	}
	for name, want := range map[string]string{
		"ce-id": "order/web-1/1", "ce-type": "orderyard.order.placed.v1", "ce-source": "/orderyard", "ce-specversion": "1.0",
		"ce-time": "2026-11-22T09:00:00Z", "ce-subject": "web-1", "content-type": "application/json",
	} {
		if v := got[0].header[name]; len(v) != 1 || v[0] != want {
			t.Errorf("header %s is %v, want %s", name, v, want)
		}
	}
}

// wantOrdered checks that each order's first sightings of versions ascend, that repeats carry equal payloads, and that none lacks.
func wantOrdered(t *testing.T, got []published, orders, versions int) {
	t.Helper()
	first := make(map[string]string)
	next := make(map[string]int)
	for _, p := range got {
		if before, repeated := first[p.id]; repeated {
			if before != string(p.data) {
				t.Errorf("%s has two payloads:\n%s\n%s", p.id, before, p.data)
			}
			continue
		}
		first[p.id] = string(p.data)
		var order string
		var version int
		if _, err := fmt.Sscanf(strings.ReplaceAll(p.id, "/", " "), "order %s %d", &order, &version); err != nil {
			t.Fatal(p.id, err)
		}
		if next[order]+1 != version {
			t.Fatalf("%s: version %d behind %d", order, version, next[order])
		}
		next[order] = version
	}
	if len(first) != orders*versions {
		t.Errorf("%d events, want %d", len(first), orders*versions)
	}
}

// fill adds versions rounds of one event for each of the orders, one commit per round and partition.
func (y *yard) fill(partition, orders, from, to int) {
	for v := from; v < to; v++ {
		var entries []*messages.Entry
		for i := range orders {
			entries = append(entries, held(fmt.Sprintf("web-%d-%d", partition, i), uint64(v)))
		}
		y.source.add(partition, entries...)
	}
}

// TestResumesFromCursor proves that a new process begins behind the saved cursor, and that without one everything is told again
// under the same ids.
func TestResumesFromCursor(t *testing.T) {
	y := newYard(t, 2)
	_, stop := y.run(Options{})
	y.fill(0, 5, 0, 10)
	y.fill(1, 5, 0, 10)
	eventually(t, "cursors", func() bool { return y.cursors.get("egress/0") == 10 && y.cursors.get("egress/1") == 10 })
	stop()
	y.fill(0, 5, 10, 20)
	y.fill(1, 5, 10, 20)
	e, stop := y.run(Options{})
	eventually(t, "the rest", func() bool { return e.Published(0) == 20 && e.Published(1) == 20 })
	stop()
	got := y.events()
	wantOrdered(t, got, 10, 20)
	if len(got) != 200 {
		t.Errorf("%d events in the stream, want 200 without a repeat", len(got))
	}
	y.cursors = &fakeCursors{saved: make(map[string]Cursor)}
	e, stop = y.run(Options{})
	eventually(t, "told again", func() bool { return e.Published(0) == 20 && e.Published(1) == 20 })
	stop()
	if got = y.events(); len(got) != 400 {
		t.Errorf("%d events in the stream after telling them again, want 400", len(got))
	}
	wantOrdered(t, got, 10, 20) // by their first sightings
}

// TestConnectionsEnd proves that connections cut at random moments lose nothing and mix up nothing: every order's events stand in order.
func TestConnectionsEnd(t *testing.T) {
	y := newYard(t, 3)
	e, stop := y.run(Options{Window: 64})
	defer stop()
	for round := range 8 {
		for p := range 3 {
			y.fill(p, 20, round*5, round*5+5)
		}
		time.Sleep(time.Duration(round*7) * time.Millisecond)
		y.cut()
	}
	eventually(t, "all published", func() bool { return e.Published(0) == 40 && e.Published(1) == 40 && e.Published(2) == 40 })
	wantOrdered(t, y.events(), 60, 40)
}

// TestRefusedEventsKeepTheOrder proves the hard case: when the stream refuses an event in the middle, nothing behind it is stored, however much of it was
// on its way; once the stream takes it everything comes, in the right order.
func TestRefusedEventsKeepTheOrder(t *testing.T) {
	y := newYard(t, 1)
	ctx := context.Background()
	s, err := y.js.Stream(ctx, messages.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxMsgSize = 600 // refuses the one large event
	if _, err := y.js.UpdateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	large := entry(messages.OrderRef("web-1"), 2, &messages.HoldPlaced{Reason: "other", Note: strings.Repeat("x", 1000)})
	y.source.add(0, held("web-1", 0), held("web-1", 1), large, held("web-1", 3), held("web-1", 4))
	e, stop := y.run(Options{})
	defer stop()
	eventually(t, "refused twice", func() bool { return y.dials() > 2 })
	if e.Published(0) != 0 {
		t.Fatal("the position moved past a refused event")
	}
	for _, p := range y.events() {
		if p.id != "order/web-1/1" && p.id != "order/web-1/2" {
			t.Fatalf("%s was stored behind the refused one", p.id)
		}
	}
	cfg.MaxMsgSize = -1
	if _, err := y.js.UpdateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	eventually(t, "published", func() bool { return e.Published(0) == 1 })
	wantOrdered(t, y.events(), 1, 5)
}

// TestFromAStreamOfBefore proves that a stream made by a version that published without batches is brought to take them, also where its operator
// decides about the rest.
func TestFromAStreamOfBefore(t *testing.T) {
	y := newYard(t, 1)
	ctx := context.Background()
	if err := y.js.DeleteStream(ctx, messages.StreamEvents); err != nil {
		t.Fatal(err)
	}
	old := jetstream.StreamConfig{Name: messages.StreamEvents, Subjects: []string{messages.SubjectEvents + ">", "operator.own"}, MaxBytes: 64 << 20, Duplicates: 30 * time.Second}
	if _, err := y.js.CreateStream(ctx, old); err != nil {
		t.Fatal(err)
	}
	e, stop := y.run(Options{})
	defer stop()
	y.fill(0, 2, 0, 3)
	if err := ingress.Setup(ctx, y.js, ingress.StreamOptions{KeepExisting: true}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "published", func() bool { return e.Published(0) == 3 })
	wantOrdered(t, y.events(), 2, 3)
	s, err := y.js.Stream(ctx, messages.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.CachedInfo().Config; got.MaxBytes != old.MaxBytes || !slices.Contains(got.Subjects, "operator.own") {
		t.Errorf("it is now %+v", got)
	}
}

// TestStreamMissing proves that the cursor stands still while nobody takes the events, and that all come when the stream does.
func TestStreamMissing(t *testing.T) {
	y := newYard(t, 1)
	if err := y.js.DeleteStream(context.Background(), messages.StreamEvents); err != nil {
		t.Fatal(err)
	}
	e, stop := y.run(Options{})
	defer stop()
	y.fill(0, 3, 0, 10)
	time.Sleep(200 * time.Millisecond)
	if e.Published(0) != 0 || y.cursors.get("egress/0") != 0 {
		t.Fatalf("position %d, cursor %d without a stream", e.Published(0), y.cursors.get("egress/0"))
	}
	y.setup()
	eventually(t, "published", func() bool { return e.Published(0) == 10 })
	wantOrdered(t, y.events(), 3, 10)
}

// TestCursorStoreRefuses proves that a cursor store which refuses stops no event, and that the cursor is caught up later.
func TestCursorStoreRefuses(t *testing.T) {
	y := newYard(t, 1)
	y.cursors.refuses = true
	e, stop := y.run(Options{})
	defer stop()
	y.fill(0, 2, 0, 5)
	eventually(t, "published", func() bool { return e.Published(0) == 5 })
	if e.Floor(0) != 0 {
		t.Error("the floor moved although the cursor was not saved")
	}
	y.cursors.mu.Lock()
	y.cursors.refuses = false
	y.cursors.mu.Unlock()
	eventually(t, "saved", func() bool { return e.Floor(0) == 5 })
}

// TestPayloadsAreJSON proves that every payload of the hand-written appenders is valid JSON also for the oddest texts.
func TestPayloadsAreJSON(t *testing.T) {
	odd := "a\"b\\c\n\u2028<é>\xff"
	tr := newTranslator(nil, nil)
	for _, ref := range []messages.Ref{messages.OrderRef("web-1"), messages.BucketRef(odd, "den"), messages.SiteRef("den")} {
		c := &messages.Commit{Entries: []*messages.Entry{entry(ref, 0, everyEvent(odd)...)}}
		if err := tr.commit(c, func(ev *outgoing) error {
			if !json.Valid(ev.data) {
				t.Errorf("%s.%s: %s", ev.family, ev.event, ev.data)
			}
			if strings.ContainsFunc(ev.id+ev.about, func(r rune) bool { return r <= ' ' || r > '~' }) {
				t.Errorf("id %q of %q does not fit a header", ev.id, ev.about)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkPublish measures events from the journal to their acknowledgement: half orders' holds, half whole fulfillment orders.
func BenchmarkPublish(b *testing.B) {
	y := newYard(b, 1)
	fo := &messages.FulfillmentOrder{Id: "web-1.1", Channel: "web", ShipTo: &messages.Address{Country: "US", PostalCode: "80202", City: "Denver"}}
	for i := range 3 {
		fo.Lines = append(fo.Lines, &messages.FulfillmentLine{LineId: fmt.Sprint(i), Sku: "TSHIRT-M", Quantity: 2})
	}
	var entries []*messages.Entry
	for i := range 100 {
		entries = append(entries, held(fmt.Sprintf("web-%d", i), 0),
			entry(messages.SiteRef(fmt.Sprintf("s%d", i)), 0, &messages.FulfillmentOpened{FulfillmentId: "web-1.1", Fulfillment: fo}))
	}
	commits := b.N/200 + 1
	for range commits {
		fresh := make([]*messages.Entry, len(entries))
		for i, e := range entries {
			fresh[i] = &messages.Entry{Kind: e.Kind, Id: e.Id, Version: e.Version, AtMs: e.AtMs, Events: e.Events, Topic: e.Topic}
			e.Version++
		}
		y.source.add(0, fresh...)
	}
	b.ReportAllocs()
	b.ResetTimer()
	e, stop := y.run(Options{})
	defer stop()
	for e.Published(0) < uint64(commits) {
		time.Sleep(time.Millisecond)
	}
	b.ReportMetric(float64(commits*200)/b.Elapsed().Seconds(), "events/s")
}
