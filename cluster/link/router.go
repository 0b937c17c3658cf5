package link

import (
	"math/rand/v2"
	"sync"
	"time"

	"orderyard/cluster"
	"orderyard/messages"
)

// Router sends requests to the owner of their partition. All methods may be called concurrently.
type Router struct {
	l    *Links
	wake chan struct{}

	mu     sync.Mutex
	closed bool
	heap   []*parked // by due
}

// parked is a request between two tries.
type parked struct {
	r     *Router
	due   time.Time
	req   messages.Request // with the asker's own Done
	last  *messages.Reply  // what the last try was answered; nil for a request of an entity
	pause time.Duration
	until int64 // Unix ms, after which it is not tried again
}

func newRouter(l *Links) *Router { return &Router{l: l, wake: make(chan struct{}, 1)} }

// Send passes a request to whatever node owns its entity, and does not block.
//
// A client's request (Done set, From zero) is answered exactly once. While the answer is `moved` or `unavailable`, it is tried again under
// the same command id, with growing pauses, until its deadline; then the last answer is given. So whoever sends a changing command gives
// it a command id. `limit` is given back at once: whoever pushes should feel it.
//
// The task of an entity (From set) is tried once; its answer, or that it found no owner, goes to the entity as a TaskResult. A
// request that nobody waits for is kept for a moment while there is no owner, and may be lost.
func (r *Router) Send(req messages.Request) {
	if req.Done == nil || !req.From.IsZero() {
		r.route(&req)
		return
	}
	r.ask(req)
}

// ask tries a client's request for the first time. The closure holds it by value, since nobody takes its address: one allocation.
func (r *Router) ask(req messages.Request) {
	first := req
	first.Done = func(reply *messages.Reply) {
		if again(reply) {
			r.park(&parked{r: r, req: req, last: reply})
		} else {
			req.Done(reply)
		}
	}
	r.route(&first)
}

// again says whether asking once more may help.
func again(reply *messages.Reply) bool {
	f := reply.GetFailure()
	return f != nil && f.Retryable && (f.Code == messages.CodeMoved || f.Code == messages.CodeUnavailable)
}

// route tries once.
func (r *Router) route(req *messages.Request) {
	m := r.l.o.Map()
	if n := len(m.Owners); n > 0 {
		if owner := m.Owner(cluster.PartitionOf(req.To, n)); owner != nil {
			if owner.Incarnation == r.l.o.Self {
				r.l.count.local.Add(1)
				r.l.o.Deliver(*req)
				return
			}
			r.l.count.remote.Add(1)
			if f := r.l.send(owner, req); f != nil {
				r.notSent(req, f)
			}
			return
		}
	}
	r.l.count.unowned.Add(1)
	f := messages.Retry(messages.CodeMoved, 20, "nobody owns the partition of %s at the moment", req.To)
	if req.Done != nil {
		req.Done(messages.Refuse(f))
		return
	}
	r.park(&parked{r: r, req: *req, last: messages.Refuse(f)})
}

// notSent answers a request that no link took.
func (r *Router) notSent(req *messages.Request, f *messages.Failure) {
	switch {
	case req.Done != nil:
		req.Done(messages.Refuse(f))
	case !req.From.IsZero():
		r.Send(messages.Request{To: req.From, Command: &messages.TaskResult{TaskId: req.CommandID, Reply: messages.Refuse(f)}})
	default:
		r.l.count.dropped.Add(1)
	}
}

