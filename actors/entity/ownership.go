package entity

import (
	"context"
	"errors"
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"

	"orderyard/cluster"
	"orderyard/messages"
	"orderyard/persistence"
)

// A partition's life on this node:
//
//	idle ──Warm──▶ warming ──▶ warm ──Open──▶ opening ──▶ serving ──Close──▶ closing ──▶ closed ──Drop──▶ idle
//	idle ──Open─────────────────────────────▶
//
// Drop leads to idle from anywhere. A journal that was lost to another writer leads to idle; one whose append had an unknown outcome leads
// back to opening, for nobody else claims to be the owner.

// order is what the host is told to do with a partition.
type order struct {
	do   verb
	mark persistence.Mark
	of   *reading // retry only: the attempt that failed
	done chan error
}

type verb uint8

const (
	warmIt verb = iota
	openIt
	closeIt
	dropIt
	retryIt
	shutIt // as close, with a last checkpoint; then the actor ends
)

// reading is one attempt to read a partition back.
type reading struct {
	open   chan persistence.Mark // holds the mark once the partition is to be taken over
	failed bool                  // the next attempt is planned
}

type (
	warmed    struct{ of *reading }
	recovered struct {
		of     *reading
		result *Recovered
		log    *persistence.Log
		err    error
	}
	// closing counts the entities that still have something under way.
	closing struct {
		left int
		rest bool       // its entities become bytes, which a checkpoint can hold; else their bytes are as old as their last rest
		shut chan error // the end of the node, which waits for it
	}
	// finished says that an entity has nothing under way any more and has stopped.
	finished struct {
		ref  messages.Ref
		live *liveEntity
	}
)

func (p *partition) at(phase cluster.Phase) bool { return cluster.Phase(p.phase.Load()) == phase }

func (p *partition) enter(phase cluster.Phase) {
	if cluster.Phase(p.phase.Swap(uint32(phase))) != phase && p.Changed != nil {
		p.Changed(p.Partition, phase)
	}
}

// obey carries out what the host was told; what does not fit the present phase is ignored.
func (p *partition) obey(ctx actor.Context, m *order) {
	phase := cluster.Phase(p.phase.Load())
	switch m.do {
	case warmIt:
		if phase == cluster.PhaseIdle {
			p.enter(cluster.PhaseWarming)
			p.read()
		}
	case openIt:
		p.open(phase, m.mark)
	case closeIt:
		if phase == cluster.PhaseServing || phase == cluster.PhaseOpening {
			p.close(ctx, nil)
		}
	case dropIt:
		if phase != cluster.PhaseIdle {
			p.drop(ctx)
		}
	case retryIt:
		if m.of == p.reading && m.of != nil {
			p.read()
		}
	case shutIt:
		p.shut(ctx, phase, m.done)
	}
}

func (p *partition) open(phase cluster.Phase, mark persistence.Mark) {
	switch phase {
	case cluster.PhaseIdle:
		p.mark = mark
		p.enter(cluster.PhaseOpening)
		p.read()
	case cluster.PhaseWarming, cluster.PhaseWarm:
		p.mark = mark
		p.enter(cluster.PhaseOpening)
		p.reading.open <- mark
	}
}

// recovered begins to serve, or tries again after a pause. A damaged journal is never served: that would hide the loss.
func (p *partition) recovered(ctx actor.Context, m *recovered) {
	if errors.Is(m.err, persistence.ErrOutranked) {
		p.outranked(ctx, m.err)
		return
	}
	if m.err != nil {
		p.readAgain(m)
		return
	}
	p.stop()
	p.attempts, p.reading = 0, nil
	p.refused.Store(false)
	p.store, p.manifest = m.result.Store, m.result.Manifest
	p.entities.Store(int64(p.store.Len()))
	p.committer = newCommitter(m.log, m.result.Bytes, p.limits, p.system, p.pid, p.feed, p.stats, p.clock)
	p.feed.opened(m.log.Position())
	runCtx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	go p.committer.run(runCtx)
	for ref, b := range m.result.behind {
		p.restoreLater(p.store.restores(p.store.slot(ref), b.version), b.err)
	}
	if p.closing != nil { // told to close while it was being taken over
		p.closeWhenIdle(ctx)
		return
	}
	m.result.tell(p.observer.Observe)
	p.servesFrom = p.clock()
	p.sweepAt = p.servesFrom + sweepEveryMs
	p.enter(cluster.PhaseServing)
	slog.Debug("partition serving", "partition", p.Partition, "entities", p.store.Len(), "replayed", m.result.Commits, "epoch", m.log.Epoch())
	parked := p.parked
	p.parked = nil
	for _, e := range parked {
		p.deliver(ctx, e)
	}
	p.arm()
}

