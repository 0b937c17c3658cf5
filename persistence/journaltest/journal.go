package journaltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"orderyard/persistence"
)

// Run runs the suite. Each test gets a store of its own from open, which also cleans it up.
func Run(t *testing.T, open func(t *testing.T) persistence.Store) {
	tests := []struct {
		name string
		test func(*testing.T, context.Context, persistence.Store)
	}{
		{"journal/empty", journalEmpty},
		{"journal/append", journalAppend},
		{"journal/expectation", journalExpectation},
		{"journal/rivals", journalRivals},
		{"journal/partitions", journalPartitions},
		{"journal/read", journalRead},
		{"journal/large", journalLarge},
		{"journal/truncate", journalTruncate},
		{"journal/context", journalContext},
		{"journal/refuses", journalRefuses},
		{"snapshots/none", snapshotsNone},
		{"snapshots/write", snapshotsWrite},
		{"snapshots/replace", snapshotsReplace},
		{"snapshots/unfinished", snapshotsUnfinished},
		{"snapshots/superseded", snapshotsSuperseded},
		{"snapshots/slice too large", snapshotsTooLarge},
		{"values", values},
		{"values/rivals", valuesRivals},
		{"values/keys", valuesKeys},
		{"log", logOverStore},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			tt.test(t, ctx, open(t))
		})
	}
}

// must ends the test on an error that the test does not expect.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wants(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func record(partition, i int) []byte {
	return fmt.Appendf(nil, "record %d of partition %d", i, partition)
}

// fill appends n records and gives their positions.
func fill(t *testing.T, ctx context.Context, s persistence.Store, partition, n int) []uint64 {
	t.Helper()
	positions := make([]uint64, n)
	var last uint64
	for i := range positions {
		position, err := s.Append(ctx, partition, last, fmt.Sprintf("%d.%d", partition, i), record(partition, i))
		must(t, err)
		if position <= last {
			t.Fatalf("position %d follows %d", position, last)
		}
		positions[i], last = position, position
	}
	return positions
}

type entry struct {
	position uint64
	data     string
}

func readAll(t *testing.T, ctx context.Context, s persistence.Store, partition int, after uint64) []entry {
	t.Helper()
	var found []entry
	must(t, s.Read(ctx, partition, after, func(position uint64, data []byte) error {
		found = append(found, entry{position, string(data)})
		return nil
	}))
	return found
}

// Proves that an empty partition answers as such: no last record, nothing to read, nothing to truncate.
func journalEmpty(t *testing.T, ctx context.Context, s persistence.Store) {
	position, data, err := s.Last(ctx, 3)
	must(t, err)
	if position != 0 || data != nil {
		t.Fatalf("last of an empty partition: %d, %q", position, data)
	}
	if found := readAll(t, ctx, s, 3, 0); len(found) != 0 {
		t.Fatalf("an empty partition holds %v", found)
	}
	must(t, s.Truncate(ctx, 3, 100))
}

// Proves that what was appended is the last record, and that the store keeps no grip on the caller's bytes.
func journalAppend(t *testing.T, ctx context.Context, s persistence.Store) {
	data := []byte("first")
	position, err := s.Append(ctx, 0, 0, "a", data)
	must(t, err)
	copy(data, "XXXXX")
	last, got, err := s.Last(ctx, 0)
	must(t, err)
	if last != position || string(got) != "first" {
		t.Fatalf("last is %d %q, want %d %q", last, got, position, "first")
	}
}

// Proves that an append with a wrong expectation, too low or too high, stores nothing and answers ErrConflict, also when it repeats what is
// there.
func journalExpectation(t *testing.T, ctx context.Context, s persistence.Store) {
	positions := fill(t, ctx, s, 0, 3)
	for _, expect := range []uint64{0, positions[0], positions[1], positions[2] + 1, positions[2] + 1000} {
		_, err := s.Append(ctx, 0, expect, "rival", []byte("rival"))
		wants(t, err, persistence.ErrConflict)
	}
	// The identical append again: an error in any case, but never a second copy.
	if _, err := s.Append(ctx, 0, positions[1], "0.2", record(0, 2)); !errors.Is(err, persistence.ErrConflict) && !errors.Is(err, persistence.ErrUnknown) {
		t.Fatalf("the identical append answered %v", err)
	}
	if found := readAll(t, ctx, s, 0, 0); len(found) != 3 {
		t.Fatalf("%d records, want 3: %v", len(found), found)
	}
}

