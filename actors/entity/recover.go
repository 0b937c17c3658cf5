package entity

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"orderyard/messages"
	"orderyard/persistence"
)

// Recovery rebuilds a partition's Store: the checkpoint's bytes, then every commit after it.
type Recovery struct {
	Kinds   Kinds
	Planner Planner
	Limits  *Limits

	store   *Store
	touched map[messages.Ref]*Core
	commits int
	stream  StreamReader
	from    persistence.Manifest
}

// Recovered is what a recovery found.
type Recovered struct {
	Store    *Store
	Commits  int // replayed after the checkpoint
	Touched  int // entities they changed
	Manifest persistence.Manifest
}

// Run loads the checkpoint, replays the journal through the log and takes the partition over: when it returns, the log may append.
// Entities that the replay changed are turned back into bytes with their wake-up at now.
func (r *Recovery) Run(ctx context.Context, log *persistence.Log, snapshots persistence.Snapshots, partition int, now int64) (*Recovered, error) {
	r.store, r.touched = NewStore(), make(map[messages.Ref]*Core)
	manifest, _, err := snapshots.Load(ctx, partition, r.slice)
	if err != nil {
		return nil, fmt.Errorf("load checkpoint of partition %d: %w", partition, err)
	}
	r.from = manifest
	if len(r.stream.rest) > 0 {
		return nil, fmt.Errorf("checkpoint of partition %d ends in the middle of an entity: %w", partition, persistence.ErrCorrupt)
	}
	if err := log.Recover(ctx, manifest, r.commit); err != nil {
		return nil, fmt.Errorf("recover partition %d: %w", partition, err)
	}
	if err := log.Takeover(ctx, r.commit); err != nil {
		return nil, fmt.Errorf("take over partition %d: %w", partition, err)
	}
	refs := make([]messages.Ref, 0, len(r.touched))
	for ref := range r.touched {
		refs = append(refs, ref)
	}
	slices.SortFunc(refs, compareRefs)
	for _, ref := range refs {
		if err := r.store.Put(r.touched[ref].Snapshot(now)); err != nil {
			return nil, err
		}
	}
	return &Recovered{Store: r.store, Commits: r.commits, Touched: len(refs), Manifest: manifest}, nil
}

// slice takes one slice of a checkpoint.
func (r *Recovery) slice(b []byte) error {
	return r.stream.Take(b, func(blob []byte) error {
		snap, err := decodeSnapshot(blob)
		if err != nil {
			return err
		}
		r.store.put(messages.Ref{Kind: messages.Kind(snap.Kind), ID: snap.Id}, bytes.Clone(blob), snap.WakeAtMs)
		return nil
	})
}

// commit replays one commit.
func (r *Recovery) commit(position uint64, payload []byte) error {
	r.commits++
	c, err := DecodeCommit(payload)
	if err != nil {
		return fmt.Errorf("commit at position %d: %w", position, err)
	}
	for _, e := range c.Entries {
		ref := messages.Ref{Kind: messages.Kind(e.Kind), ID: e.Id}
		core := r.touched[ref]
		if core == nil {
			if core, err = r.store.Core(ref, r.Kinds, r.Planner, r.Limits); err != nil {
				return fmt.Errorf("commit at position %d: %w", position, err)
			}
			r.touched[ref] = core
		}
		if err := core.Apply(e); err != nil {
			return fmt.Errorf("commit at position %d: %w", position, err)
		}
	}
	return nil
}

// DecodeCommit reads a commit's payload.
func DecodeCommit(payload []byte) (*messages.Commit, error) {
	c := new(messages.Commit)
	if err := c.UnmarshalVT(payload); err != nil {
		return nil, fmt.Errorf("decode commit: %w", err)
	}
	return c, nil
}