// park keeps a request until its next try, or gives it up.
func (r *Router) park(p *parked) {
	l := &r.l.limits
	now := time.Now()
	switch {
	case !p.req.From.IsZero():
		p.due = now.Add(l.OwnerPause)
	default:
		r.pace(p, now)
		if r.l.o.Clock()+p.due.Sub(now).Milliseconds() >= p.until {
			p.giveUp(nil)
			return
		}
	}
	r.mu.Lock()
	if r.closed || len(r.heap) >= l.RetriesMax {
		closed := r.closed
		r.mu.Unlock()
		why := "too many requests wait for an owner"
		if closed {
			why = "the node is stopping"
		}
		p.giveUp(messages.Retry(messages.CodeUnavailable, 200, "%s", why))
		return
	}
	first := r.push(p)
	r.mu.Unlock()
	if first {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// pace finds when to try again: pauses double, and are spread so that what failed together does not come back together.
func (r *Router) pace(p *parked, now time.Time) {
	l := &r.l.limits
	if p.pause == 0 {
		p.pause = l.RetryMin
		keep := l.CallFor
		if p.req.Done == nil {
			keep = l.TellFor
		}
		p.until = r.l.o.Clock() + keep.Milliseconds()
		if p.req.Deadline != 0 {
			p.until = p.req.Deadline
		}
	} else {
		p.pause = min(2*p.pause, l.RetryMax)
	}
	p.due = now.Add(p.pause/2 + rand.N(p.pause/2+1))
}

// giveUp answers with the failure, or with that of the last try.
func (p *parked) giveUp(f *messages.Failure) {
	reply := p.last
	if f != nil {
		reply = messages.Refuse(f)
	}
	switch {
	case !p.req.From.IsZero():
		p.r.Send(messages.Request{To: p.req.From, Command: &messages.TaskResult{TaskId: p.req.CommandID, Reply: reply}})
	case p.req.Done != nil:
		p.r.l.count.gaveUp.Add(1)
		p.req.Done(reply)
	default:
		p.r.l.count.dropped.Add(1)
	}
}

// retry tries a parked request.
func (r *Router) retry(p *parked) {
	if !p.req.From.IsZero() && !r.owned(p.req.To) {
		p.giveUp(nil)
		return
	}
	r.l.count.retries.Add(1)
	if p.req.Done == nil {
		if p.req.From.IsZero() && !r.owned(p.req.To) {
			r.park(p)
			return
		}
		r.route(&p.req)
		return
	}
	next := p.req
	next.Done = p.done
	r.route(&next)
}

// done takes the answer of another try.
func (p *parked) done(reply *messages.Reply) {
	if again(reply) {
		p.last = reply
		p.r.park(p)
		return
	}
	p.req.Done(reply)
}

func (r *Router) owned(to messages.Ref) bool {
	m := r.l.o.Map()
	return len(m.Owners) > 0 && m.Owner(cluster.PartitionOf(to, len(m.Owners))) != nil
}

// run tries what is due.
func (r *Router) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-r.l.done:
			return
		case <-r.wake:
		case <-timer.C:
		}
		for {
			p, wait := r.pop(time.Now())
			if p == nil {
				timer.Reset(wait)
				break
			}
			r.retry(p)
		}
	}
}

// pop takes what is due now, or says how long nothing is.
func (r *Router) pop(now time.Time) (*parked, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.heap) == 0 {
		return nil, time.Hour
	}
	if wait := r.heap[0].due.Sub(now); wait > 0 {
		return nil, wait
	}
	return r.shift(), 0
}

func (r *Router) waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.heap)
}

// close answers everything that waits.
func (r *Router) close() {
	r.mu.Lock()
	r.closed = true
	heap := r.heap
	r.heap = nil
	r.mu.Unlock()
	for _, p := range heap {
		p.giveUp(nil)
	}
}

// push adds to the heap and says whether the new one is due first. Under the lock.
func (r *Router) push(p *parked) bool {
	r.heap = append(r.heap, p)
	i := len(r.heap) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !r.heap[i].due.Before(r.heap[up].due) {
			break
		}
		r.heap[i], r.heap[up] = r.heap[up], r.heap[i]
		i = up
	}
	return i == 0
}

// shift takes what is due first. Under the lock.
func (r *Router) shift() *parked {
	first, last := r.heap[0], len(r.heap)-1
	r.heap[0], r.heap[last] = r.heap[last], nil
	r.heap = r.heap[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			return first
		}
		if right := down + 1; right < last && r.heap[right].due.Before(r.heap[down].due) {
			down = right
		}
		if !r.heap[down].due.Before(r.heap[i].due) {
			return first
		}
		r.heap[i], r.heap[down] = r.heap[down], r.heap[i]
		i = down
	}
}
