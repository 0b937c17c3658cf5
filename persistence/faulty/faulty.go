package faulty

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"orderyard/persistence"
)

// Fault is what happens to one call.
type Fault uint8

const (
	None        Fault = iota
	Refused           // an error before the store was reached. For an append the caller cannot know that: ErrUnknown
	LostAck           // done, but the answer is lost: ErrUnknown
	Late              // append: ErrUnknown now, delivered to the store after later reads. Elsewhere as Refused
	Twice             // append: delivered twice, the first answer arrives. Elsewhere done once
	TwiceDenied       // append: delivered twice, the second answer arrives: a conflict with oneself. Elsewhere done once
	Slow              // done after a pause
)

var faultNames = [...]string{"none", "refused", "lost-ack", "late", "twice", "twice-denied", "slow"}

func (f Fault) String() string {
	if int(f) < len(faultNames) {
		return faultNames[f]
	}
	return fmt.Sprintf("fault(%d)", uint8(f))
}

// Call is what a Script sees.
type Call struct {
	Op        string // append, last, read, truncate, write, load, get, put, create, update
	Partition int    // -1 for values
	Key       string // of values
}

// Script chooses the fault of a call. It is called in the order of the calls, under the Store's lock: it may keep state.
type Script func(Call) Fault

// ErrInjected is the cause of every failure made here.
var ErrInjected = errors.New("injected fault")

// Sequence strikes the calls of one operation in turn, then leaves them alone.
func Sequence(op string, faults ...Fault) Script {
	return func(c Call) Fault {
		if c.Op != op || len(faults) == 0 {
			return None
		}
		f := faults[0]
		faults = faults[1:]
		return f
	}
}

// Rates gives the chance of each fault, from 0 to 1.
type Rates struct {
	Refused, LostAck, Late, Twice, TwiceDenied, Slow float64 // of appends
	Read                                             float64 // that a read, a load or a get fails
	Write                                            float64 // that a checkpoint, a truncation or a value fails, half of them with a lost ack
}

// Seeded strikes by a seed: the same seed and the same calls give the same faults.
func Seeded(seed uint64, r Rates) Script {
	rng := rand.New(rand.NewPCG(seed, 0x6f79))
	return func(c Call) Fault {
		x := rng.Float64()
		switch c.Op {
		case "append":
			for i, rate := range []float64{r.Refused, r.LostAck, r.Late, r.Twice, r.TwiceDenied, r.Slow} {
				if x < rate {
					return Refused + Fault(i)
				}
				x -= rate
			}
		case "last", "read", "load", "get":
			if x < r.Read {
				return Refused
			}
		default:
			if x < r.Write/2 {
				return Refused
			}
			if x < r.Write {
				return LostAck
			}
		}
		return None
	}
}

// Options are the dials of a Store. The zero value injects nothing.
type Options struct {
	Script Script
	// LateReads is how many reads of a partition a late append lets pass before it is delivered. Default 1.
	LateReads int
	// Pause is how long Slow lasts, and Sleep how it is spent. Default 10 ms, time.Sleep.
	Pause time.Duration
	Sleep func(time.Duration)
}

type lateAppend struct {
	partition int
	expect    uint64
	id        string
	record    []byte
	reads     int // still to pass
}

// Store is a persistence.Store with faults. It may be used concurrently when the one inside may.
type Store struct {
	inner persistence.Store
	o     Options

	mu    sync.Mutex
	late  []lateAppend
	count map[Fault]int
}

var _ persistence.Store = (*Store)(nil)

// New wraps a store. Closing the wrapper closes it.
func New(inner persistence.Store, o Options) *Store {
	if o.LateReads == 0 {
		o.LateReads = 1
	}
	if o.Pause == 0 {
		o.Pause = 10 * time.Millisecond
	}
	if o.Sleep == nil {
		o.Sleep = time.Sleep
	}
	return &Store{inner: inner, o: o, count: map[Fault]int{}}
}

// Count tells how often a fault has struck.
func (s *Store) Count(f Fault) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count[f]
}

// Late tells how many appends are still under way.
func (s *Store) Late() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.late)
}

// Deliver hands all late appends to the store, and tells how many it took. Their senders have given up on them long ago.
func (s *Store) Deliver(ctx context.Context) int {
	return s.deliver(ctx, func(*lateAppend) bool { return true })
}

func (s *Store) deliver(ctx context.Context, due func(*lateAppend) bool) int {
	s.mu.Lock()
	var now []lateAppend
	s.late = slices.DeleteFunc(s.late, func(l lateAppend) bool {
		if !due(&l) {
			return false
		}
		now = append(now, l)
		return true
	})
	s.mu.Unlock()
	taken := 0
	for _, l := range now {
		if _, err := s.inner.Append(ctx, l.partition, l.expect, l.id, l.record); err == nil {
			taken++
		}
	}
	return taken
}

