package link

import (
	"time"

	"orderyard/messages"
)

// breakDirect gives up the direct way until a probe is acknowledged, and answers what was sent. The other end learns over the detour that
// answers to it may be lost. Without a detour, what still waits is given up as well, and the probe tells.
func (p *peer) breakDirect(why string) {
	p.mu.Lock()
	if p.closed || p.broken {
		p.mu.Unlock()
		return
	}
	p.broken = true
	p.probeAt = time.Now()
	p.direct.giveUp()
	sent := p.sent()
	if p.l.o.Detour == nil {
		sent = append(sent, p.flights.takeIf(func(*flight) bool { return true })...)
		if len(p.queue) > 0 {
			p.direct.leaveOut()
			p.queue, p.queuedBytes = nil, 0
		}
	} else {
		p.detour.leaveOut()
	}
	p.nudge()
	p.mu.Unlock()
	p.l.count.breaks.Add(1)
	p.l.log.Info("direct link broken", "peer", p.id, "addr", p.addr, "reason", why, "calls", len(sent))
	p.l.o.Suspect(p.id)
	p.l.giveBack(sent, "the link to the owner broke")
}

// breakDetour gives up what was sent over NATS and not acknowledged. While there is no other way, the next batches take it again.
func (p *peer) breakDetour(why string) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.detour.giveUp()
	p.direct.leaveOut()
	sent := p.sent()
	p.nudge()
	p.mu.Unlock()
	p.l.count.breaks.Add(1)
	p.l.log.Debug("detour broken", "peer", p.id, "reason", why, "calls", len(sent))
	p.l.o.Suspect(p.id)
	p.l.giveBack(sent, "the owner does not answer")
}

// sent takes the flights whose request has left. Under the lock.
func (p *peer) sent() []flight {
	return p.flights.takeIf(func(f *flight) bool { return f.chunk <= p.gone })
}

// streamEnded: the remote's stream to the peer's address is over. While the way is broken already this is the end of a try, and
// the next may come sooner.
func (p *peer) streamEnded() {
	p.mu.Lock()
	if again := time.Now().Add(tickEvery); p.broken && p.probeAt.After(again) {
		p.probeAt = again
	}
	p.mu.Unlock()
	p.breakDirect("the stream ended")
}

// tooLarge: a single item does not fit through the detour, and fails alone. Its number stays used up: whoever finds the gap asks again.
func (p *peer) tooLarge(c *chunk) {
	p.mu.Lock()
	f, ok := p.flights.take(c.call)
	p.mu.Unlock()
	p.l.count.dropped.Add(1)
	if ok {
		p.l.answer(&f, messages.Refuse(messages.Retry(messages.CodeUnavailable, 500, "the owner cannot be reached by requests of this size")))
	}
	if c.reply != 0 {
		p.reply(c.reply, messages.Refuse(messages.Retry(messages.CodeUnavailable, 500, "the asker cannot be reached by answers of this size")))
	}
}

// tick wakes the sender for what is due and notices silence.
func (p *peer) tick(now time.Time) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	l := &p.l.limits
	if p.direct.ackDue(now, l) || p.detour.ackDue(now, l) || p.broken && !now.Before(p.probeAt) {
		p.nudge()
	}
	directSilent := !p.broken && p.direct.silent(now, l)
	detourSilent := p.detour.silent(now, l)
	p.mu.Unlock()
	if directSilent {
		p.breakDirect("it does not acknowledge")
	}
	if detourSilent {
		p.breakDetour("it does not acknowledge")
	}
}

// expired takes the flights whose deadline is over.
func (p *peer) expired(nowMs int64) []flight {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.flights.takeIf(func(f *flight) bool { return f.until < nowMs })
}

// stranger says that the map never had the peer and that it is silent.
func (p *peer) stranger(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.known.Load() && now.Sub(p.active) > strangerFor
}
