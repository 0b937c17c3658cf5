package audit

import (
	"fmt"
	"slices"
	"testing"

	"orderyard/actors"
	"orderyard/actors/entity"
	"orderyard/actors/inventory"
	"orderyard/messages"
)

// mute is a machine that accepts every event: only the audit's own models can object.
type mute struct{ version uint64 }

func (*mute) Decide(messages.Command, int64) ([]messages.Event, *messages.Reply, error) {
	return nil, nil, nil
}
func (*mute) Evolve(messages.Event, int64)                       {}
func (*mute) Tasks(_ int64, dst []messages.Task) []messages.Task { return dst }
func (m *mute) SetVersion(v uint64)                              { m.version = v }
func (*mute) MarshalState() []byte                               { return nil }
func (*mute) Summary() messages.Message                          { return nil }
func (*mute) Waits() []string                                    { return nil }
func (*mute) Topic() string                                      { return "" }
func muteKind() entity.Kind                                      { return entity.Kind{New: func(string) entity.Machine { return &mute{} }} }

type history struct {
	*Auditor
	versions map[messages.Ref]uint64
	at       uint64
}

func newHistory() *history {
	limits := entity.DefaultLimits()
	kinds := entity.Kinds{messages.KindBucket: muteKind(), messages.KindSite: muteKind(), messages.KindOrder: muteKind()}
	return &history{Auditor: New(kinds, &limits), versions: map[messages.Ref]uint64{}}
}

// happened writes one entry.
func (h *history) happened(ref messages.Ref, at int64, events ...messages.Event) {
	e := &messages.Entry{Kind: uint32(ref.Kind), Id: ref.ID, Version: h.versions[ref], AtMs: at}
	for _, event := range events {
		data, err := event.MarshalVT()
		if err != nil {
			panic(err)
		}
		e.Events = append(e.Events, &messages.EventRecord{Type: messages.EventType(event), Data: data})
	}
	h.versions[ref] += uint64(len(events))
	h.at++
	payload, err := (&messages.Commit{Entries: []*messages.Entry{e}}).MarshalVT()
	if err != nil {
		panic(err)
	}
	h.Commit(0, 10*h.at, h.at, payload)
}

