package entity

import (
	"context"
	"fmt"
	"testing"
	"time"

	"orderyard/messages"
	"orderyard/persistence"
	"orderyard/persistence/memory"
)

// stuck is a store whose appends wait while the gate is shut.
type stuck struct {
	persistence.Store
	gate chan struct{}
}

func (s *stuck) Append(ctx context.Context, partition int, expect uint64, id string, record []byte) (uint64, error) {
	select {
	case <-s.gate:
	case <-ctx.Done():
		return 0, persistence.ErrUnknown
	}
	return s.Store.Append(ctx, partition, expect, id, record)
}

// While the journal does not answer, who asks is told so at once and may come back, instead of waiting for nothing; who asked before gets
// an answer when the journal does, and then everything goes on.
func TestStalledJournalIsTold(t *testing.T) {
	store := &stuck{Store: memory.New(), gate: make(chan struct{})}
	open := store.gate
	close(open)
	y := startYard(t, store, func(l *Limits) { l.StallAfterMs = 50 })
	defer stop(t, y)
	if r := y.ask("1", &messages.AdjustStock{Delta: 5}, "a"); r.Failure != nil {
		t.Fatal(r.Failure)
	}
	shut := make(chan struct{})
	store.gate = shut // nothing is under way: nobody reads it now
	waiting := make(chan *messages.Reply, 1)
	y.Send(messages.Request{To: toyRef("a"), CommandID: "2", Command: &messages.AdjustStock{Delta: 1}, Done: func(r *messages.Reply) { waiting <- r }})
	y.until("requests are told that the journal does not answer", func() bool {
		answer := make(chan *messages.Reply, 1)
		y.Send(messages.Request{To: toyRef("a"), Command: &messages.GetStock{}, Deadline: time.Now().Add(time.Minute).UnixMilli(), Done: func(r *messages.Reply) { answer <- r }})
		select {
		case r := <-answer:
			return r.GetFailure().GetCode() == messages.CodeUnavailable && r.Failure.Retryable
		case <-time.After(10 * time.Millisecond): // asked too early: it waits with the other
			return false
		}
	})
	close(shut)
	if r := <-waiting; r.GetStock().GetAtp() != 6 {
		t.Fatalf("who waited was answered %v", r)
	}
	y.until("requests are answered again", func() bool { return y.ask("", &messages.GetStock{}, "a").GetStock().GetAtp() == 6 })
}

// Proves that the node hears the last of an entity before it becomes bytes: two commands wait for a journal that does not answer, meanwhile the entity
// has been idle for so long that it is told to rest, and what the second one did must be seen all the same.
func TestLastIsSeenBeforeRest(t *testing.T) {
	store := &stuck{Store: memory.New(), gate: make(chan struct{})}
	open := store.gate
	close(open)
	y := startYard(t, store, func(l *Limits) { l.PassivateAfterMs, l.StallAfterMs = 50, 60_000 })
	defer stop(t, y)
	y.ask("1", &messages.AdjustStock{Delta: 5}, "a")
	y.until("the entity rests", func() bool { return y.Stats().Passivations.Load() == 1 })
	shut := make(chan struct{})
	store.gate = shut // nothing is under way: nobody reads it now
	answers := make(chan *messages.Reply, 3)
	for i := range cap(answers) {
		y.Send(messages.Request{To: toyRef("a"), CommandID: fmt.Sprint("more", i), Command: &messages.AdjustStock{Delta: 1}, Done: func(r *messages.Reply) { answers <- r }})
		time.Sleep(5 * time.Millisecond) // the first one is on its way to the journal, the others share the next append
	}
	time.Sleep(time.Duration(sweepEveryMs)*time.Millisecond + 500*time.Millisecond) // it is told to rest
	close(shut)
	for range cap(answers) {
		<-answers
	}
	y.until("the entity rests again", func() bool { return y.Stats().Passivations.Load() == 2 })
	if v := y.seen.of(toyRef("a")); v.GetOnHand() != 8 {
		t.Fatalf("the node has seen %d units, there are 8", v.GetOnHand())
	}
}
