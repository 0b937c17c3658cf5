package ingress

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"orderyard/messages"
)

const (
	doorIntake     = "intake"
	intakeConsumer = "intake"
	// intakeTriesMax is how often a message is tried whose failure is not said to pass (an internal one), before it is laid aside.
	// Failures that pass are tried for ever: an order is never given up because the house was busy.
	intakeTriesMax = 20
	// keepFor bounds the wait for the dead-letter stream; the message is delivered again when it is over.
	keepFor = 2 * time.Second
	// intakeWithin is the part of the delivery's time that an answer may take, so that the door gives up before the stream does.
	intakeWithin = 0.6
)

// intake is the durable door. One consumer is shared by all nodes; each message is open at one of them.
type intake struct {
	in       *Ingress
	door     *door
	consume  jetstream.ConsumeContext
	outcomes map[string]prometheus.Counter
}

func (in *Ingress) openIntake(ctx context.Context) error {
	limits := in.o.Limits
	consumer, err := in.js.CreateOrUpdateConsumer(ctx, messages.StreamIntake, jetstream.ConsumerConfig{
		Durable: intakeConsumer, Description: "places orders", AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: limits.IntakeWait, MaxAckPending: limits.IntakeMax, MaxDeliver: -1,
	})
	if err != nil {
		return fmt.Errorf("ingress: intake consumer: %w", err)
	}
	it := &intake{in: in, door: in.newDoor(doorIntake), outcomes: make(map[string]prometheus.Counter)}
	for _, outcome := range []string{"placed", "dead", "returned"} {
		it.outcomes[outcome] = in.metrics.intake.WithLabelValues(outcome)
	}
	it.consume, err = consumer.Consume(it.handle, jetstream.PullMaxMessages(limits.IntakeMax),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
			in.log.Warn("intake consumer", "error", err)
		}))
	if err != nil {
		return fmt.Errorf("ingress: intake: %w", err)
	}
	in.intake = it
	return nil
}

// stop takes no further messages. Those that are open are finished; those in the client's buffer are delivered again.
func (it *intake) stop() { it.consume.Stop() }

// handle runs on the consumer's goroutine and never waits.
func (it *intake) handle(m jetstream.Msg) {
	body := m.Data()
	if f := it.door.admit(1, len(body)); f != nil {
		it.giveBack(m, f)
		return
	}
	c := &call{
		door: it.door, weight: 1, size: len(body),
		expires: time.Now().Add(time.Duration(float64(it.door.limits.IntakeWait) * intakeWithin)).UnixMilli(),
	}
	req, f := it.request(m)
	if f != nil {
		c.complete = func(*call) { it.finish(m, f) }
		c.send(it.in.o.Actors, nil)
		return
	}
	req.Deadline = c.expires
	c.complete = func(c *call) { it.finish(m, c.replies[0].GetFailure()) }
	c.send(it.in.o.Actors, []messages.Request{req})
}

func (it *intake) request(m jetstream.Msg) (messages.Request, *messages.Failure) {
	id, f := commandID(m.Headers())
	if f != nil {
		return messages.Request{}, f
	}
	place, errs, f := it.in.readOrder(m.Data(), messages.LastToken(m.Subject()))
	if f == nil {
		f = messages.InvalidAll(errs)
	}
	if f == nil {
		f = it.in.prepare(place)
	}
	if f != nil {
		return messages.Request{}, f
	}
	return placeRequest(place, id), nil
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

// giveBack asks for the message again, later each time.
func (it *intake) giveBack(m jetstream.Msg, f *messages.Failure) {
	it.count("returned")
	wait := max(time.Duration(f.GetRetryAfterMs())*time.Millisecond, backOff(delivered(m)))
	if err := m.NakWithDelay(wait); err != nil {
		it.in.log.Debug("intake nak not sent", "error", err) // delivered again after AckWait
	}
}

// backOff doubles from 100 ms to 10 s.
func backOff(tries uint64) time.Duration {
	const first, last = 100 * time.Millisecond, 10 * time.Second
	return min(time.Duration(float64(first)*math.Pow(2, float64(min(tries, 16))-1)), last)
}

func (it *intake) count(outcome string) { it.outcomes[outcome].Inc() }
