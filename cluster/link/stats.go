package link

import "sync/atomic"

// counters count since the links were opened.
type counters struct {
	local, remote, unowned            atomic.Uint64
	batches, items, bytes             atomic.Uint64
	detourBatches, detourBytes        atomic.Uint64
	heard, late, gaps, refused, alien atomic.Uint64
	breaks, heals, probes             atomic.Uint64
	broken, expired, limited, dropped atomic.Uint64
	retries, gaveUp                   atomic.Uint64
}

// LinkStats is a snapshot of what the links and the router counted.
type LinkStats struct {
	Local   uint64 // requests handed to this node
	Remote  uint64 // requests handed to a link, retries included
	Unowned uint64 // requests that found no owner

	Batches       uint64 // sent directly, with something in them
	Bytes         uint64
	DetourBatches uint64 // sent over NATS
	DetourBytes   uint64
	Items         uint64 // requests and replies in both

	Heard   uint64 // batches taken in
	Late    uint64 // batches ignored because later ones had come
	Gaps    uint64 // times that batches were lost on the way here
	Refused uint64 // batches meant for another incarnation
	Alien   uint64 // requests of a newer version that were not understood

	Breaks uint64 // times a way broke
	Heals  uint64 // times a direct way came back
	Probes uint64

	Broken  uint64 // calls answered `moved` because their way broke
	Expired uint64 // calls swept after their deadline
	Limited uint64 // requests refused with `limit`
	Dropped uint64 // requests and replies that nobody could take

	Retries uint64 // tries after the first
	GaveUp  uint64 // clients' requests whose last failure was given

	Waiting  int // requests that wait in the router
	Inflight int // calls under way to all peers
	Queued   int // bytes waiting for all peers
}

// Stats gives the present counts.
func (l *Links) Stats() LinkStats {
	c := &l.count
	s := LinkStats{
		Local: c.local.Load(), Remote: c.remote.Load(), Unowned: c.unowned.Load(),
		Batches: c.batches.Load(), Bytes: c.bytes.Load(), DetourBatches: c.detourBatches.Load(), DetourBytes: c.detourBytes.Load(),
		Items: c.items.Load(), Heard: c.heard.Load(), Late: c.late.Load(), Gaps: c.gaps.Load(), Refused: c.refused.Load(),
		Alien: c.alien.Load(), Breaks: c.breaks.Load(), Heals: c.heals.Load(), Probes: c.probes.Load(), Broken: c.broken.Load(),
		Expired: c.expired.Load(), Limited: c.limited.Load(), Dropped: c.dropped.Load(), Retries: c.retries.Load(), GaveUp: c.gaveUp.Load(),
		Waiting: l.router.waiting(),
	}
	for _, p := range l.Peers() {
		s.Inflight += p.Inflight
		s.Queued += p.QueuedBytes
	}
	return s
}

// PeerInfo is how one peer stands, for operators.
type PeerInfo struct {
	Incarnation string
	Addr        string
	Direct      bool // false: batches take the detour
	Inflight    int
	QueuedBytes int
}

// Peers tells how every peer stands, by incarnation.
func (l *Links) Peers() []PeerInfo {
	list := make([]PeerInfo, 0)
	for _, p := range l.all() {
		p.mu.Lock()
		list = append(list, PeerInfo{
			Incarnation: p.id, Addr: p.addr, Direct: !p.broken, Inflight: p.flights.clients + p.flights.tasks, QueuedBytes: p.queuedBytes,
		})
		p.mu.Unlock()
	}
	return list
}
