package ingress

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"orderyard/gateway/admission"
	"orderyard/gateway/wire"
	"orderyard/messages"
)

// gated opens doors behind a gate that lets exactly so many commands be under way.
func gated(t *testing.T, most int) (*house, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	h := openHouseWith(t, func(o *Options) {
		o.Admission, o.Registry = &admission.Options{Min: most, Target: time.Hour}, registry
		o.Limits.RequestsMax = most * 4 / 3
		o.Limits.IntakeMax = 100
	})
	return h, registry
}

func orderFor(channel, id string) string {
	return strings.NewReplacer(`"web"`, `"`+channel+`"`, `"external_id":"1"`, `"external_id":"`+id+`"`).Replace(goodOrder)
}

// TestGateShedsUnread proves that new work past the limit is refused with `limit` and a time to come back before anything of it is read: the
// bodies are garbage, and no letter is kept of them. It counts what is refused by door, reason and channel.
func TestGateShedsUnread(t *testing.T) {
	h, registry := gated(t, 30)
	h.actors.set(nil)
	h.flood(messages.PlaceSubject("web"), 30, goodOrder)
	eventually(t, "30 under way", func() bool { return len(h.actors.requests()) == 30 })
	sub := h.flood(messages.PlaceSubject("web"), 50, "garbage")
	for range 50 {
		m, err := sub.NextMsg(2 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		var a wire.Head
		if err := wire.DecodeAnswer(m.Data, &a); err != nil || a.OK || a.Error.Code != messages.CodeLimit || !a.Error.Retryable || a.Error.RetryAfterMs <= 0 {
			t.Fatalf("answer %s", m.Data)
		}
	}
	if letters := h.letters(doorOrder); len(letters) > 0 {
		t.Errorf("%d letters of what was not read", len(letters))
	}
	for name, want := range map[string]float64{
		"orderyard_admission_in_flight": 30, "orderyard_admission_limit": 30, "orderyard_party_shed_total{web}": 50, "orderyard_party_shed_total{(others)}": 0,
		"orderyard_door_shed_total{order overload}": 50, "orderyard_door_shed_total{order bytes}": 0,
	} {
		if got, known := gathered(t, registry)[name]; !known || got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// gathered gives every counter and gauge by its name and the values of its labels.
func gathered(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, " ") + "}"
			}
			found[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return found
}

// flood sends without waiting for answers, which come to the subscription.
func (h *house) flood(subject string, n int, body string) *nats.Subscription {
	h.t.Helper()
	inbox := h.nc.NewInbox()
	sub, err := h.nc.SubscribeSync(inbox)
	if err != nil {
		h.t.Fatal(err)
	}
	for range n {
		if err := h.nc.PublishRequest(subject, inbox, []byte(body)); err != nil {
			h.t.Fatal(err)
		}
	}
	return sub
}

// TestGateLetsFinish proves that work which is inside already is finished while everything else is refused: floods of orders and of questions
// hold all the room there is, and a site's answer, a cancellation, a release, a confirmation and goods that come in get through.
func TestGateLetsFinish(t *testing.T) {
	h, _ := gated(t, 30)
	h.actors.set(func(r messages.Request) *messages.Reply {
		switch r.Command.(type) {
		case *messages.PlaceOrder, *messages.GetOrder:
			return nil // for as long as the flood lasts
		}
		return placed(r)
	})
	h.flood(messages.PlaceSubject("web"), 200, goodOrder)
	h.flood(messages.OrderSubject("get"), 200, `{"order_id":"web-1"}`)
	eventually(t, "the floods are inside", func() bool { return len(h.actors.requests()) >= 33 })
	for subject, body := range map[string]string{
		messages.PlaceSubject("web"): goodOrder, messages.PlaceSubject("shop"): orderFor("shop", "1"), messages.OrderSubject("get"): `{"order_id":"web-1"}`,
	} {
		h.wantError(h.ask(subject, body), messages.CodeLimit, "")
	}
	for subject, body := range map[string]string{
		messages.FulfillmentSubject("accept", "den"): `{"fulfillment_id":"web-1.1"}`,
		messages.OrderSubject("cancel"):              `{"order_id":"web-1"}`,
		messages.OrderSubject("release"):             `{"order_id":"web-1"}`,
		messages.StockSubject("confirm"):             `{"reservation_id":"r","sku":"A","site":"den"}`,
		messages.StockSubject("receive"):             `{"sku":"A","site":"den","quantity":5}`,
		messages.SiteSubject("pause"):                `{"id":"den"}`,
	} {
		if a := h.ask(subject, body); !a.OK {
			t.Errorf("%s: %s", subject, a.raw)
		}
	}
}

// TestGateSharesRoom proves that a channel which holds all the room keeps no other out: another channel's order, a reservation and a question
// are let in while it is refused.
func TestGateSharesRoom(t *testing.T) {
	h, _ := gated(t, 30)
	h.actors.set(func(r messages.Request) *messages.Reply {
		if p, ok := r.Command.(*messages.PlaceOrder); ok && p.GetOrder().GetChannel() == "web" {
			return nil
		}
		return placed(r)
	})
	h.flood(messages.PlaceSubject("web"), 200, goodOrder)
	eventually(t, "the flood is inside", func() bool { return len(h.actors.requests()) >= 30 })
	for subject, body := range map[string]string{
		messages.PlaceSubject("shop"): orderFor("shop", "1"), messages.OrderSubject("list"): `{}`,
		messages.StockSubject("reserve"): `{"reservation_id":"r","sku":"A","site":"den","quantity":1}`,
	} {
		if a := h.ask(subject, body); !a.OK {
			t.Errorf("%s: %s", subject, a.raw)
		}
	}
	h.wantError(h.ask(messages.PlaceSubject("web"), goodOrder), messages.CodeLimit, "")
}

// TestGateGivesRoomBack proves that every way out of a door gives its room back: answered, refused, garbage, timed out, a list, an answer
// that needs no actor, a set of two commands. After all of them nothing is under way.
func TestGateGivesRoomBack(t *testing.T) {
	h, _ := gated(t, 64)
	h.actors.set(func(r messages.Request) *messages.Reply {
		if r.To.ID == "late@den" {
			return nil
		}
		return placed(r)
	})
	for _, c := range []struct{ subject, body string }{
		{messages.PlaceSubject("web"), goodOrder},
		{messages.PlaceSubject("web"), "garbage"},
		{messages.PlaceSubject("app"), goodOrder}, // another channel than its subject's
		{messages.StockSubject("reserve"), `{"reservation_id":"r","sku":"late","site":"den","quantity":1}`},
		{messages.StockSubject("reserve"), `[{"reservation_id":"a","sku":"A","site":"den","quantity":1},{"reservation_id":"b","sku":"A","site":"nyc","quantity":1}]`},
		{messages.StockSubject("set"), `[{"sku":"A","site":"den","on_hand":1},{"sku":"A","site":"nyc","on_hand":2}]`},
		{messages.StockSubject("get"), `{"sku":"A"}`},
		{messages.OrderSubject("list"), `{}`},
		{messages.SubjectRoutingPlan, goodOrder},
		{messages.SiteSubject("capacity"), `{"id":"den","per_hour":500}`},
	} {
		h.ask(c.subject, c.body, messages.HeaderDeadlineMs, "100")
	}
	h.drop("web", goodOrder)
	eventually(t, "the intake is empty", func() bool { return h.pending() == 0 })
	eventually(t, "nothing is under way", func() bool { return h.in.inFlight() == 0 })
	h.in.gate.mu.Lock()
	defer h.in.gate.mu.Unlock()
	if n := h.in.gate.c.UnderWay(); n != 0 {
		t.Errorf("%d commands are under way after all were answered", n)
	}
}

// TestIntakeWaitsForRoom proves that the intake pulls only what may be let in, and gives nothing back: 200 orders lie in the stream, a few at
// a time are pulled, and all are placed at their first delivery.
func TestIntakeWaitsForRoom(t *testing.T) {
	h, _ := gated(t, 20)
	var mu sync.Mutex
	open, most := 0, 0
	h.actors.set(func(r messages.Request) *messages.Reply {
		mu.Lock()
		open++
		most = max(most, open)
		mu.Unlock()
		time.Sleep(5 * time.Millisecond) // the time of a commit
		mu.Lock()
		open--
		mu.Unlock()
		return placed(r)
	})
	for i := range 200 {
		h.drop("web", orderFor("web", "i"+string(rune('a'+i%26))+strings.Repeat("x", i/26)))
	}
	eventually(t, "all are placed", func() bool { return h.pending() == 0 })
	mu.Lock()
	defer mu.Unlock()
	if n := len(h.actors.requests()); n != 200 || most > 25 {
		t.Errorf("%d deliveries of 200 orders, %d at once", n, most)
	}
}

// BenchmarkShed measures a refusal at the door: over NATS, 256 in flight, client and server on the same machine.
func BenchmarkShed(b *testing.B) {
	h := openHouseWith(b, func(o *Options) { o.Admission, o.Limits.RequestsMax = &admission.Options{Min: 1}, 2 })
	h.actors.set(nil)
	room, inbox := make(chan struct{}, 256), h.nc.NewInbox()
	var left sync.WaitGroup
	if _, err := h.nc.Subscribe(inbox, func(*nats.Msg) { <-room; left.Done() }); err != nil {
		b.Fatal(err)
	}
	if err := h.nc.PublishRequest(messages.PlaceSubject("web"), h.nc.NewInbox(), []byte(goodOrder)); err != nil {
		b.Fatal(err)
	}
	eventually(b, "full", func() bool { return len(h.actors.requests()) == 1 })
	body := []byte(goodOrder)
	b.ReportAllocs()
	for b.Loop() {
		room <- struct{}{}
		left.Add(1)
		if err := h.nc.PublishRequest(messages.PlaceSubject("web"), inbox, body); err != nil {
			b.Fatal(err)
		}
	}
	left.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}
