package ingress

import (
	"sync"
	"sync/atomic"

	"orderyard/messages"
)

// door bounds what is in flight on one family of subjects, and answers it.
type door struct {
	in      *Ingress
	name    string
	limits  Limits
	metrics doorMetrics

	requests atomic.Int64
	bytes    atomic.Int64
	closing  atomic.Bool
	// answers is as long as RequestsMax, and every call in it holds at least one request: sending never waits.
	answers chan *call
}

func (in *Ingress) newDoor(name string) *door {
	d := &door{in: in, name: name, limits: in.o.Limits}
	d.metrics = in.metrics.door(name, d.requests.Load)
	d.answers = make(chan *call, d.limits.RequestsMax)
	in.doors = append(in.doors, d)
	for range d.limits.Responders {
		in.workers.Add(1)
		go func() {
			defer in.workers.Done()
			for c := range d.answers {
				c.complete(c)
				d.in.gate.leave(c.ticket, c.weight, c.told())
				d.release(c.weight, c.size)
			}
		}()
	}
	return d
}

// admit takes room for n commands of size bytes together, or says why not. The room is taken before the look at closing, so that
// whoever sets closing and then waits for empty rooms has seen the last call.
func (d *door) admit(n int, size int, asks bool) *messages.Failure {
	requests, bytes := d.requests.Add(int64(n)), d.bytes.Add(int64(size))
	requestsMax, bytesMax := d.most(asks)
	reason := d.metrics.shed.requests
	switch {
	case d.closing.Load():
		d.release(n, size)
		d.metrics.shed.stopping.Inc()
		return stopping()
	case bytes > bytesMax:
		reason = d.metrics.shed.bytes
	case requests <= requestsMax:
		return nil
	}
	d.release(n, size)
	reason.Inc()
	return messages.Retry(messages.CodeLimit, shedRetryAfterMs, "too many requests are in flight, come back with the same command id")
}

// most is how many commands and bytes the door has room for when nothing is in flight. Of a door of one, one is for new work.
func (d *door) most(asks bool) (requests, bytes int64) {
	requests, bytes = int64(d.limits.RequestsMax), d.limits.BytesMax
	if asks && d.in.gate.c != nil {
		requests, bytes = max(requests*newWorkMax/8, 1), bytes*newWorkMax/8
	}
	return requests, bytes
}

func stopping() *messages.Failure {
	return messages.Retry(messages.CodeUnavailable, shedRetryAfterMs, "the node is stopping")
}

func (d *door) release(n int, size int) {
	d.requests.Add(int64(-n))
	d.bytes.Add(int64(-size))
}

// call is a set of commands whose answers make one reply. It closes once: when the last answer is in, or when the wheel says
// that its time is over. complete then runs on a responder, alone.
type call struct {
	door     *door
	weight   int // admitted commands
	size     int // admitted bytes
	ticket   ticket
	expires  int64
	complete func(*call)
	// queued: nobody waits for the answer, and the command comes again.
	queued bool

	mu      sync.Mutex
	replies []*messages.Reply
	missing int
	closed  bool
	late    bool // its time was over
	one     [1]*messages.Reply

	prev, next *call // in the wheel's slot
	slot       int
	waiting    bool
}

// send asks every command and returns. Replies keep the order of the commands.
func (c *call) send(actors Actors, reqs []messages.Request) {
	c.replies = c.one[:1]
	if len(reqs) != 1 {
		c.replies = make([]*messages.Reply, len(reqs))
	}
	c.missing = len(reqs)
	if c.missing == 0 {
		c.closed = true
		c.door.answers <- c
		return
	}
	if f := c.door.in.wheel.add(c); f != nil {
		c.expire(f)
		return
	}
	for i, req := range reqs {
		req.Done = func(r *messages.Reply) { c.done(i, r) }
		actors.Send(req)
	}
}

func (c *call) done(i int, r *messages.Reply) {
	if r == nil {
		r = messages.Refuse(messages.Fail(messages.CodeInternal, "", "no answer was made"))
	}
	c.mu.Lock()
	if c.closed || c.replies[i] != nil {
		c.mu.Unlock()
		return // too late, or answered twice
	}
	c.replies[i] = r
	if c.missing--; c.missing > 0 {
		c.mu.Unlock()
		return
	}
	c.closed = true
	c.mu.Unlock()
	c.door.in.wheel.remove(c)
	c.door.answers <- c
}

// told says that an actor decided about the one command there was, so that the time it took tells how the house does. Who meets a closed
// way is answered at once, and who meets a bucket's own limit too.
//
// A timeout tells, too: callers who wait in vain are what the limit is there for. One that the door itself says of a queued command does not.
// Behind it is as a rule a partition that nobody serves, whose orders come again and again and would soon be most of what is measured. When the
// house is slow, the limit is down long before: by those that are answered late, and by actors that find a deadline passed and say so. And
// should nobody answer anything, the intake has no more open than it may.
func (c *call) told() bool {
	if c.weight != 1 || len(c.replies) != 1 || c.queued && c.late {
		return false
	}
	switch c.replies[0].GetFailure().GetCode() {
	case messages.CodeUnavailable, messages.CodeMoved, messages.CodeLimit:
		return false
	}
	return true
}

// expire fills the missing answers with the failure.
func (c *call) expire(f *messages.Failure) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed, c.late = true, true
	for i, r := range c.replies {
		if r == nil {
			c.replies[i] = messages.Refuse(f)
		}
	}
	c.mu.Unlock()
	c.door.answers <- c
}

// succeed makes a call that takes over what this one was admitted for. Nothing gives that back until it is sent. It may only be used by
// complete.
func (c *call) succeed(complete func(*call)) *call {
	next := &call{door: c.door, weight: c.weight, size: c.size, ticket: c.ticket, expires: c.expires, complete: complete}
	c.weight, c.size = 0, 0
	return next
}
