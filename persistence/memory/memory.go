package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"orderyard/persistence"
)

// Record is one record and where it lies.
type Record struct {
	Position uint64
	Data     []byte // never changed in place: clones share it
}

type checkpoint struct {
	manifest persistence.Manifest
	slices   [][]byte
}

type value struct {
	data     []byte
	revision uint64
}

// Store is a persistence.Store in memory.
type Store struct {
	mu sync.Mutex
	// position numbers the records of all partitions together, as one JetStream stream does, so that nobody learns to count on
	// contiguous positions here.
	position    uint64
	revision    uint64
	journal     map[int][]Record
	checkpoints map[int][]checkpoint // oldest first, at most two
	values      map[string]value
	closed      bool
}

var _ persistence.Store = (*Store)(nil)

var errClosed = errors.New("memory: the store is closed")

// New makes an empty store.
func New() *Store {
	return &Store{journal: map[int][]Record{}, checkpoints: map[int][]checkpoint{}, values: map[string]value{}}
}

// Clone gives an independent copy as of now, open even if this one is closed.
func (s *Store) Clone() *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := New()
	c.position, c.revision = s.position, s.revision
	for p, records := range s.journal {
		c.journal[p] = slices.Clone(records)
	}
	for p, points := range s.checkpoints {
		c.checkpoints[p] = slices.Clone(points)
	}
	for k, v := range s.values {
		c.values[k] = v
	}
	return c
}

// enter locks the store for one call.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errClosed
	}
	return nil
}

// Append implements persistence.Journal. A context that has ended stores nothing.
func (s *Store) Append(ctx context.Context, partition int, expect uint64, _ string, record []byte) (uint64, error) {
	if err := persistence.CheckPartition(partition); err != nil {
		return 0, err
	}
	if len(record) == 0 {
		return 0, errors.New("append: the record is empty")
	}
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	records := s.journal[partition]
	if last := lastPosition(records); last != expect {
		return 0, fmt.Errorf("append to partition %d: expected %d, the last is %d: %w", partition, expect, last, persistence.ErrConflict)
	}
	s.position++
	s.journal[partition] = append(records, Record{Position: s.position, Data: bytes.Clone(record)})
	return s.position, nil
}

func lastPosition(records []Record) uint64 {
	if len(records) == 0 {
		return 0
	}
	return records[len(records)-1].Position
}

// Last implements persistence.Journal.
func (s *Store) Last(ctx context.Context, partition int) (uint64, []byte, error) {
	if err := s.enter(ctx); err != nil {
		return 0, nil, err
	}
	defer s.mu.Unlock()
	records := s.journal[partition]
	if len(records) == 0 {
		return 0, nil, nil
	}
	last := records[len(records)-1]
	return last.Position, bytes.Clone(last.Data), nil
}

// Read implements persistence.Journal. fn may call the store.
func (s *Store) Read(ctx context.Context, partition int, after uint64, fn func(position uint64, record []byte) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	records := s.journal[partition]
	s.mu.Unlock()
	from, _ := slices.BinarySearchFunc(records, after+1, func(r Record, p uint64) int {
		switch {
		case r.Position < p:
			return -1
		case r.Position > p:
			return 1
		}
		return 0
	})
	for _, r := range records[from:] {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(r.Position, r.Data); err != nil {
			return err
		}
	}
	return nil
}

// Truncate implements persistence.Journal.
func (s *Store) Truncate(ctx context.Context, partition int, below uint64) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	records := s.journal[partition]
	n := 0
	for n < len(records)-1 && records[n].Position < below {
		n++
	}
	s.journal[partition] = slices.Clone(records[n:]) // a copy, so that the removed records are freed
	return nil
}

// Write implements persistence.Snapshots. The iterator runs without the lock held.
func (s *Store) Write(ctx context.Context, partition int, manifest persistence.Manifest, parts iter.Seq2[[]byte, error]) error {
	if err := persistence.CheckPartition(partition); err != nil {
		return err
	}
	digest := persistence.NewSliceDigest()
	var kept [][]byte
	for part, err := range parts {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = digest.Add(part)
		}
		if err != nil {
			return fmt.Errorf("write checkpoint of partition %d: %w", partition, err)
		}
		kept = append(kept, bytes.Clone(part))
	}
	digest.Fill(&manifest)
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	points := s.checkpoints[partition]
	if n := len(points); n > 0 && points[n-1].manifest.Position > manifest.Position {
		return fmt.Errorf("write checkpoint of partition %d at position %d: %w", partition, manifest.Position, persistence.ErrSuperseded)
	}
	points = append(slices.Clone(points), checkpoint{manifest: manifest, slices: kept})
	s.checkpoints[partition] = points[max(0, len(points)-2):]
	return nil
}

// Load implements persistence.Snapshots. fn may call the store.
func (s *Store) Load(ctx context.Context, partition int, fn func([]byte) error) (persistence.Manifest, bool, error) {
	if err := s.enter(ctx); err != nil {
		return persistence.Manifest{}, false, err
	}
	points := s.checkpoints[partition]
	s.mu.Unlock()
	for i := len(points) - 1; i >= 0; i-- {
		point := points[i]
		if len(point.slices) != point.manifest.Slices {
			continue // incomplete
		}
		return point.manifest, true, point.load(ctx, partition, fn)
	}
	if len(points) > 0 {
		m := points[len(points)-1].manifest
		return m, false, &persistence.CorruptError{Partition: partition, Position: m.Position, Reason: "no checkpoint is whole"}
	}
	return persistence.Manifest{}, false, nil
}

func (c *checkpoint) load(ctx context.Context, partition int, fn func([]byte) error) error {
	digest := persistence.NewSliceDigest()
	for _, part := range c.slices {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := digest.Add(part); err != nil {
			return err
		}
		if err := fn(part); err != nil {
			return err
		}
	}
	return digest.Check(partition, c.manifest)
}

// Close implements persistence.Store: later calls fail.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}
