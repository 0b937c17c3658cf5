package order

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"orderyard/messages"
)

// TestValidateNamesEveryField proves that each thing wrong with an order is named by its path in the public document, and that a good
// order passes: one case per rule, each breaking one field of a valid order.
func TestValidateNamesEveryField(t *testing.T) {
	long := strings.Repeat("x", 2000)
	cases := []struct {
		name   string
		break_ func(*messages.PlaceOrder)
		fields string // wanted, comma separated
	}{
		{"Valid", func(*messages.PlaceOrder) {}, ""},
		{"NoOrder", func(c *messages.PlaceOrder) { c.Order = nil }, "-"},
		{"Channel", func(c *messages.PlaceOrder) { c.Order.Channel = "" }, "channel"},
		{"ExternalID", func(c *messages.PlaceOrder) { c.Order.ExternalId = "a b" }, "external_id"},
		{"Currency", func(c *messages.PlaceOrder) { c.Order.Currency = "usd" }, "currency"},
		{"PlacedAt", func(c *messages.PlaceOrder) { c.Order.PlacedAtMs = -1 }, "placed_at"},
		{"NoAddress", func(c *messages.PlaceOrder) { c.Order.ShipTo = nil }, "ship_to.postal_code,ship_to.country"},
		{"Country", func(c *messages.PlaceOrder) { c.Order.ShipTo.Country = "XX" }, "ship_to.country"},
		{"CountryLower", func(c *messages.PlaceOrder) { c.Order.ShipTo.Country = "us" }, "ship_to.country"},
		{"PostalEmpty", func(c *messages.PlaceOrder) { c.Order.ShipTo.PostalCode = "" }, "ship_to.postal_code"},
		{"PostalUnknown", func(c *messages.PlaceOrder) { c.UnknownPostalCode = true }, "ship_to.postal_code"},
		{"PostalLong", func(c *messages.PlaceOrder) { c.Order.ShipTo.PostalCode = long }, "ship_to.postal_code"},
		{"NameUTF8", func(c *messages.PlaceOrder) { c.Order.ShipTo.Name = "\xff" }, "ship_to.name"},
		{"Latitude", func(c *messages.PlaceOrder) { c.Order.ShipTo.HasPosition, c.Order.ShipTo.Lat = true, math.NaN() }, "ship_to.lat"},
		{"Longitude", func(c *messages.PlaceOrder) { c.Order.ShipTo.HasPosition, c.Order.ShipTo.Lon = true, 181 }, "ship_to.lon"},
		{"NoLines", func(c *messages.PlaceOrder) { c.Order.Lines = nil }, "lines"},
		{"TooManyLines", func(c *messages.PlaceOrder) { c.Order.Lines = make([]*messages.OrderLine, 501) }, "lines"},
		{"LineID", func(c *messages.PlaceOrder) { c.Order.Lines[1].Id = "" }, "lines[1].id"},
		{"LineTwice", func(c *messages.PlaceOrder) { c.Order.Lines[1].Id = "1" }, "lines[1].id"},
		{"SKU", func(c *messages.PlaceOrder) { c.Order.Lines[0].Sku = "a@b" }, "lines[0].sku"},
		{"SKUUnknown", func(c *messages.PlaceOrder) { c.UnknownSkuLines = []uint32{1, 99} }, "lines[1].sku"},
		{"QuantityZero", func(c *messages.PlaceOrder) { c.Order.Lines[0].Quantity = 0 }, "lines[0].quantity"},
		{"QuantityNegative", func(c *messages.PlaceOrder) { c.Order.Lines[0].Quantity = math.MinInt64 }, "lines[0].quantity"},
		{"QuantityMost", func(c *messages.PlaceOrder) { c.Order.Lines[0].Quantity = quantityMax + 1 }, "lines[0].quantity"},
		{"PriceNegative", func(c *messages.PlaceOrder) { c.Order.Lines[1].UnitPrice = -1 }, "lines[1].unit_price"},
		{"PriceMost", func(c *messages.PlaceOrder) { c.Order.Lines[1].UnitPrice = priceMax + 1 }, "lines[1].unit_price"},
		{"Total", func(c *messages.PlaceOrder) {
			c.Order.Lines[0].Quantity, c.Order.Lines[0].UnitPrice = quantityMax, priceMax
			c.Order.Tax = 1
		}, "lines"},
		{"LineLabels", func(c *messages.PlaceOrder) { c.Order.Lines[0].Labels = []string{"ok", ""} }, "lines[0].labels[1]"},
		{"Group", func(c *messages.PlaceOrder) { c.Order.Lines[0].Group = long }, "lines[0].group"},
		{"Shipping", func(c *messages.PlaceOrder) { c.Order.ShippingAmount = -1 }, "shipping.amount"},
		{"Tax", func(c *messages.PlaceOrder) { c.Order.Tax = math.MaxInt64 }, "tax"},
		{"Discount", func(c *messages.PlaceOrder) { c.Order.Discount = 4001 }, "discount"},
		{"DiscountOfWrongLines", func(c *messages.PlaceOrder) { c.Order.Discount, c.Order.Lines[0].Quantity = 4001, 0 }, "lines[0].quantity"},
		{"Payment", func(c *messages.PlaceOrder) { c.Order.HasPayment, c.Order.PaymentAmount = true, -1 }, "payment.amount"},
		{"Partial", func(c *messages.PlaceOrder) { c.Order.Partial = "some" }, "policy.partial"},
		{"OnShort", func(c *messages.PlaceOrder) { c.Order.OnShort = "panic" }, "policy.on_short"},
		{"Splits", func(c *messages.PlaceOrder) { c.Order.SplitsMax = 21 }, "policy.splits_max"},
		{"DeliverBy", func(c *messages.PlaceOrder) { c.Order.DeliverBy = "2026-13-01" }, "policy.deliver_by"},
		{"Priority", func(c *messages.PlaceOrder) { c.Order.Priority = -101 }, "priority"},
		{"Labels", func(c *messages.PlaceOrder) { c.Order.Labels = make([]string, labelsMax+1) }, "labels"},
		{"Together", func(c *messages.PlaceOrder) {
			c.Order.Currency, c.Order.Lines[0].Quantity, c.Order.Priority = "", -1, 999
		}, "currency,lines[0].quantity,priority"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cmd := &messages.PlaceOrder{Order: testOrder("1", "A*2", "B*2"), Fingerprint: 1}
			c.break_(cmd)
			var got []string
			for _, e := range Validate(cmd) {
				got = append(got, e.Field)
				if e.Code != messages.CodeInvalid || e.Message == "" {
					t.Errorf("%s has code %q and message %q", e.Field, e.Code, e.Message)
				}
			}
			want := strings.Split(c.fields, ",")
			if c.fields == "" {
				want = nil
			} else if c.fields == "-" {
				want = []string{""}
			}
			if !slices.Equal(got, want) {
				t.Errorf("named %q, wanted %q", got, want)
			}
			// What Validate refuses, Decide refuses with the same list.
			_, _, err := Decide(New("web-1"), cmd, noon)
			var f *messages.Failure
			if errors.As(err, &f) != (len(want) > 0) || f != nil && len(f.Errors) != len(want) {
				t.Errorf("Decide says %v", err)
			}
		})
	}
}

