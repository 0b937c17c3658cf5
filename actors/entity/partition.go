package entity

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"orderyard/cluster"
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
	// Lease says whether this process can be sure that nobody has taken over without its knowledge. Without it, what rests on no commit of
	// its own (a read, a refusal, a repeated answer) is not given. Nil = always.
	Lease func() bool
	// Changed is told every change of phase, in order; it must not block. Nil = nobody asks.
	Changed func(partition int, phase cluster.Phase)
	// Keep takes a partition back by itself after its journal was lost to another writer. So it is without a cluster.
	Keep bool
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
	turns    chan struct{} // holds one for every partition of the node that is being read back
	writing  *atomic.Bool  // one of the node's partitions writes a checkpoint

	store      *Store
	committer  *committer
	parked     []*envelope // arrived while the partition was being taken over
	timer      *time.Timer
	timerAt    int64
	sweepAt    int64
	sweepFrom  int // index of whom the next part begins with
	servesFrom int64
	job        *checkpoint
	manifest   persistence.Manifest // of the newest checkpoint
	entities   atomic.Int64

	// Where it stands between two owners: see ownership.go.
	phase    atomic.Uint32 // cluster.Phase
	stop     context.CancelFunc
	reading  *reading // the attempt under way to read the partition back
	attempts int
	mark     persistence.Mark // to be reached before it is taken over
	fencedAt int64
	refused  atomic.Bool // its journal is damaged: it stays opening, and is looked at again now and then
	closing  *closing
	ended    persistence.Mark // of a closed partition
	endedMu  sync.Mutex
}

type (
	alarm   struct{}
	rebuilt struct {
		of   *restoring
		snap *messages.EntitySnapshot
		err  error
	}
	// restoreAgain says that the pause after a failed rebuild is over.
	restoreAgain struct{ of *restoring }
)

// Whoever is awake is looked at once in sweepEveryMs; when that is many, a part of them every sweepStepMs, for those who become bytes keep everybody
// else waiting: thousands at once were felt as a tenth of a second, every second.
const (
	sweepEveryMs = 1000
	sweepStepMs  = 50
	sweepAtOnce  = 64
)

// A node that starts has everything to do at once that came due while it was down. Whoever asks goes first: as long as other partitions are still
// being read back, a partition's timers wait, but no longer than WakeLaterMs from when it began to serve.
const (
	WakeLaterMs = 10_000
	wakePauseMs = 100
)

func newPartition(system *actor.ActorSystem, o Options, feed *Feed, pool *pool, turns chan struct{}, writing *atomic.Bool) *partition {
	p := &partition{Options: o, limits: &o.Limits, system: system, router: o.Router, observer: o.Observer, stats: o.Stats, clock: o.Clock, feed: feed, store: NewStore(), turns: turns, writing: writing}
	p.props = actor.PropsFromProducer(func() actor.Actor { return p.spawning }, actor.WithDispatcher(pool), actor.WithMailbox(pool.mailbox))
	return p
}

// Receive handles one message; it never blocks: recovery, checkpoints and rebuilds run beside it and report back.
func (p *partition) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		p.pid = ctx.Self()
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
	case *restoreAgain:
		p.restoreAgain(m.of)
	case *order:
		p.obey(ctx, m)
	case *warmed:
		if m.of == p.reading && p.at(cluster.PhaseWarming) {
			p.enter(cluster.PhaseWarm)
		}
	case *recovered:
		if m.of == p.reading {
			p.recovered(ctx, m)
		}
	case *finished:
		p.finished(ctx, m)
	case *journalLost:
		if m.from == p.committer {
			p.lose(ctx, m.err)
		}
	case *moreSlices:
		p.capture(ctx, m.job)
	case *checkpointDone:
		p.checkpointDone(m)
	case *actor.Stopping:
		if p.stop != nil {
			p.stop()
		}
		if p.timer != nil {
			p.timer.Stop()
		}
	}
}

