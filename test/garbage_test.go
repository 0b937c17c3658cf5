package test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

// garbage is one thing that no sender should send, and the field the answer must name.
type garbage struct {
	name, subject, body, field string
}

const goodOrder = `{"channel":"web","external_id":"g","currency":"USD","ship_to":{"postal_code":"80202","country":"US"},` +
	`"lines":[{"id":"1","sku":"GOOD","quantity":2,"unit_price":5}]}`

// edit gives the good order with one part replaced.
func edit(old, new string) string { return strings.Replace(goodOrder, old, new, 1) }

// lines gives n lines.
func lines(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(`{"id":"%d","sku":"GOOD","quantity":1,"unit_price":1}`, i)
	}
	return strings.Join(list, ",")
}

// badOrders come through the request door and the intake alike.
var badOrders = []garbage{
	{"noise", "", "\x00\x01\xfe\xff", "body"},
	{"nothing", "", "", "body"},
	{"truncated", "", goodOrder[:len(goodOrder)-20], "lines[0].quantity"},
	{"another thing", "", `[1,2,3]`, "body"},
	{"given twice", "", edit(`"currency":"USD"`, `"currency":"USD","currency":"EUR"`), "currency"},
	{"oversize", "", edit(`"g"`, `"`+strings.Repeat("x", 300<<10)+`"`), "body"},
	{"deep", "", edit(`"USD"`, strings.Repeat(`[`, 100)+strings.Repeat(`]`, 100)), "body"},
	{"unknown field of the address", "", edit(`"country"`, `"galaxy":1,"country"`), "ship_to.galaxy"},
	{"negative quantity", "", edit(`"quantity":2`, `"quantity":-2`), "lines[0].quantity"},
	{"no quantity", "", edit(`"quantity":2`, `"quantity":0`), "lines[0].quantity"},
	{"half a unit", "", edit(`"quantity":2`, `"quantity":0.5`), "lines[0].quantity"},
	{"overflowing quantity", "", edit(`"quantity":2`, `"quantity":9223372036854775808`), "lines[0].quantity"},
	{"largest quantity", "", edit(`"quantity":2`, `"quantity":9223372036854775807`), "lines[0].quantity"},
	{"overflowing total", "", edit(`"quantity":2,"unit_price":5`, `"quantity":1000000,"unit_price":1000000000000`), "lines"},
	{"negative price", "", edit(`"unit_price":5`, `"unit_price":-1`), "lines[0].unit_price"},
	{"501 lines", "", edit(`{"id":"1","sku":"GOOD","quantity":2,"unit_price":5}`, lines(501)), "lines"},
	{"no lines", "", edit(`{"id":"1","sku":"GOOD","quantity":2,"unit_price":5}`, ""), "lines"},
	{"line ids twice", "", edit(`{"id":"1","sku":"GOOD","quantity":2,"unit_price":5}`, lines(1)+","+lines(1)), "lines[1].id"},
	{"bad UTF-8", "", edit(`"GOOD"`, "\"G\xff\""), "lines[0].sku"},
	{"bad UTF-8 in a name", "", edit(`"postal_code"`, "\"city\":\"D\xc3\",\"postal_code\""), "ship_to.city"},
	{"unknown SKU", "", edit(`"GOOD"`, `"NEVER-SEEN"`), "lines[0].sku"},
	{"SKU with @", "", edit(`"GOOD"`, `"A@B"`), "lines[0].sku"},
	{"unknown country", "", edit(`"US"`, `"XX"`), "ship_to.country"},
	{"unknown postal code", "", edit(`"80202"`, `"00000"`), "ship_to.postal_code"},
	{"place off the globe", "", edit(`"country"`, `"lat":91,"lon":0,"country"`), "ship_to.lat"},
	{"wrong channel", "", edit(`"web"`, `"app"`), "channel"},
	{"bad external id", "", edit(`"g"`, `"a.b>c"`), "external_id"},
	{"time that is none", "", edit(`"currency"`, `"placed_at":"yesterday","currency"`), "placed_at"},
	{"unknown policy", "", edit(`"currency"`, `"policy":{"on_short":"shrug"},"currency"`), "policy.on_short"},
}

