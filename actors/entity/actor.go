package entity

import (
	"fmt"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"orderyard/messages"
)

// Router carries requests to whatever node runs their entity.
type Router interface{ Send(messages.Request) }

// envelope is a request inside the runtime. held is the partition's count of client requests; nil for requests of entities.
type envelope struct {
	messages.Request
	held *atomic.Int64
}

// reply answers the asker: a client by its callback, an entity by a TaskResult through the router.
func (e *envelope) reply(router Router, r *messages.Reply) {
	if e.held != nil {
		e.held.Add(-1)
		e.held = nil
	}
	switch {
	case e.Done != nil: // a client's, or another node's
		e.Done(r)
	case !e.From.IsZero():
		router.Send(messages.Request{To: e.From, Command: &messages.TaskResult{TaskId: e.CommandID, Reply: r}})
	}
}

// external says that a client asked, so it may be shed. An entity's task must not be: it holds up what it belongs to.
func (e *envelope) external() bool { return e.From.IsZero() && e.Done != nil }

// Messages between a partition and its entities.
type (
	tick     struct{}                  // look at your timers
	retire   struct{}                  // become bytes as soon as nothing is pending
	finish   struct{}                  // stop as soon as nothing is pending: the partition moves
	snapshot struct{ job *checkpoint } // tell me your state when it is durable
	abandon  struct{}                  // the journal is lost: answer what waits with `moved` and stop
	wakeAt   struct {                  // an entity wants to be ticked
		ref messages.Ref
		at  int64
	}
	retired struct { // an entity became bytes
		ref  messages.Ref
		live *liveEntity
		blob *[]byte // borrowed; nil = nothing ever happened to it: it leaves no trace
		wake int64
	}
	crashed struct { // an entity's machine panicked; its state must be read back from the journal
		ref     messages.Ref
		live    *liveEntity
		version uint64 // that is durable
		err     error
	}
)

// liveEntity is what partition and actor share: the address, and how many requests wait in the mailbox.
type liveEntity struct {
	pid   *actor.PID
	depth atomic.Int32
	alive int // index among the partition's live ones: the partition's alone
}

// entityActor is the thin shell around a Core: it holds outputs back by the batch they depend on and releases them in order.
type entityActor struct {
	p    *partition // read-only parts: limits, clock, router, observer, committer
	core *Core
	live *liveEntity
	log  *committer

	outbox Outbox[pending]

	wake      int64 // registered with the partition
	retiring  bool
	finishing bool
	broken    error
	reported  bool   // the partition knows that it is broken
	capturing bool   // a pending output carries a summary
	observed  uint64 // version last handed to the observer
	handed    uint64 // version up to which the committer, or the bytes it was made of, have it: durable once nothing waits
}

// pending is an output that waits for a batch.
type pending struct {
	asked    *envelope
	reply    *messages.Reply
	tasks    []messages.Task
	wake     int64
	snapshot *snapshot
	snap     *messages.EntitySnapshot
	observe  bool
	version  uint64
	summary  messages.Message
	waits    []string
}

// Receive handles one message. It never blocks and never panics: a panic of the machine stops this entity alone.
func (a *entityActor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *envelope:
		a.live.depth.Add(-1)
		a.request(m)
	case *durable:
		a.outbox.Release(m.number, a.emit)
	case *tick:
		a.wake = 0
		if a.broken == nil {
			a.run(nil)
		}
	case *retire:
		a.retiring = true
	case *finish:
		a.finishing = true
	case *snapshot:
		if a.broken != nil {
			m.job.captured(nil)
			break
		}
		snap, err := atRest(a.core, a.p.clock())
		if err != nil {
			a.breaks(err)
			m.job.fail(err)
			break
		}
		a.outbox.Push(pending{snapshot: m, snap: snap})
	case *abandon:
		a.abandon()
		ctx.Stop(ctx.Self())
		return
	default:
		return
	}
	a.settle(ctx)
}

// settle lets go of what is durable and ends the actor when it was told to end.
func (a *entityActor) settle(ctx actor.Context) {
	a.outbox.Release(0, a.emit)
	if !a.outbox.Empty() {
		return
	}
	self := a.core.Ref()
	if a.broken == nil && !a.finishing {
		a.watch()
	}
	switch {
	case a.broken != nil:
		// Requests may still lie in the mailbox. They are refused one by one until the partition, which sends no more from now on,
		// says abandon: so none vanishes without an answer.
		if !a.reported {
			a.reported = true
			a.p.system.Root.Send(a.p.pid, &crashed{ref: self, live: a.live, version: a.handed, err: a.broken})
		}
		return
	case a.finishing:
		a.p.system.Root.Send(a.p.pid, &finished{ref: self, live: a.live})
	case a.retiring:
		retired, err := a.rest()
		if err != nil {
			a.broken, a.reported = err, true
			a.p.system.Root.Send(a.p.pid, &crashed{ref: self, live: a.live, version: a.handed, err: a.broken})
			return
		}
		a.p.system.Root.Send(a.p.pid, retired)
	default:
		return
	}
	ctx.Stop(ctx.Self())
}

