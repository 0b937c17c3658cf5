package ingress

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
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

// TestServicesAreListed proves that operators find the three services and every subject of the contract by asking $SRV.INFO.
func TestServicesAreListed(t *testing.T) {
	h := openHouse(t, Limits{})
	subjects := make(map[string]bool)
	for _, name := range []string{"orderyard-order", "orderyard-stock", "orderyard-site"} {
		m, err := h.nc.Request("$SRV.INFO."+name, nil, 2*time.Second)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var info micro.Info
		if err := json.Unmarshal(m.Data, &info); err != nil {
			t.Fatal(err)
		}
		for _, e := range info.Endpoints {
			subjects[e.Subject] = true
		}
	}
	want := "order.place.* order.get order.cancel order.hold order.release order.trace order.explain order.list " +
		"stock.set stock.adjust stock.receive stock.get stock.available stock.reserve stock.confirm stock.cancel " +
		"site.apply site.get site.list site.pause site.resume site.capacity routing.plan " +
		"fulfillment.accept.* fulfillment.reject.* fulfillment.pick.* fulfillment.pack.* fulfillment.ship.* fulfillment.deliver.* fulfillment.list.*"
	for _, s := range strings.Fields(want) {
		if !subjects[messages.SubjectRoot+s] {
			t.Errorf("%s is not served", s)
		}
	}
}

// TestPlace proves that a good order reaches its actor once, prepared, under its own id as the key, and that the reply is the
// contract's; a repeat says so in the header.
func TestPlace(t *testing.T) {
	h := openHouse(t, Limits{})
	a := h.ask(messages.PlaceSubject("web"), goodOrder)
	if !a.OK || !strings.Contains(string(a.raw), `"order_id":"web-1","status":"placed","version":2`) || a.msg.Header.Get(messages.HeaderReplayed) != "" {
		t.Fatalf("answer %s %v", a.raw, a.msg.Header)
	}
	r := h.actors.requests()[0]
	place := r.Command.(*messages.PlaceOrder)
	if r.To != messages.OrderRef("web-1") || r.CommandID != "place/web-1" || place.Fingerprint != 7 {
		t.Fatalf("sent %+v", r)
	}
	if left := r.Deadline - time.Now().UnixMilli(); left < 3000 || left > 5000 {
		t.Errorf("deadline in %d ms, want the default of 5 s", left)
	}
	h.actors.set(func(r messages.Request) *messages.Reply {
		reply := placed(r)
		reply.Replayed = true
		return reply
	})
	a = h.ask(messages.PlaceSubject("web"), goodOrder, messages.HeaderCommandID, "mine", messages.HeaderDeadlineMs, "800")
	if !a.OK || a.msg.Header.Get(messages.HeaderReplayed) != "true" {
		t.Fatalf("answer %s %v", a.raw, a.msg.Header)
	}
	r = h.actors.requests()[1]
	if left := r.Deadline - time.Now().UnixMilli(); r.CommandID != "client/mine" || left > 800 {
		t.Errorf("sent with id %q, deadline in %d ms", r.CommandID, left)
	}
}

