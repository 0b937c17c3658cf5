package entity

import (
	"context"
	"testing"

	"orderyard/messages"
	"orderyard/persistence"
	"orderyard/persistence/memory"
)

// ambush is a store in which something happens before the next append.
type ambush struct {
	*memory.Store
	before func()
}

func (s *ambush) Append(ctx context.Context, partition int, expect uint64, id string, record []byte) (uint64, error) {
	if before := s.before; before != nil {
		s.before = nil
		before()
	}
	return s.Store.Append(ctx, partition, expect, id, record)
}

// Proves that who takes a partition over is not told of damage when the present owner goes on, writes a checkpoint and cuts the journal in the very
// moment of the takeover: it reads all anew from that checkpoint, and has what the owner wrote.
func TestTakeoverOvertakenByCheckpoint(t *testing.T) {
	ctx, limits, disk := context.Background(), DefaultLimits(), memory.New()
	readBack := func(store persistence.Store) *ReadBack {
		return &ReadBack{Kinds: toyKinds(), Limits: &limits, Store: store, Clock: func() int64 { return 1 }, Log: persistence.LogOptions{Node: "n"}}
	}
	owner := readBack(disk)
	if err := owner.Read(ctx); err != nil {
		t.Fatal(err)
	}
	log, got, err := owner.Take(ctx, persistence.Mark{})
	if err != nil {
		t.Fatal(err)
	}
	core, err := got.Store.Core(toyRef("a"), toyKinds(), nil, &limits)
	if err != nil {
		t.Fatal(err)
	}
	add := func() {
		out := core.Step(&messages.Request{To: toyRef("a"), Command: &messages.AdjustStock{Delta: 1}}, 1)
		if _, err := log.Append(ctx, out.Entry); err != nil {
			t.Fatal(err)
		}
	}
	add()
	store := &ambush{Store: disk}
	next := readBack(store)
	if err := next.Read(ctx); err != nil {
		t.Fatal(err)
	}
	store.before = func() {
		add()
		add()
		if err := got.Store.Put(core.Snapshot(1)); err != nil {
			t.Fatal(err)
		}
		head := log.Manifest()
		if err := disk.Write(ctx, 0, head, got.Store.Slices(1000)); err != nil {
			t.Fatal(err)
		}
		if err := disk.Truncate(ctx, 0, head.Position); err != nil {
			t.Fatal(err)
		}
	}
	_, taken, err := next.Take(ctx, persistence.Mark{})
	if err != nil {
		t.Fatal(err)
	}
	if snap, err := taken.Store.Get(toyRef("a")); err != nil || snap.GetVersion() != 3 {
		t.Fatalf("the entity is at version %d, %v", snap.GetVersion(), err)
	}
}
