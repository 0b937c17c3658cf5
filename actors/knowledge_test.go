package actors

import (
	"fmt"
	"slices"
	"testing"

	"orderyard/messages"
	"orderyard/routing"
)

// knower is a Knowledge with a clock by hand and a list of the orders it woke.
type knower struct {
	*Knowledge
	now     int64
	woken   []string
	version uint64
}

func newKnower() *knower {
	k := &knower{now: 1_000_000}
	k.Knowledge = NewKnowledge(nil, func() int64 { return k.now }, func(req messages.Request) { k.woken = append(k.woken, req.To.ID) })
	return k
}

func (k *knower) stock(sku, site string, atp int64) {
	k.version++
	k.Observe(messages.BucketRef(sku, site), &messages.BucketView{Sku: sku, Site: site, Atp: atp, Version: k.version}, nil)
}

func (k *knower) waits(id, sku string, units int64, priority int32, promise string, placed int64) {
	k.Observe(messages.OrderRef(id), &messages.OrderSummary{
		OrderId: id, Status: "backordered", Backordered: units, Priority: priority, DeliverBy: promise, PlacedAtMs: placed,
	}, []string{sku})
}

func (k *knower) expect(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(k.woken, want) {
		t.Fatalf("woken %v, want %v", k.woken, want)
	}
	k.woken = nil
}

// Stock that arrives wakes those who wait in the order they are owed it (priority, promise, placement, id), and no more of them than
// it can serve.
func TestStockWakesInOrder(t *testing.T) {
	k := newKnower()
	k.waits("late", "A", 2, 0, "", 30)
	k.waits("early", "A", 2, 0, "", 10)
	k.waits("promised", "A", 2, 0, "2026-12-01", 40)
	k.waits("vip", "A", 2, 5, "", 50)
	k.waits("other", "B", 1, 9, "", 1)
	k.stock("A", "S1", 5)
	k.expect(t, "vip", "promised", "early")
}

// An order that tried what is there and went back to waiting neither blocks the queue behind it nor is woken again until more arrives.
func TestTriedOrderIsPassedOver(t *testing.T) {
	k := newKnower()
	k.waits("whole", "A", 10, 0, "", 1) // needs more than there is
	k.waits("small", "A", 1, 0, "", 2)
	k.stock("A", "S1", 3)
	k.expect(t, "whole")
	k.OfferStock() // while the first is planning, the stock is spoken for
	k.expect(t)
	k.now += 2 * wokenForMs
	k.OfferStock()
	k.expect(t, "small")
	k.now += 2 * wokenForMs
	k.OfferStock()
	k.expect(t)
	k.stock("A", "S1", 2) // less than before is no reason to try again
	k.expect(t)
	k.stock("A", "S2", 9)
	k.expect(t, "whole")
}

// After a restart everybody who waits may try again, and who places an order meanwhile must not wait for all of them: the net wakes a few at a time, those
// who have not tried yet before those who tried in vain, and each of them soon. Buckets that are read back wake nobody: who tries then knows neither
// the other stock nor the sites.
func TestNetWakesAFewAtATime(t *testing.T) {
	const waiting = 10*offerMost + 1
	k := newKnower()
	reading := true
	k.partial = func() bool { return reading }
	for i := range waiting {
		k.waits(fmt.Sprintf("o%04d", i), "A", 1, 0, "", int64(i))
	}
	k.stock("A", "S1", 1_000_000)
	k.expect(t)
	reading = false
	turns := 0
	round := func() (woken int) {
		for next := offerNext; next == offerNext; turns++ {
			k.woken = nil
			if next = k.OfferStock(); len(k.woken) > offerMost {
				t.Fatalf("%d woken at once", len(k.woken))
			}
			woken += len(k.woken)
			k.now += next.Milliseconds()
		}
		return woken
	}
	if n := round(); n != waiting || turns != 11 {
		t.Fatalf("%d of %d woken in %d turns", n, waiting, turns)
	}
	// All went back to waiting: in a minute each has tried once more at least, and never many at once.
	again := 0
	for end := k.now + 60_000; k.now < end; {
		k.woken = nil
		k.now += k.OfferStock().Milliseconds()
		if again += len(k.woken); len(k.woken) > offerAgain {
			t.Fatalf("%d tried once more at once", len(k.woken))
		}
	}
	if again < waiting {
		t.Fatalf("%d of %d tried again within a minute", again, waiting)
	}
}

// A SKU that many wait for and that keeps growing does not keep the net from the others, nor do many who tried in vain.
func TestNetServesEverySKU(t *testing.T) {
	k := newKnower()
	reading := true
	k.partial = func() bool { return reading }
	for i := range 50 * offerMost {
		k.waits(fmt.Sprintf("hot%04d", i), "A-HOT", 1, 0, "", int64(i))
	}
	k.waits("cold", "B", 1, 0, "", 1)
	k.stock("A-HOT", "S1", 1_000_000)
	k.stock("B", "S1", 1)
	turns := 0
	for ; !slices.Contains(k.woken, "cold"); turns++ {
		k.waiters.grown("A-HOT") // all of them may try again, at every turn
		k.now += k.OfferStock().Milliseconds()
		if turns > 5 {
			t.Fatalf("not woken in %d turns", turns)
		}
	}
	// Everybody has tried in vain, and only a few may try again at a time; who has not tried yet is woken within a few turns all the same.
	for range 200 {
		k.now += k.OfferStock().Milliseconds()
	}
	k.now += 2 * tryAgainMs
	k.OfferStock()
	k.woken = nil
	k.waits("fresh", "B", 1, 0, "", 2)
	for turns = 0; !slices.Contains(k.woken, "fresh"); turns++ {
		k.now += k.OfferStock().Milliseconds()
		if turns > 5 {
			t.Fatalf("not woken in %d turns", turns)
		}
	}
}

