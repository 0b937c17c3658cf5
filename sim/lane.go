package sim

import (
	"context"
	"errors"

	"orderyard/actors/entity"
	"orderyard/cluster"
	"orderyard/messages"
	"orderyard/persistence"
)

// lane is one partition on one node: what partition actor, entity actors and committer do in production, in one goroutine. What they decide by is
// theirs: entity.Core, Store, Batches, Outbox, ReadBack and persistence.Log.
type lane struct {
	n         *node
	w         *world
	partition int

	// Where it stands between two owners: see host.go.
	phase    cluster.Phase
	life     int // counts abandonings, so that what began before one ends with it
	mark     persistence.Mark
	ended    persistence.Mark
	fencedAt int64
	attempts int
	reading  *reading
	closing  bool

	store      *entity.Store
	log        *persistence.Log
	head       persistence.Manifest // durable
	batches    entity.Batches[*live]
	committing bool
	began      int64 // when the append under way began; 0 = none is
	live       map[messages.Ref]*live
	parked     []*question
	taken      map[*question]bool // clients' questions in here
	alarmAt    int64
	feed       *feed
	checking   bool // a checkpoint is being written
}

// live is an entity in memory.
type live struct {
	ref       messages.Ref
	core      *entity.Core
	outbox    entity.Outbox[output]
	last      int64 // when it was last asked
	retiring  bool
	capturing bool   // a waiting output carries a summary
	observed  uint64 // version last handed to the observer
}

// output is what may leave once its batch is durable.
type output struct {
	asked   *question
	reply   *messages.Reply
	tasks   []messages.Task
	wake    int64
	observe bool
	version uint64
	summary messages.Message
	waits   []string
	capture func()
}

// question is a request inside a partition. It is answered once.
type question struct {
	messages.Request
	at       int64
	lane     *lane
	answered bool
}

func newLane(n *node, partition int) *lane {
	return &lane{n: n, w: n.w, partition: partition, store: entity.NewStore(), live: map[messages.Ref]*live{}, taken: map[*question]bool{}}
}

func (q *question) reply(n *node, r *messages.Reply) {
	if q.answered {
		n.w.violate("once", q.To.String(), "a question was answered twice")
	}
	q.answered = true
	if q.lane != nil {
		delete(q.lane.taken, q)
	}
	switch {
	case q.Done != nil:
		q.Done(r)
	case !q.From.IsZero():
		n.route(messages.Request{To: q.From, Command: &messages.TaskResult{TaskId: q.CommandID, Reply: r}})
	}
}

func (q *question) external() bool { return q.From.IsZero() && q.Done != nil }

func moved(q *question) *messages.Reply {
	return messages.Refuse(messages.Retry(messages.CodeMoved, 20, "%s is moving; ask again with the same command id", q.To))
}

const stallAfterMs = 2_000

// deliver passes a request on to its entity.
func (l *lane) deliver(q *question) {
	switch l.phase {
	case cluster.PhaseServing:
	case cluster.PhaseOpening:
		if len(l.parked) < 1_000 {
			l.take(q)
			l.parked = append(l.parked, q)
			return
		}
		q.reply(l.n, messages.Refuse(messages.Retry(messages.CodeUnavailable, 100, "%s is being restored", q.To)))
		return
	default:
		q.reply(l.n, moved(q))
		return
	}
	l.take(q)
	now := l.n.wall()
	switch {
	case q.Deadline != 0 && now > q.Deadline:
		q.reply(l.n, messages.Refuse(messages.Retry(messages.CodeTimeout, 0, "the deadline passed before %s could decide", q.To)))
		return
	case q.external() && l.began != 0 && l.w.now-l.began > stallAfterMs:
		q.reply(l.n, messages.Refuse(messages.Retry(messages.CodeUnavailable, 500, "the journal does not answer")))
		return
	}
	if v := l.entity(q.To); v != nil {
		v.last = l.w.now
		l.run(v, q)
	}
}

// take notes a question that somebody waits for.
func (l *lane) take(q *question) {
	if q.Done != nil {
		q.lane = l
		l.taken[q] = true
	}
}

// entity gives an entity's live form.
func (l *lane) entity(ref messages.Ref) *live {
	v := l.live[ref]
	if v != nil {
		return v
	}
	core, err := l.store.Core(ref, l.n.kinds, l.n.know.Answer, &l.w.limits)
	if err != nil {
		l.w.violate("I10", ref.String(), "cannot be loaded: %v", err)
		return nil
	}
	v = &live{ref: ref, core: core, observed: core.Version(), last: l.w.now}
	l.live[ref] = v
	return v
}

// run steps the core and queues what comes out; q nil = a look at its timers.
func (l *lane) run(v *live, q *question) {
	now := l.n.wall()
	var out entity.Output
	if q == nil {
		out = v.core.Tick(now)
	} else {
		req := q.Request
		req.CommandID = l.w.commandID(req.CommandID)
		out = v.core.Step(&req, now)
	}
	if out.Entry == nil && q != nil && !l.leased() {
		out.Reply = messages.Refuse(messages.Retry(messages.CodeUnavailable, 200, "the node is cut off from the cluster"))
	}
	o := output{asked: q, reply: out.Reply, tasks: out.Tasks, wake: out.Wake}
	if out.Entry != nil {
		l.enqueue(v, &out, &o)
	}
	if l.w.has(bugEarlyReply) {
		l.emit(v, &o)
	} else {
		v.outbox.Push(o)
	}
	l.settle(v)
}