// Proves that of many writers with one expectation exactly one gets in, round after round.
func journalRivals(t *testing.T, ctx context.Context, s persistence.Store) {
	const rivals, rounds = 8, 20
	var last uint64
	for round := range rounds {
		var wg sync.WaitGroup
		won := make(chan uint64, rivals)
		for i := range rivals {
			wg.Go(func() {
				position, err := s.Append(ctx, 1, last, fmt.Sprintf("%d.%d", round, i), fmt.Appendf(nil, "round %d rival %d", round, i))
				switch {
				case err == nil:
					won <- position
				case !errors.Is(err, persistence.ErrConflict):
					t.Errorf("a loser was told %v", err)
				}
			})
		}
		wg.Wait()
		close(won)
		if len(won) != 1 {
			t.Fatalf("round %d: %d writers got in", round, len(won))
		}
		last = <-won
	}
	if found := readAll(t, ctx, s, 1, 0); len(found) != rounds {
		t.Fatalf("%d records after %d rounds", len(found), rounds)
	}
}

// Proves that partitions do not see each other: each has its own expectation, its own end, its own records.
func journalPartitions(t *testing.T, ctx context.Context, s persistence.Store) {
	const partitions, n = 5, 30
	last := make([]uint64, partitions)
	for i := range n {
		for p := range partitions {
			position, err := s.Append(ctx, p, last[p], "", record(p, i))
			must(t, err)
			last[p] = position
		}
	}
	for p := range partitions {
		found := readAll(t, ctx, s, p, 0)
		if len(found) != n {
			t.Fatalf("partition %d holds %d records, want %d", p, len(found), n)
		}
		for i, e := range found {
			if e.data != string(record(p, i)) {
				t.Fatalf("partition %d record %d is %q", p, i, e.data)
			}
		}
		position, _, err := s.Last(ctx, p)
		must(t, err)
		if position != last[p] {
			t.Fatalf("partition %d ends at %d, want %d", p, position, last[p])
		}
	}
}

// Proves that Read begins behind any position, ends at the end, and gives back fn's own error, for few and for many records.
func journalRead(t *testing.T, ctx context.Context, s persistence.Store) {
	positions := fill(t, ctx, s, 2, 300)
	for _, from := range []int{0, 1, 150, 290, 298, 299, 300} {
		var after uint64
		if from > 0 {
			after = positions[from-1]
		}
		found := readAll(t, ctx, s, 2, after)
		if len(found) != 300-from {
			t.Fatalf("after record %d: %d records, want %d", from, len(found), 300-from)
		}
		for i, e := range found {
			if e.position != positions[from+i] || e.data != string(record(2, from+i)) {
				t.Fatalf("after record %d: record %d is %v", from, from+i, e)
			}
		}
	}
	if found := readAll(t, ctx, s, 2, positions[299]+1000); len(found) != 0 {
		t.Fatalf("behind the end lies %v", found)
	}
	enough := errors.New("enough")
	for _, most := range []int{1, 5, 200} {
		n := 0
		err := s.Read(ctx, 2, 0, func(uint64, []byte) error {
			if n++; n == most {
				return enough
			}
			return nil
		})
		wants(t, err, enough)
		if n != most {
			t.Fatalf("read %d records after fn had had enough at %d", n, most)
		}
	}
}

// Proves that a record of 7 MiB, the size of a very large commit, comes back whole by Last and by Read.
func journalLarge(t *testing.T, ctx context.Context, s persistence.Store) {
	large := bytes.Repeat([]byte("0123456789abcdef"), 7<<20/16)
	position, err := s.Append(ctx, 0, 0, "large", large)
	must(t, err)
	_, got, err := s.Last(ctx, 0)
	must(t, err)
	if !bytes.Equal(got, large) {
		t.Fatal("Last gives other bytes")
	}
	for range 12 {
		position, err = s.Append(ctx, 0, position, "", large)
		must(t, err)
	}
	n := 0
	must(t, s.Read(ctx, 0, 0, func(_ uint64, data []byte) error {
		n++
		if !bytes.Equal(data, large) {
			t.Fatalf("Read gives other bytes for record %d", n)
		}
		return nil
	}))
	if n != 13 {
		t.Fatalf("read %d records, want 13", n)
	}
}

