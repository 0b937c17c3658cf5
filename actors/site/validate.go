package site

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"orderyard/messages"
)

// ValidateDoc reports everything that is wrong with a site document, by the paths of the public JSON, in document order.
// Only the id is required. Left out, accept is auto, status online, calendar always open in UTC, capacity without limit, rank 0; the site
// serves every country and market.
func ValidateDoc(doc *messages.SiteDoc) []*messages.FieldError {
	if doc == nil {
		return []*messages.FieldError{{Field: "site", Code: messages.CodeInvalid, Message: "a site document is required"}}
	}
	v := &checks{}
	if err := messages.CheckToken(doc.Id); err != nil {
		v.fail("id", "%v", err)
	}
	v.text("name", doc.Name, 200)
	v.oneOf("type", doc.Type, "", "dc", "store", "3pl", "vendor")
	v.check(doc.Lat >= -90 && doc.Lat <= 90, "lat", "must be between -90 and 90") // NaN fails both
	v.check(doc.Lon >= -180 && doc.Lon <= 180, "lon", "must be between -180 and 180")
	v.text("postal_code", doc.PostalCode, 32)
	v.check(doc.Country == "" || isCountry(doc.Country), "country", "must be two capital letters like US")
	v.text("region", doc.Region, regionBytesMax)
	v.errs = append(v.errs, validateCapacity(doc.Capacity)...)
	_, errs := newCalendar(doc.Calendar)
	v.errs = append(v.errs, errs...)
	v.labels("groups", doc.Groups)
	v.labels("labels_allowed", doc.LabelsAllowed)
	v.labels("markets", doc.Markets)
	v.carriers(doc.Carriers)
	v.check(doc.CostPerOrder >= 0, "cost.per_order", "must not be negative")
	v.check(doc.CostPerUnit >= 0, "cost.per_unit", "must not be negative")
	v.check(doc.Rank >= 0 && doc.Rank <= rankMax, "rank", "must be between 0 (first) and one million")
	v.oneOf("accept", doc.Accept, "", acceptAuto, acceptManual)
	v.oneOf("status", doc.Status, "", statusOnline, statusSuspended, statusOffline)
	v.check(doc.AnswerWithinMs >= 0 && doc.AnswerWithinMs <= waitMaxMs, "answer_within_ms", "must be between 0 and 30 days")
	v.attributes(doc.Attributes)
	return v.errs
}

func validateCapacity(c *messages.SiteCapacity) []*messages.FieldError {
	v := &checks{}
	for _, limit := range []struct {
		field string
		n     int64
	}{{"per_hour", c.GetPerHour()}, {"per_day", c.GetPerDay()}, {"open_max", c.GetOpenMax()}} {
		v.check(limit.n >= 0 && limit.n <= capacityMax, "capacity."+limit.field, "must be between 0 (no limit) and one billion")
	}
	return v.errs
}

// checkRequest says what is wrong with a request for work.
func checkRequest(s *State, fo *messages.FulfillmentOrder) *messages.Failure {
	v := &checks{}
	if fo == nil {
		return messages.Invalid("fulfillment", "a fulfillment order is required")
	}
	if err := checkID(fo.Id); err != nil {
		v.fail("fulfillment.id", "%v", err)
	}
	if err := checkID(fo.OrderId); err != nil {
		v.fail("fulfillment.order_id", "%v", err)
	}
	v.check(fo.Site == "" || fo.Site == s.id, "fulfillment.site", "names another site")
	v.check(len(fo.Lines) > 0 && len(fo.Lines) <= linesMax, "fulfillment.lines", "must have between 1 and 500 lines")
	for i, line := range fo.Lines {
		if line.GetQuantity() < 1 {
			v.fail(fmt.Sprintf("fulfillment.lines[%d].quantity", i), "must be at least 1")
			break // one is enough to refuse a machine's request
		}
	}
	return messages.InvalidAll(v.errs)
}

// checkID keeps ids printable and free of blanks: the memory of ended work separates by them.
func checkID(id string) error {
	if id == "" {
		return fmt.Errorf("must not be empty")
	}
	if len(id) > idMax {
		return fmt.Errorf("has %d bytes, at most %d are allowed", len(id), idMax)
	}
	for i := 0; i < len(id); i++ {
		if id[i] <= ' ' || id[i] >= 0x7f {
			return fmt.Errorf("may hold printable ASCII without blanks only")
		}
	}
	return nil
}

type checks struct{ errs []*messages.FieldError }

func (v *checks) fail(field, format string, args ...any) {
	v.errs = append(v.errs, &messages.FieldError{Field: field, Code: messages.CodeInvalid, Message: fmt.Sprintf(format, args...)})
}

func (v *checks) check(ok bool, field, message string) {
	if !ok {
		v.fail(field, "%s", message)
	}
}

func (v *checks) oneOf(field, word string, words ...string) {
	if !slices.Contains(words, word) {
		known := slices.DeleteFunc(words, func(w string) bool { return w == "" })
		v.fail(field, "is %q, must be one of %s", word, strings.Join(known, ", "))
	}
}

func (v *checks) text(field, text string, bytesMax int) {
	switch {
	case len(text) > bytesMax:
		v.fail(field, "has %d bytes, at most %d are allowed", len(text), bytesMax)
	case !utf8.ValidString(text):
		v.fail(field, "is not valid UTF-8")
	}
}

func (v *checks) labels(field string, labels []string) {
	if len(labels) > groupsMax {
		v.fail(field, "has %d entries, at most %d are allowed", len(labels), groupsMax)
		return
	}
	for i, label := range labels {
		v.check(label != "", fmt.Sprintf("%s[%d]", field, i), "must not be empty")
		v.text(fmt.Sprintf("%s[%d]", field, i), label, messages.TokenMax)
	}
}

func (v *checks) carriers(carriers []*messages.SiteCarrier) {
	if len(carriers) > carriersMax {
		v.fail("carriers", "has %d entries, at most %d are allowed", len(carriers), carriersMax)
		return
	}
	type service struct{ carrier, name string }
	seen := make(map[service]bool, len(carriers))
	for i, c := range carriers {
		field := fmt.Sprintf("carriers[%d]", i)
		v.check(c.GetName() != "", field+".name", "must not be empty")
		v.text(field+".name", c.GetName(), messages.TokenMax)
		v.text(field+".service", c.GetService(), messages.TokenMax)
		one := service{c.GetName(), c.GetService()}
		v.check(!seen[one], field, "is named twice")
		seen[one] = true
	}
}

// attributes are the site's own fields. Their names are those that a rule set can declare.
func (v *checks) attributes(own []*messages.SiteAttribute) {
	if len(own) > attributesMax {
		v.fail("attributes", "has %d fields, at most %d are allowed", len(own), attributesMax)
		return
	}
	seen := make(map[string]bool, len(own))
	for _, a := range own {
		field := "attributes." + printable(a.GetName())
		v.check(isName(a.GetName()), field, "must be named by letters, digits and '_', beginning with a letter, at most 64")
		v.check(!seen[a.GetName()], field, "is given twice")
		seen[a.GetName()] = true
		if a.GetValue() == nil {
			v.fail(field, "must be a string, a whole number, or true or false")
		}
		v.text(field, a.GetText(), textBytesMax)
	}
}

// isName: a word that expressions can use for a field.
func isName(s string) bool {
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != "" && len(s) <= messages.TokenMax
}

// printable makes a sender's own name fit for a field path.
func printable(name string) string {
	return strings.ToValidUTF8(name[:min(len(name), messages.TokenMax)], "\uFFFD")
}

func isCountry(s string) bool {
	return len(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z'
}
