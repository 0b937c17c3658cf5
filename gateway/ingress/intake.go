package ingress

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"orderyard/messages"
	oyjs "orderyard/persistence/jetstream"
)

const (
	doorIntake     = "intake"
	intakeConsumer = "intake"
	// intakeTriesMax is how often a message is tried whose failure is not said to pass (an internal one), before it is laid aside.
	// Failures that pass are tried for ever: an order is never given up because the house was busy.
	intakeTriesMax = 9
	// keepFor bounds the wait for the dead-letter stream; the message is delivered again when it is over.
	keepFor = 2 * time.Second
	// intakeWithin is the part of the delivery's time that an answer may take, so that the door gives up before the stream does.
	intakeWithin = 0.6
)

// intake is the durable door. One consumer is shared by all nodes; each message is open at one of them.
type intake struct {
	in       *Ingress
	door     *door
	outcomes map[string]prometheus.Counter

	draining atomic.Bool
	newest   atomic.Int64    // when the newest message came, in Unix milliseconds
	pulling  context.Context // ends a pull in the middle
	giveUp   context.CancelFunc
	ended    chan struct{} // no message comes any more
}

const (
	// pullFor is how long one pull lasts when few messages come, and so how long a drain of the intake takes. One that lasts longer
	// would save nothing worth it: a pull a second.
	pullFor = time.Second
	// pullAgainMin and pullAgainMax bound the back-off when the consumer cannot be pulled from.
	pullAgainMin, pullAgainMax = 50 * time.Millisecond, time.Second
	// roomAgain is when to look again where there was no room: a part of the time a command takes under load.
	roomAgain = 5 * time.Millisecond
	// consumerFor bounds one attempt to make the consumer again.
	consumerFor = 2 * time.Second
)

// openIntake starts to take messages.
func (in *Ingress) openIntake(ctx context.Context) (*intake, error) {
	it := noIntake()
	it.in = in
	consumer, err := it.consumer(ctx)
	if err != nil {
		return nil, err
	}
	it.door = in.newDoor(doorIntake)
	it.outcomes = make(map[string]prometheus.Counter)
	for _, outcome := range []string{"placed", "dead", "returned"} {
		it.outcomes[outcome] = in.metrics.intake.WithLabelValues(outcome)
	}
	it.pulling, it.giveUp = context.WithCancel(context.Background())
	it.ended = make(chan struct{})
	go it.pull(consumer)
	return it, nil
}

// noIntake has ended before it began.
func noIntake() *intake {
	it := &intake{giveUp: func() {}, ended: make(chan struct{})}
	close(it.ended)
	return it
}

