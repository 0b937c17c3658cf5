package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"orderyard/actors/entity"
	"orderyard/gateway/egress"
	"orderyard/persistence"
	"orderyard/persistence/memory"
)

// Proves that the marks of several nodes make one, that none goes back, and that one which nothing has changed writes nothing.
func TestMarks(t *testing.T) {
	ctx, store := context.Background(), memory.New()
	heads := [2]map[int]uint64{{}, {}}
	var nodes [2]*marks
	for i := range nodes {
		nodes[i] = &marks{store: store, log: slog.New(slog.DiscardHandler), heads: func(note func(int, uint64)) {
			for p, position := range heads[i] {
				note(p, position)
			}
		}}
	}
	want := func(positions ...uint64) {
		t.Helper()
		for p, position := range positions {
			if got, err := highWater(ctx, store, p); err != nil || got != position {
				t.Fatalf("partition %d: %d, %v; want %d", p, got, err, position)
			}
		}
	}
	save := func(i int) {
		t.Helper()
		if err := nodes[i].save(ctx); err != nil {
			t.Fatal(err)
		}
	}
	want(0, 0, 0)
	heads[0] = map[int]uint64{0: 10, 2: 12}
	save(0)
	want(10, 0, 12)
	heads[1] = map[int]uint64{1: 11, 2: 9, 3: 15} // of partition 2 it remembers what was
	save(1)
	want(10, 11, 12, 15)
	heads[0] = map[int]uint64{0: 20} // and does not know of partition 3
	save(0)
	want(20, 11, 12, 15)
	if err := (&cursors{store: store}).Save(ctx, "egress.1", egress.Cursor{Position: 30}); err != nil {
		t.Fatal(err)
	}
	_, before, err := loadMarks(ctx, store)
	save(0)
	save(1)
	if _, after, _ := loadMarks(ctx, store); err != nil || after != before {
		t.Fatalf("revision %d after %d: something was written though nothing grew (%v)", after, before, err)
	}
	if err := store.Put(ctx, markKey, []byte{0x80}); err != nil {
		t.Fatal(err)
	}
	if _, err := highWater(ctx, store, 0); err == nil {
		t.Fatal("half a number is taken for a mark")
	}
}

// Proves that a journal whose tail was cut is found by its mark, and that the audit of a store looks at it.
func TestVerifySeesCutTail(t *testing.T) {
	ctx, store := context.Background(), memory.New()
	l := persistence.OpenLog(store, 0, persistence.LogOptions{Node: "a"})
	if err := errors.Join(l.Recover(ctx, persistence.Manifest{}, nil), l.Takeover(ctx, nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(ctx, nil); err != nil {
		t.Fatal(err)
	}
	m := &marks{store: store, heads: func(note func(int, uint64)) { note(0, l.Position()) }}
	if err := m.save(ctx); err != nil {
		t.Fatal(err)
	}
	damaged := func() bool {
		v := &verifier{store: store, limits: entity.DefaultLimits(), done: new(verifyTally)}
		read, err := v.partition(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		return read.damaged
	}
	if damaged() {
		t.Fatal("the whole journal is taken for damaged")
	}
	store.Replace(0, store.Records(0)[:1])
	if !damaged() {
		t.Fatal("a journal without its last record is taken for whole")
	}
}
