//go:build fault && linux

package fault

import (
	"context"
	"fmt"
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

const (
	failoverMax = time.Second      // F1: first commit of a moved partition after kill -9, 99th percentile
	failoverCap = 15 * time.Second // and when the test no longer waits
	balanceIn   = 60 * time.Second
)

// TestF01Kill proves that the death of a node costs a moment and nothing else: one of three is killed with -9 again and again under load;
// every partition it owned must commit again at once, every error a client sees must be one that it may repeat.
func TestF01Kill(t *testing.T) {
	kills := sized(20, 4)
	row := results.Row("F1", fmt.Sprintf("kill -9 one node, %d times", kills), "all I; first commit of moved partitions p99 ≤ 1 s; every error retryable")
	s := setUp(t, row, world.Options{Nodes: 3}, cast{})
	_, err := s.w.Balance(balanceIn, s.names()...)
	s.must("balance", err)
	var moved, starts []time.Duration
	for i := range kills {
		moved = append(moved, s.killOne(s.w.Nodes[i%len(s.w.Nodes)])...)
		took, err := s.w.Nodes[i%len(s.w.Nodes)].Restart()
		s.must("restart", err)
		starts = append(starts, took)
		_, err = s.w.Balance(balanceIn, s.names()...)
		s.must(fmt.Sprintf("after kill %d", i+1), err)
	}
	p50, p99, longest := spread(moved)
	_, _, slowest := spread(starts)
	row.Lead("first commit after kill -9: p50 %v, p99 %v, max %v (%d partitions moved in %d kills); restart ≤ %v", ms(p50), ms(p99), ms(longest), len(moved), kills, ms(slowest))
	s.require(p99 <= failoverMax, "first commit p99 %v, at most %v", ms(p99), ms(failoverMax))
	s.audit()
}

// killOne kills a node and measures every partition it owned.
func (s *scene) killOne(n *world.Node) []time.Duration {
	s.Helper()
	owned, err := s.w.Owned(n.Name)
	s.must("who owns what", err)
	killed := time.Now()
	n.Kill()
	return s.comeBack(owned, killed, failoverCap)
}

// comeBack measures when partitions commit again after a moment. One that does not within the time counts as that long.
func (s *scene) comeBack(partitions []int, after time.Time, within time.Duration) []time.Duration {
	s.Helper()
	var list []time.Duration
	var mute []int
	for _, p := range partitions {
		for {
			if d, found := s.probe.First(p, after); found {
				list = append(list, d)
				break
			}
			if time.Since(after) > within {
				list, mute = append(list, within), append(mute, p)
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	s.require(len(mute) == 0, "partitions %v do not commit again within %v", mute, within)
	return list
}

// readyMax bounds the start of everything after kill -9 of everything.
const readyMax = 10 * time.Second

// TestF02KillAll proves that the death of everything at once loses nothing, also with very many open holds: all nodes and NATS are killed
// with -9 and started again; all must be ready in time, and every hold must still be counted.
func TestF02KillAll(t *testing.T) {
	full(t)
	holds := sized(1_000_000, 20_000)
	row := results.Row("F2", fmt.Sprintf("kill -9 all with %d open holds, restart", holds), "all I; ready ≤ 10 s")
	s := setUp(t, row, world.Options{Nodes: 3}, cast{})
	s.load.Stop()
	s.hold(holds)
	s.load.Start()
	time.Sleep(warmUp)
	for _, n := range s.w.Nodes {
		go n.Kill() // all at once
	}
	for _, n := range s.w.Nodes {
		<-n.Ended()
	}
	s.w.Servers[0].Kill()
	down := time.Now()
	s.must("restart NATS", s.w.Servers[0].Start())
	store := time.Since(down)
	began := time.Now()
	var wait sync.WaitGroup
	errs := make([]error, len(s.w.Nodes))
	for i, n := range s.w.Nodes {
		wait.Go(func() { _, errs[i] = n.Restart() })
	}
	wait.Wait()
	ready := time.Since(began)
	for _, err := range errs {
		s.must("restart", err)
	}
	back, err := s.probe.Everywhere(down, time.Minute)
	s.must("commit again", err)
	row.Lead("ready %v after the start of the nodes, commits everywhere %v after the start of NATS (which took %v)", ms(ready), ms(back), ms(store))
	s.require(ready <= readyMax, "ready after %v, at most %v", ms(ready), ms(readyMax))
	s.countHolds(holds)
	s.audit()
}

const (
	cartBuckets = 100
	cartPage    = 500
	cartHours   = 20
)

// hold makes carts of one unit each, evenly over the buckets, in large requests.
func (s *scene) hold(n int) {
	s.Helper()
	began := time.Now()
	site := load.Sites[0].ID
	for i := range cartBuckets {
		units := int64(10 * n)
		got := s.ask.Insist(s.Context(), messages.StockSubject("set"), client.Encode(wire.SetStockRequest{SKU: cart(i), Site: site, OnHand: &units}), "")
		if !got.OK() {
			s.Fatalf("count %s: %s", cart(i), got.String())
		}
	}
	var wait sync.WaitGroup
	var next atomic.Int64
	for range 8 {
		wait.Go(func() {
			for {
				page := int(next.Add(1)) - 1
				if page*cartPage >= n || s.Failed() {
					return
				}
				docs := make([]wire.ReserveStockRequest, min(cartPage, n-page*cartPage))
				for k := range docs {
					number := page*cartPage + k
					docs[k] = wire.ReserveStockRequest{
						ReservationID: fmt.Sprintf("cart-%d", number), SKU: cart(number % cartBuckets), Site: site, Quantity: 1, HoldForMs: cartHours * 3600 * 1000,
					}
				}
				got := s.ask.Insist(s.Context(), messages.StockSubject("reserve"), client.Encode(docs), fmt.Sprintf("carts-%d", page))
				if !got.OK() {
					s.Errorf("carts: %s", got.String())
				}
			}
		})
	}
	wait.Wait()
	s.row.Say("%d holds made in %v", n, time.Since(began).Round(time.Millisecond))
}

func cart(i int) string { return fmt.Sprintf("CART-%d", i) }

// countHolds asks every bucket of carts.
func (s *scene) countHolds(n int) {
	s.Helper()
	total := int64(0)
	for i := range cartBuckets {
		got := s.ask.Insist(context.Background(), messages.StockSubject("get"), client.Encode(wire.GetStockRequest{SKU: cart(i), Site: load.Sites[0].ID}), "")
		var a wire.StockAnswer
		if !got.OK() || got.Read(&a) != nil || a.Bucket == nil {
			s.Fatalf("get %s: %s", cart(i), got.String())
		}
		total += a.Reserved
	}
	s.require(total == int64(n), "%d units are held, acknowledged are %d", total, n)
}
