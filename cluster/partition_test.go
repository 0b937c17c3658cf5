package cluster_test

import (
	"fmt"
	"testing"

	"orderyard/cluster"
	"orderyard/messages"
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
