package sim

import (
	"context"
	"errors"
	"time"

	"orderyard/actors/entity"
	"orderyard/messages"
	"orderyard/persistence"
)

// lane is one owner of one partition: what partition actor, entity actors and committer do in production, in one goroutine.
type lane struct {
	w         *world
	partition int
	log       *persistence.Log
	store     *entity.Store
	cores     map[messages.Ref]*entity.Core
	batch     []byte
	waiting   []output // of the open batch
	busy      bool     // an append is scheduled or its outputs are not out yet
	dead      bool
	parked    []messages.Request
	alarmAt   int64
	paused    bool
}

// output is what may leave once its batch is durable.
type output struct {
	req     messages.Request
	ref     messages.Ref
	reply   *messages.Reply
	tasks   []messages.Task
	summary messages.Message
	waits   []string
}

func noSleep(context.Context, time.Duration) error { return nil }

// recover reads the partition back and takes it over; when the journal strikes, it tries again a little later.
func (l *lane) recover() {
	r := &entity.Recovery{Kinds: l.w.kinds, Planner: l.w.know.Answer, Limits: &l.w.limits}
	got, err := r.Run(context.Background(), l.log, l.w.store, l.partition, l.w.now)
	if err != nil {
		if errors.Is(err, persistence.ErrCorrupt) {
			l.w.violate("I10", "", "partition %d: %v", l.partition, err)
			return
		}
		l.w.note("partition %d not recovered: %v", l.partition, err)
		l.dead = true
		l.w.after(20, func() {
			if l.w.lanes[l.partition] == l {
				parked := l.parked
				l.w.open(l.partition)
				l.w.lanes[l.partition].parked = parked
			}
		})
		return
	}
	l.store = got.Store
	l.w.note("partition %d epoch %d at %d", l.partition, l.log.Epoch(), l.log.Position())
	for _, ref := range l.store.Refs() {
		if snap, err := l.store.Get(ref); err == nil && snap != nil && len(snap.Summary) > 0 {
			summary := l.w.kinds[ref.Kind].NewSummary()
			if err := summary.UnmarshalVT(snap.Summary); err != nil {
				l.w.violate("I10", ref.String(), "summary: %v", err)
			}
			l.w.know.Observe(ref, summary, snap.Waits)
		}
	}
	l.alarm()
	parked := l.parked
	l.parked = nil
	for _, req := range parked {
		l.deliver(req)
	}
}

// core gives the live core of an entity.
func (l *lane) core(ref messages.Ref) *entity.Core {
	c := l.cores[ref]
	if c == nil {
		var err error
		if c, err = l.store.Core(ref, l.w.kinds, l.w.know.Answer, &l.w.limits); err != nil {
			l.w.violate("I10", ref.String(), "cannot be loaded: %v", err)
			return nil
		}
		l.cores[ref] = c
	}
	return c
}

func (l *lane) deliver(req messages.Request) {
	if l.dead || l.store == nil || l.paused {
		if len(l.parked) < 1000 {
			l.parked = append(l.parked, req)
		}
		return
	}
	c := l.core(req.To)
	if c == nil {
		return
	}
	if l.w.has(bugNoDedup) {
		req.CommandID = ""
	}
	l.take(req, c, c.Step(&req, l.w.now))
}

// take queues an output behind the batch it depends on.
func (l *lane) take(req messages.Request, c *entity.Core, out entity.Output) {
	o := output{req: req, ref: c.Ref(), reply: out.Reply, tasks: out.Tasks}
	if out.Wake != 0 {
		l.wake(c.Ref(), out.Wake)
	}
	if out.Entry != nil && !(l.w.has(bugLostEntry) && l.w.chance(0.5)) {
		l.batch = append(l.batch, out.Entry...)
		o.summary, o.waits = c.Machine().Summary(), c.Machine().Waits()
	}
	if l.w.has(bugEarlyReply) {
		l.release(&o)
		o = output{ref: o.ref}
	}
	l.waiting = append(l.waiting, o)
	if !l.busy {
		l.busy = true
		l.w.after(l.w.diskTime(), l.commit)
		l.crashSoon()
	}
}

// crashSoon now and then ends the owner right here: between deciding and appending, or between appending and telling.
func (l *lane) crashSoon() {
	if l.w.faults && l.w.chance(0.15) {
		l.w.result.Crashes++
		l.crash()
	}
}

