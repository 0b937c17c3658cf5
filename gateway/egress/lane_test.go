package egress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"orderyard/messages"
)

// place is one node's view of the journal: a partition that is not here cannot be followed.
type place struct {
	*fakeSource
	mu   sync.Mutex
	here map[int]bool
}

func newPlace(s *fakeSource) *place { return &place{fakeSource: s, here: make(map[int]bool)} }

func (p *place) set(partition int, here bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.here[partition] = here
}

var errElsewhere = errors.New("the partition is not on this node")

func (p *place) has(partition int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.here[partition] {
		return errElsewhere
	}
	return nil
}

func (p *place) Follow(ctx context.Context, partition int, after uint64, fn func(uint64, *messages.Commit) error) error {
	if err := p.has(partition); err != nil {
		return err
	}
	return p.fakeSource.Follow(ctx, partition, after, func(position uint64, c *messages.Commit) error {
		if err := p.has(partition); err != nil {
			return err
		}
		return fn(position, c)
	})
}

// about keeps the events of one partition's orders; see fill.
func about(all []published, partition int) []published {
	var list []published
	for _, p := range all {
		if strings.HasPrefix(p.id, fmt.Sprintf("order/web-%d-", partition)) {
			list = append(list, p)
		}
	}
	return list
}

func (y *yard) dials() int {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.dialed
}

// TestHandOver proves that partitions which move between two nodes while events are made lose none and mix up none, that no session
// of either node is interrupted by it, and that nobody is warned. Following stops first or last, and the next node waits for nobody.
func TestHandOver(t *testing.T) {
	const partitions, orders, rounds, each = 3, 10, 25, 8
	y := newYard(t, partitions)
	var log bytes.Buffer
	var nodes [2]*Egress
	var places [2]*place
	var stops [2]func()
	for i := range nodes {
		places[i] = newPlace(y.source)
		nodes[i], stops[i] = y.runEmpty(Options{
			Source: places[i], Window: 64, Log: slog.New(slog.NewTextHandler(&syncWriter{w: &log}, &slog.HandlerOptions{Level: slog.LevelWarn})),
		})
	}
	move := func(p, round int) {
		from, to := (p+round)%2, (p+round+1)%2
		if round%3 > 0 { // the journal goes first, as when the partition is closed
			places[from].set(p, false)
		}
		nodes[from].Release(p)
		places[from].set(p, false)
		places[to].set(p, true)
		nodes[to].Serve(p)
	}
	for round := range rounds {
		for p := range partitions {
			move(p, round)
			y.fill(p, orders, round*each, round*each+each)
		}
		time.Sleep(time.Duration(round%5) * time.Millisecond)
	}
	end := uint64(rounds * each)
	eventually(t, "all published", func() bool {
		for p := range partitions {
			if nodes[(p+rounds)%2].Published(p) != end {
				return false
			}
		}
		return true
	})
	stops[0]()
	stops[1]()
	for p := range partitions {
		if got := y.cursors.get(CursorName(p)); got != end {
			t.Errorf("cursor of partition %d is %d, want %d", p, got, end)
		}
	}
	wantOrdered(t, y.events(), partitions*orders, rounds*each)
	if n := y.dials(); n != 2 {
		t.Errorf("%d sessions, want one per node", n)
	}
	if log.Len() > 0 {
		t.Errorf("warned:\n%s", &log)
	}
}

type syncWriter struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (s *syncWriter) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(b)
}

// positionsIn counts the lanes that the metrics tell of.
func positionsIn(t *testing.T, r *prometheus.Registry) int {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "orderyard_egress_position" {
			return len(f.GetMetric())
		}
	}
	return 0
}

// tripwire calls do when partition 0 comes to a position, before that commit is published.
type tripwire struct {
	*fakeSource
	at uint64
	do func()
}

func (w *tripwire) Follow(ctx context.Context, partition int, after uint64, fn func(uint64, *messages.Commit) error) error {
	return w.fakeSource.Follow(ctx, partition, after, func(position uint64, c *messages.Commit) error {
		if partition == 0 && position == w.at {
			w.do()
		}
		return fn(position, c)
	})
}

