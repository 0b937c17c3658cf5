package actors

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"orderyard/cluster"
	"orderyard/messages"
)

// void takes everything and gives nothing.
type void struct{}

func (void) Publish(string, []byte) error                                                { return nil }
func (void) Subscribe(string, func([]byte)) error                                        { return nil }
func (void) Ask(context.Context, string, string, []byte, func([]byte) error) error       { return nil }
func (void) Serve(string, func(context.Context, []byte, func([]byte) error) error) error { return nil }

// BenchmarkObserve measures what a commit pays for the node's view, alone and in a cluster.
func BenchmarkObserve(b *testing.B) {
	for _, buckets := range []int{1, 10_000} {
		for _, shared := range []bool{false, true} {
			b.Run(fmt.Sprintf("buckets=%d/shared=%t", buckets, shared), func(b *testing.B) {
				k := newKnower().Knowledge
				if shared {
					s, err := Share(k, void{}, "self", nil, nil)
					if err != nil {
						b.Fatal(err)
					}
					defer s.Stop()
				}
				views := make([]messages.BucketView, buckets)
				for i := range views {
					views[i].Sku, views[i].Site = fmt.Sprint("SKU-", i), "S1"
				}
				var n atomic.Uint64
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						version := n.Add(1)
						v := &views[version%uint64(buckets)]
						k.noteStock(v.Sku, v.Site, int64(version), version, true)
					}
				})
			})
		}
	}
}

// BenchmarkSnapshot measures how fast a view is written into parts, and read from them by a node that joins.
func BenchmarkSnapshot(b *testing.B) {
	const buckets = 100_000
	k := newKnower().Knowledge
	s, err := Share(k, void{}, "self", nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Stop()
	for i := range buckets {
		k.noteStock(fmt.Sprint("SKU-", i/10), fmt.Sprint("site-", i%10), int64(i), 1, true)
	}
	var parts [][]byte
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			parts = parts[:0]
			if err := s.serve(context.Background(), nil, func(part []byte) error { parts = append(parts, part); return nil }); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/buckets, "ns/bucket")
	})
	b.Run("read", func(b *testing.B) {
		bytes := 0
		for b.Loop() {
			fresh := &Sharing{know: newKnower().Knowledge}
			bytes = 0
			for _, part := range parts {
				d := &messages.ViewDelta{}
				if err := d.UnmarshalVT(part); err != nil {
					b.Fatal(err)
				}
				fresh.apply(d)
				bytes += len(part)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/buckets, "ns/bucket")
		b.ReportMetric(float64(bytes)/buckets, "B/bucket")
	})
}

// BenchmarkForget measures how long a partition of 3,000 of a node's 100,000 orders takes to go.
func BenchmarkForget(b *testing.B) {
	k := newKnower().Knowledge
	k.SplitBy(32)
	var rows []*messages.OrderSummary
	for i := range 100_000 {
		rows = append(rows, row(fmt.Sprint("web-", i), "web", "backordered", int64(i)))
	}
	for b.Loop() {
		b.StopTimer()
		k.Remember(3)
		for _, r := range rows {
			k.Observe(messages.OrderRef(r.OrderId), r, []string{"A"})
		}
		rows = slices.DeleteFunc(rows, func(r *messages.OrderSummary) bool { return cluster.PartitionOf(messages.OrderRef(r.OrderId), 32) != 3 })
		b.StartTimer()
		k.Forget(3)
	}
}
