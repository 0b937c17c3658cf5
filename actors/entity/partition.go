package entity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"orderyard/messages"
	"orderyard/persistence"
)

// Options is what a partition needs of its node.
type Options struct {
	Partition   int
	Node        string
	Incarnation string
	Kinds       Kinds
	Limits      Limits
	Store       persistence.Store
	Router      Router
	Planner     Planner
	Observer    Observer
	Clock       func() int64 // Unix ms
	Stats       *Stats
	// Floor is the position below which the journal may be truncated as far as followers are concerned; nil = none follow.
	Floor func(partition int) uint64
	// HighWater is a position the journal is known to have reached, beyond the checkpoint's; nil = unknown.
	HighWater func(ctx context.Context, partition int) (uint64, error)
}

// partition is the protoactor actor through which every message to its entities goes. It spawns and retires them, parks what
// arrives in between, and keeps the wake-ups; since it alone can put a message into an entity's mailbox, none is lost to passivation.
type partition struct {
	Options
	limits   *Limits
	system   *actor.ActorSystem
	router   Router
	observer Observer
	stats    *Stats
	clock    func() int64
	pid      *actor.PID
	feed     *Feed
	props    *actor.Props
	spawning *entityActor

	store      *Store
	committer  *committer
	stop       context.CancelFunc // ends the committer and the recovery
	parked     []*envelope        // arrived while the partition was not serving
	timer      *time.Timer
	timerAt    int64
	sweepAt    int64
	attempts   int
	recovering bool
	ready      atomic.Bool // serving
	job        *checkpoint
	manifest   persistence.Manifest // of the newest checkpoint
	closing    *shutdown
	entities   atomic.Int64
}

type (
	recovered struct {
		result *Recovered
		log    *persistence.Log
		err    error
	}
	alarm    struct{}
	again    struct{} // try to recover again
	shutdown struct {
		done chan error
		left int
	}
	rebuilt struct {
		ref  messages.Ref
		snap *messages.EntitySnapshot
		err  error
	}
)

const sweepEveryMs = 1000

func newPartition(system *actor.ActorSystem, o Options, feed *Feed, pool *pool) *partition {
	p := &partition{Options: o, limits: &o.Limits, system: system, router: o.Router, observer: o.Observer, stats: o.Stats, clock: o.Clock, feed: feed}
	p.props = actor.PropsFromProducer(func() actor.Actor { return p.spawning }, actor.WithDispatcher(pool))
	return p
}

// Receive handles one message; it never blocks: recovery, checkpoints and rebuilds run beside it and report back.
func (p *partition) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		p.pid = ctx.Self()
		p.recover()
	case *envelope:
		p.deliver(ctx, m)
	case *wakeAt:
		if sl := p.store.slots[m.ref]; sl != nil && (sl.wake == 0 || m.at < sl.wake) {
			p.store.setWake(sl, m.at)
			p.arm()
		}
	case *alarm:
		p.timerAt = 0
		p.alarm(ctx)
	case *retired:
		p.retired(ctx, m)
	case *crashed:
		p.crashed(ctx, m)
	case *rebuilt:
		p.rebuilt(ctx, m)
	case *recovered:
		p.recovered(ctx, m)
	case *again:
		p.recover()
	case *journalLost:
		if m.from == p.committer {
			p.lose(ctx, m.err)
		}
	case *moreSlices:
		p.capture(ctx, m.job)
	case *checkpointDone:
		p.checkpointDone(ctx, m)
	case *shutdown:
		p.shutdown(ctx, m)
	case *actor.Stopping:
		if p.stop != nil {
			p.stop()
		}
		if p.timer != nil {
			p.timer.Stop()
		}
	}
}

// recover reads the partition back and takes it over, in the background.
func (p *partition) recover() {
	if p.closing != nil {
		return
	}
	p.recovering = true
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	go func() {
		log, result, err := p.readBack(ctx)
		p.system.Root.Send(p.pid, &recovered{result: result, log: log, err: err})
	}()
}

func (p *partition) readBack(ctx context.Context) (*persistence.Log, *Recovered, error) {
	p.stats.Recoveries.Add(1)
	var mark persistence.Mark
	if p.HighWater != nil {
		position, err := p.HighWater(ctx, p.Partition)
		if err != nil {
			return nil, nil, fmt.Errorf("high-water mark of partition %d: %w", p.Partition, err)
		}
		mark.Position = position
	}
	log, result, err := p.readJournal(ctx, mark)
	if err != nil {
		return nil, nil, err
	}
	for _, ref := range result.Store.Refs() {
		snap, err := result.Store.Get(ref)
		if err != nil {
			return nil, nil, err
		}
		if snap == nil || len(snap.Summary) == 0 {
			continue
		}
		summary := p.Kinds[ref.Kind].NewSummary()
		if err := summary.UnmarshalVT(snap.Summary); err != nil {
			return nil, nil, fmt.Errorf("summary of %s: %w", ref, err)
		}
		p.observer.Observe(ref, summary, snap.Waits)
	}
	return log, result, nil
}

