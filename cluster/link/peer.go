package link

import (
	"sync"
	"sync/atomic"
	"time"

	"orderyard/messages"
)

// peer is one end of a link: what is to be said to one incarnation, and what was asked of it.
type peer struct {
	l     *Links
	id    string
	addr  string
	known atomic.Bool   // the map has had it
	wake  chan struct{} // something may be sendable

	mu          sync.Mutex
	closed      bool
	broken      bool // the direct way; batches take the detour
	direct      lane
	detour      lane
	void        bool   // batches of the other were lost, and it is to be told
	probe       uint64 // number of the last probe
	probeAt     time.Time
	queue       []*chunk
	queuedBytes int
	made        uint64 // chunks
	gone        uint64 // seq of the newest chunk that left the queue
	room        int    // size of the last chunk, a guess for the next
	flights     flights
	active      time.Time // when something was heard or sent
}

func newPeer(l *Links, id, addr string, base uint64) *peer {
	p := &peer{l: l, id: id, addr: addr, wake: make(chan struct{}, 1), active: time.Now()}
	p.direct.direct = true
	p.direct.sent, p.detour.sent = base, base
	p.direct.tell, p.detour.tell = base > 0, base > 0 // met before: the other is to find a gap before it gets requests
	return p
}

// send queues a request. A failure says that it was not taken, and why.
func (p *peer) send(req *messages.Request) *messages.Failure {
	command := messages.CommandType(req.Command)
	if command == 0 {
		return messages.Fail(messages.CodeInternal, "", "%T cannot leave its node", req.Command)
	}
	l := &p.l.limits
	now := p.l.o.Clock()
	remaining, until := req.Deadline-now, req.Deadline+l.Grace.Milliseconds()
	call := req.Done != nil || !req.From.IsZero()
	switch {
	case req.Deadline == 0 && req.From.IsZero():
		remaining, until = 0, now+(l.CallFor+l.Grace).Milliseconds()
	case req.Deadline == 0:
		remaining, until = 0, now+l.TaskFor.Milliseconds()
	case remaining <= 0:
		return messages.Retry(messages.CodeTimeout, 0, "the deadline passed before %s was asked", req.To)
	}
	size := requestSize(req)
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.refuse(req, call, size); f != nil {
		return f
	}
	c := p.chunk(size)
	number := uint64(0)
	if call {
		f := flight{chunk: c.seq, until: until, done: req.Done, from: req.From, commandID: req.CommandID}
		var ok bool
		if number, ok = p.flights.add(p.l.serial.Add(1), f); !ok {
			return p.limit("calls")
		}
	}
	data, err := appendRequest(c.data, number, req, command, remaining)
	if err != nil {
		p.flights.take(number)
		return messages.Fail(messages.CodeInternal, "", "%T cannot be encoded: %v", req.Command, err)
	}
	p.added(c, data, number, 0)
	return nil
}

// refuse says why a request is not taken now.
func (p *peer) refuse(req *messages.Request, call bool, size int) *messages.Failure {
	l := &p.l.limits
	switch {
	case p.closed:
		return messages.Retry(messages.CodeMoved, 20, "the owner has left")
	case p.broken && p.l.o.Detour == nil:
		return messages.Retry(messages.CodeMoved, 20, "the owner cannot be reached")
	case p.queuedBytes+size > l.QueueBytesMax && p.queuedBytes > 0:
		return p.limit("bytes")
	case call && req.From.IsZero() && p.flights.clients >= l.CallsMax:
		return p.limit("requests")
	case call && !req.From.IsZero() && p.flights.tasks >= l.TasksMax:
		return p.limit("tasks")
	}
	return nil
}

func (p *peer) limit(what string) *messages.Failure {
	p.l.count.limited.Add(1)
	return messages.Retry(messages.CodeLimit, 50, "too many %s are under way to the owner", what)
}

// reply queues the answer to a call of the other.
func (p *peer) reply(call uint64, r *messages.Reply) {
	if r == nil {
		r = &messages.Reply{}
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		if again := p.l.known(p.id); again != nil && again != p { // forgotten and met again
			again.reply(call, r)
			return
		}
		p.l.count.dropped.Add(1)
		return
	}
	defer p.mu.Unlock()
	c := p.chunk(replySize(r))
	data, err := appendReply(c.data, call, r)
	if err != nil { // generated code never fails to encode
		data, _ = appendReply(c.data, call, messages.Refuse(messages.Fail(messages.CodeInternal, "", "encode reply: %v", err)))
	}
	p.added(c, data, 0, call)
}

