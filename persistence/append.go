package persistence

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"
)

// Append makes a payload durable and gives its position. It resolves unknown outcomes by itself, trying until the context ends. ErrFenced is
// final; ErrUnknown means the context ended first, and the record may yet appear; after either the Log stays failed. ErrTooLarge
// and a context that had ended before leave it as it was. The payload is not kept.
func (l *Log) Append(ctx context.Context, payload []byte) (uint64, error) {
	if l.failed != nil {
		return 0, l.failed
	}
	if l.phase != logOwner {
		return 0, l.fail(errors.New("journal: a Log appends only after Takeover"))
	}
	if len(payload) > l.o.PayloadMax {
		return 0, fmt.Errorf("payload of %d bytes, at most %d are allowed: %w", len(payload), l.o.PayloadMax, ErrTooLarge)
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("append: %w", err)
	}
	head := &l.chain.head
	l.buf = appendRecord(l.buf[:0], &Header{
		Kind: RecordCommit, Partition: l.partition, Number: head.Number + 1, Epoch: head.Epoch, Prev: head.Hash,
	}, payload)
	position, err := l.publish(ctx)
	if err == nil {
		l.stored(position)
		return position, nil
	}
	if errors.Is(err, ErrTooLarge) { // refused before it was sent
		return 0, err
	}
	return l.settle(ctx, err)
}

// publish makes one attempt with the record in the buffer.
func (l *Log) publish(ctx context.Context) (uint64, error) {
	if l.o.AppendTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.o.AppendTimeout)
		defer cancel()
	}
	return l.journal.Append(ctx, l.partition, l.chain.head.Position, l.appendID(), l.buf)
}

// appendID is for the operator's eye: partition, number and the beginning of the hash before.
func (l *Log) appendID() string {
	id := make([]byte, 0, 48)
	id = strconv.AppendInt(id, int64(l.partition), 10)
	id = append(id, '.')
	id = strconv.AppendUint(id, l.chain.head.Number+1, 10)
	id = append(id, '.')
	id = hex.AppendEncode(id, l.buf[crcAt:headerSize])
	id = hex.AppendEncode(id, l.chain.head.Hash[:4])
	return string(id)
}

// stored moves the chain behind the record in the buffer. Chain.Next would check what has just been encoded: only its effect is wanted.
func (l *Log) stored(position uint64) {
	head := &l.chain.head
	if RecordKind(l.buf[5]) == RecordTakeover {
		head.Epoch++
		head.Term = max(head.Term, l.o.HighWater.Term)
	}
	head.Position = position
	head.Number++
	head.Hash = RecordHash(l.buf)
	l.chain.tail = position
	l.stats.Appends++
}

// settle finds out what became of an append that got no position: see the package's essay on the fence.
func (l *Log) settle(ctx context.Context, cause error) (uint64, error) {
	pause, behind := l.o.BackoffMin, time.Duration(0)
	for attempt := 1; attempt <= l.o.AttemptsMax; attempt++ {
		l.stats.Retried++
		l.complain(ctx, attempt, cause)
		position, record, err := l.last(ctx, attempt)
		switch {
		case err != nil:
			cause = err
		case bytes.Equal(record, l.buf):
			l.stats.Found++
			l.stored(position)
			return position, nil
		case Fenced && position > l.chain.head.Position:
			return 0, l.fenced(position, record)
		case Fenced && position < l.chain.head.Position:
			if behind >= l.o.BehindFor {
				return 0, l.fail(l.chain.corrupt(position, fmt.Sprintf("the journal ends here, below the acknowledged record at position %d", l.chain.head.Position)))
			}
			behind += pause
		case Fenced && RecordHash(record) != l.chain.head.Hash:
			return 0, l.fail(l.chain.corrupt(position, "the last record is not the one that was acknowledged at this position"))
		default:
			// A conflict with the very record I expect comes from my own copy under way: give it the pause first.
			if !errors.Is(cause, ErrConflict) || attempt > 1 {
				l.stats.Published++
				if position, cause = l.publish(ctx); cause == nil {
					l.stored(position)
					return position, nil
				}
			}
		}
		if err := l.o.Sleep(ctx, pause); err != nil {
			return 0, l.fail(fmt.Errorf("append: %w: %w (last: %w)", ErrUnknown, err, cause))
		}
		pause = min(2*pause, l.o.BackoffMax)
	}
	return 0, l.fail(fmt.Errorf("append: given up after %d attempts: %w (last: %w)", l.o.AttemptsMax, ErrUnknown, cause))
}

// complain tells of the first attempt that failed and of some of those that follow: an outage must be seen, not flood the log.
func (l *Log) complain(ctx context.Context, attempt int, cause error) {
	level := slog.LevelDebug
	if attempt == 1 || attempt%32 == 0 {
		level = slog.LevelWarn
	}
	l.o.Logger.Log(ctx, level, "append not confirmed, reading the tail", "partition", l.partition, "number", l.chain.head.Number+1, "attempt", attempt, "error", cause)
}

// looksBeforePatience is how many attempts have the first TailTimeout: an election takes up to ten seconds.
const looksBeforePatience = 16

// last looks at the tail, for a time that grows with the attempts.
func (l *Log) last(ctx context.Context, attempt int) (uint64, []byte, error) {
	if l.o.AppendTimeout > 0 {
		within := min(l.o.TailTimeout*time.Duration(1+attempt/looksBeforePatience), l.o.AppendTimeout)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, within)
		defer cancel()
	}
	return l.journal.Last(ctx, l.partition)
}

// fenced makes the end final, and tells who is the owner as far as the last record says.
func (l *Log) fenced(position uint64, record []byte) error {
	l.stats.Fenced++
	h, payload, err := DecodeRecord(record)
	if err != nil {
		return l.fail(fmt.Errorf("position %d holds a foreign record: %w", position, ErrFenced))
	}
	if t, err := DecodeTakeover(payload); err == nil && h.Kind == RecordTakeover {
		return l.fail(fmt.Errorf("partition %d, epoch %d: node %q took over to epoch %d: %w", l.partition, l.chain.head.Epoch, t.Node, h.Epoch, ErrFenced))
	}
	return l.fail(fmt.Errorf("partition %d, epoch %d: position %d is of epoch %d: %w", l.partition, l.chain.head.Epoch, position, h.Epoch, ErrFenced))
}