// Every promise that is broken on purpose is found under its name, and the same history without the fault passes: a checker that
// cannot fail is a defect.
func TestEveryBrokenPromiseIsFound(t *testing.T) {
	bucket, site, order := messages.BucketRef("A", "S"), messages.SiteRef("S"), messages.OrderRef("o")
	count := func(n int64) messages.Event { return &messages.StockCounted{OnHand: n} }
	reserve := func(id string, n int64) messages.Event {
		return &messages.StockReserved{ReservationId: id, Quantity: n, ExpiresAtMs: 1000}
	}
	take := func(id string) messages.Event {
		return &messages.FulfillmentAccepted{Fulfillment: &messages.FulfillmentOrder{Id: id}, Hour: "h", WorkDate: "d"}
	}
	for _, c := range []struct {
		name, invariant string
		fault           bool
		write           func(h *history)
	}{
		{"oversold", "I1", true, func(h *history) {
			h.happened(bucket, 1, count(5), reserve("a", 3))
			h.happened(bucket, 2, reserve("b", 3))
		}},
		{"sold out", "I1", false, func(h *history) {
			h.happened(bucket, 1, count(5), reserve("a", 3), reserve("b", 2), &messages.ReservationConfirmed{ReservationId: "a"}, &messages.ReservationConfirmed{ReservationId: "b"})
		}},
		{"shortfall declared", "I1", false, func(h *history) {
			h.happened(bucket, 1, count(5), reserve("a", 5), &messages.ReservationConfirmed{ReservationId: "a"})
			h.happened(bucket, 2, count(2), &messages.StockOvercommitted{Short: 3, Victims: []string{"a"}})
		}},
		{"stock came and went before the victim had answered", "I1", false, func(h *history) {
			h.happened(bucket, 1, count(5), reserve("a", 5), &messages.ReservationConfirmed{ReservationId: "a"})
			h.happened(bucket, 2, count(2), &messages.StockOvercommitted{Short: 3, Victims: []string{"a"}})
			h.happened(bucket, 3, count(9))
			h.happened(bucket, 4, count(0))
		}},
		{"oversold beside a victim", "I1", true, func(h *history) {
			h.happened(bucket, 1, count(5), reserve("a", 5), &messages.ReservationConfirmed{ReservationId: "a"})
			h.happened(bucket, 2, count(2), &messages.StockOvercommitted{Short: 3, Victims: []string{"a"}})
			h.happened(bucket, 3, count(9), reserve("b", 4))
			h.happened(bucket, 4, count(3))
		}},
		{"kept, then short again", "I1", true, func(h *history) {
			h.happened(bucket, 1, count(5), reserve("a", 5), &messages.ReservationConfirmed{ReservationId: "a"})
			h.happened(bucket, 2, count(2), &messages.StockOvercommitted{Short: 3, Victims: []string{"a"}})
			h.happened(bucket, 3, &messages.ClaimKept{ReservationId: "a", OnHandDelta: 3})
			h.happened(bucket, 4, count(0))
		}},
		{"released twice", "I7", true, func(h *history) {
			h.happened(bucket, 1, count(5), reserve("a", 1), &messages.ReservationReleased{ReservationId: "a"})
			h.happened(bucket, 2, &messages.ReservationReleased{ReservationId: "a"})
		}},
		{"released when the bucket had forgotten how it ended", "I7", false, func(h *history) {
			h.happened(bucket, 1, count(5), reserve("a", 1), &messages.ReservationReleased{ReservationId: "a"})
			h.happened(bucket, 2+inventory.EndedKeepMs, &messages.ReservationReleased{ReservationId: "a"})
		}},
		{"released twice behind that", "I7", true, func(h *history) {
			h.happened(bucket, 1, count(5), reserve("a", 1), &messages.ReservationReleased{ReservationId: "a"})
			h.happened(bucket, 2+inventory.EndedKeepMs, &messages.ReservationReleased{ReservationId: "a"})
			h.happened(bucket, 3+inventory.EndedKeepMs, &messages.ReservationReleased{ReservationId: "a"})
		}},
		{"expired early", "I7", true, func(h *history) {
			h.happened(bucket, 1, count(5), reserve("a", 1))
			h.happened(bucket, 999, &messages.ReservationExpired{ReservationId: "a"})
		}},
		{"never expired", "I7", true, func(h *history) { h.happened(bucket, 1, count(5), reserve("a", 1)) }},
		{"ended while nobody served", "I7", false, func(h *history) {
			h.happened(bucket, 1, count(5), reserve("a", 1))
			h.Takeover(0)
			h.happened(site, 19_000)
		}},
		{"ended while nobody served, and long served since", "I7", true, func(h *history) {
			h.happened(bucket, 1, count(5), reserve("a", 1))
			h.Takeover(0)
			h.happened(site, 5_000)
		}},
		{"nobody has begun to serve", "I7", false, func(h *history) {
			h.happened(bucket, 1, count(5), reserve("a", 1))
			h.Takeover(0)
		}},
		{"shipped what it does not hold", "I1", true, func(h *history) {
			h.happened(bucket, 1, count(5), reserve("a", 1), &messages.StockShipped{ReservationId: "a", Quantity: 2})
		}},
		{"hour overrun", "I5", true, func(h *history) {
			h.happened(site, 1, &messages.SiteApplied{Doc: &messages.SiteDoc{Capacity: &messages.SiteCapacity{PerHour: 1}}}, take("1"))
			h.happened(site, 2, take("2"))
		}},
		{"hour freed in between", "I5", false, func(h *history) {
			h.happened(site, 1, &messages.SiteApplied{Doc: &messages.SiteDoc{Capacity: &messages.SiteCapacity{PerHour: 1}}}, take("1"))
			h.happened(site, 2, &messages.FulfillmentCancelled{FulfillmentId: "1"}, take("2"))
		}},
		{"placed twice", "I6", true, func(h *history) {
			h.happened(order, 1, &messages.OrderPlaced{})
			h.happened(order, 2, &messages.OrderPlaced{})
		}},
		{"a version missing", "I9", true, func(h *history) {
			h.happened(bucket, 1, count(5))
			h.versions[bucket]++
			h.happened(bucket, 2, count(6))
		}},
		{"a claim nobody counts on", "I3", true, func(h *history) {
			h.happened(bucket, 1, count(5), &messages.StockReserved{ReservationId: "o.1/0", Quantity: 1, ExpiresAtMs: 1 << 60, OrderId: "o"})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHistory()
			c.write(h)
			found := h.Finish(20_000, true)
			has := slices.ContainsFunc(found, func(v Violation) bool { return v.Invariant == c.invariant })
			if has != c.fault {
				t.Fatalf("found %v", found)
			}
			if !c.fault && len(found) > 0 {
				t.Fatalf("a history without fault: %v", found)
			}
		})
	}
}

