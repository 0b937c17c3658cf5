package actors

import (
	"context"
	"fmt"
	"testing"
	"time"

	"orderyard/cluster/bus"
	"orderyard/messages"
	"orderyard/persistence/jetstream/embedded"
)

// Over a real NATS server: a node that joins fetches tens of thousands of buckets in many parts, hears what changes from then on, and lists
// the orders of the other.
func TestSharingOverNATS(t *testing.T) {
	server, err := embedded.Start(embedded.Options{Dir: t.TempDir(), Port: embedded.InProcessOnly})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	join := func(self, other string) (*Knowledge, *Sharing, *Listing) {
		nc, err := server.Connect()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		b, err := bus.Open(nc, self)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		k := NewKnowledge(nil, func() int64 { return time.Now().UnixMilli() }, func(messages.Request) {})
		s, err := Share(k, b, self, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		l, err := NewListing(k, b, func() []Peer { return []Peer{{Incarnation: other, Node: other}} })
		if err != nil {
			t.Fatal(err)
		}
		return k, s, l
	}
	const buckets = 50_000
	first, _, _ := join("a", "b")
	set := func(i int, atp int64, version uint64) {
		first.Observe(messages.Ref{}, &messages.BucketView{Sku: fmt.Sprint("a-stock-keeping-unit-", i), Site: "den", Atp: atp, Version: version}, nil)
	}
	for i := range buckets {
		set(i, int64(i), 1)
	}
	first.Observe(messages.Ref{}, row("web-1", "web", "placed", 1), nil)
	second, sharing, listing := join("b", "a")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := sharing.Sync(ctx, []string{"a"}); err != nil {
		t.Fatal(err)
	}
	if second.View().SKUs() != buckets || second.View().Stock("a-stock-keeping-unit-77")[0].ATP != 77 {
		t.Fatalf("%d SKUs after Sync", second.View().SKUs())
	}
	rows, _, err := listing.ListOrders(ctx, OrderFilter{}, "", 10)
	if err != nil || len(rows) != 1 {
		t.Errorf("list: %v %v", rows, err)
	}
	set(77, 5, 2)
	for second.View().Stock("a-stock-keeping-unit-77")[0].ATP != 5 {
		if ctx.Err() != nil {
			t.Fatal("the change is not heard")
		}
		time.Sleep(time.Millisecond)
	}
}