var badRequests = []garbage{
	{"get without id", messages.OrderSubject("get"), `{}`, "order_id"},
	{"get noise", messages.OrderSubject("get"), "\xff", "body"},
	{"get unknown field", messages.OrderSubject("get"), `{"order_id":"web-1","colour":1}`, "colour"},
	{"cancel why", messages.OrderSubject("cancel"), `{"order_id":"web-kept","reason":"bored"}`, "reason"},
	{"hold why", messages.OrderSubject("hold"), `{"order_id":"web-kept","reason":"bored"}`, "reason"},
	{"list limit", messages.OrderSubject("list"), `{"limit":5000}`, "limit"},
	{"set negative", messages.StockSubject("set"), `{"sku":"GOOD","site":"den","on_hand":-1}`, "on_hand"},
	{"set nothing", messages.StockSubject("set"), `{"sku":"GOOD","site":"den"}`, "on_hand"},
	{"adjust by nothing", messages.StockSubject("adjust"), `{"sku":"GOOD","site":"den","delta":0,"reason":"x"}`, "delta"},
	{"reserve unknown field", messages.StockSubject("reserve"), `{"reservation_id":"r","sku":"GOOD","site":"den","quantity":1,"colour":2}`, "colour"},
	{"reserve negative", messages.StockSubject("reserve"), `{"reservation_id":"r","sku":"GOOD","site":"den","quantity":-1}`, "quantity"},
	{"reserve overflow", messages.StockSubject("reserve"), `{"reservation_id":"r","sku":"GOOD","site":"den","quantity":9223372036854775808}`, "quantity"},
	{"reserve for ever", messages.StockSubject("reserve"), `{"reservation_id":"r","sku":"GOOD","site":"den","quantity":1,"hold_for_ms":9223372036854775807}`, "hold_for_ms"},
	{"reserve an order's claim", messages.StockSubject("reserve"), `{"reservation_id":"web-kept.1/0","sku":"GOOD","site":"den","quantity":1}`, "reservation_id"},
	{"reserve 1001", messages.StockSubject("reserve"), `[` + strings.Repeat(`{},`, 1000) + `{}]`, "body"},
	{"site nowhere", messages.SiteSubject("apply"), `{"id":"a"}`, "lat"},
	{"site calendar", messages.SiteSubject("apply"), `{"id":"a","lat":1,"lon":1,"calendar":{"open":{"mon":"8-18"}}}`, "calendar.open.mon"},
	{"site time zone", messages.SiteSubject("apply"), `{"id":"a","lat":1,"lon":1,"calendar":{"time_zone":"Mars/Olympus"}}`, "calendar.time_zone"},
	{"reject why", messages.FulfillmentSubject("reject", "den"), `{"fulfillment_id":"web-kept.1"}`, "reason"},
	{"no such action's id", messages.FulfillmentSubject("ship", "den"), `{"fulfillment_id":"web-kept"}`, "fulfillment_id"},
	{"plan", messages.SubjectRoutingPlan, edit(`"quantity":2`, `"quantity":"two"`), "lines[0].quantity"},
}

// TestGarbage proves that nothing a sender sends can hurt the process: every piece of garbage is answered with an error that names
// the field, the intake's garbage is kept with its reason and its bytes, good orders go through all the while, and the process is the
// same at the end.
func TestGarbage(t *testing.T) {
	t.Parallel()
	h := open(t, t.TempDir())
	nc := h.connect()
	applySite(t, nc, site(0, nil))
	setStock(t, nc, "GOOD", "den", 1_000_000)
	place(t, nc, order("kept", 1, "GOOD"))
	before := services(t, nc)
	stop := goodTraffic(t, h)
	for _, g := range append(badOrders, badRequests...) {
		if g.subject == "" {
			g.subject = messages.PlaceSubject("web")
		}
		a, err := askRaw[wire.Head](nc, g.subject, []byte(g.body), "")
		if err != nil {
			t.Fatalf("%s: %v", g.name, err)
		}
		if a.failure.GetCode() != messages.CodeInvalid || !names(a.failure, g.field) || a.failure.GetMessage() == "" {
			t.Errorf("%s: %s, want invalid and the field %s", g.name, a.raw, g.field)
		}
	}
	intakeGarbage(t, nc)
	tooLarge(t, h)
	all, err := askRaw[wire.Head](nc, messages.PlaceSubject("web"), []byte(strings.NewReplacer(`"GOOD"`, `"NEVER"`, `"quantity":2`, `"quantity":0`,
		`"USD"`, `"usd"`).Replace(goodOrder)), "")
	if err != nil || !names(all.failure, "lines[0].sku") || !names(all.failure, "lines[0].quantity") || !names(all.failure, "currency") {
		t.Errorf("three mistakes at once: %v %s", err, all.raw)
	}
	kept := edit(`"currency"`, `"gift_note":"hi","currency"`) // an order's unknown field is no mistake: it is kept
	if a, err := askRaw[wire.OrderReceipt](nc, messages.PlaceSubject("web"), []byte(kept), ""); err != nil || a.failure != nil {
		t.Errorf("unknown field of an order: %v %s", err, a.raw)
	} else if view := orderOf(t, nc, a.doc.OrderID); !strings.Contains(string(view.Attributes), "gift_note") {
		t.Errorf("the unknown field is lost: %s", view.Attributes)
	}
	if taken := stop(); taken == 0 {
		t.Error("no good order went through meanwhile")
	} else {
		t.Logf("%d pieces of garbage answered, %d good orders taken meanwhile", len(badOrders)*2+len(badRequests), taken)
	}
	if after := services(t, nc); after != before || !h.alive() {
		t.Errorf("the process is another: %q before, %q after", before, after)
	}
	rest(t, nc, time.Minute)
	h.verify()
}

