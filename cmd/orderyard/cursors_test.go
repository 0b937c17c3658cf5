package main

import (
	"context"
	"encoding/binary"
	"testing"

	"orderyard/gateway/egress"
	"orderyard/persistence/memory"
)

// A cursor goes forward only, whoever saves: a node that slept while another one owned the partition wakes up with an old position and
// must not take the newer one away; its own next positions are saved again.
func TestCursorNeverGoesBack(t *testing.T) {
	ctx, store := context.Background(), memory.New()
	slept, owner := &cursors{store: store}, &cursors{store: store}
	for _, step := range []struct {
		who      *cursors
		position uint64
		want     uint64
	}{{slept, 10, 10}, {owner, 20, 20}, {slept, 15, 20}, {owner, 30, 30}, {slept, 40, 40}, {slept, 41, 41}} {
		if err := step.who.Save(ctx, "x", egress.Cursor{Position: step.position}); err != nil {
			t.Fatalf("save %d: %v", step.position, err)
		}
		if got, err := owner.Load(ctx, "x"); err != nil || got != (egress.Cursor{Position: step.want}) {
			t.Fatalf("after saving %d: %v, %v", step.position, got, err)
		}
	}
	// As the version before wrote it: with a place in the stream behind the position.
	value := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, 12), 99)
	if err := store.Put(ctx, cursorKey("old"), value); err != nil {
		t.Fatal(err)
	}
	if got, err := owner.Load(ctx, "old"); err != nil || got != (egress.Cursor{Position: 12}) {
		t.Fatalf("a position with a place: %v, %v", got, err)
	}
}