// deliver passes a request on to its entity.
func (p *partition) deliver(ctx actor.Context, e *envelope) {
	switch cluster.Phase(p.phase.Load()) {
	case cluster.PhaseServing:
	case cluster.PhaseOpening:
		p.parked = p.park(p.parked, e)
		return
	default:
		e.reply(p.router, moved(e))
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
	case int(sl.crashes) >= p.limits.CrashesMax:
		e.reply(p.router, messages.Refuse(messages.Fail(messages.CodeInternal, "", "%s is quarantined: it failed %d times; see the log", e.To, sl.crashes)))
		return
	case sl.rebuild && p.store.restoring[sl.ref].pausing:
		e.reply(p.router, messages.Refuse(messages.Retry(messages.CodeUnavailable, rebuildPauseMax.Milliseconds(), "%s cannot be read back yet; see the log", e.To)))
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
	core, err := p.awaken(sl.ref)
	if err != nil {
		slog.Error("entity cannot be activated", "entity", sl.ref.String(), "error", err)
		return false
	}
	p.stats.Activations.Add(1)
	p.store.setLive(sl, &liveEntity{})
	p.spawning = &entityActor{p: p, core: core, live: sl.live, log: p.committer, observed: core.Version(), handed: core.Version()}
	sl.live.pid = ctx.Spawn(p.props)
	p.spawning = nil
	if sl.wake != 0 {
		// The actor registers its own wake-up; until then the old one stands.
		ctx.Send(sl.live.pid, &tick{})
		p.store.setWake(sl, 0)
	}
	return true
}

func (p *partition) awaken(ref messages.Ref) (_ *Core, err error) {
	defer contain(ref, &err)
	return p.store.Core(ref, p.Kinds, p.Planner, p.limits)
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
	if !p.at(cluster.PhaseServing) {
		return
	}
	now := p.clock()
	if len(p.turns) > 0 && now-p.servesFrom < WakeLaterMs {
		p.timerAt = now + wakePauseMs
		p.timer = time.AfterFunc(wakePauseMs*time.Millisecond, func() { p.system.Root.Send(p.pid, &alarm{}) })
		return
	}
	for _, ref := range p.store.Due(now, p.limits.ActivationMax) {
		sl := p.store.slots[ref]
		if sl.retired || sl.rebuild || int(sl.crashes) >= p.limits.CrashesMax {
			continue
		}
		if sl.live == nil && !p.activate(ctx, sl) {
			continue
		}
		sl.last = now
		ctx.Send(sl.live.pid, &tick{})
	}
	if p.sweepAt = min(p.sweepAt, now+sweepEveryMs); now >= p.sweepAt { // a clock that was set back must not put it off
		p.sweepAt = now + p.sweep(ctx, now)
	}
	p.arm()
}

// sweep turns entities that nobody asked for a while into bytes, and starts a checkpoint when enough has been written. It says when to go on, in
// milliseconds.
func (p *partition) sweep(ctx actor.Context, now int64) (pause int64) {
	alive := p.store.alive
	part, pause := alive, int64(sweepEveryMs)
	if len(alive) > sweepAtOnce {
		pause = sweepStepMs
		if p.sweepFrom >= len(alive) {
			p.sweepFrom = 0
		}
		part = alive[p.sweepFrom:min(p.sweepFrom+len(alive)*sweepStepMs/sweepEveryMs+1, len(alive))]
		p.sweepFrom += len(part)
	}
	for _, sl := range part {
		sl.last = min(sl.last, now)
		if !sl.retired && now-sl.last >= p.idleAfterMs(sl.ref.Kind) {
			sl.retired = true
			ctx.Send(sl.live.pid, &retire{})
		}
	}
	// A large checkpoint's size: what is written stays within twice what happens.
	_, bytes := p.committer.checkpointBase()
	if bytes >= max(p.limits.CheckpointTailBytes, p.manifest.Bytes) && p.job == nil && len(p.store.restoring) == 0 &&
		p.writing.CompareAndSwap(false, true) {
		p.checkpoint(ctx, true)
	}
	return pause
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
		p.store.put(m.ref, *m.blob, m.wake)
		giveBack(m.blob)
	} else {
		p.store.forget(m.ref)
		p.entities.Add(-1)
	}
	p.arm()
	for _, e := range parked {
		p.deliver(ctx, e)
	}
	p.gone(ctx)
}

// idleAfterMs is how long an entity of a kind stays awake without a message.
func (p *partition) idleAfterMs(kind messages.Kind) int64 {
	if sooner := p.Kinds[kind].IdleAfterMs; sooner > 0 {
		return min(sooner, p.limits.PassivateAfterMs)
	}
	return p.limits.PassivateAfterMs
}

func (p *partition) leased() bool { return p.Lease == nil || p.Lease() }
