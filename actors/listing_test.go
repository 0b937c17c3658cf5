package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"orderyard/cluster"
	"orderyard/messages"
)

const listPartitions = 7

// row is an order's summary with nothing but what lists look at.
func row(id, channel, status string, accepted int64, sites ...string) *messages.OrderSummary {
	return &messages.OrderSummary{OrderId: id, Channel: channel, Status: status, AcceptedAtMs: accepted, ChangedAtMs: accepted, Sites: sites}
}

// yard is nodes that list together, and one that has every order by itself.
type yard struct {
	*net
	nodes []*Knowledge
	lists []*Listing
	whole *Knowledge
	gone  atomic.Bool // the last node is no member any more
}

func newYard(t interface{ Fatal(...any) }, n int) *yard {
	y := &yard{net: newNet(1), whole: newKnower().Knowledge}
	for i := range n {
		k := newKnower().Knowledge
		k.SplitBy(listPartitions)
		peers := func() (list []Peer) {
			for j := range n {
				if j != i && (j != n-1 || !y.gone.Load()) {
					list = append(list, Peer{Incarnation: fmt.Sprint("i", j), Node: fmt.Sprint("node", j)})
				}
			}
			return list
		}
		l, err := NewListing(k, y.join(fmt.Sprint("i", i)), peers)
		if err != nil {
			t.Fatal(err)
		}
		y.nodes, y.lists = append(y.nodes, k), append(y.lists, l)
	}
	return y
}

func (y *yard) end() {
	for id := range y.net.nodes {
		y.leave(id)
	}
}

func (y *yard) owner(id string) int {
	return cluster.PartitionOf(messages.OrderRef(id), listPartitions) % len(y.nodes)
}

func (y *yard) put(s *messages.OrderSummary) {
	y.nodes[y.owner(s.OrderId)].Observe(messages.OrderRef(s.OrderId), s, nil)
	y.whole.Observe(messages.OrderRef(s.OrderId), s, nil)
}

func ids(rows []*messages.OrderSummary) (list []string) {
	for _, r := range rows {
		list = append(list, r.OrderId+" "+r.Status)
	}
	return list
}

// The pages of three nodes together are the pages of one node with every order, cursor by cursor, whichever node is asked for which page:
// rapid draws orders, moments, filters and page sizes.
func TestListOfNodesIsTheListOfOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		y := newYard(t, 3)
		defer y.end()
		for i := range rapid.IntRange(0, 60).Draw(t, "orders") {
			y.put(row(fmt.Sprintf("%s-%d", rapid.SampledFrom([]string{"web", "shop"}).Draw(t, "channel"), i),
				rapid.SampledFrom([]string{"web", "shop"}).Draw(t, "of"), rapid.SampledFrom([]string{"placed", "shipped"}).Draw(t, "status"),
				rapid.Int64Range(0, 9).Draw(t, "at"), rapid.SampledFrom([]string{"S1", "S2"}).Draw(t, "site")))
		}
		f := OrderFilter{
			Status: rapid.SampledFrom([]string{"", "placed"}).Draw(t, "by status"), Channel: rapid.SampledFrom([]string{"", "web"}).Draw(t, "by channel"),
			Site: rapid.SampledFrom([]string{"", "S2"}).Draw(t, "by site"), Query: rapid.SampledFrom([]string{"", "3"}).Draw(t, "query"),
		}
		limit := rapid.IntRange(1, 25).Draw(t, "limit")
		for cursor := ""; ; {
			want, next := y.whole.ListOrders(f, cursor, limit)
			got, then, err := y.lists[rapid.IntRange(0, 2).Draw(t, "node")].ListOrders(t.Context(), f, cursor, limit)
			if err != nil || then != next || !slices.Equal(ids(got), ids(want)) {
				t.Fatalf("page behind %q: %v %q %v, want %v %q", cursor, ids(got), then, err, ids(want), next)
			}
			if cursor = next; cursor == "" {
				return
			}
		}
	})
}

// A large page travels whole: its rows need several parts.
func TestLargePage(t *testing.T) {
	y := newYard(t, 3)
	defer y.end()
	for i := range 3000 {
		y.put(row(fmt.Sprintf("web-%d-%s", i, strings.Repeat("x", 400)), "web", "placed", int64(i)))
	}
	got, next, err := y.lists[1].ListOrders(t.Context(), OrderFilter{}, "", 2500)
	want, then := y.whole.ListOrders(OrderFilter{}, "", 2500)
	if err != nil || next != then || !slices.Equal(ids(got), ids(want)) {
		t.Fatalf("%d rows, %v", len(got), err)
	}
}

