package jetstream

import (
	"context"
	"errors"
	"fmt"

	js "github.com/nats-io/nats.go/jetstream"

	"orderyard/persistence"
)

// operationHeader is how a bucket marks that a key was deleted or purged; the client library keeps its name to itself.
const operationHeader = "KV-Operation"

// Get implements persistence.Values.
func (s *Store) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if err := persistence.CheckKey(key); err != nil {
		return nil, 0, err
	}
	entry, err := s.meta.Get(ctx, key)
	if errors.Is(err, js.ErrKeyNotFound) {
		value, revision, _, err := s.deleted(ctx, key)
		return value, revision, err
	}
	if err != nil {
		return nil, 0, fmt.Errorf("get %s: %w", key, err)
	}
	return entry.Value(), entry.Revision(), nil
}

// deleted looks for the marker of a key that is not found. The house deletes none, but an operator can (`nats kv del`), and whoever writes the key again
// has to go on from the marker: for the server it is the key's last message. One that was written meanwhile is given as Get would.
func (s *Store) deleted(ctx context.Context, key string) (value []byte, revision uint64, found bool, err error) {
	last, err := s.values.GetLastMsgForSubject(ctx, "$KV."+BucketMeta+"."+key)
	switch {
	case errors.Is(err, js.ErrMsgNotFound):
		return nil, 0, false, nil
	case err != nil:
		return nil, 0, false, fmt.Errorf("get %s: %w", key, err)
	case last.Header.Get(operationHeader) != "" || last.Header.Get(js.MarkerReasonHeader) != "":
		return nil, last.Sequence, true, nil
	}
	return last.Data, last.Sequence, false, nil
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

// Create implements persistence.Values. A key that was deleted has no value, and gets one.
func (s *Store) Create(ctx context.Context, key string, value []byte) error {
	_, err := s.Update(ctx, key, value, 0)
	if !errors.Is(err, persistence.ErrConflict) {
		return err
	}
	_, marker, found, err := s.deleted(ctx, key)
	if err != nil {
		return err
	}
	if found {
		if _, err = s.Update(ctx, key, value, marker); !errors.Is(err, persistence.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("create %s: %w", key, persistence.ErrExists)
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
