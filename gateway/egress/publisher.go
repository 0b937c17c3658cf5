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

// publisher publishes one lane in one session. The lane's goroutine publishes; acknowledgements come from another, and the end of a batch is told by a
// third.
type publisher struct {
	s       *session
	lane    *lane
	number  uint64 // within the session
	message *message
	tr      *translator
	words   map[eventKind]eventWords // made once: the same few come again and again
	toldMs  int64                    // the time of the event before
	told    string                   // as it is written
	refused atomic.Bool
	at      uint64 // every commit up to here is sent
	failure error  // why publishing failed, as opposed to reading

	room chan struct{} // the window has room again
	idle *time.Timer   // ends the batch when nothing follows
	sent bool          // an event of the commit that is being published

	// sending is held while a number is taken and sent, so that they go out in order.
	sending sync.Mutex
	reply   []byte // where the stream's answers to a batch go, up to the number of the event
	prefix  int    // of reply: what all batches have in common

	mu      sync.Mutex
	window  Window
	batch   string    // the id of the batch that was begun last
	endedAt time.Time // when the last batch's end was told
	// settled: the lane goes on without this publisher, so an answer that is late changes nothing.
	settled bool
}

const (
	// endAfter is how long a batch stays open without an event: until it ends nobody may know that its last events are stored.
	endAfter = 20 * time.Millisecond
	// endsEveryMin and endsEveryMax bound how often a lane ends batches; see endsEvery.
	endsEveryMin, endsEveryMax = 500 * time.Millisecond, 5 * time.Second
	// flowMax is how many events the stream stores before it says so, at most; a quarter of the window where that is less.
	flowMax = 64
)

// What a message is in its batch, for the server.
const (
	batchBegin  = ".0.$FI"
	batchAppend = ".1.$FI"
	batchEnd    = ".3.$FI"
)

// endsEvery is how much time lies between the ends of two batches of a lane. A server that follows the stream's leader forgets a batch ten seconds after
// its last event, not at its end, and takes none beyond a thousand when it comes to lead: of all lanes together 600 may end in ten seconds.
func endsEvery(partitions int) time.Duration {
	return min(max(time.Duration(partitions)*10*time.Second/600, endsEveryMin), endsEveryMax)
}

func newPublisher(s *session, l *lane, number uint64) *publisher {
	from := l.goBack()
	p := &publisher{
		s: s, lane: l, number: number, at: from.Position,
		message: newMessage(s.e.o.Origin), tr: newTranslator(s.e.o.Log, s.e.metrics), words: make(map[eventKind]eventWords),
		window: NewWindow(s.e.o.Window, from), room: make(chan struct{}, 1),
	}
	p.reply = append(strconv.AppendUint([]byte(s.inbox), number, 10), '.')
	p.prefix = len(p.reply)
	p.idle = time.AfterFunc(time.Hour, p.rest)
	p.idle.Stop()
	return p
}