// An order that no longer waits is not woken.
func TestServedOrderIsForgotten(t *testing.T) {
	k := newKnower()
	k.waits("o", "A", 1, 0, "", 1)
	k.Observe(messages.OrderRef("o"), &messages.OrderSummary{OrderId: "o", Status: "allocated"}, nil)
	k.stock("A", "S1", 5)
	k.expect(t)
	if left := k.waiters.waiting(); len(left) != 0 {
		t.Fatalf("still waited for: %v", left)
	}
}

// The view keeps every site's stock sorted, whatever order the news comes in, and what a reader holds never changes under it.
func TestViewIsSortedAndImmutable(t *testing.T) {
	k := newKnower()
	for _, site := range []string{"S3", "S1", "S2"} {
		k.stock("A", site, 7)
	}
	held := k.View().Stock("A")
	k.stock("A", "S2", 1)
	k.stock("A", "S0", 4)
	if got := fmt.Sprint(held); got != "[{S1 7} {S2 7} {S3 7}]" {
		t.Fatalf("a reader's slice became %s", got)
	}
	if got := fmt.Sprint(k.View().Stock("A")); got != "[{S0 4} {S1 7} {S2 1} {S3 7}]" {
		t.Fatalf("the view is %s", got)
	}
}

// Lists go newest first, page by page, without gaps or repeats while orders change their status.
func TestListPages(t *testing.T) {
	k := newKnower()
	for i := range 25 {
		k.Observe(messages.Ref{}, &messages.OrderSummary{OrderId: fmt.Sprintf("web-%02d", i), Channel: "web", Status: "placed", AcceptedAtMs: int64(i / 3)}, nil)
	}
	var got []string
	for cursor := ""; ; {
		rows, next := k.ListOrders(OrderFilter{Status: "placed"}, cursor, 7)
		for _, r := range rows {
			got = append(got, r.OrderId)
			k.Observe(messages.Ref{}, &messages.OrderSummary{OrderId: r.OrderId, Channel: "web", Status: "shipped", AcceptedAtMs: r.AcceptedAtMs}, nil)
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	if len(got) != 25 || !slices.IsSortedFunc(got, func(a, b string) int { return -compareStrings(a, b) }) {
		t.Fatalf("%d rows: %v", len(got), got)
	}
	if counts := k.OrdersByStatus(); counts["shipped"] != 25 || counts["placed"] != 0 {
		t.Fatalf("counts %v", counts)
	}
}

func compareStrings(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// The fingerprint is the content's alone: what the node learns between two sendings does not change it, other content does.
func TestFingerprintIsOfTheContent(t *testing.T) {
	k := newKnower()
	order := func(quantity int64) *messages.PlaceOrder {
		return &messages.PlaceOrder{Order: &messages.Order{Channel: "web", ExternalId: "1", ShipTo: &messages.Address{Country: "US", PostalCode: "80202"},
			Lines: []*messages.OrderLine{{Id: "1", Sku: "A", Quantity: quantity}}}}
	}
	first, again, other := order(1), order(1), order(2)
	for _, p := range []*messages.PlaceOrder{first, again, other} {
		if err := k.Prepare(p); err != nil {
			t.Fatal(err)
		}
		k.stock("A", "S1", 5)
	}
	if len(first.UnknownSkuLines) != 1 || len(again.UnknownSkuLines) != 0 {
		t.Fatalf("unknown SKUs: %v, then %v", first.UnknownSkuLines, again.UnknownSkuLines)
	}
	if first.Fingerprint != again.Fingerprint || first.Fingerprint == other.Fingerprint {
		t.Fatalf("fingerprints %x %x %x", first.Fingerprint, again.Fingerprint, other.Fingerprint)
	}
	if !first.Order.ShipTo.HasPosition {
		t.Fatal("the address has no place on the map")
	}
}

// New rules count from the next decision on, and orders that had tried what is there are offered it once more; asked of a dry run, which
// stores the version as every plan does.
func TestSetRules(t *testing.T) {
	k := newKnower()
	order := &messages.Order{Channel: "web", ExternalId: "1", ShipTo: &messages.Address{Country: "US"}, Lines: []*messages.OrderLine{{Id: "1", Sku: "A", Quantity: 1}}}
	if got := k.Plans(order)[0].RulesVersion; got != "builtin-1" {
		t.Errorf("before: %s", got)
	}
	k.waits("whole", "A", 10, 0, "", 1)
	k.stock("A", "S1", 10)
	k.expect(t, "whole")
	k.now += 2 * wokenForMs
	k.OfferStock()
	k.expect(t)
	rules := routing.DefaultRules()
	rules.Version = "spring-1"
	k.SetRules(rules)
	k.OfferStock()
	k.expect(t, "whole")
	if got := k.Plans(order)[0].RulesVersion; got != "spring-1" || k.Rules() != rules {
		t.Errorf("after: %s", got)
	}
	if k.SetRules(nil); k.Plans(order)[0].RulesVersion != "builtin-1" {
		t.Error("nil is not the built-in rules")
	}
}