// outranked gives up: the partition was claimed by another after the claim that this node knows of.
func (p *partition) outranked(ctx actor.Context, err error) {
	p.stats.Outranked.Add(1)
	slog.Info("partition not taken over: another has claimed it later", "partition", p.Partition, "error", err)
	closing := p.closing
	p.abandon(ctx)
	p.seen(max(p.mark.Term+1, persistence.OutrankedBy(err)))
	if closing != nil {
		p.closing = closing
		p.closed(nil, err)
		return
	}
	p.enter(cluster.PhaseIdle)
}

// drop gives everything up at once. A node that waits for the partition's end has it.
func (p *partition) drop(ctx actor.Context) {
	closing := p.closing
	p.abandon(ctx)
	if closing != nil && closing.shut != nil {
		p.closing = closing
		p.closed(nil, nil)
		return
	}
	p.enter(cluster.PhaseIdle)
}

// seen notes that the journal is another's, by a claim of that term at least.
func (p *partition) seen(term uint64) {
	p.endedMu.Lock()
	p.ended.Term = max(p.ended.Term, term)
	p.endedMu.Unlock()
}

// abandon ends everything at once: what waits is answered `moved`, nothing more is committed.
func (p *partition) abandon(ctx actor.Context) {
	if p.stop != nil {
		p.stop()
	}
	p.reading, p.closing = nil, nil
	p.refused.Store(false)
	if p.job != nil {
		p.job.fail(errors.New("the partition was lost"))
		p.job = nil
	}
	p.refuseParked()
	if p.store != nil {
		for _, sl := range p.store.slots {
			if sl.live != nil {
				ctx.Send(sl.live.pid, &abandon{})
			}
		}
	}
	p.store, p.committer = NewStore(), nil
	p.entities.Store(0)
	p.feed.closed()
}

func (p *partition) refuseParked() {
	for _, e := range p.parked {
		e.reply(p.router, moved(e))
	}
	p.parked = nil
	if p.store == nil {
		return
	}
	for _, sl := range p.store.slots {
		for _, e := range sl.parked {
			e.reply(p.router, moved(e))
		}
		sl.parked = nil
	}
}

// lose drops every live entity after the journal refused. Another owner has written: it is theirs, and this node must ask the arbiter before
// it opens again, for it may not have heard yet. An unknown
// outcome says nothing about owners: the truth is read back, and has to reach what was acknowledged here.
func (p *partition) lose(ctx actor.Context, err error) {
	fenced := errors.Is(err, persistence.ErrFenced)
	closing := p.closing
	head, _ := p.committer.checkpointBase()
	p.abandon(ctx)
	if fenced {
		p.stats.Fenced.Add(1)
		p.fencedAt = p.clock()
		if p.mark.Term != 0 {
			p.seen(p.mark.Term + 1)
		}
		slog.Warn("partition fenced: another owner has written", "partition", p.Partition, "error", err)
	}
	switch {
	case closing != nil:
		p.closing = closing
		p.closed(nil, err)
	case fenced && !p.Keep:
		p.enter(cluster.PhaseIdle)
	default:
		p.mark = persistence.Mark{Position: head.Position, Number: head.Number, Term: p.mark.Term}
		p.enter(cluster.PhaseOpening)
		p.read()
	}
}

