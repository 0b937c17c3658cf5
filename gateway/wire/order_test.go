package wire

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"orderyard/messages"
)

const contractOrder = `{
  "channel": "web", "external_id": "1001", "placed_at": "2026-11-22T09:00:00Z", "currency": "USD",
  "customer": {"id": "c-17", "email": "a@example.com"},
  "ship_to": {"name": "A. Buyer", "line1": "1 Main St", "city": "Denver", "region": "CO", "postal_code": "80202",
              "country": "US", "lat": 39.75, "lon": -104.99},
  "lines": [{"id": "1", "sku": "TSHIRT-M", "quantity": 2, "unit_price": 1999, "labels": ["apparel"], "group": "gift-1"}],
  "shipping": {"service": "standard", "amount": 500}, "tax": 0, "discount": 0,
  "payment": {"method": "card", "token": "tok_visa", "amount": 4498},
  "policy": {"partial": "split", "splits_max": 3, "deliver_by": "2026-11-28", "on_short": "backorder"},
  "priority": 0, "labels": ["vip"], "attributes": {}
}`

const smallOrder = `{"channel":"web","external_id":"7","currency":"USD","ship_to":{"country":"US","postal_code":"80202"},"lines":[{"id":"1","sku":"A","quantity":1,"unit_price":0}]}`

// TestContractOrder proves that the contract's own example is read without a word, and comes back the same from its message.
func TestContractOrder(t *testing.T) {
	o, errs, f := DecodeOrder([]byte(contractOrder))
	if f != nil || len(errs) > 0 {
		t.Fatalf("refused: %v %v", f, errs)
	}
	if o.PlacedAtMs != 1795338000000 || o.Lines[0].UnitPrice != 1999 || !o.ShipTo.HasPosition || o.PaymentAmount != 4498 || o.SplitsMax != 3 {
		t.Fatalf("read wrongly: %v", o)
	}
	doc := OrderOf(o)
	b, err := Encode(doc)
	if err != nil {
		t.Fatal(err)
	}
	again, errs, f := DecodeOrder(b)
	if f != nil || len(errs) > 0 {
		t.Fatalf("own document refused: %v %v\n%s", f, errs, b)
	}
	if first, second := mustBytes(t, o), mustBytes(t, again); !bytes.Equal(first, second) {
		t.Fatalf("changed on the way:\n%v\n%v", o, again)
	}
}

