package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"orderyard/cluster"
	"orderyard/messages"
	"orderyard/persistence"
	"orderyard/persistence/memory"
)

// Proves that ids which differ in their last characters only spread over the partitions: none has more than half as much again as its
// share.
func TestPartitionOfSpreads(t *testing.T) {
	const n, partitions = 32_000, 32
	counts := make([]int, partitions)
	for i := range n {
		counts[cluster.PartitionOf(messages.OrderRef(fmt.Sprintf("web-%06d", i)), partitions)]++
	}
	for p, k := range counts {
		if k < n/partitions/2 || k > n/partitions*3/2 {
			t.Errorf("partition %d has %d of %d", p, k, n)
		}
	}
}

// Proves that the first who asks fixes the number of partitions, and that later ones are told it whatever they ask for.
func TestPartitionsAreFixed(t *testing.T) {
	s := memory.New()
	if _, found, err := cluster.StoredPartitions(t.Context(), s); found || err != nil {
		t.Fatalf("found %v, %v", found, err)
	}
	for _, want := range []int{16, 16, 32} {
		if n, err := cluster.Partitions(t.Context(), s, want); n != 16 || err != nil {
			t.Errorf("asked for %d: %d, %v", want, n, err)
		}
	}
	for _, want := range []int{0, -1, cluster.PartitionsMax + 1} {
		if _, err := cluster.Partitions(t.Context(), s, want); err == nil {
			t.Errorf("took %d", want)
		}
	}
}

// forgetful are values of which one exists and is not found.
type forgetful struct{ persistence.Values }

func (forgetful) Create(context.Context, string, []byte) error        { return persistence.ErrExists }
func (forgetful) Get(context.Context, string) ([]byte, uint64, error) { return nil, 0, nil }

// Proves that a number which exists and is not found is an error, not no partitions: entities would be looked for in partition x modulo 0.
func TestPartitionsNotFound(t *testing.T) {
	if n, err := cluster.Partitions(t.Context(), forgetful{}, 4); err == nil {
		t.Errorf("%d partitions", n)
	}
}

// Proves that a store which has lost its number is opened with the right one only, and that a new store is opened with any.
func TestPartitionsLost(t *testing.T) {
	s := memory.New()
	if err := cluster.LostPartitions(t.Context(), s, 4); err != nil {
		t.Fatalf("a new store: %v", err)
	}
	for p := range 4 {
		if _, err := s.Append(t.Context(), p, 0, "", []byte("takeover")); err != nil {
			t.Fatal(err)
		}
	}
	for want, right := range map[int]bool{1: false, 3: false, 4: true, 5: false, 32: false, cluster.PartitionsMax: false} {
		if err := cluster.LostPartitions(t.Context(), s, want); (err == nil) != right || !right && !errors.Is(err, persistence.ErrCorrupt) {
			t.Errorf("%d partitions: %v", want, err)
		}
	}
	if _, err := cluster.Partitions(t.Context(), s, 4); err != nil {
		t.Fatal(err)
	}
	if err := cluster.LostPartitions(t.Context(), s, 32); err != nil {
		t.Errorf("a store that knows its number: %v", err)
	}
}
