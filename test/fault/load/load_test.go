package load

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/persistence/jetstream/embedded"
	"orderyard/test/fault/client"
)

// house answers as Orderyard does, as far as the load looks, from a map. Its mistakes can be switched on.
type house struct {
	mu      sync.Mutex
	orders  map[string]wire.Order
	claims  map[string]int64 // SKU@site
	mistake string
	nc      *nats.Conn // for public events
}

func (h *house) answer(m *nats.Msg, doc any) {
	_ = m.Respond(client.Encode(doc)) // the load notices
}

func ok() wire.Head { return wire.Head{OK: true} }

func (h *house) handle(m *nats.Msg) {
	h.mu.Lock()
	defer h.mu.Unlock()
	words := strings.Split(m.Subject, ".")
	switch words[2] + "." + words[3] {
	case "order.place":
		h.place(m)
	case "order.get":
		h.get(m)
	case "stock.get":
		h.stock(m)
	default: // site.apply, stock.set, stock.receive, order.cancel
		h.answer(m, wire.StockAnswer{Head: ok()})
	}
}

func (h *house) place(m *nats.Msg) {
	var o wire.Order
	if err := json.Unmarshal(m.Data, &o); err != nil {
		panic(err)
	}
	id := o.Channel + "-" + o.ExternalID
	_, known := h.orders[id]
	if !known {
		h.orders[id] = o
		if h.mistake != "keeps quiet" || len(h.orders) != 5 {
			event := nats.NewMsg(messages.EventSubject("order", "placed", o.Channel))
			event.Header.Set("ce-subject", id)
			_ = h.nc.PublishMsg(event) // the load notices
		}
		for _, line := range o.Lines {
			h.claims[line.SKU+"@den"] += line.Quantity
		}
		if h.mistake == "claims" && len(h.orders) == 5 {
			h.claims[o.Lines[0].SKU+"@den"]++
		}
		if h.mistake == "forgets" && len(h.orders) == 5 {
			h.orders["lost"] = h.orders[id]
			delete(h.orders, id)
		}
	}
	reply := nats.NewMsg(m.Reply)
	status := "placed"
	if known && h.mistake == "answers" {
		status = "released"
	}
	reply.Data = client.Encode(wire.OrderReceipt{Head: ok(), OrderID: id, Status: status})
	if known && h.mistake != "doubles" {
		reply.Header.Set(messages.HeaderReplayed, "true")
	}
	_ = m.RespondMsg(reply) // the load notices
}

func (h *house) get(m *nats.Msg) {
	var r wire.GetOrderRequest
	_ = json.Unmarshal(m.Data, &r) // made by the load
	o, known := h.orders[r.OrderID]
	if !known {
		h.answer(m, wire.OrderAnswer{Head: wire.FailureHead(messages.Fail(messages.CodeNotFound, "order_id", "no order"))})
		return
	}
	v := &wire.OrderView{OrderID: r.OrderID, Status: "released", CancelReason: "customer"}
	if h.mistake == "never ends" && strings.HasSuffix(r.OrderID, "-3") {
		v.Status = "reserving"
	}
	fo := wire.Fulfillment{Site: "den", Status: "open"}
	for _, line := range o.Lines {
		v.Lines = append(v.Lines, wire.LineView{ID: line.ID, SKU: line.SKU, Quantity: line.Quantity})
		fo.Lines = append(fo.Lines, wire.FulfillmentLine{LineID: line.ID, SKU: line.SKU, Quantity: line.Quantity})
	}
	v.Fulfillments = []wire.Fulfillment{fo}
	h.answer(m, wire.OrderAnswer{Head: ok(), OrderView: v})
}

func (h *house) stock(m *nats.Msg) {
	var r wire.GetStockRequest
	_ = json.Unmarshal(m.Data, &r) // made by the load
	a := wire.BucketListAnswer{Head: ok(), SKU: r.SKU}
	for _, s := range Sites {
		claimed := h.claims[r.SKU+"@"+s.ID]
		b := wire.Bucket{SKU: r.SKU, Site: s.ID, OnHand: plenty, Allocated: claimed}
		if h.mistake == "oversells" && claimed > 0 {
			b.OnHand = claimed - 1
		}
		a.Buckets = append(a.Buckets, b)
	}
	h.answer(m, a)
}

// TestAudit proves that the load finds nothing wrong with a true house and something with each house that makes one mistake: it forgets an
// acknowledged order, claims a unit too many, sells what it does not have, answers a repeat otherwise, takes it as new, or never
// comes to rest.
func TestAudit(t *testing.T) {
	for mistake, want := range map[string]string{
		"": "", "forgets": "is not there", "claims": "and orders count on", "oversells": "oversold", "answers": "was answered as",
		"doubles": "was placed 2 times", "never ends": "not at rest", "keeps quiet": "was never told",
	} {
		t.Run("it "+mistake, func(t *testing.T) {
			t.Parallel()
			h := &house{orders: map[string]wire.Order{}, claims: map[string]int64{}, mistake: mistake}
			l := open(t, h)
			l.Start()
			for end := time.Now().Add(20 * time.Second); l.Acknowledged() < 150 && time.Now().Before(end); {
				time.Sleep(5 * time.Millisecond)
			}
			l.Stop()
			within := 20 * time.Second
			if mistake == "never ends" {
				within = 2 * time.Second
			}
			r := l.Audit(t.Context(), within)
			if found := fmt.Sprint(r.Wrong); mistake == "" && len(r.Wrong) > 0 || !strings.Contains(found, want) {
				t.Errorf("found %v, want %q", r.Wrong, want)
			}
			if w := l.Between(time.Time{}, time.Now()); mistake == "" && (w.Failed > 0 || w.Requests < 100 || w.P99 < w.P50) {
				t.Errorf("%v", w)
			}
		})
	}
}

func open(t *testing.T, h *house) *Load {
	t.Helper()
	srv, err := embedded.Start(embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Shutdown)
	ask, err := client.Dial(srv.ClientURL(), "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ask.Close)
	nc, err := srv.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: messages.StreamEvents, Subjects: []string{messages.SubjectEvents + ">"}}); err != nil {
		t.Fatal(err)
	}
	h.nc = nc
	for _, family := range []string{messages.SubjectOrder, messages.SubjectStock, messages.SubjectSite} {
		if _, err := nc.Subscribe(family+">", h.handle); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	l, err := New(t.Context(), ask, Options{Interval: 10 * time.Millisecond, SKUs: 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// TestQuantile proves the small arithmetic that verdicts rest on.
func TestQuantile(t *testing.T) {
	list := []time.Duration{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for share, want := range map[float64]time.Duration{0.5: 5, 0.99: 10, 0.9: 9, 0: 1, 1: 10} {
		if got := Quantile(list, share); got != want {
			t.Errorf("%v: %v, want %v", share, got, want)
		}
	}
	if Quantile(nil, 0.5) != 0 {
		t.Error("of nothing")
	}
}
