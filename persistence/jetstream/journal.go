package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"orderyard/persistence"
)

func journalSubject(partition int) string { return subjectJournal + strconv.Itoa(partition) }

// Append implements persistence.Journal.
func (s *Store) Append(ctx context.Context, partition int, expect uint64, id string, record []byte) (uint64, error) {
	if err := persistence.CheckPartition(partition); err != nil {
		return 0, err
	}
	if len(record) == 0 {
		return 0, errors.New("append: the record is empty")
	}
	position, err := s.publish(ctx, journalSubject(partition), expect, id, record)
	if err != nil {
		return 0, fmt.Errorf("append to partition %d: %w", partition, err)
	}
	return position, nil
}

// publish stores one message if the subject's last sequence is expect.
func (s *Store) publish(ctx context.Context, subject string, expect uint64, id string, data []byte) (uint64, error) {
	if len(data) > s.RecordMax() {
		return 0, fmt.Errorf("%d bytes, the server takes %d: %w", len(data), s.RecordMax(), persistence.ErrTooLarge)
	}
	header := nats.Header{}
	if persistence.Fenced {
		header[js.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(expect, 10)}
	}
	if id != "" {
		header[js.MsgIDHeader] = []string{id}
	}
	ctx, cancel := s.life.bound(ctx)
	defer cancel()
	ack, err := s.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Header: header, Data: data})
	switch {
	case err == nil && ack.Duplicate:
		// The server remembers the id. That the first copy is stored, and where the line ends now, is for the tail to say.
		return 0, fmt.Errorf("%w: the server calls it a duplicate", persistence.ErrUnknown)
	case err == nil:
		return ack.Sequence, nil
	case isConflict(err):
		return 0, fmt.Errorf("%w (%w)", persistence.ErrConflict, err)
	case errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, js.ErrStreamMessageExceedsMaximum):
		return 0, fmt.Errorf("%w (%w)", persistence.ErrTooLarge, err)
	}
	return 0, fmt.Errorf("%w (%w)", persistence.ErrUnknown, err)
}

// isConflict knows both codes for a wrong expectation: one replica answers 10071, three answer 10071 or 10164, the latter also while one's own
// earlier publish is under way.
func isConflict(err error) bool {
	var api *js.APIError
	return errors.As(err, &api) &&
		(api.ErrorCode == js.JSErrCodeStreamWrongLastSequence || api.ErrorCode == js.JSErrCodeStreamWrongLastSequenceConstant)
}

// Last implements persistence.Journal.
func (s *Store) Last(ctx context.Context, partition int) (uint64, []byte, error) {
	position, record, err := last(ctx, s.journal, journalSubject(partition))
	if err != nil {
		return 0, nil, fmt.Errorf("last record of partition %d: %w", partition, err)
	}
	return position, record, nil
}

// Read implements persistence.Journal.
func (s *Store) Read(ctx context.Context, partition int, after uint64, fn func(position uint64, record []byte) error) error {
	r := reader{store: s, stream: s.journal, subject: journalSubject(partition), partition: partition}
	return r.run(ctx, after, fn)
}

// Truncate implements persistence.Journal. A purge below the last sequence cannot reach what is appended meanwhile.
func (s *Store) Truncate(ctx context.Context, partition int, below uint64) error {
	position, _, err := s.Last(ctx, partition)
	if err != nil {
		return err
	}
	below = min(below, position)
	if below <= 1 {
		return nil
	}
	if err := s.journal.Purge(ctx, js.WithPurgeSubject(journalSubject(partition)), js.WithPurgeSequence(below)); err != nil {
		return fmt.Errorf("truncate partition %d below %d: %w", partition, below, err)
	}
	return nil
}
