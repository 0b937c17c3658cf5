package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"orderyard/gateway/egress"
	"orderyard/persistence"
)

// cursors keeps how far followers of the journal have come, in the store's values, for all nodes. A cursor never goes back: a node that
// slept may not undo what the partition's new owner has saved. A cursor is also a high-water mark, like those of marks.go: the journal once
// reached it, so one that ends below it has lost its tail.
type cursors struct {
	store  persistence.Values
	egress atomic.Pointer[egress.Egress]

	mu        sync.Mutex
	revisions map[string]uint64 // of the values last read or written here
}

// saveAttempts bounds the attempts at one save; whoever stands in the way each time saves newer positions.
const saveAttempts = 4

func cursorKey(name string) string { return "cursor." + name }

// Load gives a cursor; zeros when there is none yet. Neighboring versions write a place in the stream behind the position, or read one there.
func (c *cursors) Load(ctx context.Context, name string) (egress.Cursor, error) {
	value, revision, err := c.store.Get(ctx, cursorKey(name))
	if err != nil {
		return egress.Cursor{}, fmt.Errorf("read cursor %s: %w", name, err)
	}
	c.note(name, revision)
	switch len(value) {
	case 0:
		return egress.Cursor{}, nil
	case 8, 16:
		return egress.Cursor{Position: binary.BigEndian.Uint64(value)}, nil
	}
	return egress.Cursor{}, fmt.Errorf("cursor %s has %d bytes instead of 8", name, len(value))
}

// Save moves a cursor forward. Where a newer position is stored it changes nothing.
func (c *cursors) Save(ctx context.Context, name string, to egress.Cursor) error {
	value := binary.BigEndian.AppendUint64(nil, to.Position)
	for range saveAttempts {
		c.mu.Lock()
		revision := c.revisions[name]
		c.mu.Unlock()
		next, err := c.store.Update(ctx, cursorKey(name), value, revision)
		if err == nil {
			c.note(name, next)
			return nil
		}
		if !errors.Is(err, persistence.ErrConflict) {
			return fmt.Errorf("write cursor %s: %w", name, err)
		}
		stored, err := c.Load(ctx, name)
		if err != nil || stored.Position >= to.Position {
			return err
		}
	}
	return fmt.Errorf("write cursor %s: %w", name, persistence.ErrConflict)
}

func (c *cursors) note(name string, revision uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.revisions == nil {
		c.revisions = make(map[string]uint64)
	}
	c.revisions[name] = revision
}

// floor is what the egress has published of a partition for good: the journal above it is still needed.
func (c *cursors) floor(partition int) uint64 {
	if e := c.egress.Load(); e != nil {
		return e.Floor(partition)
	}
	return 0
}

func (c *cursors) highWater(ctx context.Context, partition int) (uint64, error) {
	return highWater(ctx, c.store, partition)
}
