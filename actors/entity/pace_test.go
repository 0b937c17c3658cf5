package entity

import (
	"fmt"
	"testing"
	"time"

	"orderyard/messages"
	"orderyard/persistence/memory"
)

// Proves who waits for company and who never does: by how full the last append was, how long it took, and how much waits already.
func TestPace(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name          string
		entries       int
		took          time.Duration
		since         time.Duration
		waiting       int
		pace, expects time.Duration
	}{
		{"a lone caller, one command after the other", 1, 3 * ms / 10, 3 * ms / 10, 1, ms, 0},
		{"three of them", 3, 3 * ms / 10, 3 * ms / 10, 2, ms, 0},
		{"a few, on a quick disk", 9, 3 * ms / 10, 3 * ms / 10, 0, ms, 7 * ms / 10},
		{"a few, some of them there already", 9, 3 * ms / 10, 3 * ms / 10, 63, ms, 7 * ms / 10},
		{"a full load", 9, 3 * ms / 10, 3 * ms / 10, 64, ms, 0},
		{"a journal that others use, too, has a rest as long as the append took", 9, 8 * ms / 10, 8 * ms / 10, 5, ms, 8 * ms / 10},
		{"a slow disk: a pace at most", 9, 8 * ms, 8 * ms, 5, ms, ms},
		{"nothing came for a while", 9, ms / 2, 5 * ms, 1, ms, -4 * ms},
		{"no pace", 9, 3 * ms / 10, 3 * ms / 10, 0, 0, 0},
	} {
		last := lastAppend{entries: c.entries, took: c.took}
		if got := last.pace(c.pace, c.since, c.waiting); got != c.expects {
			t.Errorf("%s: %s, want %s", c.name, got, c.expects)
		}
	}
}

// Proves that a few entries wait for company, and that enough of them end the wait: with a pace of an hour, whoever asks behind an append of eleven waits
// until 64 do, and then all are answered from one append.
func TestEnoughEndsTheWait(t *testing.T) {
	store := &stuck{Store: memory.New(), gate: make(chan struct{})}
	close(store.gate)
	y := startYard(t, store, func(l *Limits) { l.CommitPace, l.StallAfterMs = time.Hour, 60_000 })
	defer stop(t, y)
	for i := range 20 {
		y.ask(fmt.Sprint("alone", i), &messages.AdjustStock{Delta: 1}, "a")
	}
	shut := make(chan struct{})
	store.gate = shut // nothing is under way: nobody reads it now
	answers := make(chan *messages.Reply, 200)
	sent := 0
	send := func(n int) {
		for range n {
			sent++
			y.Send(messages.Request{To: toyRef("a"), CommandID: fmt.Sprint("c", sent), Command: &messages.AdjustStock{Delta: 1}, Done: func(r *messages.Reply) { answers <- r }})
		}
	}
	waiting := func() (under bool, gathered int) {
		for _, part := range y.parts {
			c := part.p.committer
			c.mu.Lock()
			gathered += c.batches.Gathered()
			c.mu.Unlock()
			under = under || c.began.Load() != 0
		}
		return under, gathered
	}
	before := y.Stats().Commits.Load()
	send(1)
	y.until("an append is under way", func() bool { under, n := waiting(); return under && n == 0 })
	send(11)
	y.until("eleven entries share the next one", func() bool { _, n := waiting(); return n == 11 })
	close(shut)
	for range sent {
		<-answers
	}
	send(paceEnough - 1)
	select {
	case r := <-answers:
		t.Fatalf("one of %d was answered: %v", paceEnough-1, r)
	case <-time.After(50 * time.Millisecond):
	}
	send(1)
	for range paceEnough {
		<-answers
	}
	if n := y.Stats().Commits.Load() - before; n != 3 {
		t.Errorf("%d appends instead of 3", n)
	}
}
