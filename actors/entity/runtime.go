package entity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"orderyard/cluster"
	"orderyard/messages"
	"orderyard/persistence"
)

// RuntimeOptions is what a node gives its runtime.
type RuntimeOptions struct {
	Node        string
	Incarnation string
	Partitions  int
	Kinds       Kinds
	Limits      Limits
	Store       persistence.Store
	Planner     Planner
	Observer    Observer
	Clock       func() int64 // Unix ms; nil = the machine's clock
	Floor       func(partition int) uint64
	HighWater   func(ctx context.Context, partition int) (uint64, error)
	// Cluster is set when somebody else decides which partitions run here: see cluster.Host. Nil = all of them, always.
	Cluster *ClusterOptions
}

// ClusterOptions connect a runtime with the cluster it is a part of.
type ClusterOptions struct {
	Router  Router                                   // carries what entities owe each other to whatever node owns the receiver
	Lease   func(partition int) bool                 // see Options.Lease
	Changed func(partition int, phase cluster.Phase) // told every change of a partition's phase, in order per partition; must not block
}

// Runtime runs all partitions of a node. All methods may be called concurrently.
type Runtime struct {
	options RuntimeOptions
	system  *actor.ActorSystem
	parts   []*part
	stats   Stats
	stopped atomic.Bool
	pool    *pool
	turns   chan struct{}
	writing atomic.Bool // a partition writes a checkpoint
}

type part struct {
	pid  *actor.PID
	p    *partition
	held atomic.Int64 // client requests inside
	feed *Feed
}

var _ cluster.Host = (*Runtime)(nil)

// turnsLeast is how many partitions are read back at once at least: a small one mostly waits for answers of the store.
const turnsLeast = 4

// Start starts the runtime. Without a cluster every partition is taken over in the background and WaitReady tells when all serve; in a
// cluster all begin idle.
func Start(o RuntimeOptions) (*Runtime, error) {
	if o.Clock == nil {
		o.Clock = func() int64 { return time.Now().UnixMilli() }
	}
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits()
	}
	r := &Runtime{options: o, pool: newPool(), turns: make(chan struct{}, max(turnsLeast, runtime.GOMAXPROCS(0)+1))}
	r.system = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(warnOnly{slog.Default().Handler()})
	}), actor.WithDeadLetterRequestLogging(false), actor.WithDeadLetterThrottleCount(1))
	for i := range o.Partitions {
		if err := r.addPartition(i); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *Runtime) addPartition(i int) error {
	o := &r.options
	feed := NewFeed(o.Store, i, o.Limits.FeedBytesMax)
	options := Options{
		Partition: i, Node: o.Node, Incarnation: o.Incarnation, Kinds: o.Kinds, Limits: o.Limits, Store: o.Store, Router: r,
		Planner: o.Planner, Observer: o.Observer, Clock: o.Clock, Stats: &r.stats, Floor: o.Floor, HighWater: o.HighWater, Keep: true,
	}
	if c := o.Cluster; c != nil {
		options.Router, options.Changed, options.Keep = c.Router, c.Changed, false
		options.Lease = func() bool { return c.Lease(i) }
	}
	p := newPartition(r.system, options, feed, r.pool, r.turns, &r.writing)
	pid, err := r.system.Root.SpawnNamed(actor.PropsFromProducer(func() actor.Actor { return p }, actor.WithDispatcher(r.pool), actor.WithMailbox(r.pool.mailbox)), fmt.Sprintf("partition-%d", i))
	if err != nil {
		return fmt.Errorf("start partition %d: %w", i, err)
	}
	r.parts = append(r.parts, &part{pid: pid, p: p, feed: feed})
	if o.Cluster == nil {
		r.Open(i, persistence.Mark{})
	}
	return nil
}

// Warm implements cluster.Host.
func (r *Runtime) Warm(partition int) { r.tell(partition, &order{do: warmIt}) }

// Open implements cluster.Host.
func (r *Runtime) Open(partition int, mark persistence.Mark) {
	r.tell(partition, &order{do: openIt, mark: mark})
}

// Close implements cluster.Host.
func (r *Runtime) Close(partition int) { r.tell(partition, &order{do: closeIt}) }

// Drop implements cluster.Host.
func (r *Runtime) Drop(partition int) { r.tell(partition, &order{do: dropIt}) }

// Local implements cluster.Host.
func (r *Runtime) Local(partition int) (cluster.Phase, persistence.Mark) {
	p := r.parts[partition].p
	p.endedMu.Lock()
	defer p.endedMu.Unlock()
	return cluster.Phase(p.phase.Load()), p.ended
}

func (r *Runtime) tell(partition int, m *order) { r.system.Root.Send(r.parts[partition].pid, m) }

