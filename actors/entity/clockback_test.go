package entity

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"orderyard/messages"
	"orderyard/persistence/memory"
)

// Proves that entities become bytes although the clock was set back by an hour: whoever was awake before, and whoever woke after.
func TestSweepAfterClockSetBack(t *testing.T) {
	var ahead atomic.Int64
	ahead.Store(time.Hour.Milliseconds())
	y := &yard{t: t, seen: &seen{}}
	limits := DefaultLimits()
	limits.PassivateAfterMs = 50
	var err error
	y.Runtime, err = Start(RuntimeOptions{
		Node: "n", Incarnation: "1", Partitions: 1, Kinds: toyKinds(), Limits: limits, Store: memory.New(), Observer: y.seen,
		Clock: func() int64 { return time.Now().UnixMilli() + ahead.Load() },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, y)
	y.until("ready", y.Ready)
	y.ask("1", &messages.AdjustStock{Delta: 1}, "before")
	ahead.Store(0)
	y.ask("2", &messages.AdjustStock{Delta: 1}, "after")
	y.until("both rest", func() bool { return y.Stats().Passivations.Load() >= 2 })
}

// Proves that a node which waits for a partition to end is told when the partition is dropped meanwhile, for another has claimed it.
func TestDropEndsTheWait(t *testing.T) {
	store := &stuck{Store: memory.New(), gate: openGate()}
	y := startYard(t, store, nil)
	y.ask("1", &messages.AdjustStock{Delta: 1}, "a")
	shut := make(chan struct{})
	store.gate = shut // nothing is under way: nobody reads it now
	y.Send(messages.Request{To: toyRef("a"), CommandID: "2", Command: &messages.AdjustStock{Delta: 1}, Done: func(*messages.Reply) {}})
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- y.Stop(ctx) }()
	y.until("the others have ended", func() bool { return len(y.Partitions()) == 0 })
	for p := range 4 {
		y.Drop(p)
	}
	if err := <-stopped; err != nil || ctx.Err() != nil {
		t.Errorf("the stop ended with %v", err)
	}
	close(shut)
}