// chunk gives the chunk that takes the next item: the last one while it has room, else a new one.
func (p *peer) chunk(size int) *chunk {
	l := &p.l.limits
	if n := len(p.queue); n > 0 {
		if c := p.queue[n-1]; c.items < l.BatchItemsMax && len(c.data)+size+headMax <= l.BatchBytesMax {
			return c
		}
	}
	p.made++
	c := &chunk{seq: p.made, data: make([]byte, 0, max(chunkMin, min(p.room, l.BatchBytesMax), size+headMax))}
	p.queue = append(p.queue, c)
	return c
}

// added notes an item that was written into a chunk, and wakes the sender.
func (p *peer) added(c *chunk, data []byte, call, reply uint64) {
	p.queuedBytes += len(data) - len(c.data)
	c.data = data
	c.items++
	c.call, c.reply = call, reply
	p.nudge()
}

func (p *peer) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run is the peer's sender. It sends whatever has gathered, as long as the other keeps up.
func (p *peer) run() {
	for range p.wake {
		for p.sendNext() {
		}
	}
}

// sendNext sends one batch, if there is anything to say.
func (p *peer) sendNext() bool {
	p.mu.Lock()
	lane, c, head, ok := p.next(time.Now())
	p.mu.Unlock()
	if !ok {
		return false
	}
	count := &p.l.count
	var data []byte
	if c != nil {
		data = appendHead(c.data, head)
		count.items.Add(uint64(c.items))
	} else {
		data = appendHead(nil, head)
	}
	if lane.direct {
		if c != nil {
			count.batches.Add(1)
			count.bytes.Add(uint64(len(data)))
		}
		p.l.o.Wire.Send(p.addr, &messages.Link{Batch: data})
		return true
	}
	if c != nil && c.items == 1 && len(data) > p.l.limits.BatchBytesMax {
		p.tooLarge(c)
		return true
	}
	if c != nil {
		count.detourBatches.Add(1)
		count.detourBytes.Add(uint64(len(data)))
	}
	if err := p.l.o.Detour.Tell(p.id, detourWord, data); err != nil && c != nil {
		p.breakDetour(err.Error())
	}
	return true
}

// next picks what to send and stamps it. Under the lock. What tells of lost batches goes before what makes new calls.
func (p *peer) next(now time.Time) (*lane, *chunk, *messages.LinkBatch, bool) {
	if p.closed {
		return nil, nil, nil, false
	}
	way, other := &p.direct, &p.detour
	if p.broken {
		if !now.Before(p.probeAt) {
			p.probeAt = now.Add(p.l.limits.ProbeEvery)
			p.direct.sent++
			p.probe, p.direct.tell = p.direct.sent, false
			p.l.count.probes.Add(1)
			return &p.direct, nil, p.head(&p.direct, p.direct.sent), true
		}
		way, other = other, way
	}
	usable := way.direct || p.l.o.Detour != nil
	switch {
	case usable && way.tell:
		return way, nil, p.head(way, way.send(0, now)), true
	case other.tell && !other.direct && p.l.o.Detour != nil: // over a broken direct way the next probe tells
		return other, nil, p.head(other, other.send(0, now)), true
	case usable && len(p.queue) > 0 && way.roomFor(&p.l.limits):
		c := p.queue[0]
		p.queue[0] = nil
		p.queue = p.queue[1:]
		p.queuedBytes -= len(c.data)
		p.gone, p.room, p.active = c.seq, len(c.data), now
		return way, c, p.head(way, way.send(len(c.data), now)), true
	case usable && p.void:
		return way, nil, p.head(way, way.send(0, now)), true
	}
	for _, way := range [...]*lane{&p.direct, &p.detour} {
		if way.ackDue(now, &p.l.limits) && (way.direct || p.l.o.Detour != nil) {
			return way, nil, p.head(way, 0), true
		}
	}
	return nil, nil, nil, false
}

// head makes a batch's own fields. One without a number is only an acknowledgement.
func (p *peer) head(way *lane, number uint64) *messages.LinkBatch {
	b := &messages.LinkBatch{From: p.l.o.Self, To: p.id, FromAddr: p.l.o.Addr, Number: number, Seen: way.acknowledge()}
	if number != 0 {
		b.Refused, p.void = p.void, false
	}
	return b
}

// close ends the peer and gives back its flights, and the highest number it used.
func (p *peer) close() ([]flight, uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		close(p.wake)
	}
	p.queue, p.queuedBytes = nil, 0
	return p.flights.takeIf(func(*flight) bool { return true }), max(p.direct.sent, p.detour.sent)
}

// idle says that nothing waits to be sent or acknowledged.
func (p *peer) idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, direct := p.direct.oldest()
	_, detour := p.detour.oldest()
	return len(p.queue) == 0 && !direct && !detour
}
