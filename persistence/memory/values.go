package memory

import (
	"bytes"
	"context"
	"fmt"

	"orderyard/persistence"
)

// Get implements persistence.Values.
func (s *Store) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if err := s.enterKey(ctx, key); err != nil {
		return nil, 0, err
	}
	defer s.mu.Unlock()
	v := s.values[key]
	return bytes.Clone(v.data), v.revision, nil
}

// Put implements persistence.Values.
func (s *Store) Put(ctx context.Context, key string, data []byte) error {
	if err := s.enterKey(ctx, key); err != nil {
		return err
	}
	defer s.mu.Unlock()
	s.put(key, data)
	return nil
}

// Create implements persistence.Values.
func (s *Store) Create(ctx context.Context, key string, data []byte) error {
	if err := s.enterKey(ctx, key); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if s.values[key].revision != 0 {
		return fmt.Errorf("create %s: %w", key, persistence.ErrExists)
	}
	s.put(key, data)
	return nil
}

// Update implements persistence.Values.
func (s *Store) Update(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
	if err := s.enterKey(ctx, key); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	if present := s.values[key].revision; present != revision {
		return 0, fmt.Errorf("update %s: revision %d, not %d: %w", key, present, revision, persistence.ErrConflict)
	}
	return s.put(key, data), nil
}

func (s *Store) put(key string, data []byte) uint64 {
	s.revision++
	s.values[key] = value{data: append([]byte{}, data...), revision: s.revision}
	return s.revision
}

func (s *Store) enterKey(ctx context.Context, key string) error {
	if err := persistence.CheckKey(key); err != nil {
		return err
	}
	return s.enter(ctx)
}
