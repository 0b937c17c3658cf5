package wire

import (
	"reflect"
	"strings"
	"testing"

	"orderyard/messages"
)

// everyRequest makes one empty document of each kind of request.
var everyRequest = map[string]func() Request{
	"order.get":     func() Request { return new(GetOrderRequest) },
	"order.trace":   func() Request { return new(TraceOrderRequest) },
	"order.explain": func() Request { return new(ExplainOrderRequest) },
	"order.cancel":  func() Request { return new(CancelOrderRequest) },
	"order.hold":    func() Request { return new(HoldOrderRequest) },
	"order.release": func() Request { return new(ReleaseOrderRequest) },
	"stock.set":     func() Request { return new(SetStockRequest) },
	"stock.adjust":  func() Request { return new(AdjustStockRequest) },
	"stock.receive": func() Request { return new(ReceiveStockRequest) },
	"stock.get":     func() Request { return new(GetStockRequest) },
	"stock.reserve": func() Request { return new(ReserveStockRequest) },
	"stock.confirm": func() Request { return new(ConfirmReservationRequest) },
	"stock.cancel":  func() Request { return new(CancelReservationRequest) },
	"site.get":      func() Request { return new(GetSiteRequest) },
	"site.pause":    func() Request { return new(PauseSiteRequest) },
	"site.resume":   func() Request { return new(ResumeSiteRequest) },
	"site.capacity": func() Request { return new(SiteCapacityRequest) },
}

// TestRequests proves that good requests become the right commands for the right entity, with the contract's defaults.
func TestRequests(t *testing.T) {
	for _, c := range []struct{ verb, body, to, want string }{
		{"order.get", `{"order_id":"web-1","timeline":true}`, "order/web-1", `timeline:true decisions:true`},
		{"order.trace", `{"order_id":"web-1"}`, "order/web-1", `timeline:true decisions:true`},
		{"order.explain", `{"order_id":"web-1"}`, "order/web-1", `decisions:true`},
		{"order.cancel", `{"order_id":"web-1"}`, "order/web-1", `reason:"customer"`},
		{"order.cancel", `{"order_id":"web-1","reason":"fraud","note":"n","actor":"a"}`, "order/web-1", `reason:"fraud" note:"n" actor:"a"`},
		{"order.hold", `{"order_id":"web-1","reason":"other","until":"1970-01-01T00:00:01.5Z"}`, "order/web-1", `reason:"other" until_ms:1500`},
		{"order.release", `{"order_id":"web-1","exception":"unroutable"}`, "order/web-1", `exception:"unroutable"`},
		{"stock.set", `{"sku":"A b","site":"den","on_hand":0,"safety_stock":0}`, "bucket/A b@den", `sku:"A b" site:"den" has_safety_stock:true`},
		{"stock.adjust", `{"sku":"A","site":"den","delta":-3,"reason":"lost"}`, "bucket/A@den", `sku:"A" site:"den" delta:-3 reason:"lost"`},
		{"stock.receive", `{"sku":"A","site":"den","quantity":3,"reference":"po"}`, "bucket/A@den", `sku:"A" site:"den" quantity:3 reference:"po"`},
		{"stock.get", `{"sku":"A","site":"den"}`, "bucket/A@den", ``},
		{"stock.reserve", `{"reservation_id":"r","sku":"A","site":"den","quantity":1}`, "bucket/A@den",
			`sku:"A" site:"den" reservation_id:"r" quantity:1 hold_for_ms:600000`},
		{"stock.confirm", `{"reservation_id":"r","sku":"A","site":"den"}`, "bucket/A@den", `sku:"A" site:"den" reservation_id:"r"`},
		{"stock.cancel", `{"reservation_id":"r","sku":"A","site":"den"}`, "bucket/A@den", `sku:"A" site:"den" reservation_id:"r"`},
		{"site.get", `{"id":"den"}`, "site/den", ``},
		{"site.pause", `{"id":"den"}`, "site/den", `status:"suspended"`},
		{"site.pause", `{"id":"den","status":"offline"}`, "site/den", `status:"offline"`},
		{"site.resume", `{"id":"den"}`, "site/den", `status:"online"`},
	} {
		doc := everyRequest[c.verb]()
		if f := Decode([]byte(c.body), doc); f != nil {
			t.Errorf("%s %s: %v", c.verb, c.body, f)
			continue
		}
		to, cmd, f := doc.Command()
		if f != nil || to.String() != c.to || text(cmd) != c.want {
			t.Errorf("%s %s: %s %s %v, want %s %s", c.verb, c.body, to, text(cmd), f, c.to, c.want)
		}
	}
}

