package link

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"orderyard/cluster"
	"orderyard/messages"
)

// Options is what links need; Self, Map, Deliver and Wire are required.
type Options struct {
	Self    string                   // this process's incarnation
	Addr    string                   // where peers reach this node's remote; peers that do not know us yet answer there
	Map     func() *cluster.Map      // never nil; asked for every request
	Deliver func(messages.Request)   // to an entity of this node; does not block, and does not come back to the router
	Suspect func(incarnation string) // a hint that a peer may be dead; does not block. Nil = nobody cares
	Wire    Wire                     // the direct way
	Detour  Fallback                 // nil = none
	Limits  Limits
	Log     *slog.Logger
	Clock   func() int64 // Unix ms that deadlines go by; nil = the machine's
}

// Links holds the links of this node and its router. All methods may be called concurrently.
type Links struct {
	o      Options
	limits Limits
	log    *slog.Logger
	count  counters
	router *Router
	serial atomic.Uint64 // of calls

	mu     sync.Mutex
	closed bool
	peers  map[string]*peer
	past   map[string]uint64 // number above which those of a forgotten peer go on, should it be met again
	base   uint64            // the same for those that are no longer in past
	last   *cluster.Map

	done  chan struct{}
	ended sync.WaitGroup
}

// Open starts to take batches from peers, and to send requests by the map. Close ends it.
func Open(o Options) (*Links, error) {
	if o.Self == "" || o.Map == nil || o.Deliver == nil || o.Wire == nil {
		return nil, errors.New("open links: incarnation, map, delivery and wire must be given")
	}
	if o.Suspect == nil {
		o.Suspect = func(string) {}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Clock == nil {
		o.Clock = func() int64 { return time.Now().UnixMilli() }
	}
	l := &Links{o: o, limits: o.Limits.orDefault(), log: o.Log, peers: map[string]*peer{}, past: map[string]uint64{}, done: make(chan struct{})}
	if most := l.limits.CallsMax + l.limits.TasksMax; most > 1<<slotBits {
		return nil, fmt.Errorf("open links: %d calls per peer, at most %d", most, 1<<slotBits)
	}
	l.router = newRouter(l)
	if o.Detour != nil {
		if err := o.Detour.Hear(detourWord, func(data []byte) { l.take(data, false) }); err != nil {
			return nil, fmt.Errorf("open links: %w", err)
		}
	}
	if err := o.Wire.Start(func(b *messages.Link) { l.take(b.Batch, true) }, l.streamEnded); err != nil {
		return nil, err
	}
	l.ended.Go(l.tick)
	l.ended.Go(l.router.run)
	return l, nil
}

// Router gives the router over these links.
func (l *Links) Router() *Router { return l.router }

// Update looks at a new map at once: peers that it no longer has are forgotten, and what was under way to them is answered `moved`. Without
// it the same happens within tens of milliseconds.
func (l *Links) Update(m *cluster.Map) {
	l.mu.Lock()
	if l.last == m {
		l.mu.Unlock()
		return
	}
	l.last = m
	var gone []*peer
	for id, p := range l.peers {
		if member := m.Member(id); member != nil {
			p.known.Store(true)
		} else if p.known.Load() {
			gone = append(gone, p)
		}
	}
	l.mu.Unlock()
	for _, p := range gone {
		l.forget(p, "the peer has left the cluster")
	}
}

// Flush returns when everything that waits is sent and acknowledged, or with ctx's error: for a node that is about to stop.
func (l *Links) Flush(ctx context.Context) error {
	for {
		idle := true
		for _, p := range l.all() {
			idle = idle && p.idle()
		}
		if idle {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("flush links: %w", ctx.Err())
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// Close answers everything under way with a retryable failure and stops. Closing again does nothing.
func (l *Links) Close() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed = true
	l.mu.Unlock()
	l.o.Wire.Close()
	close(l.done)
	l.router.close()
	for _, p := range l.all() {
		l.forget(p, "the node is stopping")
	}
	l.ended.Wait()
}

// all lists the peers by incarnation.
func (l *Links) all() []*peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]*peer, 0, len(l.peers))
	for _, p := range l.peers {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *peer) int { return strings.Compare(a.id, b.id) })
	return list
}