// TestGarbage proves that every kind of garbage, on every door, is answered with an error that names the field, reaches no actor,
// and that what could not be read at all lies among the dead letters with its bytes.
func TestGarbage(t *testing.T) {
	h := openHouse(t, Limits{})
	line := `{"id":"1","sku":"A","quantity":2,"unit_price":5}`
	broken := func(old, new string) string { return strings.Replace(goodOrder, old, new, 1) }
	place := messages.PlaceSubject("web")
	lines501 := make([]string, 501)
	for i := range lines501 {
		lines501[i] = fmt.Sprintf(`{"id":"%d","sku":"A","quantity":1,"unit_price":1}`, i)
	}
	for _, c := range []struct{ name, subject, body, field string }{
		{"truncated", place, goodOrder[:len(goodOrder)-20], "lines[0].quantity"},
		{"noise", place, "\x00\x01\x02", "body"},
		{"empty", place, "", "body"},
		{"oversize", place, broken(`"web"`, `"`+strings.Repeat("x", wire.OrderBytesMax)+`"`), "body"},
		{"bad UTF-8", place, broken(`"A"`, "\"\xff\""), "lines[0].sku"},
		{"unknown field below", place, broken(`"country"`, `"galaxy":1,"country"`), "ship_to.galaxy"},
		{"overflow", place, broken(`"quantity":2`, `"quantity":99999999999999999999`), "lines[0].quantity"},
		{"negative", place, broken(`"quantity":2`, `"quantity":-2`), "lines[0].quantity"},
		{"501 lines", place, broken(line, strings.Join(lines501, ",")), "lines"},
		{"wrong channel", place, broken(`"web"`, `"app"`), "channel"},
		{"bad channel", messages.PlaceSubject("w~b"), goodOrder, "channel"},
		{"get without id", messages.OrderSubject("get"), `{}`, "order_id"},
		{"get unknown field", messages.OrderSubject("get"), `{"order_id":"web-1","colour":1}`, "colour"},
		{"hold without reason", messages.OrderSubject("hold"), `{"order_id":"web-1"}`, "reason"},
		{"list limit", messages.OrderSubject("list"), `{"limit":5000}`, "limit"},
		{"set negative", messages.StockSubject("set"), `{"sku":"A","site":"den","on_hand":-1}`, "on_hand"},
		{"set nothing", messages.StockSubject("set"), `{"sku":"A","site":"den"}`, "on_hand"},
		{"reserve overflow", messages.StockSubject("reserve"), `{"reservation_id":"r","sku":"A","site":"den","quantity":9223372036854775808}`, "quantity"},
		{"reserve others", messages.StockSubject("reserve"), `{"reservation_id":"web-1.1/0","sku":"A","site":"den","quantity":1}`, "reservation_id"},
		{"reserve list type", messages.StockSubject("reserve"), `[{"reservation_id":"r"},{"reservation_id":5}]`, "[1].reservation_id"},
		{"reserve 1001", messages.StockSubject("reserve"), `[` + strings.Repeat(`{},`, 1000) + `{}]`, "body"},
		{"reserve none", messages.StockSubject("reserve"), `[]`, "body"},
		{"unknown SKU everywhere", messages.StockSubject("get"), `{}`, "sku"},
		{"no SKU", messages.StockSubject("available"), `{"skus":[]}`, "skus"},
		{"an empty SKU", messages.StockSubject("available"), `{"skus":["A",""]}`, "skus[1]"},
		{"a site that cannot be", messages.StockSubject("available"), `{"skus":["A"],"site":"a b"}`, "site"},
		{"site", messages.SiteSubject("apply"), `{"id":"a b","lat":1,"lon":1}`, "id"},
		{"site calendar", messages.SiteSubject("apply"), `{"id":"a","lat":1,"lon":1,"calendar":{"open":{"mon":"8-18"}}}`, "calendar.open.mon"},
		{"site weekday", messages.SiteSubject("apply"), `{"id":"a","lat":1,"lon":1,"calendar":{"open":{"monday":"08:00-18:00"}}}`, "calendar.open.monday"},
		{"site position", messages.SiteSubject("apply"), `{"id":"a"}`, "lat"},
		{"capacity", messages.SiteSubject("capacity"), `{"id":"den"}`, "per_hour"},
		{"reject why", messages.FulfillmentSubject("reject", "den"), `{"fulfillment_id":"web-1.1"}`, "reason"},
		{"reject odd", messages.FulfillmentSubject("reject", "den"), `{"fulfillment_id":"web-1.1","reason":"bored"}`, "reason"},
		{"fulfillment id", messages.FulfillmentSubject("accept", "den"), `{"fulfillment_id":"web-1"}`, "fulfillment_id"},
		{"plan", messages.SubjectRoutingPlan, broken(`"quantity":2`, `"quantity":"two"`), "lines[0].quantity"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.t = t
			h.wantError(h.ask(c.subject, c.body), messages.CodeInvalid, c.field)
		})
	}
	h.t = t
	h.wantError(h.ask(messages.OrderSubject("cancel"), `{"order_id":"web-1"}`, messages.HeaderDeadlineMs, "soon"), messages.CodeInvalid, messages.HeaderDeadlineMs)
	h.wantError(h.ask(messages.OrderSubject("cancel"), `{"order_id":"web-1"}`, messages.HeaderCommandID, strings.Repeat("x", 200)), messages.CodeInvalid, messages.HeaderCommandID)
	if seen := h.actors.requests(); len(seen) > 0 {
		t.Errorf("garbage reached an actor: %+v", seen[0])
	}
	var letters []*jetstream.RawStreamMsg
	eventually(t, "the letters of eight requests lie there", func() bool { // a door does not wait for them
		letters = h.letters(doorOrder)
		return len(letters) >= 8
	})
	if !bytes.Equal(letters[0].Data, []byte(goodOrder[:len(goodOrder)-20])) ||
		letters[0].Header.Get(messages.HeaderField) != "lines[0].quantity" || letters[0].Header.Get(messages.HeaderSubject) != place ||
		letters[0].Header.Get(messages.HeaderCode) != messages.CodeInvalid || letters[0].Header.Get(messages.HeaderReason) == "" {
		t.Errorf("%d letters, the first %+v", len(letters), letters)
	}
}

