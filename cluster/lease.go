package cluster

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"orderyard/messages"
)

// lease says how long this process may believe that nobody took its place: since it *sent* the last renewal that was stored, plus a
// time shorter than a session's. After it ran out, or the connection was a new one, it holds again only when the records were read
// afresh: others may have claimed partitions meanwhile. And each of its partitions' records must be written once more, see Keeper.Sure.
type lease struct {
	lasts time.Duration
	sent  atomic.Int64 // of the newest stored renewal
	fresh atomic.Bool
	gap   atomic.Bool // it had run out when a renewal came to be known: the loop has to learn that it broke
}

const leaseNever = -1 << 62

func (l *lease) init(lasts time.Duration) {
	l.lasts = lasts
	l.sent.Store(leaseNever)
}

func (l *lease) end() { l.sent.Store(leaseNever); l.fresh.Store(false) }

// renewed notes a stored renewal; they may end in another order than they began. One that was sent in time and came to be known too late does not
// mend the lease: a process may have slept in between, and woken up with an answer that makes the time before seem covered.
func (l *lease) renewed(sent time.Duration, clock func() time.Duration) {
	for {
		old := l.sent.Load()
		if int64(sent) <= old {
			return
		}
		l.look(old, clock())
		if l.sent.CompareAndSwap(old, int64(sent)) {
			l.look(old, clock()) // it may have slept just now
			return
		}
	}
}

// look ends the lease if the renewal before had run out.
func (l *lease) look(sent int64, now time.Duration) {
	if sent != leaseNever && now-time.Duration(sent) >= l.lasts {
		l.fresh.Store(false)
		l.gap.Store(true)
	}
}

func (l *lease) ran(now time.Duration) bool {
	sent := l.sent.Load()
	return sent == leaseNever || now-time.Duration(sent) >= l.lasts
}

func (l *lease) holds(now time.Duration) bool { return l.fresh.Load() && !l.ran(now) }

// renewal is the loop's side of it.
type renewal struct {
	tried   time.Duration
	wanted  bool // at once
	running int
	last    *messages.NodeSession // what was sent last
	failed  int                   // in a row

	refreshing bool
	refreshed  time.Duration // when it was last tried
	breaks     uint64        // of the lease, however short: a refresh begun before one is worth nothing after it
}

type putOutcome struct{ err error }

type refreshOutcome struct {
	err    error
	breaks uint64
	began  time.Duration
}

func (r *renewal) begun(now time.Duration, s *messages.NodeSession) {
	r.tried, r.wanted, r.last = now, false, s
}

// renew stores the session again when it is time, or when its words have changed. Changed words wait for what is under way, lest
// the older ones arrive last.
func (k *Keeper) renew(now time.Duration) {
	r := &k.renewal
	k.mu.Lock()
	ready, draining := k.ready, k.drain != nil
	k.mu.Unlock()
	if ready != k.session.Ready || draining != k.session.Draining {
		s := proto.Clone(k.session).(*messages.NodeSession)
		s.Ready, s.Draining = ready, draining
		k.session = s
	}
	changed := r.last != k.session
	due := r.wanted || changed || now-r.tried >= k.o.TTL/renewalsPerTTL
	if !due || !k.roster.up || changed && r.running > 0 || r.running >= renewalsAtOnce {
		return
	}
	s := k.session
	r.begun(now, s)
	r.running++
	k.hands.Go(func() {
		ctx, cancel := context.WithTimeout(k.ctx, k.o.TTL/renewalTimeoutBy)
		defer cancel()
		err := k.o.Registry.PutSession(ctx, s)
		if err == nil {
			k.lease.renewed(now, k.clock)
		}
		k.mail(func(in *inbox) { in.puts = append(in.puts, putOutcome{err}) })
	})
}

// renewedOrNot takes in how renewals ended.
func (k *Keeper) renewedOrNot(puts []putOutcome) {
	r := &k.renewal
	for _, put := range puts {
		r.running--
		if put.err == nil {
			if r.failed > 1 {
				k.log.Info("the session is renewed again", "failed_before", r.failed)
			}
			r.failed = 0
			continue
		}
		if r.failed++; r.failed == 2 { // one may be chance
			k.log.Warn("the session cannot be renewed; reads stop soon", "error", put.err)
		}
	}
}

// refresh reads sessions and records afresh when the lease needs it, or the roster. It looks before the renewal of the same step, so that a process that
// slept notices before it renews.
func (k *Keeper) refresh(now time.Duration, ended *refreshOutcome) {
	r := &k.renewal
	if k.lease.gap.Swap(false) {
		k.broken()
	}
	if ended != nil {
		r.refreshing = false
		if ended.err == nil {
			k.roster.read(ended.began)
		}
		if ended.err == nil && ended.breaks == r.breaks && !k.lease.ran(now) {
			k.lease.fresh.Store(true)
			if k.lease.gap.Load() { // just now
				k.lease.fresh.Store(false)
			}
		}
		if ended.err != nil {
			k.log.Warn("cannot read the ownership records", "error", ended.err)
		}
	}
	if k.lease.ran(now) {
		if k.lease.fresh.Load() {
			k.log.Warn("the lease ran out; reads stop until the session is renewed")
		}
		k.broken()
		return // first the renewal
	}
	if k.lease.fresh.Load() && !k.roster.asks() || r.refreshing || !k.roster.up || r.refreshed != 0 && now-r.refreshed < tickBusy {
		return
	}
	r.refreshing, r.refreshed = true, now
	breaks := r.breaks
	k.hands.Go(func() {
		ctx, cancel := context.WithTimeout(k.ctx, writeWithin)
		defer cancel()
		err := k.o.Registry.Refresh(ctx)
		k.mail(func(in *inbox) { in.fresh = &refreshOutcome{err, breaks, now} })
	})
}

// broken ends the lease until the records were read afresh.
func (k *Keeper) broken() {
	k.lease.fresh.Store(false)
	k.renewal.breaks++
	for p := range k.spots {
		k.sure(p, false)
	}
}
