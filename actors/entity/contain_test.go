package entity

import (
	"context"
	"fmt"
	"testing"
	"time"

	"orderyard/cluster"
	"orderyard/messages"
	"orderyard/persistence"
	"orderyard/persistence/memory"
)

// calm is the toy of a program that was mended: it owes nothing at a time at which it would break.
type calm struct{ *toy }

func (c calm) Tasks(now int64, dst []messages.Task) []messages.Task {
	c.fuse = 0
	return c.toy.Tasks(now, dst)
}

// strict is the toy of a program that cannot take what an older one has written.
type strict struct{ *toy }

func (s strict) Evolve(e messages.Event, at int64) {
	if e, ok := e.(*messages.StockAdjusted); ok && e.Reason == "old" {
		panic("strict broke")
	}
	s.toy.Evolve(e, at)
}

// kindsOf are the toys, each wrapped.
func kindsOf(wrap func(*toy) Machine) Kinds {
	kind := toyKinds()[messages.KindBucket]
	load := kind.Load
	kind.New = func(id string) Machine { return wrap(&toy{id: id}) }
	kind.Load = func(id string, state []byte) (Machine, error) {
		m, err := load(id, state)
		if err != nil {
			return nil, err
		}
		return wrap(m.(*toy)), nil
	}
	return Kinds{messages.KindBucket: kind}
}

func startKinds(t *testing.T, store persistence.Store, kinds Kinds, change func(*Limits)) *yard {
	t.Helper()
	y := &yard{t: t, store: store, seen: &seen{}}
	limits := DefaultLimits()
	if change != nil {
		change(&limits)
	}
	var err error
	if y.Runtime, err = Start(RuntimeOptions{Node: "n", Incarnation: "1", Partitions: 4, Kinds: kinds, Limits: limits, Store: store, Observer: y.seen}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := y.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return y
}

// neighborOf is an entity in the same partition.
func neighborOf(id string) string {
	for i := 0; ; i++ {
		if other := fmt.Sprint(id, i); cluster.PartitionOf(toyRef(other), 4) == cluster.PartitionOf(toyRef(id), 4) {
			return other
		}
	}
}

func (y *yard) expect(id string, want int64) {
	y.t.Helper()
	y.until("an answer", func() bool { return !y.ask("", &messages.GetStock{}, id).GetFailure().GetRetryable() })
	if r := y.ask("", &messages.GetStock{}, id); r.Failure != nil || r.GetStock().GetAtp() != want {
		y.t.Errorf("%s answers %v, not %d", id, r, want)
	}
}

func (y *yard) quarantined(id string) {
	y.t.Helper()
	y.until(id+" is quarantined", func() bool {
		return y.ask("", &messages.GetStock{}, id).GetFailure().GetCode() == messages.CodeInternal
	})
}

// An entity that breaks when it says what it owes stops alone: while it is alive, when it is read back, and at the next start, whose partition is served
// with it and writes its checkpoints. What it was is not lost: a mended program has it, and its timers run.
func TestEntityThatCannotSayWhatItOwes(t *testing.T) {
	store := memory.New()
	change := func(l *Limits) { l.CrashesMax, l.CheckpointTailBytes, l.PassivateAfterMs = 2, 1, 1 }
	other := neighborOf("a")
	y := startKinds(t, store, toyKinds(), change)
	y.ask("c1", &messages.AdjustStock{Delta: 4}, "a")
	y.ask("c2", &messages.AdjustStock{Delta: 20, Reason: "fuse"}, "a")
	y.quarantined("a")
	y.ask("c3", &messages.AdjustStock{Delta: 7}, other)
	y.Kill()

	y = startKinds(t, store, toyKinds(), change)
	y.expect(other, 7)
	y.quarantined("a")
	y.until("a checkpoint", func() bool { return y.Stats().Checkpoints.Load() > 0 })
	stop(t, y)

	y = startKinds(t, store, kindsOf(func(m *toy) Machine { return calm{m} }), change)
	y.expect(other, 7)
	y.expect("a", 4)
	stop(t, y)
}

// An entity whose journal a program cannot take is refused alone: its partition is served without it, and writes no checkpoint that would make the loss
// final; a program that can take it has all of it.
func TestEntityThatCannotBeReplayed(t *testing.T) {
	store := memory.New()
	other := neighborOf("a")
	y := startKinds(t, store, toyKinds(), nil)
	y.ask("c1", &messages.AdjustStock{Delta: 4, Reason: "old"}, "a")
	y.ask("c2", &messages.AdjustStock{Delta: 1}, "a")
	y.ask("c3", &messages.AdjustStock{Delta: 7}, other)
	y.Kill()

	y = startKinds(t, store, kindsOf(func(m *toy) Machine { return strict{m} }), func(l *Limits) { l.CheckpointTailBytes = 1 })
	y.ask("c4", &messages.AdjustStock{Delta: 1}, other)
	y.expect(other, 8)
	if f := y.ask("", &messages.GetStock{}, "a").GetFailure(); f.GetCode() != messages.CodeUnavailable {
		t.Errorf("the entity answers %v", f)
	}
	stop(t, y)

	y = startKinds(t, store, toyKinds(), nil)
	y.expect("a", 5)
	y.expect(other, 8)
	stop(t, y)
}

// An entity that breaks when it says what others may know of it stops alone as well, and what it was asked for then did not happen.
func TestEntityThatCannotSayWhatItIs(t *testing.T) {
	y := startKinds(t, memory.New(), kindsOf(func(m *toy) Machine { return mum{m} }), func(l *Limits) { l.CrashesMax = 2 })
	y.ask("c1", &messages.AdjustStock{Delta: 4}, "a")
	if f := y.ask("c2", &messages.AdjustStock{Delta: 96}, "a").GetFailure(); f.GetCode() != messages.CodeInternal {
		t.Errorf("it answers %v", f)
	}
	y.expect("a", 4)
	y.ask("c3", &messages.AdjustStock{Delta: 7}, neighborOf("a"))
	y.expect(neighborOf("a"), 7)
	stop(t, y)
}

// mum has nothing to say when it is a hundred.
type mum struct{ *toy }

func (m mum) Summary() messages.Message {
	if m.sum == 100 {
		panic("mum broke")
	}
	return m.toy.Summary()
}
