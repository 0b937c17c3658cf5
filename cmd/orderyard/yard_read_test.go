package main

import (
	"context"
	"errors"
	"testing"

	"orderyard/cluster"
	"orderyard/messages"
	"orderyard/persistence"
)

// busy is the store of a yard at work: whoever has loaded a checkpoint finds that the owner has written another and cut the journal.
type busy struct {
	persistence.Store
	overtake func(partition int) // before what was loaded is given back
	times    int                 // how often that is so
}

func (b *busy) Load(ctx context.Context, partition int, fn func([]byte) error) (persistence.Manifest, bool, error) {
	m, found, err := b.Store.Load(ctx, partition, fn)
	if b.times > 0 {
		b.times--
		b.overtake(partition)
	}
	return m, found, err
}

// Proves that a yard which is read while its owner writes checkpoints and cuts the journal is read, whole and no part of it twice, and is not called
// damaged; that damage is, and that the reader gives up on an owner who is always faster.
func TestReadYardOvertaken(t *testing.T) {
	bucket := messages.BucketRef(fillSKU(0), "SITE-0")
	whole := replayed(t, smallYard(t))
	for _, c := range []struct {
		name  string
		times int
		cut   bool // without a checkpoint: that is damage
		want  error
	}{
		{name: "at rest"}, {name: "once", times: 1}, {name: "several times", times: 3}, {name: "always", times: 1000, want: errOvertaken},
		{name: "damaged", cut: true, want: persistence.ErrCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			inner := smallYard(t)
			if _, err := cluster.Partitions(t.Context(), inner, verifyPartitions); err != nil {
				t.Fatal(err)
			}
			store := &busy{Store: inner, times: c.times}
			store.overtake = func(partition int) {
				for range 2 { // each appends a takeover: one alone would follow what was loaded, without a gap
					writeCheckpoint(t, inner, partition, bucket, "", true, 0)
				}
			}
			if c.cut {
				if err := inner.Truncate(t.Context(), 1, inner.Records(1)[3].Position); err != nil {
					t.Fatal(err)
				}
			}
			r, err := readStore(t.Context(), store)
			if !errors.Is(err, c.want) || c.want != persistence.ErrCorrupt && errors.Is(err, persistence.ErrCorrupt) {
				t.Fatalf("told %v", err)
			}
			if c.want != nil {
				return
			}
			if len(r.cores) != len(whole) {
				t.Errorf("%d entities, the yard has %d", len(r.cores), len(whole))
			}
			for ref, core := range whole {
				if got := r.cores[ref]; got == nil || got.Version() != core.Version() {
					t.Fatalf("%s is %v", ref, got)
				}
			}
		})
	}
}