// Send passes a request to its entity if its partition is served here; else the answer is `moved`. It never blocks; Done (or the sender's TaskResult) gets the answer. Over the limit, clients
// are refused with a retryable `limit`.
func (r *Runtime) Send(req messages.Request) {
	pt := r.parts[cluster.PartitionOf(req.To, len(r.parts))]
	e := &envelope{Request: req}
	if e.external() {
		if pt.held.Add(1) > r.options.Limits.PartitionInflightMax {
			pt.held.Add(-1)
			r.stats.Shed.Add(1)
			req.Done(messages.Refuse(messages.Retry(messages.CodeLimit, 50, "too many requests are under way")))
			return
		}
		e.held = &pt.held
		if r.stopped.Load() {
			e.reply(r, messages.Refuse(messages.Retry(messages.CodeUnavailable, 500, "the node is stopping")))
			return
		}
	}
	r.system.Root.Send(pt.pid, e)
}

// Ask sends a request and waits for the answer or the end of ctx; then the outcome is unknown and asking again with the same
// command id is safe.
func (r *Runtime) Ask(ctx context.Context, req messages.Request) (*messages.Reply, error) {
	answer := make(chan *messages.Reply, 1)
	req.Done = func(reply *messages.Reply) { answer <- reply }
	if deadline, ok := ctx.Deadline(); ok && req.Deadline == 0 {
		req.Deadline = r.options.Clock() + time.Until(deadline).Milliseconds()
	}
	r.Send(req)
	select {
	case reply := <-answer:
		return reply, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("ask %s: %w", req.To, ctx.Err())
	}
}

// Ready says that every partition serves here.
func (r *Runtime) Ready() bool {
	for _, pt := range r.parts {
		if !pt.p.at(cluster.PhaseServing) {
			return false
		}
	}
	return !r.stopped.Load()
}

// Heads tells where the journal of every partition that is served here ends, as far as it is durable.
func (r *Runtime) Heads(note func(partition int, position uint64)) {
	for i, pt := range r.parts {
		if position, serving := pt.feed.head(); serving {
			note(i, position)
		}
	}
}

// Refused lists the partitions that are to be served here and are not, because their journal is damaged.
func (r *Runtime) Refused() (list []int) {
	for i, pt := range r.parts {
		if pt.p.refused.Load() {
			list = append(list, i)
		}
	}
	return list
}

// WaitReady returns when every partition serves, or with ctx's error.
func (r *Runtime) WaitReady(ctx context.Context) error {
	for !r.Ready() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the partitions: %w", ctx.Err())
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil
}

// Stop drains: requests under way are finished, every entity becomes bytes in a checkpoint, the journal is left alone. After Stop, all
// is answered `unavailable`. When ctx ends first, what is durable is durable all the same; the next start just replays more.
func (r *Runtime) Stop(ctx context.Context) error {
	if r.stopped.Swap(true) {
		return nil
	}
	done := make(chan error, len(r.parts))
	for _, pt := range r.parts {
		r.system.Root.Send(pt.pid, &order{do: shutIt, done: done})
	}
	var errs []error
	for range r.parts {
		select {
		case err := <-done:
			errs = append(errs, err)
		case <-ctx.Done():
			return errors.Join(append(errs, fmt.Errorf("stop the partitions: %w", ctx.Err()))...)
		}
	}
	r.system.Shutdown()
	r.pool.close()
	return errors.Join(errs...)
}

// Kill stops all work at once without a word to anybody, as kill -9 would: for tests.
func (r *Runtime) Kill() {
	r.stopped.Store(true)
	for _, pt := range r.parts {
		r.system.Root.Stop(pt.pid)
	}
	r.system.Shutdown()
	r.pool.close()
}

// Partitions lists the partitions this node serves now.
func (r *Runtime) Partitions() []int {
	var list []int
	for i, pt := range r.parts {
		if pt.p.at(cluster.PhaseServing) {
			list = append(list, i)
		}
	}
	return list
}

// Follow tails one partition's commits; see Feed.Follow.
func (r *Runtime) Follow(ctx context.Context, partition int, after uint64, fn func(position uint64, c *messages.Commit) error) error {
	return r.parts[partition].feed.Follow(ctx, after, fn)
}

// Stats gives the runtime's counters.
func (r *Runtime) Stats() *Stats { return &r.stats }

// Inflight counts the client requests inside the node.
func (r *Runtime) Inflight() int64 {
	n := int64(0)
	for _, pt := range r.parts {
		n += pt.held.Load()
	}
	return n
}

// warnOnly lets protoactor speak only when something is wrong.
type warnOnly struct{ slog.Handler }

func (w warnOnly) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && w.Handler.Enabled(ctx, level)
}
