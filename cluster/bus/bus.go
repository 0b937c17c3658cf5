package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"

	"orderyard/cluster"
	"orderyard/messages"
)

// ErrNobody says that the asked process, or its ear for this word, does not exist: it has ended, or has not started to listen. It
// comes from the server, so it is certain in a way that silence is not.
var ErrNobody = errors.New("nobody listens")

// ErrBusy says that the asked process answers as many asks as it can: ask again later, or ask somebody else.
var ErrBusy = errors.New("too many asks at once")

// ErrBroken says that parts of an answer were lost on the way: ask again.
var ErrBroken = errors.New("the answer is incomplete")

// ErrTooLarge says that a message is larger than PartBytesMax. The caller cuts it.
var ErrTooLarge = fmt.Errorf("message is larger than %d bytes", PartBytesMax)

// errClosed ends what a closed bus was doing.
var errClosed = errors.New("the bus is closed")

const (
	wordPing = "ping" // answered by Open itself
	wordGot  = "got"  // how far an asker got, per answer

	headerFrom  = "Oy-From"  // incarnation of who published
	headerEnd   = "Oy-End"   // ends an answer: ok, error or busy; the body says why
	headerParts = "Oy-Parts" // how many parts came before the end
)

// Bus is one process's end. All methods may be called concurrently.
type Bus struct {
	nc   *nats.Conn
	self string

	ctx     context.Context
	cancel  context.CancelCauseFunc
	serving sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	subs    []*nats.Subscription
	answers map[uint64]*answer
	lastAsk uint64
}

// Open starts a bus for the process with this incarnation and answers pings from now on. The connection stays the caller's.
func Open(nc *nats.Conn, self string) (*Bus, error) {
	if err := messages.CheckToken(self); err != nil {
		return nil, fmt.Errorf("open the bus: incarnation %q %w", self, err)
	}
	b := &Bus{nc: nc, self: self, answers: make(map[uint64]*answer)}
	b.ctx, b.cancel = context.WithCancelCause(context.Background())
	ping := func(m *nats.Msg) { _ = m.Respond(nil) } // who did not hear it asks again
	err := b.listen(messages.NodeSubject(self, wordPing), ping)
	if err == nil {
		err = b.listen(messages.NodeSubject(self, wordGot)+".>", b.got)
	}
	if err == nil {
		err = nc.FlushTimeout(flushFor)
	}
	if err != nil {
		b.Close()
		return nil, fmt.Errorf("open the bus: %w", err)
	}
	return b, nil
}

// Self is the incarnation the bus speaks for.
func (b *Bus) Self() string { return b.self }

// Publish tells every other node that subscribes to the topic. It does not wait; nothing says who heard it. Data is at most
// PartBytesMax and may be used again when Publish returns.
func (b *Bus) Publish(topic string, data []byte) error {
	if len(data) > PartBytesMax {
		return fmt.Errorf("publish %s: %w", topic, ErrTooLarge)
	}
	m := &nats.Msg{Subject: messages.NodesSubject(topic), Data: data, Header: nats.Header{headerFrom: []string{b.self}}}
	if err := b.nc.PublishMsg(m); err != nil {
		return fmt.Errorf("publish %s: %w", topic, err)
	}
	return nil
}

// Subscribe hears what other nodes publish on a topic; own messages are not heard. fn is called by one goroutine per subscription: while it
// runs, messages queue up, and are lost when 64 MiB wait. It may keep data.
func (b *Bus) Subscribe(topic string, fn func(data []byte)) error {
	return b.listen(messages.NodesSubject(topic), func(m *nats.Msg) {
		if m.Header.Get(headerFrom) != b.self {
			fn(m.Data)
		}
	})
}

// Tell sends one node a message and does not wait; nothing says whether it was heard. Data is at most PartBytesMax.
func (b *Bus) Tell(incarnation, what string, data []byte) error {
	if len(data) > PartBytesMax {
		return fmt.Errorf("tell %s: %w", what, ErrTooLarge)
	}
	if err := b.nc.Publish(messages.NodeSubject(incarnation, what), data); err != nil {
		return fmt.Errorf("tell %s: %w", what, err)
	}
	return nil
}

// Hear takes what is told to this incarnation under a word. fn is called by one goroutine per word, as with Subscribe.
func (b *Bus) Hear(what string, fn func(data []byte)) error {
	return b.listen(messages.NodeSubject(b.self, what), func(m *nats.Msg) { fn(m.Data) })
}

// Ping asks whether a process lives. It waits for ctx's deadline, or PingFor when there is none. Gone comes from the server our connection
// is on: in a cluster of servers that lost sight of each other it means less, which is why nobody is buried for one ping.
func (b *Bus) Ping(ctx context.Context, incarnation string) cluster.Liveness {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, PingFor)
		defer cancel()
	}
	_, err := b.nc.RequestWithContext(ctx, messages.NodeSubject(incarnation, wordPing), nil)
	switch {
	case err == nil:
		return cluster.Alive
	case errors.Is(err, nats.ErrNoResponders):
		return cluster.Gone
	}
	return cluster.Silent
}

// listen subscribes until Close.
func (b *Bus) listen(subject string, fn func(*nats.Msg)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return fmt.Errorf("listen on %s: %w", subject, errClosed)
	}
	sub, err := b.nc.Subscribe(subject, fn)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", subject, err)
	}
	b.subs = append(b.subs, sub)
	return nil
}

// Close stops listening: pings find nobody from now on. Asks that are being answered have their context ended, and Close waits for them; it
// does not wait for a message that is being heard. Own asks end by their own context. Closing again does nothing.
func (b *Bus) Close() {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return
	}
	b.closed = true
	for _, sub := range b.subs {
		_ = sub.Unsubscribe() // fails when the connection is closed, and then there is nothing to stop
	}
	b.mu.Unlock()
	b.cancel(errClosed)
	b.serving.Wait()
	if b.nc.IsConnected() {
		_ = b.nc.FlushTimeout(flushFor)
	}
}
