package entity

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"orderyard/messages"
	"orderyard/persistence"
)

// restoring is an entity whose machine panicked, until it is read back from checkpoint and journal.
type restoring struct {
	ref     messages.Ref
	version uint64 // that was durable: what is older is not the entity
	tries   int    // that failed
	pausing bool   // between two tries
}

// A try to read an entity back ends after rebuildTimeout. One that failed is followed by another, after a pause that doubles: the store may answer
// again. There is no last one, for without it neither could the entity be asked nor a checkpoint be written until the next start.
const (
	rebuildTimeout  = time.Minute
	rebuildPauseMin = 50 * time.Millisecond
	rebuildPauseMax = 5 * time.Second
	// Each try reads the whole partition, and it takes another program to take what panics.
	rebuildPausePoison = 5 * time.Minute
)

// restores notes an entity that is to be read back.
func (s *Store) restores(sl *slot, version uint64) *restoring {
	if s.restoring == nil {
		s.restoring = make(map[messages.Ref]*restoring)
	}
	r := &restoring{ref: sl.ref, version: version}
	s.restoring[sl.ref], sl.rebuild = r, true
	return r
}

// crashed reads one entity back from the journal after its machine panicked; its neighbors go on. After CrashesMax it is left alone:
// a command that always panics must not keep the partition busy.
func (p *partition) crashed(ctx actor.Context, m *crashed) {
	sl := p.store.slots[m.ref]
	if sl == nil || sl.live != m.live {
		return
	}
	ctx.Send(m.live.pid, &abandon{})
	p.store.setLive(sl, nil)
	sl.retired = false
	sl.crashes++
	if int(sl.crashes) >= p.limits.CrashesMax {
		slog.Error("entity quarantined", "entity", m.ref.String(), "crashes", sl.crashes, "error", m.err)
	}
	p.restore(sl, p.store.restores(sl, m.version))
}

// restore tries to read an entity back, in the background.
func (p *partition) restore(sl *slot, r *restoring) {
	base := p.manifest
	blob, err := p.store.blob(sl)
	if err != nil {
		slog.Error("entity as it was is lost; it is read back from the checkpoint", "entity", r.ref.String(), "error", err)
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), rebuildTimeout)
		defer cancel()
		snap, err := p.readEntity(ctx, r.ref, blob, base)
		if err == nil && snap.Version < r.version {
			// The journal was cut between reading the checkpoint and reading the journal: a newer checkpoint has what is missing.
			err = fmt.Errorf("it was read back at version %d, and %d was durable", snap.Version, r.version)
		}
		p.system.Root.Send(p.pid, &rebuilt{of: r, snap: snap, err: err})
	}()
}

// readEntity replays one entity: from the bytes the partition holds, or, when the journal has been truncated above them, from the
// newest checkpoint.
func (p *partition) readEntity(ctx context.Context, ref messages.Ref, blob []byte, base persistence.Manifest) (_ *messages.EntitySnapshot, err error) {
	defer contain(ref, &err)
	store := NewStore()
	var reader StreamReader
	if blob != nil {
		store.put(ref, blob, 0)
	}
	newest, found, err := p.Store.Load(ctx, p.Partition, func(slice []byte) error {
		return reader.Take(slice, func(b []byte) error {
			snap, err := decodeSnapshot(b)
			if err != nil || snap.Id != ref.ID || messages.Kind(snap.Kind) != ref.Kind {
				return err
			}
			if old, _ := store.Get(ref); old != nil && old.Version >= snap.Version {
				return nil
			}
			return store.Put(snap)
		})
	})
	if err != nil {
		return nil, fmt.Errorf("load checkpoint: %w", err)
	}
	if found {
		base = newest
	}
	core, err := store.Core(ref, p.Kinds, p.Planner, p.limits)
	if err != nil {
		return nil, err
	}
	err = p.Store.Read(ctx, p.Partition, base.Position, func(position uint64, record []byte) error {
		header, payload, err := persistence.DecodeRecord(record)
		if err != nil || header.Kind != persistence.RecordCommit {
			return err
		}
		c, err := DecodeCommit(payload)
		if err != nil {
			return err
		}
		for _, e := range c.Entries {
			if e.Id != ref.ID || messages.Kind(e.Kind) != ref.Kind {
				continue
			}
			if err := core.Apply(e); err != nil {
				return fmt.Errorf("position %d: %w", position, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return atRest(core, p.clock())
}

// rebuilt puts a crashed entity back to rest; what was parked meanwhile wakes it. One that could not be read is tried again later, and who waits for it
// is told to come back.
func (p *partition) rebuilt(ctx actor.Context, m *rebuilt) {
	r := m.of
	sl := p.store.slots[r.ref]
	if sl == nil || p.store.restoring[r.ref] != r { // the partition was read back since
		return
	}
	err := m.err
	if err == nil {
		err = p.store.Put(m.snap)
	}
	parked := sl.parked
	sl.parked = nil
	if err != nil {
		pause := p.restoreLater(r, err)
		for _, e := range parked {
			e.reply(p.router, messages.Refuse(messages.Retry(messages.CodeUnavailable, pause.Milliseconds(), "%s is being restored", e.To)))
		}
	} else {
		delete(p.store.restoring, r.ref)
		sl.rebuild = false
		p.arm()
		for _, e := range parked {
			p.deliver(ctx, e)
		}
	}
	p.gone(ctx)
}

// restoreLater plans the next try. Until one succeeds the bytes that are here are behind what is durable, and no checkpoint is written.
func (p *partition) restoreLater(r *restoring, err error) (pause time.Duration) {
	pause = min(rebuildPauseMin<<min(r.tries, 16), rebuildPauseMax)
	if isPoison(err) {
		pause = rebuildPausePoison
	}
	r.tries++
	r.pausing = true
	slog.Error("entity cannot be read back yet, its partition writes no checkpoint meanwhile", "entity", r.ref.String(), "tries", r.tries, "again_in", pause, "error", err)
	time.AfterFunc(pause, func() { p.system.Root.Send(p.pid, &restoreAgain{of: r}) })
	return pause
}

// restoreAgain makes the next try. A partition that closes waits for none.
func (p *partition) restoreAgain(r *restoring) {
	if p.closing == nil && p.store.restoring[r.ref] == r {
		r.pausing = false
		p.restore(p.store.slots[r.ref], r)
	}
}
