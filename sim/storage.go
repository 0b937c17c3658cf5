package sim

import (
	"context"
	"errors"
	"iter"

	"orderyard/gateway/egress"
	"orderyard/persistence"
	"orderyard/persistence/faulty"
	"orderyard/persistence/memory"
)

// storage is what NATS keeps for all nodes: journal, checkpoints and cursors. Beside it stands the whole history, which no truncation
// shortens, for the checks.
type storage struct {
	w       *world
	disk    *memory.Store
	faulty  *faulty.Store
	history [][]memory.Record // by partition
	cursors []egress.Cursor
}

func newStorage(w *world) *storage {
	s := &storage{w: w, disk: memory.New(), history: make([][]memory.Record, w.o.Partitions), cursors: make([]egress.Cursor, w.o.Partitions)}
	s.faulty = faulty.New(&recorder{s.disk, s}, faulty.Options{Script: s.strike})
	return s
}

// recorder writes the history down as the disk takes it.
type recorder struct {
	*memory.Store
	s *storage
}

// Append implements persistence.Journal.
func (r *recorder) Append(ctx context.Context, partition int, expect uint64, id string, record []byte) (uint64, error) {
	if r.s.w.has(bugNoFence) {
		expect, _, _ = r.Last(ctx, partition)
	}
	position, err := r.Store.Append(ctx, partition, expect, id, record)
	if err == nil {
		_, kept, _ := r.Last(ctx, partition)
		r.s.history[partition] = append(r.s.history[partition], memory.Record{Position: position, Data: kept})
		r.s.w.checks.stored(partition, position, kept)
	}
	return position, err
}

// strike is the journal's bad luck.
func (s *storage) strike(c faulty.Call) faulty.Fault {
	w := s.w
	if !w.strikes(faultJournal) {
		return faulty.None
	}
	x := w.rng.Float64()
	if c.Op != "append" {
		switch {
		case x < 0.004:
			return faulty.Refused
		case x < 0.04 && (c.Op == "write" || c.Op == "truncate"):
			return faulty.LostAck // done, and nobody knows
		}
		return faulty.None
	}
	switch {
	case x < 0.008:
		return faulty.Refused
	case x < 0.024:
		w.result.LostAcks++
		return faulty.LostAck
	case x < 0.030:
		return faulty.Late
	case x < 0.036:
		return faulty.Twice
	case x < 0.042:
		return faulty.TwiceDenied
	}
	return faulty.None
}

// nodeStore is the storage as one node reaches it: with delays, and not while it is cut off. It implements persistence.Store.
type nodeStore struct {
	n *node
	*faulty.Store
}

var (
	errCut  = errors.New("NATS cannot be reached")
	errFull = errors.New("no space left on device")
)

// reach is the way to NATS: a moment, now and then a long one.
func (s *nodeStore) reach(ms int64) error {
	if !s.n.w.sleep(ms) {
		return errGone
	}
	for waited := 0; s.n.cut; waited++ {
		if waited == 4 {
			return errCut
		}
		if !s.n.w.sleep(250) {
			return errGone
		}
	}
	return nil
}

// Append implements persistence.Journal. A node that is cut off, or gone, between request and answer does not know what became of it.
func (s *nodeStore) Append(ctx context.Context, partition int, expect uint64, id string, record []byte) (uint64, error) {
	w := s.n.w
	if err := s.reach(w.diskTime()); err != nil {
		return 0, err
	}
	if w.full {
		return 0, errFull
	}
	position, err := s.Store.Append(ctx, partition, expect, id, record)
	if w.strikes(faultCrash) && w.chance(0.12) {
		s.n.crash()
		return 0, errGone
	}
	if back := w.between(0, 3) - 2; back > 0 && !w.sleep(back) {
		return 0, errGone
	}
	if s.n.cut {
		return 0, persistence.ErrUnknown
	}
	return position, err
}

// Last implements persistence.Journal.
func (s *nodeStore) Last(ctx context.Context, partition int) (uint64, []byte, error) {
	if err := s.reach(1); err != nil {
		return 0, nil, err
	}
	return s.Store.Last(ctx, partition)
}

// Read implements persistence.Journal.
func (s *nodeStore) Read(ctx context.Context, partition int, after uint64, fn func(uint64, []byte) error) error {
	if err := s.reach(1); err != nil {
		return err
	}
	return s.Store.Read(ctx, partition, after, fn)
}

// Load implements persistence.Snapshots.
func (s *nodeStore) Load(ctx context.Context, partition int, fn func([]byte) error) (persistence.Manifest, bool, error) {
	if err := s.reach(1); err != nil {
		return persistence.Manifest{}, false, err
	}
	return s.Store.Load(ctx, partition, fn)
}

// Write implements persistence.Snapshots.
func (s *nodeStore) Write(ctx context.Context, partition int, m persistence.Manifest, parts iter.Seq2[[]byte, error]) error {
	if err := s.reach(s.n.w.between(1, 30)); err != nil {
		return err
	}
	if s.n.w.full {
		return errFull
	}
	return s.Store.Write(ctx, partition, m, parts)
}

// Truncate implements persistence.Journal.
func (s *nodeStore) Truncate(ctx context.Context, partition int, below uint64) error {
	if err := s.reach(1); err != nil {
		return err
	}
	return s.Store.Truncate(ctx, partition, below)
}

// cursor is how far the public events of a partition are known to be published.
func (s *nodeStore) cursor(partition int) (egress.Cursor, error) {
	if err := s.reach(1); err != nil {
		return egress.Cursor{}, err
	}
	return s.n.w.storage.cursors[partition], nil
}

// saveCursor moves a cursor forward, never back.
func (s *nodeStore) saveCursor(partition int, c egress.Cursor) error {
	if err := s.reach(1); err != nil {
		return err
	}
	if s.n.w.full {
		return errFull
	}
	if stored := &s.n.w.storage.cursors[partition]; stored.Position < c.Position {
		*stored = c
	}
	return nil
}

// diskTime is how long an append takes, now and then much longer: then many commands wait for it, and a crash takes them all.
func (w *world) diskTime() int64 {
	if w.strikes(faultJournal) && w.chance(4) {
		return w.between(20, 400)
	}
	return w.between(1, 2)
}