// passed lets the late appends of a partition see one more read go by, after it has been answered.
func (s *Store) passed(ctx context.Context, partition int) {
	s.mu.Lock()
	for i := range s.late {
		if s.late[i].partition == partition {
			s.late[i].reads--
		}
	}
	s.mu.Unlock()
	s.deliver(ctx, func(l *lateAppend) bool { return l.reads <= 0 })
}

func (s *Store) fault(op string, partition int, key string) Fault {
	if s.o.Script == nil {
		return None
	}
	s.mu.Lock()
	f := s.o.Script(Call{Op: op, Partition: partition, Key: key})
	s.count[f]++
	s.mu.Unlock()
	if f == Slow {
		s.o.Sleep(s.o.Pause)
	}
	return f
}

// Append implements persistence.Journal.
func (s *Store) Append(ctx context.Context, partition int, expect uint64, id string, record []byte) (uint64, error) {
	f := s.fault("append", partition, "")
	switch f {
	case Refused:
		return 0, unknown(f)
	case Late:
		s.mu.Lock()
		s.late = append(s.late, lateAppend{partition, expect, id, bytes.Clone(record), s.o.LateReads})
		s.mu.Unlock()
		return 0, unknown(f)
	}
	position, err := s.inner.Append(ctx, partition, expect, id, record)
	switch f {
	case LostAck:
		return 0, unknown(f)
	case Twice:
		s.inner.Append(ctx, partition, expect, id, record) //nolint:errcheck // nobody hears the second answer
	case TwiceDenied:
		return s.inner.Append(ctx, partition, expect, id, record)
	}
	return position, err
}

func unknown(f Fault) error {
	return fmt.Errorf("%w: %w (%s)", persistence.ErrUnknown, ErrInjected, f)
}

// Last implements persistence.Journal.
func (s *Store) Last(ctx context.Context, partition int) (position uint64, record []byte, err error) {
	defer s.passed(ctx, partition)
	err = s.plain("last", partition, "", func() error { position, record, err = s.inner.Last(ctx, partition); return err })
	return position, record, err
}

// Read implements persistence.Journal.
func (s *Store) Read(ctx context.Context, partition int, after uint64, fn func(position uint64, record []byte) error) error {
	defer s.passed(ctx, partition)
	return s.plain("read", partition, "", func() error { return s.inner.Read(ctx, partition, after, fn) })
}

// Truncate implements persistence.Journal.
func (s *Store) Truncate(ctx context.Context, partition int, below uint64) error {
	return s.plain("truncate", partition, "", func() error { return s.inner.Truncate(ctx, partition, below) })
}

// Write implements persistence.Snapshots.
func (s *Store) Write(ctx context.Context, partition int, manifest persistence.Manifest, parts iter.Seq2[[]byte, error]) error {
	return s.plain("write", partition, "", func() error { return s.inner.Write(ctx, partition, manifest, parts) })
}

// Load implements persistence.Snapshots.
func (s *Store) Load(ctx context.Context, partition int, slice func([]byte) error) (m persistence.Manifest, ok bool, err error) {
	err = s.plain("load", partition, "", func() error { m, ok, err = s.inner.Load(ctx, partition, slice); return err })
	return m, ok, err
}

// Get implements persistence.Values.
func (s *Store) Get(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	err = s.plain("get", -1, key, func() error { value, revision, err = s.inner.Get(ctx, key); return err })
	return value, revision, err
}

// Put implements persistence.Values.
func (s *Store) Put(ctx context.Context, key string, value []byte) error {
	return s.plain("put", -1, key, func() error { return s.inner.Put(ctx, key, value) })
}

// Create implements persistence.Values.
func (s *Store) Create(ctx context.Context, key string, value []byte) error {
	return s.plain("create", -1, key, func() error { return s.inner.Create(ctx, key, value) })
}

// Update implements persistence.Values.
func (s *Store) Update(ctx context.Context, key string, value []byte, revision uint64) (next uint64, err error) {
	err = s.plain("update", -1, key, func() error { next, err = s.inner.Update(ctx, key, value, revision); return err })
	return next, err
}

// plain runs a call that has no subtleties of its own: refused, done with the answer lost, or done.
func (s *Store) plain(op string, partition int, key string, call func() error) error {
	f := s.fault(op, partition, key)
	if f == Refused || f == Late {
		return fmt.Errorf("%s: %w (%s)", op, ErrInjected, f)
	}
	err := call()
	if f == LostAck && err == nil {
		return fmt.Errorf("%s: %w (%s)", op, ErrInjected, f)
	}
	return err
}

// Close implements persistence.Store.
func (s *Store) Close() error { return s.inner.Close() }
