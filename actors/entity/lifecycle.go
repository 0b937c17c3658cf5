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

const rebuildTimeout = time.Minute

// crashed reads one entity back from the journal after its machine panicked; its neighbors go on. After CrashesMax it is left alone:
// a command that always panics must not keep the partition busy.
func (p *partition) crashed(ctx actor.Context, m *crashed) {
	sl := p.store.slots[m.ref]
	if sl == nil || sl.live != m.live {
		return
	}
	ctx.Send(m.live.pid, &abandon{})
	p.store.setLive(sl, nil)
	sl.retired, sl.rebuild = false, true
	sl.crashes++
	if int(sl.crashes) >= p.limits.CrashesMax {
		slog.Error("entity quarantined", "entity", m.ref.String(), "crashes", sl.crashes, "error", m.err)
	}
	base := p.manifest
	blob, err := p.store.blob(sl)
	if err != nil {
		slog.Error("entity as it was is lost; it is read back from the checkpoint", "entity", m.ref.String(), "error", err)
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), rebuildTimeout)
		defer cancel()
		snap, err := p.readEntity(ctx, m.ref, blob, base)
		p.system.Root.Send(p.pid, &rebuilt{ref: m.ref, snap: snap, err: err})
	}()
}

// readEntity replays one entity: from the bytes the partition holds, or, when the journal has been truncated above them, from the
// newest checkpoint.
func (p *partition) readEntity(ctx context.Context, ref messages.Ref, blob []byte, base persistence.Manifest) (*messages.EntitySnapshot, error) {
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
	return core.Snapshot(p.clock()), nil
}

// rebuilt puts a crashed entity back to rest; what was parked meanwhile wakes it.
func (p *partition) rebuilt(ctx actor.Context, m *rebuilt) {
	sl := p.store.slots[m.ref]
	if sl == nil || !sl.rebuild {
		return
	}
	parked := sl.parked
	sl.parked = nil
	if m.err != nil {
		slog.Error("entity cannot be rebuilt", "entity", m.ref.String(), "error", m.err)
		sl.crashes = uint16(p.limits.CrashesMax)
	} else if err := p.store.Put(m.snap); err != nil {
		slog.Error("entity cannot be stored", "entity", m.ref.String(), "error", err)
	}
	sl.rebuild = false
	p.arm()
	for _, e := range parked {
		p.deliver(ctx, e)
	}
	p.gone(ctx)
}
