package entity

import (
	"context"
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
