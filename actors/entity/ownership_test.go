package entity

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"orderyard/cluster"
	"orderyard/messages"
	"orderyard/persistence"
	"orderyard/persistence/faulty"
	"orderyard/persistence/memory"
)

// pair is two nodes on one store; partitions move between them by hand, and a request goes to whoever serves.
type pair struct {
	t     testing.TB
	store persistence.Store
	views [2]persistence.Store // what a node sees of the store, when not the store itself
	limit Limits
	nodes [2]*Runtime
	lease [2]atomic.Bool

	mu    sync.Mutex
	heard []string
}

const pairPartitions = 4

func startPair(t testing.TB) *pair {
	return startPairWith(&pair{t: t, store: memory.New(), limit: DefaultLimits()})
}

func startPairWith(p *pair) *pair {
	for i := range p.nodes {
		p.lease[i].Store(true)
		p.nodes[i] = p.start(i)
	}
	return p
}

func (p *pair) start(i int) *Runtime {
	p.t.Helper()
	store := p.store
	if p.views[i] != nil {
		store = p.views[i]
	}
	r, err := Start(RuntimeOptions{
		Node: fmt.Sprint("n", i), Incarnation: fmt.Sprint(i), Partitions: pairPartitions, Kinds: toyKinds(), Limits: p.limit, Store: store,
		Observer: &seen{}, Cluster: &ClusterOptions{
			Router: p, Lease: func(int) bool { return p.lease[i].Load() },
			Changed: func(partition int, phase cluster.Phase) {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.heard = append(p.heard, fmt.Sprintf("n%d %d %s", i, partition, phase))
			},
		},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := r.Stop(ctx); err != nil {
			p.t.Error(err)
		}
	})
	return r
}

// Send implements Router: it goes to the node that serves the partition, if there is one.
func (p *pair) Send(req messages.Request) {
	partition := cluster.PartitionOf(req.To, pairPartitions)
	for _, n := range p.nodes {
		if phase, _ := n.Local(partition); phase == cluster.PhaseServing || phase == cluster.PhaseOpening {
			n.Send(req)
			return
		}
	}
	(&envelope{Request: req}).reply(p, moved(&envelope{Request: req}))
}

func (p *pair) until(node, partition int, want cluster.Phase) persistence.Mark {
	p.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		phase, mark := p.nodes[node].Local(partition)
		if phase == want {
			return mark
		}
		if time.Now().After(end) {
			p.t.Fatalf("node %d partition %d is %s, not %s", node, partition, phase, want)
		}
	}
}

func (p *pair) move(partition, from, to int) {
	p.t.Helper()
	p.nodes[to].Warm(partition)
	p.until(to, partition, cluster.PhaseWarm)
	p.nodes[from].Close(partition)
	mark := p.until(from, partition, cluster.PhaseClosed)
	p.nodes[to].Open(partition, mark)
	p.until(to, partition, cluster.PhaseServing)
	p.nodes[from].Drop(partition)
	p.until(from, partition, cluster.PhaseIdle)
}

// ask repeats a request with its id while the answer is retryable, as the cluster's router does.
func (p *pair) ask(to, id string, cmd messages.Command) *messages.Reply {
	p.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		answer := make(chan *messages.Reply, 1)
		p.Send(messages.Request{To: toyRef(to), CommandID: id, Command: cmd, Done: func(r *messages.Reply) { answer <- r }})
		if r := <-answer; !r.GetFailure().GetRetryable() || time.Now().After(end) {
			return r
		}
	}
}

// A partition moves to and fro while clients add to its entities without a pause: every acknowledged addition counts once, none fails for
// good, and entities that owe each other something keep their word across the border.
func TestPartitionMovesUnderLoad(t *testing.T) {
	p := startPair(t)
	for i := range pairPartitions {
		p.nodes[0].Open(i, persistence.Mark{})
		p.until(0, i, cluster.PhaseServing)
	}
	var wg sync.WaitGroup
	var acked [12]atomic.Int64
	stopAt := make(chan struct{})
	for c := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stopAt:
					return
				default:
				}
				to := (c + i) % len(acked)
				if r := p.ask(fmt.Sprint(to), fmt.Sprintf("c%d-%d", c, i), &messages.AdjustStock{Delta: 1}); r.Failure != nil {
					t.Errorf("entity %d: %v", to, r.Failure)
					return
				}
				acked[to].Add(1)
			}
		})
	}
	for round := range 5 {
		for i := range pairPartitions {
			p.move(i, round%2, 1-round%2)
		}
	}
	close(stopAt)
	wg.Wait()
	for i := range acked {
		if sum := p.ask(fmt.Sprint(i), "", &messages.GetStock{}).GetStock().GetAtp(); sum != acked[i].Load() || sum == 0 {
			t.Errorf("entity %d has %d, %d were acknowledged", i, sum, acked[i].Load())
		}
	}
}

