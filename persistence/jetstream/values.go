package jetstream

import (
	"context"
	"errors"
	"fmt"

	js "github.com/nats-io/nats.go/jetstream"

	"orderyard/persistence"
)

// Get implements persistence.Values.
func (s *Store) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if err := persistence.CheckKey(key); err != nil {
		return nil, 0, err
	}
	entry, err := s.meta.Get(ctx, key)
	if errors.Is(err, js.ErrKeyNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("get %s: %w", key, err)
	}
	return entry.Value(), entry.Revision(), nil
}

// Put implements persistence.Values.
func (s *Store) Put(ctx context.Context, key string, value []byte) error {
	if err := persistence.CheckKey(key); err != nil {
		return err
	}
	if _, err := s.meta.Put(ctx, key, value); err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	return nil
}

// Create implements persistence.Values. Nothing ever deletes a key, so that "no revision" and "never there" are the same.
func (s *Store) Create(ctx context.Context, key string, value []byte) error {
	_, err := s.Update(ctx, key, value, 0)
	if errors.Is(err, persistence.ErrConflict) {
		return fmt.Errorf("create %s: %w", key, persistence.ErrExists)
	}
	return err
}

// Update implements persistence.Values.
func (s *Store) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if err := persistence.CheckKey(key); err != nil {
		return 0, err
	}
	next, err := s.meta.Update(ctx, key, value, revision)
	switch {
	case err == nil:
		return next, nil
	case isConflict(err):
		return 0, fmt.Errorf("update %s: %w (%w)", key, persistence.ErrConflict, err)
	}
	return 0, fmt.Errorf("update %s: %w", key, err)
}
