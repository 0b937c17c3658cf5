package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/messages"
)

const (
	endOK    = "ok"
	endError = "error"
	endBusy  = "busy"

	gotEnough = "enough" // an asker that leaves before the end
)

// Handler answers one ask: it sends the parts, each at most PartBytesMax, and returns. Its error goes to the asker as text; an error that is
// ErrBusy arrives as that. send waits while the asker is behind and fails when it has gone or takes nothing; the handler then returns. ctx
// ends with the asker's deadline, with the asker, and with the bus. body is the handler's to keep.
type Handler = func(ctx context.Context, body []byte, send func([]byte) error) error

// Serve answers what is asked of this incarnation under a word, each ask on its own goroutine, ServeMax of them at once.
func (b *Bus) Serve(what string, fn Handler) error {
	room := make(chan struct{}, ServeMax)
	return b.listen(messages.NodeSubject(b.self, what), func(m *nats.Msg) {
		if m.Reply == "" {
			return
		}
		select {
		case room <- struct{}{}:
		default:
			b.end(m.Reply, endBusy, "", 0)
			return
		}
		a, ok := b.begin(m)
		if !ok { // closed: the asker finds nobody
			<-room
			return
		}
		go func() {
			defer b.finish(a)
			err := fn(a.ctx, m.Data, a.send)
			// The room is free before the asker hears the end: who asks one thing after the other is never refused.
			<-room
			switch {
			case err == nil:
				b.end(a.to, endOK, "", a.sent)
			case errors.Is(err, ErrBusy):
				b.end(a.to, endBusy, "", a.sent)
			default:
				b.end(a.to, endError, err.Error(), a.sent)
			}
		}()
	})
}

// answer is one ask being answered.
type answer struct {
	bus    *Bus
	id     uint64
	to     string // the asker's inbox
	ctx    context.Context
	cancel context.CancelCauseFunc
	stop   context.CancelFunc // of the deadline
	sent   uint64
	acked  uint64 // under bus.mu
	wake   chan struct{}
}

var (
	errAskerGone = errors.New("the asker has gone")
	errStalled   = fmt.Errorf("the asker took nothing for %s", stallFor)
)

func (b *Bus) begin(m *nats.Msg) (*answer, bool) {
	a := &answer{bus: b, to: m.Reply, wake: make(chan struct{}, 1), stop: func() {}}
	a.ctx, a.cancel = context.WithCancelCause(b.ctx)
	if ms, err := strconv.ParseInt(m.Header.Get(messages.HeaderDeadlineMs), 10, 64); err == nil {
		a.ctx, a.stop = context.WithTimeout(a.ctx, time.Duration(ms)*time.Millisecond)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, false
	}
	b.lastAsk++
	a.id = b.lastAsk
	b.answers[a.id] = a
	b.serving.Add(1)
	return a, true
}

func (b *Bus) finish(a *answer) {
	a.stop()
	a.cancel(nil)
	b.mu.Lock()
	delete(b.answers, a.id)
	b.mu.Unlock()
	b.serving.Done()
}

func (b *Bus) end(to, how, text string, parts uint64) {
	m := nats.NewMsg(to)
	m.Header.Set(headerEnd, how)
	m.Header.Set(headerParts, strconv.FormatUint(parts, 10))
	m.Data = []byte(text)
	_ = b.nc.PublishMsg(m) // an asker that hears no end goes by its context
}

// send publishes one part. Its reply subject is where the asker says how far it got, and where the server says that it has gone.
func (a *answer) send(data []byte) error {
	if len(data) > PartBytesMax {
		return ErrTooLarge
	}
	if err := a.room(); err != nil {
		return err
	}
	a.sent++
	reply := messages.NodeSubject(a.bus.self, wordGot) + "." + strconv.FormatUint(a.id, 10) + "." + strconv.FormatUint(a.sent, 10)
	return a.bus.nc.PublishRequest(a.to, reply, data)
}

// room waits until one more part may be under way.
func (a *answer) room() error {
	var stalled <-chan time.Time
	for {
		a.bus.mu.Lock()
		free := a.sent-a.acked < windowParts
		a.bus.mu.Unlock()
		if a.ctx.Err() != nil {
			return context.Cause(a.ctx)
		}
		if free {
			return nil
		}
		if stalled == nil {
			stalled = time.After(stallFor)
		}
		select {
		case <-a.wake:
			stalled = nil
		case <-a.ctx.Done():
		case <-stalled:
			a.cancel(errStalled)
		}
	}
}

// got hears how far an asker got: oy.v1.node.<self>.got.<answer>.<part>, with a word when it has enough, and with a status from the server
// when nobody listens to the answer.
func (b *Bus) got(m *nats.Msg) {
	head, last, _ := cutLast(m.Subject)
	_, middle, _ := cutLast(head)
	id, err1 := strconv.ParseUint(middle, 10, 64)
	part, err2 := strconv.ParseUint(last, 10, 64)
	if err1 != nil || err2 != nil {
		return
	}
	b.mu.Lock()
	a := b.answers[id]
	if a != nil {
		a.acked = max(a.acked, part)
	}
	b.mu.Unlock()
	if a == nil {
		return
	}
	if m.Header.Get("Status") != "" || string(m.Data) == gotEnough {
		a.cancel(errAskerGone)
	}
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func cutLast(subject string) (head, last string, ok bool) {
	i := strings.LastIndexByte(subject, '.')
	if i < 0 {
		return "", subject, false
	}
	return subject[:i], subject[i+1:], true
}