func mustBytes(t *testing.T, m messages.Message) []byte {
	t.Helper()
	b, err := m.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRequiredFieldsOnly proves that an order with nothing but the contract's required fields passes.
func TestRequiredFieldsOnly(t *testing.T) {
	if _, errs, f := DecodeOrder([]byte(smallOrder)); f != nil || len(errs) > 0 {
		t.Fatalf("refused: %v %v", f, errs)
	}
}

// TestUnknownFieldsMoveUnderAttributes proves that an order and its lines keep what they do not know, sorted, so that the same
// content gives the same bytes; and that a name in both places is refused rather than guessed.
func TestUnknownFieldsMoveUnderAttributes(t *testing.T) {
	body := strings.Replace(smallOrder, `"channel"`, `"zeta":[1, 2],"gift":true,"attributes":{"b":12345678901234567890,"a":{}},"channel"`, 1)
	body = strings.Replace(body, `"sku"`, `"color":"red","sku"`, 1)
	o, errs, f := DecodeOrder([]byte(body))
	if f != nil || len(errs) > 0 {
		t.Fatalf("refused: %v %v", f, errs)
	}
	if got, want := string(o.Attributes), `{"a":{},"b":12345678901234567890,"gift":true,"zeta":[1,2]}`; got != want {
		t.Errorf("attributes %s, want %s", got, want)
	}
	if got, want := string(o.Lines[0].Attributes), `{"color":"red"}`; got != want {
		t.Errorf("line attributes %s, want %s", got, want)
	}
	clash := strings.Replace(smallOrder, `"channel"`, `"gift":true,"attributes":{"gift":false},"channel"`, 1)
	if _, errs, f = DecodeOrder([]byte(clash)); f != nil || len(errs) != 1 || errs[0].Field != "attributes" {
		t.Errorf("a name in both places: %v %v", f, errs)
	}
}

// TestOrderGarbage proves that every kind of garbage gets a clear `invalid` that names the field, never a guess: the document is
// the small order with one thing broken.
func TestOrderGarbage(t *testing.T) {
	lines501 := `"lines":[` + strings.Repeat(`{"id":"1","sku":"A","quantity":1,"unit_price":0},`, 500) + `{"id":"1","sku":"A","quantity":1,"unit_price":0}]`
	line := `"lines":[{"id":"1","sku":"A","quantity":1,"unit_price":0}]`
	for _, c := range []struct{ name, old, new, field, says string }{
		{"truncated", `"unit_price":0}]}`, `"unit_pri`, "lines[0]", "ends too early"},
		{"empty", smallOrder, ``, "body", "ends too early"},
		{"not JSON", smallOrder, `hello`, "body", "not valid JSON"},
		{"trailing", `]}`, `]} {}`, "body", "not valid JSON"},
		{"a list", smallOrder, `[]`, "body", "must be an object"},
		{"oversize", `"web"`, `"` + strings.Repeat("x", OrderBytesMax) + `"`, "body", "at most 262144"},
		{"deep", `"channel"`, `"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `,"channel"`, "body", "nests deeper"},
		{"twice", `"currency"`, `"channel":"app","currency"`, "channel", "twice"},
		{"bad UTF-8", `"sku":"A"`, "\"sku\":\"\xff\xfe\"", "lines[0].sku", "invalid UTF-8"},
		{"unknown below", `"country"`, `"planet":"Mars","country"`, "ship_to.planet", "not a field"},
		{"negative", `"quantity":1`, `"quantity":-1`, "lines[0].quantity", "at least 1"},
		{"zero", `"quantity":1`, `"quantity":0`, "lines[0].quantity", "at least 1"},
		{"overflow", `"quantity":1`, `"quantity":9223372036854775808`, "lines[0].quantity", "out of range"},
		{"far overflow", `"quantity":1`, `"quantity":1e400`, "lines[0].quantity", "whole number"},
		{"too many", `"quantity":1`, `"quantity":9223372036854775807`, "lines[0].quantity", "at most"},
		{"fraction", `"quantity":1`, `"quantity":1.5`, "lines[0].quantity", "whole number"},
		{"text for number", `"quantity":1`, `"quantity":"1"`, "lines[0].quantity", "not a string"},
		{"number for text", `"sku":"A"`, `"sku":5`, "lines[0].sku", "must be a string"},
		{"negative price", `"unit_price":0`, `"unit_price":-5`, "lines[0].unit_price", "at least 0"},
		{"no price", `,"unit_price":0`, ``, "lines[0].unit_price", "required"},
		{"501 lines", line, lines501, "lines", "501 entries"},
		{"no lines", line, `"lines":[]`, "lines", "at least one"},
		{"worth too much", `"quantity":1,"unit_price":0`, `"quantity":1000000,"unit_price":1000000000000`, "lines", "worth more"},
		{"same line id", line, `"lines":[{"id":"1","sku":"A","quantity":1,"unit_price":0},{"id":"1","sku":"B","quantity":1,"unit_price":0}]`, "lines[1].id", "already"},
		{"bad channel", `"web"`, `"w.b"`, "channel", "only letters"},
		{"no id", `"external_id":"7",`, ``, "external_id", "required"},
		{"SKU with @", `"sku":"A"`, `"sku":"A@x"`, "lines[0].sku", "printable"},
		{"currency", `"USD"`, `"dollars"`, "currency", "currency code"},
		{"country", `"US"`, `"America"`, "ship_to.country", "country code"},
		{"lat alone", `"country"`, `"lat":3,"country"`, "ship_to.lon", "required with lat"},
		{"lat", `"country"`, `"lat":93,"lon":1,"country"`, "ship_to.lat", "between"},
		{"time", `"currency"`, `"placed_at":"yesterday","currency"`, "placed_at", "RFC 3339"},
		{"time number", `"currency"`, `"placed_at":12,"currency"`, "placed_at", "RFC 3339"},
		{"old time", `"currency"`, `"placed_at":"0001-01-01T00:00:00Z","currency"`, "placed_at", "1970"},
		{"policy", `"currency"`, `"policy":{"partial":"maybe"},"currency"`, "policy.partial", "allowed are"},
		{"date", `"currency"`, `"policy":{"deliver_by":"soon"},"currency"`, "policy.deliver_by", "a date"},
		{"attributes", `"currency"`, `"attributes":[],"currency"`, "attributes", "object"},
		{"priority", `"currency"`, `"priority":3000000000,"currency"`, "priority", "out of range"},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := strings.Replace(smallOrder, c.old, c.new, 1)
			if body == smallOrder {
				t.Fatal("the case breaks nothing")
			}
			o, errs, f := DecodeOrder([]byte(body))
			if f == nil {
				f = messages.InvalidAll(errs)
			}
			if f == nil {
				t.Fatalf("accepted: %v", o)
			}
			if f.Code != messages.CodeInvalid || f.Field != c.field || !strings.Contains(f.Message, c.says) {
				t.Errorf("says %q of %q (%s), want %q of %q", f.Message, f.Field, f.Code, c.says, c.field)
			}
		})
	}
}

// TestAllFailuresTogether proves that several wrong values are reported in one answer, each with its path.
func TestAllFailuresTogether(t *testing.T) {
	body := `{"channel":"w b","external_id":"","currency":"","ship_to":{},"lines":[{"id":"","sku":"","quantity":0},{"id":"2","sku":"x@y","quantity":-4,"unit_price":-1}]}`
	_, errs, f := DecodeOrder([]byte(body))
	if f != nil {
		t.Fatal(f)
	}
	var fields []string
	for _, e := range errs {
		fields = append(fields, e.Field)
	}
	want := "lines[0].unit_price channel external_id currency ship_to.country ship_to.postal_code lines[0].id lines[0].sku lines[0].quantity lines[1].sku lines[1].quantity lines[1].unit_price"
	if got := strings.Join(fields, " "); got != want {
		t.Errorf("fields\n%s, want\n%s", got, want)
	}
}

// TestErrorsAreBounded proves that a thoroughly broken order is answered with a bounded list.
func TestErrorsAreBounded(t *testing.T) {
	body := strings.Replace(smallOrder, `"lines":[`, `"lines":[`+strings.Repeat(`{},`, 400), 1)
	_, errs, f := DecodeOrder([]byte(body))
	if f != nil || len(errs) > 2*errorsMax || len(errs) < errorsMax {
		t.Fatalf("%d errors, failure %v", len(errs), f)
	}
}

// FuzzDecodeOrder looks for input that panics, or is accepted and then does not survive its own round trip.
func FuzzDecodeOrder(f *testing.F) {
	f.Add([]byte(contractOrder))
	f.Add([]byte(smallOrder))
	f.Add([]byte(strings.Replace(smallOrder, `"channel"`, `"a":{"b":"\ud800"},"attributes":{"c":1e3},"channel"`, 1)))
	f.Fuzz(func(t *testing.T, body []byte) {
		o, errs, failure := DecodeOrder(body)
		if failure != nil {
			EncodeFailure(failure)
			return
		}
		if len(errs) > 0 {
			EncodeFailure(messages.InvalidAll(errs))
			return
		}
		b, err := Encode(OrderOf(o))
		if err != nil {
			t.Fatalf("accepted but cannot be written: %v", err)
		}
		again, errs, failure := DecodeOrder(b)
		if len(b) > OrderBytesMax {
			return // escapes may grow a document beyond the bound
		}
		if failure != nil || len(errs) > 0 {
			t.Fatalf("own document refused: %v %v\n%s", failure, errs, b)
		}
		if !bytes.Equal(mustBytes(t, o), mustBytes(t, again)) {
			t.Fatalf("changed on the way:\n%v\n%v", o, again)
		}
	})
}

func BenchmarkDecodeOrder(b *testing.B) {
	for _, c := range []struct{ name, body string }{{"contract", contractOrder}, {"small", smallOrder}} {
		b.Run(c.name+"/"+strconv.Itoa(len(c.body)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, errs, f := DecodeOrder([]byte(c.body)); f != nil || len(errs) > 0 {
					b.Fatal(f, errs)
				}
			}
		})
	}
}
