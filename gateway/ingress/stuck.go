package ingress

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"orderyard/messages"
)

// An order of the intake is never given up, and there are orders that cannot be placed for hours: a partition whose journal is damaged is
// refused until an operator has looked at it, while all others are served. Its orders may be thousands, and the others must not feel them.
//
//   - A message that waits for its next delivery counts as delivered and not acknowledged, and at MaxAckPending the server delivers nothing
//     new. So that bound is far above what nodes have open, and each node bounds that itself, by what it asks for.
//   - From its third delivery on a message keeps its place at a node for a moment only, and comes again after a time that grows to minutes.
//     Its command may still reach its actor when the door has turned away: what was placed then is acknowledged as a repeat next time. So an
//     order of which only the answer is slow is not tried for ever.
//   - The server delivers what comes again before what is new. What was given back together must not come back together, so the times are
//     spread.
//   - That nobody answered one says nothing about how long the house takes: see call.told.
const (
	// intakePendingMax is how many messages may be delivered and not acknowledged, of all nodes together: of the orders of an hour at 500 a
	// second, those of one partition of 32. With more, nothing new comes until their partition is served. The server looks through all of them
	// whenever one is due, so it is not more.
	intakePendingMax = 64 << 10
	// stuckFrom is the delivery from which on a message counts as stuck. Two fail when a partition moves or a node stops.
	stuckFrom = 3
	// stuckWithin is how long the door waits for the answer to a stuck one: many times what a command takes.
	stuckWithin = time.Second
	// againMin is the time to the second delivery; to the third it is twice as much.
	againMin = 100 * time.Millisecond
	// stuckAgainMin and stuckAgainMax bound the time to its next delivery, which doubles: 10,000 stuck ones are 33 deliveries a second.
	stuckAgainMin, stuckAgainMax = 2 * time.Second, 5 * time.Minute
	// pendingRefused is the code of nats-server's errors.json for a MaxAckPending above what the server, the account or the stream allows.
	pendingRefused = 10121
)

// ensureConsumer makes the one consumer, or brings the one that is there to this build's bounds, as far as the server allows. Each node
// does so when it starts and when it could not pull; nobody looks for what another one has made of it since. So an earlier build, which
// wants a smaller MaxAckPending, does not wrestle with this one, and the last node of an upgrade decides.
func (it *intake) ensureConsumer(ctx context.Context) (consumer jetstream.Consumer, err error) {
	for most := intakePendingMax; ; most /= 2 {
		consumer, err = it.in.js.CreateOrUpdateConsumer(ctx, messages.StreamIntake, jetstream.ConsumerConfig{
			Durable: intakeConsumer, Description: "places orders", AckPolicy: jetstream.AckExplicitPolicy,
			AckWait: it.in.o.Limits.IntakeWait, MaxAckPending: most, MaxDeliver: -1,
		})
		var refused *jetstream.APIError
		if most == 1 || !errors.As(err, &refused) || refused.ErrorCode != pendingRefused {
			return consumer, err
		}
	}
}

// room is how many messages may be pulled now: as many as the gate lets in, and as this node may have open beside those that are.
func (it *intake) room() int {
	free := it.door.limits.IntakeMax - int(it.door.requests.Load())
	if free <= 0 {
		return 0
	}
	return it.in.gate.room(partyIntake, free)
}

// usual is how long the command of a message may take: as long as any caller's, and so that the door gives up before the stream does.
func (it *intake) usual() time.Duration {
	l := it.door.limits
	return min(l.Deadline, time.Duration(float64(l.IntakeWait)*intakeWithin))
}

// within is how long the door waits for the answer to a message.
func (it *intake) within(tries uint64) time.Duration {
	usual := it.usual() + it.door.limits.Grace
	if tries < stuckFrom {
		return usual
	}
	return min(stuckWithin, usual)
}

// backOff is the time to the next delivery. It doubles, from 100 ms at first and anew from the delivery on that counts as stuck; the times of
// stuck ones are spread over as much as they are.
func backOff(tries uint64) time.Duration {
	if tries < stuckFrom {
		return againMin << (max(tries, 1) - 1)
	}
	doubled := float64(stuckAgainMin) * math.Pow(2, float64(min(tries, 64)-stuckFrom))
	wait := time.Duration(min(doubled, float64(stuckAgainMax)))
	return wait/2 + rand.N(wait)
}