// rest makes the entity bytes.
func (a *entityActor) rest() (*retired, error) {
	snap, err := atRest(a.core, a.p.clock())
	if err != nil {
		return nil, err
	}
	blob := borrow(snap.SizeVT())
	if _, err := snap.MarshalToSizedBufferVT(*blob); err != nil {
		return nil, fmt.Errorf("encode snapshot: %w", err)
	}
	if snap.Version == 0 {
		blob = nil
	}
	return &retired{ref: a.core.Ref(), live: a.live, blob: blob, wake: snap.WakeAtMs}, nil
}

// breaks notes that the machine panicked. What was decided before still becomes durable.
func (a *entityActor) breaks(err error) {
	a.p.stats.Panics.Add(1)
	a.broken = err
}

// request decides one request, or refuses it when nobody waits any more or the entity is overrun.
func (a *entityActor) request(e *envelope) {
	switch {
	case a.broken != nil:
		e.reply(a.p.router, messages.Refuse(messages.Retry(messages.CodeUnavailable, 50, "%s is being restored", e.To)))
	case e.Deadline != 0 && a.p.clock() > e.Deadline:
		a.p.stats.Expired.Add(1)
		e.reply(a.p.router, messages.Refuse(messages.Retry(messages.CodeTimeout, 0, "the deadline passed before %s could decide", e.To)))
	case e.external() && a.log.stalled(a.p.clock()):
		a.p.stats.Shed.Add(1)
		e.reply(a.p.router, messages.Refuse(messages.Retry(messages.CodeUnavailable, 500, "the journal does not answer")))
	case e.external() && a.log.busy():
		a.p.stats.Shed.Add(1)
		e.reply(a.p.router, messages.Refuse(messages.Retry(messages.CodeLimit, 20, "the journal is behind")))
	default:
		a.run(e)
	}
}

// run steps the core and queues what comes out. A panic marks the entity broken.
func (a *entityActor) run(e *envelope) {
	out, seen, err := a.step(e)
	if err != nil {
		a.breaks(err)
		if e != nil {
			e.reply(a.p.router, messages.Refuse(messages.Fail(messages.CodeInternal, "", "%s failed on this command: %v", a.core.Ref(), err)))
		}
		return
	}
	if out.Reply != nil && out.Reply.Replayed {
		a.p.stats.Replayed.Add(1)
	}
	if out.Entry == nil && e != nil && !a.p.leased() {
		// Nothing of this answer will be checked by the journal's fence, and another node may have taken over.
		out.Reply = messages.Refuse(messages.Retry(messages.CodeUnavailable, 200, "the node is cut off from the cluster"))
	}
	p := pending{asked: e, reply: out.Reply, tasks: out.Tasks, wake: out.Wake}
	if out.Entry != nil {
		a.outbox.Depend(a.log.add(out.Entry, a.live.pid, a.outbox.Last()))
		a.handed = a.core.Version()
		if !a.capturing {
			a.capturing = true
			p.observe, p.version, p.summary, p.waits = true, a.core.Version(), seen.summary, seen.waits
		}
	}
	a.outbox.Push(p)
}

// step asks the machine, also for what is to be observed: what it decided is handed on only when it could say all.
func (a *entityActor) step(e *envelope) (out Output, seen known, err error) {
	defer contain(a.core.Ref(), &err)
	now := a.p.clock()
	if e == nil {
		out = a.core.Tick(now)
	} else {
		out = a.core.Step(&e.Request, now)
	}
	if out.Entry != nil && !a.capturing {
		seen, err = a.look()
	}
	return out, seen, err
}

// look asks the machine what others may know.
func (a *entityActor) look() (seen known, err error) {
	defer contain(a.core.Ref(), &err)
	return known{summary: a.core.Machine().Summary(), waits: a.core.Machine().Waits()}, nil
}

func (a *entityActor) emit(p *pending) {
	if p.observe {
		a.capturing = false
		a.observed = p.version
		a.p.observer.Observe(a.core.Ref(), p.summary, p.waits)
	}
	if p.asked != nil {
		reply := p.reply
		if reply == nil {
			reply = &messages.Reply{}
		}
		p.asked.reply(a.p.router, reply)
	}
	for i := range p.tasks {
		t := &p.tasks[i]
		a.p.router.Send(messages.Request{To: t.To, Command: t.Command, CommandID: t.ID, From: a.core.Ref()})
	}
	if p.wake != 0 && (a.wake == 0 || p.wake < a.wake) {
		a.wake = p.wake
		a.p.system.Root.Send(a.p.pid, &wakeAt{ref: a.core.Ref(), at: p.wake})
	}
	if p.snapshot != nil {
		p.snapshot.job.captured(p.snap)
	}
}

// watch hands the observer the newest durable state once nothing is pending, if it has not seen it yet.
func (a *entityActor) watch() {
	if a.observed == a.core.Version() {
		return
	}
	a.observed = a.core.Version()
	seen, err := a.look()
	if err != nil {
		a.breaks(err)
		return
	}
	a.p.observer.Observe(a.core.Ref(), seen.summary, seen.waits)
}

// abandon answers everything that waits with `moved`: the outcome is unknown, asking again with the same id is safe.
func (a *entityActor) abandon() {
	a.outbox.Abandon(func(p *pending) {
		if p.asked != nil {
			p.asked.reply(a.p.router, moved(p.asked))
		}
		if p.snapshot != nil {
			p.snapshot.job.captured(nil)
		}
	})
}

func moved(e *envelope) *messages.Reply {
	return messages.Refuse(messages.Retry(messages.CodeMoved, 20, "%s is moving; ask again with the same command id", e.To))
}