// names says whether the failure names the field, alone or among others.
func names(f *messages.Failure, field string) bool {
	if f.GetField() == field {
		return true
	}
	for _, e := range f.GetErrors() {
		if e.Field == field && e.Message != "" {
			return true
		}
	}
	return false
}

// services describes the running services: their ids and when they started.
func services(t *testing.T, nc *nats.Conn) string {
	t.Helper()
	var all []string
	for _, name := range []string{"orderyard-order", "orderyard-stock", "orderyard-site"} {
		m, err := nc.Request("$SRV.STATS."+name, nil, answerIn)
		var stats micro.Stats
		if err == nil {
			err = json.Unmarshal(m.Data, &stats)
		}
		if err != nil {
			t.Fatalf("$SRV.STATS.%s: %v", name, err)
		}
		all = append(all, stats.Name+" "+stats.ID+" since "+stats.Started.String())
	}
	return strings.Join(all, ", ")
}

// goodTraffic places good orders until stopped, and counts them; one that is not taken is an error.
func goodTraffic(t *testing.T, h *house) (stop func() int64) {
	t.Helper()
	var taken atomic.Int64
	var wait sync.WaitGroup
	done := make(chan struct{})
	for i := range 2 {
		nc := h.connect()
		wait.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				case <-time.After(time.Millisecond): // a shop, not a benchmark
				}
				a, err := ask[wire.OrderReceipt](nc, messages.PlaceSubject("web"), order(fmt.Sprintf("good-%d-%d", i, n), 1, "GOOD"), "")
				if err != nil || a.failure != nil {
					t.Errorf("a good order: %v %s", err, a.raw)
					return
				}
				taken.Add(1)
			}
		})
	}
	return func() int64 {
		close(done)
		wait.Wait()
		return taken.Load()
	}
}

// intakeGarbage sends the bad orders where nobody waits for an answer, and looks for them among the dead letters.
func intakeGarbage(t *testing.T, nc *nats.Conn) {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range badOrders {
		if _, err := js.Publish(t.Context(), messages.IntakeSubject("web"), []byte(g.body)); err != nil {
			t.Fatalf("%s: %v", g.name, err)
		}
	}
	intakeEmpty(t, nc)
	list := letters(t, nc, len(badOrders))
	for _, g := range badOrders {
		found := false
		for _, m := range list {
			if !bytes.Equal(m.Data(), []byte(g.body)) {
				continue
			}
			found = true
			about := m.Headers()
			if about.Get(messages.HeaderCode) != messages.CodeInvalid || about.Get(messages.HeaderReason) == "" || about.Get(messages.HeaderField) == "" ||
				about.Get(messages.HeaderSubject) != messages.IntakeSubject("web") {
				t.Errorf("%s: dead letter says %v", g.name, about)
			}
		}
		if !found {
			t.Errorf("%s: its bytes are not among the dead letters", g.name)
		}
	}
}

// tooLarge announces more bytes than the server takes: that connection ends, with a reason, and no other.
func tooLarge(t *testing.T, h *house) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(h.url, "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(answerIn)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "CONNECT {\"verbose\":false}\r\nPUB %s %d\r\n", messages.PlaceSubject("web"), 64<<20)
	for said := bufio.NewScanner(c); said.Scan(); {
		if strings.Contains(said.Text(), "Maximum Payload") {
			return
		}
	}
	t.Error("64 MiB were not refused")
}
