package persistence_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"orderyard/persistence"
	"orderyard/persistence/faulty"
	"orderyard/persistence/memory"
)

// world is a journal with several nodes that believe what they like, and a dumb memory of what was acknowledged.
type world struct {
	t      *testing.T
	rng    *rand.Rand
	inner  *memory.Store
	net    *faulty.Store
	nodes  [3]*persistence.Log
	sent   int
	acked  []string
	mark   persistence.Mark
	fenced int
	opened uint64
}

func newWorld(t *testing.T, seed uint64) *world {
	rng := rand.New(rand.NewPCG(seed, 7))
	w := &world{t: t, rng: rng, inner: memory.New()}
	w.net = faulty.New(w.inner, faulty.Options{LateReads: 1 + rng.IntN(6), Script: faulty.Seeded(seed, faulty.Rates{
		Refused: .05, LostAck: .1, Late: .1, Twice: .05, TwiceDenied: .05, Read: .05,
	})})
	return w
}

// step lets something happen: a node takes over, appends (rightly or as a zombie), dies, or late packets arrive.
func (w *world) step() {
	ctx := w.t.Context()
	i := w.rng.IntN(len(w.nodes))
	switch x := w.rng.IntN(100); {
	case x < 8 || w.nodes[i] == nil:
		w.opened++
		o := quick(fmt.Sprintf("n%d", i))
		o.Nonce, o.HighWater = w.opened, w.mark
		l := persistence.OpenLog(w.net, 0, o)
		err := l.Recover(ctx, persistence.Manifest{}, nil)
		if err == nil {
			err = l.Takeover(ctx, nil)
		}
		if errors.Is(err, persistence.ErrCorrupt) {
			w.t.Fatalf("an undamaged journal was refused: %v", err)
		}
		w.nodes[i] = nil
		if err == nil {
			w.nodes[i] = l
		}
	case x < 11:
		w.nodes[i] = nil
	case x < 16:
		w.net.Deliver(ctx)
	default:
		w.sent++
		payload := fmt.Sprintf("p%d", w.sent)
		position, err := w.nodes[i].Append(ctx, []byte(payload))
		if err == nil {
			w.acked = append(w.acked, payload)
			w.mark = persistence.Mark{Position: position, Number: w.nodes[i].Number()}
			return
		}
		if errors.Is(err, persistence.ErrCorrupt) {
			w.t.Fatalf("an undamaged journal was refused: %v", err)
		}
		if errors.Is(err, persistence.ErrFenced) {
			w.fenced++
		}
		w.nodes[i] = nil
	}
}

// check compares the journal with the memory: what was acknowledged is there once and in that order, and nothing is there twice.
func (w *world) check() {
	w.t.Helper()
	w.net.Deliver(w.t.Context())
	seen := map[string]bool{}
	next := 0
	for _, payload := range contents(w.t, w.inner) {
		if seen[payload] {
			w.t.Fatalf("%s is in the journal twice", payload)
		}
		seen[payload] = true
		if next < len(w.acked) && w.acked[next] == payload {
			next++
		}
	}
	if next < len(w.acked) {
		w.t.Fatalf("%s was acknowledged and is not in its place", w.acked[next])
	}
}

// Proves by seeds that whatever the network does (lost, late and doubled packets, lost answers, failed reads), with nodes that take over at will
// and zombies that go on writing, nothing acknowledged is lost, doubled or moved.
func TestLogModel(t *testing.T) {
	seeds := uint64(1000)
	if testing.Short() {
		seeds = 150
	}
	acked, fenced := 0, 0
	for seed := range seeds {
		w := newWorld(t, seed)
		for range 120 {
			w.step()
		}
		w.check()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		acked += len(w.acked)
		fenced += w.fenced
	}
	if acked < int(seeds)*20 || fenced < int(seeds)*5 {
		t.Fatalf("the test is too tame: %d acknowledged, %d fenced in %d seeds", acked, fenced, seeds)
	}
	t.Logf("%d acknowledged, %d fenced in %d seeds", acked, fenced, seeds)
}

// unfenced stores every append at the end, whatever was expected.
type unfenced struct{ *memory.Store }

func (u *unfenced) Append(ctx context.Context, partition int, _ uint64, id string, record []byte) (uint64, error) {
	last, _, err := u.Store.Last(ctx, partition)
	if err != nil {
		return 0, err
	}
	return u.Store.Append(ctx, partition, last, id, record)
}

// Proves that the checks can fail: on a store without the fence a zombie gets in, and the chain says so.
func TestUnfencedStoreIsCaught(t *testing.T) {
	inner := memory.New()
	s := &unfenced{inner}
	a := owner(t, s, quick("a"))
	appendAll(t, a, "one")
	b := owner(t, s, quick("b"))
	appendAll(t, b, "two")
	appendAll(t, a, "zombie")
	err := persistence.OpenLog(inner, 0, quick("reader")).Recover(t.Context(), persistence.Manifest{}, nil)
	if !errors.Is(err, persistence.ErrCorrupt) {
		t.Fatalf("a journal of two lines was served: %v", err)
	}
}
