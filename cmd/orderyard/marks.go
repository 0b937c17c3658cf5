package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"orderyard/gateway/egress"
	"orderyard/persistence"
)

// marks writes down how far the journal of every partition has come, in one small value beside the journal that all nodes share. The chain of
// records does not show a tail that was cut, and NATS serves such a file without a word; a journal that ends below its mark is refused. A mark is
// behind by as much as markEvery: what was acknowledged within that time before everything died, and is cut off by damage as well, is not missed.
//
// The egress's cursors are marks, too, and were the only ones: but they stand still while the event feed does, and are saved once a second.
type marks struct {
	store persistence.Values
	heads func(note func(partition int, position uint64)) // of what this node serves
	log   *slog.Logger

	mu       sync.Mutex
	known    []uint64 // by partition, as stored or higher
	revision uint64
}

const (
	markKey   = "marks"
	markEvery = 100 * time.Millisecond // 10 small appends a second and node, of some 4,200 that a disk takes
	markFor   = 2 * time.Second        // for one save
)

// keep saves marks until ctx ends. A failure is tried again at the next turn.
func (m *marks) keep(ctx context.Context) {
	tick := time.NewTicker(markEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		saving, cancel := context.WithTimeout(ctx, markFor)
		if err := m.save(saving); err != nil && ctx.Err() == nil {
			m.log.Debug("marks not saved", "error", err)
		}
		cancel()
	}
}

// save stores what has grown since the last time.
func (m *marks) save(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	grown := false
	next := slices.Clone(m.known)
	m.heads(func(partition int, position uint64) {
		for len(next) <= partition {
			next = append(next, 0)
		}
		if position > next[partition] {
			next[partition], grown = position, true
		}
	})
	if !grown {
		return nil
	}
	for range saveAttempts {
		var value []byte
		for _, position := range next {
			value = binary.AppendUvarint(value, position)
		}
		revision, err := m.store.Update(ctx, markKey, value, m.revision)
		if err == nil {
			m.known, m.revision = next, revision
			return nil
		}
		if !errors.Is(err, persistence.ErrConflict) {
			return err
		}
		stored, revision, err := loadMarks(ctx, m.store) // another node's
		if err != nil {
			return err
		}
		m.revision = revision
		for p, position := range stored {
			if p < len(next) {
				next[p] = max(next[p], position)
			} else {
				next = append(next, position)
			}
		}
	}
	return persistence.ErrConflict
}

// loadMarks reads every partition's mark; none is 0.
func loadMarks(ctx context.Context, store persistence.Values) ([]uint64, uint64, error) {
	value, revision, err := store.Get(ctx, markKey)
	if err != nil {
		return nil, 0, fmt.Errorf("read the marks: %w", err)
	}
	var list []uint64
	for len(value) > 0 {
		position, n := binary.Uvarint(value)
		if n <= 0 {
			return nil, 0, errors.New("read the marks: the value ends in the middle of a number")
		}
		list, value = append(list, position), value[n:]
	}
	return list, revision, nil
}

// highWater is how far the journal of a partition is known to have come: by the marks, or by what the egress has published of it.
func highWater(ctx context.Context, store persistence.Values, partition int) (uint64, error) {
	published, err := (&cursors{store: store}).Load(ctx, egress.CursorName(partition))
	if err != nil {
		return 0, err
	}
	list, _, err := loadMarks(ctx, store)
	if err != nil {
		return 0, err
	}
	position := published.Position
	if partition < len(list) {
		position = max(position, list[partition])
	}
	return position, nil
}
