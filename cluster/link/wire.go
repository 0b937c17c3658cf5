package link

import (
	"fmt"
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/eventstream"
	"github.com/asynkron/protoactor-go/remote"

	"orderyard/messages"
)

// EarName is the well-known name under which every node takes batches.
const EarName = "orderyard-link"

// detourWord is the word of the bus under which batches go over NATS.
const detourWord = "link"

// Wire is the direct way between nodes.
type Wire interface {
	// Start begins to take batches; broken is told the address of a peer whose stream has ended. Both may be called concurrently, and
	// do not block for long. Called once, before Send.
	Start(take func(*messages.Link), broken func(addr string)) error
	// Send hands a batch over and does not wait. What cannot be delivered is lost without a word. It may be called concurrently.
	Send(addr string, batch *messages.Link)
	// Close stops taking batches.
	Close()
}

// Fallback carries batches when the direct way to a peer is broken; cluster/bus.Bus is one. A batch may be used by the caller again when
// Tell returns.
type Fallback interface {
	Tell(incarnation, what string, data []byte) error
	Hear(what string, fn func(data []byte)) error
}

// Remote is the wire over protoactor's remote: one message per batch to the actor EarName of the peer's system.
type Remote struct {
	system  *actor.ActorSystem
	log     *slog.Logger
	ended   *eventstream.Subscription
	self    *actor.PID
	started bool
}

// NewRemote makes the wire of an actor system. Start it (link.Open does) before the system's remote is started: what arrives for a name
// that nobody has is lost.
func NewRemote(system *actor.ActorSystem, log *slog.Logger) *Remote {
	if log == nil {
		log = slog.Default()
	}
	return &Remote{system: system, log: log}
}

// ear takes batches on the goroutine that read them: each stream decodes its own, and a slow node slows the streams towards it. It is a
// process, not an actor: a mailbox would only add a queue.
type ear struct {
	take func(*messages.Link)
	log  *slog.Logger
}

func (e *ear) SendUserMessage(_ *actor.PID, message any) {
	defer func() {
		if r := recover(); r != nil {
			e.log.Error("link batch failed", "panic", r)
		}
	}()
	if batch, ok := actor.UnwrapEnvelopeMessage(message).(*messages.Link); ok {
		e.take(batch)
	}
}

func (e *ear) SendSystemMessage(*actor.PID, any) {}

func (e *ear) Stop(*actor.PID) {}

// Start registers the ear and listens for streams that end.
func (r *Remote) Start(take func(*messages.Link), broken func(addr string)) error {
	pid, ok := r.system.ProcessRegistry.Add(&ear{take: take, log: r.log}, EarName)
	if !ok {
		return fmt.Errorf("start the link: the actor system has a %q already", EarName)
	}
	r.self, r.started = pid, true
	r.ended = r.system.EventStream.Subscribe(func(event any) {
		if e, ok := event.(*remote.EndpointTerminatedEvent); ok {
			broken(e.Address)
		}
	})
	return nil
}

// Send passes a batch to the remote's writer for the address, which connects first when it must.
func (r *Remote) Send(addr string, batch *messages.Link) {
	defer func() {
		if p := recover(); p != nil { // a remote that is being stopped has no supervisor to ask for a writer
			r.log.Debug("batch not sent", "addr", addr, "panic", p)
		}
	}()
	r.system.Root.Send(actor.NewPID(addr, EarName), batch)
}

// Close removes the ear; what arrives later is lost.
func (r *Remote) Close() {
	if !r.started {
		return
	}
	r.system.EventStream.Unsubscribe(r.ended)
	r.system.ProcessRegistry.Remove(r.self)
}

// Attacher gives what gossip.Options.Attach wants: it opens links over the remote of the actor system that is about to be started, with Wire, Addr and
// what options says, and hands them to opened.
func Attacher(options Options, opened func(*Links)) func(*actor.ActorSystem, string) error {
	return func(system *actor.ActorSystem, addr string) error {
		options.Wire, options.Addr = NewRemote(system, options.Log), addr
		l, err := Open(options)
		if err == nil {
			opened(l)
		}
		return err
	}
}
