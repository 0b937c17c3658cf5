package test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

const (
	clients = 12
	carts   = "CART"  // held for long: counted exactly
	flashes = "FLASH" // held for a second or two
	plenty  = 1_000_000
)

// goods are what orders are for; they become scarce.
var goods = []string{"TEE", "MUG", "CAP", "BAG"}

// ledger is what the clients were told, in plain maps: the dumb side of the comparison.
type ledger struct {
	mu       sync.Mutex
	round    int
	orders   map[string]*bought
	holds    map[string]*held
	done     []*command // answered, and safe to repeat word for word
	unsure   []*command // of this round: no answer came
	left     int
	enough   chan struct{}
	repeated int
	unknown  int
	spent    []time.Duration
}

// command is one request with its key for life.
type command struct {
	subject, id string
	body        []byte
	first       []byte // the answer
	repeatable  bool   // the answer was remembered, so a repeat says so
	book        func(c *command, a answer[wire.StockAnswer])
}

type bought struct {
	id        string
	lines     int
	cancelled bool // a cancellation was acknowledged
}

type held struct {
	id, sku  string
	quantity int64
	expires  time.Time
	state    string // "" unknown, held, confirmed, over
	busy     bool   // a command about it is under way or unsure
}

func newLedger(t *testing.T, nc *nats.Conn) *ledger {
	l := &ledger{orders: map[string]*bought{}, holds: map[string]*held{}}
	for i := range 3 {
		applySite(t, nc, site(i, func(s *wire.Site) {
			if i == 2 {
				s.Accept = "manual"
			}
		}))
		for _, sku := range goods {
			setStock(t, nc, sku, places[i].id, 200)
		}
	}
	setStock(t, nc, carts, "den", plenty)
	setStock(t, nc, flashes, "den", plenty)
	return l
}

// begin starts a round that is over after n answers.
func (l *ledger) begin(n int, enough chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left, l.enough = n, enough
}

// act makes one random command and books its answer. It is false when no answer came.
func (l *ledger) act(nc *nats.Conn, rng *rand.Rand, client, n int) bool {
	name := fmt.Sprintf("%d-%d-%d", l.round, client, n)
	var c *command
	switch k := rng.IntN(100); {
	case k < 35:
		c = l.buy(name, rng)
	case k < 40:
		c = l.cancelOrder(name, rng)
	case k < 65:
		c = l.hold(name, rng)
	case k < 85:
		c = l.endHold(name, rng)
	default:
		c = l.receive(name, rng)
	}
	return c == nil || l.do(nc, c)
}

// do sends a command until it is answered for good, and books the answer.
func (l *ledger) do(nc *nats.Conn, c *command) bool {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), answerIn)
		m, err := send(ctx, nc, c.subject, c.body, c.id)
		cancel()
		var a answer[wire.StockAnswer]
		if err == nil {
			a, err = read[wire.StockAnswer](m)
		}
		l.mu.Lock()
		switch {
		case err != nil:
			l.unsure = append(l.unsure, c)
			l.mu.Unlock()
			return false
		case a.failure != nil && a.failure.Retryable:
			l.mu.Unlock()
			time.Sleep(time.Duration(max(a.failure.RetryAfterMs, 1)) * time.Millisecond)
			continue
		}
		l.answered(c, a)
		l.mu.Unlock()
		return true
	}
}

// answered books the final answer; the lock is held.
func (l *ledger) answered(c *command, a answer[wire.StockAnswer]) {
	c.first = a.raw
	c.book(c, a)
	if c.repeatable = c.repeatable && a.failure == nil; c.repeatable {
		l.done = append(l.done, c)
	}
	if l.left--; l.left == 0 && l.enough != nil {
		close(l.enough)
		l.enough = nil
	}
}

func makeCommand(subject, id string, doc any, repeatable bool, book func(*command, answer[wire.StockAnswer])) *command {
	body, err := wire.Encode(doc)
	if err != nil {
		panic(err) // documents of this test
	}
	return &command{subject: subject, id: id, body: body, repeatable: repeatable, book: book}
}

