package link

import (
	"errors"
	"time"

	"orderyard/messages"
)

// take takes in one batch, on whatever goroutine read it.
func (l *Links) take(data []byte, direct bool) {
	var b messages.LinkBatch
	if err := b.UnmarshalVT(data); err != nil {
		l.log.Error("batch cannot be decoded", "bytes", len(data), "error", err)
		return
	}
	if b.Refused && b.Number == 0 {
		if p := l.known(b.From); p != nil {
			p.breakDirect("another process lives at its address")
		}
		return
	}
	if b.To != l.o.Self {
		l.refuse(&b)
		return
	}
	p := l.peer(b.From, b.FromAddr, false)
	if p == nil {
		return
	}
	late, gap := p.hear(&b, direct)
	if late {
		l.count.late.Add(1)
		return
	}
	l.count.heard.Add(1)
	for _, r := range b.Replies {
		p.answered(r)
	}
	if gap || b.Refused {
		p.lost(gap)
	}
	if len(b.Requests) > 0 {
		now := l.o.Clock()
		for _, r := range b.Requests {
			l.request(p, r, now)
		}
	}
}

// refuse tells whoever means another incarnation that it does not live here. In the refusal, from is the incarnation that was meant: its
// link is void.
func (l *Links) refuse(b *messages.LinkBatch) {
	l.count.refused.Add(1)
	if b.FromAddr == "" {
		return
	}
	head := &messages.LinkBatch{From: b.To, To: b.From, FromAddr: l.o.Addr, Refused: true}
	l.o.Wire.Send(b.FromAddr, &messages.Link{Batch: appendHead(nil, head)})
}

// request decodes one request and hands it to its entity; its answer goes back over the link. A panic costs this request alone.
func (l *Links) request(p *peer, r *messages.LinkRequest, nowMs int64) {
	defer func() {
		if e := recover(); e != nil {
			l.log.Error("request of a peer failed", "peer", p.id, "command", r.Command, "panic", e)
			if r.Call != 0 {
				p.reply(r.Call, messages.Refuse(messages.Fail(messages.CodeInternal, "", "node %s failed on the request", l.o.Self)))
			}
		}
	}()
	req := messages.Request{
		To: messages.Ref{Kind: messages.Kind(r.Kind), ID: r.Id}, CommandID: r.CommandId,
		From: messages.Ref{Kind: messages.Kind(r.FromKind), ID: r.FromId},
	}
	if r.RemainingMs > 0 {
		req.Deadline = nowMs + r.RemainingMs
	}
	if call := r.Call; call != 0 {
		req.Done = func(reply *messages.Reply) { p.reply(call, reply) }
	}
	var failure *messages.Failure
	command, err := messages.DecodeCommand(r.Command, r.Data)
	switch {
	case errors.Is(err, messages.ErrUnknownCommand):
		failure = messages.Retry(messages.CodeUnavailable, 1000, "node %s: %v", l.o.Self, err)
	case err != nil:
		failure = messages.Fail(messages.CodeInternal, "", "node %s: %v", l.o.Self, err)
	case r.Kind != uint32(messages.KindOrder) && r.Kind != uint32(messages.KindBucket) && r.Kind != uint32(messages.KindSite):
		failure = messages.Retry(messages.CodeUnavailable, 1000, "node %s: kind %d is unknown to this version", l.o.Self, r.Kind)
	}
	if failure == nil {
		req.Command = command
		l.o.Deliver(req)
		return
	}
	l.count.alien.Add(1)
	l.log.Warn("request of a peer not understood", "peer", p.id, "error", failure.Message)
	if req.Done != nil {
		req.Done(messages.Refuse(failure))
	}
}

// hear notes a batch's numbers. late: it does not count any more. gap: batches before it were lost.
func (p *peer) hear(b *messages.LinkBatch, direct bool) (late, gap bool) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return true, false
	}
	now := time.Now()
	way := &p.detour
	if direct {
		way = &p.direct
	}
	way.spokeAt = now
	full := !way.roomFor(&p.l.limits)
	way.acknowledged(b.Seen)
	healed := direct && p.broken && b.Seen >= p.probe && p.probe > 0
	if healed {
		p.broken, p.probe = false, 0
	}
	if (full || healed) && len(p.queue) > 0 {
		p.nudge()
	}
	if b.Number != 0 {
		p.active = now
		late, gap = way.hear(b.Number, now)
		empty := len(b.Requests)+len(b.Replies) == 0
		way.hurry = way.hurry || empty && !late
		// An empty batch tells of what its sender has given up already, unless it passes on that batches from here were lost.
		if gap && (!empty || b.Refused) {
			p.void = true
			p.nudge()
		}
		if way.ackDue(now, &p.l.limits) {
			p.nudge()
		}
	}
	p.mu.Unlock()
	if healed {
		p.l.count.heals.Add(1)
		p.l.log.Info("direct link is back", "peer", p.id, "addr", p.addr)
	}
	return late, gap
}

// lost answers what was sent. Batches of the other were lost, and answers may have been in them; or it says that batches from here were.
func (p *peer) lost(gap bool) {
	p.mu.Lock()
	lost := p.sent()
	p.mu.Unlock()
	if gap {
		p.l.count.gaps.Add(1)
	}
	p.l.giveBack(lost, "the link to the owner lost something")
}

// answered gives a reply to its call. One that nobody waits for any more is ignored.
func (p *peer) answered(r *messages.LinkReply) {
	p.mu.Lock()
	f, ok := p.flights.take(r.Call)
	p.mu.Unlock()
	if !ok {
		return
	}
	reply := r.Reply
	if reply == nil {
		reply = &messages.Reply{}
	}
	p.l.answer(&f, reply)
}
