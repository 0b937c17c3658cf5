package journaltest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"orderyard/persistence"
)

// Proves that values come back with growing revisions, that Create refuses what exists and Update what has changed.
func values(t *testing.T, ctx context.Context, s persistence.Store) {
	value, revision, err := s.Get(ctx, "cursor.egress.3")
	must(t, err)
	if value != nil || revision != 0 {
		t.Fatalf("a value that was never put: %q, revision %d", value, revision)
	}
	must(t, s.Create(ctx, "cursor.egress.3", []byte("one")))
	wants(t, s.Create(ctx, "cursor.egress.3", []byte("two")), persistence.ErrExists)
	value, first, err := s.Get(ctx, "cursor.egress.3")
	must(t, err)
	if string(value) != "one" || first == 0 {
		t.Fatalf("got %q, revision %d", value, first)
	}
	second, err := s.Update(ctx, "cursor.egress.3", []byte("two"), first)
	must(t, err)
	_, err = s.Update(ctx, "cursor.egress.3", []byte("three"), first)
	wants(t, err, persistence.ErrConflict)
	_, err = s.Update(ctx, "cursor.egress.3", []byte("three"), 0)
	wants(t, err, persistence.ErrConflict)
	value, revision, err = s.Get(ctx, "cursor.egress.3")
	must(t, err)
	if string(value) != "two" || revision != second || second <= first {
		t.Fatalf("got %q, revision %d after %d", value, revision, second)
	}
	must(t, s.Put(ctx, "cursor.egress.3", []byte{}))
	value, revision, err = s.Get(ctx, "cursor.egress.3")
	must(t, err)
	if len(value) != 0 || revision <= second {
		t.Fatalf("got %q, revision %d", value, revision)
	}
	next, err := s.Update(ctx, "fresh", []byte("x"), 0)
	must(t, err)
	if next == 0 {
		t.Fatal("revision 0 is none")
	}
}

// Proves that of many updates of one revision exactly one succeeds.
func valuesRivals(t *testing.T, ctx context.Context, s persistence.Store) {
	must(t, s.Put(ctx, "owner", []byte("nobody")))
	_, revision, err := s.Get(ctx, "owner")
	must(t, err)
	var wg sync.WaitGroup
	won := make(chan string, 8)
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		wg.Go(func() {
			if _, err := s.Update(ctx, "owner", []byte(name), revision); err == nil {
				won <- name
			} else if !errors.Is(err, persistence.ErrConflict) {
				t.Errorf("a loser was told %v", err)
			}
		})
	}
	wg.Wait()
	close(won)
	if len(won) != 1 {
		t.Fatalf("%d updates of one revision succeeded", len(won))
	}
	value, _, err := s.Get(ctx, "owner")
	must(t, err)
	if name := <-won; string(value) != name {
		t.Fatalf("%s won, the value is %q", name, value)
	}
}

// Proves that keys no store could hold are refused by all alike.
func valuesKeys(t *testing.T, ctx context.Context, s persistence.Store) {
	for _, key := range []string{"", ".a", "a.", "a..b", "a b", "a*", "a>", "ä", strings.Repeat("k", persistence.KeyMax+1)} {
		if err := s.Put(ctx, key, []byte("x")); err == nil {
			t.Errorf("key %q was taken", key)
		}
	}
	must(t, s.Put(ctx, "A-b_c=d/e.f0", []byte("x")))
}
