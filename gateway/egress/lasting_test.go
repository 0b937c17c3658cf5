package egress

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"orderyard/messages"
	"orderyard/persistence/jetstream/embedded"
)

// TestLasting proves what a sign of life makes of what was acknowledged before it, how the marks are bounded, and that a lane which goes back forgets
// what is not lasting.
func TestLasting(t *testing.T) {
	const after = 80 * time.Millisecond
	began := time.Now()
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	var f lasting
	f.begin(Cursor{5})
	want := func(what string, cursor uint64, whole bool) {
		t.Helper()
		if f.cursor().Position != cursor || f.whole() != whole {
			t.Errorf("%s: lasting up to %d, whole %v; want %d, %v", what, f.cursor().Position, f.whole(), cursor, whole)
		}
	}
	want("at first", 5, true)
	f.acknowledged(Cursor{7}, at(0), after)
	f.acknowledged(Cursor{9}, at(50), after)
	f.lived(at(79), after)
	want("too soon", 5, false)
	f.lived(at(80), after)
	want("one of them", 7, false)
	f.lived(at(130), after)
	want("both", 9, true)
	for i := range 1000 { // a hundred without a sign of life
		f.acknowledged(Cursor{uint64(10 + i)}, at(200+i*100), after)
	}
	if len(f.heard) > marksMax {
		t.Errorf("%d marks", len(f.heard))
	}
	f.lived(at(200+70*100), after)
	if got := f.cursor().Position; got < 9 || got > 10+69 {
		t.Errorf("lasting up to %d of %d", got, 10+69)
	}
	f.lived(at(200+1000*100), after)
	want("all", 1009, true)
	for i := range 100 { // every millisecond: a few marks tell it, none too early
		f.acknowledged(Cursor{uint64(2000 + i)}, at(200_000+i), after)
	}
	if len(f.heard) > 2*lastingGrain+1 {
		t.Errorf("%d marks for a while", len(f.heard))
	}
	for ms := range 200 {
		f.lived(at(200_000+ms), after)
		if got := f.cursor().Position; got > 1009 && got > uint64(2000+ms-80) {
			t.Fatalf("after %d ms lasting up to %d", ms, got)
		}
	}
	want("all again", 2099, true)
	f.acknowledged(Cursor{3000}, at(300_000), after)
	f.begin(f.cursor())
	want("gone back", 2099, true)
}

// TestAcknowledgedIsNotLasting proves that a server killed at any moment has every event that a new session, or another node, would not publish again. A copy
// of its files is what kill -9 leaves. Of what was merely acknowledged some is missing there now and then, or the test would prove nothing.
func TestAcknowledgedIsNotLasting(t *testing.T) {
	y := newYard(t, 1)
	e, stop := y.run(Options{})
	defer stop()
	var version atomic.Int64
	feed, end := context.WithCancel(t.Context())
	var feeding sync.WaitGroup
	feeding.Go(func() {
		for v := 0; feed.Err() == nil; v++ {
			y.source.add(0, held("web-0-0", uint64(v)))
			version.Store(int64(v))
			time.Sleep(200 * time.Microsecond) // a pace, not a wait
		}
	})
	defer feeding.Wait()
	defer end()
	lost := 0
	for moment := 0; moment < 25 || lost == 0 && moment < 250; moment++ {
		before := e.Published(0)
		eventually(t, "more is acknowledged", func() bool { return e.Published(0) > before })
		lasting, acked := e.lane(0).lasting.cursor().Position, e.Published(0)
		dir := filepath.Join(t.TempDir(), "copy")
		if err := os.CopyFS(dir, os.DirFS(y.dir)); err != nil {
			t.Fatal(err)
		}
		// Every commit is one event: the places in the journal and in the stream are the same.
		if has := storedIn(t, dir, lasting, acked); !has[0] {
			t.Fatalf("a killed server has not got event %d, which would not be published again", lasting)
		} else if !has[1] {
			lost++
		}
	}
	if lost == 0 {
		t.Error("whatever was acknowledged was in the files: the test proves nothing")
	}
	eventually(t, "lasting", func() bool { return e.lane(0).lasting.cursor().Position > 0 })
}

// storedIn says which of these places have an event in the stream of a server that is started on the folder; place 0 has one.
func storedIn(t *testing.T, dir string, places ...uint64) (has []bool) {
	t.Helper()
	srv, err := embedded.Start(embedded.Options{Dir: dir, Port: embedded.InProcessOnly})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Shutdown()
	nc, err := srv.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), messages.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range places {
		_, err := s.GetMsg(t.Context(), max(place, 1))
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			t.Fatal(err)
		}
		has = append(has, err == nil || place == 0)
	}
	return has
}