// readJournal reads checkpoint and tail, and takes over. A gap may only mean that a newer checkpoint was made, and the journal cut
// below it, between the two readings: then it reads once more.
func (p *partition) readJournal(ctx context.Context, mark persistence.Mark) (*persistence.Log, *Recovered, error) {
	for attempt := 1; ; attempt++ {
		log := persistence.OpenLog(p.Store, p.Partition, persistence.LogOptions{
			Node: p.Node, Incarnation: p.Incarnation, HighWater: mark, Logger: slog.Default(),
		})
		r := &Recovery{Kinds: p.Kinds, Planner: p.Planner, Limits: p.limits}
		result, err := r.Run(ctx, log, p.Store, p.Partition, p.clock())
		if err == nil || attempt > 1 || !errors.Is(err, persistence.ErrCorrupt) {
			return log, result, err
		}
		newest, found, again := p.Store.Load(ctx, p.Partition, func([]byte) error { return nil })
		if again != nil || !found || newest.Position == r.from.Position {
			return nil, nil, err
		}
	}
}

// recovered begins to serve, or tries again after a pause. A damaged journal is not retried: serving it would hide the loss.
func (p *partition) recovered(ctx actor.Context, m *recovered) {
	p.recovering = false
	if p.closing != nil {
		p.finishShutdown(ctx, m.err)
		return
	}
	if m.err != nil {
		p.attempts++
		pause := time.Duration(min(50<<min(p.attempts, 7), 5000)) * time.Millisecond
		if errors.Is(m.err, persistence.ErrCorrupt) {
			slog.Error("partition refused: its journal is damaged", "partition", p.Partition, "error", m.err)
			pause = 30 * time.Second
		} else {
			slog.Warn("partition cannot be recovered yet", "partition", p.Partition, "error", m.err, "again_in", pause)
		}
		time.AfterFunc(pause, func() { p.system.Root.Send(p.pid, &again{}) })
		return
	}
	p.attempts = 0
	p.store, p.manifest = m.result.Store, m.result.Manifest
	p.entities.Store(int64(p.store.Len()))
	p.committer = newCommitter(m.log, p.limits, p.system, p.pid, p.feed, p.stats)
	p.feed.opened(m.log.Position())
	runCtx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	go p.committer.run(runCtx)
	p.sweepAt = p.clock() + sweepEveryMs
	p.ready.Store(true)
	slog.Debug("partition serving", "partition", p.Partition, "entities", p.store.Len(), "replayed", m.result.Commits, "epoch", m.log.Epoch())
	parked := p.parked
	p.parked = nil
	for _, e := range parked {
		p.deliver(ctx, e)
	}
	p.arm()
}

// lose drops every live entity after the journal refused: what waits is answered `moved`, the truth is read back.
func (p *partition) lose(ctx actor.Context, err error) {
	if errors.Is(err, persistence.ErrFenced) {
		p.stats.Fenced.Add(1)
		slog.Warn("partition fenced: another owner has written", "partition", p.Partition)
	}
	p.ready.Store(false)
	p.stop()
	if p.job != nil {
		p.job.fail(err)
	}
	for _, sl := range p.store.slots {
		if sl.live != nil {
			ctx.Send(sl.live.pid, &abandon{})
		}
		for _, e := range sl.parked {
			e.reply(p.router, moved(e))
		}
	}
	p.store, p.committer = NewStore(), nil
	if p.closing != nil {
		p.finishShutdown(ctx, err)
		return
	}
	p.recover()
}

// deliver passes a request on to its entity.
func (p *partition) deliver(ctx actor.Context, e *envelope) {
	if !p.ready.Load() || p.closing != nil {
		p.parked = p.park(p.parked, e)
		return
	}
	sl := p.store.slots[e.To]
	if sl == nil {
		if _, known := p.Kinds[e.To.Kind]; !known {
			e.reply(p.router, messages.Refuse(messages.Invalid("", "%s: no such kind of entity", e.To)))
			return
		}
		sl = p.store.slot(e.To)
		p.entities.Add(1)
	}
	sl.last = p.clock()
	switch {
	case sl.crashes > p.limits.CrashesMax:
		e.reply(p.router, messages.Refuse(messages.Fail(messages.CodeInternal, "", "%s is quarantined: it failed %d times; see the log", e.To, sl.crashes)))
		return
	case sl.retired || sl.rebuild:
		sl.parked = p.park(sl.parked, e)
		return
	case sl.live == nil && !p.activate(ctx, sl):
		e.reply(p.router, messages.Refuse(messages.Fail(messages.CodeInternal, "", "%s cannot be activated; see the log", e.To)))
		return
	}
	if e.external() && int(sl.live.depth.Load()) >= p.limits.MailboxMax {
		p.stats.Shed.Add(1)
		e.reply(p.router, messages.Refuse(messages.Retry(messages.CodeLimit, 20, "%s has too many requests waiting", e.To)))
		return
	}
	sl.live.depth.Add(1)
	ctx.Send(sl.live.pid, e)
}

