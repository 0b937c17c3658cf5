package egress

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"orderyard/gateway/ingress"
	"orderyard/messages"
	"orderyard/persistence/jetstream/embedded"
)

// fakeSource is a journal in memory that can be added to while it is followed.
type fakeSource struct {
	mu      sync.Mutex
	commits map[int][]*messages.Commit // position i+1
	broken  map[int]error              // what reading a partition fails with
	changed chan struct{}
}

func newFakeSource(partitions int) *fakeSource {
	s := &fakeSource{commits: make(map[int][]*messages.Commit), broken: make(map[int]error), changed: make(chan struct{})}
	for p := range partitions {
		s.commits[p] = nil
	}
	return s
}

func (s *fakeSource) add(partition int, entries ...*messages.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commits[partition] = append(s.commits[partition], &messages.Commit{Entries: entries})
	s.changes()
}

// changes is called with s.mu held.
func (s *fakeSource) changes() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// fails lets reading a partition fail; nil heals it.
func (s *fakeSource) fails(partition int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken[partition] = err
	s.changes()
}

func (s *fakeSource) Follow(ctx context.Context, partition int, after uint64, fn func(uint64, *messages.Commit) error) error {
	for {
		s.mu.Lock()
		commits, changed, broken := s.commits[partition], s.changed, s.broken[partition]
		s.mu.Unlock()
		if broken != nil {
			return broken
		}
		for ; after < uint64(len(commits)); after++ {
			if err := fn(after+1, commits[after]); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fakeCursors is a cursor store in memory that can refuse. It does not compare: what is saved last stands.
type fakeCursors struct {
	mu      sync.Mutex
	saved   map[string]Cursor
	refuses bool
	blind   string // the cursor that cannot be read
	slow    time.Duration
}

func (c *fakeCursors) Load(_ context.Context, name string) (Cursor, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.blind == name {
		return Cursor{}, errors.New("refused")
	}
	return c.saved[name], nil
}

func (c *fakeCursors) Save(_ context.Context, name string, to Cursor) error {
	time.Sleep(c.slow)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuses {
		return errors.New("refused")
	}
	c.saved[name] = to
	return nil
}

func (c *fakeCursors) set(name string, position uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.saved[name] = Cursor{Position: position}
}

func (c *fakeCursors) get(name string) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.saved[name].Position
}

// yard is a NATS server with the event stream, a journal and cursors.
type yard struct {
	t       testing.TB
	srv     *embedded.Server
	dir     string // its store
	js      jetstream.JetStream
	source  *fakeSource
	cursors *fakeCursors
	mu      sync.Mutex
	conns   []*nats.Conn
	dialed  int
}

func newYard(t testing.TB, partitions int) *yard { return newYardOf(t, partitions, 0) }

// newYardOf has a server that takes so many open batches; 0 = many.
func newYardOf(t testing.TB, partitions, batches int) *yard {
	t.Helper()
	// The server leaves goroutines of its own behind for a moment; what is checked is that none of ours stays.
	t.Cleanup(func() {
		goleak.VerifyNone(t, goleak.IgnoreCurrent(), goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*Server).startGoRoutine.func1"))
	})
	dir := t.TempDir()
	srv, err := embedded.Start(embedded.Options{Dir: dir, Port: embedded.InProcessOnly, BatchesMax: batches})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Shutdown)
	nc, err := srv.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	y := &yard{t: t, srv: srv, dir: dir, source: newFakeSource(partitions), cursors: &fakeCursors{saved: make(map[string]Cursor)}}
	if y.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	y.setup()
	return y
}

func (y *yard) setup() {
	y.t.Helper()
	small := ingress.StreamOptions{IntakeBytes: 16 << 20, EventsBytes: 256 << 20, DeadBytes: 16 << 20}
	if err := ingress.Setup(context.Background(), y.js, small); err != nil {
		y.t.Fatal(err)
	}
}

func (y *yard) connect(options ...nats.Option) (*nats.Conn, error) {
	nc, err := y.srv.Connect(options...)
	y.mu.Lock()
	y.dialed++
	y.conns = append(y.conns, nc)
	y.mu.Unlock()
	return nc, err
}

// cut ends every connection of the egress.
func (y *yard) cut() {
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, nc := range y.conns {
		nc.Close()
	}
	y.conns = nil
}

// run starts an egress of all partitions; stop ends it and waits.
func (y *yard) run(o Options) (e *Egress, stop func()) {
	y.t.Helper()
	e, stop = y.runEmpty(o)
	for p := range y.source.commits {
		e.Serve(p)
	}
	return e, stop
}

// runEmpty starts an egress that serves nothing yet. It publishes what the yard has, unless the options have something else.
func (y *yard) runEmpty(o Options) (e *Egress, stop func()) {
	y.t.Helper()
	o.Cursors, o.Connect = y.cursors, y.connect
	if o.Source == nil {
		o.Source = y.source
	}
	if o.SaveEvery == 0 {
		o.SaveEvery = 10 * time.Millisecond
	}
	e, err := New(o)
	if err != nil {
		y.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = e.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	y.t.Cleanup(stop)
	return e, stop
}

type published struct {
	subject, id string
	header      nats.Header
	data        []byte
}

// events reads everything in the stream.
func (y *yard) events() []published {
	y.t.Helper()
	s, err := y.js.Stream(context.Background(), messages.StreamEvents)
	if err != nil {
		y.t.Fatal(err)
	}
	var list []published
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(context.Background(), seq)
		if err != nil {
			y.t.Fatal(err)
		}
		list = append(list, published{m.Subject, m.Header["ce-id"][0], m.Header, m.Data})
	}
	return list
}

func (y *yard) count() uint64 {
	s, err := y.js.Stream(context.Background(), messages.StreamEvents)
	if err != nil {
		return 0
	}
	return s.CachedInfo().State.Msgs
}

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}