// TestConnectionLostGoesBack proves that a new session begins where the server of the one before is known to have written everything: at what a
// sign of life has made lasting, and no further.
func TestConnectionLostGoesBack(t *testing.T) {
	y := newYard(t, 1)
	e, stop := y.run(Options{SaveEvery: time.Hour}) // no sign of life
	defer stop()
	y.fill(0, 1, 0, 10)
	eventually(t, "acknowledged", func() bool { return e.Published(0) == 10 })
	y.cut()
	eventually(t, "published again", func() bool { return y.count() == 20 && e.Published(0) == 10 })
	e.lane(0).lasting.lived(time.Now().Add(time.Second), e.o.LastingAfter)
	y.cut()
	eventually(t, "a third session", func() bool { return y.dials() == 3 })
	y.fill(0, 1, 10, 12)
	eventually(t, "the rest", func() bool { return e.Published(0) == 12 })
	if n := y.count(); n != 22 {
		t.Errorf("%d events, want 22: what was lasting does not come again", n)
	}
	wantOrdered(t, y.events(), 1, 12)
}

// TestPrivateCommitsEndTheBatch proves that commits of which nobody hears do not keep a batch open: its events count soon, in one session.
func TestPrivateCommitsEndTheBatch(t *testing.T) {
	y := newYard(t, 1)
	e, stop := y.run(Options{AckWait: 2 * time.Second})
	defer stop()
	y.source.add(0, held("web-1", 0))
	y.source.add(0, held("web-1", 1), held("web-1", 2), held("web-1", 3)) // the stream tells of a batch's first event by itself, not of the rest
	busy, end := context.WithCancel(t.Context())
	var private sync.WaitGroup
	private.Go(func() {
		for v := uint64(4); busy.Err() == nil; v++ {
			y.source.add(0, entry(messages.OrderRef("web-1"), v, &messages.LineReserved{}))
			time.Sleep(2 * time.Millisecond) // a pace, not a wait
		}
	})
	defer private.Wait()
	defer end()
	eventually(t, "acknowledged beside private commits", func() bool { return e.Published(0) >= 2 })
	if n := y.dials(); n != 1 {
		t.Errorf("%d sessions, want 1", n)
	}
}