// TestReleasedIsSilent proves that a lane publishes nothing once Release has returned, however far behind it is, that its cursor says
// how far it came, and that the lane beside it goes on over the same session.
func TestReleasedIsSilent(t *testing.T) {
	const released = 100
	y := newYard(t, 2)
	var e *Egress
	var gone *lane
	var began time.Time
	trip := make(chan struct{})
	w := &tripwire{fakeSource: y.source, at: released, do: func() {
		gone, began = e.lane(0), time.Now()
		e.Release(0)
		e.Release(0)
		close(trip)
	}}
	r := prometheus.NewRegistry()
	e, _ = y.runEmpty(Options{Source: w, Registry: r, SaveEvery: time.Hour})
	y.fill(0, 10, 0, 2*released)
	e.Serve(1)
	e.Serve(0)
	<-trip
	if e.Published(0) != 0 || e.Floor(0) != 0 {
		t.Errorf("a released lane is at %d, its floor at %d", e.Published(0), e.Floor(0))
	}
	<-gone.ended
	if got := y.cursors.get(CursorName(0)); got > released-1 || got < released-1 && time.Since(began) < lingerFor {
		t.Errorf("cursor %d, want %d", got, released-1)
	}
	y.fill(0, 10, 2*released, 2*released+10)
	y.fill(1, 1, 0, 100)
	eventually(t, "the other lane", func() bool { return e.Published(1) == 100 })
	if n := len(about(y.events(), 0)); n != 10*(released-1) {
		t.Errorf("%d events of the released lane, want those of %d commits", n, released-1)
	}
	if n := positionsIn(t, r); n != 1 {
		t.Errorf("the metrics tell of %d lanes, want 1", n)
	}
	if n := y.dials(); n != 1 {
		t.Errorf("%d sessions, want 1", n)
	}
}

// TestAnswers proves how the stream's answers are read, as the server writes them: the first, those in between, the last, a gap, a batch that it does not
// know, a stream that takes no batches, and none at all.
func TestAnswers(t *testing.T) {
	y := newYard(t, 1)
	nc, err := y.connect()
	if err != nil {
		t.Fatal(err)
	}
	inbox := nc.NewInbox()
	answers := make(chan *nats.Msg, 8)
	if _, err := nc.ChanSubscribe(inbox+".>", answers); err != nil {
		t.Fatal(err)
	}
	next := func() (answer, error) {
		t.Helper()
		select {
		case m := <-answers:
			return readAnswer(m)
		case <-time.After(5 * time.Second):
			t.Fatal("no answer")
			panic("unreachable")
		}
	}
	say := func(subject, batch string, number int, operation string) (answer, error) {
		t.Helper()
		m := &nats.Msg{Subject: subject, Reply: fmt.Sprintf("%s.%s.1.fail.%d%s", inbox, batch, number, operation), Data: []byte("{}")}
		if err := nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
		return next()
	}
	const event = "oy.v1.evt.order.held.web"
	if a, err := say(event, "one", 1, batchBegin); err != nil || a != (answer{}) {
		t.Errorf("the beginning: %v, %v", a, err)
	}
	if a, err := next(); err != nil || a != (answer{number: 1}) {
		t.Errorf("the first event: %v, %v", a, err)
	}
	if a, err := say(event, "one", 2, batchAppend); err != nil || a != (answer{number: 2}) {
		t.Errorf("the second: %v, %v", a, err)
	}
	if a, err := say("oy.v1.feed.end", "one", 3, batchEnd); err != nil || a != (answer{2, true}) {
		t.Errorf("the end: %v, %v", a, err)
	}
	if n := y.count(); n != 2 {
		t.Errorf("%d events in the stream, want 2", n)
	}
	refused := func(what, why string, err error) {
		t.Helper()
		var r *refusedError
		if !errors.As(err, &r) || !strings.Contains(r.reason, why) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = say(event, "one", 3, batchAppend)
	refused("a batch that has ended", "unknown", err)
	if _, err := say(event, "two", 1, batchBegin); err != nil {
		t.Fatal(err)
	}
	if _, err := next(); err != nil {
		t.Fatal(err)
	}
	_, err = say(event, "two", 3, batchAppend)
	refused("a gap", "has not arrived", err)
	if a, err := next(); err != nil || a != (answer{1, true}) {
		t.Errorf("what came before the gap: %v, %v", a, err)
	}
	if _, err := y.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "plain", Subjects: []string{"plain"}}); err != nil {
		t.Fatal(err)
	}
	_, err = say("plain", "three", 1, batchBegin)
	refused("a stream that takes no batches", "disabled", err)
	_, err = say("nobody", "four", 1, batchBegin)
	refused("no stream", "no stream listens (503)", err)
}

