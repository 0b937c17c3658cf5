package actors

import (
	"fmt"
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

// TestWakeByUnitsOfTheSKU proves that stock wakes as many orders as it can serve of this SKU, whatever else they wait for: of sixty orders that lack
// one A beside 99 B, fifty A must wake fifty at once, and an order of an older build, which tells the sum alone, counts as that.
func TestWakeByUnitsOfTheSKU(t *testing.T) {
	woken := map[string]bool{}
	w := newWaiters(func() int64 { return 1000 }, func(order, _, _ string) { woken[order] = true })
	for i := range 60 {
		w.set(&messages.OrderSummary{OrderId: fmt.Sprintf("web-%02d", i), PlacedAtMs: int64(i), Backordered: 100, Waiting: []int64{1, 99}}, []string{"A", "B"})
	}
	w.set(&messages.OrderSummary{OrderId: "old", PlacedAtMs: 100, Backordered: 100}, []string{"A", "B"})
	all := allowance{all: offerNoLimit, again: offerNoLimit, look: offerNoLimit}
	w.offer("A", "den", 50, &all)
	if len(woken) != 50 || !woken["web-49"] || woken["web-50"] {
		t.Errorf("50 A wake %d orders", len(woken))
	}
	clear(woken)
	w.offer("B", "den", 100, &all)
	if len(woken) != 2 || !woken["web-01"] {
		t.Errorf("100 B wake %v", woken)
	}
	w.set(&messages.OrderSummary{OrderId: "web-55", PlacedAtMs: 1, Backordered: 7, Waiting: []int64{7}}, []string{"B"})
	if got := w.bySKU["B"]["web-55"].units; got != 7 {
		t.Errorf("it waits for %d B, not 7", got)
	}
}
