package test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/gateway/fleet"
	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/persistence/jetstream/embedded"
)

// sweepSays is what `orderyard rules sweep --dry-run -o json` prints.
type sweepSays struct {
	Nodes []struct {
		Enabled bool   `json:"enabled"`
		Waiting int    `json:"waiting"`
		Card    string `json:"card"`
		Moves   []struct {
			OrderID string `json:"order_id"`
			Saving  int64  `json:"saving"`
		} `json:"moves"`
	} `json:"nodes"`
	Orders int   `json:"orders_moved"`
	Saving int64 `json:"saving"`
}

func (h *house) drySweep() (s sweepSays) {
	h.t.Helper()
	code, out, errs := run(h.t, "rules", "sweep", "--dry-run", "-o", "json", "--server", h.url)
	if err := json.Unmarshal([]byte(out), &s); err != nil || code != 0 || len(s.Nodes) != 1 {
		h.t.Fatalf("rules sweep: exit %d, %v\n%s%s", code, err, out, errs)
	}
	return s
}

const sweptOrders = 40

// TestSweepMoves proves from outside that a sweep moves what it may and nothing else, and that kill -9 in the middle of it loses nothing. Forty
// orders to Denver are held while New York's people, the only ones with stock, would have to be asked; two more are asked, one of them is
// accepted. Then Denver gets stock. A dry run says what would move and moves nothing; a node that sweeps, killed as soon as the first order has
// moved, moves all forty and leaves the two; released, everything is shipped, and every invariant holds.
func TestSweepMoves(t *testing.T) {
	t.Parallel()
	h := open(t, t.TempDir())
	nc := h.connect()
	held := heldInNewYork(t, nc, h.url, sweptOrders+2)
	asked, accepted := place(t, nc, order("asked", 1, "GOODS")), place(t, nc, order("accepted", 1, "GOODS"))
	submitted(t, nc, asked, 1)
	fo := submitted(t, nc, accepted, 1)
	tell(t, nc, "accept", "nyc", wire.FulfillmentRequest{FulfillmentID: fo.ID})
	setStock(t, nc, "GOODS", "den", 2*sweptOrders)

	time.Sleep(6 * time.Second) // an order that a bucket has just told of its stock is left in peace
	says := h.drySweep()
	if n := says.Nodes[0]; says.Orders != sweptOrders || says.Saving <= 50 || n.Enabled || n.Waiting != sweptOrders || n.Card != "parcel" || len(n.Moves) != sweptOrders {
		t.Fatalf("the dry run says %+v", says)
	}
	if b := bucket(t, nc, "GOODS", "den"); b.Reserved+b.Allocated != 0 {
		t.Fatalf("the dry run has moved: %+v", b)
	}
	if code, _, errs := run(t, "rules", "sweep", "--server", h.url); code != 2 || !strings.Contains(errs, "--dry-run") {
		t.Errorf("without --dry-run: exit %d, %s", code, errs)
	}

	kills := 0
	sweeping := []string{"ORDERYARD_ROUTING_SWEEP_ENABLED=true", "ORDERYARD_ROUTING_SWEEP_EVERY=1s", "ORDERYARD_ROUTING_SWEEP_COMMANDS_MAX=1"}
	for moved := 0; moved < sweptOrders; {
		h.kill()
		h = h.again(sweeping...)
		nc = h.connect()
		before := moved
		eventually(t, answerIn, func() string {
			if moved = len(rows(t, nc, wire.ListFilter{Site: "den"})); moved == before && moved < sweptOrders {
				return fmt.Sprintf("%d orders have moved, no more come", moved)
			}
			return ""
		})
		if kills++; kills > 3 { // from now on it may do all the rest
			eventually(t, answerIn, func() string {
				if moved = len(rows(t, nc, wire.ListFilter{Site: "den"})); moved < sweptOrders {
					return fmt.Sprintf("%d orders have moved", moved)
				}
				return ""
			})
		}
	}
	reservedAt(t, nc, "den", sweptOrders)
	t.Logf("%d orders moved through %d kills", sweptOrders, kills)
	if says := h.drySweep(); says.Orders != 0 || !says.Nodes[0].Enabled {
		t.Errorf("after all have moved a dry run says %+v", says)
	}
	checkSwept(t, nc, held, asked, accepted)
	shipAll(t, h, nc, append(held, asked, accepted))
	h.verify()
}