// The models forget what bucket and site forget: ended claims beyond a number, also those that were made anew since, and work that was delivered. So the
// audit needs no more memory for a long history than for a short one.
func TestModelsForget(t *testing.T) {
	var found []string
	bad := func(invariant, format string, args ...any) {
		found = append(found, fmt.Sprintf(invariant+" "+format, args...))
	}
	m := emptyBucketModel()
	m.entry([]messages.Event{&messages.StockCounted{OnHand: 5}}, 1, bad)
	release := func(id string) { m.entry([]messages.Event{&messages.ReservationReleased{ReservationId: id}}, 1, bad) }
	for i := range inventory.EndedMax + 100 {
		release(fmt.Sprint("gone-", i))
		m.entry([]messages.Event{&messages.StockReserved{ReservationId: "again", Quantity: 1, ExpiresAtMs: 9}}, 1, bad)
		release("again")
	}
	if n := len(m.claims); n > inventory.EndedMax+1 {
		t.Errorf("%d claims are kept", n)
	}
	release("gone-0")
	if len(found) > 0 {
		t.Errorf("a forgotten claim: %v", found)
	}
	if release("again"); len(found) != 1 {
		t.Errorf("a claim that ended just now: %v", found)
	}

	s := emptySiteModel()
	for i := range 100 {
		id := fmt.Sprint(i)
		s.entry([]messages.Event{
			&messages.FulfillmentAccepted{Fulfillment: &messages.FulfillmentOrder{Id: id}, Hour: "h", WorkDate: "d"},
			&messages.FulfillmentMoved{FulfillmentId: id, Status: messages.FulfillmentStatus_FULFILLMENT_STATUS_SHIPPED},
			&messages.FulfillmentMoved{FulfillmentId: id, Status: messages.FulfillmentStatus_FULFILLMENT_STATUS_DELIVERED},
		}, bad)
	}
	if len(s.work) != 0 || s.atHand != 0 || s.hours["h"] != 100 {
		t.Errorf("%d delivered are kept, %d at hand, %d in the hour", len(s.work), s.atHand, s.hours["h"])
	}
}

// A checkpoint may hold an order that somebody asked about before it was placed, or while its placing was under way. Placed behind the checkpoint it
// is placed once; an order that the checkpoint holds placed is placed twice by the same commit.
func TestOrderInCheckpointBeforePlaced(t *testing.T) {
	ref := messages.OrderRef("o")
	limits := entity.DefaultLimits()
	kinds := actors.Kinds(func() int64 { return 1 }, actors.RememberForMs, nil)
	for _, placedBefore := range []bool{false, true} {
		core := entity.NewCore(ref, kinds[ref.Kind], noPlans, &limits)
		placed := &messages.OrderPlaced{Order: &messages.Order{Channel: "web", ExternalId: "1", Lines: []*messages.OrderLine{{Id: "1", Sku: "A", Quantity: 1}}}}
		h := &history{Auditor: New(kinds, &limits), versions: map[messages.Ref]uint64{}}
		if placedBefore {
			data, err := placed.MarshalVT()
			if err != nil {
				t.Fatal(err)
			}
			e := &messages.Entry{Kind: uint32(ref.Kind), Id: ref.ID, AtMs: 1, Events: []*messages.EventRecord{{Type: messages.EventType(placed), Data: data}}}
			if err := core.Apply(e); err != nil {
				t.Fatal(err)
			}
			h.versions[ref] = 1
		}
		if err := h.begin(0, core.Snapshot(1)); err != nil {
			t.Fatal(err)
		}
		h.happened(ref, 2, placed)
		twice := slices.ContainsFunc(h.Finish(10, false), func(v Violation) bool { return v.Invariant == "I6" })
		if twice != placedBefore {
			t.Errorf("placed before the checkpoint %v, found twice %v: %v", placedBefore, twice, h.found)
		}
	}
}