// text is a message's one-line form without protobuf's deliberate noise.
func text(m messages.Message) string {
	s, _ := m.(interface{ String() string })
	return strings.Join(strings.Fields(s.String()), " ")
}

// TestListRefuses proves that a list of nothing is never the answer to a word that no order has, and that a cursor is taken whole or not at all.
func TestListRefuses(t *testing.T) {
	for _, c := range []struct {
		filter ListFilter
		field  string
	}{
		{ListFilter{Status: "shiped"}, "status"}, {ListFilter{Status: "open"}, "status"}, {ListFilter{Cursor: "1795000000000"}, "cursor"},
		{ListFilter{Cursor: "/web-1"}, "cursor"}, {ListFilter{Cursor: "12/"}, "cursor"}, {ListFilter{Cursor: "1x/web-1"}, "cursor"},
		{ListFilter{Cursor: "-1/web-1"}, "cursor"}, {ListFilter{Cursor: "99999999999999999999/web-1"}, "cursor"},
		{ListFilter{Status: "shipped", Cursor: "1795000000000/web-1"}, ""},
	} {
		if f := c.filter.Check(); f.GetField() != c.field {
			t.Errorf("%+v: %v", c.filter, f)
		}
	}
}

// TestRequestsRefuse proves that an empty request of every kind lists what it lacks, and that every kind refuses unknown fields.
func TestRequestsRefuse(t *testing.T) {
	for verb, make := range everyRequest {
		doc := make()
		if f := Decode([]byte(`{}`), doc); f != nil {
			t.Errorf("%s: %v", verb, f)
		}
		if _, _, f := doc.Command(); f == nil || f.Code != messages.CodeInvalid || len(f.Errors) == 0 || f.Field == "" {
			t.Errorf("%s: an empty request gives %v", verb, f)
		}
		if f := Decode([]byte(`{"zzz":1}`), make()); f == nil || f.Field != "zzz" {
			t.Errorf("%s: an unknown field gives %v", verb, f)
		}
	}
}

const contractSite = `{"id":"den","name":"Denver","type":"dc","lat":39.7,"lon":-104.9,"postal_code":"80202","country":"US",
"capacity":{"per_hour":500,"per_day":4000,"open_max":2000},
"calendar":{"time_zone":"America/Denver","open":{"mon":"08:00-18:00","sun":"00:00-24:00"},"cut_off":"15:00","closed":["2026-12-25"]},
"groups":["us","dc"],"labels_allowed":[],"cost":{"per_order":150,"per_unit":30},"accept":"manual","status":"online",
"region":"CO","rank":20,"markets":["us","ca"],"carriers":[{"name":"ups","service":"standard"},{"name":"usps"}],
"attributes":{"grade":-3,"cold":true,"dock":"B \u00e9","big":9223372036854775807,"dry":false}}`

