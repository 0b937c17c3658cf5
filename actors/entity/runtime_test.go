package entity

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"orderyard/messages"
	"orderyard/persistence"
	"orderyard/persistence/memory"
)

type seen struct{ sync.Map }

func (s *seen) Observe(ref messages.Ref, summary messages.Message, _ []string) { s.Store(ref, summary) }

func (s *seen) of(ref messages.Ref) *messages.BucketView {
	v, _ := s.Load(ref)
	view, _ := v.(*messages.BucketView)
	return view
}

type yard struct {
	*Runtime
	t     testing.TB
	store persistence.Store
	seen  *seen
}

func startYard(t testing.TB, store persistence.Store, change func(*Limits)) *yard {
	t.Helper()
	y := &yard{t: t, store: store, seen: &seen{}}
	limits := DefaultLimits()
	if change != nil {
		change(&limits)
	}
	r, err := Start(RuntimeOptions{Node: "n", Incarnation: "1", Partitions: 4, Kinds: toyKinds(), Limits: limits, Store: store, Observer: y.seen})
	if err != nil {
		t.Fatal(err)
	}
	y.Runtime = r
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := r.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return y
}

func (y *yard) ask(id string, cmd messages.Command, to string) *messages.Reply {
	y.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	reply, err := y.Ask(ctx, messages.Request{To: toyRef(to), CommandID: id, Command: cmd})
	if err != nil {
		y.t.Fatalf("%s to %s: %v", id, to, err)
	}
	return reply
}

func (y *yard) until(what string, ok func() bool) {
	y.t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			y.t.Fatalf("waited 20 s for: %s", what)
		}
	}
}

// Everything that was answered is there after a kill without a word, and the answers are remembered: 64 clients change 50 entities,
// the node is killed in the middle, the survivors of the journal must hold exactly the acknowledged sum or more, never less.
func TestKilledNodeKeepsWhatItAnswered(t *testing.T) {
	store := memory.New()
	y := startYard(t, store, nil)
	var acked [50]atomic.Int64
	var wg sync.WaitGroup
	for c := range 64 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 100 {
				to := (c*7 + i) % 50
				ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
				reply, err := y.Ask(ctx, messages.Request{To: toyRef(fmt.Sprint(to)), CommandID: fmt.Sprintf("c%d-%d", c, i), Command: &messages.AdjustStock{Delta: 1}})
				cancel()
				if err == nil && reply.Failure == nil {
					acked[to].Add(1)
				}
				if c == 0 && i == 60 {
					y.Kill()
				}
			}
		}()
	}
	wg.Wait()
	again := startYard(t, store, nil)
	total := int64(0)
	for i := range acked {
		sum := again.ask("", &messages.GetStock{}, fmt.Sprint(i)).GetStock().Atp
		if sum < acked[i].Load() {
			t.Errorf("entity %d: %d answered, %d remembered", i, acked[i].Load(), sum)
		}
		total += acked[i].Load()
	}
	if total == 0 {
		t.Fatal("nothing was acknowledged: the test proves nothing")
	}
	if r := again.ask("c0-0", &messages.AdjustStock{Delta: 1}, "0"); !r.Replayed {
		t.Fatalf("the first answer is forgotten: %v", r)
	}
	stop(t, again)
}

// Entities that nobody asks become bytes and come back with everything they knew; their timers ring while they sleep, also across
// a restart.
func TestSleepingEntityKeepsStateAndTimer(t *testing.T) {
	store := memory.New()
	y := startYard(t, store, func(l *Limits) { l.PassivateAfterMs = 1 })
	y.ask("c1", &messages.AdjustStock{Delta: 7}, "a")
	y.ask("c2", &messages.SetStock{OnHand: 2500}, "a") // rings in 2.5 s
	y.until("the entity sleeps", func() bool { return y.Stats().Passivations.Load() >= 1 })
	if got := y.ask("", &messages.GetStock{}, "a").GetStock().Atp; got != 7 {
		t.Fatalf("woke up with %d", got)
	}
	stop(t, y)
	again := startYard(t, store, func(l *Limits) { l.PassivateAfterMs = 1 })
	again.until("the timer rang", func() bool { v := again.seen.of(toyRef("a")); return v != nil && v.Allocated == 1 })
	stop(t, again)
}