// consumer makes the one consumer, or finds it.
func (it *intake) consumer(ctx context.Context) (jetstream.Consumer, error) {
	var consumer jetstream.Consumer
	err := oyjs.Patiently(ctx, func(ctx context.Context) (err error) {
		consumer, err = it.ensureConsumer(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ingress: intake consumer: %w", err)
	}
	return consumer, nil
}

// pullNoMore lets the present pull be the last. What it still brings is handled as ever.
func (it *intake) pullNoMore() { it.draining.Store(true) }

// idle says that no message came lately.
func (it *intake) idle() bool {
	return it.in.o.Clock()-it.newest.Load() > pullFor.Milliseconds()
}

// pull asks for messages again and again. (The client's own Consume cannot stop asking without leaving its last pull.)
func (it *intake) pull(consumer jetstream.Consumer) {
	defer close(it.ended)
	wait := pullAgainMin
	for !it.draining.Load() && it.pulling.Err() == nil {
		err := it.pullOnce(consumer)
		if err == nil {
			wait = pullAgainMin
			continue
		}
		if it.pulling.Err() != nil {
			return
		}
		it.in.log.Warn("intake interrupted", "error", err, "retry_in", wait)
		select {
		case <-time.After(wait):
		case <-it.pulling.Done():
			return
		}
		wait = min(2*wait, pullAgainMax)
		ctx, cancel := context.WithTimeout(it.pulling, consumerFor)
		if again, err := it.consumer(ctx); err == nil {
			consumer = again
		}
		cancel()
	}
}

// pullOnce handles what one pull brings, until it is full or over. It asks for as much as there is room for and waits while there is
// none: what is not pulled is safe in its stream, and pulling it to give it back would only be work.
func (it *intake) pullOnce(consumer jetstream.Consumer) error {
	room := it.room()
	if room == 0 {
		select {
		case <-time.After(roomAgain):
		case <-it.pulling.Done():
		}
		return nil
	}
	batch, err := consumer.Fetch(room, jetstream.FetchContext(pullContext{it.pulling, time.Now().Add(pullFor)}))
	if err != nil {
		return err
	}
	for m := range batch.Messages() {
		it.newest.Store(it.in.o.Clock())
		it.handle(m)
	}
	return batch.Error()
}

// pullContext tells the server when a pull is over, and does not end itself then: what was sent in time must not be dropped because
// it comes late. The server says when it is over.
type pullContext struct {
	context.Context
	over time.Time
}

// Deadline implements context.Context.
func (c pullContext) Deadline() (time.Time, bool) { return c.over, true }

// handle runs on the pulling goroutine and never waits.
func (it *intake) handle(m jetstream.Msg) {
	body := m.Data()
	if f := it.door.admit(1, len(body), true); f != nil {
		it.giveBack(m, f)
		return
	}
	c := &call{door: it.door, weight: 1, size: len(body), ticket: it.in.gate.enter(partyIntake, time.Now()), queued: true}
	deadline, within := it.in.o.Clock()+it.usual().Milliseconds(), it.within(delivered(m)).Milliseconds()
	it.request(m, deadline, func(req messages.Request, f *messages.Failure) {
		c.expires = it.in.o.Clock() + within
		if f != nil {
			c.complete = func(*call) { it.finish(m, f) }
			c.send(it.in.o.Actors, nil)
			return
		}
		req.Deadline = deadline
		c.complete = func(c *call) { it.finish(m, c.replies[0].GetFailure()) }
		c.send(it.in.o.Actors, []messages.Request{req})
	})
}

// request makes the placement of a message and goes on with then, at once or a moment later.
func (it *intake) request(m jetstream.Msg, deadline int64, then func(messages.Request, *messages.Failure)) {
	id, f := commandID(m.Headers())
	if f != nil {
		then(messages.Request{}, f)
		return
	}
	place, errs, f := it.in.readOrder(m.Data(), messages.LastToken(m.Subject()))
	if f != nil {
		then(messages.Request{}, f)
		return
	}
	it.in.prepared(place, errs, deadline, func(f *messages.Failure) {
		if f != nil {
			then(messages.Request{}, f)
			return
		}
		then(placeRequest(place, id), nil)
	})
}

// finish runs on a responder, which may wait: the queue's own bound is what keeps senders back.
func (it *intake) finish(m jetstream.Msg, f *messages.Failure) {
	switch {
	case f == nil:
		it.count("placed")
		if err := m.Ack(); err != nil {
			it.in.log.Debug("intake ack not sent", "error", err) // delivered again, answered as a repeat
		}
	case it.hopeless(m, f):
		ctx, cancel := context.WithTimeout(context.Background(), keepFor)
		defer cancel()
		if err := it.in.dead.keep(ctx, doorIntake, m.Subject(), m.Data(), f); err != nil {
			it.in.log.Warn("intake message stays in its queue", "error", err)
			it.giveBack(m, messages.Retry(messages.CodeUnavailable, 0, "the dead letter was not kept"))
			return
		}
		it.count("dead")
		if err := m.Ack(); err != nil {
			it.in.log.Debug("intake ack not sent", "error", err) // a second letter is made
		}
	default:
		it.giveBack(m, f)
	}
}

// hopeless says that delivering the message again changes nothing.
func (it *intake) hopeless(m jetstream.Msg, f *messages.Failure) bool {
	switch f.GetCode() {
	case messages.CodeInvalid, messages.CodeConflict:
		return true
	}
	return !f.GetRetryable() && delivered(m) >= intakeTriesMax
}

func delivered(m jetstream.Msg) uint64 {
	meta, err := m.Metadata()
	if err != nil {
		return 1
	}
	return meta.NumDelivered
}

// giveBack asks for the message again, later each time; at once when this node stops, for the others do not.
func (it *intake) giveBack(m jetstream.Msg, f *messages.Failure) {
	it.count("returned")
	wait := max(time.Duration(f.GetRetryAfterMs())*time.Millisecond, backOff(delivered(m)))
	if it.door.closing.Load() {
		wait = 0
	}
	if err := m.NakWithDelay(wait); err != nil {
		it.in.log.Debug("intake nak not sent", "error", err) // delivered again after AckWait
	}
}

func (it *intake) count(outcome string) { it.outcomes[outcome].Inc() }