// TestValidateLongOrders proves that duplicate ids are found in orders that are looked up by map, and that 500 lines are allowed.
func TestValidateLongOrders(t *testing.T) {
	lines := make([]string, linesMax)
	for i := range lines {
		lines[i] = fmt.Sprintf("S%d*1", i)
	}
	cmd := &messages.PlaceOrder{Order: testOrder("1", lines...)}
	if errs := Validate(cmd); len(errs) > 0 {
		t.Fatalf("500 good lines: %v", errs)
	}
	cmd.Order.Lines[499].Id = "3"
	if errs := Validate(cmd); len(errs) != 1 || errs[0].Field != "lines[499].id" {
		t.Fatalf("a duplicate id: %v", errs)
	}
}

// TestValidateIsBounded proves that an order with thousands of faults is answered with a list that fits an answer.
func TestValidateIsBounded(t *testing.T) {
	lines := make([]string, linesMax)
	for i := range lines {
		lines[i] = "A*1"
	}
	cmd := &messages.PlaceOrder{Order: testOrder("1", lines...)}
	for _, line := range cmd.Order.Lines {
		line.Labels = make([]string, labelsMax)
	}
	if errs := Validate(cmd); len(errs) != errorsMax {
		t.Errorf("%d errors", len(errs))
	}
}

