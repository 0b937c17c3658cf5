package sim

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"orderyard/actors/entity"
	"orderyard/cluster"
	"orderyard/messages"
	"orderyard/persistence"
)

// host runs the partitions of one node for its keeper. It implements cluster.Host, with the phases of actors/entity.
type host struct{ n *node }

// Warm implements cluster.Host.
func (h host) Warm(partition int) { h.tell(partition, (*lane).warm) }

// Open implements cluster.Host.
func (h host) Open(partition int, mark persistence.Mark) {
	h.tell(partition, func(l *lane) { l.open(mark) })
}

// Close implements cluster.Host.
func (h host) Close(partition int) { h.tell(partition, (*lane).close) }

// Drop implements cluster.Host.
func (h host) Drop(partition int) { h.tell(partition, (*lane).drop) }

// Local implements cluster.Host.
func (h host) Local(partition int) (cluster.Phase, persistence.Mark) {
	l := h.n.lanes[partition]
	return l.phase, l.ended
}

// tell is a message to the partition: it is there a moment later.
func (h host) tell(partition int, do func(*lane)) {
	l := h.n.lanes[partition]
	h.n.after(0, func() { do(l) })
}

// reading is one attempt to read the partition back.
type reading struct {
	open   bool
	mark   persistence.Mark
	warm   bool // it was read back before it was to be opened
	failed bool // the next attempt is planned
}

const (
	followEveryMs  = 50
	refenceAfterMs = 250
)

func (l *lane) enter(phase cluster.Phase) {
	if l.phase == phase {
		return
	}
	l.phase = phase
	switch phase {
	case cluster.PhaseOpening:
		l.n.know.Remember(l.partition)
	case cluster.PhaseServing:
		l.n.know.Cover(l.partition)
		l.n.rangSoon()
	case cluster.PhaseClosed, cluster.PhaseIdle:
		l.n.know.Forget(l.partition)
	}
	if phase == cluster.PhaseServing {
		l.feed = l.n.feeds.serve(l.partition)
	} else {
		l.n.feeds.release(l.partition)
	}
	l.n.keeper.Nudge()
}

func (l *lane) warm() {
	if l.phase == cluster.PhaseIdle {
		l.enter(cluster.PhaseWarming)
		l.read()
	}
}

func (l *lane) open(mark persistence.Mark) {
	if l.w.has(bugNoTerm) {
		mark.Term = 0
	}
	switch l.phase {
	case cluster.PhaseIdle:
		l.mark = mark
		l.enter(cluster.PhaseOpening)
		l.read()
	case cluster.PhaseWarming, cluster.PhaseWarm:
		l.mark = mark
		l.enter(cluster.PhaseOpening)
		if l.reading != nil {
			l.reading.open, l.reading.mark = true, mark
		}
	}
}

// read begins an attempt to read the partition back. It is taken over when the phase is opening, or as soon as it becomes so.
func (l *lane) read() {
	r := &reading{}
	l.reading = r
	life, pause := l.life, int64(0)
	if l.phase == cluster.PhaseOpening {
		r.open, r.mark = true, l.mark
		if l.fencedAt != 0 {
			pause = min(l.fencedAt-l.n.wall()+refenceAfterMs, refenceAfterMs)
		}
	}
	l.n.process(func() {
		if !l.w.sleep(pause) || l.life != life {
			return
		}
		log, result, err := l.readBack(r, life)
		if !l.n.gone && l.life == life && l.reading == r {
			l.recovered(r, log, result, err)
		}
	})
}

func (l *lane) readBack(r *reading, life int) (*persistence.Log, *entity.Recovered, error) {
	ctx := context.Background()
	published, err := l.n.store.cursor(l.partition)
	if err != nil {
		return nil, nil, err
	}
	l.w.seq++
	back := &entity.ReadBack{
		Partition: l.partition, Kinds: l.n.kinds, Planner: l.n.know.Answer, Limits: &l.w.limits, Store: l.n.store, Clock: l.n.wall,
		Log: persistence.LogOptions{
			Node: "sim", Incarnation: l.n.incarnation, Nonce: uint64(l.w.seq), AppendTimeout: -1, Sleep: l.w.logSleep,
			HighWater: persistence.Mark{Position: published.Position},
		},
	}
	if err := back.Read(ctx); err != nil {
		return nil, nil, err
	}
	if l.life == life && l.reading == r && l.phase == cluster.PhaseWarming {
		l.enter(cluster.PhaseWarm)
	}
	for !r.open {
		r.warm = true
		if !l.w.sleep(followEveryMs) || l.life != life {
			return nil, nil, errGone
		}
		if r.open {
			break
		}
		if err := back.Along(ctx); err != nil {
			return nil, nil, err
		}
	}
	return back.Take(ctx, r.mark)
}