// TestAllFaultsAtOnce proves that a sender learns everything that is wrong with a document from one answer, and each once: what the door sees, what the
// order or site itself would say, and what only the node knows.
func TestAllFaultsAtOnce(t *testing.T) {
	h := openHouse(t, Limits{})
	order := goodOrder
	for _, change := range [][2]string{
		{`"sku":"A"`, `"sku":"UNKNOWN"`}, {`"quantity":2`, `"quantity":2000000000`}, {`"currency":"USD"`, `"currency":"","priority":1000,"labels":[""],"discount":-1`},
	} {
		if order = strings.Replace(order, change[0], change[1], 1); !strings.Contains(order, change[1]) {
			t.Fatalf("%s is not in the order", change[0])
		}
	}
	for _, c := range []struct {
		subject, body, first string
		want                 []string
	}{
		{messages.PlaceSubject("web"), order, "currency", []string{"currency", "discount", "labels[0]", "lines[0].quantity", "lines[0].sku", "priority"}},
		{messages.SubjectRoutingPlan, order, "currency", []string{"currency", "discount", "labels[0]", "lines[0].quantity", "lines[0].sku", "priority"}},
		{messages.PlaceSubject("web"), strings.Replace(goodOrder, `,"unit_price":5}]`, `}],"discount":1`, 1), "lines[0].unit_price", []string{"lines[0].unit_price"}},
		{messages.SiteSubject("apply"), `{"id":"x","type":"shop","country":"us","groups":[""]}`, "type", []string{"country", "groups[0]", "lat", "type"}},
	} {
		a := h.ask(c.subject, c.body)
		h.wantError(a, messages.CodeInvalid, c.first)
		var fields []string
		for _, e := range a.Error.Errors {
			fields = append(fields, e.Field)
			if strings.Contains(e.Message, "1000000000 ") {
				t.Errorf("%s: %s is bounded twice: %s", c.subject, e.Field, e.Message)
			}
		}
		slices.Sort(fields)
		if !slices.Equal(fields, c.want) {
			t.Errorf("%s: errors %+v", c.subject, a.Error.Errors)
		}
	}
}