// follow publishes what lies behind p.at until ctx ends, reading fails, or publishing does: then p.failure says why.
func (p *publisher) follow(ctx context.Context) error {
	err := p.s.e.o.Source.Follow(ctx, p.lane.partition, p.at, func(position uint64, c *messages.Commit) error {
		if p.failure = p.tr.commit(c, func(ev *outgoing) error { return p.publish(ctx, ev) }); p.failure != nil {
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
func (p *publisher) publish(ctx context.Context, ev *outgoing) error {
	m := p.message
	words := p.wordsOf(ev)
	m.Subject, m.Data = words.subject, ev.data
	m.id[0], m.about[0], m.kind[0], m.at[0] = ev.id, ev.about, words.kind, p.timeOf(ev.atMs)
	for {
		if err := ctx.Err(); err != nil { // a released lane is silent
			return err
		}
		sent, err := p.send(&m.Msg)
		switch {
		case errors.Is(err, nats.ErrMaxPayload):
			// Publishing it again would fail for ever and hold up everything behind it. The journal has it.
			p.s.e.o.Log.Error("event too large for the server, skipped", "id", ev.id, "bytes", len(ev.data))
			p.s.e.metrics.skipped.Inc()
			return nil
		case err != nil:
			return fmt.Errorf("publish: %w", err)
		case sent:
			p.sent = true
			p.s.e.metrics.count(ev)
			return nil
		}
		select {
		case <-p.room:
		case <-ctx.Done():
		}
	}
}

// send sends a message as the next of its batch; false = not now.
func (p *publisher) send(m *nats.Msg) (sent bool, err error) {
	p.sending.Lock()
	defer p.sending.Unlock()
	p.mu.Lock()
	number, ok := p.window.Take(time.Now())
	if number == 1 {
		p.batch = nuid.Next() // at once: a late answer to the batch before must not count for this one
	}
	batch := p.batch
	p.mu.Unlock()
	if !ok {
		return false, nil
	}
	if number == 1 {
		p.begin(batch)
		m.Reply = p.replyTo(number, batchBegin)
	} else {
		m.Reply = p.replyTo(number, batchAppend)
	}
	if err := p.s.nc.PublishMsg(m); err != nil {
		p.mu.Lock()
		p.window.Untake()
		p.mu.Unlock()
		return false, err
	}
	return true, nil
}

// begin says where the answers to a new batch go. Its id is one that no other attempt and no other node has used.
func (p *publisher) begin(batch string) {
	p.reply = append(append(p.reply[:p.prefix], batch...), '.')
	p.reply = append(strconv.AppendInt(p.reply, int64(max(1, min(p.s.e.o.Window/4, flowMax))), 10), ".fail."...)
}

// replyTo is the subject by which the server knows a message's place in its batch: <answers>.<batch>.<flow>.<what a gap does>.<number>.<operation>.$FI
func (p *publisher) replyTo(number uint64, operation string) string {
	var room [128]byte
	return string(append(strconv.AppendUint(append(room[:0], p.reply...), number, 10), operation...))
}

// rest ends the batch when nothing has followed for a while, and the end before is long enough ago.
func (p *publisher) rest() {
	p.mu.Lock()
	early := time.Until(p.endedAt.Add(p.s.e.endsEvery))
	settled := p.settled
	p.mu.Unlock()
	switch {
	case settled:
	case early > 0:
		p.idle.Reset(early)
	default:
		p.end()
	}
}

// end tells the stream that the batch is over, so that it says what it has. Without a batch it does nothing.
func (p *publisher) end() {
	p.sending.Lock()
	defer p.sending.Unlock()
	p.mu.Lock()
	now := time.Now()
	number, ok := p.window.End(now)
	if ok {
		p.endedAt = now
	}
	p.mu.Unlock()
	if !ok {
		return
	}
	m := &nats.Msg{Subject: messages.SubjectFeedEnd, Reply: p.replyTo(number, batchEnd)}
	if err := p.s.nc.PublishMsg(m); err != nil {
		p.s.fail(fmt.Errorf("partition %d: end of a batch: %w", p.lane.partition, err))
	}
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

// complete notes that a commit's events are all sent: it is done when the newest of them is stored, at once when none waits. The batch ends when no
// other commit follows.
func (p *publisher) complete(position uint64) {
	p.mu.Lock()
	p.window.Complete(position)
	p.lane.advance(p.window.Done())
	p.mu.Unlock()
	if p.sent { // commits that nobody hears of keep no batch open
		p.sent = false
		p.idle.Reset(endAfter)
	}
}

// answered takes one of the stream's answers to a batch. An error is a refusal: what is not known to be stored is to be published again.
func (p *publisher) answered(batch string, a answer) error {
	p.mu.Lock()
	if p.settled || p.refused.Load() || batch != p.batch {
		p.mu.Unlock()
		return nil
	}
	n, whole := int64(0), true
	if a.last {
		n, whole = p.window.Ended(a.number)
	} else {
		n = p.window.Stored(a.number)
	}
	p.lane.advance(p.window.Done())
	p.mu.Unlock()
	if !whole {
		return &refusedError{fmt.Sprintf("it ended a batch at its event %d", a.number)}
	}
	if n > 0 || a.last {
		p.wake()
	}
	if p.lane.unsaved.Add(n) >= int64(p.s.e.o.SaveEvents) {
		select {
		case p.s.e.nudge <- struct{}{}:
		default:
		}
	}
	return nil
}

// overdue says whether the oldest event was sent before a moment and is not acknowledged.
func (p *publisher) overdue(before time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.window.Overdue(before)
}

// linger ends the batch and waits until everything sent is answered, a refusal came, or the time is over.
func (p *publisher) linger(ctx context.Context, atMost time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	p.end()
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

// settle ends the publisher.
func (p *publisher) settle() {
	p.idle.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settled = true
}
