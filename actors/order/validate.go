package order

import (
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"orderyard/messages"
)

// Limits of an order's content, in the contract's words. They keep every sum inside int64 and every order inside one message.
const (
	linesMax           = 500
	quantityMax  int64 = 1_000_000
	priceMax     int64 = 1_000_000_000_000
	totalMax           = 1_000_000_000_000_000_000
	splitsMost   int32 = 20
	priorityMost int32 = 100
	labelsMax          = 50
	textMax            = 256
	noteMax            = 1024
	postalMax          = 16
	tokenTextMax       = 128                // of payment tokens and methods
	instantMax   int64 = 253_402_300_799999 // the end of the year 9999
	errorsMax          = 100                // whoever has more mends these first; thousands would fit no answer
)

// checker collects everything that is wrong, so that a channel mends its order once.
type checker struct {
	errs []*messages.FieldError
}

func wrong(field, format string, args ...any) *messages.FieldError {
	return &messages.FieldError{Field: field, Code: messages.CodeInvalid, Message: fmt.Sprintf(format, args...)}
}

func (c *checker) add(field, format string, args ...any) {
	if len(c.errs) < errorsMax {
		c.errs = append(c.errs, wrong(field, format, args...))
	}
}

// Validate names everything that is wrong with a placement, by the paths of the public document; nil when nothing is.
func Validate(cmd *messages.PlaceOrder) []*messages.FieldError {
	o := cmd.GetOrder()
	if o == nil {
		return []*messages.FieldError{wrong("", "holds no order")}
	}
	var c checker
	c.token("channel", o.Channel)
	c.token("external_id", o.ExternalId)
	if !isCurrency(o.Currency) {
		c.add("currency", "is %q, must be three capital letters as in ISO 4217", clip(o.Currency))
	}
	if o.PlacedAtMs < 0 || o.PlacedAtMs > instantMax {
		c.add("placed_at", "is not a time between 1970 and 9999")
	}
	c.text("customer.id", o.CustomerId, textMax)
	c.text("customer.email", o.CustomerEmail, textMax)
	c.address(cmd)
	c.lines(cmd)
	c.money(o)
	c.policy(o)
	c.labels("labels", o.Labels)
	c.text("attributes", string(o.Attributes), 1<<18)
	return c.errs
}

func (c *checker) token(field, s string) {
	if err := messages.CheckToken(s); err != nil {
		c.add(field, "%v", err)
	}
}

func (c *checker) text(field, s string, most int) {
	if len(s) > most {
		c.add(field, "has %d bytes, at most %d are allowed", len(s), most)
	} else if !utf8.ValidString(s) {
		c.add(field, "is not valid UTF-8")
	}
}

func (c *checker) labels(field string, labels []string) {
	if len(labels) > labelsMax {
		c.add(field, "has %d entries, at most %d are allowed", len(labels), labelsMax)
		return
	}
	for i, label := range labels {
		if label == "" {
			c.add(field+index(i), "must not be empty")
		}
		c.text(field+index(i), label, messages.TokenMax)
	}
}

func (c *checker) address(cmd *messages.PlaceOrder) {
	a := cmd.Order.GetShipTo()
	c.text("ship_to.name", a.GetName(), textMax)
	c.text("ship_to.line1", a.GetLine1(), textMax)
	c.text("ship_to.line2", a.GetLine2(), textMax)
	c.text("ship_to.city", a.GetCity(), textMax)
	c.text("ship_to.region", a.GetRegion(), textMax)
	switch postal := a.GetPostalCode(); {
	case postal == "":
		c.add("ship_to.postal_code", "must not be empty")
	case len(postal) > postalMax || !utf8.ValidString(postal):
		c.text("ship_to.postal_code", postal, postalMax)
	case cmd.UnknownPostalCode:
		c.add("ship_to.postal_code", "%q is not known in %s; send lat and lon to ship there all the same", postal, clip(a.GetCountry()))
	}
	if !isCountry(a.GetCountry()) {
		c.add("ship_to.country", "is %q, must be a two-letter code of ISO 3166", clip(a.GetCountry()))
	}
	if a.GetHasPosition() {
		if !(a.Lat >= -90 && a.Lat <= 90) {
			c.add("ship_to.lat", "must be between -90 and 90")
		}
		if !(a.Lon >= -180 && a.Lon <= 180) {
			c.add("ship_to.lon", "must be between -180 and 180")
		}
	}
}

