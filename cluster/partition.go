package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"orderyard/messages"
	"orderyard/persistence"
)

// PartitionsMax bounds the number of partitions of a store.
const PartitionsMax = 1024

const partitionsKey = "partitions"

// PartitionOf says in which partition an entity lives. The finalizer (splitmix64, Steele, Lea and Flood 2014) spreads what xxhash
// leaves close together when ids differ in their last characters only.
func PartitionOf(ref messages.Ref, partitions int) int {
	x := xxhash.Sum64String(ref.ID) + uint64(ref.Kind)*0x9e3779b97f4a7c15
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	x ^= x >> 31
	return int(x % uint64(partitions))
}

// Partitions gives the number of partitions the store was created with; the first caller fixes it. Asking later for another number
// is no error: the store's own number is returned, and the caller tells the operator.
func Partitions(ctx context.Context, values persistence.Values, want int) (int, error) {
	if want < 1 || want > PartitionsMax {
		return 0, fmt.Errorf("partitions must be 1 to %d, not %d", PartitionsMax, want)
	}
	err := values.Create(ctx, partitionsKey, []byte(strconv.Itoa(want)))
	if err == nil {
		return want, nil
	}
	if !errors.Is(err, persistence.ErrExists) {
		return 0, fmt.Errorf("fix the number of partitions: %w", err)
	}
	n, found, err := StoredPartitions(ctx, values)
	if err == nil && !found {
		err = errors.New("the number of partitions is there and cannot be found: it was removed just now")
	}
	return n, err
}

// LostPartitions says whether a store has lost the number it was made with: its journal holds records and nothing says of how many partitions.
// Then a wrong number would look for everything in the wrong place. Every partition has a record from its first takeover on, so the right
// number is known all the same: nil for that one.
func LostPartitions(ctx context.Context, store persistence.Store, want int) error {
	if _, found, err := StoredPartitions(ctx, store); err != nil || found {
		return err
	}
	var ends [3]uint64
	for i, p := range []int{0, want - 1, want} {
		if persistence.CheckPartition(p) != nil {
			continue // one more than there can be
		}
		var err error
		if ends[i], _, err = store.Last(ctx, p); err != nil {
			return fmt.Errorf("look for the partitions: %w", err)
		}
	}
	if ends == [3]uint64{} || ends[1] != 0 && ends[2] == 0 {
		return nil // a new one, or the right number
	}
	// Another node may have made the store in the meantime: it said the number first.
	if _, found, err := StoredPartitions(ctx, store); err != nil || found {
		return err
	}
	return fmt.Errorf("the store has lost the number of its partitions, and its journal is not one of %d: %w", want, persistence.ErrCorrupt)
}

// StoredPartitions reads the number a store was created with; false when it is no store yet.
func StoredPartitions(ctx context.Context, values persistence.Values) (int, bool, error) {
	value, _, err := values.Get(ctx, partitionsKey)
	if err != nil {
		return 0, false, fmt.Errorf("read the number of partitions: %w", err)
	}
	if value == nil {
		return 0, false, nil
	}
	n, err := strconv.Atoi(string(value))
	if err != nil || n < 1 || n > PartitionsMax {
		return 0, false, fmt.Errorf("the store says %q partitions, which cannot be", value)
	}
	return n, true, nil
}
