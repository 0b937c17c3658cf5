package entity

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"orderyard/persistence"
)

// committer makes entries durable: all that arrive while an append is in flight share the next one. At most one append of a
// partition is in flight, so the number of commands per sync grows with the load by itself. Between nothing to do and more than enough, a pace
// keeps appends from being many and small: see linger.
//
// add may be called by any entity of the partition; run is the one goroutine that touches the log.
type committer struct {
	log    *persistence.Log
	limits *Limits
	system *actor.ActorSystem
	owner  *actor.PID // the partition actor, told when the journal is lost
	feed   *Feed
	stats  *Stats
	clock  func() int64

	mu      sync.Mutex
	batches Batches[*actor.PID]
	work    chan struct{} // holds a token while there may be work
	enough  chan struct{} // holds a token when a batch has become large enough not to wait for more
	backlog atomic.Int64  // closed batches waiting
	began   atomic.Int64  // when the append under way began, by clock; 0 = none is
	head    persistence.Manifest
	bytes   int64 // appended since the last checkpoint
	lost    bool
}

// durable tells an entity that every batch up to number is in the journal.
type durable struct{ number uint64 }

// journalLost tells the partition that it may not go on.
type journalLost struct {
	from *committer
	err  error
}

func newCommitter(log *persistence.Log, replayed int64, limits *Limits, system *actor.ActorSystem, owner *actor.PID, feed *Feed, stats *Stats, clock func() int64) *committer {
	return &committer{
		log: log, limits: limits, system: system, owner: owner, feed: feed, stats: stats, clock: clock,
		batches: NewBatches[*actor.PID](), work: make(chan struct{}, 1), enough: make(chan struct{}, 1), head: log.Manifest(), bytes: replayed,
	}
}

// add puts an entry into the open batch and gives the batch's number; who is told when it is durable. last is the batch who got
// before, so that nobody is told twice.
func (c *committer) add(entry []byte, who *actor.PID, last uint64) uint64 {
	c.mu.Lock()
	number := c.batches.Add(entry, who, last, c.limits.CommitBytesMax)
	c.backlog.Store(int64(c.batches.Full()))
	enough := c.batches.Full() > 0 || c.batches.Gathered() == paceEnough
	c.mu.Unlock()
	token(c.work)
	if enough {
		token(c.enough)
	}
	return number
}

// token puts one into a channel that holds one.
func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// busy says that clients should be shed: too many full batches wait for the journal.
func (c *committer) busy() bool { return c.backlog.Load() >= int64(c.limits.BatchesMax) }

// stalled says that the journal has not answered for a while: whoever asks now would only wait for a time-out.
func (c *committer) stalled(now int64) bool {
	began := c.began.Load()
	return began != 0 && now-began > c.limits.StallAfterMs
}

// take gives the next batch to append; nil when there is nothing.
func (c *committer) take() *Batch[*actor.PID] {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.batches.Take(c.limits.CommitBytesMax)
	c.backlog.Store(int64(c.batches.Full()))
	return b
}

// linger lets company gather for the next append, as long as pace says.
func (c *committer) linger(ctx context.Context, last *lastAppend, timer *time.Timer) {
	select {
	case <-c.enough: // of the batch that was just appended
	default:
	}
	c.mu.Lock()
	waiting, full := c.batches.Gathered(), c.batches.Full() > 0
	c.mu.Unlock()
	if full {
		return
	}
	wait := last.pace(c.limits.CommitPace, time.Since(last.began), waiting)
	if wait <= 0 {
		return
	}
	timer.Reset(wait)
	select {
	case <-timer.C:
	case <-c.enough:
	case <-ctx.Done():
	}
}

// run appends until ctx ends or the journal refuses. A refusal is final: the outcome of later entries must not be guessed.
func (c *committer) run(ctx context.Context) {
	var last lastAppend
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		c.linger(ctx, &last, timer)
		b := c.take()
		if b == nil {
			select {
			case <-c.work:
				continue
			case <-ctx.Done():
				return
			}
		}
		last.entries, last.began = b.Entries, time.Now()
		c.began.Store(c.clock())
		position, err := c.log.Append(ctx, b.Payload)
		c.began.Store(0)
		last.took = time.Since(last.began)
		if err != nil {
			if ctx.Err() == nil {
				slog.Warn("journal append failed", "entries", b.Entries, "error", err)
			}
			c.mu.Lock()
			c.lost = true
			c.mu.Unlock()
			c.system.Root.Send(c.owner, &journalLost{from: c, err: err})
			return
		}
		c.stats.commit(b.Entries, len(b.Payload), last.took)
		c.mu.Lock()
		c.head = c.log.Manifest()
		c.bytes += int64(len(b.Payload))
		c.mu.Unlock()
		c.feed.push(position, b.Payload)
		told := &durable{number: b.Number}
		for _, pid := range b.Notify {
			c.system.Root.Send(pid, told)
		}
	}
}

// checkpointBase gives the journal's durable head as the position a checkpoint may start from, and how many bytes came since the last.
func (c *committer) checkpointBase() (persistence.Manifest, int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.head, c.bytes
}

func (c *committer) checkpointed(bytes int64) {
	c.mu.Lock()
	c.bytes -= bytes
	c.mu.Unlock()
}
