//go:build fault && linux

package fault

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/test/fault/client"
	"orderyard/test/fault/load"
	"orderyard/test/fault/world"
)

// repeated is one order of F14: what it was answered, as a hash, and how often it was answered as new.
type repeated struct {
	body   []byte
	mu     sync.Mutex
	answer uint64
	fresh  int
	sent   time.Time
}

const (
	repeatTimes   = 3
	repeatSenders = 48
	repeatMix     = 2000 // an order's copies may be this many places apart
	lateBy        = 10 * time.Minute
)

// TestF14Repeats proves that an order is one order, however often it is sent: each three times, out of order, by many clients, while one node is
// killed and another is paused; and a part of them again at the end, in the full run ten minutes late. As every order takes exactly one
// unit, the units that are allocated tell to the last one how many orders there are.
func TestF14Repeats(t *testing.T) {
	orders := sized(100_000, 3_000)
	row := results.Row("F14", fmt.Sprintf("%d orders sent 3 times, out of order, across a kill and a pause; late again", orders), "one order each, 0 doubled")
	s := setUp(t, row, world.Options{Nodes: 3}, cast{quietly: true})
	var err error
	s.load, err = load.New(t.Context(), s.ask, load.Options{Quiet: true}) // for its sites and their people
	s.must("prepare", err)
	list := make([]*repeated, orders)
	for i := range list {
		list[i] = &repeated{body: repeatOrder(i)}
	}
	s.stockFor(orders)
	began := time.Now()
	s.sendAll(list, shuffled(orders), func(done float64) { s.disturb(done) })
	sent := time.Since(began)
	late := list[:orders/10]
	if !testing.Short() {
		time.Sleep(time.Until(late[len(late)-1].sent.Add(lateBy)))
	}
	again := make([]int, len(late))
	for i := range again {
		again[i] = i
	}
	s.sendAll(late, again, nil)
	row.Say("%d requests in %v (%.0f/s), %d more %v after the first", orders*repeatTimes, sent.Round(time.Second), float64(orders*repeatTimes)/sent.Seconds(), len(late), time.Since(began).Round(time.Second))
	doubled := 0
	for i, o := range list {
		if o.answer == 0 || o.fresh > 1 {
			doubled++
			s.require(doubled > 10, "order %d was answered %d times as new (answered at all: %v)", i, o.fresh, o.answer != 0)
		}
	}
	s.countRepeated(orders)
	verified, err := s.w.Verify(restWithin)
	if err != nil {
		s.require(false, "%v", err)
	}
	s.auditJournal(t.Context())
	s.auditOutput()
	counts := s.ask.Tally.Between(s.began, time.Now())
	s.require(counts.Bad() == 0, "answers that no client may see: %v", counts)
	row.Lead("%d of %d doubled, sent %d times and more; attempts %v; %d entities verified", doubled, orders, repeatTimes, counts, verified.Entities)
	t.Log(row.Measured)
}

// TestF14Refusals proves that a refusal under a command id stays one, as every answer does: a reservation is declined, goods arrive, and the
// same command comes again, as a late copy of it would. Else a client that was told no would hold units that it knows nothing of.
func TestF14Refusals(t *testing.T) {
	row := results.Row("F14n", "a declined command comes again after goods have arrived", "the first answer again")
	s := setUp(t, row, world.Options{Nodes: 1}, cast{quietly: true})
	ask := func(verb, id string, doc any) client.Outcome {
		t.Helper()
		return s.ask.Insist(t.Context(), messages.StockSubject(verb), client.Encode(doc), id)
	}
	none := int64(0)
	if got := ask("set", "count", wire.SetStockRequest{SKU: "SCARCE", Site: "den", OnHand: &none}); !got.OK() {
		t.Fatal(got.String())
	}
	reserve := wire.ReserveStockRequest{ReservationID: "r1", SKU: "SCARCE", Site: "den", Quantity: 1, HoldForMs: 60_000}
	first := ask("reserve", "once", reserve)
	if first.Code != messages.CodeDeclined {
		t.Fatal(first.String())
	}
	if got := ask("receive", "goods", wire.ReceiveStockRequest{SKU: "SCARCE", Site: "den", Quantity: 5}); !got.OK() {
		t.Fatal(got.String())
	}
	again := ask("reserve", "once", reserve)
	row.Say("first %s, again %s", first.Body, again.Body)
	s.require(string(again.Body) == string(first.Body), "the same command id was answered as %s and then as %s", first.Body, again.Body)
}

func repeatSKU(i int) string { return fmt.Sprintf("ONCE-%d", i%50) }