// commit appends the open batch. Its outputs leave in a later event, so that a crash fits in between.
func (l *lane) commit() {
	if l.dead {
		return
	}
	if l.paused {
		l.w.after(5, l.commit)
		return
	}
	batch, waiting := l.batch, l.waiting
	l.batch, l.waiting = nil, nil
	if len(batch) > 0 {
		position, err := l.log.Append(context.Background(), batch)
		if err != nil {
			if errors.Is(err, persistence.ErrFenced) {
				l.w.result.Fenced++
			}
			l.w.note("partition %d lost: %v", l.partition, err)
			l.die()
			return
		}
		c, err := entity.DecodeCommit(batch)
		if err != nil {
			l.w.violate("I10", "", "partition %d position %d: %v", l.partition, position, err)
			return
		}
		for _, e := range c.Entries {
			for _, r := range e.Events {
				l.w.event(e, r)
			}
		}
	}
	l.crashSoon()
	l.w.after(l.w.between(0, 1), func() {
		if l.dead {
			return
		}
		for i := range waiting {
			l.release(&waiting[i])
		}
		l.busy = len(l.waiting) > 0
		if l.busy {
			l.w.after(l.w.diskTime(), l.commit)
		}
	})
}

func (l *lane) release(o *output) {
	if o.summary != nil {
		l.w.know.Observe(o.ref, o.summary, o.waits)
	}
	reply := o.reply
	if reply == nil {
		reply = &messages.Reply{}
	}
	switch {
	case o.req.Done != nil:
		done := o.req.Done
		l.w.after(l.w.between(0, 2), func() { done(reply) })
	case !o.req.From.IsZero():
		l.w.send(messages.Request{To: o.req.From, Command: &messages.TaskResult{TaskId: o.req.CommandID, Reply: reply}})
	}
	for _, t := range o.tasks {
		l.w.send(messages.Request{To: t.To, Command: t.Command, CommandID: t.ID, From: o.ref})
	}
}

// wake registers a wake-up.
func (l *lane) wake(ref messages.Ref, at int64) {
	l.store.SetWake(ref, at)
	l.alarm()
}

func (l *lane) alarm() {
	at := l.store.NextWake()
	if at == 0 || l.w.has(bugDeafTimer) || l.alarmAt != 0 && l.alarmAt <= at {
		return
	}
	l.alarmAt = at
	l.w.after(max(at-l.w.now, 0), func() {
		if l.dead || l.alarmAt != at {
			return
		}
		if l.paused {
			l.alarmAt = 0
			l.w.after(50, l.alarm)
			return
		}
		l.alarmAt = 0
		for _, ref := range l.store.Due(l.w.now, 1000) {
			if c := l.core(ref); c != nil {
				l.take(messages.Request{To: ref}, c, c.Tick(l.w.now))
			}
		}
		l.alarm()
	})
}

// crash ends the owner between two steps: all that is not in the journal is gone.
func (l *lane) crash() {
	if l.dead {
		return
	}
	l.w.note("partition %d crashes", l.partition)
	l.die()
}

func (l *lane) die() {
	l.dead = true
	if l.w.lanes[l.partition] != l {
		return
	}
	l.w.after(l.w.between(1, 200), func() {
		if l.w.lanes[l.partition] == l {
			parked := l.parked
			l.w.open(l.partition)
			next := l.w.lanes[l.partition]
			for _, req := range parked {
				next.deliver(req)
			}
		}
	})
}

// usurp pauses the owner and lets another take its partition over; when the old one wakes up, it must find out by itself.
func (l *lane) usurp() {
	if l.dead || l.paused {
		return
	}
	l.w.note("partition %d usurped", l.partition)
	l.paused = true
	l.w.open(l.partition)
	l.w.after(l.w.between(50, 5000), func() {
		l.paused = false
		l.parked = nil
		if !l.dead && !l.busy {
			// A zombie with nothing to write is harmless; give it something.
			l.w.load.poke(l)
		}
	})
}

// sleep turns every entity at rest into bytes.
func (l *lane) sleep() {
	if !l.quiet() {
		return
	}
	l.w.note("partition %d sleeps", l.partition)
	for _, ref := range sortedRefs(l.cores) {
		if old, _ := l.store.Get(ref); old != nil && l.w.has(bugStaleRebirth) {
			delete(l.cores, ref)
			continue
		}
		if err := l.store.Put(l.cores[ref].Snapshot(l.w.now)); err != nil {
			l.w.violate("I10", ref.String(), "%v", err)
		}
		delete(l.cores, ref)
	}
	l.alarmAt = 0
	l.alarm()
}

func (l *lane) quiet() bool {
	return !l.dead && !l.paused && l.store != nil && !l.busy && len(l.batch) == 0
}

// checkpoint writes all entities and truncates below.
func (l *lane) checkpoint(ctx context.Context) {
	if !l.quiet() {
		return
	}
	l.sleep()
	manifest := l.log.Manifest()
	if err := l.w.store.Write(ctx, l.partition, manifest, l.store.Slices(int(l.w.between(100, 4000)))); err != nil {
		l.w.note("partition %d checkpoint: %v", l.partition, err)
		return
	}
	l.w.note("partition %d checkpoint at %d", l.partition, manifest.Position)
	if l.w.chance(70) {
		_ = l.w.store.Truncate(ctx, l.partition, manifest.Position)
	}
}