// Proves that Truncate removes what lies below a position, nothing else, never the last record, and that appends go on behind it.
func journalTruncate(t *testing.T, ctx context.Context, s persistence.Store) {
	positions := fill(t, ctx, s, 0, 20)
	other := fill(t, ctx, s, 1, 5)
	must(t, s.Truncate(ctx, 0, positions[7]))
	found := readAll(t, ctx, s, 0, 0)
	if len(found) != 13 || found[0].position != positions[7] {
		t.Fatalf("after truncation below record 7: %v", found)
	}
	must(t, s.Truncate(ctx, 0, positions[3])) // lower than before: nothing
	if found := readAll(t, ctx, s, 0, 0); len(found) != 13 {
		t.Fatalf("truncation below what is gone: %v", found)
	}
	must(t, s.Truncate(ctx, 0, other[4]+1000)) // beyond the end
	found = readAll(t, ctx, s, 0, 0)
	if len(found) != 1 || found[0].position != positions[19] {
		t.Fatalf("truncation beyond the end: %v", found)
	}
	_, err := s.Append(ctx, 0, 0, "", []byte("rival"))
	wants(t, err, persistence.ErrConflict)
	_, err = s.Append(ctx, 0, positions[19], "", []byte("next"))
	must(t, err)
	if found := readAll(t, ctx, s, 1, 0); len(found) != 5 {
		t.Fatalf("the other partition lost records: %v", found)
	}
}

// Proves that a context that has ended ends every call with an error, and that it is not called a conflict.
func journalContext(t *testing.T, ctx context.Context, s persistence.Store) {
	positions := fill(t, ctx, s, 0, 2)
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.Append(over, 0, positions[1], "", []byte("late")); err == nil || errors.Is(err, persistence.ErrConflict) {
		t.Fatalf("append: %v", err)
	}
	if _, _, err := s.Last(over, 0); err == nil {
		t.Fatal("last answered")
	}
	if err := s.Read(over, 0, 0, func(uint64, []byte) error { return nil }); err == nil {
		t.Fatal("read answered")
	}
	if _, _, err := s.Load(over, 0, func([]byte) error { return nil }); err == nil {
		t.Fatal("load answered")
	}
	if _, _, err := s.Get(over, "key"); err == nil {
		t.Fatal("get answered")
	}
}

// Proves that what cannot be stored is refused: an empty record, a partition that no header can hold.
func journalRefuses(t *testing.T, ctx context.Context, s persistence.Store) {
	if _, err := s.Append(ctx, 0, 0, "", nil); err == nil {
		t.Fatal("an empty record was stored")
	}
	for _, partition := range []int{-1, persistence.PartitionsMax} {
		if _, err := s.Append(ctx, partition, 0, "", []byte("x")); err == nil {
			t.Fatalf("a record of partition %d was stored", partition)
		}
	}
}

// Proves that a Log lives on the store: it takes over, appends, is fenced by the next one, and the next one reads everything.
func logOverStore(t *testing.T, ctx context.Context, s persistence.Store) {
	first := persistence.OpenLog(s, 4, persistence.LogOptions{Node: "a", Incarnation: "1"})
	must(t, first.Recover(ctx, persistence.Manifest{}, nil))
	must(t, first.Takeover(ctx, nil))
	for i := range 50 {
		_, err := first.Append(ctx, record(4, i))
		must(t, err)
	}
	second := persistence.OpenLog(s, 4, persistence.LogOptions{Node: "b", Incarnation: "1", HighWater: persistence.Mark{Position: first.Position(), Number: first.Number()}})
	n := 0
	must(t, second.Recover(ctx, persistence.Manifest{}, func(_ uint64, payload []byte) error {
		if string(payload) != string(record(4, n)) {
			t.Fatalf("commit %d is %q", n, payload)
		}
		n++
		return nil
	}))
	must(t, second.Takeover(ctx, nil))
	if n != 50 || second.Epoch() != 2 || second.Number() != 52 {
		t.Fatalf("%d commits, epoch %d, number %d", n, second.Epoch(), second.Number())
	}
	_, err := first.Append(ctx, []byte("zombie"))
	wants(t, err, persistence.ErrFenced)
	_, err = second.Append(ctx, []byte("alive"))
	must(t, err)
}