// A node that still believes in its partition after another one took over accepts nothing more: its next append is refused, it answers
// `moved`, and it does not take the partition back.
func TestFencedOwnerStops(t *testing.T) {
	p := startPair(t)
	partition := cluster.PartitionOf(toyRef("x"), pairPartitions)
	p.nodes[0].Open(partition, persistence.Mark{})
	p.until(0, partition, cluster.PhaseServing)
	if r := p.ask("x", "1", &messages.AdjustStock{Delta: 5}); r.Failure != nil {
		t.Fatal(r.Failure)
	}
	p.nodes[1].Open(partition, persistence.Mark{})
	p.until(1, partition, cluster.PhaseServing)
	answer := make(chan *messages.Reply, 1)
	p.nodes[0].Send(messages.Request{To: toyRef("x"), CommandID: "2", Command: &messages.AdjustStock{Delta: 1}, Done: func(r *messages.Reply) { answer <- r }})
	if r := <-answer; r.GetFailure().GetCode() != messages.CodeMoved {
		t.Fatalf("the zombie answered %v", r)
	}
	p.until(0, partition, cluster.PhaseIdle)
	if n := p.nodes[0].Stats().Fenced.Load(); n != 1 {
		t.Fatalf("%d fenced partitions counted", n)
	}
	if r := p.ask("x", "2", &messages.AdjustStock{Delta: 1}); r.GetStock().GetAtp() != 6 || r.Replayed {
		t.Fatalf("the new owner answered %v", r)
	}
}

// A process sleeps while another claims its partition and takes it over, wakes, and does not know yet: its write is refused, and when it opens the
// partition again on the strength of its old claim, the journal refuses that too. The true owner is not disturbed: what it answers from memory stays
// the truth. With a later claim of its own, the sleeper gets the partition back.
func TestOldClaimDoesNotFence(t *testing.T) {
	p := startPair(t)
	partition := cluster.PartitionOf(toyRef("x"), pairPartitions)
	p.nodes[0].Open(partition, persistence.Mark{Term: 4})
	p.until(0, partition, cluster.PhaseServing)
	if r := p.ask("x", "1", &messages.AdjustStock{Delta: 5}); r.Failure != nil {
		t.Fatal(r.Failure)
	}
	p.nodes[1].Open(partition, persistence.Mark{Term: 5})
	p.until(1, partition, cluster.PhaseServing)
	sleeper := func(cmd messages.Command) *messages.Reply {
		answer := make(chan *messages.Reply, 1)
		p.nodes[0].Send(messages.Request{To: toyRef("x"), CommandID: "2", Command: cmd, Done: func(r *messages.Reply) { answer <- r }})
		return <-answer
	}
	if r := sleeper(&messages.AdjustStock{Delta: 1}); r.GetFailure().GetCode() != messages.CodeMoved {
		t.Fatalf("the sleeper answered %v", r)
	}
	if mark := p.until(0, partition, cluster.PhaseIdle); mark.Term != 5 {
		t.Fatalf("after the fence the sleeper knows of a claim %d", mark.Term)
	}
	p.nodes[0].Open(partition, persistence.Mark{Term: 4})
	for end := time.Now().Add(20 * time.Second); p.nodes[0].Stats().Outranked.Load() == 0; time.Sleep(time.Millisecond) {
		if phase, _ := p.nodes[0].Local(partition); phase == cluster.PhaseServing || time.Now().After(end) {
			t.Fatalf("the sleeper's partition is %s", phase)
		}
	}
	p.until(0, partition, cluster.PhaseIdle)
	answer := make(chan *messages.Reply, 1)
	p.nodes[1].Send(messages.Request{To: toyRef("x"), CommandID: "2", Command: &messages.AdjustStock{Delta: 1}, Done: func(r *messages.Reply) { answer <- r }})
	if r := <-answer; r.GetStock().GetAtp() != 6 {
		t.Fatalf("the true owner answered %v", r)
	}
	if n := p.nodes[1].Stats().Fenced.Load(); n != 0 {
		t.Fatalf("the true owner was fenced %d times", n)
	}
	p.nodes[0].Open(partition, persistence.Mark{Term: 6})
	p.until(0, partition, cluster.PhaseServing)
	if r := sleeper(&messages.AdjustStock{Delta: 1}); r.GetStock().GetAtp() != 6 || !r.Replayed {
		t.Fatalf("with a claim of its own it answered %v", r)
	}
}

