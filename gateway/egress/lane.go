package egress

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// lingerFor is how long a released lane waits for acknowledgements under way. Without them the next owner publishes the same
	// events again, which costs little; a partition that moves should not wait for a stream that does not answer.
	lingerFor = 200 * time.Millisecond
	// quietFor is how long a lane may fail before anybody is told: a partition that leaves this node fails first and is released
	// a moment later.
	quietFor = 2 * time.Second
)

// lane is one partition from Serve to Release, across sessions. One goroutine lives it; the atomics are read by others.
type lane struct {
	e         *Egress
	partition int
	name      string // of its cursor
	before    *lane  // of the same partition, which may still have its cursor to save
	ctx       context.Context
	cancel    context.CancelFunc // nil before it starts
	ended     chan struct{}

	lasting lasting       // how far everything is published for good
	acked   atomic.Uint64 // everything up to here is acknowledged
	saved   atomic.Uint64 // position known to the cursor store; 0 before it is loaded
	unsaved atomic.Int64  // events acknowledged since the last save

	saving sync.Mutex // one save at a time, the newest last
	over   bool       // the last save is done

	loaded bool
}

// newLane is called with e.mu held.
func newLane(e *Egress, partition int) *lane {
	return &lane{e: e, partition: partition, name: CursorName(partition), before: e.leaving[partition], ended: make(chan struct{})}
}

// start is called with e.mu held, once, while Run runs.
func (l *lane) start(run context.Context) {
	l.ctx, l.cancel = context.WithCancel(run)
	l.e.workers.Go(l.live)
}

// live loads the cursor, publishes in one session after the other, and saves the cursor in the end.
func (l *lane) live() {
	defer l.end()
	if l.before != nil {
		<-l.before.ended
		l.before = nil
	}
	l.retry("its cursor", l.load)
	for {
		s := l.e.awaitSession(l.ctx)
		if s == nil {
			break
		}
		l.publish(s)
	}
	l.lastSave()
}

func (l *lane) end() {
	l.cancel()
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	if l.e.leaving[l.partition] == l {
		delete(l.e.leaving, l.partition)
	}
	close(l.ended)
}

// leave ends the lane in the background, if it has begun and not ended yet. It is called with e.mu held.
func (l *lane) leave() {
	if l.cancel == nil {
		return
	}
	select {
	case <-l.ended:
	default:
		l.e.leaving[l.partition] = l
		l.cancel()
	}
}

// retry calls try until it succeeds or the lane is released. Nobody else is held up by it.
func (l *lane) retry(what string, try func(context.Context) error) {
	back := backOff{lane: l, what: what}
	for l.ctx.Err() == nil {
		err := try(l.ctx)
		if err == nil {
			return
		}
		back.wait(l.ctx, err)
	}
}

func (l *lane) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cursorFor)
	defer cancel()
	c, err := l.e.o.Cursors.Load(ctx, l.name)
	if err != nil {
		return err
	}
	l.lasting.begin(c)
	l.acked.Store(c.Position)
	l.saved.Store(c.Position)
	l.loaded = true
	return nil
}

// advance notes how far everything is acknowledged. One goroutine at a time calls it.
func (l *lane) advance(c Cursor) {
	switch {
	case l.acked.Swap(c.Position) == c.Position:
	case l.e.o.LastingAfter < 0:
		l.lasting.begin(c)
	default:
		l.lasting.acknowledged(c, time.Now(), l.e.o.LastingAfter)
	}
}

// goBack gives where to publish from in a new session: acknowledgements of the one before that are not lasting are worth nothing.
func (l *lane) goBack() Cursor {
	from := l.lasting.cursor()
	l.lasting.begin(from)
	l.acked.Store(from.Position)
	return from
}

// publish follows the journal within one session, until the session ends or the lane is released. A journal that cannot be read is
// tried again within the session, from where it came to.
func (l *lane) publish(s *session) {
	p := s.join(l)
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	back := backOff{lane: l, what: "its journal"}
	for ctx.Err() == nil {
		from := p.at
		err := p.follow(ctx)
		if ctx.Err() != nil {
			break
		}
		if p.failure != nil {
			s.fail(fmt.Errorf("partition %d: %w", l.partition, p.failure))
			break
		}
		if p.at > from {
			back.reset()
		}
		back.wait(ctx, err)
	}
	if s.ctx.Err() == nil {
		p.linger(s.ctx, lingerFor)
		s.makeLasting(l)
	} else {
		p.end() // see abandon
	}
	s.leave(p)
	p.settle()
}

// save stores the cursor if more is lasting. It may be called from any goroutine.
func (l *lane) save(ctx context.Context) {
	l.saving.Lock()
	defer l.saving.Unlock()
	unsaved, c := l.unsaved.Load(), l.lasting.cursor()
	if l.over || c.Position == l.saved.Load() {
		return
	}
	within, cancel := context.WithTimeout(ctx, cursorFor)
	defer cancel()
	if err := l.e.o.Cursors.Save(within, l.name, c); err != nil {
		if ctx.Err() == nil {
			l.e.o.Log.Warn("cursor not saved", "cursor", l.name, "error", err)
		}
		return
	}
	l.unsaved.Add(-unsaved)
	l.saved.Store(c.Position)
}

// lastSave stores the cursor of a lane that ends, unless a newer one is stored: the next owner may be ahead already. It looks for
// that first, and saves nothing when it cannot.
func (l *lane) lastSave() {
	ctx := context.WithoutCancel(l.ctx)
	if reached := l.lasting.cursor().Position; l.loaded && reached != l.saved.Load() {
		look, cancel := context.WithTimeout(ctx, cursorFor)
		stored, err := l.e.o.Cursors.Load(look, l.name)
		cancel()
		switch {
		case err != nil:
			l.e.o.Log.Warn("cursor not saved", "cursor", l.name, "error", err)
		case stored.Position < reached:
			l.save(ctx)
		}
	}
	l.saving.Lock()
	l.over = true
	l.saving.Unlock()
}

// backOff waits between the tries of one lane, longer each time. It tells of failures that last.
type backOff struct {
	lane  *lane
	what  string
	next  time.Duration
	since time.Time
}

func (b *backOff) reset() { *b = backOff{lane: b.lane, what: b.what} }

func (b *backOff) wait(ctx context.Context, err error) {
	if b.since.IsZero() {
		b.next, b.since = waitMin, time.Now()
	}
	level := slog.LevelDebug
	if time.Since(b.since) >= quietFor {
		level = slog.LevelWarn
	}
	b.lane.e.o.Log.Log(ctx, level, "events of a partition wait", "partition", b.lane.partition, "for", b.what, "error", err, "retry_in", b.next)
	b.lane.e.metrics.retries.Inc()
	sleep(ctx, b.next)
	b.next = min(2*b.next, waitMax)
}
