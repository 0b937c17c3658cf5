package ingress

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/persistence/jetstream/embedded"
)

// wideDirectory knows forty sites that carry everything, and a thousand orders with long names.
type wideDirectory struct{ fakeDirectory }

func (*wideDirectory) Available(_, _ string, tell func(site string, atp int64)) {
	for i := range 40 {
		tell(fmt.Sprintf("site-%02d", i), 1_000_000)
	}
}

func (*wideDirectory) ListOrders(context.Context, wire.ListFilter) ([]*messages.OrderSummary, string, error) {
	rows := make([]*messages.OrderSummary, 1000)
	for i := range rows {
		rows[i] = &messages.OrderSummary{OrderId: strings.Repeat("x", 2000)}
	}
	return rows, "", nil
}

// TestAnswerTooLong proves that an answer which the server does not carry becomes one that it does, at once and not to be asked for again: it
// names the field by which to ask for less where there is one, and is counted as what it is. The server takes 1 MiB, as NATS does by itself.
func TestAnswerTooLong(t *testing.T) {
	registry := prometheus.NewRegistry()
	h := openHouseOn(t, embedded.Options{MaxPayload: 1 << 20}, func(o *Options) { o.Directory, o.Registry = &wideDirectory{}, registry })
	h.actors.set(func(r messages.Request) *messages.Reply {
		if r.To.Kind == messages.KindOrder { // far more than an order can be
			lines := make([]*messages.OrderLine, 3)
			for i := range lines {
				lines[i] = &messages.OrderLine{Id: "1", Sku: strings.Repeat("x", 400_000)}
			}
			view := &messages.OrderView{OrderId: r.To.ID, Order: &messages.Order{Lines: lines}, Units: make([]*messages.UnitCounts, len(lines))}
			return &messages.Reply{Body: &messages.Reply_Order{Order: &messages.OrderReply{OrderId: r.To.ID, View: view}}}
		}
		return messages.Refuse(messages.Fail(messages.CodeInternal, "", "%s", strings.Repeat("x", 2000)))
	})
	skus, counts := make([]string, 1000), make([]string, 1000)
	for i := range skus {
		skus[i] = fmt.Sprint("SKU-", i)
		counts[i] = fmt.Sprintf(`{"sku":"A","site":"den","on_hand":%d}`, i)
	}
	asked := func(some []string) string {
		body, err := json.Marshal(wire.AvailableRequest{SKUs: some})
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	if a := h.ask(messages.StockSubject("available"), asked(skus[:100])); !a.OK {
		t.Errorf("a hundred SKUs: %s", a.raw)
	}
	list := "[" + strings.Join(counts, ",") + "]"
	for _, c := range []struct{ subject, body, code, field string }{
		{messages.StockSubject("available"), asked(skus), messages.CodeInvalid, "skus"},
		{messages.OrderSubject("list"), `{}`, messages.CodeInvalid, "limit"},
		{messages.StockSubject("get"), "[" + strings.Repeat(`{"sku":"A","site":"den"},`, 999) + `{"sku":"A","site":"den"}]`, messages.CodeInvalid, "body"},
		{messages.StockSubject("set"), list, messages.CodeInternal, "body"},
		{messages.OrderSubject("get"), `{"order_id":"web-1"}`, messages.CodeInternal, ""},
	} {
		began := time.Now()
		a := h.ask(c.subject, c.body)
		h.wantError(a, c.code, c.field)
		if took := time.Since(began); took > time.Second || a.Error.Retryable || !strings.Contains(a.Error.Message, " bytes") {
			t.Errorf("%s after %s: %s", c.subject, took, a.raw)
		}
	}
	for name, want := range map[string]float64{
		"orderyard_door_requests_total{ok stock available}": 1, "orderyard_door_requests_total{invalid stock available}": 1,
		"orderyard_door_requests_total{ok order list}": 0, "orderyard_door_requests_total{internal order get}": 1,
	} {
		eventually(t, name, func() bool { return gathered(t, registry)[name] == want })
	}
}
