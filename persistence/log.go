package persistence

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Mark is a place the journal is known to have reached, remembered outside of it, and the claim under which it is entered.
type Mark struct {
	Position uint64
	Number   uint64 // 0 = not known
	// Term counts the claims of the partition at the arbiter. Whoever takes over says the term of its claim, and a journal that was taken
	// over under a higher one refuses it. 0 = there is no arbiter: nobody is refused.
	Term uint64
}

// LogOptions are the dials of a Log. The zero value of each means the default.
type LogOptions struct {
	// Node and Incarnation name the owner in the takeover record: the machine, and its process.
	Node, Incarnation string
	// Nonce tells two Logs of one process apart. 0 = drawn at random; the simulator gives its own.
	Nonce uint64
	// HighWater is the highest place known from elsewhere (egress cursor, ownership key), and the term of the caller's claim. A journal that
	// ends below it is refused.
	HighWater Mark
	// AppendTimeout bounds one attempt; then the outcome is unknown and is looked up. Default 5 s; negative = no bound.
	AppendTimeout time.Duration
	// TailTimeout bounds one look at the last record after an append without an answer. A replicated stream without a leader leaves the
	// question unanswered for ever: asking again meets the next leader, waiting does not. Every 16 looks in a row that stay without an answer
	// add as much again, up to AppendTimeout, so that a store which is only slow is met in the end. Default 500 ms.
	TailTimeout time.Duration
	// BackoffMin and BackoffMax bound the pause between attempts, which doubles. Default 2 ms and 500 ms.
	BackoffMin, BackoffMax time.Duration
	// BehindFor is how long (in pauses) a journal that ends below what was acknowledged is asked again before it is called damaged: a
	// deposed leader may answer once before it learns of its successor. Default 2 s; negative = not at all.
	BehindFor time.Duration
	// AttemptsMax bounds the attempts at one append or takeover. Default 10,000: the caller's context is the bound that matters.
	AttemptsMax int
	// PayloadMax bounds a payload, in bytes. Default: the constant of that name.
	PayloadMax int
	// Sleep pauses between attempts. Default: a timer. The simulator gives its own.
	Sleep func(ctx context.Context, d time.Duration) error
	// Logger hears of attempts that went wrong. Default: nobody.
	Logger *slog.Logger
}

// LogStats counts what a Log went through.
type LogStats struct {
	Appends   uint64 // stored, takeovers included
	Retried   uint64 // attempts that got no position and were looked up
	Found     uint64 // of these: stored already
	Published uint64 // of these: published again
	Fenced    uint64 // 0 or 1
}

type logPhase uint8

const (
	logOpened    logPhase = iota
	logRecovered          // read to the end
	logOwner              // took over: may append
)

// Log is the one writer of a partition: Recover, Takeover, then Append as long as nobody else takes over. It is not safe for concurrent use. A Log
// that failed stays failed: throw it away, open another, recover.
type Log struct {
	journal   Journal
	partition int
	o         LogOptions
	chain     *Chain
	phase     logPhase
	failed    error
	stats     LogStats
	buf       []byte // the record in the making; unchanged until its outcome is known
}

// PayloadMax is the largest payload that a Log takes unless told otherwise, in bytes: the embedded server takes messages of 8 MiB, and header and
// subject need room.
const PayloadMax = 8<<20 - 64<<10

// OpenLog makes a Log. It touches nothing yet.
func OpenLog(j Journal, partition int, o LogOptions) *Log {
	if o.Nonce == 0 {
		var b [8]byte
		rand.Read(b[:]) // never fails: crypto/rand ends the process instead
		o.Nonce = binary.LittleEndian.Uint64(b[:])
	}
	o.AppendTimeout = orDefault(o.AppendTimeout, 5*time.Second)
	o.TailTimeout = orDefault(o.TailTimeout, 500*time.Millisecond)
	o.BackoffMin = orDefault(o.BackoffMin, 2*time.Millisecond)
	o.BackoffMax = max(orDefault(o.BackoffMax, 500*time.Millisecond), o.BackoffMin)
	o.BehindFor = orDefault(o.BehindFor, 2*time.Second)
	o.AttemptsMax = orDefault(o.AttemptsMax, 10_000)
	o.PayloadMax = orDefault(o.PayloadMax, PayloadMax)
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Log{journal: j, partition: partition, o: o, chain: NewChain(partition, Manifest{})}
}