// TestSite proves that the contract's site document is read, with its week as seven days from Monday, and comes back the same.
func TestSite(t *testing.T) {
	var doc Site
	if f := Decode([]byte(contractSite), &doc); f != nil {
		t.Fatal(f)
	}
	m, f := doc.Message(nil)
	if f != nil {
		t.Fatal(f)
	}
	if got := strings.Join(m.Calendar.Open, ","); got != "08:00-18:00,,,,,,00:00-24:00" || m.Capacity.OpenMax != 2000 || m.CostPerUnit != 30 {
		t.Errorf("read as %v", m)
	}
	again, f := SiteOf(m).Message(nil)
	if f != nil || text(again) != text(m) {
		t.Errorf("came back as %v %v, want %v", again, f, m)
	}
	if got, want := text(&messages.SiteDoc{Region: m.Region, Rank: m.Rank, Markets: m.Markets, Carriers: m.Carriers, Attributes: m.Attributes}),
		`region:"CO" rank:20 markets:"us" markets:"ca" carriers:{name:"ups" service:"standard"} carriers:{name:"usps"} `+
			`attributes:{name:"big" number:9223372036854775807} attributes:{name:"cold" truth:true} attributes:{name:"dock" text:"B é"} `+
			`attributes:{name:"dry" truth:false} attributes:{name:"grade" number:-3}`; got != want {
		t.Errorf("for the rules\n%s, want\n%s", got, want)
	}
	b, err := Encode(SiteOf(m))
	if part := `"attributes":{"big":9223372036854775807,"cold":true,"dock":"B é","dry":false,"grade":-3}`; err != nil || !strings.Contains(string(b), part) {
		t.Errorf("written as %s %v, want %s", b, err, part)
	}
}

// TestSiteRefused proves that what rules ask about is read strictly, and that the refusal names the field.
func TestSiteRefused(t *testing.T) {
	for _, c := range []struct{ doc, field, message string }{
		{`{"id":"den","attributes":{"a":1,"b":null}}`, "attributes.b", "must be a string, a whole number, or true or false"},
		{`{"id":"den","attributes":{"b":[1]}}`, "attributes.b", "must be a string, a whole number, or true or false"},
		{`{"id":"den","attributes":{"b":{"c":1}}}`, "attributes.b", "must be a string, a whole number, or true or false"},
		{`{"id":"den","attributes":{"b":1.5}}`, "attributes.b", "must be a whole number without fraction or exponent"},
		{`{"id":"den","attributes":{"b":1e3}}`, "attributes.b", "must be a whole number without fraction or exponent"},
		{`{"id":"den","attributes":{"b":9223372036854775808}}`, "attributes.b", "is out of range: whole numbers have at most 64 bits"},
		{`{"id":"den","attributes":{"b":1,"b":2}}`, "attributes.b", "is given twice"},
		{`{"id":"den","attributes":["b"]}`, "attributes", "must be an object, not a list"},
		{`{"id":"den","carriers":["ups"]}`, "carriers[0]", "must be an object, not a string"},
		{`{"id":"den","carriers":[{"name":"ups","speed":1}]}`, "carriers[0].speed", "is not a field of this document"},
		{`{"id":"den","rank":"1"}`, "rank", "must be a whole number, not a string"},
		{`{"id":"den","rank":1.0}`, "rank", "must be a whole number without fraction or exponent"},
		{`{"id":"den","markets":"us"}`, "markets", "must be a list, not a string"},
	} {
		var doc Site
		if f := Decode([]byte(c.doc), &doc); f == nil || f.Field != c.field || f.Message != c.message {
			t.Errorf("%s gives %v, want %s %s", c.doc, f, c.field, c.message)
		}
	}
}

// TestSiteByPostalCode proves that a site without a position is placed by its postal code, and refused when that is unknown.
func TestSiteByPostalCode(t *testing.T) {
	locate := func(postal, country string) (float64, float64, bool) {
		return 39, -104, postal == "80202" && country == "US"
	}
	doc := Site{ID: "den", PostalCode: "80202", Country: "US"}
	if m, f := doc.Message(locate); f != nil || m.Lat != 39 || m.Lon != -104 {
		t.Errorf("%v %v", m, f)
	}
	doc.PostalCode = "00000"
	if _, f := doc.Message(locate); f == nil || f.Field != "lat" {
		t.Errorf("unknown postal code gives %v", f)
	}
}