// TestLongestDocuments proves that what the contract allows fits: a thousand SKUs of the longest kind, however their sender writes them, and a rejection
// of every line of the longest order.
func TestLongestDocuments(t *testing.T) {
	h := openHouse(t, Limits{})
	skus := make([]string, 1000)
	for i := range skus {
		skus[i] = fmt.Sprintf(`"%0*d%s"`, 4, i, strings.Repeat(`\u0416`, 30)) // 64 bytes, 184 as they are sent
	}
	var found wire.AvailableAnswer
	a := h.ask(messages.StockSubject("available"), `{"skus":[`+strings.Join(skus, ", ")+`]}`)
	if err := wire.DecodeAnswer(a.raw, &found); err != nil || !a.OK || len(found.SKUs) != len(skus) {
		t.Errorf("%v, %.200s", err, a.raw)
	}
	lines := make([]string, wire.LinesMax)
	for i := range lines {
		lines[i] = fmt.Sprintf(`{"line_id":"%064d","sku":"%064d","quantity":1}`, i, i)
	}
	if a := h.ask(messages.FulfillmentSubject("reject", "den"), `{"fulfillment_id":"web-1.1","reason":"damaged","lines":[`+strings.Join(lines, ",")+`]}`); !a.OK {
		t.Errorf("%.200s", a.raw)
	}
}

// TestStockLists proves that a list is answered entry by entry in its order, also when entries are wrong in themselves, declined,
// or answered in another order.
func TestStockLists(t *testing.T) {
	h := openHouse(t, Limits{})
	h.actors.set(func(r messages.Request) *messages.Reply {
		c := r.Command.(*messages.ReserveStock)
		time.Sleep(time.Duration(30-10*c.Quantity) * time.Millisecond) // the last answers first
		if c.Quantity == 2 {
			return &messages.Reply{
				Failure: messages.Fail(messages.CodeDeclined, "", "too few"),
				Body:    &messages.Reply_Stock{Stock: &messages.StockReply{Atp: 1}},
			}
		}
		return &messages.Reply{Body: &messages.Reply_Stock{Stock: &messages.StockReply{Atp: 9, ReservationStatus: "held"}}}
	})
	a := h.ask(messages.StockSubject("reserve"),
		`[{"reservation_id":"a","sku":"A","site":"den","quantity":1},{"reservation_id":"b","sku":"A","site":"den","quantity":2},`+
			`{"reservation_id":"c","sku":"A@","site":"den","quantity":3},{"reservation_id":"d","sku":"A","site":"nyc","quantity":3}]`,
		messages.HeaderCommandID, "k")
	h.wantError(a, messages.CodeDeclined, "[1]")
	var list wire.StockListAnswer
	if err := wire.DecodeAnswer(a.raw, &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Results) != 4 || !list.Results[0].OK || list.Results[0].ReservationID != "a" || *list.Results[1].ATP != 1 ||
		list.Results[1].Error.Code != messages.CodeDeclined || list.Results[2].Error.Field != "sku" || *list.Results[3].ATP != 9 {
		t.Fatalf("answer %s", a.raw)
	}
	ids := make(map[string]bool)
	for _, r := range h.actors.requests() {
		ids[r.CommandID] = true
	}
	if !ids["client/k"] || !ids["client/k/1"] || len(ids) != 2 { // nyc has no other
		t.Errorf("command ids %v", ids)
	}
}

// TestListComesAgain proves that an entry of a list is the same command when its sender builds the list anew: in another order, without what was
// answered, or as one document alone.
func TestListComesAgain(t *testing.T) {
	h := openHouse(t, Limits{})
	a, b, c := `{"sku":"A","site":"den","quantity":5}`, `{"sku":"B","site":"den","quantity":7}`, `{"sku":"C","site":"den","quantity":9}`
	for _, body := range []string{"[" + a + "," + b + "," + c + "]", "[" + c + "," + a + "," + b + "]", "[" + b + "," + c + "]", "[" + b + "]", b} {
		h.ask(messages.StockSubject("receive"), body, messages.HeaderCommandID, "k")
	}
	x, y := `{"id":"x","lat":1,"lon":2}`, `{"id":"y","lat":1,"lon":2}`
	for _, body := range []string{"[" + x + "," + y + "]", "[" + y + "," + x + "]", y} {
		h.ask(messages.SiteSubject("apply"), body, messages.HeaderCommandID, "k")
	}
	requests := h.actors.requests()
	for _, r := range requests {
		if r.CommandID != "client/k" {
			t.Errorf("%s was asked under %s", r.To, r.CommandID)
		}
	}
	if len(requests) != 15 {
		t.Errorf("%d commands", len(requests))
	}
}

