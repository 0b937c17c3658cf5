package test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

const waiting = 20 // orders that wait for a SKU

// TestStockArrivalWakes proves that back-ordered orders are allocated within a second of the goods' arrival: in one life of the
// process, when it was killed while they waited, and when it was killed right after the arrival had been acknowledged.
func TestStockArrivalWakes(t *testing.T) {
	t.Parallel()
	h := open(t, t.TempDir())
	nc := h.connect()
	applySite(t, nc, site(0, nil))

	orders := backorders(t, nc, "LATE-1")
	since := time.Now()
	receive(t, nc, "LATE-1", waiting)
	allocatedWithin(t, nc, "one life", orders, since)

	orders = backorders(t, nc, "LATE-2")
	h.kill()
	h = h.again()
	nc = h.connect()
	since = time.Now()
	receive(t, nc, "LATE-2", waiting)
	allocatedWithin(t, nc, "killed while they waited", orders, since)

	orders = backorders(t, nc, "LATE-3")
	receive(t, nc, "LATE-3", waiting)
	h.kill()
	h = h.again()
	allocatedWithin(t, h.connect(), "killed after the arrival", orders, time.Now())
	h.verify()
}

// backorders places orders for a SKU of which there is nothing.
func backorders(t *testing.T, nc *nats.Conn, sku string) []string {
	t.Helper()
	setStock(t, nc, sku, "den", 0)
	orders := make([]string, waiting)
	for i := range orders {
		orders[i] = place(t, nc, order(fmt.Sprintf("%s-%d", sku, i), 1, sku))
	}
	for _, id := range orders {
		view := reaches(t, nc, id, "backordered")
		if view.Lines[0].Units.Backordered != 1 {
			t.Fatalf("order %s: %+v", id, view.Lines[0].Units)
		}
	}
	return orders
}

func receive(t *testing.T, nc *nats.Conn, sku string, quantity int64) {
	t.Helper()
	must[wire.StockAnswer](t, nc, messages.StockSubject("receive"), wire.ReceiveStockRequest{SKU: sku, Site: "den", Quantity: quantity})
}

// allocatedWithin reads when the house allocated each order; both clocks are this machine's.
func allocatedWithin(t *testing.T, nc *nats.Conn, story string, orders []string, since time.Time) {
	t.Helper()
	for _, id := range orders {
		reaches(t, nc, id, "allocated", "released")
	}
	wanted := map[string]bool{}
	for _, id := range orders {
		wanted[id] = true
	}
	var slowest time.Duration
	for _, row := range rows(t, nc, wire.ListFilter{}) {
		if wanted[row.OrderID] {
			slowest = max(slowest, row.AllocatedAt.Time().Sub(since))
		}
	}
	t.Logf("%s: the last of %d orders was allocated after %v", story, len(orders), slowest.Round(time.Millisecond))
	if slowest > slack {
		t.Errorf("%s: allocated after %v, want within %v", story, slowest, slack)
	}
}