// TestCountries proves that the table holds exactly the codes of the list, each once.
func TestCountries(t *testing.T) {
	codes := strings.Fields(countries)
	slices.Sort(codes)
	if n := len(slices.Compact(codes)); n != 249 {
		t.Errorf("the list holds %d codes, ISO 3166-1 assigns 249", n)
	}
	known := 0
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			if isCountry(string(a) + string(b)) {
				known++
			}
		}
	}
	if known != 249 || isCountry("") || isCountry("USA") || isCountry("U") {
		t.Errorf("%d codes are known", known)
	}
}

// TestPlaceAgain proves that the same content repeats the first answer at any time, that other content is a conflict, and that an order
// is not placed under another order's id.
func TestPlaceAgain(t *testing.T) {
	for _, fingerprint := range []uint64{0, 7} {
		h := newHarness(t, "web-1")
		place := &messages.PlaceOrder{Order: testOrder("1", "A*2"), Fingerprint: fingerprint}
		_, first, err := h.step(place)
		if err != nil {
			t.Fatal(err)
		}
		h.step(&messages.CancelOrder{})
		events, again, err := h.step(place)
		if err != nil || len(events) > 0 || !again.Replayed {
			t.Fatalf("again: %v %v %v", events, again, err)
		}
		again.Replayed = false
		if short(first) != short(again) {
			t.Errorf("first %v, again %v", first, again)
		}
		_, _, err = h.step(&messages.PlaceOrder{Order: testOrder("1", "A*3"), Fingerprint: fingerprint * 2})
		var f *messages.Failure
		if !errors.As(err, &f) || f.Code != messages.CodeConflict {
			t.Errorf("other content: %v", err)
		}
	}
	h, other := newHarness(t, "web-eu-1"), testOrder("1", "A*2")
	h.step(&messages.PlaceOrder{Order: testOrder("eu-1", "A*2")})
	other.Channel = "web-eu"
	var f *messages.Failure
	if _, _, err := h.step(&messages.PlaceOrder{Order: other}); !errors.As(err, &f) || f.Code != messages.CodeConflict || f.Field != "channel" {
		t.Errorf("another channel's order with the same id: %v", err)
	}
	_, _, err := Decide(New("web-2"), &messages.PlaceOrder{Order: testOrder("1", "A*3")}, noon)
	if !errors.As(err, &f) || f.Field != "external_id" {
		t.Errorf("another order's id: %v", err)
	}
}

// TestUnknownOrder proves that every question to an order that was never placed is not_found, and that answers and timers to it are ignored.
func TestUnknownOrder(t *testing.T) {
	for _, cmd := range []messages.Command{
		&messages.GetOrder{}, &messages.CancelOrder{}, &messages.HoldOrder{}, &messages.ReleaseOrder{}, &messages.StockArrived{},
		&messages.ClaimLost{}, &messages.FulfillmentChanged{}, &messages.TaskResult{}, &messages.OrderTimer{}, &messages.AdoptPlan{},
	} {
		events, reply, err := Decide(New("web-1"), cmd, noon)
		if len(events) > 0 || err != nil || reply != nil && reply.Failure.GetCode() != messages.CodeNotFound {
			t.Errorf("%T: %v %v %v", cmd, events, reply, err)
		}
	}
	if s := New("web-1"); Summary(s) != nil || Status(s) != "" || Waits(s) != nil || Channel(s) != "" || len(Tasks(s, noon, nil)) > 0 {
		t.Error("an order that was never placed tells of itself")
	}
}
