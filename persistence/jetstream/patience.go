package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
)

const (
	attemptWithin = 2 * time.Second
	attemptAgain  = 100 * time.Millisecond
)

// Patiently calls fn until it gives an answer, each attempt with a short time of its own, until ctx ends. A server may leave a question about a
// stream without any answer while the stream has no leader, which is the case when several nodes make it at once: waiting longer for
// the same question does not help, asking again does. Errors that say something are given back at once.
func Patiently(ctx context.Context, fn func(ctx context.Context) error) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, attemptWithin)
		err := fn(attempt)
		cancel()
		if err == nil || ctx.Err() != nil || !silent(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(attemptAgain):
		}
	}
}

// KeyValue opens a bucket whose stream is known to be there. One of three servers may not have heard of it yet, and says that there is none.
func KeyValue(ctx context.Context, j interface {
	KeyValue(ctx context.Context, bucket string) (js.KeyValue, error)
}, bucket string) (kv js.KeyValue, err error) {
	err = Patiently(ctx, func(ctx context.Context) error {
		kv, err = j.KeyValue(ctx, bucket)
		if errors.Is(err, js.ErrBucketNotFound) {
			return fmt.Errorf("%w: %w", js.ErrNoStreamResponse, err)
		}
		return err
	})
	return kv, err
}

// silent says that an error holds no answer, or only "not now".
func silent(err error) bool {
	for _, quiet := range []error{context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, js.ErrNoStreamResponse, nats.ErrDisconnected, nats.ErrReconnectBufExceeded} {
		if errors.Is(err, quiet) {
			return true
		}
	}
	var refused *js.APIError
	return errors.As(err, &refused) && refused.Code == 503
}