// heldInNewYork places orders to Denver and holds them; then New York gets stock, and all of them wait for its people.
func heldInNewYork(t *testing.T, nc *nats.Conn, url string, stock int64) (held []string) {
	t.Helper()
	publishRules(t, url, "publish", "../configs/routing/default.yaml")
	for _, i := range []int{0, 4} {
		applySite(t, nc, site(i, manual))
		setStock(t, nc, "GOODS", places[i].id, 0)
	}
	for i := range sweptOrders {
		id := place(t, nc, order(fmt.Sprintf("held-%d", i), 1, "GOODS"))
		must[wire.OrderReceipt](t, nc, messages.OrderSubject("hold"), wire.HoldOrderRequest{OrderID: id, Reason: "customer_request"})
		held = append(held, id)
	}
	setStock(t, nc, "GOODS", "nyc", stock)
	reservedAt(t, nc, "nyc", sweptOrders)
	return held
}

// TestSweepsMeet proves that two nodes whose orders want the same units do no harm to each other: both sweep every second, Denver has enough for
// fewer than half of the orders. Its last unit goes to one of them, nobody loses what he had, and every invariant holds.
func TestSweepsMeet(t *testing.T) {
	server, err := embedded.Start(embedded.Options{Dir: t.TempDir(), SyncAlways: true})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown()
	nc, err := nats.Connect(server.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	sweeping := []string{"ORDERYARD_ROUTING_SWEEP_ENABLED=true", "ORDERYARD_ROUTING_SWEEP_EVERY=1s"}
	first := join(t, server.ClientURL(), 1, sweeping...).isReady()
	second := join(t, server.ClientURL(), 2, sweeping...).isReady()
	const near = 15
	held := heldInNewYork(t, nc, server.ClientURL(), sweptOrders)
	setStock(t, nc, "GOODS", "den", near)
	reservedAt(t, nc, "den", near)
	reservedAt(t, nc, "nyc", sweptOrders-near)
	owners := map[string]bool{}
	for _, n := range clusterStatus(nc).Nodes {
		owners[n.Node] = n.Partitions > 0
	}
	if !owners["n1"] || !owners["n2"] {
		t.Fatalf("not both nodes own partitions: %v", owners)
	}
	h := &house{t: t, url: server.ClientURL()}
	shipAll(t, h, nc, held)
	h.verify()
	h.closeConns()
	first.leave()
	second.leave()
}

// reservedAt waits until a site's bucket holds so many units for orders that wait: an order's claim counts as allocated from the beginning (ADR 16).
func reservedAt(t *testing.T, nc *nats.Conn, site string, units int64) {
	t.Helper()
	eventually(t, answerIn, func() string {
		if b := bucket(t, nc, "GOODS", site); b.Reserved+b.Allocated != units {
			return fmt.Sprintf("%+v, want %d claimed", b, units)
		}
		return ""
	})
}

// checkSwept: what was held has moved once, without an attempt; what a site was asked about, or has accepted, is where it was.
func checkSwept(t *testing.T, nc *nats.Conn, held []string, asked, accepted string) {
	t.Helper()
	for _, id := range held {
		v := must[wire.OrderAnswer](t, nc, messages.OrderSubject("trace"), wire.TraceOrderRequest{OrderID: id}).OrderView
		last := v.Fulfillments[len(v.Fulfillments)-1]
		if last.Site != "den" || last.Status != "scheduled" || last.RequestStatus != "unsubmitted" || v.Decisions[0].Cause != "sweep" {
			t.Errorf("order %s: %+v, decided by %s", id, last, v.Decisions[0].Cause)
		}
		if !slices.ContainsFunc(v.Timeline, func(e wire.TimelineEntry) bool { return e.What == "moved" && e.Detail == "by sweep" }) {
			t.Errorf("order %s tells no move: %+v", id, v.Timeline)
		}
	}
	for _, id := range []string{asked, accepted} {
		if v := orderOf(t, nc, id); len(v.Fulfillments) != 1 || v.Fulfillments[0].Site != "nyc" {
			t.Errorf("order %s, which New York knows, is %+v", id, v.Fulfillments)
		}
	}
	if b := bucket(t, nc, "GOODS", "nyc"); b.Reserved+b.Allocated != 2 || b.ATP != sweptOrders {
		t.Errorf("New York is left with %+v", b)
	}
}

// shipAll ends the holds and lets the sites' people work until every order is completed.
func shipAll(t *testing.T, h *house, nc *nats.Conn, ids []string) {
	t.Helper()
	for _, id := range ids {
		must[wire.OrderReceipt](t, nc, messages.OrderSubject("release"), wire.ReleaseOrderRequest{OrderID: id})
	}
	staff, err := fleet.Start(context.Background(), h.connect(), fleet.Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer staff.Stop()
	eventually(t, finishIn, func() string {
		if n := len(rows(t, nc, wire.ListFilter{Status: "completed"})); n < len(ids) {
			return fmt.Sprintf("%d of %d orders are completed", n, len(ids))
		}
		return ""
	})
}