// TestFulfillmentRequest proves what a site's answer becomes, and what is refused.
func TestFulfillmentRequest(t *testing.T) {
	var r FulfillmentRequest
	body := `{"fulfillment_id":"web-1.2","reason":"not_in_stock","lines":[{"line_id":"1","quantity":2}],"note":"n","retry_after_ms":5}`
	if f := Decode([]byte(body), &r); f != nil {
		t.Fatal(f)
	}
	to, cmd, f := r.Command("reject", "den")
	want := `action:"reject" fulfillment_id:"web-1.2" reason:"not_in_stock" note:"n" lines:{line_id:"1" quantity:2} retry_after_ms:5`
	if f != nil || to != messages.SiteRef("den") || text(cmd) != want {
		t.Errorf("%v %s %v", to, text(cmd), f)
	}
	for _, c := range []struct {
		r           FulfillmentRequest
		site, field string
	}{
		{FulfillmentRequest{FulfillmentID: "web-1.1", Reason: "other"}, "a.b", "site"},
		{FulfillmentRequest{FulfillmentID: "web-1", Reason: "other"}, "den", "fulfillment_id"},
		{FulfillmentRequest{FulfillmentID: "web-1.x", Reason: "other"}, "den", "fulfillment_id"},
		{FulfillmentRequest{FulfillmentID: "we b.1", Reason: "other"}, "den", "fulfillment_id"},
		{FulfillmentRequest{FulfillmentID: "web-1.1", Reason: "other", Lines: []FulfillmentLine{{LineID: "1"}}}, "den", "lines[0].quantity"},
	} {
		if _, _, f := c.r.Command("reject", c.site); f == nil || f.Field != c.field {
			t.Errorf("%+v gives %v, want %s", c.r, f, c.field)
		}
	}
}

// TestCapacityRequest proves that limits which are not given are not named, and that all three make the command of whoever sets them all.
func TestCapacityRequest(t *testing.T) {
	for body, want := range map[string]string{
		`{"id":"den","per_day":0}`:                           `change:{per_day:0}`,
		`{"id":"den","per_hour":5,"open_max":7}`:             `change:{per_hour:5 open_max:7}`,
		`{"id":"den","per_hour":5,"per_day":0,"open_max":7}`: `capacity:{per_hour:5 open_max:7}`,
	} {
		var r SiteCapacityRequest
		if f := Decode([]byte(body), &r); f != nil {
			t.Fatal(f)
		}
		to, cmd, f := r.Command()
		if f != nil || to != messages.SiteRef("den") || text(cmd) != want {
			t.Errorf("%s: %s %s %v, want %s", body, to, text(cmd), f, want)
		}
	}
}