// TestRefusalLeavesNoBatches proves that a session which a refusal ends takes its batches with it: the next ones find room, however few the server takes.
func TestRefusalLeavesNoBatches(t *testing.T) {
	const lanes = 3
	y := newYardOf(t, lanes, 2*lanes)
	ctx := context.Background()
	s, err := y.js.Stream(ctx, messages.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxMsgSize = 600
	if _, err := y.js.UpdateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	large := entry(messages.OrderRef("web-0-0"), 3, &messages.HoldPlaced{Reason: "other", Note: strings.Repeat("x", 1000)})
	for p := range lanes {
		y.fill(p, 1, 0, 3)
	}
	y.source.add(0, large)
	var log bytes.Buffer
	w := &syncWriter{w: &log}
	e, stop := y.run(Options{Log: slog.New(slog.NewTextHandler(w, nil))})
	defer stop()
	eventually(t, "refused five times", func() bool { return y.dials() > 5 })
	cfg.MaxMsgSize = -1
	if _, err := y.js.UpdateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	eventually(t, "published", func() bool { return e.Published(0) == 4 && e.Published(1) == 3 && e.Published(2) == 3 })
	w.mu.Lock()
	defer w.mu.Unlock()
	if strings.Contains(log.String(), "inflight") {
		t.Errorf("refused for batches that nobody ended:\n%s", &log)
	}
}

// TestServerThatDoesNotRead proves that a server which takes nothing more holds up neither the next session nor the stop.
func TestServerThatDoesNotRead(t *testing.T) {
	y := newYard(t, 1)
	stuck := &stuckConn{}
	e, err := New(Options{
		Source: y.source, Cursors: y.cursors, AckWait: 300 * time.Millisecond, SaveEvery: 10 * time.Millisecond,
		Connect: func(options ...nats.Option) (*nats.Conn, error) {
			if y.dials() == 0 {
				options = append(options, nats.InProcessServer(stuck.over(y.srv)))
			}
			return y.connect(options...)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = e.Run(ctx) }()
	e.Serve(0)
	eventually(t, "a session", func() bool { return y.dials() == 1 })
	stuck.stop()
	y.fill(0, 400, 0, 20) // more than fits into any buffer
	eventually(t, "another session", func() bool { return y.dials() > 1 })
	eventually(t, "published", func() bool { return e.Published(0) == 20 })
	cancel()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("the egress does not stop")
	}
	wantOrdered(t, y.events(), 400, 20)
}

// stuckConn is a connection that takes nothing more from a moment on.
type stuckConn struct {
	srv     *embedded.Server
	stopped atomic.Bool
}

func (s *stuckConn) over(srv *embedded.Server) *stuckConn { s.srv = srv; return s }
func (s *stuckConn) stop()                                { s.stopped.Store(true) }

func (s *stuckConn) InProcessConn() (net.Conn, error) {
	c, err := s.srv.InProcessConn()
	return &stuckEnd{Conn: c, s: s, closed: make(chan struct{})}, err
}

type stuckEnd struct {
	net.Conn
	s        *stuckConn
	mu       sync.Mutex
	deadline time.Time
	once     sync.Once
	closed   chan struct{}
}

func (c *stuckEnd) SetWriteDeadline(at time.Time) error {
	c.mu.Lock()
	c.deadline = at
	c.mu.Unlock()
	return c.Conn.SetWriteDeadline(at)
}

func (c *stuckEnd) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// Write waits for its deadline where nobody reads.
func (c *stuckEnd) Write(b []byte) (int, error) {
	if !c.s.stopped.Load() {
		return c.Conn.Write(b)
	}
	c.mu.Lock()
	deadline := c.deadline
	c.mu.Unlock()
	wait := time.Hour
	if !deadline.IsZero() {
		wait = time.Until(deadline)
	}
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	case <-time.After(wait):
		return 0, os.ErrDeadlineExceeded
	}
}

// TestBatchesEndSeldom proves that a lane of which one hears now and then ends few batches: a server that comes to lead the stream counts those of the last
// ten seconds, of all lanes, and takes a thousand.
func TestBatchesEndSeldom(t *testing.T) {
	for _, c := range []struct {
		partitions int
		want       time.Duration
	}{{1, endsEveryMin}, {32, 533 * time.Millisecond}, {128, 2133 * time.Millisecond}, {1024, endsEveryMax}} {
		if got := endsEvery(c.partitions).Truncate(time.Millisecond); got != c.want {
			t.Errorf("%d partitions: every %v, want %v", c.partitions, got, c.want)
		}
	}
	y := newYard(t, 1)
	nc, err := y.srv.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ends, err := nc.SubscribeSync(messages.SubjectFeedEnd)
	if err != nil {
		t.Fatal(err)
	}
	e, stop := y.run(Options{})
	defer stop()
	began := time.Now()
	for v := range 40 {
		y.fill(0, 1, v, v+1)
		time.Sleep(2 * endAfter) // a pace, not a wait
	}
	eventually(t, "published", func() bool { return e.Published(0) == 40 })
	most := int(time.Since(began)/endsEveryMin) + 2
	if n, _, err := ends.Pending(); err != nil || n == 0 || n > most {
		t.Errorf("%d batches ended in %v, at most %d; %v", n, time.Since(began), most, err)
	}
}

// TestHandOverRepeatsNothing proves that a partition which moves is published again by nobody where an acknowledgement means the disk.
func TestHandOverRepeatsNothing(t *testing.T) {
	y := newYard(t, 1)
	a, _ := y.runEmpty(Options{SaveEvery: time.Hour, LastingAfter: -1})
	b, _ := y.runEmpty(Options{SaveEvery: time.Hour, LastingAfter: -1})
	a.Serve(0)
	y.fill(0, 1, 0, 100)
	eventually(t, "published", func() bool { return a.Published(0) == 100 })
	a.Release(0)
	eventually(t, "saved", func() bool { return y.cursors.get(CursorName(0)) == 100 })
	b.Serve(0)
	y.fill(0, 1, 100, 110)
	eventually(t, "published by the next", func() bool { return b.Published(0) == 110 })
	if n := y.count(); n != 110 {
		t.Errorf("%d events, want 110", n)
	}
}

// TestUnhealthyServerMakesNothingLast proves that a server which lives and cannot write any more makes nothing lasting: a new session publishes it again.
func TestUnhealthyServerMakesNothingLast(t *testing.T) {
	y := newYard(t, 1)
	var healthy atomic.Bool
	e, stop := y.run(Options{LastingAfter: time.Millisecond, Healthy: healthy.Load})
	defer stop()
	y.fill(0, 1, 0, 10)
	eventually(t, "acknowledged", func() bool { return e.Published(0) == 10 })
	y.cut()
	eventually(t, "published again", func() bool { return y.count() == 20 })
	if n := y.cursors.get(CursorName(0)); n != 0 {
		t.Errorf("the cursor is at %d", n)
	}
	healthy.Store(true)
	eventually(t, "lasting", func() bool { return y.cursors.get(CursorName(0)) == 10 })
}