// enqueue puts an entry into the batch that is gathered.
func (l *lane) enqueue(v *live, out *entity.Output, o *output) {
	if l.w.has(bugEarlyEvents) {
		l.feed.early(out.Entry)
	}
	if l.w.has(bugLostEntry) && l.w.chance(0.5) {
		return
	}
	v.outbox.Depend(l.batches.Add(out.Entry, v, v.outbox.Last(), l.w.limits.CommitBytesMax))
	if !v.capturing {
		v.capturing = true
		o.observe, o.version, o.summary, o.waits = true, v.core.Version(), v.core.Machine().Summary(), v.core.Machine().Waits()
	}
	if !l.committing {
		l.committing = true
		life := l.life
		l.n.process(func() { l.commit(life) })
	}
}

func (l *lane) leased() bool { return l.w.has(bugNoLease) || l.n.keeper.Sure(l.partition) }

// commit is the committer: it appends batch after batch while there is any. A refusal is final.
func (l *lane) commit(life int) {
	for l.life == life {
		b := l.batches.Take(l.w.limits.CommitBytesMax)
		if b == nil {
			l.committing = false
			return
		}
		l.began = l.w.now
		_, err := l.log.Append(context.Background(), b.Payload)
		if l.n.gone || l.life != life {
			return
		}
		l.began = 0
		if err != nil {
			l.lose(err)
			return
		}
		l.head = l.log.Manifest()
		l.feed.wake()
		l.n.after(0, func() {
			if l.life != life {
				return
			}
			for _, v := range b.Notify {
				v.outbox.Release(b.Number, func(o *output) { l.emit(v, o) })
				l.settle(v)
			}
		})
	}
}

// emit lets something go.
func (l *lane) emit(v *live, o *output) {
	if o.observe {
		v.capturing = false
		v.observed = o.version
		if o.summary != nil {
			l.n.observe(v.ref, o.summary, o.waits)
		}
	}
	if o.asked != nil {
		reply := o.reply
		if reply == nil {
			reply = &messages.Reply{}
		}
		o.asked.reply(l.n, reply)
	}
	for _, t := range o.tasks {
		l.n.route(messages.Request{To: t.To, Command: t.Command, CommandID: t.ID, From: v.ref})
	}
	if o.wake != 0 {
		l.store.SetWake(v.ref, o.wake)
		l.alarm()
	}
	if o.capture != nil {
		o.capture()
	}
}

// settle lets go of what is durable and ends the entity's life in memory when it was told to end.
func (l *lane) settle(v *live) {
	v.outbox.Release(0, func(o *output) { l.emit(v, o) })
	if !v.outbox.Empty() {
		return
	}
	switch {
	case l.live[v.ref] != v:
	case l.closing:
		delete(l.live, v.ref)
		l.closeWhenIdle()
	case v.retiring:
		l.watch(v)
		l.retire(v)
	default:
		l.watch(v)
	}
}

// watch hands the observer the newest durable state, if it has not seen it yet.
func (l *lane) watch(v *live) {
	if v.observed == v.core.Version() {
		return
	}
	v.observed = v.core.Version()
	if s := v.core.Machine().Summary(); s != nil {
		l.n.observe(v.ref, s, v.core.Machine().Waits())
	}
}

// alarm plans the next look at what is due.
func (l *lane) alarm() {
	at := l.store.NextWake()
	if at == 0 || l.w.has(bugDeafTimer) || l.alarmAt != 0 && l.alarmAt <= at {
		return
	}
	l.alarmAt = at
	life := l.life
	l.n.after(at-l.n.wall(), func() {
		if l.life == life && l.alarmAt == at {
			l.ring()
		}
	})
}

// ring ticks what is due.
func (l *lane) ring() {
	l.alarmAt = 0
	if l.phase != cluster.PhaseServing {
		return
	}
	for _, ref := range l.store.Due(l.n.wall(), l.w.limits.ActivationMax) {
		if v := l.entity(ref); v != nil {
			l.run(v, nil)
		}
	}
	l.alarm()
}

// lose drops everything after the journal refused: see entity's partition.
func (l *lane) lose(err error) {
	fenced := errors.Is(err, persistence.ErrFenced)
	if errors.Is(err, persistence.ErrCorrupt) {
		l.w.violate("I10", "", "partition %d: %v", l.partition, err)
	}
	l.w.note("%s loses partition %d: %v", l.n.incarnation, l.partition, fenced)
	closing := l.closing
	l.abandon()
	if fenced {
		l.w.result.Fenced++
		l.fencedAt = l.n.wall()
		l.seen(l.mark.Term + 1)
	}
	switch {
	case closing:
		l.closed(persistence.Mark{})
	case fenced:
		l.enter(cluster.PhaseIdle)
	default:
		l.mark = persistence.Mark{Position: l.head.Position, Number: l.head.Number, Term: l.mark.Term}
		l.enter(cluster.PhaseOpening)
		l.read()
	}
}