// TestMendedListComesAgain proves that an entry keeps its id when the entry before it, for the same entity, was wrong and comes again mended: the whole
// list is sent twice under one id, the second time without the mistake.
func TestMendedListComesAgain(t *testing.T) {
	h := openHouse(t, Limits{})
	wrong, mended, good := `{"sku":"A","site":"den","quantity":0}`, `{"sku":"A","site":"den","quantity":1}`, `{"sku":"A","site":"den","quantity":5}`
	h.ask(messages.StockSubject("receive"), "["+wrong+","+good+"]", messages.HeaderCommandID, "k")
	h.ask(messages.StockSubject("receive"), "["+mended+","+good+"]", messages.HeaderCommandID, "k")
	h.ask(messages.SiteSubject("apply"), `[{"id":"x"},{"id":"x","lat":1,"lon":5}]`, messages.HeaderCommandID, "k")
	ids := map[string]bool{}
	for _, r := range h.actors.requests() {
		switch c := r.Command.(type) {
		case *messages.ReceiveStock:
			ids[fmt.Sprint(c.Quantity, " ", r.CommandID)] = true
		case *messages.ApplySite:
			ids[fmt.Sprint(c.Doc.Lon, " ", r.CommandID)] = true
		}
	}
	if len(ids) != 2 || !ids["1 client/k"] || !ids["5 client/k/1"] {
		t.Errorf("command ids %v", ids)
	}
}

