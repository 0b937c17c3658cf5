package test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/gateway/fleet"
	"orderyard/gateway/wire"
	"orderyard/messages"
)

// TestKillNine proves that kill -9 at any moment loses nothing and doubles nothing: clients place orders, hold, confirm and give back
// stock, cancel, and sites work, when the process is killed; started again, it must know everything it acknowledged, count every hold
// once, and answer repeated commands as the first time. At the end everything unfinished goes on by itself until it is shipped.
func TestKillNine(t *testing.T) {
	rounds := killRounds
	if testing.Short() {
		rounds = 3
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("ORDERYARD_TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d: set ORDERYARD_TEST_SEED to repeat its choices; the moments stay the machine's", seed)
	rng := rand.New(rand.NewPCG(seed, 9))
	h := open(t, t.TempDir())
	l := newLedger(t, h.connect())
	began, slowest := time.Now(), time.Duration(0)
	for round := range rounds {
		roundBegan := time.Now()
		l.round = round
		loadAndKill(t, h, l, rng)
		if rng.IntN(4) == 0 { // and once more, somewhere in the middle of the recovery
			again, _ := launch(t, h.dir)
			time.Sleep(time.Duration(rng.IntN(120)) * time.Millisecond) // any moment will do: it is the point
			again.kill()
		}
		h = h.again()
		slowest = max(slowest, h.ready)
		nc := h.connect()
		l.resolve(t, nc)
		l.repeat(t, nc, rng)
		l.check(t, nc)
		if t.Failed() {
			t.Fatalf("round %d of seed %d", round, seed)
		}
		l.spent = append(l.spent, time.Since(roundBegan))
	}
	slices.Sort(l.spent)
	t.Logf("%d kills in %v (a round %v in the middle, %v at most), slowest start %v; %d orders, %d holds, %d commands repeated, %d outcomes unknown at a kill",
		rounds, time.Since(began).Round(time.Millisecond), l.spent[rounds/2].Round(time.Millisecond), l.spent[rounds-1].Round(time.Millisecond),
		slowest.Round(time.Millisecond), len(l.orders), len(l.holds), l.repeated, l.unknown)
	finish(t, h, l)
}

// loadAndKill runs all clients until a random number of answers has come, and kills the process with the rest under way.
func loadAndKill(t *testing.T, h *house, l *ledger, rng *rand.Rand) {
	t.Helper()
	enough := make(chan struct{})
	l.begin(20+rng.IntN(600), enough)
	staff, err := fleet.Start(context.Background(), h.connect(), fleet.Options{
		PickAfter: 4 * time.Millisecond, PackAfter: 2 * time.Millisecond, ShipAfter: 2 * time.Millisecond, DeliverAfter: 10 * time.Millisecond,
		RejectPermille: 60, Seed: rng.Uint64(),
	})
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for i := range clients {
		nc, own := h.connect(), rand.New(rand.NewPCG(rng.Uint64(), uint64(i)))
		wait.Go(func() {
			for n := 0; ; n++ {
				if !l.act(nc, own, i, n) {
					return // the process is gone
				}
			}
		})
	}
	select {
	case <-enough:
	case <-time.After(answerIn):
		t.Error("the load does not get its answers")
	}
	time.Sleep(time.Duration(rng.IntN(3000)) * time.Microsecond) // between two answers as well
	h.kill()
	wait.Wait()
	staff.Stop()
}

const finishIn = 30 * time.Second

// unfinished shows what is known of some orders that did not come to their end.
func unfinished(t *testing.T, nc *nats.Conn) {
	for _, status := range append(moving, "backordered", "released", "partially_shipped", "held") {
		list := rows(t, nc, wire.ListFilter{Status: status})
		for _, row := range list[:min(len(list), 3)] {
			a, err := ask[wire.OrderAnswer](nc, messages.OrderSubject("trace"), wire.TraceOrderRequest{OrderID: row.OrderID}, "")
			t.Logf("order %s is %s: %v %s", row.OrderID, status, err, a.raw)
			if a.doc.OrderView == nil {
				continue
			}
			for _, fo := range a.doc.Fulfillments {
				b, err := ask[wire.FulfillmentListAnswer](nc, messages.FulfillmentSubject("list", fo.Site), wire.FulfillmentListRequest{FulfillmentID: fo.ID}, "")
				t.Logf("  %s at %s: %v %s", fo.ID, fo.Site, err, b.raw)
			}
		}
	}
}

// finish receives goods for everybody who waits, hires people who refuse nothing, and waits until no order is unfinished.
func finish(t *testing.T, h *house, l *ledger) {
	t.Helper()
	nc := h.connect()
	for _, row := range rows(t, nc, wire.ListFilter{Status: "exception"}) {
		if !slices.Equal(row.Exceptions, []string{"unroutable"}) {
			t.Errorf("order %s has exceptions %v", row.OrderID, row.Exceptions)
		}
	}
	for _, p := range places[:3] {
		for _, sku := range goods {
			must[wire.StockAnswer](t, nc, messages.StockSubject("receive"), wire.ReceiveStockRequest{SKU: sku, Site: p.id, Quantity: 100_000})
		}
		must[wire.SiteAnswer](t, nc, messages.SiteSubject("resume"), wire.ResumeSiteRequest{ID: p.id})
	}
	staff, err := fleet.Start(context.Background(), h.connect(), fleet.Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer staff.Stop()
	began := time.Now()
	counts := map[string]int{}
	t.Cleanup(func() {
		if t.Failed() && h.alive() {
			unfinished(t, nc)
		}
	})
	eventually(t, finishIn, func() string {
		list := rows(t, nc, wire.ListFilter{})
		clear(counts)
		for _, row := range list {
			counts[row.Status]++
		}
		// An order may be shipped in part and wait with the rest.
		waiting := counts["backordered"] + counts["partially_shipped"]
		if counts["completed"]+counts["cancelled"]+counts["exception"]+waiting < len(list) {
			return fmt.Sprintf("orders are unfinished: %v", counts)
		}
		for _, row := range list {
			if row.Backordered > 0 && !l.excludedEverywhere(t, nc, row.OrderID) {
				return fmt.Sprintf("order %s waits, and there is stock at a site that may still serve it", row.OrderID)
			}
			if row.Status == "partially_shipped" && row.Backordered == 0 {
				return fmt.Sprintf("order %s is shipped in part only, and waits for nothing", row.OrderID)
			}
		}
		return ""
	})
	t.Logf("everything unfinished went on by itself in %v: %v", time.Since(began).Round(time.Millisecond), counts)
	if counts["completed"] < len(l.orders)/3 || counts["exception"]+counts["backordered"]+counts["partially_shipped"] > len(l.orders)/50 {
		t.Errorf("%d orders ended as %v", len(l.orders), counts)
	}
	l.allThere(t, nc)
	h.verify()
}

// excludedEverywhere says that each site has refused the order or one of its SKUs: then waiting is what the policy asks for.
func (l *ledger) excludedEverywhere(t *testing.T, nc *nats.Conn, id string) bool {
	t.Helper()
	view := orderOf(t, nc, id)
	sites := map[string]bool{}
	for _, x := range view.Exclusions {
		sites[x.Site] = true
	}
	return len(sites) == 3
}