// TestAnswers proves the shape of answers: ok beside the fields, the closed error envelope, ATP with every decline.
func TestAnswers(t *testing.T) {
	declined := messages.Fail(messages.CodeDeclined, "", "too few")
	reserve := &messages.ReserveStock{ReservationId: "r"}
	bucket := &messages.BucketView{Sku: "A", Site: "den", OnHand: 4, Reserved: 1, Atp: 3, Version: 7}
	for _, c := range []struct {
		doc  any
		want string
	}{
		{OrderReceiptOf(&messages.Reply{Body: &messages.Reply_Order{Order: &messages.OrderReply{OrderId: "web-1", Status: "placed", Version: 3}}}),
			`{"ok":true,"order_id":"web-1","status":"placed","version":3}`},
		{StockAnswerOf(&messages.Reply{Body: &messages.Reply_Stock{Stock: &messages.StockReply{Atp: 0, ReservationStatus: "held", ExpiresAtMs: 1000}}}, reserve),
			`{"ok":true,"atp":0,"reservation_id":"r","reservation_status":"held","expires_at":"1970-01-01T00:00:01Z"}`},
		{StockAnswerOf(&messages.Reply{Failure: declined, Body: &messages.Reply_Stock{Stock: &messages.StockReply{Atp: 2}}}, reserve),
			`{"ok":false,"error":{"code":"declined","message":"too few","retryable":false},"atp":2,"reservation_id":"r"}`},
		{StockAnswerOf(&messages.Reply{Body: &messages.Reply_Stock{Stock: &messages.StockReply{Atp: 3, Bucket: bucket}}}, &messages.GetStock{}),
			`{"ok":true,"atp":3,"sku":"A","site":"den","on_hand":4,"reserved":1,"allocated":0,"safety_stock":0,"unsellable":0,"incoming":[],"version":7}`},
		{FailureHead(messages.InvalidAll([]*messages.FieldError{{Field: "a", Code: "invalid", Message: "is bad"}})),
			`{"ok":false,"error":{"code":"invalid","message":"is bad","field":"a","retryable":false,"errors":[{"field":"a","code":"invalid","message":"is bad"}]}}`},
		{HeadOf(nil), `{"ok":false,"error":{"code":"internal","message":"no answer was made","retryable":false}}`},
		{FailureHead(messages.Retry(messages.CodeLimit, 50, "later")),
			`{"ok":false,"error":{"code":"limit","message":"later","retryable":true,"retry_after_ms":50}}`},
	} {
		b, err := Encode(c.doc)
		if err != nil || string(b) != c.want {
			t.Errorf("%s %v, want\n%s", b, err, c.want)
		}
	}
}

// TestAnswersComeBack proves that a client reads what a door writes with the same structs, also from a newer node that says more.
func TestAnswersComeBack(t *testing.T) {
	view := &messages.OrderView{
		OrderId: "web-1", Status: "released", Life: "open", Version: 9, AcceptedAtMs: 5000, CancelReason: "x", Rejections: 1, Attempts: 2,
		Order:        &messages.Order{Channel: "web", ExternalId: "1", Currency: "USD", ShipTo: &messages.Address{Country: "US"}, HasPayment: true, Lines: []*messages.OrderLine{{Id: "1", Sku: "A", Quantity: 2, Attributes: []byte(`{"a":1}`)}}},
		Units:        []*messages.UnitCounts{{Released: 1, Cancelled: 1}},
		Fulfillments: []*messages.FulfillmentOrder{{Id: "web-1.1", Site: "den", Lines: []*messages.FulfillmentLine{{LineId: "1", Quantity: 2}}, Shipments: []*messages.Shipment{{Id: "s", ShippedAtMs: 1000}}}},
		Holds:        []*messages.OrderHold{{Reason: "other", PlacedAtMs: 1000}}, Exceptions: []*messages.OrderException{{Kind: "data"}},
		Decisions:  []*messages.Plan{{PlanNo: 1, Assignments: []*messages.Assignment{{Site: "den"}}, Decision: &messages.DecisionRecord{Candidates: []*messages.Candidate{{Site: "den", Scores: []int64{1}}}}}},
		Exclusions: []*messages.Exclusion{{Site: "x"}}, Timeline: []*messages.TimelineEntry{{AtMs: 1000, What: "w"}},
	}
	first := OrderAnswerOf(&messages.Reply{Body: &messages.Reply_Order{Order: &messages.OrderReply{View: view}}}, true)
	b, err := Encode(first)
	if err != nil {
		t.Fatal(err)
	}
	var again OrderAnswer
	if err := DecodeAnswer([]byte(strings.Replace(string(b), `"order_id"`, `"news":{"a":[1]},"order_id"`, 1)), &again); err != nil {
		t.Fatal(err)
	}
	second, err := Encode(again)
	if err != nil || string(second) != string(b) {
		t.Errorf("came back as\n%s %v, want\n%s", second, err, b)
	}
	failure := messages.InvalidAll([]*messages.FieldError{{Field: "a", Code: "invalid", Message: "is bad"}})
	head := FailureHead(failure)
	if got := head.Failure(); !reflect.DeepEqual(got.GetErrors()[0].GetField(), "a") || got.GetCode() != failure.GetCode() || got.GetMessage() != failure.GetMessage() {
		t.Errorf("failure came back as %v", got)
	}
}