// TestQuestions proves the answers of get, list, explain, plan and the fan-outs over all sites of a SKU and all sites.
func TestQuestions(t *testing.T) {
	h := openHouse(t, Limits{})
	h.actors.set(func(r messages.Request) *messages.Reply {
		if get, ok := r.Command.(*messages.GetOrder); ok {
			view := &messages.OrderView{
				OrderId: r.To.ID, Order: &messages.Order{Channel: "web", Lines: []*messages.OrderLine{{Id: "1", Sku: "A", Quantity: 2}}},
				Status: "released", Life: "open", Units: []*messages.UnitCounts{{Released: 2}}, Version: 9,
				Fulfillments: []*messages.FulfillmentOrder{{
					Id: r.To.ID + ".1", Site: "den", Status: messages.FulfillmentStatus_FULFILLMENT_STATUS_OPEN,
					RequestStatus: messages.RequestStatus_REQUEST_STATUS_ACCEPTED,
				}},
				Holds:     []*messages.OrderHold{{Reason: "other"}},
				Decisions: []*messages.Plan{{PlanNo: 1, Decision: &messages.DecisionRecord{Candidates: []*messages.Candidate{{Site: "den"}}}}, {PlanNo: 2}},
			}
			if get.Timeline {
				view.Timeline = []*messages.TimelineEntry{{AtMs: 1000, What: "OrderPlaced"}}
			}
			return &messages.Reply{Body: &messages.Reply_Order{Order: &messages.OrderReply{OrderId: r.To.ID, View: view}}}
		}
		return placed(r)
	})
	for _, c := range []struct{ subject, body, holds, lacks string }{
		{messages.OrderSubject("get"), `{"order_id":"web-1"}`, `"units":{"released":2}`, "timeline"},
		{messages.OrderSubject("get"), `{"order_id":"web-1"}`, `"supported_actions":["pick","reject","hold","request_cancellation"]`, "candidates"},
		{messages.OrderSubject("get"), `{"order_id":"web-1"}`, `"axes":{"life":"open","holds":["other"],"exceptions":[]}`, `"ok":false`},
		{messages.OrderSubject("get"), `{"order_id":"web-1","timeline":true}`, `"timeline":[{"at":"1970-01-01T00:00:01Z","what":"OrderPlaced"}]`, "candidates"},
		{messages.OrderSubject("trace"), `{"order_id":"web-1"}`, `"timeline":[`, "candidates"},
		{messages.OrderSubject("explain"), `{"order_id":"web-1"}`, `"decisions":[{"plan_no":2,`, "timeline"},
		{messages.OrderSubject("explain"), `{"order_id":"web-1"}`, `"candidates":[{"site":"den"}]`, "timeline"},
		{messages.OrderSubject("list"), `{"status":"placed","limit":7}`, `"next_cursor":"next"`, `"ok":false`},
		{messages.OrderSubject("list"), ``, `"orders":[{"order_id":"web-1"`, `"ok":false`},
		{messages.StockSubject("available"), `{"skus":["A","B"]}`, `{"ok":true,"skus":[{"sku":"A","sites":[{"site":"nyc","atp":3}],"atp":3},{"sku":"B","atp":0}]}`, `"ok":false`},
		{messages.StockSubject("available"), `{"skus":["A"],"site":"nyc"}`, `{"ok":true,"skus":[{"sku":"A","atp":3}]}`, `sites`},
		{messages.StockSubject("get"), `{"sku":"A"}`, `"sku":"A","atp":10,"buckets":[{"sku":"A","site":"den"`, `"ok":false`},
		{messages.StockSubject("get"), `{"sku":"A","site":"den"}`, `"on_hand":5`, `"buckets"`},
		{messages.StockSubject("get"), `[{"sku":"A","site":"den"}]`, `"results":[{"ok":true,"atp":5,"sku":"A"`, `"buckets"`},
		{messages.SiteSubject("list"), ``, `"sites":[{"ok":true,"id":"den"`, `"ok":false`},
		{messages.SiteSubject("get"), `{"id":"den"}`, `"id":"den"`, `"ok":false`},
		{messages.SiteSubject("apply"), `[{"id":"x","lat":1,"lon":2},{"id":"y","lat":1,"lon":2}]`, `"sites":[{"ok":true,"id":"x"`, `"ok":false`},
		{messages.FulfillmentSubject("list", "den"), ``, `"fulfillments":[]`, `"ok":false`},
		{messages.FulfillmentSubject("ship", "den"), `{"fulfillment_id":"web-1.1","shipment":{"tracking":"1Z"}}`, `"ok":true`, "error"},
		{messages.SubjectRoutingPlan, goodOrder, `"plans":[{"plan_no":1,"assignments":[{"site":"den","lines":[{"line_id":"1","sku":"A","quantity":2}]}]}]`, "error"},
	} {
		a := h.ask(c.subject, c.body)
		if !strings.Contains(string(a.raw), c.holds) || strings.Contains(string(a.raw), c.lacks) {
			t.Errorf("%s %s:\n%s\nwant %s, not %s", c.subject, c.body, a.raw, c.holds, c.lacks)
		}
	}
	h.wantError(h.ask(messages.StockSubject("get"), `{"sku":"B"}`), messages.CodeNotFound, "sku")
}

// TestListFails proves that a list which another node does not answer for is refused in that node's name and may be asked again, and that
// other errors are not told: the directory fails in both ways.
func TestListFails(t *testing.T) {
	h := openHouse(t, Limits{})
	a := h.ask(messages.OrderSubject("list"), `{"channel":"far"}`)
	h.wantError(a, messages.CodeUnavailable, "")
	if !a.Error.Retryable || a.Error.RetryAfterMs != 500 || !strings.Contains(a.Error.Message, "n2") {
		t.Errorf("answer %s", a.raw)
	}
	a = h.ask(messages.OrderSubject("list"), `{"channel":"odd"}`)
	h.wantError(a, messages.CodeInternal, "")
	if strings.Contains(a.Error.Message, "odd") {
		t.Errorf("answer %s", a.raw)
	}
}

