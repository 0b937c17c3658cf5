package entity

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"orderyard/messages"
	"orderyard/persistence"
	"orderyard/persistence/memory"
)

// brittle is a store that is told when it cannot be read.
type brittle struct {
	persistence.Store
	broken atomic.Bool  // Load fails
	cut    atomic.Bool  // once, Load and Read find what is left when the journal was cut between the two
	missed atomic.Int64 // readings that failed, or missed something
}

var errBrittle = errors.New("the store does not answer")

func (b *brittle) Load(ctx context.Context, partition int, fn func([]byte) error) (persistence.Manifest, bool, error) {
	switch {
	case b.broken.Load():
		b.missed.Add(1)
		return persistence.Manifest{}, false, errBrittle
	case b.cut.Load():
		return persistence.Manifest{}, false, nil
	}
	return b.Store.Load(ctx, partition, fn)
}

func (b *brittle) Read(ctx context.Context, partition int, after uint64, fn func(position uint64, record []byte) error) error {
	if b.cut.CompareAndSwap(true, false) {
		b.missed.Add(1)
		return nil
	}
	return b.Store.Read(ctx, partition, after, fn)
}

// poison makes an entity panic and waits until the first attempt to read it back has failed.
func poison(y *yard, store *brittle) {
	y.t.Helper()
	if r := y.ask("poison", &messages.AdjustStock{Reason: "panic"}, "a"); r.GetFailure().GetCode() != messages.CodeInternal {
		y.t.Fatalf("poison: %v", r)
	}
	y.until("reading back has failed", func() bool { return store.missed.Load() > 0 })
}

// expectAfterRestart starts a node on the store again and reads the entity that was poisoned.
func expectAfterRestart(t *testing.T, store persistence.Store, want int64) {
	t.Helper()
	again := startYard(t, store, nil)
	if got := again.ask("", &messages.GetStock{}, "a").GetStock().GetAtp(); got != want {
		t.Errorf("%d units after the restart, %d were acknowledged", got, want)
	}
	stop(t, again)
}

// Proves that an entity which cannot be read back after a panic loses nothing when its node stops meanwhile: the store fails from before the poison
// until after the stop, and the next start must find what was acknowledged.
func TestStopWhileEntityCannotBeReadBack(t *testing.T) {
	store := &brittle{Store: memory.New()}
	y := startYard(t, store, func(l *Limits) { l.CrashesMax = 1 })
	y.ask("c1", &messages.AdjustStock{Delta: 4}, "a")
	store.broken.Store(true)
	poison(y, store)
	y.until("the entity is quarantined", func() bool {
		return y.ask("", &messages.GetStock{}, "a").GetFailure().GetCode() == messages.CodeInternal
	})
	stop(t, y)
	store.broken.Store(false)
	expectAfterRestart(t, store, 4)
}

// Proves that an entity which could not be read back is tried again until it can, and that no checkpoint holds it as it was before: the store heals,
// the entity answers, a checkpoint is written, and a start from it finds what was acknowledged.
func TestEntityIsReadBackWhenTheStoreHeals(t *testing.T) {
	store := &brittle{Store: memory.New()}
	y := startYard(t, store, func(l *Limits) { l.CheckpointTailBytes, l.PassivateAfterMs = 1, 60_000 })
	y.ask("c1", &messages.AdjustStock{Delta: 4}, "a")
	store.broken.Store(true)
	poison(y, store)
	y.until("who asks is told to come back", func() bool {
		f := y.ask("", &messages.GetStock{}, "a").GetFailure()
		return f.GetCode() == messages.CodeUnavailable && f.Retryable || f.GetCode() == messages.CodeInternal
	})
	store.broken.Store(false)
	y.until("a checkpoint", func() bool { return y.Stats().Checkpoints.Load() > 0 })
	if got := y.ask("", &messages.GetStock{}, "a").GetStock().GetAtp(); got != 4 {
		t.Errorf("%d units when it was read back, 4 were acknowledged", got)
	}
	y.Kill()
	expectAfterRestart(t, store, 4)
}

// Proves that an entity is not taken for read back when the journal was cut above the checkpoint it was read from: such a reading finds an entity,
// only an older one, and must be made once more.
func TestOlderEntityIsNotTaken(t *testing.T) {
	store := &brittle{Store: memory.New()}
	y := startYard(t, store, nil)
	y.ask("c1", &messages.AdjustStock{Delta: 4}, "a")
	store.cut.Store(true)
	poison(y, store)
	var got int64
	y.until("the entity answers", func() bool {
		r := y.ask("", &messages.GetStock{}, "a")
		got = r.GetStock().GetAtp()
		return r.Failure == nil
	})
	if got != 4 {
		t.Errorf("%d units when it was read back, 4 were acknowledged", got)
	}
	stop(t, y)
	expectAfterRestart(t, store, 4)
}

// Proves that a checkpoint under way ends without a manifest when it comes to an entity that could not be read back, and not before: while the first
// try is under way, the entity is looked at again last.
func TestCheckpointMeetsEntityThatIsBehind(t *testing.T) {
	p := &partition{store: NewStore(), committer: &committer{}, system: actor.NewActorSystem(), pid: actor.NewPID("local", "nobody")}
	r := p.store.restores(p.store.slot(toyRef("a")), 1)
	begin := func() *checkpoint {
		job := &checkpoint{refs: p.store.unsorted()}
		job.changed.L = &job.mu
		p.job = job
		p.capture(nil, job)
		return job
	}
	if job := begin(); job.err != nil || job.listed {
		t.Errorf("during the first try: %v, listed %v", job.err, job.listed)
	}
	r.tries = 1
	job := begin()
	for _, err := range job.slices() {
		if err != nil {
			return
		}
	}
	t.Error("the checkpoint was written without the entity")
}