// TestSupportedActions proves that the public fulfillment carries the actions of the one table.
func TestSupportedActions(t *testing.T) {
	f := FulfillmentOf(&messages.FulfillmentOrder{
		Status: messages.FulfillmentStatus_FULFILLMENT_STATUS_OPEN, RequestStatus: messages.RequestStatus_REQUEST_STATUS_SUBMITTED,
	})
	if got := strings.Join(f.SupportedActions, " "); got != "accept reject cancel" || f.Status != "open" || f.RequestStatus != "submitted" {
		t.Errorf("%+v", f)
	}
}

// FuzzDecodeRequest looks for input that makes any request's decoder or checks panic, or a refusal that cannot be written.
func FuzzDecodeRequest(f *testing.F) {
	for _, seed := range []string{
		contractSite, `{"order_id":"web-1","timeline":true}`, `{"sku":"A","site":"den","on_hand":1,"as_of":"2026-11-22T09:00:00Z"}`,
		`[{"reservation_id":"r","sku":"A","site":"den","quantity":1,"hold_for_ms":5}]`, `{"id":"den","per_hour":5}`,
		`{"fulfillment_id":"web-1.1","reason":"other","lines":[{"line_id":"1","quantity":2}],"shipment":{"tracking":"x"}}`,
		`{"status":"placed","cursor":"1/web-1","limit":10}`, `{"order_id":"x","until":"9999-12-31T23:59:59Z"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var failures []*messages.Failure
		for _, make := range everyRequest {
			doc := make()
			failure := Decode(body, doc)
			if failure == nil {
				_, _, failure = doc.Command()
			}
			failures = append(failures, failure)
		}
		var site Site
		if failures = append(failures, Decode(body, &site)); failures[len(failures)-1] == nil {
			m, failure := site.Message(nil)
			failures = append(failures, failure)
			if _, err := Encode(SiteOf(m)); failure == nil && err != nil {
				t.Errorf("site cannot be written: %v", err)
			}
		}
		var action FulfillmentRequest
		if Decode(body, &action) == nil {
			_, _, failure := action.Command("reject", "den")
			failures = append(failures, failure)
		}
		var list ListOrdersRequest
		if Decode(body, &list) == nil {
			failures = append(failures, list.Check())
		}
		var work FulfillmentListRequest
		if Decode(body, &work) == nil {
			_, _, failure := work.Command("den")
			failures = append(failures, failure)
		}
		_, _, failure := DecodeOneOrMany[ReserveStockRequest](body)
		failures = append(failures, failure)
		for _, failure := range failures {
			if failure == nil {
				continue
			}
			if failure.Code != messages.CodeInvalid || failure.Field == "" || failure.Message == "" {
				t.Errorf("refused without a field: %v", failure)
			}
			if strings.Contains(string(EncodeFailure(failure)), "cannot be written") {
				t.Errorf("refusal cannot be written: %q", failure.Message)
			}
		}
	})
}

// FuzzDecodeAnswer looks for answers that make a client panic.
func FuzzDecodeAnswer(f *testing.F) {
	f.Add([]byte(`{"ok":true,"order_id":"web-1","lines":[{"units":{}}]}`))
	f.Add([]byte(`{"ok":false,"error":{"code":"limit"}}`))
	f.Fuzz(func(_ *testing.T, body []byte) {
		for _, dst := range []any{
			new(OrderAnswer), new(OrderReceipt), new(OrderListAnswer), new(StockAnswer), new(StockListAnswer), new(BucketListAnswer),
			new(SiteAnswer), new(SiteListAnswer), new(FulfillmentAnswer), new(FulfillmentListAnswer), new(PlanAnswer),
		} {
			_ = DecodeAnswer(body, dst) // an error is an answer too
		}
	})
}