// TestSlowListsHoldUpNothing proves that lists which wait for other nodes keep no placement waiting, and that there are only so many of
// them: as many as may be are held up, one more is refused, an order is placed meanwhile.
func TestSlowListsHoldUpNothing(t *testing.T) {
	h := openHouse(t, Limits{})
	var answered sync.WaitGroup
	for range listsMax {
		answered.Add(1)
		go func() {
			defer answered.Done()
			m := nats.NewMsg(messages.OrderSubject("list"))
			m.Data = []byte(`{"channel":"slow"}`)
			m.Header.Set(messages.HeaderDeadlineMs, "30000")
			if _, err := h.nc.RequestMsg(m, 30*time.Second); err != nil {
				t.Error(err)
			}
		}()
	}
	eventually(t, "all lists are being made", func() bool { return h.in.lists.Load() == listsMax })
	h.wantError(h.ask(messages.OrderSubject("list"), `{}`), messages.CodeLimit, "")
	if a := h.ask(messages.PlaceSubject("web"), goodOrder); !a.OK || h.in.lists.Load() != listsMax {
		t.Errorf("answer %s while %d lists are made", a.raw, h.in.lists.Load())
	}
	close(h.directory.hold)
	answered.Wait()
	if a := h.ask(messages.OrderSubject("list"), `{}`); !a.OK {
		t.Errorf("answer %s", a.raw)
	}
}

// TestCapacityNamesWhatIsGiven proves that a change of one limit is one command that says only what was given: repeated after another limit was changed it is
// the same command, not a conflict, and it never writes back what another operator has changed meanwhile.
func TestCapacityNamesWhatIsGiven(t *testing.T) {
	h := openHouse(t, Limits{})
	perDay := int64(2)
	h.actors.set(func(r messages.Request) *messages.Reply {
		reply := placed(r)
		perDay++ // somebody else is at it
		reply.GetSite().GetSite().GetDoc().Capacity.PerDay = perDay
		return reply
	})
	for range 2 {
		if a := h.ask(messages.SiteSubject("capacity"), `{"id":"den","per_hour":500}`, messages.HeaderCommandID, "k"); !a.OK {
			t.Fatalf("answer %s", a.raw)
		}
	}
	seen := h.actors.requests()
	if len(seen) != 2 {
		t.Fatalf("%d requests, want the two that were sent", len(seen))
	}
	for _, r := range seen {
		set := r.Command.(*messages.SetSiteCapacity)
		if r.CommandID != "client/k" || set.Capacity != nil || set.Change.GetPerHour() != 500 || set.Change.PerDay != nil || set.Change.OpenMax != nil {
			t.Errorf("%s sets %v", r.CommandID, set)
		}
	}
}

