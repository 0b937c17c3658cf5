package test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

// TestHoldExpires proves that a hold gives its units back once, at its time, while nobody asks its bucket anything: the bucket has
// become bytes, the process was stopped and started, or killed and started, meanwhile. The end is seen in the public events; the
// bucket's version then says that nothing happened twice.
func TestHoldExpires(t *testing.T) {
	t.Parallel()
	stay := func(h *house) *house { return h }
	clean := func(h *house) *house {
		if code := h.interrupt(); code != 0 {
			h.t.Errorf("stopped with exit %d", code)
		}
		return h.again()
	}
	killed := func(h *house) *house { h.kill(); return h.again() }
	for _, c := range []struct {
		name    string
		between func(*house) *house
		late    bool // start again only when half of the holds have run out
	}{{"untouched", stay, false}, {"clean restart", clean, false}, {"kill -9", killed, false}, {"down while they end", killed, true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := open(t, t.TempDir(), "ORDERYARD_PASSIVATE_AFTER=100ms")
			expire(t, h, c.between, c.late)
		})
	}
}

const heldCount, heldFirst, heldStep = 20, time.Second, 40 * time.Millisecond

func expire(t *testing.T, h *house, between func(*house) *house, late bool) {
	nc := h.connect()
	applySite(t, nc, site(0, nil))
	setStock(t, nc, "CART", "den", 1000)
	first, last := time.Time{}, time.Time{}
	var units int64
	for i := range heldCount {
		a := must[wire.StockAnswer](t, nc, messages.StockSubject("reserve"), wire.ReserveStockRequest{
			ReservationID: fmt.Sprint("cart-", i), SKU: "CART", Site: "den", Quantity: int64(i + 1),
			HoldForMs: (heldFirst + time.Duration(i)*heldStep).Milliseconds(),
		})
		if last = a.ExpiresAt.Time(); i == 0 {
			first = last
		}
		units += int64(i + 1)
	}
	before := bucket(t, nc, "CART", "den")
	if before.Reserved != units || before.ATP != 1000-units {
		t.Fatalf("%+v, want %d reserved", before, units)
	}
	if late {
		h.kill()
		time.Sleep(time.Until(first.Add(heldCount / 2 * heldStep))) // the half of them: a moment, not luck
		h = h.again()
	} else {
		h = between(h)
	}
	nc = h.connect()
	ended, seen := expiries(t, nc, before.Version, time.Until(last)+slack+2*time.Second)
	if ended != heldCount {
		t.Errorf("%d changes after the holds, want %d", ended, heldCount)
	}
	if over := seen.Sub(last); over > slack || seen.Before(last) {
		t.Errorf("the last hold ran out at %v and was given back at %v", last, seen)
	}
	t.Logf("%d holds given back; the last one %v after its time", ended, seen.Sub(last))
	// Whatever is asked now, they have ended.
	for i := range heldCount {
		a, err := ask[wire.StockAnswer](nc, messages.StockSubject("confirm"), wire.ConfirmReservationRequest{
			ReservationID: fmt.Sprint("cart-", i), SKU: "CART", Site: "den",
		}, "")
		if err != nil || a.failure == nil || a.doc.ReservationStatus != "expired" {
			t.Fatalf("confirm after the end: %v %s", err, a.raw)
		}
	}
	after := bucket(t, nc, "CART", "den")
	if after.Reserved != 0 || after.Allocated != 0 || after.ATP != 1000 || after.OnHand != 1000 || after.Version != before.Version+heldCount {
		t.Errorf("%+v, want everything back and version %d", after, before.Version+heldCount)
	}
	h.verify()
}

// expiries counts the bucket's changes behind a version as they are told, until all holds are back, and says when the last happened.
func expiries(t *testing.T, nc *nats.Conn, behind uint64, within time.Duration) (ended int, last time.Time) {
	t.Helper()
	seen := map[string]bool{}
	follow(t, nc, messages.StreamEvents, messages.EventSubject("stock", "changed", "den"), within, func(m jetstream.Msg) bool {
		var e struct {
			Version uint64 `json:"version"`
			Changes int    `json:"changes"`
		}
		if err := json.Unmarshal(m.Data(), &e); err != nil {
			t.Fatalf("event %s: %v", m.Data(), err)
		}
		id := m.Headers().Get("ce-id")
		if e.Version <= behind || seen[id] {
			return false
		}
		seen[id] = true
		ended += e.Changes
		at, err := time.Parse(time.RFC3339Nano, m.Headers().Get("ce-time"))
		if err != nil {
			t.Fatalf("event time %v: %v", m.Headers(), err)
		}
		last = at
		return ended >= heldCount
	})
	return ended, last
}