func orDefault[T ~int | ~int64](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Position is where the last record lies that this Log read or wrote.
func (l *Log) Position() uint64 { return l.chain.head.Position }

// Number is that record's number.
func (l *Log) Number() uint64 { return l.chain.head.Number }

// Epoch is that record's epoch: one's own, after Takeover.
func (l *Log) Epoch() uint64 { return l.chain.head.Epoch }

// Term is the highest term of a claim under which the partition was taken over, as far as was read.
func (l *Log) Term() uint64 { return l.chain.head.Term }

// Manifest describes the present head, for a checkpoint.
func (l *Log) Manifest() Manifest { return l.chain.head }

// Stats gives the counters.
func (l *Log) Stats() LogStats { return l.stats }

// Recover reads the journal from behind a checkpoint (the zero Manifest: from its beginning) to its end and gives the payload of every commit to fn. It
// refuses a gap, a damaged or foreign record, and an end below the checkpoint or the high-water mark with a CorruptError.
//
// A checkpoint may be overtaken while it is recovered from: a newer one is written and the journal truncated below that. Then a gap
// appears; look for a newer checkpoint before you believe in damage.
func (l *Log) Recover(ctx context.Context, from Manifest, fn func(position uint64, payload []byte) error) error {
	if l.failed != nil {
		return l.failed
	}
	if l.phase != logOpened {
		return l.fail(errors.New("journal: a Log recovers once"))
	}
	l.chain = NewChain(l.partition, from)
	after := from.Position
	if after > 0 {
		after-- // with the checkpoint's own record, if it is still there: it proves that both belong together
	}
	if err := l.readTo(ctx, after, from, fn); err != nil {
		return l.fail(err)
	}
	l.phase = logRecovered
	return nil
}

// CatchUp reads on from where Recover, or the last CatchUp, ended, and gives what others committed since to fn: whoever is to follow an owner reads
// along while that one still serves. A mark that was not known before is to be reached as in Recover.
func (l *Log) CatchUp(ctx context.Context, mark Mark, fn func(position uint64, payload []byte) error) error {
	if l.failed != nil {
		return l.failed
	}
	if l.phase != logRecovered {
		return l.fail(errors.New("journal: a Log catches up between Recover and Takeover"))
	}
	known := &l.o.HighWater
	known.Position, known.Number, known.Term = max(known.Position, mark.Position), max(known.Number, mark.Number), max(known.Term, mark.Term)
	if err := l.readTo(ctx, l.chain.tail, Manifest{}, fn); err != nil {
		return l.fail(err)
	}
	return nil
}

// readTo reads to the end, again and again for a while when that lies below a mark.
func (l *Log) readTo(ctx context.Context, after uint64, from Manifest, fn func(position uint64, payload []byte) error) error {
	pause, waited := l.o.BackoffMin, time.Duration(0)
	for {
		if err := l.readOn(ctx, after, fn); err != nil {
			return err
		}
		reason := l.below(from)
		if reason == "" {
			return nil
		}
		if waited >= l.o.BehindFor {
			return l.chain.corrupt(l.chain.tail, reason)
		}
		if err := l.o.Sleep(ctx, pause); err != nil {
			return fmt.Errorf("recover: %w", err)
		}
		waited += pause
		pause = min(2*pause, l.o.BackoffMax)
		after = max(after, l.chain.tail)
	}
}

// below says which mark the journal does not reach; "" = all are reached.
func (l *Log) below(from Manifest) string {
	mark := l.o.HighWater
	switch {
	case l.chain.tail < from.Position:
		return fmt.Sprintf("the journal ends here, below the checkpoint at position %d", from.Position)
	case l.chain.tail < mark.Position:
		return fmt.Sprintf("the journal ends here, below the high-water mark at position %d", mark.Position)
	case l.chain.head.Number < mark.Number:
		return fmt.Sprintf("the journal ends here with record %d, below the high-water mark of record %d", l.chain.head.Number, mark.Number)
	}
	return ""
}

// readOn reads from a position to the end, checks the chain and hands out commits.
func (l *Log) readOn(ctx context.Context, after uint64, fn func(position uint64, payload []byte) error) error {
	return l.journal.Read(ctx, l.partition, after, func(position uint64, record []byte) error {
		return l.take(position, record, fn)
	})
}

func (l *Log) take(position uint64, record []byte, fn func(position uint64, payload []byte) error) error {
	h, payload, err := l.chain.Next(position, record)
	if err != nil {
		return err
	}
	if h.Kind != RecordCommit || fn == nil {
		return nil
	}
	return fn(position, payload)
}

// Takeover appends a takeover record and makes this Log the owner. What others wrote since Recover is read on the way and given to
// fn. It repeats until it is the last record; then every Log that was before is fenced. ErrOutranked, with nothing written, when another took over
// under a later claim: a process that slept through its successor's claim must not fence it.
func (l *Log) Takeover(ctx context.Context, fn func(position uint64, payload []byte) error) error {
	if l.failed != nil {
		return l.failed
	}
	if l.phase != logRecovered {
		return l.fail(errors.New("journal: a Log takes over once, after Recover"))
	}
	pause := l.o.BackoffMin
	l.encodeTakeover()
	for attempt := 1; attempt <= l.o.AttemptsMax; attempt++ {
		if l.outranked() {
			return l.fail(&OutrankedError{Partition: l.partition, Term: l.o.HighWater.Term, Journal: l.Term()})
		}
		position, err := l.publish(ctx)
		if err == nil {
			l.stored(position)
			l.phase = logOwner
			return nil
		}
		if errors.Is(err, ErrTooLarge) {
			return l.fail(fmt.Errorf("take over: %w", err))
		}
		l.stats.Retried++
		l.o.Logger.Debug("takeover not confirmed", "partition", l.partition, "attempt", attempt, "error", err)
		mine, err := l.overtaken(ctx, fn)
		if err != nil {
			return l.fail(err)
		}
		if mine {
			l.stats.Found++
			l.stats.Appends++
			l.phase = logOwner
			return nil
		}
		if err := l.o.Sleep(ctx, pause); err != nil {
			return l.fail(fmt.Errorf("take over: %w: %w", ErrUnknown, err))
		}
		pause = min(2*pause, l.o.BackoffMax)
	}
	return l.fail(fmt.Errorf("take over: given up after %d attempts: %w", l.o.AttemptsMax, ErrUnknown))
}

// outranked says that another took over under a later claim than the caller's.
func (l *Log) outranked() bool {
	return Fenced && l.o.HighWater.Term != 0 && l.o.HighWater.Term < l.chain.head.Term
}

func (l *Log) encodeTakeover() {
	t := Takeover{Node: l.o.Node, Incarnation: l.o.Incarnation, Nonce: l.o.Nonce, Term: l.o.HighWater.Term}
	head := &l.chain.head
	l.buf = appendRecord(l.buf[:0], &Header{
		Kind: RecordTakeover, Partition: l.partition, Number: head.Number + 1, Epoch: head.Epoch + 1, Prev: head.Hash,
	}, t.append(nil))
}

// overtaken reads what came instead of, or with, an unconfirmed takeover. Mine = the takeover was stored and is the last record. When others came,
// the takeover is made anew behind them; when none came, the identical record goes out again.
func (l *Log) overtaken(ctx context.Context, fn func(position uint64, payload []byte) error) (mine bool, err error) {
	before := l.chain.head.Position
	err = l.journal.Read(ctx, l.partition, before, func(position uint64, record []byte) error {
		mine = bytes.Equal(record, l.buf)
		if err := l.take(position, record, fn); err != nil {
			return &readerError{err}
		}
		return nil
	})
	if own := (*readerError)(nil); errors.As(err, &own) {
		return false, own.err
	}
	if err != nil { // the store did not answer: that is what the attempts are for
		if ctx.Err() != nil {
			return false, fmt.Errorf("take over: %w: %w", ErrUnknown, err)
		}
		if errors.Is(err, ErrCorrupt) {
			return false, err
		}
		l.o.Logger.Debug("takeover cannot read on", "partition", l.partition, "error", err)
		mine = false
	}
	if !mine && l.chain.head.Position != before {
		l.encodeTakeover()
	}
	return mine, nil
}

// readerError carries the reader's own refusal through Journal.Read, to tell it from the store's.
type readerError struct{ err error }

func (e *readerError) Error() string { return e.err.Error() }
func (e *readerError) Unwrap() error { return e.err }

// fail makes an error final.
func (l *Log) fail(err error) error {
	l.failed = err
	return err
}
