package egress

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"orderyard/messages"
)

// Source is the journal as the egress sees it.
type Source interface {
	// Partitions lists the partitions to follow.
	Partitions() []int
	// Follow calls fn for every commit behind a position, in order, and goes on with what comes, until ctx ends or fn fails.
	// Positions grow.
	Follow(ctx context.Context, partition int, after uint64, fn func(position uint64, c *messages.Commit) error) error
}

// Cursors remembers how far the egress has come. A cursor that was never saved loads as 0.
type Cursors interface {
	Load(ctx context.Context, name string) (uint64, error)
	Save(ctx context.Context, name string, position uint64) error
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
	// SaveEvery and SaveEvents bound what is published again after a crash; defaults 1 s and 4,096 events.
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

// Egress publishes until it is told to stop.
type Egress struct {
	o       Options
	metrics *metrics
	lanes   []*lane
	nudge   chan struct{} // a lane has many unsaved events
}

// lane is one partition across sessions.
type lane struct {
	partition int
	name      string // of its cursor
	loaded    bool
	saved     atomic.Uint64 // position known to the cursor store
	acked     atomic.Uint64 // everything up to here is published
	unsaved   atomic.Int64  // events acknowledged since the last save
	redo      uint64        // up to here events are published under a fresh message id
	round     int           // which one
}

// New prepares an egress; Run starts it.
func New(o Options) (*Egress, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Egress{o: o, nudge: make(chan struct{}, 1)}
	for _, partition := range o.Source.Partitions() {
		e.lanes = append(e.lanes, &lane{partition: partition, name: CursorName(partition)})
	}
	e.metrics = newMetrics(o.Registry, e)
	return e, nil
}

// CursorName is the name of a partition's cursor: the journal must not be truncated above it.
func CursorName(partition int) string { return "egress/" + strconv.Itoa(partition) }

// Floor is the saved cursor of a partition: what lies above it is still needed. 0 before the cursors are loaded.
func (e *Egress) Floor(partition int) uint64 {
	for _, l := range e.lanes {
		if l.partition == partition {
			return l.saved.Load()
		}
	}
	return 0
}

// Published is the position up to which a partition's events are acknowledged.
func (e *Egress) Published(partition int) uint64 {
	for _, l := range e.lanes {
		if l.partition == partition {
			return l.acked.Load()
		}
	}
	return 0
}

// Run publishes until ctx ends; it gives ctx's error. Failures are logged, waited out and tried again, without end: the journal
// keeps what is not published.
func (e *Egress) Run(ctx context.Context) error {
	const waitMin, waitMax = 50 * time.Millisecond, 5 * time.Second
	wait := waitMin
	for ctx.Err() == nil {
		began := time.Now()
		err := e.session(ctx)
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) > waitMax {
			wait = waitMin
		}
		e.metrics.restarts.Inc()
		e.o.Log.Warn("event feed interrupted, going back to the last acknowledged position", "error", err, "retry_in", wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(2*wait, waitMax)
	}
	return ctx.Err()
}

// session publishes over one connection until something fails.
func (e *Egress) session(ctx context.Context) error {
	if err := e.load(ctx); err != nil {
		return err
	}
	nc, err := e.o.Connect(nats.NoReconnect(), nats.Name("orderyard egress"))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer nc.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &session{e: e, nc: nc, fail: cancel, inbox: nc.NewInbox() + "."}
	closed := nc.StatusChanged(nats.CLOSED)
	sub, err := nc.Subscribe(s.inbox+"*.*", s.acknowledged)
	if err != nil {
		return fmt.Errorf("subscribe to acknowledgements: %w", err)
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil { // the windows bound it
		return fmt.Errorf("subscribe to acknowledgements: %w", err)
	}
	var workers sync.WaitGroup
	for i, l := range e.lanes {
		p := newPublisher(s, l, i)
		s.publishers = append(s.publishers, p)
	}
	for _, p := range s.publishers {
		workers.Go(func() { cancel(p.run(ctx)) })
	}
	workers.Go(func() { s.watch(ctx, closed) })
	workers.Go(func() { e.saveCursors(ctx) })
	workers.Wait()
	for _, p := range s.publishers {
		p.settle()
	}
	return context.Cause(ctx)
}

// load reads the cursors once; later sessions know better.
func (e *Egress) load(ctx context.Context) error {
	for _, l := range e.lanes {
		if l.loaded {
			continue
		}
		position, err := e.o.Cursors.Load(ctx, l.name)
		if err != nil {
			return fmt.Errorf("load cursor %s: %w", l.name, err)
		}
		l.saved.Store(position)
		l.acked.Store(position)
		l.loaded = true
	}
	return nil
}

// saveCursors writes the cursors down now and then, and once more at the end.
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
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSaveFor)
			defer cancel()
			e.save(last, 0)
			return
		}
		e.save(ctx, atLeast)
	}
}

// lastSaveFor bounds the save at the end of a session; without it a restart publishes a little more again.
const lastSaveFor = 2 * time.Second

// save stores the cursors of lanes with at least so many unsaved events. A failure costs repeats after a crash, no more.
func (e *Egress) save(ctx context.Context, atLeast int64) {
	for _, l := range e.lanes {
		unsaved, position := l.unsaved.Load(), l.acked.Load()
		if position == l.saved.Load() || unsaved < atLeast {
			continue
		}
		if err := e.o.Cursors.Save(ctx, l.name, position); err != nil {
			if ctx.Err() == nil {
				e.o.Log.Warn("cursor not saved", "cursor", l.name, "error", err)
			}
			continue
		}
		l.unsaved.Add(-unsaved)
		l.saved.Store(position)
	}
}
