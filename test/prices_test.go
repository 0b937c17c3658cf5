package test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

// worthRules weigh cost and opportunity; carriers ask by distance.
const worthRules = `name: worth
cards:
  parcel:
    zones: [{name: near, km: 300}, {name: mid, km: 800}, {name: far, km: any}]
    grams: [10000]
    rates:
      ground: {near: [500], mid: [700], far: [1400]}
    default_service: ground
    unit_grams: 400
routes:
  - name: all
    rules:
      - name: cost and worth
        scores:
          - cost: {card: parcel, handling: false}
          - opportunity
        reducer: penalty_sum
        actions: {full: assign_many, partial: [assign_many, backorder], none: backorder}
fallback: all
`

// TestPrices proves the whole way of shadow prices in a running node: orders from Denver are counted, a table is computed, the command shows it,
// and the next order from between Denver and a farther site leaves Denver's last units for Denver. Its record tells the price, and every
// decision is made again from its record.
func TestPrices(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "worth.yaml")
	if err := os.WriteFile(file, []byte(worthRules), 0o600); err != nil {
		t.Fatal(err)
	}
	h := open(t, t.TempDir(), "ORDERYARD_ROUTING_OPPORTUNITY_ENABLED=true", "ORDERYARD_ROUTING_OPPORTUNITY_EVERY=1s",
		"ORDERYARD_ROUTING_OPPORTUNITY_WITHIN=1s", "ORDERYARD_ROUTING_RULES="+file)
	nc := h.connect()
	den, kan := site(0, nil), site(1, nil)
	lat, lon := 39.1, -94.58
	kan.ID, kan.Lat, kan.Lon = "kan", &lat, &lon
	applySite(t, nc, den)
	applySite(t, nc, kan)
	setStock(t, nc, "LAMP", den.ID, 40)
	setStock(t, nc, "LAMP", "kan", 100_000)
	middle := func(id string) string { // 290 km from Denver, 610 from Kansas City
		t.Helper()
		o := order(id, 1, "LAMP")
		lat, lon := 39.35, -101.7
		o.ShipTo = wire.Address{Name: "B. Buyer", City: "Goodland", PostalCode: "67735", Country: "US", Lat: &lat, Lon: &lon}
		placed := place(t, nc, o)
		reaches(t, nc, placed, "allocated", "released")
		view := must[wire.OrderAnswer](t, nc, messages.OrderSubject("explain"), wire.ExplainOrderRequest{OrderID: placed}).OrderView
		return view.Decisions[0].Assignments[0].Site
	}
	if got := middle("before"); got != den.ID {
		t.Fatalf("without demand %s gives, want %s, which is nearer", got, den.ID)
	}
	for i := range 20 {
		reaches(t, nc, place(t, nc, order(fmt.Sprintf("d%d", i), 1, "LAMP")), "allocated", "released")
	}
	var prices wire.PricesAnswer
	for end := time.Now().Add(20 * time.Second); len(prices.Prices) == 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no price after %+v", prices)
		}
		prices = must[wire.PricesAnswer](t, nc, messages.RulesSubject("prices"), wire.PricesRequest{SKU: "LAMP"})
	}
	if p := prices.Prices[0]; p.Site != den.ID || p.Price < 200 || !prices.Asked || prices.Costs != "card parcel" {
		t.Errorf("%+v, want a price of the 200 from Denver to the middle or more", prices)
	}
	if got := middle("after"); got != "kan" {
		t.Errorf("with prices %s gives, want kan", got)
	}
	if code, out, errs := run(t, "rules", "prices", "LAMP", "--server", h.url); code != 0 || len(out) == 0 {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if code, out, errs := run(t, "rules", "recheck", "--server", h.url); code != 0 {
		t.Errorf("recheck: exit %d\n%s%s", code, out, errs)
	}
	h.verify()
}