// A node whose claim is far below the journal's knows the journal's term from the one refusal, and so need not read the whole partition back for every
// two terms between them. So it is once the owners' records are lost.
func TestOutrankedLearnsTheTerm(t *testing.T) {
	p := startPair(t)
	p.nodes[1].Open(0, persistence.Mark{Term: 50})
	p.until(1, 0, cluster.PhaseServing)
	p.nodes[0].Open(0, persistence.Mark{Term: 1})
	for end := time.Now().Add(20 * time.Second); p.nodes[0].Stats().Outranked.Load() == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if mark := p.until(0, 0, cluster.PhaseIdle); mark.Term != 50 {
		t.Fatalf("it was refused by a journal of term 50, and knows of a claim %d", mark.Term)
	}
}

// A node without its lease gives no answer that rests on nothing but its memory, and commits all the same: the journal checks those.
func TestNoLeaseNoReads(t *testing.T) {
	p := startPair(t)
	partition := cluster.PartitionOf(toyRef("x"), pairPartitions)
	p.nodes[0].Open(partition, persistence.Mark{})
	p.until(0, partition, cluster.PhaseServing)
	p.lease[0].Store(false)
	ask := func(id string, cmd messages.Command) *messages.Reply {
		answer := make(chan *messages.Reply, 1)
		p.nodes[0].Send(messages.Request{To: toyRef("x"), CommandID: id, Command: cmd, Done: func(r *messages.Reply) { answer <- r }})
		return <-answer
	}
	if r := ask("1", &messages.AdjustStock{Delta: 5}); r.Failure != nil {
		t.Fatalf("a command: %v", r.Failure)
	}
	for what, r := range map[string]*messages.Reply{"read": ask("", &messages.GetStock{}), "repeat": ask("1", &messages.AdjustStock{Delta: 5})} {
		if r.GetFailure().GetCode() != messages.CodeUnavailable || !r.Failure.Retryable {
			t.Errorf("%s answered %v", what, r)
		}
	}
	p.lease[0].Store(true)
	if r := ask("", &messages.GetStock{}); r.GetStock().GetAtp() != 5 {
		t.Fatalf("with the lease: %v", r)
	}
}

// Orders that do not fit the phase do nothing, whatever their sequence: a partition that is told everything at once ends where the last
// Drop leaves it, its followers are told that it left, and it can be opened again with all it knew.
func TestHostOrdersMayComeInAnySequence(t *testing.T) {
	p := startPair(t)
	n, partition := p.nodes[0], cluster.PartitionOf(toyRef("x"), pairPartitions)
	n.Open(partition, persistence.Mark{})
	p.until(0, partition, cluster.PhaseServing)
	if r := p.ask("x", "1", &messages.AdjustStock{Delta: 5}); r.Failure != nil {
		t.Fatal(r.Failure)
	}
	followed := make(chan error, 1)
	go func() {
		followed <- n.Follow(context.Background(), partition, 0, func(uint64, *messages.Commit) error { return nil })
	}()
	for i := range 200 {
		switch i * 7 % 5 {
		case 0:
			n.Warm(partition)
		case 1:
			n.Open(partition, persistence.Mark{})
		case 2, 3:
			n.Close(partition)
		case 4:
			n.Drop(partition)
		}
		if i%16 == 0 {
			time.Sleep(time.Millisecond) // let some of it happen: the sequence is the test, not the time
		}
	}
	n.Drop(partition)
	p.until(0, partition, cluster.PhaseIdle)
	if err := <-followed; err == nil {
		t.Fatal("the follower was not told")
	}
	n.Open(partition, persistence.Mark{})
	p.until(0, partition, cluster.PhaseServing)
	if r := p.ask("x", "", &messages.GetStock{}); r.GetStock().GetAtp() != 5 {
		t.Fatalf("after all that: %v", r)
	}
}

