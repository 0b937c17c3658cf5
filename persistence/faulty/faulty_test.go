package faulty_test

import (
	"context"
	"errors"
	"testing"

	"orderyard/persistence"
	"orderyard/persistence/faulty"
	"orderyard/persistence/journaltest"
	"orderyard/persistence/memory"
)

// Proves that without a script the wrapper changes nothing, by the common suite.
func TestConformance(t *testing.T) {
	journaltest.Run(t, func(*testing.T) persistence.Store { return faulty.New(memory.New(), faulty.Options{}) })
}

// Proves each fault of an append, one by one: what the caller hears, and what the store holds.
func TestAppendFaults(t *testing.T) {
	tests := []struct {
		fault  faulty.Fault
		want   error
		stored int
	}{
		{faulty.None, nil, 1},
		{faulty.Refused, persistence.ErrUnknown, 0},
		{faulty.LostAck, persistence.ErrUnknown, 1},
		{faulty.Late, persistence.ErrUnknown, 0},
		{faulty.Twice, nil, 1},
		{faulty.TwiceDenied, persistence.ErrConflict, 1},
	}
	for _, tt := range tests {
		t.Run(tt.fault.String(), func(t *testing.T) {
			ctx, inner := context.Background(), memory.New()
			s := faulty.New(inner, faulty.Options{Script: faulty.Sequence("append", tt.fault)})
			_, err := s.Append(ctx, 0, 0, "", []byte("x"))
			if !errors.Is(err, tt.want) {
				t.Errorf("heard %v, want %v", err, tt.want)
			}
			if n := len(inner.Records(0)); n != tt.stored {
				t.Errorf("the store holds %d records, want %d", n, tt.stored)
			}
			if s.Count(tt.fault) != 1 {
				t.Errorf("the fault was counted %d times", s.Count(tt.fault))
			}
		})
	}
}

// Proves that a late append arrives after the read that did not see it, and that a read of another partition does not bring it.
func TestLate(t *testing.T) {
	ctx, inner := context.Background(), memory.New()
	s := faulty.New(inner, faulty.Options{Script: faulty.Sequence("append", faulty.Late)})
	s.Append(ctx, 0, 0, "", []byte("late"))
	s.Last(ctx, 1)
	if position, _, _ := s.Last(ctx, 0); position != 0 {
		t.Fatal("the first read saw it")
	}
	if position, _, _ := s.Last(ctx, 0); position == 0 {
		t.Fatal("the second read did not see it")
	}
	if s.Late() != 0 || s.Deliver(ctx) != 0 {
		t.Fatal("it is still under way")
	}
}

// Proves that a seed decides everything: two runs of the same calls meet the same faults.
func TestSeeded(t *testing.T) {
	run := func(seed uint64) (faults []faulty.Fault) {
		script := faulty.Seeded(seed, faulty.Rates{Refused: .1, LostAck: .1, Late: .1, Twice: .1, TwiceDenied: .1, Slow: .1, Read: .2, Write: .2})
		for range 200 {
			for _, op := range []string{"append", "last", "put"} {
				faults = append(faults, script(faulty.Call{Op: op}))
			}
		}
		return faults
	}
	a, b, c := run(1), run(1), run(2)
	same := 0
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("call %d: %s, then %s", i, a[i], b[i])
		}
		if a[i] == c[i] {
			same++
		}
	}
	if same == len(a) {
		t.Fatal("another seed gave the same faults")
	}
}
