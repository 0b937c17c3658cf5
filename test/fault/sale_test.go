//go:build fault && linux

package fault

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"orderyard/cluster"
	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/test/fault/client"
	"orderyard/test/fault/flood"
	"orderyard/test/fault/load"
	"orderyard/test/fault/world"
)

const (
	saleSKU    = "SALE"
	saleKills  = 3
	saleWithin = 4 * time.Minute
	saleHoldMs = 3600 * 1000 // no hold ends by itself: stock never comes back
)

// TestF20Sale proves that a flash sale sells what there is, to the last unit and to none too many, first come first served, while the node that
// sells is killed with -9 again and again. Every buyer wants one unit and asks under one command id until it knows. Nothing is given back, so
// once somebody has been told `declined`, nobody may win who began after that: F20's "first come" is
//
//	for all winners w and all losers l:  began(w) < told(l)
//
// with began the moment the first attempt left the buyer, told the moment the answer was there. Winners then confirm, and the bucket
// must hold exactly that.
func TestF20Sale(t *testing.T) {
	units, buyers := sized(10_000, 6_000), sized(200_000, 20_000)
	row := results.Row("F20", fmt.Sprintf("flash sale: %d units, %d buyers, %d × kill -9 of the node that sells", units, buyers, saleKills),
		fmt.Sprintf("sold exactly %d; first come, first served among acknowledged", units))
	s := setUp(t, row, world.Options{Nodes: 3}, cast{})
	_, err := s.w.Balance(balanceIn, s.names()...)
	s.must("balance", err)
	count := int64(units)
	got := s.ask.Insist(t.Context(), messages.StockSubject("set"), client.Encode(wire.SetStockRequest{SKU: saleSKU, Site: load.Sites[0].ID, OnHand: &count}), "")
	if !got.OK() {
		t.Fatal(got.String())
	}
	sale := &flood.Sale{
		Subject: messages.StockSubject("reserve"), Buyers: buyers, PerSecond: float64(sized(8_000, 3_000)), Attempt: time.Second, Body: appendReserve,
	}
	ctx, cancel := context.WithTimeout(t.Context(), saleWithin)
	defer cancel()
	over := make(chan struct{})
	var purchases []flood.Purchase
	began := time.Now()
	go func() {
		defer close(over)
		purchases, err = sale.Run(ctx, s.w.URL())
	}()
	s.killSellers(sale, units, over)
	<-over
	s.must("sell", err)
	lasted := time.Since(began)
	for _, n := range s.w.Nodes {
		s.must("restart", n.AwaitReady(time.Minute))
	}
	winners := s.judgeSale(purchases, units)
	s.confirm(winners)
	row.Lead("%d of %d units sold to %d buyers in %v (%.0f answers/s), nobody who came after the first was told no", len(winners), units, buyers, lasted.Round(100*time.Millisecond), float64(buyers)/lasted.Seconds())
	s.audit()
}

func appendReserve(dst []byte, buyer int) []byte {
	dst = append(dst, `{"reservation_id":"sale-`...)
	dst = strconv.AppendInt(dst, int64(buyer), 10)
	return append(dst, fmt.Sprintf(`","sku":"%s","site":"%s","quantity":1,"hold_for_ms":%d}`, saleSKU, load.Sites[0].ID, saleHoldMs)...)
}

// killSellers kills whoever owns the bucket when a twelfth, a quarter and five twelfths of the units are sold, and starts it again at once. The next
// kill does not wait for it. Who came while nobody sold is served within milliseconds then, so there must be more units left than that.
func (s *scene) killSellers(sale *flood.Sale, units int, over <-chan struct{}) {
	s.Helper()
	partition := cluster.PartitionOf(messages.BucketRef(saleSKU, load.Sites[0].ID), s.w.Partitions())
	for i := range saleKills {
		for sold, _ := sale.Progress(); sold < units*(2*i+1)/(4*saleKills); sold, _ = sale.Progress() {
			select {
			case <-over:
				s.Fatalf("the sale was over before kill %d", i+1)
			case <-time.After(5 * time.Millisecond):
			}
		}
		seller := s.owner(partition)
		sold, told := sale.Progress()
		seller.Kill()
		s.must("restart", seller.Start())
		s.row.Say("kill %d: %s, with %d of %d units sold and %d buyers answered", i+1, seller.Name, sold, units, told)
		s.require(sold < units, "kill %d came when all was sold", i+1)
	}
}

// owner gives the node that lives and owns a partition, as soon as there is one. It asks nodes, for `cluster partitions` takes its time.
func (s *scene) owner(partition int) (found *world.Node) {
	s.Helper()
	s.until(time.Minute, "somebody owns the bucket", func() error {
		all, err := s.w.Owners()
		if err != nil {
			return err
		}
		n := s.w.Node(all[partition].Node)
		if n == nil || !n.Alive() || n.Ready() != nil {
			return fmt.Errorf("%q owns it", all[partition].Node)
		}
		found = n
		return nil
	})
	return found
}

// judgeSale checks what the buyers were told, and gives the winners.
func (s *scene) judgeSale(purchases []flood.Purchase, units int) (winners []int) {
	s.Helper()
	codes, tries, again := map[string]int{}, 0, 0
	lastYes := time.Duration(0)
	for i := range purchases {
		p := &purchases[i]
		codes[p.Code]++
		if tries += p.Tries; p.Tries > 1 {
			again++
		}
		if p.Won() {
			winners = append(winners, i)
			lastYes = max(lastYes, p.Told)
		}
	}
	late, firstNo := flood.Late(purchases, messages.CodeDeclined)
	s.row.Say("buyers were told %v; %d attempts, %d buyers asked again; the first no after %v, the last yes after %v", codes, tries, again, ms(firstNo), ms(lastYes))
	s.require(len(winners) == units, "%d buyers were told that they have one of %d units", len(winners), units)
	s.require(codes[messages.CodeDeclined] == len(purchases)-len(winners), "buyers were told %v", codes)
	s.require(len(late) == 0, "%d buyers won who began after somebody had been told no at %v: %v", len(late), firstNo, late[:min(len(late), 10)])
	return winners
}

// confirm makes the winners' claims firm and counts the bucket.
func (s *scene) confirm(winners []int) {
	s.Helper()
	const page = 500
	for list := range slices.Chunk(winners, page) {
		docs := make([]wire.ConfirmReservationRequest, len(list))
		for i, w := range list {
			docs[i] = wire.ConfirmReservationRequest{ReservationID: fmt.Sprint("sale-", w), SKU: saleSKU, Site: load.Sites[0].ID}
		}
		got := s.ask.Insist(s.Context(), messages.StockSubject("confirm"), client.Encode(docs), fmt.Sprint("sold-", list[0]))
		s.require(got.OK(), "confirm: %s", got.String())
	}
	got := s.ask.Insist(s.Context(), messages.StockSubject("get"), client.Encode(wire.GetStockRequest{SKU: saleSKU, Site: load.Sites[0].ID}), "")
	var a wire.StockAnswer
	if !got.OK() || got.Read(&a) != nil || a.Bucket == nil {
		s.Fatalf("get %s: %s", saleSKU, got.String())
	}
	s.require(a.Allocated == int64(len(winners)) && a.Allocated == a.OnHand && a.Reserved == 0 && a.Bucket.ATP == 0, "the bucket says %+v for %d winners", *a.Bucket, len(winners))
}
