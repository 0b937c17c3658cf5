package cluster

import (
	"context"
	"slices"
	"time"

	"orderyard/messages"
)

// run is the loop.
func (k *Keeper) run(wait time.Duration) {
	defer close(k.ended)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-k.ctx.Done():
			return
		case <-k.wake:
		case <-timer.C:
		}
		began := time.Now()
		wait = k.step()
		if took := time.Since(began); took > slowStep {
			k.log.Warn("a step of the keeper took long", "took", took)
		}
		timer.Reset(wait)
	}
}

// step takes in what came, decides, has it done and says how long to wait for the next step at most. It never waits itself.
func (k *Keeper) step() (wait time.Duration) {
	now := k.clock()
	k.mu.Lock()
	in := k.inbox
	k.inbox = inbox{}
	k.mu.Unlock()
	// After the inbox: what ended well is in the picture by now.
	count, up := k.o.Registry.Connection()
	picture := k.o.Registry.Picture()

	if k.roster.up && !up {
		k.log.Warn("the connection to NATS is lost")
	}
	if k.roster.connection(count, up, now) {
		k.log.Info("connected to NATS", "connection", count)
		k.renewal.wanted = true
		k.broken()
	}
	k.roster.see(&picture, now)
	for _, h := range in.hints {
		k.roster.hint(h.incarnation, h.why, h.proven, now)
	}
	for _, p := range in.pings {
		k.roster.pinged(p.incarnation, p.found, p.connection, p.sent, now)
	}
	k.renewedOrNot(in.puts)
	k.refresh(now, in.fresh)
	k.renew(now)

	k.wrote(in.writes, now)
	for _, to := range in.tells {
		delete(k.telling, to)
	}
	m := k.publish(picture.Owners)
	k.look(m, in.warm, now)
	if up {
		k.decide(m, now)
	}
	k.ping(now)
	k.report(now)
	k.drained(m, now)
	return k.pace()
}

// pace is how soon time alone may make a difference.
func (k *Keeper) pace() time.Duration {
	busy := k.writing > 0 || len(k.telling) > 0 || k.roster.doubtful() || !k.lease.fresh.Load() || k.told.pending() || k.session.Draining
	for i := range k.spots {
		if s := &k.spots[i]; s.Phase != PhaseIdle && s.Phase != PhaseServing {
			busy = true
			break
		}
	}
	if busy {
		return tickBusy
	}
	return min(tickCalm, k.o.TTL/renewalsPerTTL)
}

// publish makes a new Map if anything in it has changed.
func (k *Keeper) publish(owners []OwnerAt) *Map {
	old := k.current.Load()
	if len(owners) != k.o.Partitions { // a registry for another number; New's caller mixed them up
		owners = slices.Grow(owners, k.o.Partitions)[:k.o.Partitions]
	}
	members := k.roster.members(k.session)
	if slices.Equal(old.Members, members) && slices.Equal(old.Owners, owners) {
		return old
	}
	m := &Map{Self: old.Self, Members: members, Owners: owners}
	k.tallyLosses(old, m)
	k.current.Store(m)
	k.news.tell(m)
	return m
}

// look brings the spots up to date.
func (k *Keeper) look(m *Map, warm []warmNotice, now time.Duration) {
	for _, w := range warm {
		if w.partition < len(k.spots) {
			s := &k.spots[w.partition]
			s.WarmAt = max(s.WarmAt, w.revision)
		}
	}
	for p := range k.spots {
		s := &k.spots[p]
		s.Phase, s.Mark = k.o.Host.Local(p)
		if revision := m.Owners[p].Revision; revision != k.records[p] || s.Since == 0 {
			k.records[p], s.Since = revision, now
		}
	}
}

// decide asks the steward and has done what it says.
func (k *Keeper) decide(m *Map, now time.Duration) {
	v := &View{
		Now: now, Map: m, Dead: k.roster.dead(), Spots: k.spots, Draining: k.session.Draining,
		MovesMax: k.o.MovesMax, WarmWithin: k.o.WarmWithin,
	}
	k.mu.Lock()
	if k.drain != nil {
		v.ReleaseAt = k.drain.releaseAt
	}
	k.mu.Unlock()
	k.act(m, Decide(v), now)
}

type pingOutcome struct {
	incarnation string
	found       Liveness
	connection  uint64
	sent        time.Duration
}

// ping sends the pings the roster wants.
func (k *Keeper) ping(now time.Duration) {
	connection := k.roster.connections
	for _, order := range k.roster.pings(now) {
		k.hands.Go(func() {
			id := order.incarnation
			ctx, cancel := context.WithTimeout(k.ctx, order.within)
			defer cancel()
			sent := k.clock()
			found := k.o.Bus.Ping(ctx, id)
			k.mail(func(in *inbox) { in.pings = append(in.pings, pingOutcome{id, found, connection, sent}) })
			if found != Alive { // the second of a pair is due before the next tick
				k.hands.After(pingApart, k.poke)
			}
		})
	}
}

// report tells the operator who came and went.
func (k *Keeper) report(now time.Duration) {
	events := k.roster.events
	k.roster.events = nil
	k.tellDeaths(events)
	for _, e := range events {
		switch e.kind {
		case "joined":
			k.log.Info("member joined", "node", e.node, "incarnation", e.incarnation)
		case "left":
			k.log.Info("member left", "node", e.node, "incarnation", e.incarnation)
		case "back":
			k.log.Warn("member was declared dead and lives again", "node", e.node, "incarnation", e.incarnation)
		case "dead":
			k.log.Warn("member proven dead", "node", e.node, "incarnation", e.incarnation, "why", e.reason)
		}
	}
	if len(events) > 0 || k.roster.doubtful() || len(k.known.Load().suspects) > 0 {
		k.known.Store(k.roster.known(now))
	}
	k.told.report(k.log, k.current.Load(), now)
}

// owned counts the partitions whose record names a process as owner.
func owned(m *Map, incarnation string) int {
	n := 0
	for _, o := range m.Owners {
		if o.PartitionOwner != nil && o.Incarnation == incarnation && o.Phase != messages.OwnerPhase_OWNER_RELEASED {
			n++
		}
	}
	return n
}
