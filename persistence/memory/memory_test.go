package memory_test

import (
	"context"
	"errors"
	"testing"

	"orderyard/persistence"
	"orderyard/persistence/journaltest"
	"orderyard/persistence/memory"
)

// Proves that the memory store answers like every other, by the common suite.
func TestConformance(t *testing.T) {
	journaltest.Run(t, func(*testing.T) persistence.Store { return memory.New() })
}

// Proves that a clone and its original go separate ways, also when both append to the same partition.
func TestClone(t *testing.T) {
	ctx := context.Background()
	a := memory.New()
	first, _ := a.Append(ctx, 0, 0, "", []byte("both"))
	a.Put(ctx, "key", []byte("both"))
	b := a.Clone()
	pa, errA := a.Append(ctx, 0, first, "", []byte("a"))
	pb, errB := b.Append(ctx, 0, first, "", []byte("b"))
	if errA != nil || errB != nil || pa != pb {
		t.Fatalf("positions %d and %d, errors %v and %v", pa, pb, errA, errB)
	}
	b.Put(ctx, "key", []byte("b"))
	_, ra, _ := a.Last(ctx, 0)
	_, rb, _ := b.Last(ctx, 0)
	va, _, _ := a.Get(ctx, "key")
	if string(ra) != "a" || string(rb) != "b" || string(va) != "both" {
		t.Fatalf("a ends with %q, b with %q, a's value is %q", ra, rb, va)
	}
	a.Close()
	if _, _, err := b.Last(ctx, 0); err != nil {
		t.Fatalf("closing the original closed the clone: %v", err)
	}
}

// Proves that a damaged checkpoint is refused, and one that misses slices is passed over for the former.
func TestDamagedCheckpoint(t *testing.T) {
	ctx := context.Background()
	write := func(s *memory.Store, position uint64, slices ...string) {
		err := s.Write(ctx, 0, persistence.Manifest{Position: position}, func(yield func([]byte, error) bool) {
			for _, b := range slices {
				if !yield([]byte(b), nil) {
					return
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	none := func([]byte) error { return nil }
	s := memory.New()
	write(s, 1, "one", "two")
	write(s, 2, "three", "four")
	s.DamageCheckpoint(0, func(slices [][]byte) [][]byte { return slices[:1] })
	if m, ok, err := s.Load(ctx, 0, none); !ok || err != nil || m.Position != 1 {
		t.Fatalf("incomplete newest: position %d, %v, %v", m.Position, ok, err)
	}
	write(s, 3, "five", "six")
	s.DamageCheckpoint(0, func(slices [][]byte) [][]byte { return [][]byte{slices[1], slices[0]} })
	if _, _, err := s.Load(ctx, 0, none); !errors.Is(err, persistence.ErrCorrupt) {
		t.Fatalf("swapped slices: %v", err)
	}
}
