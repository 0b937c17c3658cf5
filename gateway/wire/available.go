package wire

import (
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"orderyard/messages"
)

// AvailableRequest asks what can be promised of several SKUs: at one site, or at each that has some when Site is empty.
type AvailableRequest struct {
	SKUs []string `json:"skus"`
	Site string   `json:"site,omitempty"`
}

// AvailableAnswer answers in the order of the question. It is what the node knows, and some milliseconds old: a bucket alone decides what is sold.
type AvailableAnswer struct {
	Head
	SKUs []AvailableSKU `json:"skus"`
}

// AvailableSKU is what can be promised of one SKU; a SKU that nobody has ever carried has nothing.
type AvailableSKU struct {
	SKU   string          `json:"sku"`
	ATP   int64           `json:"atp"`
	Sites []AvailableSite `json:"sites,omitempty"` // with something to promise; not when the question names a site
}

// AvailableSite is what one site can promise.
type AvailableSite struct {
	Site string `json:"site"`
	ATP  int64  `json:"atp"`
}

// Check finds everything wrong with the question.
func (r *AvailableRequest) Check() *messages.Failure {
	var c checker
	if n := len(r.SKUs); n < 1 || n > BatchMax {
		return messages.Invalid("skus", "must name 1 to %d SKUs, names %d", BatchMax, n)
	}
	for i, sku := range r.SKUs {
		if sku == "" || messages.CheckSKU(sku) != nil { // the path is made only for one that is wrong
			c.sku(fmt.Sprintf("skus[%d]", i), sku)
		}
	}
	if r.Site != "" {
		c.token("site", r.Site)
	}
	return c.failure()
}

// AppendAvailable writes the answer: ok, then for each SKU what each gives, which is asked about one site when the question names it. It is the one
// answer whose size would make the encoder's reflection a good part of its cost.
func AppendAvailable(b []byte, r *AvailableRequest, each func(sku, site string, tell func(site string, atp int64))) []byte {
	b = append(b, `{"ok":true,"skus":[`...)
	for i, sku := range r.SKUs {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"sku":`...)
		b = appendText(b, sku)
		total, sites := int64(0), 0
		open := len(b)
		b = append(b, `,"sites":[`...)
		each(sku, r.Site, func(id string, atp int64) {
			if atp <= 0 {
				return
			}
			if total += atp; r.Site != "" {
				return
			}
			if sites++; sites > 1 {
				b = append(b, ',')
			}
			b = append(b, `{"site":`...)
			b = appendText(b, id)
			b = append(b, `,"atp":`...)
			b = append(strconv.AppendInt(b, atp, 10), '}')
		})
		if sites == 0 {
			b = b[:open]
		} else {
			b = append(b, ']')
		}
		b = append(b, `,"atp":`...)
		b = append(strconv.AppendInt(b, total, 10), '}')
	}
	return append(b, "]}"...)
}

func appendText(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s) // fails for text that is not UTF-8, which Check and the sites' documents refuse
	return b
}