func (c *checker) lines(cmd *messages.PlaceOrder) {
	lines := cmd.Order.Lines
	if len(lines) == 0 {
		c.add("lines", "must hold at least one line")
	}
	if len(lines) > linesMax {
		c.add("lines", "has %d lines, at most %d are allowed", len(lines), linesMax)
		return // one answer says it; thousands would say no more
	}
	// A few lines are compared, many are looked up: a map for every small order would cost more than the whole check.
	var seen map[string]int
	if len(lines) > 8 {
		seen = make(map[string]int, len(lines))
	}
	for i, line := range lines {
		path := "lines" + index(i)
		c.line(path, line)
		first, twice := 0, false
		if seen == nil {
			first = slices.IndexFunc(lines[:i], func(before *messages.OrderLine) bool { return before.GetId() == line.GetId() })
			twice = first >= 0
		} else if first, twice = seen[line.GetId()]; !twice {
			seen[line.GetId()] = i
		}
		if twice && line.GetId() != "" {
			c.add(path+".id", "%q is the id of lines[%d] too", clip(line.GetId()), first)
		}
	}
	for _, i := range cmd.UnknownSkuLines {
		if int64(i) < int64(len(lines)) && messages.CheckSKU(lines[i].GetSku()) == nil {
			c.add("lines"+index(int(i))+".sku", "%q is not carried by any site", lines[i].Sku)
		}
	}
}

func (c *checker) line(path string, line *messages.OrderLine) {
	if err := messages.CheckToken(line.GetId()); err != nil {
		c.add(path+".id", "%v", err)
	}
	if err := messages.CheckSKU(line.GetSku()); err != nil {
		c.add(path+".sku", "%v", err)
	}
	if !quantityOK(line) {
		c.add(path+".quantity", "is %d, must be from 1 to %d", line.GetQuantity(), quantityMax)
	}
	if !priceOK(line) {
		c.add(path+".unit_price", "is %d, must be from 0 to %d minor units", line.GetUnitPrice(), priceMax)
	}
	if group := line.GetGroup(); group != "" {
		c.text(path+".group", group, messages.TokenMax)
	}
	if len(line.GetLabels()) > 0 {
		c.labels(path+".labels", line.Labels)
	}
	if len(line.GetAttributes()) > 0 {
		c.text(path+".attributes", string(line.Attributes), 1<<18)
	}
}

func quantityOK(l *messages.OrderLine) bool {
	return l.GetQuantity() >= 1 && l.GetQuantity() <= quantityMax
}

func priceOK(l *messages.OrderLine) bool {
	return l.GetUnitPrice() >= 0 && l.GetUnitPrice() <= priceMax
}

func (c *checker) money(o *messages.Order) {
	before := len(c.errs)
	c.amount("shipping.amount", o.ShippingAmount)
	c.amount("tax", o.Tax)
	c.amount("discount", o.Discount)
	c.text("shipping.service", o.ShippingService, messages.TokenMax)
	if o.HasPayment {
		c.amount("payment.amount", o.PaymentAmount)
		c.text("payment.method", o.PaymentMethod, tokenTextMax)
		c.text("payment.token", o.PaymentToken, tokenTextMax)
	}
	wrongLine := func(l *messages.OrderLine) bool { return !quantityOK(l) || !priceOK(l) }
	if len(c.errs) > before || slices.ContainsFunc(o.Lines, wrongLine) {
		return // the sum of wrong parts says nothing
	}
	if _, ok := orderTotal(o); ok {
		return
	}
	free := &messages.Order{Lines: o.Lines, ShippingAmount: o.ShippingAmount, Tax: o.Tax}
	if total, ok := orderTotal(free); ok {
		c.add("discount", "is %d, more than the order's %d", o.Discount, total)
	} else {
		c.add("lines", "the order's total is more than %d minor units", int64(totalMax))
	}
}

func (c *checker) amount(field string, amount int64) {
	if amount < 0 || amount > totalMax {
		c.add(field, "is %d, must be from 0 to %d minor units", amount, int64(totalMax))
	}
}

func (c *checker) policy(o *messages.Order) {
	c.oneOf("policy.partial", o.Partial, partialSplit, partialComplete, partialShip)
	c.oneOf("policy.on_short", o.OnShort, shortBackorder, shortCancel, shortHold)
	if o.SplitsMax != 0 && (o.SplitsMax < 1 || o.SplitsMax > splitsMost) {
		c.add("policy.splits_max", "is %d, must be from 1 to %d", o.SplitsMax, splitsMost)
	}
	if o.DeliverBy != "" {
		if _, err := time.Parse(time.DateOnly, o.DeliverBy); err != nil {
			c.add("policy.deliver_by", "is %q, must be a day like 2026-11-28", clip(o.DeliverBy))
		}
	}
	if o.Priority < -priorityMost || o.Priority > priorityMost {
		c.add("priority", "is %d, must be from %d to %d", o.Priority, -priorityMost, priorityMost)
	}
}

func (c *checker) oneOf(field, word string, words ...string) {
	if word != "" && !slices.Contains(words, word) {
		c.add(field, "is %q, must be one of %v", clip(word), words)
	}
}

func isCurrency(s string) bool {
	return len(s) == 3 && upper(s[0]) && upper(s[1]) && upper(s[2])
}

func upper(b byte) bool { return b >= 'A' && b <= 'Z' }

func index(i int) string { return "[" + strconv.Itoa(i) + "]" }

// clip keeps foreign text in messages short and printable as text.
func clip(s string) string {
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	if !utf8.ValidString(s) {
		return strconv.QuoteToASCII(s)
	}
	return s
}
