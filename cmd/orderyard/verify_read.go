package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"orderyard/actors"
	"orderyard/actors/audit"
	"orderyard/actors/entity"
	"orderyard/persistence"
)

// verifier reads one partition after the other into an auditor. Each of its goroutines has one of its own.
type verifier struct {
	store  persistence.Store
	limits entity.Limits
	now    func() int64 // the present; nil = of each partition the time of its youngest entry, for a history that nobody goes on with
	done   *verifyTally
}

// verifyTally is what the person who waits is told.
type verifyTally struct {
	partitions atomic.Int64
	events     atomic.Int64
}

// verifiedPartition is what reading one gave.
type verifiedPartition struct {
	part    *audit.Part
	head    uint64 // the last position read
	damaged bool   // the journal itself is not what was written: what follows the damage was not read
}

// checkpointTries is how often a partition is begun anew when its owner wrote a checkpoint, and cut the journal, while it was read.
const checkpointTries = 3

// partition audits one partition. An error means that it could not be read; damage is a finding.
func (v *verifier) partition(ctx context.Context, p int) (*verifiedPartition, error) {
	mark, err := highWater(ctx, v.store, p)
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		r := &partitionReader{verifier: v, partition: p, mark: mark, auditor: v.auditor()}
		err := r.read(ctx)
		var damage *persistence.CorruptError
		switch {
		case err == nil:
		case errors.Is(err, errCut) && attempt < checkpointTries, errors.As(err, &damage) && attempt < checkpointTries && r.overtaken(ctx):
			v.done.events.Add(-r.auditor.Events)
			continue
		case damage == nil:
			return nil, fmt.Errorf("partition %d: %w", p, err)
		}
		return r.close(damage), nil
	}
}

// overtaken says that a gap is none: a newer checkpoint was written, and the journal cut below it, while this one was read.
func (r *partitionReader) overtaken(ctx context.Context) bool {
	return newerCheckpoint(ctx, r.store, r.partition, r.manifest.Position)
}

func newerCheckpoint(ctx context.Context, store persistence.Store, partition int, than uint64) bool {
	newest, found, err := store.Load(ctx, partition, func([]byte) error { return nil })
	return err == nil && found && newest.Position > than
}

func (v *verifier) auditor() *audit.Auditor {
	clock := v.now
	if clock == nil {
		clock = func() int64 { return 0 } // for the summaries of sites, which nobody asks for here
	}
	return audit.New(actors.Kinds(clock, actors.RememberForMs, nil), &v.limits)
}

// partitionReader is one attempt at one partition.
//
// Where the journal reaches back to its first record, it is read from there, and the checkpoint must be what it leads to. Where it was cut, the
// audit begins with the checkpoint; the records below it that are still there must lead to it.
type partitionReader struct {
	*verifier
	partition int
	mark      uint64 // a position that the journal once reached
	auditor   *audit.Auditor

	manifest persistence.Manifest // of the newest checkpoint
	found    bool                 // there is one
	chain    *persistence.Chain
	first    persistence.Header // of the first record
	begun    bool
	records  uint64
	head     uint64
	asOf     int64 // the present when the reading began, whose end is fixed by that: what happened since is not in it
}

var (
	errFirstSeen = errors.New("seen")
	errCut       = errors.New("the journal was cut while it was read")
)

func (r *partitionReader) read(ctx context.Context) error {
	whole, err := r.whole(ctx)
	if err != nil {
		return err
	}
	take := r.auditor.ExpectSlices()
	if !whole {
		take = r.auditor.CheckpointSlices(r.partition)
	}
	if r.manifest, r.found, err = r.store.Load(ctx, r.partition, take); err != nil {
		return err
	}
	if r.now != nil {
		r.asOf = r.now()
	}
	if err := r.store.Read(ctx, r.partition, 0, r.record); err != nil {
		return err
	}
	switch {
	case r.head < r.manifest.Position:
		return r.corrupt(r.head, "the journal ends here, below the checkpoint at position %d", r.manifest.Position)
	case r.head < r.mark:
		return r.corrupt(r.head, "the journal ends here, and its events were published up to position %d", r.mark)
	}
	return nil
}