func repeatOrder(i int) []byte {
	price, lat, lon := int64(500), 39.75, -104.99
	return client.Encode(wire.Order{
		Channel: "twice", ExternalID: fmt.Sprint(i), Currency: "USD",
		ShipTo: wire.Address{Name: "A. Buyer", City: "Denver", PostalCode: "80202", Country: "US", Lat: &lat, Lon: &lon},
		Lines:  []wire.Line{{ID: "1", SKU: repeatSKU(i), Quantity: 1, UnitPrice: &price}},
	})
}

func (s *scene) stockFor(orders int) {
	s.Helper()
	units := int64(orders)
	for i := range 50 {
		doc := wire.SetStockRequest{SKU: repeatSKU(i), Site: load.Sites[0].ID, OnHand: &units}
		got := s.ask.Insist(s.Context(), messages.StockSubject("set"), client.Encode(doc), "")
		if !got.OK() {
			s.Fatalf("count %s: %s", doc.SKU, got.String())
		}
	}
}

// shuffled lists every order three times, each copy somewhere near its place.
func shuffled(n int) []int {
	type send struct{ at, order int }
	sends := make([]send, 0, n*repeatTimes)
	for i := range n {
		for range repeatTimes {
			sends = append(sends, send{i + rand.IntN(repeatMix), i})
		}
	}
	slices.SortFunc(sends, func(a, b send) int { return a.at - b.at })
	list := make([]int, len(sends))
	for i, one := range sends {
		list[i] = one.order
	}
	return list
}

// sendAll sends by many clients at once; progress is told now and then, from 0 to 1.
func (s *scene) sendAll(list []*repeated, which []int, progress func(done float64)) {
	s.Helper()
	var next atomic.Int64
	var wait sync.WaitGroup
	for range repeatSenders {
		wait.Go(func() {
			for {
				at := int(next.Add(1)) - 1
				if at >= len(which) {
					return
				}
				s.sendOnce(list[which[at]])
			}
		})
	}
	ended := make(chan struct{})
	go func() { wait.Wait(); close(ended) }()
	for {
		select {
		case <-ended:
			return
		case <-time.After(50 * time.Millisecond):
			if progress != nil {
				progress(float64(next.Load()) / float64(len(which)))
			}
		}
	}
}

func (s *scene) sendOnce(o *repeated) {
	got := s.ask.Insist(context.Background(), messages.PlaceSubject("twice"), o.body, "")
	if !got.OK() {
		s.require(false, "place: %s after %d tries", got.String(), got.Tries)
		return
	}
	h := fnv.New64a()
	h.Write(got.Body)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sent.IsZero() {
		o.sent = got.Sent
	}
	if o.answer != 0 && o.answer != h.Sum64() {
		s.require(false, "two answers to one order, one of them %s", got.Body)
	}
	o.answer = h.Sum64()
	if !got.Replayed {
		o.fresh++
	}
}

// disturb kills a node a third of the way and pauses another at two thirds. The sending goes on meanwhile.
func (s *scene) disturb(done float64) {
	s.Helper()
	switch {
	case done > 0.3 && s.step == 0:
		s.step++
		s.row.Say("killed %s with -9 at %.0f %%", s.w.Nodes[0].Name, 100*done)
		s.w.Nodes[0].Kill()
		_, err := s.w.Nodes[0].Restart()
		s.must("restart", err)
	case done > 0.6 && s.step == 1:
		s.step++
		s.row.Say("paused %s for 5 s at %.0f %%", s.w.Nodes[1].Name, 100*done)
		s.must("pause", s.w.Nodes[1].Pause())
		time.Sleep(5 * time.Second) // the pause is the subject
		s.must("resume", s.w.Nodes[1].Resume())
	}
}

// countRepeated waits until every order has its unit, and counts the units.
func (s *scene) countRepeated(orders int) {
	s.Helper()
	var allocated, reserved int64
	began := time.Now()
	for {
		allocated, reserved = 0, 0
		for i := range 50 {
			got := s.ask.Insist(s.Context(), messages.StockSubject("get"), client.Encode(wire.GetStockRequest{SKU: repeatSKU(i), Site: load.Sites[0].ID}), "")
			var a wire.StockAnswer
			if !got.OK() || got.Read(&a) != nil || a.Bucket == nil {
				s.Fatalf("get %s: %s", repeatSKU(i), got.String())
			}
			allocated, reserved = allocated+a.Allocated, reserved+a.Reserved
		}
		if allocated == int64(orders) && reserved == 0 || allocated > int64(orders) || time.Since(began) > restWithin {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	s.row.Say("%d units allocated for %d orders", allocated, orders)
	s.require(allocated == int64(orders) && reserved == 0, "%d units are allocated and %d reserved for %d orders of one unit", allocated, reserved, orders)
}