// An order that is on two nodes while its partition moves is listed once, as it stands now.
func TestMovingOrderIsListedOnce(t *testing.T) {
	y := newYard(t, 2)
	defer y.end()
	old, young := row("web-1", "web", "placed", 5), row("web-1", "web", "shipped", 5)
	young.ChangedAtMs = 9
	y.nodes[0].Observe(messages.OrderRef("web-1"), old, nil)
	y.nodes[1].Observe(messages.OrderRef("web-1"), young, nil)
	for _, l := range y.lists {
		if rows, _, err := l.ListOrders(t.Context(), OrderFilter{}, "", 10); err != nil || !slices.Equal(ids(rows), []string{"web-1 shipped"}) {
			t.Errorf("%v %v", ids(rows), err)
		}
	}
}

// A living node that does not answer makes the list fail within a second, in its name and worth a retry, be it mute or not there yet; once
// it is no member any more the list is made without it.
func TestListNeedsEveryNode(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		y := newYard(t, 3)
		y.put(row("web-1", "web", "placed", 1))
		list := func() ([]*messages.OrderSummary, error) {
			began := time.Now()
			rows, _, err := y.lists[0].ListOrders(context.Background(), OrderFilter{}, "", 10)
			if took := time.Since(began); took > listWithin+time.Millisecond {
				t.Errorf("took %s", took)
			}
			return rows, err
		}
		fails := func(what string) {
			t.Helper()
			_, err := list()
			var f *messages.Failure
			if !errors.As(err, &f) || f.Code != messages.CodeUnavailable || !f.Retryable || !strings.Contains(f.Message, "node2") {
				t.Errorf("%s: %v", what, err)
			}
		}
		mute := y.net.nodes["i2"]
		mute.set(false, true)
		fails("mute")
		mute.set(false, false)
		if rows, err := list(); err != nil || len(rows) != 1 {
			t.Errorf("all answer: %v %v", ids(rows), err)
		}
		y.leave("i2")
		fails("ended")
		time.AfterFunc(300*time.Millisecond, func() { y.gone.Store(true) })
		if _, err := list(); err != nil {
			t.Errorf("ended and known to have: %v", err)
		}
		y.leave("i0")
		y.leave("i1")
		synctest.Wait()
	})
}

// What does not read as a page is refused, and a field of a newer node is passed over.
func TestPageOfAnotherVersion(t *testing.T) {
	var p page
	var part []byte
	keep := func(b []byte) error { part = append(part, b...); return nil }
	if err := (page{[]*messages.OrderSummary{row("web-1", "web", "placed", 1)}, true}).send(keep); err != nil {
		t.Fatal(err)
	}
	newer := append([]byte{9<<3 | 2, 3, 'a', 'b', 'c'}, part...)
	if err := p.add(newer); err != nil || len(p.rows) != 1 || !p.more {
		t.Errorf("%v %v", p, err)
	}
	for _, bad := range [][]byte{{0xff}, {1<<3 | 2, 200}, {1<<3 | 2, 2, 0xff, 0xff}} {
		if err := p.add(bad); !errors.Is(err, errPage) {
			t.Errorf("%x: %v", bad, err)
		}
	}
}

// A partition that moves away takes its orders' rows, counts and waiting with it and leaves the others alone; what its ending entities
// still say is not taken, and when it comes back everything is.
func TestForget(t *testing.T) {
	k := newKnower()
	k.SplitBy(listPartitions)
	all := make(map[string]bool)
	observe := func(id string) {
		k.Observe(messages.OrderRef(id), row(id, "web", "backordered", 1), []string{"A"})
	}
	for i := range 100 {
		id := fmt.Sprint("web-", i)
		all[id] = true
		observe(id)
	}
	k.Forget(3)
	k.Forget(3)
	check := func(what string, away func(id string) bool) {
		t.Helper()
		want := make(map[string]bool)
		for id := range all {
			if !away(id) {
				want[id] = true
			}
		}
		rows, _ := k.ListOrders(OrderFilter{}, "", 1000)
		for _, r := range rows {
			if !want[r.OrderId] {
				t.Errorf("%s: %s is listed", what, r.OrderId)
			}
		}
		if n := k.OrdersByStatus()["backordered"]; len(rows) != len(want) || n != int64(len(want)) || len(k.waiters.skus) != len(want) || len(k.waiters.bySKU["A"]) != len(want) {
			t.Errorf("%s: %d rows, %d counted, %d wait, want %d", what, len(rows), n, len(k.waiters.skus), len(want))
		}
	}
	moved := func(id string) bool { return cluster.PartitionOf(messages.OrderRef(id), listPartitions) == 3 }
	check("forgotten", moved)
	for id := range all {
		observe(id)
	}
	check("late word", moved)
	k.Remember(3)
	for id := range all {
		observe(id)
	}
	check("back", func(string) bool { return false })
	for p := range listPartitions {
		k.Forget(p)
	}
	check("all gone", func(string) bool { return true })
	if len(k.waiters.waiting()) != 0 || len(k.OrdersByStatus()) != 0 {
		t.Error("something is left")
	}
	k.stock("A", "S1", 500)
	k.expect(t)
}
