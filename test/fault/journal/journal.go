package journal

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"orderyard/persistence"
)

// ErrBroken says that the records do not form one line.
var ErrBroken = errors.New("the journal is no line")

// Line sums up one partition, or several.
type Line struct {
	Records   int
	Takeovers int
	Epoch     uint64 // of the last record; the highest of several
}

// Check reads a partition from its first record that is still there to its end.
func Check(ctx context.Context, j persistence.Journal, partition int) (Line, error) {
	var l Line
	var last persistence.Header
	var hash [32]byte
	err := j.Read(ctx, partition, 0, func(position uint64, record []byte) error {
		h, _, err := persistence.DecodeRecord(record)
		if err != nil {
			return fmt.Errorf("partition %d position %d: %w: %w", partition, position, ErrBroken, err)
		}
		if reason := follows(&last, hash, &h, l.Records == 0, partition); reason != "" {
			return fmt.Errorf("partition %d position %d: %w: %s", partition, position, ErrBroken, reason)
		}
		l.Records++
		if h.Kind == persistence.RecordTakeover {
			l.Takeovers++
		}
		last, hash, l.Epoch = h, sha256.Sum256(record), h.Epoch
		return nil
	})
	return l, err
}

// follows says why a record may not stand behind the last one; "" = it may.
func follows(last *persistence.Header, hash [32]byte, h *persistence.Header, first bool, partition int) string {
	switch {
	case h.Partition != partition:
		return fmt.Sprintf("the record belongs to partition %d", h.Partition)
	case first:
		return ""
	case h.Epoch < last.Epoch:
		return fmt.Sprintf("record %d of epoch %d stands behind record %d of epoch %d: a former owner wrote and was not refused", h.Number, h.Epoch, last.Number, last.Epoch)
	case h.Number != last.Number+1:
		return fmt.Sprintf("record %d stands behind record %d", h.Number, last.Number)
	case h.Prev != hash:
		return fmt.Sprintf("record %d does not hold the hash of the record before it", h.Number)
	case h.Kind == persistence.RecordTakeover && h.Epoch != last.Epoch+1:
		return fmt.Sprintf("a takeover leads from epoch %d to epoch %d", last.Epoch, h.Epoch)
	case h.Kind != persistence.RecordTakeover && h.Epoch != last.Epoch:
		return fmt.Sprintf("a commit leads from epoch %d to epoch %d", last.Epoch, h.Epoch)
	}
	return ""
}

// CheckAll checks every partition; the error joins what is wrong with each.
func CheckAll(ctx context.Context, j persistence.Journal, partitions int) (Line, error) {
	var all Line
	var errs []error
	for p := range partitions {
		l, err := Check(ctx, j, p)
		all.Records += l.Records
		all.Takeovers += l.Takeovers
		all.Epoch = max(all.Epoch, l.Epoch)
		errs = append(errs, err)
	}
	return all, errors.Join(errs...)
}