// park keeps a request until its entity is back, within the limit. Entities ask again by themselves, so only clients need the answer.
func (p *partition) park(list []*envelope, e *envelope) []*envelope {
	if len(list) >= p.limits.ParkedMax {
		p.stats.Shed.Add(1)
		e.reply(p.router, messages.Refuse(messages.Retry(messages.CodeUnavailable, 100, "%s is being moved or restored", e.To)))
		return list
	}
	return append(list, e)
}

// activate spawns the actor of an idle entity.
func (p *partition) activate(ctx actor.Context, sl *slot) bool {
	core, err := p.store.Core(sl.ref, p.Kinds, p.Planner, p.limits)
	if err != nil {
		slog.Error("entity cannot be activated", "entity", sl.ref.String(), "error", err)
		return false
	}
	p.stats.Activations.Add(1)
	p.store.setLive(sl, &liveEntity{})
	p.spawning = &entityActor{p: p, core: core, live: sl.live, log: p.committer, observed: core.Version()}
	sl.live.pid = ctx.Spawn(p.props)
	p.spawning = nil
	if sl.wake != 0 {
		// The actor registers its own wake-up; until then the old one stands.
		ctx.Send(sl.live.pid, &tick{})
		p.store.setWake(sl, 0)
	}
	return true
}

// arm sets the one timer of the partition to the next wake-up or sweep.
func (p *partition) arm() {
	at := p.sweepAt
	if wake := p.store.NextWake(); wake != 0 && wake < at {
		at = wake
	}
	if p.timerAt != 0 && p.timerAt <= at {
		return
	}
	p.timerAt = at
	if p.timer != nil {
		p.timer.Stop()
	}
	pause := time.Duration(max(at-p.clock(), 0)) * time.Millisecond
	p.timer = time.AfterFunc(pause, func() { p.system.Root.Send(p.pid, &alarm{}) })
}

// alarm ticks what is due and sweeps what is idle.
func (p *partition) alarm(ctx actor.Context) {
	if !p.ready.Load() {
		return
	}
	now := p.clock()
	for _, ref := range p.store.Due(now, p.limits.ActivationMax) {
		sl := p.store.slots[ref]
		if sl.retired || sl.rebuild || sl.crashes > p.limits.CrashesMax {
			continue
		}
		if sl.live == nil && !p.activate(ctx, sl) {
			continue
		}
		sl.last = now
		ctx.Send(sl.live.pid, &tick{})
	}
	if now >= p.sweepAt {
		p.sweepAt = now + sweepEveryMs
		p.sweep(ctx, now)
	}
	p.arm()
}

// sweep turns entities that nobody asked for a while into bytes, and starts a checkpoint when enough has been written.
func (p *partition) sweep(ctx actor.Context, now int64) {
	for _, sl := range p.store.alive {
		if !sl.retired && now-sl.last >= p.limits.PassivateAfterMs {
			sl.retired = true
			ctx.Send(sl.live.pid, &retire{})
		}
	}
	// Half of a large checkpoint's size: what is written stays within three times what happens.
	_, bytes := p.committer.checkpointBase()
	if bytes >= max(p.limits.CheckpointTailBytes, p.manifest.Bytes/2) && p.job == nil && p.closing == nil {
		p.checkpoint(ctx)
	}
}

// retired takes an entity back as bytes; what was parked meanwhile brings it to life again.
func (p *partition) retired(ctx actor.Context, m *retired) {
	sl := p.store.slots[m.ref]
	if sl == nil || sl.live != m.live {
		return
	}
	p.stats.Passivations.Add(1)
	parked := sl.parked
	p.store.setLive(sl, nil)
	sl.retired, sl.parked = false, nil
	if m.blob != nil {
		p.store.put(m.ref, m.blob, m.wake)
	} else {
		p.store.forget(m.ref)
		p.entities.Add(-1)
	}
	p.arm()
	for _, e := range parked {
		p.deliver(ctx, e)
	}
	if p.closing != nil {
		p.closing.left--
		p.closeWhenIdle(ctx)
	}
}
