package wire

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"orderyard/messages"
)

// Bounds of values. They exist so that no sum in the house can overflow, not to police a business.
const (
	// QuantityMax bounds the units of one line and every stock figure.
	QuantityMax = 1_000_000_000
	// MoneyMax bounds one amount, in minor units.
	MoneyMax = 1_000_000_000_000_000
	// LineQuantityMax, UnitPriceMax and SplitsMax bound what one order may ask for.
	LineQuantityMax = 1_000_000
	UnitPriceMax    = 1_000_000_000_000
	SplitsMax       = 20
	// errorsMax bounds how many field errors one answer lists.
	errorsMax = 100
)

// checker gathers everything that is wrong.
type checker struct {
	errs []*messages.FieldError
}

func (c *checker) add(field, format string, args ...any) {
	if len(c.errs) < errorsMax {
		c.errs = append(c.errs, &messages.FieldError{Field: field, Code: messages.CodeInvalid, Message: fmt.Sprintf(format, args...)})
	}
}

func (c *checker) failure() *messages.Failure { return messages.InvalidAll(c.errs) }

func (c *checker) required(field, value string) bool {
	if value == "" {
		c.add(field, "is required")
		return false
	}
	return true
}

func (c *checker) token(field, value string) {
	if value == "" {
		c.add(field, "is required")
	} else if err := messages.CheckToken(value); err != nil {
		c.add(field, "%v", err)
	}
}

func (c *checker) sku(field, value string) {
	if value == "" {
		c.add(field, "is required")
	} else if err := messages.CheckSKU(value); err != nil {
		c.add(field, "%v", err)
	}
}

func (c *checker) between(field string, value, least, most int64) {
	switch {
	case value < least:
		c.add(field, "is %d, at least %d is required", value, least)
	case value > most:
		c.add(field, "is %d, at most %d is allowed", value, most)
	}
}

func (c *checker) oneOf(field, value string, allowed ...string) {
	if value != "" && !slices.Contains(allowed, value) {
		c.add(field, "is %q, allowed are %s", clip(value), strings.Join(allowed, ", "))
	}
}

func (c *checker) date(field, value string) {
	if value == "" {
		return
	}
	if _, err := time.Parse(time.DateOnly, value); err != nil {
		c.add(field, "is %q, a date such as 2026-11-28 is required", clip(value))
	}
}

// orderID checks an order's id: two tokens joined by '-', which is itself a longer token.
func (c *checker) orderID(field, value string) {
	const orderIDMax = 2*messages.TokenMax + 1
	switch {
	case value == "":
		c.add(field, "is required")
	case len(value) > orderIDMax:
		c.add(field, "has %d bytes, at most %d are allowed", len(value), orderIDMax)
	default:
		for i := 0; i < len(value); i += messages.TokenMax {
			if err := messages.CheckToken(value[i:min(i+messages.TokenMax, len(value))]); err != nil {
				c.add(field, "%v", err)
				return
			}
		}
	}
}

// fulfillmentID checks "<order id>.<n>".
func (c *checker) fulfillmentID(field, value string) {
	if value == "" {
		c.add(field, "is required")
		return
	}
	order, number, ok := strings.Cut(value, ".")
	if _, err := strconv.ParseUint(number, 10, 32); !ok || err != nil {
		c.add(field, "is %q, a fulfillment id such as web-1001.1 is required", clip(value))
		return
	}
	c.orderID(field, order)
}

func linePath(i int, field string) string { return "lines[" + strconv.Itoa(i) + "]." + field }