// peer gives the peer of an incarnation, met now if need be; nil when the links are closed.
func (l *Links) peer(id, addr string, known bool) *peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.peers[id]
	if p == nil && !l.closed {
		p = newPeer(l, id, addr, max(l.past[id], l.base))
		l.peers[id] = p
		l.ended.Go(p.run)
		known = known || l.o.Map().Member(id) != nil
	}
	if p != nil && known {
		p.known.Store(true)
	}
	return p
}

// known gives a peer only if there is one.
func (l *Links) known(id string) *peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.peers[id]
}

// forget ends a peer. Should it be met again, its numbers start with a gap, so that the other end answers its own flights. It stays in place, closed,
// until its last number is known: whoever meets it in between is refused, or loses a batch as on a way that breaks. Were it taken out first, a batch
// that comes in between would make a peer whose numbers start from nothing, and the other end would take all of them for late.
func (l *Links) forget(p *peer, why string) {
	flights, last := p.close()
	l.mu.Lock()
	if len(l.past) == pastMax {
		for _, number := range l.past {
			l.base = max(l.base, number)
		}
		clear(l.past)
	}
	l.past[p.id] = max(l.past[p.id], last+1)
	if l.peers[p.id] == p {
		delete(l.peers, p.id)
	}
	l.mu.Unlock()
	l.giveBack(flights, why)
}

// streamEnded breaks the direct way to whoever lives at an address.
func (l *Links) streamEnded(addr string) {
	for _, p := range l.all() {
		if p.addr == addr {
			p.streamEnded()
		}
	}
}

// send passes a request to the peer that owns it. A failure says that it was not taken.
func (l *Links) send(to *messages.NodeSession, req *messages.Request) *messages.Failure {
	p := l.peer(to.Incarnation, to.RemoteAddr, true)
	if p == nil {
		return messages.Retry(messages.CodeUnavailable, 500, "the node is stopping")
	}
	return p.send(req)
}

// answer gives a call's answer to whoever asked: a client by its callback, an entity by a TaskResult.
func (l *Links) answer(f *flight, r *messages.Reply) {
	switch {
	case f.done != nil:
		f.done(r)
	case !f.from.IsZero():
		l.router.Send(messages.Request{To: f.from, Command: &messages.TaskResult{TaskId: f.commandID, Reply: r}})
	}
}

// giveBack answers flights whose outcome nobody knows.
func (l *Links) giveBack(flights []flight, why string) {
	if len(flights) == 0 {
		return
	}
	l.count.broken.Add(uint64(len(flights)))
	reply := messages.Refuse(messages.Retry(messages.CodeMoved, 20, "%s; ask again with the same command id", why))
	for i := range flights {
		l.answer(&flights[i], reply)
	}
}

// tick looks after what is due: acknowledgements, silence, probes, deadlines, strangers.
func (l *Links) tick() {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	swept := time.Now()
	for {
		select {
		case <-l.done:
			return
		case now := <-ticker.C:
			l.Update(l.o.Map())
			sweep := now.Sub(swept) >= sweepEvery
			if sweep {
				swept = now
			}
			for _, p := range l.all() {
				p.tick(now)
				if sweep {
					l.sweep(p, now)
				}
			}
		}
	}
}

func (l *Links) sweep(p *peer, now time.Time) {
	if p.stranger(now) {
		l.forget(p, "the peer is not known here")
		return
	}
	late := p.expired(l.o.Clock())
	l.count.expired.Add(uint64(len(late)))
	reply := messages.Refuse(messages.Retry(messages.CodeTimeout, 0, "no answer within the deadline; ask again with the same command id"))
	for i := range late {
		if late[i].done != nil { // an entity has sent its task again already
			late[i].done(reply)
		}
	}
}