// recovered begins to serve, or tries again after a pause.
func (l *lane) recovered(r *reading, log *persistence.Log, result *entity.Recovered, err error) {
	if errors.Is(err, persistence.ErrOutranked) {
		l.outranked(err)
		return
	}
	if err != nil {
		l.readAgain(err)
		return
	}
	for ref, err := range result.Behind() {
		l.w.violate("I10", ref.String(), "cannot be read back: %v", err)
	}
	l.w.result.Takeovers++
	if r.warm {
		l.w.result.Warm++
	}
	l.attempts, l.reading = 0, nil
	l.store, l.log, l.head = result.Store, log, log.Manifest()
	l.batches = entity.NewBatches[*live]()
	l.w.note("%s serves partition %d, epoch %d, term %d, at %d", l.n.incarnation, l.partition, log.Epoch(), log.Term(), log.Position())
	if l.closing { // told to close while it was being taken over
		l.closeWhenIdle()
		return
	}
	for _, ref := range l.store.Refs() {
		snap, err := l.store.Get(ref)
		if err != nil || snap == nil || len(snap.Summary) == 0 {
			continue
		}
		summary := l.w.kinds[ref.Kind].NewSummary()
		if err := summary.UnmarshalVT(snap.Summary); err != nil {
			l.w.violate("I10", ref.String(), "summary: %v", err)
		}
		l.n.observe(ref, summary, snap.Waits)
	}
	l.enter(cluster.PhaseServing)
	parked := l.parked
	l.parked = nil
	for _, q := range parked {
		l.deliver(q)
	}
	l.alarm()
}

// outranked gives up: the partition was claimed by another after the claim that this node knows of.
func (l *lane) outranked(err error) {
	l.w.result.Outranked++
	l.w.note("%s is outranked on partition %d", l.n.incarnation, l.partition)
	closing := l.closing
	l.abandon()
	l.seen(max(l.mark.Term+1, persistence.OutrankedBy(err)))
	if closing {
		l.closed(persistence.Mark{})
		return
	}
	l.enter(cluster.PhaseIdle)
}

// seen notes that the journal is another's, by a claim of that term at least.
func (l *lane) seen(term uint64) {
	if !l.w.has(bugNoTerm) {
		l.ended.Term = max(l.ended.Term, term)
	}
}

// readAgain plans the next attempt. Nothing damages a journal here, so one that is found damaged is a finding.
func (l *lane) readAgain(err error) {
	if errors.Is(err, persistence.ErrCorrupt) {
		l.w.violate("I10", "", "%s reads partition %d back: %v", l.n.incarnation, l.partition, err)
	}
	if l.closing {
		l.closed(persistence.Mark{})
		return
	}
	l.w.note("%s cannot read partition %d back yet", l.n.incarnation, l.partition)
	l.attempts++
	if l.phase == cluster.PhaseWarm {
		l.enter(cluster.PhaseWarming)
	}
	r, life := l.reading, l.life
	r.failed = true
	l.n.after(int64(min(50<<min(l.attempts, 7), 5_000)), func() {
		if l.life == life && l.reading == r {
			l.read()
		}
	})
}

// abandon ends everything at once: what waits is answered `moved`, nothing more is committed.
func (l *lane) abandon() {
	l.life++
	l.reading, l.closing, l.committing, l.began, l.alarmAt, l.checking = nil, false, false, 0, 0, false
	l.refuseParked()
	for _, v := range l.sortedLive() {
		v.outbox.Abandon(func(o *output) {
			if o.asked != nil {
				o.asked.reply(l.n, moved(o.asked))
			}
		})
	}
	l.store, l.log = entity.NewStore(), nil
	clear(l.live)
}

func (l *lane) refuseParked() {
	parked := l.parked
	l.parked = nil
	for _, q := range parked {
		q.reply(l.n, moved(q))
	}
}

func (l *lane) sortedLive() []*live {
	list := make([]*live, 0, len(l.live))
	for _, v := range l.live {
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b *live) int { return compareRefs(a.ref, b.ref) })
	return list
}

func compareRefs(a, b messages.Ref) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
}

// close stops taking requests and waits for what is under way.
func (l *lane) close() {
	if l.phase != cluster.PhaseServing && l.phase != cluster.PhaseOpening {
		return
	}
	opening := l.phase == cluster.PhaseOpening
	l.closing = true
	l.enter(cluster.PhaseClosing)
	l.refuseParked()
	if opening {
		if l.reading.failed {
			l.closed(persistence.Mark{})
		}
		return // else the attempt under way ends it
	}
	for _, v := range l.sortedLive() {
		if v.outbox.Empty() {
			delete(l.live, v.ref)
		}
	}
	l.closeWhenIdle()
}

func (l *lane) closeWhenIdle() {
	if l.closing && l.log != nil && len(l.live) == 0 {
		l.closed(persistence.Mark{Position: l.head.Position, Number: l.head.Number})
	}
}

// closed is the end of a close; the mark is zero when the journal was lost on the way.
func (l *lane) closed(mark persistence.Mark) {
	l.abandon()
	mark.Term = l.ended.Term
	l.ended = mark
	l.enter(cluster.PhaseClosed)
}

func (l *lane) drop() {
	if l.phase != cluster.PhaseIdle {
		l.abandon()
		l.enter(cluster.PhaseIdle)
	}
}
