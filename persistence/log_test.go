package persistence_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"orderyard/persistence"
	"orderyard/persistence/faulty"
	"orderyard/persistence/memory"
)

// quick are options without clocks: no timer per attempt, no pause between them.
func quick(node string) persistence.LogOptions {
	return persistence.LogOptions{
		Node: node, Incarnation: node + "-1", AppendTimeout: -1, AttemptsMax: 50,
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
}

// owner opens a log, reads everything back and takes over.
func owner(t testing.TB, j persistence.Journal, o persistence.LogOptions) *persistence.Log {
	t.Helper()
	l := persistence.OpenLog(j, 0, o)
	if err := l.Recover(t.Context(), persistence.Manifest{}, nil); err != nil {
		t.Fatal(err)
	}
	if err := l.Takeover(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return l
}

func appendAll(t testing.TB, l *persistence.Log, payloads ...string) {
	t.Helper()
	for _, p := range payloads {
		if _, err := l.Append(t.Context(), []byte(p)); err != nil {
			t.Fatalf("append %q: %v", p, err)
		}
	}
}

// contents recovers a partition and gives the commits' payloads.
func contents(t testing.TB, j persistence.Journal) []string {
	t.Helper()
	var found []string
	l := persistence.OpenLog(j, 0, quick("reader"))
	err := l.Recover(t.Context(), persistence.Manifest{}, func(_ uint64, payload []byte) error {
		found = append(found, string(payload))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func wantContents(t testing.TB, j persistence.Journal, want ...string) {
	t.Helper()
	if got := contents(t, j); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Fatalf("the journal holds %q, want %q", got, want)
	}
}

// Proves the plain life of a log: it numbers from 1, owns epoch 1, and what it tells of its head is what the next one finds.
func TestLog(t *testing.T) {
	s := memory.New()
	a := owner(t, s, quick("a"))
	appendAll(t, a, "one", "two", "three")
	if a.Number() != 4 || a.Epoch() != 1 || a.Manifest().Position != a.Position() {
		t.Fatalf("number %d, epoch %d, %+v at %d", a.Number(), a.Epoch(), a.Manifest(), a.Position())
	}
	b := persistence.OpenLog(s, 0, quick("b"))
	var positions []uint64
	if err := b.Recover(t.Context(), persistence.Manifest{}, func(p uint64, _ []byte) error { positions = append(positions, p); return nil }); err != nil {
		t.Fatal(err)
	}
	if b.Manifest() != a.Manifest() || len(positions) != 3 || positions[2] != a.Position() {
		t.Fatalf("recovered %+v, was %+v, commits at %v", b.Manifest(), a.Manifest(), positions)
	}
	if st := a.Stats(); st.Appends != 4 || st.Retried != 0 {
		t.Fatalf("stats %+v", st)
	}
}

// Proves that a log refuses to be used out of order: no append before takeover, no takeover before recovery, nothing twice.
func TestLogOrder(t *testing.T) {
	ctx, s := t.Context(), memory.New()
	if _, err := persistence.OpenLog(s, 0, quick("a")).Append(ctx, []byte("x")); err == nil {
		t.Error("appended before recovery")
	}
	if err := persistence.OpenLog(s, 0, quick("a")).Takeover(ctx, nil); err == nil {
		t.Error("took over before recovery")
	}
	if err := owner(t, s, quick("a")).Recover(ctx, persistence.Manifest{}, nil); err == nil {
		t.Error("recovered twice")
	}
	if err := owner(t, s, quick("b")).Takeover(ctx, nil); err == nil {
		t.Error("took over twice")
	}
}

// Proves the fence: a zombie that wakes after a takeover stores nothing, is told ErrFenced, and stays fenced.
func TestFence(t *testing.T) {
	s := memory.New()
	a := owner(t, s, quick("a"))
	appendAll(t, a, "one")
	b := owner(t, s, quick("b"))
	for range 2 {
		if _, err := a.Append(t.Context(), []byte("zombie")); !errors.Is(err, persistence.ErrFenced) || !strings.Contains(err.Error(), `"b"`) {
			t.Fatalf("the zombie was told %v", err)
		}
	}
	appendAll(t, b, "two")
	if _, err := a.Append(t.Context(), []byte("zombie")); !errors.Is(err, persistence.ErrFenced) {
		t.Fatalf("the zombie was told %v", err)
	}
	wantContents(t, s, "one", "two")
	if a.Stats().Fenced != 1 || b.Epoch() != 2 {
		t.Fatalf("fenced %d times, epoch %d", a.Stats().Fenced, b.Epoch())
	}
}

// Proves the fence against the last moment: an append that was under way when the other took over is stored before the takeover or never,
// and its sender is fenced in both cases.
func TestFenceLatePacket(t *testing.T) {
	for _, fault := range []faulty.Fault{faulty.Late, faulty.LostAck, faulty.Refused} {
		t.Run(fault.String(), func(t *testing.T) {
			inner := memory.New()
			net := faulty.New(inner, faulty.Options{Script: faulty.Sequence("append", faulty.None, fault), LateReads: 100})
			o := quick("a")
			var b *persistence.Log
			o.Sleep = func(context.Context, time.Duration) error { return nil }
			// The other takes over between the lost answer and the look at the tail.
			a := owner(t, &beforeLast{Store: net, then: func() {
				if b == nil {
					b = owner(t, inner, quick("b"))
				}
			}}, o)
			if _, err := a.Append(t.Context(), []byte("last moment")); !errors.Is(err, persistence.ErrFenced) {
				t.Fatalf("told %v", err)
			}
			if n := net.Deliver(t.Context()); n != 0 {
				t.Fatal("the packet got in after the takeover")
			}
			appendAll(t, b, "new")
			want := []string{"new"}
			if fault == faulty.LostAck {
				want = []string{"last moment", "new"}
			}
			wantContents(t, inner, want...)
		})
	}
}

// beforeLast runs something before each Last.
type beforeLast struct {
	persistence.Store
	then func()
}

func (b *beforeLast) Last(ctx context.Context, partition int) (uint64, []byte, error) {
	b.then()
	return b.Store.Last(ctx, partition)
}

// Proves that every fault of a single append ends in one stored copy and a success that tells its position.
func TestUnknownOutcome(t *testing.T) {
	tests := []struct {
		name   string
		faults []faulty.Fault
	}{
		{"lost before the store", []faulty.Fault{faulty.Refused}},
		{"lost before the store, thrice", []faulty.Fault{faulty.Refused, faulty.Refused, faulty.Refused}},
		{"lost ack", []faulty.Fault{faulty.LostAck}},
		{"late: arrives after the tail was read, then meets its twin", []faulty.Fault{faulty.Late}},
		{"late, and so is the second copy", []faulty.Fault{faulty.Late, faulty.Late}},
		{"lost, then the second one's ack lost", []faulty.Fault{faulty.Refused, faulty.LostAck}},
		{"retried below us, answered with a conflict", []faulty.Fault{faulty.TwiceDenied}},
		{"delivered twice", []faulty.Fault{faulty.Twice}},
		{"everything", []faulty.Fault{faulty.Refused, faulty.Late, faulty.Refused, faulty.TwiceDenied, faulty.LostAck}},
	}
	for _, tt := range tests {
		for _, lateReads := range []int{1, 2, 3} {
			t.Run(fmt.Sprintf("%s/%d", tt.name, lateReads), func(t *testing.T) {
				inner := memory.New()
				script := append([]faulty.Fault{faulty.None, faulty.None}, tt.faults...)
				s := faulty.New(inner, faulty.Options{Script: faulty.Sequence("append", script...), LateReads: lateReads})
				l := owner(t, s, quick("a"))
				appendAll(t, l, "before")
				position, err := l.Append(t.Context(), []byte("struck"))
				if err != nil {
					t.Fatal(err)
				}
				last, _, _ := inner.Last(t.Context(), 0)
				if last != position || l.Position() != position || l.Number() != 3 {
					t.Fatalf("told %d, the last is %d, number %d", position, last, l.Number())
				}
				appendAll(t, l, "after")
				s.Deliver(t.Context())
				wantContents(t, inner, "before", "struck", "after")
			})
		}
	}
}

// conflicts answers every append with a conflict: after storing it, or (10164) a while before.
type conflicts struct {
	*memory.Store
	left int // appends that are refused though the expectation is right
}

func (c *conflicts) Append(ctx context.Context, partition int, expect uint64, id string, record []byte) (uint64, error) {
	if c.left > 0 {
		c.left--
		return 0, persistence.ErrConflict
	}
	if _, err := c.Store.Append(ctx, partition, expect, id, record); err != nil {
		return 0, err
	}
	return 0, persistence.ErrConflict
}

// Proves that a conflict alone proves nothing: a lone writer whose every append is answered with one loses nothing, doubles nothing and is not
// fenced.
func TestConflictProvesNothing(t *testing.T) {
	s := &conflicts{Store: memory.New()}
	l := owner(t, s, quick("a"))
	appendAll(t, l, "one", "two")
	s.left = 3
	appendAll(t, l, "three")
	wantContents(t, s.Store, "one", "two", "three")
}

// leaderless leaves the first questions about the tail without any answer, as a replicated stream without a leader does.
type leaderless struct {
	persistence.Store
	left, asked int
	patience    []time.Duration // how long each of them was waited for
}

func (s *leaderless) Last(ctx context.Context, partition int) (uint64, []byte, error) {
	if s.asked++; s.asked > s.left {
		return s.Store.Last(ctx, partition)
	}
	deadline, bounded := ctx.Deadline()
	if !bounded {
		return 0, nil, errors.New("a question without an end")
	}
	s.patience = append(s.patience, time.Until(deadline))
	<-ctx.Done()
	return 0, nil, ctx.Err()
}

// Proves that a log asks a silent journal about its tail again and again, each time briefly, long before the time-out of an append, so that an
// election costs what it takes and no more; and that its patience grows, so that a store which is only slow is met as well.
func TestTailAskedAgain(t *testing.T) {
	s := &leaderless{Store: memory.New(), left: 33}
	o := quick("a")
	o.AppendTimeout, o.TailTimeout = time.Hour, 20*time.Millisecond
	l := owner(t, faulty.New(s, faulty.Options{Script: faulty.Sequence("append", faulty.None, faulty.LostAck)}), o)
	s.asked = 0
	appendAll(t, l, "struck", "after")
	if s.asked != s.left+1 || s.patience[0] > o.TailTimeout || s.patience[s.left-1] <= o.TailTimeout {
		t.Fatalf("asked %d times, waiting %v first and %v in the end", s.asked, s.patience[0], s.patience[len(s.patience)-1])
	}
	wantContents(t, s.Store, "struck", "after")
}

// Proves that every fault of a takeover ends in ownership with one epoch more, and that commits found on the way are handed over.
func TestTakeoverFaults(t *testing.T) {
	for _, fault := range []faulty.Fault{faulty.Refused, faulty.LostAck, faulty.Late, faulty.Twice, faulty.TwiceDenied} {
		t.Run(fault.String(), func(t *testing.T) {
			inner := memory.New()
			a := owner(t, inner, quick("a"))
			s := faulty.New(inner, faulty.Options{Script: faulty.Sequence("append", fault, fault)})
			b := persistence.OpenLog(s, 0, quick("b"))
			if err := b.Recover(t.Context(), persistence.Manifest{}, nil); err != nil {
				t.Fatal(err)
			}
			appendAll(t, a, "meanwhile")
			var found []string
			err := b.Takeover(t.Context(), func(_ uint64, payload []byte) error { found = append(found, string(payload)); return nil })
			if err != nil {
				t.Fatal(err)
			}
			if strings.Join(found, " ") != "meanwhile" || b.Epoch() < 2 {
				t.Fatalf("found %q, epoch %d", found, b.Epoch())
			}
			s.Deliver(t.Context())
			appendAll(t, b, "mine")
			if _, err := a.Append(t.Context(), []byte("zombie")); !errors.Is(err, persistence.ErrFenced) {
				t.Fatalf("the former owner was told %v", err)
			}
			wantContents(t, inner, "meanwhile", "mine")
		})
	}
}

// Proves that two takeovers from the same head both succeed one after the other, and only the later one may append; also when both come from one
// process with the same names.
func TestTakeoverRace(t *testing.T) {
	s := memory.New()
	owner(t, s, quick("a"))
	b, c := persistence.OpenLog(s, 0, quick("same")), persistence.OpenLog(s, 0, quick("same"))
	for _, l := range []*persistence.Log{b, c} {
		if err := l.Recover(t.Context(), persistence.Manifest{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range []*persistence.Log{b, c} {
		if err := l.Takeover(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	if b.Epoch() != 2 || c.Epoch() != 3 {
		t.Fatalf("epochs %d and %d", b.Epoch(), c.Epoch())
	}
	appendAll(t, c, "x")
	if _, err := b.Append(t.Context(), []byte("x")); !errors.Is(err, persistence.ErrFenced) {
		t.Fatalf("the earlier one was told %v", err)
	}
	wantContents(t, s, "x")
}

// Proves that a takeover whose answer was lost, and which another one has overtaken meanwhile, does not take itself for the last: it takes
// over once more, or fences the other by being last.
func TestTakeoverOvertaken(t *testing.T) {
	inner := memory.New()
	net := faulty.New(inner, faulty.Options{Script: faulty.Sequence("append", faulty.LostAck)})
	var b *persistence.Log
	a := owner(t, &beforeRead{Store: net, then: func(reads int) {
		if reads == 2 { // the first was Recover's
			b = owner(t, inner, quick("b"))
			appendAll(t, b, "between")
		}
	}}, quick("a"))
	if b == nil || b.Epoch() != 2 || a.Epoch() != 3 {
		t.Fatalf("epoch %d after the other's %d", a.Epoch(), b.Epoch())
	}
	appendAll(t, a, "mine")
	if _, err := b.Append(t.Context(), []byte("zombie")); !errors.Is(err, persistence.ErrFenced) {
		t.Fatalf("the overtaken one was told %v", err)
	}
	wantContents(t, inner, "between", "mine")
}

// beforeRead runs something before each Read.
type beforeRead struct {
	persistence.Store
	reads int
	then  func(reads int)
}

func (b *beforeRead) Read(ctx context.Context, partition int, after uint64, fn func(uint64, []byte) error) error {
	b.reads++
	b.then(b.reads)
	return b.Store.Read(ctx, partition, after, fn)
}

// Proves that a store whose last record is not the acknowledged one, at the acknowledged position, is refused: nothing is appended to it.
func TestTailReplaced(t *testing.T) {
	inner := memory.New()
	s := faulty.New(inner, faulty.Options{Script: faulty.Sequence("append", faulty.None, faulty.None, faulty.Refused)})
	l := owner(t, s, quick("a"))
	appendAll(t, l, "one")
	records := inner.Records(0)
	records[1].Data = records[0].Data
	inner.Replace(0, records)
	if _, err := l.Append(t.Context(), []byte("two")); !errors.Is(err, persistence.ErrCorrupt) {
		t.Fatalf("told %v", err)
	}
	if n := len(inner.Records(0)); n != 2 {
		t.Fatalf("%d records", n)
	}
}

// Proves that a log whose context ends first says ErrUnknown and stays failed, and that one that had not sent anything stays usable.
func TestAppendContext(t *testing.T) {
	down := false
	s := faulty.New(memory.New(), faulty.Options{Script: func(faulty.Call) faulty.Fault {
		if down {
			return faulty.Refused
		}
		return faulty.None
	}})
	o := quick("a")
	o.Sleep, o.AttemptsMax, o.BackoffMin = nil, 0, time.Millisecond
	l := owner(t, s, o)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Append(over, []byte("x")); !errors.Is(err, context.Canceled) || errors.Is(err, persistence.ErrUnknown) {
		t.Fatalf("nothing was sent, told %v", err)
	}
	if _, err := l.Append(t.Context(), make([]byte, 9<<20)); !errors.Is(err, persistence.ErrTooLarge) {
		t.Fatalf("too large, told %v", err)
	}
	appendAll(t, l, "fine")
	down = true
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	for range 2 {
		if _, err := l.Append(short, []byte("x")); !errors.Is(err, persistence.ErrUnknown) {
			t.Fatalf("told %v", err)
		}
		down = false // it stays failed though the store is back
	}
}

// stale answers the first reads of the tail as a deposed leader would: with the record before.
type stale struct {
	*faulty.Store
	inner *memory.Store
	reads int
}

func (s *stale) Last(ctx context.Context, partition int) (uint64, []byte, error) {
	if s.reads > 0 {
		s.reads--
		records := s.inner.Records(partition)
		r := records[len(records)-2]
		return r.Position, r.Data, nil
	}
	return s.Store.Last(ctx, partition)
}

// Proves that a leader that is behind for a moment is asked again, and one that stays behind is called damage: the store lost what it acknowledged.
func TestBehind(t *testing.T) {
	for _, reads := range []int{2, 1000} {
		inner := memory.New()
		s := &stale{inner: inner, Store: faulty.New(inner, faulty.Options{Script: faulty.Sequence("append", faulty.None, faulty.None, faulty.Refused)})}
		l := owner(t, s, quick("a"))
		appendAll(t, l, "one")
		s.reads = reads
		_, err := l.Append(t.Context(), []byte("two"))
		if reads == 2 && err != nil {
			t.Fatalf("behind for a moment: %v", err)
		}
		if reads == 1000 && !errors.Is(err, persistence.ErrCorrupt) {
			t.Fatalf("behind for good: %v", err)
		}
	}
}

// Proves that appending costs few allocations beyond the store's own.
func TestAppendAllocations(t *testing.T) {
	l := owner(t, &sink{}, quick("a"))
	payload := bytes.Repeat([]byte("x"), 10_000)
	n := testing.AllocsPerRun(100, func() {
		if _, err := l.Append(t.Context(), payload); err != nil {
			t.Fatal(err)
		}
	})
	if n > 2 { // the id
		t.Fatalf("%v allocations", n)
	}
}

// sink is a journal that accepts everything and remembers nothing.
type sink struct{ position uint64 }

func (s *sink) Append(context.Context, int, uint64, string, []byte) (uint64, error) {
	s.position++
	return s.position, nil
}
func (s *sink) Last(context.Context, int) (uint64, []byte, error) { return 0, nil, nil }
func (s *sink) Read(context.Context, int, uint64, func(uint64, []byte) error) error {
	return nil
}
func (s *sink) Truncate(context.Context, int, uint64) error { return nil }
