package egress

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

// publisher publishes one lane in one session. The lane's goroutine publishes; acknowledge is called from another.
type publisher struct {
	s       *session
	lane    *lane
	number  uint64 // within the session
	answers string // where its acknowledgements go: the session's inbox, its number
	message *message
	tr      *translator
	words   map[eventKind]eventWords // made once: the same few come again and again
	toldMs  int64                    // the time of the event before
	told    string                   // as it is written
	refused atomic.Bool
	at      uint64 // every commit up to here is sent
	failure error  // why publishing failed, as opposed to reading

	room chan struct{} // the window has room again

	mu     sync.Mutex
	window Window
	// settled: the lane goes on without this publisher, so an answer that is late changes nothing.
	settled bool
}

func newPublisher(s *session, l *lane, number uint64) *publisher {
	from := l.published()
	return &publisher{
		s: s, lane: l, number: number, answers: s.inbox + strconv.FormatUint(number, 10) + ".", at: from.Position,
		message: newMessage(s.e.o.Origin), tr: newTranslator(s.e.o.Log, s.e.metrics), words: make(map[eventKind]eventWords),
		window: NewWindow(s.e.o.Window, from), room: make(chan struct{}, 1),
	}
}

// follow publishes what lies behind p.at until ctx ends, reading fails, or publishing does: then p.failure says why.
func (p *publisher) follow(ctx context.Context) error {
	err := p.s.e.o.Source.Follow(ctx, p.lane.partition, p.at, func(position uint64, c *messages.Commit) error {
		if p.failure = p.tr.commit(c, func(ev *outgoing) error { return p.publish(ctx, position, ev) }); p.failure != nil {
			return p.failure
		}
		p.complete(position)
		p.at = position
		return ctx.Err()
	})
	if err == nil {
		err = errors.New("the source ended")
	}
	return err
}

// publish sends one event, waiting for room in the window.
func (p *publisher) publish(ctx context.Context, position uint64, ev *outgoing) error {
	number, err := p.take(ctx, position)
	if err != nil {
		return err
	}
	m := p.message
	words := p.wordsOf(ev)
	m.Subject = words.subject
	m.Reply = p.answers + strconv.FormatUint(number, 10)
	m.Data = ev.data
	m.id[0], m.about[0], m.kind[0], m.at[0] = ev.id, ev.about, words.kind, p.timeOf(ev.atMs)
	m.msgID[0] = p.lane.redo.MessageID(ev.id, position)
	switch err := p.s.nc.PublishMsg(&m.Msg); {
	case errors.Is(err, nats.ErrMaxPayload):
		// Publishing it again would fail for ever and hold up everything behind it. The journal has it.
		p.s.e.o.Log.Error("event too large for the server, skipped", "id", ev.id, "bytes", len(ev.data))
		p.s.e.metrics.skipped.Inc()
		p.acknowledge(number, Ack{})
	case err != nil:
		return fmt.Errorf("publish: %w", err)
	default:
		p.s.e.metrics.count(ev)
	}
	return nil
}

// eventKind and eventWords are what events of one kind with one key have in common, and how it is written.
type (
	eventKind  struct{ family, event, key string }
	eventWords struct{ subject, kind string }
)

// wordsMax bounds the kinds that are remembered: there are as many keys as channels and sites.
const wordsMax = 4096

func (p *publisher) wordsOf(ev *outgoing) eventWords {
	kind := eventKind{ev.family, ev.event, ev.key}
	w, ok := p.words[kind]
	if !ok {
		if len(p.words) >= wordsMax {
			clear(p.words)
		}
		kind.key = strings.Clone(ev.key) // it may be a part of a journal record
		w = eventWords{messages.EventSubject(ev.family, ev.event, ev.key), "orderyard." + ev.family + "." + ev.event + ".v1"}
		p.words[kind] = w
	}
	return w
}

// timeOf writes a time; all events of a commit that were decided in one millisecond have the same.
func (p *publisher) timeOf(ms int64) string {
	if ms != p.toldMs || p.told == "" {
		p.toldMs, p.told = ms, string(wire.AppendTime(nil, ms))
	}
	return p.told
}

// take gives the next number once the window has room, and none when ctx has ended: a released lane is silent.
func (p *publisher) take(ctx context.Context, position uint64) (uint64, error) {
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		p.mu.Lock()
		number, ok := p.window.Take(position, time.Now())
		p.mu.Unlock()
		if ok {
			return number, nil
		}
		select {
		case <-p.room:
		case <-ctx.Done():
		}
	}
}

// complete notes that a commit's events are all sent: it is done when the newest of them is acknowledged, at once when none waits.
func (p *publisher) complete(position uint64) {
	p.mu.Lock()
	p.window.Complete(position)
	p.lane.advance(p.window.Done())
	p.mu.Unlock()
}

// acknowledge takes the answer to one event. Positions become done in order, whatever the order of the answers. False = the event lies before one that it follows.
func (p *publisher) acknowledge(number uint64, answer Ack) bool {
	p.mu.Lock()
	if p.settled {
		p.mu.Unlock()
		return true
	}
	n, disordered := p.window.Acknowledge(number, answer)
	p.lane.advance(p.window.Done())
	p.mu.Unlock()
	if disordered || n == 0 {
		return !disordered
	}
	p.wake()
	if p.lane.unsaved.Add(n) >= int64(p.s.e.o.SaveEvents) {
		select {
		case p.s.e.nudge <- struct{}{}:
		default:
		}
	}
	return true
}

// overdue says whether the oldest event was sent before a moment and is not acknowledged.
func (p *publisher) overdue(before time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.window.Overdue(before)
}

// linger waits until everything sent is answered, a refusal came, or the time is over.
func (p *publisher) linger(ctx context.Context, atMost time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	for !p.quiet() && !p.refused.Load() {
		select {
		case <-p.room:
		case <-ctx.Done():
			return
		}
	}
}

// quiet says that nothing waits for its acknowledgement.
func (p *publisher) quiet() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.window.Quiet()
}

// wake lets whoever waits for room, or for the last answer, look again.
func (p *publisher) wake() {
	select {
	case p.room <- struct{}{}:
	default:
	}
}

// settle ends the publisher. A refused message may lie behind later ones in the stream: everything up to the newest position is then
// published again under a fresh message id, one that no earlier attempt and no other node has used.
func (p *publisher) settle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settled = true
	if p.refused.Load() {
		p.lane.redo.Refused(&p.window, nuid.Next())
	}
}
