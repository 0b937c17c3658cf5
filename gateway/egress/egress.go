package egress

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"orderyard/messages"
)

// Source is the journal as the egress sees it.
type Source interface {
	// Follow calls fn for every commit behind a position, in order, and goes on with what comes, until ctx ends or fn fails.
	// Positions grow. It may fail at any time, also because the partition left this node: it is then called again from where it
	// came to, until the partition is released.
	Follow(ctx context.Context, partition int, after uint64, fn func(position uint64, c *messages.Commit) error) error
}

// Cursors remembers how far the egress has come, for all nodes. A cursor that was never saved loads as zeros.
//
// Save should not move a cursor back: where a newer position is stored, it should change nothing and give no error. The egress
// looks before a lane's last save, but between the look and the save another node may save, and a process that slept wakes up
// with an old position. Only a Save that compares with what is stored closes that gap. A cursor that went back costs repeats under
// the same ids, and journal that is kept longer; no event.
type Cursors interface {
	Load(ctx context.Context, name string) (Cursor, error)
	Save(ctx context.Context, name string, c Cursor) error
}

// Options are what the egress needs. Source, Cursors and Connect are required.
type Options struct {
	Source  Source
	Cursors Cursors
	// Connect opens a connection with the given options added; every session opens its own.
	Connect func(...nats.Option) (*nats.Conn, error)
	// Origin is the CloudEvents source; default "/orderyard".
	Origin string
	// Window is how many events per partition may wait for their acknowledgement; default 512.
	Window int
	// AckWait is how long an acknowledgement may take before the session is given up; default 15 s, longer than an election.
	AckWait time.Duration
	// LastingAfter is how long after an acknowledgement the server must have lived for it to count; default 250 ms. Negative = it counts at once: the stream
	// has what it acknowledges on its servers' disks. See lasting.
	LastingAfter time.Duration
	// Healthy says whether the server can still write what it has acknowledged; nil = nobody can tell. A server lives on when its disk is full.
	Healthy func() bool
	// Partitions is how many the cluster has. The more, the longer a batch stays open without an event; see endsEvery.
	Partitions int
	// SaveEvery and SaveEvents bound what is published again after a crash, beside what is not lasting; defaults 1 s and 4,096 events.
	SaveEvery  time.Duration
	SaveEvents int
	Registry   prometheus.Registerer
	Log        *slog.Logger
}