// close stops taking requests and waits for what is under way. shut is set when the node ends; else the partition moves, and a checkpoint under way is
// given up, for it would come to entities that have finished and not become bytes.
func (p *partition) close(ctx actor.Context, shut chan error) {
	p.closing = &closing{shut: shut, rest: shut != nil}
	if shut == nil && p.job != nil {
		p.job.fail(errors.New("the partition moves"))
		p.job = nil
	}
	opening := p.at(cluster.PhaseOpening)
	p.enter(cluster.PhaseClosing)
	p.refuseParked()
	if opening {
		if p.reading.failed { // no attempt is under way, and none may begin: it would follow the journal for ever
			p.closed(nil, nil)
		}
		return // else the attempt under way ends it
	}
	for _, sl := range p.store.slots {
		switch {
		case sl.live == nil && (!sl.rebuild || p.store.restoring[sl.ref].pausing):
		case sl.live == nil:
			p.closing.left++
		case shut == nil:
			p.closing.left++
			ctx.Send(sl.live.pid, &finish{})
		default:
			p.closing.left++
			if !sl.retired {
				sl.retired = true
				ctx.Send(sl.live.pid, &retire{})
			}
		}
	}
	p.closeWhenIdle(ctx)
}

// finished takes note that an entity has nothing under way.
func (p *partition) finished(ctx actor.Context, m *finished) {
	sl := p.store.slots[m.ref]
	if sl == nil || sl.live != m.live {
		return
	}
	p.store.setLive(sl, nil)
	p.gone(ctx)
}

// gone counts an entity that ended while the partition closes.
func (p *partition) gone(ctx actor.Context) {
	if p.closing != nil {
		p.closing.left--
		p.closeWhenIdle(ctx)
	}
}

// closeWhenIdle ends the partition once nothing is under way. At the end of the node a checkpoint spares the next start the replay; a partition that
// moves leaves none, for the next owner has read along, not even when its node ends meanwhile. Nor does one with an entity that could not be read back:
// the next start replays it from the journal, which is not cut.
func (p *partition) closeWhenIdle(ctx actor.Context) {
	if p.closing.left > 0 || p.committer == nil {
		return
	}
	head, bytes := p.committer.checkpointBase()
	if !p.closing.rest || len(p.store.restoring) > 0 || bytes == 0 && head.Position != 0 && p.manifest.Position != 0 {
		p.closed(&persistence.Mark{Position: head.Position, Number: head.Number}, nil)
		return
	}
	if p.job != nil {
		p.job.fail(errors.New("the node is stopping"))
	}
	p.checkpoint(ctx, false)
}

// closed is the end of a close; mark is nil when the journal was lost on the way.
func (p *partition) closed(mark *persistence.Mark, err error) {
	c := p.closing
	if p.stop != nil {
		p.stop()
	}
	if p.job != nil {
		p.job.fail(errors.New("the partition moves"))
		p.job = nil
	}
	p.refuseParked()
	p.closing, p.reading, p.store, p.committer = nil, nil, NewStore(), nil
	p.refused.Store(false)
	p.entities.Store(0)
	p.feed.closed()
	if mark == nil {
		mark = &persistence.Mark{}
	}
	p.endedMu.Lock()
	mark.Term = p.ended.Term
	p.ended = *mark
	p.endedMu.Unlock()
	p.enter(cluster.PhaseClosed)
	if c.shut != nil {
		c.shut <- err
		p.system.Root.Stop(p.pid)
	}
}

// shut closes the partition for good at the end of the node.
func (p *partition) shut(ctx actor.Context, phase cluster.Phase, done chan error) {
	switch {
	case p.closing != nil && p.closing.shut != nil:
		done <- errors.New("already stopping")
	case p.closing != nil:
		p.closing.shut = done
	case phase == cluster.PhaseServing:
		p.close(ctx, done)
	default:
		p.abandon(ctx)
		p.closing = &closing{shut: done}
		p.closed(nil, nil)
	}
}