// clip keeps a quoted value of the sender short.
func clip(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// CheckOrder finds everything wrong with an order that can be seen in the order alone, with the paths of its public document.
// What only the node knows (SKUs nobody carries, places not on the map) is left to it.
func CheckOrder(o *messages.Order) []*messages.FieldError {
	var c checker
	c.token("channel", o.GetChannel())
	c.token("external_id", o.GetExternalId())
	if c.required("currency", o.GetCurrency()) && !isCurrency(o.GetCurrency()) {
		c.add("currency", "is %q, a currency code such as USD is required", clip(o.GetCurrency()))
	}
	checkAddress(&c, o.GetShipTo())
	checkLines(&c, o.GetLines())
	c.between("shipping.amount", o.GetShippingAmount(), 0, MoneyMax)
	c.between("tax", o.GetTax(), 0, MoneyMax)
	c.between("discount", o.GetDiscount(), 0, MoneyMax)
	c.between("payment.amount", o.GetPaymentAmount(), 0, MoneyMax)
	c.oneOf("policy.partial", o.GetPartial(), "split", "complete_only", "ship_available")
	c.oneOf("policy.on_short", o.GetOnShort(), "backorder", "cancel", "hold")
	c.between("policy.splits_max", int64(o.GetSplitsMax()), 0, SplitsMax)
	c.date("policy.deliver_by", o.GetDeliverBy())
	return c.errs
}

func isCurrency(s string) bool {
	return len(s) == 3 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

func checkAddress(c *checker, a *messages.Address) {
	if c.required("ship_to.country", a.GetCountry()) && (len(a.GetCountry()) != 2 || strings.Trim(a.GetCountry(), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "") {
		c.add("ship_to.country", "is %q, a country code such as US is required", clip(a.GetCountry()))
	}
	c.required("ship_to.postal_code", a.GetPostalCode())
	if a.GetHasPosition() {
		if !(math.Abs(a.GetLat()) <= 90) {
			c.add("ship_to.lat", "is %v, between -90 and 90 is required", a.GetLat())
		}
		if !(math.Abs(a.GetLon()) <= 180) {
			c.add("ship_to.lon", "is %v, between -180 and 180 is required", a.GetLon())
		}
	}
}

func checkLines(c *checker, lines []*messages.OrderLine) {
	if len(lines) == 0 {
		c.add("lines", "at least one line is required")
		return
	}
	if len(lines) > LinesMax {
		c.add("lines", "has %d entries, at most %d are allowed", len(lines), LinesMax)
		return
	}
	ids := make(map[string]int, len(lines))
	var total uint64
	for i, l := range lines {
		checkLine(c, i, l)
		if first, twice := ids[l.GetId()]; twice && l.GetId() != "" {
			c.add(linePath(i, "id"), "is %q, which lines[%d] already has", clip(l.GetId()), first)
		} else {
			ids[l.GetId()] = i
		}
		if l.GetQuantity() > 0 && l.GetUnitPrice() > 0 {
			total = addProduct(total, uint64(l.GetQuantity()), uint64(l.GetUnitPrice()))
		}
	}
	if total > MoneyMax {
		c.add("lines", "are worth more than %d minor units together", int64(MoneyMax))
	}
}

func checkLine(c *checker, i int, l *messages.OrderLine) {
	if l.GetId() == "" {
		c.add(linePath(i, "id"), "is required")
	} else if err := messages.CheckToken(l.GetId()); err != nil {
		c.add(linePath(i, "id"), "%v", err)
	}
	c.sku(linePath(i, "sku"), l.GetSku())
	c.between(linePath(i, "quantity"), l.GetQuantity(), 1, LineQuantityMax)
	c.between(linePath(i, "unit_price"), l.GetUnitPrice(), 0, UnitPriceMax)
}

// addProduct adds a×b, stopping at the top instead of wrapping around.
func addProduct(total, a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	sum, carry := bits.Add64(total, low, 0)
	if high != 0 || carry != 0 {
		return math.MaxUint64
	}
	return sum
}

// JoinErrors adds to what is wrong with a document what others found, each field once: whoever was first is heard.
func JoinErrors(errs, more []*messages.FieldError) []*messages.FieldError {
	if len(more) == 0 {
		return errs
	}
	told := make(map[string]bool, len(errs))
	for _, e := range errs {
		told[e.GetField()] = true
	}
	for _, e := range more {
		if len(errs) < errorsMax && !told[e.GetField()] {
			errs, told[e.GetField()] = append(errs, e), true
		}
	}
	return errs
}
