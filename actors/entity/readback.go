package entity

import (
	"context"
	"errors"
	"fmt"

	"orderyard/persistence"
)

// ReadBack reads a partition back in steps, so that it can be followed while its owner still serves: Read once, Along as often as one likes, Take
// to take it over. After an error it is of no use. It has no goroutine and belongs to one; the simulation drives it, too.
type ReadBack struct {
	Partition int
	Kinds     Kinds
	Planner   Planner
	Limits    *Limits
	Store     persistence.Store
	Clock     func() int64
	Log       persistence.LogOptions // HighWater is what is known before the partition is to be opened

	log      *persistence.Log
	recovery *Recovery
}

// Read loads the newest checkpoint and reads the journal to its present end.
func (b *ReadBack) Read(ctx context.Context) error {
	if err := b.readJournal(ctx); err != nil {
		return err
	}
	return b.recovery.Settle(b.Clock())
}

// Along reads what the owner has committed since.
func (b *ReadBack) Along(ctx context.Context) error {
	if err := b.catchUp(ctx, persistence.Mark{}); err != nil {
		return err
	}
	return b.recovery.Settle(b.Clock())
}

// Take reads on, up to the mark at least, and takes the partition over.
func (b *ReadBack) Take(ctx context.Context, mark persistence.Mark) (*persistence.Log, *Recovered, error) {
	for {
		if err := b.catchUp(ctx, mark); err != nil {
			return nil, nil, err
		}
		result, err := b.recovery.Take(ctx, b.log, b.Clock())
		switch {
		case err == nil:
			return b.log, result, nil
		case !b.overtaken(ctx, err):
			return nil, nil, err
		}
		if err := b.readJournal(ctx); err != nil {
			return nil, nil, err
		}
	}
}

// catchUp reads on. A gap may be none: whoever reads along is no reader that the owner waits for, so the owner may have written a checkpoint and
// cut the journal behind the place of reading. Then all is read anew from that checkpoint.
func (b *ReadBack) catchUp(ctx context.Context, mark persistence.Mark) error {
	known := &b.Log.HighWater // should all be read anew
	known.Position, known.Number, known.Term = max(known.Position, mark.Position), max(known.Number, mark.Number), max(known.Term, mark.Term)
	for {
		err := b.log.CatchUp(ctx, mark, b.recovery.commit)
		if err == nil {
			return nil
		}
		if !b.overtaken(ctx, err) {
			return fmt.Errorf("catch up partition %d: %w", b.Partition, err)
		}
		if b.Log.Logger != nil {
			b.Log.Logger.Info("partition read back anew: the journal was cut above the place of reading", "partition", b.Partition, "position", b.log.Position())
		}
		if err := b.readJournal(ctx); err != nil {
			return err
		}
	}
}

func (b *ReadBack) overtaken(ctx context.Context, err error) bool {
	if !errors.Is(err, persistence.ErrCorrupt) {
		return false
	}
	newest, found, again := b.Store.Load(ctx, b.Partition, func([]byte) error { return nil })
	return again == nil && found && newest.Position > b.log.Position()
}

// readJournal reads checkpoint and tail. A gap may only mean that a newer checkpoint was made, and the journal cut below it, between
// the two readings: then it reads once more.
func (b *ReadBack) readJournal(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		b.log = persistence.OpenLog(b.Store, b.Partition, b.Log)
		b.recovery = &Recovery{Kinds: b.Kinds, Planner: b.Planner, Limits: b.Limits}
		err := b.recovery.Read(ctx, b.log, b.Store, b.Partition)
		if err == nil || attempt > 1 || !errors.Is(err, persistence.ErrCorrupt) {
			return err
		}
		newest, found, again := b.Store.Load(ctx, b.Partition, func([]byte) error { return nil })
		if again != nil || !found || newest.Position == b.recovery.from.Position {
			return err
		}
	}
}
