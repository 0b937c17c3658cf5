package test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

// TestTenThousandBuyersOneBucket proves that a bucket sells exactly what it has, first come first served: more buyers than units send
// at once, first down one connection in a known order, then over many connections.
func TestTenThousandBuyersOneBucket(t *testing.T) {
	h := open(t, t.TempDir())
	nc := h.connect()
	applySite(t, nc, site(0, nil))
	t.Run("in a known order", func(t *testing.T) { buyInOrder(t, h, nc) })
	t.Run("from everywhere", func(t *testing.T) { buyFromEverywhere(t, h, nc) })
	h.verify()
}

// buyInOrder publishes every request before it reads an answer: the first units in line must win, and nobody may be turned away for
// lack of room.
func buyInOrder(t *testing.T, h *house, nc *nats.Conn) {
	setStock(t, nc, "ORDERED", "den", stocked)
	buyers := h.connect()
	inbox := nats.NewInbox()
	answers := make(chan *nats.Msg, crowd)
	if _, err := buyers.ChanSubscribe(inbox+".*", answers); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for i := range crowd {
		body, err := wire.Encode(wire.ReserveStockRequest{ReservationID: fmt.Sprint("line-", i), SKU: "ORDERED", Site: "den", Quantity: 1})
		if err != nil {
			t.Fatal(err)
		}
		m := &nats.Msg{Subject: messages.StockSubject("reserve"), Reply: inbox + "." + strconv.Itoa(i), Data: body, Header: nats.Header{}}
		m.Header.Set(messages.HeaderDeadlineMs, "30000")
		if err := buyers.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	sent := time.Since(began)
	late := time.After(answerIn + 20*time.Second)
	won, answered, refused := 0, map[int]bool{}, map[string]int{}
	for range crowd {
		var m *nats.Msg
		select {
		case m = <-answers:
		case <-late:
			t.Fatalf("%d of %d answers came", len(answered), crowd)
		}
		i, err := strconv.Atoi(messages.LastToken(m.Subject))
		if err != nil || answered[i] {
			t.Fatalf("buyer %q: answered twice, or %v", m.Subject, err)
		}
		answered[i] = true
		a, err := read[wire.StockAnswer](m)
		if err != nil {
			t.Fatal(err)
		}
		switch code := a.failure.GetCode(); {
		case code == "" && i >= stocked:
			t.Errorf("buyer %d won, only the first %d should", i, stocked)
		case code == "":
			won++
		case code == messages.CodeDeclined && i < stocked:
			t.Errorf("buyer %d was declined though there were units: %s", i, a.raw)
		case code == messages.CodeDeclined && (a.doc.ATP == nil || *a.doc.ATP != 0):
			t.Errorf("buyer %d was declined without being told that 0 are left: %s", i, a.raw)
		default:
			refused[code]++
		}
	}
	took := time.Since(began)
	t.Logf("%d buyers on one connection, sent in %v, answered in %v: %d reserved, refused %v", crowd, sent.Round(time.Millisecond), took.Round(time.Millisecond), won, refused)
	if won != stocked || refused[messages.CodeDeclined] != crowd-stocked {
		t.Errorf("%d reserved and %v refused, want %d and %d declined", won, refused, stocked, crowd-stocked)
	}
	soldOut(t, nc, "ORDERED")
}

// soldOut checks that every unit is spoken for and none twice.
func soldOut(t *testing.T, nc *nats.Conn, sku string) {
	t.Helper()
	if b := bucket(t, nc, sku, "den"); b.OnHand != stocked || b.Reserved != stocked || b.Allocated != 0 || b.ATP != 0 {
		t.Errorf("stock.get says %+v, want all of %d reserved", b, stocked)
	}
}

// purchase is one buyer's story, for the check of who came first.
type purchase struct {
	sent, told time.Time
	won        bool
}

// buyFromEverywhere lets every buyer be a goroutine of its own. Nothing is given back, so whoever sends after somebody has been
// declined must be declined too.
func buyFromEverywhere(t *testing.T, h *house, nc *nats.Conn) {
	setStock(t, nc, "CROWD", "den", stocked)
	conns := connections(h, 8)
	story := make([]purchase, crowd)
	var mu sync.Mutex
	failed := map[string]int{}
	began := time.Now()
	together(crowd, func(i int) {
		story[i].sent = time.Now()
		a, err := insist[wire.StockAnswer](conns[i%len(conns)], messages.StockSubject("reserve"), wire.ReserveStockRequest{
			ReservationID: fmt.Sprint("crowd-", i), SKU: "CROWD", Site: "den", Quantity: 1,
		}, fmt.Sprint("crowd-", i))
		story[i].told, story[i].won = time.Now(), err == nil && a.failure == nil
		if err != nil || a.failure != nil && a.failure.Code != messages.CodeDeclined {
			mu.Lock()
			failed[fmt.Sprint(err, a.failure)]++
			mu.Unlock()
		}
	})
	won, firstDeclined := 0, time.Now()
	for _, p := range story {
		if p.won {
			won++
		} else if p.told.Before(firstDeclined) {
			firstDeclined = p.told
		}
	}
	t.Logf("%d buyers on %d connections answered in %v: %d reserved", crowd, len(conns), time.Since(began).Round(time.Millisecond), won)
	if len(failed) > 0 {
		t.Errorf("neither reserved nor declined: %v", failed)
	}
	if won != stocked {
		t.Errorf("%d reserved, want %d", won, stocked)
	}
	for i, p := range story {
		if p.won && p.sent.After(firstDeclined) {
			t.Errorf("buyer %d won and came %v after another had been declined", i, p.sent.Sub(firstDeclined))
		}
	}
	soldOut(t, nc, "CROWD")
}

func connections(h *house, n int) []*nats.Conn {
	conns := make([]*nats.Conn, n)
	for i := range conns {
		conns[i] = h.connect()
	}
	return conns
}

// together runs n goroutines that all wait for the same start.
func together(n int, f func(i int)) {
	var wait sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wait.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wait.Wait()
}

// TestTenThousandOrdersThreeSites proves that orders sell what three sites have together and not one unit more, and that those who
// come too late are treated by their own policy: all orders are placed at once, then every headline and every bucket is counted.
func TestTenThousandOrdersThreeSites(t *testing.T) {
	h := open(t, t.TempDir())
	nc := h.connect()
	left := int64(stocked)
	for i := range 3 {
		applySite(t, nc, site(i, nil))
		share := left / int64(3-i)
		setStock(t, nc, "SCARCE", places[i].id, share)
		left -= share
	}
	policy := func(i int) string {
		if i%5 == 0 {
			return "backorder"
		}
		return "cancel"
	}
	conns := connections(h, 8)
	var mu sync.Mutex
	failed := map[string]int{}
	began := time.Now()
	together(crowd, func(i int) {
		o := order(fmt.Sprint(i), 1, "SCARCE")
		o.Policy.OnShort = policy(i)
		a, err := insist[wire.OrderReceipt](conns[i%len(conns)], messages.PlaceSubject("web"), o, "")
		if err != nil || a.failure != nil {
			mu.Lock()
			failed[fmt.Sprint(err, a.failure)]++
			mu.Unlock()
		}
	})
	placed := time.Since(began)
	if len(failed) > 0 {
		t.Fatalf("orders that were not taken: %v", failed)
	}
	rest(t, nc, time.Minute)
	settled := time.Since(began)
	counts := map[string]int{}
	for _, row := range rows(t, nc, wire.ListFilter{}) {
		i, err := strconv.Atoi(strings.TrimPrefix(row.OrderID, "web-"))
		if err != nil {
			t.Fatal(err)
		}
		counts[row.Status]++
		late := map[string]string{"cancel": "cancelled", "backorder": "backordered"}[policy(i)]
		if row.Status != late && row.Status != "released" {
			t.Errorf("order %s with on_short %s is %s", row.OrderID, policy(i), row.Status)
		}
	}
	t.Logf("%d orders placed in %v, at rest in %v: %v", crowd, placed.Round(time.Millisecond), settled.Round(time.Millisecond), counts)
	if counts["released"] != stocked || counts["released"]+counts["cancelled"]+counts["backordered"] != crowd {
		t.Errorf("%v, want %d released and the rest of %d cancelled or back-ordered", counts, stocked, crowd)
	}
	var sold int64
	for i := range 3 {
		b := bucket(t, nc, "SCARCE", places[i].id)
		if b.Allocated != b.OnHand || b.Reserved != 0 || b.ATP != 0 || b.Overcommitted != 0 {
			t.Errorf("stock.get says %+v, want all allocated", b)
		}
		sold += b.Allocated
	}
	if sold != stocked {
		t.Errorf("%d units sold, want %d", sold, stocked)
	}
	h.verify()
	if slowest := slices.Max([]time.Duration{placed, settled}); !raceBuild && slowest > time.Minute {
		t.Errorf("took %v", slowest)
	}
}