// whole looks at the first record: the beginning of the line, or where it was cut. One that cannot be read is left to the reading.
func (r *partitionReader) whole(ctx context.Context) (bool, error) {
	err := r.store.Read(ctx, r.partition, 0, func(_ uint64, record []byte) error {
		if h, _, err := persistence.DecodeRecord(record); err == nil {
			r.first = h
		}
		return errFirstSeen
	})
	if err != nil && !errors.Is(err, errFirstSeen) {
		return false, err
	}
	return r.first.Number <= 1, nil
}

// begin makes the chain: from nothing, or, where the journal was cut, from what its first record says of the one before it.
func (r *partitionReader) begin(position uint64) error {
	r.begun = true
	if r.first.Number <= 1 {
		r.chain = persistence.NewChain(r.partition, persistence.Manifest{})
		return nil
	}
	if !r.found || position > r.manifest.Position {
		return r.corrupt(position, "the journal begins with record %d, and no checkpoint holds what was before", r.first.Number)
	}
	before := persistence.Manifest{Position: position - 1, Number: r.first.Number - 1, Epoch: r.first.Epoch, Hash: r.first.Prev}
	if r.first.Kind == persistence.RecordTakeover {
		before.Epoch--
	}
	r.chain = persistence.NewChain(r.partition, before)
	return nil
}

func (r *partitionReader) record(position uint64, record []byte) error {
	if !r.begun {
		if h, _, err := persistence.DecodeRecord(record); err == nil && h.Number != r.first.Number {
			return errCut
		}
		if err := r.begin(position); err != nil {
			return err
		}
	}
	h, payload, err := r.chain.Next(position, record)
	if err != nil {
		return err
	}
	r.head = position
	r.records = h.Number
	below := r.first.Number > 1 && position <= r.manifest.Position
	if position == r.manifest.Position {
		if err := r.atCheckpoint(position); err != nil {
			return err
		}
	} else if r.found && position > r.manifest.Position && r.chain.Head().Number <= r.manifest.Number {
		return r.corrupt(position, "record %d lies behind the checkpoint, which was made at record %d", h.Number, r.manifest.Number)
	}
	if h.Kind == persistence.RecordTakeover {
		r.auditor.Takeover(r.partition)
	}
	if h.Kind == persistence.RecordCommit && !below {
		before := r.auditor.Events
		r.auditor.Commit(r.partition, position, h.Number, payload)
		r.done.events.Add(r.auditor.Events - before)
	}
	return nil
}

// atCheckpoint compares the record that the checkpoint was made at, and goes on from what the checkpoint knows: the term is not in every record.
func (r *partitionReader) atCheckpoint(position uint64) error {
	head, m := r.chain.Head(), r.manifest
	switch {
	case head.Hash != m.Hash:
		return r.corrupt(position, "the record is not the one the checkpoint was made at")
	case head.Number != m.Number || head.Epoch != m.Epoch || head.Term > m.Term:
		return r.corrupt(position, "the checkpoint says record %d, epoch %d, term %d, the journal record %d, epoch %d, term %d",
			m.Number, m.Epoch, m.Term, head.Number, head.Epoch, head.Term)
	}
	r.chain = persistence.NewChain(r.partition, m)
	return nil
}

func (r *partitionReader) corrupt(position uint64, format string, args ...any) error {
	return &persistence.CorruptError{Partition: r.partition, Position: position, Reason: fmt.Sprintf(format, args...)}
}

// close sums up. Behind a damaged place nothing was read, so what is whole only with the rest is not judged.
func (r *partitionReader) close(damage *persistence.CorruptError) *verifiedPartition {
	out := &verifiedPartition{head: r.head, damaged: damage != nil}
	now := r.asOf
	if r.now == nil {
		now = r.auditor.LastAt()
	}
	if damage == nil {
		out.part = r.auditor.Close(now)
	} else {
		out.part = r.auditor.Break(audit.Violation{
			Invariant: audit.Journal, Partition: r.partition, Position: max(damage.Position, 1), Record: r.records + 1, Detail: damage.Reason,
		})
	}
	r.done.partitions.Add(1)
	return out
}

// eventsPerSecond is what is told and measured.
func eventsPerSecond(events int64, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return math.Round(float64(events) / seconds)
}
