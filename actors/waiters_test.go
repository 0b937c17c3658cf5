package actors

import (
	"slices"
	"testing"

	"orderyard/messages"
)

// TestWakeWhenASiteOpens proves that an order which tried the stock in vain is woken again when a site opens: it counts the wake-ups
// while stock, then the stock's site, then the end of the site's pause become known. After a restart they come in any order.
func TestWakeWhenASiteOpens(t *testing.T) {
	now := int64(1000)
	var woken []string
	k := NewKnowledge(nil, func() int64 { return now }, func(r messages.Request) { woken = append(woken, r.To.ID) })
	expect := func(what string, want ...string) {
		t.Helper()
		now++
		k.OfferStock()
		if !slices.Equal(woken, want) {
			t.Errorf("%s: woken %v, want %v", what, woken, want)
		}
		woken = nil
	}
	order, bucket, den := messages.OrderRef("web-1"), messages.BucketRef("A", "den"), messages.SiteRef("den")
	k.Observe(order, &messages.OrderSummary{OrderId: "web-1", Backordered: 1}, []string{"A"})
	expect("no stock")
	k.Observe(bucket, &messages.BucketView{Sku: "A", Site: "den", Atp: 5, Version: 1}, nil)
	expect("stock came", "web-1")
	expect("it tried")
	site := &messages.SiteView{Doc: &messages.SiteDoc{Id: "den", Status: "online"}, Version: 1}
	k.Observe(den, site, nil)
	expect("the site is known", "web-1")
	k.Observe(den, &messages.SiteView{Doc: site.Doc, Open: 7, Version: 2}, nil)
	expect("only its load changed")
	k.Observe(den, &messages.SiteView{Doc: &messages.SiteDoc{Id: "den", Status: "suspended"}, Version: 3}, nil)
	expect("the site is suspended")
	k.Observe(den, &messages.SiteView{Doc: site.Doc, PausedUntilMs: 2000, Version: 4}, nil)
	expect("it is back, and paused", "web-1")
	now = 2000
	expect("its pause is over", "web-1")
	expect("it tried again")
}