func (l *ledger) buy(name string, rng *rand.Rand) *command {
	skus := slices.Clone(goods)
	rng.Shuffle(len(skus), func(i, j int) { skus[i], skus[j] = skus[j], skus[i] })
	o := order(name, 1+rng.Int64N(3), skus[:1+rng.IntN(3)]...)
	o.Policy.OnShort = []string{"", "backorder", "cancel"}[rng.IntN(3)]
	o.Policy.Partial = []string{"", "split", "complete_only", "ship_available"}[rng.IntN(4)]
	return makeCommand(messages.PlaceSubject("web"), "", o, true, func(_ *command, a answer[wire.StockAnswer]) {
		if a.failure == nil {
			l.orders["web-"+name] = &bought{id: "web-" + name, lines: len(o.Lines)}
		}
	})
}

// cancelOrder may be too late, and of a cancelled order it changes nothing: so its answer is not asked for again.
func (l *ledger) cancelOrder(name string, rng *rand.Rand) *command {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := pick(l.orders, rng, func(o *bought) bool { return !o.cancelled })
	if o == nil {
		return nil
	}
	return makeCommand(messages.OrderSubject("cancel"), "cancel-"+name, wire.CancelOrderRequest{OrderID: o.id}, false,
		func(_ *command, a answer[wire.StockAnswer]) { o.cancelled = o.cancelled || a.failure == nil })
}

func (l *ledger) hold(name string, rng *rand.Rand) *command {
	one := &held{id: "hold-" + name, sku: carts, quantity: 1 + rng.Int64N(5), busy: true}
	forMs := int64(10 * 60 * 1000)
	if rng.IntN(2) == 0 {
		one.sku, forMs = flashes, 1000+rng.Int64N(1000)
	}
	return makeCommand(messages.StockSubject("reserve"), one.id, wire.ReserveStockRequest{
		ReservationID: one.id, SKU: one.sku, Site: "den", Quantity: one.quantity, HoldForMs: forMs,
	}, true, func(_ *command, a answer[wire.StockAnswer]) {
		one.busy = false
		if a.failure == nil {
			one.state, one.expires = "held", a.doc.ExpiresAt.Time()
			l.holds[one.id] = one
		}
	})
}

// endHold confirms a hold or gives it back. One that runs out in the same moment may answer that it has expired.
func (l *ledger) endHold(name string, rng *rand.Rand) *command {
	l.mu.Lock()
	defer l.mu.Unlock()
	one := pick(l.holds, rng, func(x *held) bool { return x.state == "held" && !x.busy })
	if one == nil {
		return nil
	}
	one.busy = true
	verb, becomes := "confirm", "confirmed"
	if rng.IntN(3) == 0 {
		verb, becomes = "cancel", "over"
	}
	// A cancel of what has run out changes nothing but that it has run out; only that of a long hold is sure to be remembered.
	return makeCommand(messages.StockSubject(verb), verb+"-"+name, wire.ConfirmReservationRequest{ReservationID: one.id, SKU: one.sku, Site: "den"},
		one.sku == carts, func(_ *command, a answer[wire.StockAnswer]) {
			one.busy = false
			if one.state = becomes; a.failure != nil {
				one.state = "over" // expired
			}
		})
}

func (l *ledger) receive(name string, rng *rand.Rand) *command {
	return makeCommand(messages.StockSubject("receive"), "receive-"+name, wire.ReceiveStockRequest{
		SKU: goods[rng.IntN(len(goods))], Site: places[rng.IntN(3)].id, Quantity: 1 + rng.Int64N(10),
	}, true, func(*command, answer[wire.StockAnswer]) {})
}

// pick gives one entry that fits, or nothing; the keys are sorted so that a seed picks the same.
func pick[T any](m map[string]*T, rng *rand.Rand, fits func(*T) bool) *T {
	keys := slices.Sorted(maps.Keys(m))
	for range min(len(keys), 8) {
		if one := m[keys[rng.IntN(len(keys))]]; fits(one) {
			return one
		}
	}
	return nil
}

// resolve asks again for every answer that the kill swallowed, under the same key: now the outcome is known.
func (l *ledger) resolve(t *testing.T, nc *nats.Conn) {
	t.Helper()
	unsure := l.unsure
	l.unsure = nil
	l.unknown += len(unsure)
	for _, c := range unsure {
		if !l.do(nc, c) {
			t.Fatalf("%s %s: no answer after the restart", c.subject, c.body)
		}
	}
}