// TestShedding proves that a door whose limit is reached answers `limit` at once with a time to come back, holds no more than the
// limit, and serves again when the answers come.
func TestShedding(t *testing.T) {
	h := openHouse(t, Limits{RequestsMax: 10})
	h.actors.set(nil)
	inbox := h.nc.NewInbox()
	sub, err := h.nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	for range 30 {
		if err := h.nc.PublishRequest(messages.PlaceSubject("web"), inbox, []byte(goodOrder)); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		m, err := sub.NextMsg(2 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		var a wire.Head
		if err := wire.DecodeAnswer(m.Data, &a); err != nil || a.OK || a.Error.Code != messages.CodeLimit || !a.Error.Retryable || a.Error.RetryAfterMs <= 0 {
			t.Fatalf("answer %s", m.Data)
		}
	}
	if n := len(h.actors.requests()); n != 10 {
		t.Errorf("%d requests passed, want 10", n)
	}
	if a := h.ask(messages.StockSubject("get"), `{"sku":"B"}`); a.Error.Code != messages.CodeNotFound {
		t.Errorf("another door answers %s", a.raw)
	}
	for _, r := range h.actors.requests() {
		r.Done(placed(r))
		r.Done(placed(r)) // a second answer is ignored
	}
	for range 10 {
		if _, err := sub.NextMsg(2 * time.Second); err != nil {
			t.Fatal(err)
		}
	}
	h.actors.set(placed)
	eventually(t, "room again", func() bool { return h.in.inFlight() == 0 })
	if a := h.ask(messages.PlaceSubject("web"), goodOrder); !a.OK {
		t.Errorf("answer %s", a.raw)
	}
}

// TestBytesAreBounded proves that few large requests are shed as many small ones are.
func TestBytesAreBounded(t *testing.T) {
	h := openHouse(t, Limits{BytesMax: 100})
	h.wantError(h.ask(messages.PlaceSubject("web"), goodOrder), messages.CodeLimit, "")
}

// TestTimeout proves that the door answers `timeout` when no actor does, soon after the caller's own deadline, exactly once, and
// that the late answer harms nothing; a list is answered with what is known.
func TestTimeout(t *testing.T) {
	h := openHouse(t, Limits{Grace: 10 * time.Millisecond})
	var late atomic.Int32
	h.actors.set(func(r messages.Request) *messages.Reply {
		if r.To.ID == "A@den" {
			return placed(r)
		}
		time.AfterFunc(300*time.Millisecond, func() { r.Done(placed(r)); late.Add(1) })
		return nil
	})
	began := time.Now()
	a := h.ask(messages.OrderSubject("cancel"), `{"order_id":"web-1"}`, messages.HeaderDeadlineMs, "50")
	h.wantError(a, messages.CodeTimeout, "")
	if took := time.Since(began); took < 50*time.Millisecond || took > 250*time.Millisecond || !a.Error.Retryable {
		t.Errorf("answered after %s: %s", took, a.raw)
	}
	a = h.ask(messages.StockSubject("get"), `{"sku":"A"}`, messages.HeaderDeadlineMs, "50")
	h.wantError(a, messages.CodeTimeout, "[1]")
	if !strings.Contains(string(a.raw), `"buckets":[{"sku":"A","site":"den"`) {
		t.Errorf("answer %s", a.raw)
	}
	eventually(t, "late answers", func() bool { return late.Load() == 2 })
	if n := h.in.inFlight(); n != 0 {
		t.Errorf("%d in flight", n)
	}
}

// TestInlineAnswers proves that an actor which answers inside Send is served like any other.
func TestInlineAnswers(t *testing.T) {
	h := openHouse(t, Limits{})
	h.actors.inline = true
	if a := h.ask(messages.StockSubject("set"), `[{"sku":"A","site":"den","on_hand":1},{"sku":"A","site":"nyc","on_hand":2}]`); !a.OK {
		t.Errorf("answer %s", a.raw)
	}
}

// TestStopAnswers proves that stopping answers what nobody else will, and leaves no goroutine behind.
func TestStopAnswers(t *testing.T) {
	h := openHouse(t, Limits{})
	h.actors.set(nil)
	done := make(chan answer, 1)
	go func() { done <- h.ask(messages.PlaceSubject("web"), goodOrder) }()
	eventually(t, "in flight", func() bool { return h.in.inFlight() == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := h.in.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	h.wantError(<-done, messages.CodeUnavailable, "")
}

// TestWheel proves that calls expire at their time and not before, also beyond one turn of the wheel and when the clock jumps.
func TestWheel(t *testing.T) {
	w := &wheel{}
	w.at = w.number(1_000_000)
	turn := int64(wheelSlots) * wheelStep.Milliseconds()
	calls := map[string]*call{
		"past": {expires: 999_000}, "soon": {expires: 1_000_100}, "next turn": {expires: 1_000_100 + turn}, "removed": {expires: 1_000_100},
	}
	for _, c := range calls {
		w.add(c)
	}
	w.remove(calls["removed"])
	w.remove(calls["removed"])
	for _, step := range []struct {
		at   int64
		want int
	}{{1_000_050, 1}, {1_000_099, 0}, {1_000_140, 1}, {1_000_000, 0}, {1_000_090 + turn, 0}, {1_000_000 + 9*turn, 1}, {1_000_000 + 20*turn, 0}} {
		if got := w.sweep(step.at); len(got) != step.want {
			t.Errorf("at %d: %d expired, want %d", step.at, len(got), step.want)
		}
	}
}
