package order

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cockroachdb/datadriven"

	"orderyard/messages"
)

// args reads the words of a story's command.
type args struct{ d *datadriven.TestData }

// first is the first argument without a value; "" when there is none.
func (a args) first() string {
	if len(a.d.CmdArgs) == 0 || len(a.d.CmdArgs[0].Vals) > 0 {
		return ""
	}
	return a.d.CmdArgs[0].Key
}

func (a args) has(key string) bool {
	for _, arg := range a.d.CmdArgs {
		if arg.Key == key {
			return true
		}
	}
	return false
}

// word is the value of key=value.
func (a args) word(key string) string {
	for _, arg := range a.d.CmdArgs {
		if arg.Key == key && len(arg.Vals) > 0 {
			return strings.Join(arg.Vals, ",")
		}
	}
	return ""
}

func (a args) number(key string) int64 {
	if a.word(key) == "" {
		return 0
	}
	n, err := strconv.ParseInt(a.word(key), 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

// quantity reads "line:quantity".
func quantity(text string) *messages.LineQuantity {
	var l messages.LineQuantity
	if _, err := fmt.Sscanf(text, "%d:%d", &l.Line, &l.Quantity); err != nil {
		panic(err)
	}
	return &messages.LineQuantity{Line: l.Line, Quantity: l.Quantity}
}

// testOrder is a valid order of lines given as "SKU*quantity".
func testOrder(id string, lines ...string) *messages.Order {
	o := &messages.Order{
		Channel: "web", ExternalId: id, Currency: "USD", CustomerId: "c-17", ShippingService: "standard",
		ShipTo: &messages.Address{Name: "A. Buyer", City: "Denver", Region: "CO", PostalCode: "80202", Country: "US"},
	}
	for i, text := range lines {
		sku, n, _ := strings.Cut(text, "*")
		quantity, _ := strconv.ParseInt(n, 10, 64)
		o.Lines = append(o.Lines, &messages.OrderLine{Id: strconv.Itoa(i + 1), Sku: sku, Quantity: quantity, UnitPrice: 1000})
	}
	return o
}

// place reads "place lines=(A*2,B*1) partial=split splits=2 short=hold pay=3000 fingerprint=7".
func (a args) place() *messages.PlaceOrder {
	lines := strings.Split(a.word("lines"), ",")
	o := testOrder("1", lines...)
	o.Partial, o.SplitsMax, o.OnShort = a.word("partial"), int32(a.number("splits")), a.word("short")
	o.DeliverBy, o.Priority = a.word("by"), int32(a.number("priority"))
	if a.has("pay") {
		o.HasPayment, o.PaymentMethod, o.PaymentAmount = true, "card", a.number("pay")
	}
	if a.has("country") {
		o.ShipTo.Country = a.word("country")
	}
	fingerprint := uint64(1)
	if a.has("fingerprint") {
		fingerprint = uint64(a.number("fingerprint"))
	}
	return &messages.PlaceOrder{Order: o, Fingerprint: fingerprint}
}

func status(word string) messages.FulfillmentStatus {
	return messages.FulfillmentStatus(messages.FulfillmentStatus_value["FULFILLMENT_STATUS_"+strings.ToUpper(word)])
}

func request(word string) messages.RequestStatus {
	return messages.RequestStatus(messages.RequestStatus_value["REQUEST_STATUS_"+strings.ToUpper(word)])
}

// reply reads "answer 1/0/r0 declined atp=1", "answer 1/q status=scheduled request=accepted", "answer 1/x refused".
func (a args) reply() *messages.Reply {
	r := &messages.Reply{}
	for _, code := range []string{"declined", "rejected", "too_late", "not_found", "conflict", "internal"} {
		if a.has(code) {
			r.Failure = messages.Fail(code, "", "says the story")
		}
	}
	if a.has("atp") || a.has("expires") {
		stock := &messages.StockReply{Atp: a.number("atp")}
		if a.has("expires") {
			stock.ExpiresAtMs = noon + duration(a.word("expires"))
		}
		r.Body = &messages.Reply_Stock{Stock: stock}
	}
	if a.has("status") || a.has("request") {
		r.Body = &messages.Reply_Fulfillment{Fulfillment: &messages.FulfillmentReply{
			Status: status(a.word("status")), RequestStatus: request(a.word("request")), Reason: a.word("reason"),
		}}
	}
	return r
}

// changed reads "changed 1 status=picked request=accepted reason=damaged lines=(0:1) seq=4 shipment=S1".
func (a args) changed() *messages.FulfillmentChanged {
	c := &messages.FulfillmentChanged{
		FulfillmentId: "web-1." + a.first(), Status: status(a.word("status")), RequestStatus: request(a.word("request")), Reason: a.word("reason"),
		Sequence: uint64(a.number("seq")),
	}
	if !a.has("request") {
		c.RequestStatus = requestAccepted
	}
	if a.has("lines") {
		for _, text := range strings.Split(a.word("lines"), ",") {
			l := quantity(text)
			c.Lines = append(c.Lines, &messages.FulfillmentLine{Line: l.Line, Quantity: l.Quantity})
		}
	}
	if id := a.word("shipment"); id != "" {
		c.Shipment = &messages.Shipment{Id: id, Carrier: "ups"}
	}
	return c
}
