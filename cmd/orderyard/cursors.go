package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"orderyard/gateway/egress"
	"orderyard/persistence"
)

// cursors keeps how far followers of the journal have come, in the store's values. A cursor is also a high-water mark: the journal
// once reached it, so one that ends below it has lost its tail.
type cursors struct {
	store persistence.Values

	mu    sync.Mutex
	known map[string]uint64
}

func cursorKey(name string) string { return "cursor." + name }

// Load gives a cursor; 0 when there is none yet.
func (c *cursors) Load(ctx context.Context, name string) (uint64, error) {
	value, _, err := c.store.Get(ctx, cursorKey(name))
	if err != nil {
		return 0, fmt.Errorf("read cursor %s: %w", name, err)
	}
	if value == nil {
		return 0, nil
	}
	if len(value) != 8 {
		return 0, fmt.Errorf("cursor %s has %d bytes instead of 8", name, len(value))
	}
	position := binary.BigEndian.Uint64(value)
	c.note(name, position)
	return position, nil
}

// Save stores a cursor.
func (c *cursors) Save(ctx context.Context, name string, position uint64) error {
	if err := c.store.Put(ctx, cursorKey(name), binary.BigEndian.AppendUint64(nil, position)); err != nil {
		return fmt.Errorf("write cursor %s: %w", name, err)
	}
	c.note(name, position)
	return nil
}

func (c *cursors) note(name string, position uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = make(map[string]uint64)
	}
	c.known[name] = position
}

// floor is what the egress has read of a partition for good: the journal above it is still needed.
func (c *cursors) floor(partition int) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[egress.CursorName(partition)]
}

func (c *cursors) highWater(ctx context.Context, partition int) (uint64, error) {
	return c.Load(ctx, egress.CursorName(partition))
}