// TestServeAgainReadsAfresh proves that a lane which comes back begins where another node left the cursor, and that its last save
// does not throw that cursor back.
func TestServeAgainReadsAfresh(t *testing.T) {
	y := newYard(t, 1)
	y.cursors.slow = 30 * time.Millisecond
	e, _ := y.runEmpty(Options{SaveEvery: time.Hour})
	y.fill(0, 2, 0, 10)
	e.Serve(0)
	e.Serve(0)
	eventually(t, "published", func() bool { return e.Published(0) == 10 })
	if n := y.cursors.get(CursorName(0)); n != 0 {
		t.Fatalf("cursor %d was saved: the test proves nothing", n)
	}
	y.fill(0, 2, 10, 30)
	eventually(t, "published", func() bool { return e.Published(0) == 30 })
	y.cursors.set(CursorName(0), 40) // by another node, which is ahead
	e.Release(0)
	e.Serve(0) // waits for the first lane's end
	eventually(t, "read afresh", func() bool { return e.Floor(0) == 40 })
	for range 10 {
		y.source.add(0) // what the other node published
	}
	y.fill(0, 2, 40, 45)
	eventually(t, "published", func() bool { return e.Published(0) == 45 })
	if n := len(y.events()); n != 2*30+2*5 {
		t.Errorf("%d events, want 70", n)
	}
	e.Release(0)
	e.Serve(0) // waits for the save, however slow
	next := e.lane(0)
	eventually(t, "read again", func() bool { return next.saved.Load() > 0 })
	if n := next.saved.Load(); n != 45 {
		t.Errorf("the cursor was read as %d before it was saved as 45", n)
	}
}

// TestServeAndReleaseAtOnce proves that lanes which come and go faster than they can work leave nothing behind and end where the last
// word was, before, while and after the egress runs.
func TestServeAndReleaseAtOnce(t *testing.T) {
	y := newYard(t, 2)
	e, err := New(Options{Source: y.source, Cursors: y.cursors, Connect: y.connect})
	if err != nil {
		t.Fatal(err)
	}
	y.fill(0, 5, 0, 20)
	y.fill(1, 5, 0, 20)
	e.Release(0)
	e.Serve(0)
	e.Release(0)
	e.Serve(1)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = e.Run(ctx) }()
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for range 200 {
				e.Serve(0)
				e.Release(0)
			}
		})
	}
	callers.Wait()
	e.Serve(0)
	eventually(t, "both lanes", func() bool { return e.Published(0) == 20 && e.Published(1) == 20 })
	cancel()
	<-done
	e.Serve(0)
	e.Release(0)
	e.Release(1)
	e.Serve(1)
	if len(e.leaving) != 0 {
		t.Errorf("%d lanes never left", len(e.leaving))
	}
	wantOrdered(t, y.events(), 10, 20)
}

// TestBrokenLane proves that a partition whose journal or cursor cannot be read holds up no other and no session, is not taken for
// read, is told of when it lasts, and goes on when it is healed.
func TestBrokenLane(t *testing.T) {
	y := newYard(t, 3)
	y.source.fails(0, errors.New("a damaged record"))
	y.cursors.blind = CursorName(1)
	y.cursors.saved[CursorName(1)] = Cursor{Position: 5}
	var log bytes.Buffer
	w := &syncWriter{w: &log}
	e, _ := y.run(Options{Log: slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	for p := range 3 {
		y.fill(p, 2, 0, 10)
	}
	eventually(t, "the whole lane", func() bool { return e.Published(2) == 10 && y.cursors.get(CursorName(2)) == 10 })
	eventually(t, "told", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return strings.Contains(log.String(), "a damaged record") && strings.Contains(log.String(), `partition=1 for="its cursor"`)
	})
	if e.Floor(0) != 0 || e.Floor(1) != 0 || e.Published(0) != 0 || e.Published(1) != 0 {
		t.Errorf("floors %d %d, published %d %d", e.Floor(0), e.Floor(1), e.Published(0), e.Published(1))
	}
	y.source.fails(0, nil)
	y.cursors.mu.Lock()
	y.cursors.blind = ""
	y.cursors.mu.Unlock()
	eventually(t, "healed", func() bool { return e.Published(0) == 10 && e.Published(1) == 10 })
	// It breaks in the middle as well; what was sent is not sent again.
	y.source.fails(2, errors.New("a damaged record"))
	y.fill(2, 2, 10, 20)
	y.source.fails(2, nil)
	eventually(t, "healed again", func() bool { return e.Published(2) == 20 })
	if n := len(y.events()); n != 2*10+2*5+2*20 {
		t.Errorf("%d events, want 70", n)
	}
	if n := y.dials(); n != 1 {
		t.Errorf("%d sessions, want 1", n)
	}
}

// TestStopWaitsForAcknowledgements proves that an egress which is stopped saves what it has sent, so that the next one repeats nothing:
// unless the stream is slow to answer.
func TestStopWaitsForAcknowledgements(t *testing.T) {
	y := newYard(t, 1)
	y.fill(0, 10, 0, 500)
	e, stop := y.run(Options{SaveEvery: time.Hour})
	eventually(t, "under way", func() bool { return e.Published(0) > 0 })
	began := time.Now()
	stop()
	quick := time.Since(began) < lingerFor
	sent := uint64(len(y.events()) / 10)
	if got := y.cursors.get(CursorName(0)); got > sent || got < sent && quick {
		t.Errorf("cursor %d, %d commits are in the stream", got, sent)
	}
}