func (o Options) withDefaults() (Options, error) {
	if o.Source == nil || o.Cursors == nil || o.Connect == nil {
		return o, errors.New("egress: Source, Cursors and Connect are required")
	}
	if o.Origin == "" {
		o.Origin = "/orderyard"
	}
	if o.Window <= 0 {
		o.Window = 512
	}
	if o.AckWait <= 0 {
		o.AckWait = 15 * time.Second
	}
	if o.LastingAfter == 0 {
		o.LastingAfter = 250 * time.Millisecond
	}
	if o.SaveEvery <= 0 {
		o.SaveEvery = time.Second
	}
	if o.SaveEvents <= 0 {
		o.SaveEvents = 4096
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

const (
	// waitMin and waitMax bound the back-off of whatever is tried again: a session, or one lane's reading.
	waitMin, waitMax = 50 * time.Millisecond, 5 * time.Second
	// cursorFor bounds one read or write of a cursor. Without a last save the next owner publishes a little more again.
	cursorFor = 2 * time.Second
	// flushFor bounds a write to the server, and the wait for its sign of life: the client library's own bound is a minute, during which nobody can end
	// the connection.
	flushFor = 2 * time.Second
)

// Egress publishes the partitions it serves until it is told to stop. All methods may be called from any goroutine.
type Egress struct {
	o         Options
	endsEvery time.Duration // how often a lane ends batches, at most
	metrics   *metrics
	nudge     chan struct{}  // a lane has many unsaved events
	workers   sync.WaitGroup // one per lane

	mu      sync.Mutex
	run     context.Context // of Run; nil before it and when it ends
	lanes   map[int]*lane
	leaving map[int]*lane // released, and not yet finished: the next lane of that partition waits for it
	session *session      // nil between sessions
	changed chan struct{} // closed and replaced when session changes
}

// New prepares an egress that serves nothing yet; Run starts it.
func New(o Options) (*Egress, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Egress{
		o: o, endsEvery: endsEvery(o.Partitions), nudge: make(chan struct{}, 1), lanes: make(map[int]*lane), leaving: make(map[int]*lane), changed: make(chan struct{}),
	}
	e.metrics = newMetrics(o.Registry, e)
	return e, nil
}

// CursorName is the name of a partition's cursor: the journal must not be truncated above it.
func CursorName(partition int) string { return "egress/" + strconv.Itoa(partition) }

// Serve publishes a partition from its stored cursor on, once Run runs. It returns at once; serving again does nothing. A
// partition that was released is read afresh, when its former lane has saved its cursor: another node may have moved it meanwhile.
func (e *Egress) Serve(partition int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lanes[partition] != nil {
		return
	}
	l := newLane(e, partition)
	e.lanes[partition] = l
	if e.run != nil {
		l.start(e.run)
	}
}

// Release stops publishing a partition. It returns at once: at most the one event that is just being handed to the connection is
// still published. Acknowledgements under way are waited for and the cursor saved in the background. Releasing again, or what was
// never served, does nothing.
func (e *Egress) Release(partition int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.lanes[partition]; l != nil {
		delete(e.lanes, partition)
		l.leave()
	}
}

// Floor is the saved cursor of a partition: what lies above it is still needed. 0 means unknown, truncate nothing: the partition is
// not served, or its cursor is not loaded.
func (e *Egress) Floor(partition int) uint64 {
	if l := e.lane(partition); l != nil {
		return l.saved.Load()
	}
	return 0
}

// Published is the position up to which a partition's events are acknowledged; 0 when it is not served.
func (e *Egress) Published(partition int) uint64 {
	if l := e.lane(partition); l != nil {
		return l.acked.Load()
	}
	return 0
}

func (e *Egress) lane(partition int) *lane {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lanes[partition]
}

// serving lists the lanes, by partition.
func (e *Egress) serving() []*lane {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := make([]*lane, 0, len(e.lanes))
	for _, l := range e.lanes {
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b *lane) int { return a.partition - b.partition })
	return list
}

// Run publishes until ctx ends, then lets every lane finish as Release does, and gives ctx's error. It may be called once.
// Failures are logged, waited out and tried again, without end: the journal keeps what is not published.
func (e *Egress) Run(ctx context.Context) error {
	// The lanes end first: what they sent is still acknowledged over the session.
	shared, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var others sync.WaitGroup
	others.Go(func() { e.keepSession(shared) })
	others.Go(func() { e.saveCursors(shared) })

	e.mu.Lock()
	e.run = ctx
	for _, l := range e.lanes {
		l.start(ctx)
	}
	e.mu.Unlock()
	<-ctx.Done()
	e.mu.Lock()
	e.run = nil
	e.mu.Unlock()

	e.workers.Wait()
	end()
	others.Wait()
	return ctx.Err()
}

// keepSession opens one session after the other.
func (e *Egress) keepSession(ctx context.Context) {
	wait := waitMin
	for ctx.Err() == nil {
		began := time.Now()
		err := e.runSession(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > waitMax {
			wait = waitMin
		}
		e.metrics.restarts.Inc()
		e.o.Log.Warn("event feed interrupted, going back to the last acknowledged position", "error", err, "retry_in", wait)
		sleep(ctx, wait)
		wait = min(2*wait, waitMax)
	}
}

// runSession lets the lanes publish over one connection until something fails.
func (e *Egress) runSession(ctx context.Context) error {
	nc, err := e.o.Connect(nats.NoReconnect(), nats.FlusherTimeout(flushFor), nats.Name("orderyard egress"))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer nc.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := newSession(e, nc, ctx, cancel)
	closed := nc.StatusChanged(nats.CLOSED)
	sub, err := nc.Subscribe(s.inbox+">", s.acknowledged)
	if err != nil {
		return fmt.Errorf("subscribe to acknowledgements: %w", err)
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil { // the windows bound it
		return fmt.Errorf("subscribe to acknowledgements: %w", err)
	}
	e.setSession(s)
	defer e.setSession(nil)
	s.watch(closed)
	err = context.Cause(ctx)
	if refused := (*refusedError)(nil); errors.As(err, &refused) {
		s.abandon()
	}
	return err
}

func (e *Egress) setSession(s *session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.session = s
	close(e.changed)
	e.changed = make(chan struct{})
}

// awaitSession gives a session that runs; nil when ctx ends before there is one.
func (e *Egress) awaitSession(ctx context.Context) *session {
	for ctx.Err() == nil {
		e.mu.Lock()
		s, changed := e.session, e.changed
		e.mu.Unlock()
		if s != nil && s.ctx.Err() == nil {
			return s
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return nil
}

// saveCursors writes the cursors down now and then. A failure costs repeats after a crash, no more.
func (e *Egress) saveCursors(ctx context.Context) {
	ticker := time.NewTicker(e.o.SaveEvery)
	defer ticker.Stop()
	for {
		atLeast := int64(0)
		select {
		case <-ticker.C:
		case <-e.nudge:
			atLeast = int64(e.o.SaveEvents)
		case <-ctx.Done():
			return
		}
		e.look(ctx, atLeast)
	}
}

// look saves what is lasting, of lanes with so many unsaved events.
func (e *Egress) look(ctx context.Context, atLeast int64) {
	e.mu.Lock()
	s := e.session
	e.mu.Unlock()
	if s != nil {
		s.confirm()
	}
	for _, l := range e.serving() {
		if l.unsaved.Load() >= atLeast {
			l.save(ctx)
		}
	}
}

// sleep waits a while, or less when ctx ends.
func sleep(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