// slowReader keeps readings of the journal waiting.
type slowReader struct {
	persistence.Store
	gate sync.RWMutex
}

func (s *slowReader) Read(ctx context.Context, partition int, after uint64, fn func(uint64, []byte) error) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	return s.Store.Read(ctx, partition, after, fn)
}

// A node that reads along is overtaken: the owner writes a checkpoint and cuts the journal above the place of reading. That is no damage: the
// follower reads anew from the checkpoint and takes the partition over with everything in it, at once and not after the pause for damage.
func TestFollowerOvertakenByCheckpoint(t *testing.T) {
	store := memory.New()
	slow := &slowReader{Store: store}
	p := &pair{t: t, store: store, limit: DefaultLimits()}
	p.limit.CheckpointTailBytes = 2 << 10
	p.views[1] = slow
	startPairWith(p)
	partition := cluster.PartitionOf(toyRef("x"), pairPartitions)
	p.nodes[0].Open(partition, persistence.Mark{})
	p.until(0, partition, cluster.PhaseServing)
	add := func(i int) {
		if r := p.ask("x", fmt.Sprint("add", i), &messages.AdjustStock{Delta: 1}); r.Failure != nil {
			t.Fatal(r.Failure)
		}
	}
	add(0)
	p.nodes[1].Warm(partition)
	p.until(1, partition, cluster.PhaseWarm)
	slow.gate.Lock()
	place, _, err := store.Last(t.Context(), partition)
	if err != nil {
		t.Fatal(err)
	}
	count := 1
	first := func() (at uint64) { // the position of the first record that is left
		stop := errors.New("enough")
		if err := store.Read(t.Context(), partition, 0, func(position uint64, _ []byte) error { at = position; return stop }); !errors.Is(err, stop) {
			t.Fatal(err)
		}
		return at
	}
	for first() <= place+1 {
		add(count)
		count++
	}
	slow.gate.Unlock()
	p.nodes[0].Close(partition)
	mark := p.until(0, partition, cluster.PhaseClosed)
	p.nodes[1].Open(partition, mark)
	p.until(1, partition, cluster.PhaseServing)
	p.nodes[0].Drop(partition)
	p.until(0, partition, cluster.PhaseIdle)
	if sum := p.ask("x", "", &messages.GetStock{}).GetStock().GetAtp(); sum != int64(count) {
		t.Fatalf("%d of %d additions are left", sum, count)
	}
}

// A journal that ends below the mark in the ownership record is refused: the partition does not serve a shortened past.
func TestMarkIsReachedOrRefused(t *testing.T) {
	p := startPair(t)
	partition := cluster.PartitionOf(toyRef("x"), pairPartitions)
	p.nodes[0].Open(partition, persistence.Mark{})
	p.until(0, partition, cluster.PhaseServing)
	p.nodes[0].Close(partition)
	mark := p.until(0, partition, cluster.PhaseClosed)
	mark.Number += 3
	p.nodes[1].Open(partition, mark)
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if phase, _ := p.nodes[1].Local(partition); phase != cluster.PhaseOpening && phase != cluster.PhaseIdle {
			t.Fatalf("it is %s", phase)
		}
	}
}

// Proves that a partition which is to close between two attempts to read it back is closed, and can be opened again: the journal cannot be read for a
// while, and the word to close comes in the pause.
func TestCloseBetweenAttempts(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	var failed atomic.Int32
	p := &pair{t: t, store: memory.New(), limit: DefaultLimits()}
	p.views[0] = faulty.New(p.store, faulty.Options{Script: func(c faulty.Call) faulty.Fault {
		if c.Op != "load" || c.Partition != 1 || !broken.Load() {
			return faulty.None
		}
		failed.Add(1)
		return faulty.Refused
	}})
	startPairWith(p)
	p.nodes[0].Open(1, persistence.Mark{Term: 1})
	for failed.Load() < 3 { // the pause is 400 ms by now
		time.Sleep(time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond) // the failure has been heard; if not, the attempt itself ends the closing
	p.nodes[0].Close(1)
	broken.Store(false)
	p.until(0, 1, cluster.PhaseClosed)
	p.nodes[0].Drop(1)
	p.until(0, 1, cluster.PhaseIdle)
	p.nodes[0].Open(1, persistence.Mark{Term: 1})
	p.until(0, 1, cluster.PhaseServing)
}
