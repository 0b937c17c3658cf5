package load

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"orderyard/messages"
)

const (
	heardWithin = 15 * time.Second // from rest: events of a node that died come with the next owner's
	heardAtOnce = 500
)

// heard looks whether every acknowledged order was told to the public, and counts those that were not: events leave at least once, whatever was killed
// meanwhile.
func (l *Load) heard(ctx context.Context) int {
	ctx, cancel := context.WithTimeout(ctx, heardWithin)
	defer cancel()
	untold := map[string]bool{}
	for _, o := range l.Orders() {
		if o.Known {
			untold[o.ID] = true
		}
	}
	js, err := jetstream.New(l.ask.Conn())
	if err != nil {
		l.wrong.add("public events: %v", err)
		return 0
	}
	consumer, err := js.OrderedConsumer(ctx, messages.StreamEvents, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{messages.EventSubject("order", "placed", "*")},
	})
	if err != nil {
		l.wrong.add("public events: %v", err)
		return 0
	}
	for len(untold) > 0 && ctx.Err() == nil {
		batch, err := consumer.Fetch(heardAtOnce, jetstream.FetchMaxWait(time.Second))
		if err != nil {
			time.Sleep(100 * time.Millisecond) // no server at the moment
			continue
		}
		for m := range batch.Messages() {
			delete(untold, m.Headers().Get("ce-subject"))
		}
	}
	for id := range untold {
		if !l.o.EventsMayBeLost {
			l.wrong.add("that order %s was placed was never told to the public (%d such)", id, len(untold))
		}
		break
	}
	return len(untold)
}