// What an entity owes its neighbor arrives exactly once, whatever sleeps or restarts in between.
func TestTaskReachesNeighborOnce(t *testing.T) {
	store := memory.New()
	y := startYard(t, store, func(l *Limits) { l.PassivateAfterMs = 1 })
	for i := range 20 {
		y.ask(fmt.Sprint("t", i), &messages.ReserveStock{ReservationId: fmt.Sprint("n", i)}, "sender")
	}
	y.until("all were told", func() bool { v := y.seen.of(toyRef("sender")); return v != nil && v.Reserved == 20 })
	stop(t, y)
	again := startYard(t, store, nil)
	for i := range 20 {
		if got := again.ask("", &messages.GetStock{}, fmt.Sprint("n", i)).GetStock().Atp; got != 1 {
			t.Errorf("neighbor %d was told %d times", i, got)
		}
	}
	stop(t, again)
}

// A command that panics gets an error; the entity is read back from the journal and goes on, its neighbors never stop, and after
// CrashesMax it is quarantined.
func TestPoisonIsQuarantined(t *testing.T) {
	y := startYard(t, memory.New(), func(l *Limits) { l.CrashesMax = 3 })
	y.ask("c1", &messages.AdjustStock{Delta: 4}, "a")
	for i := range 3 {
		if r := y.ask(fmt.Sprint("p", i), &messages.AdjustStock{Reason: "panic"}, "a"); r.GetFailure().GetCode() != messages.CodeInternal {
			t.Fatalf("poison %d: %v", i, r)
		}
		if i < 2 {
			y.until("the entity is back", func() bool { return y.ask("", &messages.GetStock{}, "a").GetStock().GetAtp() == 4 })
		}
	}
	y.until("the entity is quarantined", func() bool {
		return y.ask("", &messages.GetStock{}, "a").GetFailure().GetCode() == messages.CodeInternal
	})
	if r := y.ask("n", &messages.AdjustStock{Delta: 1}, "b"); r.Failure != nil {
		t.Fatalf("the neighbor suffers: %v", r)
	}
	stop(t, y)
}

// Asking for entities that nothing ever happened to leaves no trace: probing ids cannot fill the memory.
func TestProbingLeavesNoTrace(t *testing.T) {
	y := startYard(t, memory.New(), func(l *Limits) { l.PassivateAfterMs = 1 })
	for i := range 200 {
		y.ask("", &messages.GetStock{}, fmt.Sprint("ghost", i))
	}
	y.until("the ghosts are gone", func() bool {
		n := int64(0)
		for _, pt := range y.parts {
			n += pt.p.entities.Load()
		}
		return n == 0
	})
	stop(t, y)
}

// A checkpoint taken while entities change is enough to start from, with the journal below it gone.
func TestCheckpointUnderLoad(t *testing.T) {
	store := memory.New()
	y := startYard(t, store, func(l *Limits) { l.CheckpointTailBytes = 20_000; l.PassivateAfterMs = 50 })
	n := int64(0)
	y.until("four checkpoints", func() bool {
		for range 50 {
			n++
			y.ask(fmt.Sprint("c", n), &messages.AdjustStock{Delta: 1}, fmt.Sprint(n%10))
		}
		return y.Stats().Checkpoints.Load() >= 4
	})
	y.Kill()
	again := startYard(t, store, nil)
	sum := int64(0)
	for i := range 10 {
		sum += again.ask("", &messages.GetStock{}, fmt.Sprint(i)).GetStock().Atp
	}
	if sum != n {
		t.Fatalf("%d acknowledged, %d after the restart", n, sum)
	}
	if r := again.ask("c1", &messages.AdjustStock{Delta: 1}, "1"); !r.Replayed {
		t.Fatalf("the checkpoint lost the first answer: %v", r)
	}
	stop(t, again)
}

