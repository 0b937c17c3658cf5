package jetstream

import (
	"context"
	"errors"
	"fmt"

	js "github.com/nats-io/nats.go/jetstream"

	"orderyard/persistence"
)

// singles is how many records are asked for one by one before a consumer is made: a consumer costs as much as about fifteen gets.
const singles = 16

// singleBytes ends that: a record asked for alone comes as base64 within JSON, and a slice of a checkpoint took three times as long so.
const singleBytes = 32 << 10

// last gives the last message of a subject, from the stream's leader; 0, nil when there is none.
func last(ctx context.Context, st js.Stream, subject string) (uint64, []byte, error) {
	m, err := st.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, js.ErrMsgNotFound) {
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, err
	}
	return m.Sequence, m.Data, nil
}

// reader reads one subject up to the position that is its end when it begins.
type reader struct {
	store     *Store
	stream    js.Stream
	subject   string
	partition int
	target    uint64 // the end
	at        uint64 // the last position given to fn
}

func (r *reader) run(ctx context.Context, after uint64, fn func(position uint64, data []byte) error) error {
	err := Patiently(ctx, func(ctx context.Context) (err error) {
		r.target, _, err = last(ctx, r.stream, r.subject)
		return err
	})
	if err != nil {
		return fmt.Errorf("read %s: %w", r.subject, err)
	}
	r.at = after
	for range singles {
		if r.at >= r.target {
			return nil
		}
		m, err := r.stream.GetMsg(ctx, r.at+1, js.WithGetMsgSubject(r.subject))
		if err != nil {
			return r.missing(err)
		}
		r.at = m.Sequence
		if err := fn(m.Sequence, m.Data); err != nil {
			return err
		}
		if len(m.Data) > singleBytes {
			break
		}
	}
	if r.at >= r.target {
		return nil
	}
	return r.consume(ctx, fn)
}

// missing judges the leader's answer to "what comes next" when something must: the subject's end lies further on.
func (r *reader) missing(err error) error {
	if errors.Is(err, js.ErrMsgNotFound) {
		return &persistence.CorruptError{Partition: r.partition, Position: r.at, Reason: fmt.Sprintf(
			"the server has nothing after this position, though it calls %d the last of %s", r.target, r.subject)}
	}
	return fmt.Errorf("read %s after %d: %w", r.subject, r.at, err)
}
