package journaltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"

	"orderyard/persistence"
)

// parts yields n slices that tell their checkpoint and their index.
func parts(name string, n int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for i := range n {
			if !yield(part(name, i), nil) {
				return
			}
		}
	}
}

func part(name string, i int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%s/%d ", name, i), 1+i%7*100)
}

func manifestAt(position uint64) persistence.Manifest {
	return persistence.Manifest{Position: position, Number: position + 1, Epoch: 7, Hash: [32]byte{1, 2, 3, byte(position)}, AtMs: 1_700_000_000_000}
}

// loads checks that the newest checkpoint is the named one, whole.
func loads(t *testing.T, ctx context.Context, s persistence.Store, partition int, name string, n int, position uint64) {
	t.Helper()
	i := 0
	m, ok, err := s.Load(ctx, partition, func(slice []byte) error {
		if !bytes.Equal(slice, part(name, i)) {
			t.Fatalf("slice %d of checkpoint %s is %q…", i, name, slice[:min(20, len(slice))])
		}
		i++
		return nil
	})
	must(t, err)
	if !ok || i != n || m.Slices != n {
		t.Fatalf("checkpoint %s: found %v, %d slices, the manifest says %d, want %d", name, ok, i, m.Slices, n)
	}
	want := manifestAt(position)
	want.Slices, want.Bytes, want.Digest = m.Slices, m.Bytes, m.Digest
	if m != want || m.Digest == ([32]byte{}) && n > 0 {
		t.Fatalf("manifest is %+v, want %+v", m, want)
	}
}

// Proves that no checkpoint is no error.
func snapshotsNone(t *testing.T, ctx context.Context, s persistence.Store) {
	m, ok, err := s.Load(ctx, 0, func([]byte) error { t.Fatal("a slice of nothing"); return nil })
	must(t, err)
	if ok || m != (persistence.Manifest{}) {
		t.Fatalf("found %+v", m)
	}
}

// Proves that a checkpoint comes back as written, of no slices, of few, of many, of the largest allowed; and that fn's error ends the
// loading.
func snapshotsWrite(t *testing.T, ctx context.Context, s persistence.Store) {
	for i, n := range []int{0, 1, 5, 40} {
		must(t, s.Write(ctx, i, manifestAt(9), parts("n", n)))
		loads(t, ctx, s, i, "n", n, 9)
	}
	large := bytes.Repeat([]byte{0xa5}, persistence.SliceMax)
	must(t, s.Write(ctx, 7, manifestAt(9), func(yield func([]byte, error) bool) { yield(large, nil) }))
	_, ok, err := s.Load(ctx, 7, func(slice []byte) error {
		if !bytes.Equal(slice, large) {
			t.Fatal("the largest slice came back different")
		}
		return nil
	})
	must(t, err)
	if !ok {
		t.Fatal("the checkpoint of one largest slice was not found")
	}
	enough := errors.New("enough")
	_, _, err = s.Load(ctx, 3, func([]byte) error { return enough })
	wants(t, err, enough)
}

// Proves that the newest checkpoint is the one that is loaded, through many of them, at the same position too.
func snapshotsReplace(t *testing.T, ctx context.Context, s persistence.Store) {
	for i := range 6 {
		name := fmt.Sprintf("c%d", i)
		must(t, s.Write(ctx, 1, manifestAt(uint64(10+i)), parts(name, 3+i)))
		loads(t, ctx, s, 1, name, 3+i, uint64(10+i))
	}
	must(t, s.Write(ctx, 1, manifestAt(15), parts("again", 2)))
	loads(t, ctx, s, 1, "again", 2, 15)
}

// Proves that a checkpoint whose slices end in an error never exists: the former one is loaded, and the next one succeeds.
func snapshotsUnfinished(t *testing.T, ctx context.Context, s persistence.Store) {
	broken := errors.New("broken")
	unfinished := func(yield func([]byte, error) bool) {
		for i := range 4 {
			if !yield(part("unfinished", i), nil) {
				return
			}
		}
		yield(nil, broken)
	}
	wants(t, s.Write(ctx, 0, manifestAt(5), unfinished), broken)
	if _, ok, err := s.Load(ctx, 0, func([]byte) error { return nil }); ok || err != nil {
		t.Fatalf("an unfinished checkpoint was found: %v", err)
	}
	must(t, s.Write(ctx, 0, manifestAt(6), parts("whole", 3)))
	wants(t, s.Write(ctx, 0, manifestAt(7), unfinished), broken)
	loads(t, ctx, s, 0, "whole", 3, 6)
	must(t, s.Write(ctx, 0, manifestAt(8), parts("next", 3)))
	loads(t, ctx, s, 0, "next", 3, 8)
}

// Proves that a zombie's older checkpoint does not replace a newer one.
func snapshotsSuperseded(t *testing.T, ctx context.Context, s persistence.Store) {
	must(t, s.Write(ctx, 0, manifestAt(20), parts("new", 3)))
	wants(t, s.Write(ctx, 0, manifestAt(19), parts("old", 3)), persistence.ErrSuperseded)
	loads(t, ctx, s, 0, "new", 3, 20)
}

// Proves that a slice above the limit is refused and leaves no checkpoint.
func snapshotsTooLarge(t *testing.T, ctx context.Context, s persistence.Store) {
	err := s.Write(ctx, 0, manifestAt(5), func(yield func([]byte, error) bool) { yield(make([]byte, persistence.SliceMax+1), nil) })
	wants(t, err, persistence.ErrTooLarge)
	if _, ok, err := s.Load(ctx, 0, func([]byte) error { return nil }); ok || err != nil {
		t.Fatalf("it left a checkpoint: %v", err)
	}
}
