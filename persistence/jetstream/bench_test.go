package jetstream_test

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"orderyard/persistence"
)

// BenchmarkAppend compares the publish a Log cannot do without (same bytes, same expectation, nothing else) with Log.Append: the difference is the
// price of header, hash chain and bookkeeping. Synced, one stream, one partition.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{256, 64 << 10} {
		payload := make([]byte, size)
		b.Run(fmt.Sprintf("raw/%d", size), func(b *testing.B) {
			_, nc := open(b, serve(b, b.TempDir(), true))
			j, _ := js.New(nc)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			var last uint64
			for b.Loop() {
				ack, err := j.PublishMsg(b.Context(), &nats.Msg{
					Subject: "oy.journal.0", Data: payload, Header: nats.Header{js.ExpectedLastSubjSeqHeader: {fmt.Sprint(last)}},
				})
				if err != nil {
					b.Fatal(err)
				}
				last = ack.Sequence
			}
		})
		b.Run(fmt.Sprintf("log/%d", size), func(b *testing.B) {
			s, _ := open(b, serve(b, b.TempDir(), true))
			l := persistence.OpenLog(s, 0, persistence.LogOptions{Node: "bench"})
			if err := l.Recover(b.Context(), persistence.Manifest{}, nil); err != nil {
				b.Fatal(err)
			}
			if err := l.Takeover(b.Context(), nil); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, err := l.Append(b.Context(), payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRead reads a whole partition: small records by number, large ones by bytes. One of two partitions of the stream is read, so that
// the server filters.
func BenchmarkRead(b *testing.B) {
	for _, c := range []struct{ size, records int }{{256, 100_000}, {64 << 10, 4_000}} {
		b.Run(fmt.Sprint(c.size), func(b *testing.B) {
			s, nc := open(b, serve(b, b.TempDir(), false))
			data := make([]byte, c.size)
			publishMany(b, nc, c.records, func(i int) (string, []byte) { return "oy.journal." + fmt.Sprint(i%2), data })
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				err := s.Read(b.Context(), 0, 0, func(uint64, []byte) error { n++; return nil })
				if err != nil {
					b.Fatal(err)
				}
			}
			if n != b.N*c.records/2 {
				b.Fatalf("read %d records in %d runs", n, b.N)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64(n)*float64(c.size)/1e6/b.Elapsed().Seconds(), "MB/s")
		})
	}
}

// BenchmarkReadTail reads the last few records, as a follower does that has fallen out of memory.
func BenchmarkReadTail(b *testing.B) {
	s, _ := open(b, serve(b, b.TempDir(), false))
	var positions []uint64
	var last uint64
	for range 200 {
		p, err := s.Append(b.Context(), 0, last, "", make([]byte, 256))
		if err != nil {
			b.Fatal(err)
		}
		positions, last = append(positions, p), p
	}
	for _, n := range []int{1, 16, 17, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if err := s.Read(b.Context(), 0, positions[200-n]-1, func(uint64, []byte) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
