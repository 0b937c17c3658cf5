package entity

import (
	"context"
	"errors"
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
	if sl.crashes > p.limits.CrashesMax {
		slog.Error("entity quarantined", "entity", m.ref.String(), "crashes", sl.crashes, "error", m.err)
	}
	base, blob := p.manifest, sl.blob
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
		sl.crashes = p.limits.CrashesMax + 1
	} else if err := p.store.Put(m.snap); err != nil {
		slog.Error("entity cannot be stored", "entity", m.ref.String(), "error", err)
	}
	sl.rebuild = false
	p.arm()
	for _, e := range parked {
		p.deliver(ctx, e)
	}
	if p.closing != nil {
		p.closing.left--
		p.closeWhenIdle(ctx)
	}
}

// shutdown stops taking requests, lets what is under way become durable, turns every entity into bytes, writes a checkpoint and
// reports. What is parked meanwhile is answered `moved`.
func (p *partition) shutdown(ctx actor.Context, m *shutdown) {
	if p.closing != nil {
		m.done <- errors.New("already closing")
		return
	}
	p.closing = m
	switch {
	case p.recovering:
		p.stop() // the answer of the attempt ends the partition
		return
	case !p.ready.Load():
		p.finishShutdown(ctx, nil)
		return
	}
	for _, sl := range p.store.slots {
		if sl.rebuild {
			m.left++
		}
		if sl.live == nil {
			continue
		}
		m.left++
		if !sl.retired {
			sl.retired = true
			ctx.Send(sl.live.pid, &retire{})
		}
	}
	p.closeWhenIdle(ctx)
}

// closeWhenIdle writes the last checkpoint once no entity is live.
func (p *partition) closeWhenIdle(ctx actor.Context) {
	if p.closing.left > 0 || !p.ready.Load() {
		return
	}
	base, bytes := p.committer.checkpointBase()
	if bytes == 0 && base.Position != 0 && p.manifest.Position != 0 {
		p.finishShutdown(ctx, nil)
		return
	}
	if p.job != nil {
		p.job.fail(errors.New("the node is stopping"))
	}
	p.checkpoint(ctx)
}

// finishShutdown ends the partition actor.
func (p *partition) finishShutdown(ctx actor.Context, err error) {
	p.ready.Store(false)
	if p.stop != nil {
		p.stop()
	}
	for _, e := range p.parked {
		e.reply(p.router, moved(e))
	}
	p.parked = nil
	if p.store != nil {
		for _, sl := range p.store.slots {
			for _, e := range sl.parked {
				e.reply(p.router, moved(e))
			}
		}
	}
	p.closing.done <- err
	ctx.Stop(ctx.Self())
}