// repeat sends acknowledged commands again, those of the last round and some older ones: the answers must be the first ones.
func (l *ledger) repeat(t *testing.T, nc *nats.Conn, rng *rand.Rand) {
	t.Helper()
	again := slices.Clone(l.done[max(len(l.done)-60, 0):])
	for range 40 {
		if len(l.done) > 0 {
			again = append(again, l.done[rng.IntN(len(l.done))])
		}
	}
	l.repeated += len(again)
	each(len(again), 32, func(i int) {
		c := again[i]
		a, err := insistRaw[wire.Head](nc, c.subject, c.body, c.id)
		if err != nil || !a.replayed || !bytes.Equal(a.raw, c.first) {
			t.Errorf("%s %s again: %v, replayed %v, %s, want %s", c.subject, c.id, err, a.replayed, a.raw, c.first)
		}
	})
}

// check compares the books with the house, between two rounds: nobody else is at work on these buckets.
func (l *ledger) check(t *testing.T, nc *nats.Conn) {
	t.Helper()
	l.checkCarts(t, nc)
	l.checkFlashes(t, nc)
	l.checkOrders(t, nc, fmt.Sprintf("web-%d-", l.round))
}

func (l *ledger) checkCarts(t *testing.T, nc *nats.Conn) {
	t.Helper()
	var reserved, allocated int64
	for _, one := range l.holds {
		switch {
		case one.sku != carts:
		case one.state == "held":
			reserved += one.quantity
		case one.state == "confirmed":
			allocated += one.quantity
		}
	}
	if b := bucket(t, nc, carts, "den"); b.Reserved != reserved || b.Allocated != allocated || b.OnHand != plenty || b.ATP != plenty-reserved-allocated {
		t.Errorf("%+v, acknowledged are %d reserved and %d allocated", b, reserved, allocated)
	}
}

// checkFlashes allows for the clock's passing between question and answer, and for the timer's step.
func (l *ledger) checkFlashes(t *testing.T, nc *nats.Conn) {
	t.Helper()
	asked := time.Now()
	b := bucket(t, nc, flashes, "den")
	told := time.Now()
	var surely, perhaps, allocated int64
	for _, one := range l.holds {
		if one.sku != flashes || one.state == "over" {
			continue
		}
		if one.state == "confirmed" {
			allocated += one.quantity
			continue
		}
		if one.expires.After(told) {
			surely += one.quantity
		}
		if one.expires.After(asked.Add(-slack)) {
			perhaps += one.quantity
		}
	}
	if b.Allocated != allocated || b.Reserved < surely || b.Reserved > perhaps || b.OnHand != plenty || b.ATP != plenty-b.Reserved-b.Allocated {
		t.Errorf("%+v, acknowledged are %d to %d reserved and %d allocated", b, surely, perhaps, allocated)
	}
}

// checkOrders asks for every acknowledged order whose id begins so.
func (l *ledger) checkOrders(t *testing.T, nc *nats.Conn, prefix string) {
	t.Helper()
	var ids []string
	for id := range l.orders {
		if strings.HasPrefix(id, prefix) {
			ids = append(ids, id)
		}
	}
	each(len(ids), 64, func(i int) {
		a, err := insist[wire.OrderAnswer](nc, messages.OrderSubject("get"), wire.GetOrderRequest{OrderID: ids[i]}, "")
		switch {
		case err != nil || a.failure != nil || a.doc.OrderView == nil:
			t.Errorf("order %s was acknowledged and is not there: %v %s", ids[i], err, a.raw)
		case len(a.doc.Lines) != l.orders[ids[i]].lines:
			t.Errorf("order %s has %d lines", ids[i], len(a.doc.Lines))
		case l.orders[ids[i]].cancelled && a.doc.CancelReason == "":
			t.Errorf("the cancellation of order %s was acknowledged and is forgotten: %s", ids[i], a.doc.Status)
		}
	})
}

// allThere checks at the end that the house has the acknowledged orders, all of them and no others, and that every short hold is over.
func (l *ledger) allThere(t *testing.T, nc *nats.Conn) {
	t.Helper()
	l.checkOrders(t, nc, "")
	if list := rows(t, nc, wire.ListFilter{}); len(list) != len(l.orders) {
		t.Errorf("%d orders are listed, %d were acknowledged", len(list), len(l.orders))
	}
	for _, one := range l.holds {
		if one.sku == flashes && one.state == "held" && time.Until(one.expires) > -slack {
			time.Sleep(time.Until(one.expires) + slack)
		}
	}
	l.checkFlashes(t, nc)
	l.checkCarts(t, nc)
	if b := bucket(t, nc, flashes, "den"); b.Reserved != 0 {
		t.Errorf("%+v, every hold has run out", b)
	}
}