// untidy is a store that keeps a checkpoint and cannot remove what it makes superfluous.
type untidy struct {
	persistence.Store
	writes atomic.Int64
}

func (u *untidy) Write(ctx context.Context, partition int, m persistence.Manifest, slices iter.Seq2[[]byte, error]) error {
	u.writes.Add(1)
	if err := u.Store.Write(ctx, partition, m, slices); err != nil {
		return err
	}
	return fmt.Errorf("removing older ones failed: %w", persistence.ErrUntidy)
}

// A checkpoint that is stored counts, also when the store could not tidy up behind it: else the next sweep would write another, without end, until the
// disk is full. A node that stops has its last checkpoint, too.
func TestUntidyCheckpointCounts(t *testing.T) {
	store := &untidy{Store: memory.New()}
	y := startYard(t, store, func(l *Limits) { l.CheckpointTailBytes = 1 })
	y.ask("c1", &messages.AdjustStock{Delta: 1}, "a")
	y.until("a checkpoint", func() bool { return store.writes.Load() > 0 })
	y.until("it counts", func() bool { return y.Stats().Checkpoints.Load() == store.writes.Load() })
	y.ask("c2", &messages.AdjustStock{Delta: 1}, "a")
	stop(t, y)
}

// A follower sees every commit once and in order, from memory or from the journal, however late it comes.
func TestFollowerMissesNothing(t *testing.T) {
	y := startYard(t, memory.New(), func(l *Limits) { l.FeedBytesMax = 2000 })
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var early, late atomic.Int64
	follow := func(count *atomic.Int64) {
		for _, p := range y.Partitions() {
			go func() {
				last := uint64(0)
				_ = y.Follow(ctx, p, 0, func(position uint64, c *messages.Commit) error {
					if position <= last {
						t.Errorf("position %d after %d", position, last)
					}
					last = position
					count.Add(int64(len(c.Entries)))
					return nil
				})
			}()
		}
	}
	follow(&early)
	for i := range 500 {
		y.ask(fmt.Sprint("c", i), &messages.AdjustStock{Delta: 1}, fmt.Sprint(i%20))
	}
	follow(&late)
	y.until("both saw all", func() bool { return early.Load() == 500 && late.Load() == 500 })
	stop(t, y)
}

func stop(t testing.TB, y *yard) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := y.Stop(ctx); err != nil {
		t.Fatal(err)
	}
}

// One entity, 256 clients, memory journal: what the runtime itself costs.
func BenchmarkHotEntity(b *testing.B) {
	y := startYard(b, memory.New(), nil)
	b.ReportAllocs()
	b.SetParallelism(128)
	var n atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			y.ask(fmt.Sprint("c", n.Add(1)), &messages.AdjustStock{Delta: 1}, "hot")
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(y.Stats().Entries.Load())/float64(y.Stats().Commits.Load()), "commands/commit")
	stop(b, y)
}

// Whoever waits at an entity that panics gets an answer all the same, and nothing stays counted as under way: 500 requests are in the
// mailbox when the poison among them strikes.
func TestPanicAnswersEverybody(t *testing.T) {
	y := startYard(t, memory.New(), nil)
	var answers atomic.Int64
	for i := range 500 {
		cmd := &messages.AdjustStock{Delta: 1}
		if i == 100 {
			cmd.Reason = "panic"
		}
		y.Send(messages.Request{To: toyRef("a"), CommandID: fmt.Sprint("c", i), Command: cmd, Done: func(*messages.Reply) { answers.Add(1) }})
	}
	y.until("all are answered", func() bool { return answers.Load() == 500 && y.Inflight() == 0 })
	stop(t, y)
}
