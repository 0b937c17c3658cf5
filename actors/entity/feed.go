package entity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"orderyard/messages"
	"orderyard/persistence"
)

// Feed lets followers (the egress, the read model) tail one partition: recent commits from memory, older ones from the journal.
// Many followers may read at once; a slow one never holds up the committer, it just reads the journal.
type Feed struct {
	journal   persistence.Journal
	partition int
	bytesMax  int

	mu      sync.Mutex
	recent  []feedCommit // ascending positions
	bytes   int
	last    uint64        // position of the newest record this node knows of
	serving bool          // this node owns the partition
	changed chan struct{} // closed and replaced when last moves
}

// feedCommit is one commit; before is the position of the record in front of it, so that a follower sees whether it missed any.
type feedCommit struct {
	before, position uint64
	payload          []byte
	decoded          *sharedCommit
}

// sharedCommit is decoded by the first follower that comes to it, for all of them: they only read. Its text is the payload's, which never
// changes; who keeps some of it keeps the payload.
type sharedCommit struct {
	once   sync.Once
	commit *messages.Commit
	err    error
}

func (c *feedCommit) decode() (*messages.Commit, error) {
	if c.decoded == nil {
		return viewCommit(c.payload)
	}
	c.decoded.once.Do(func() { c.decoded.commit, c.decoded.err = viewCommit(c.payload) })
	return c.decoded.commit, c.decoded.err
}

// decodedKept is how many of the newest commits are kept decoded: whoever keeps up reads them at once, and to the collector they are a hundred
// times what their bytes are.
const decodedKept = 16

// NewFeed makes the feed of one partition, keeping at most bytesMax of recent commits.
func NewFeed(journal persistence.Journal, partition, bytesMax int) *Feed {
	return &Feed{journal: journal, partition: partition, bytesMax: bytesMax, changed: make(chan struct{})}
}

// push adds a durable commit. The payload must not change afterwards.
func (f *Feed) push(position uint64, payload []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.recent = append(f.recent, feedCommit{before: f.last, position: position, payload: payload, decoded: &sharedCommit{}})
	f.bytes += len(payload)
	if i := len(f.recent) - 1 - decodedKept; i >= 0 {
		f.recent[i].decoded = nil
	}
	drop := 0
	for f.bytes > f.bytesMax && drop < len(f.recent)-1 {
		f.bytes -= len(f.recent[drop].payload)
		f.recent[drop].payload, f.recent[drop].decoded = nil, nil
		drop++
	}
	f.recent = f.recent[drop:]
	f.moved(position)
}

// opened notes where the journal ends as this node takes the partition over; all up to there is read from the journal.
func (f *Feed) opened(head uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.recent, f.bytes, f.serving = nil, 0, true
	f.moved(head)
}

// closed ends every Follow: the partition is another node's, or nobody's.
func (f *Feed) closed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.recent, f.bytes, f.serving = nil, 0, false
	f.moved(0)
}

// head is the newest durable record that this node knows of; false when it does not serve the partition.
func (f *Feed) head() (uint64, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last, f.serving
}

func (f *Feed) moved(last uint64) {
	f.last = last
	close(f.changed)
	f.changed = make(chan struct{})
}

// behind gives the recent commits behind a position. missed says that older records must be read from the journal first.
func (f *Feed) behind(after uint64) (commits []feedCommit, missed, serving bool, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, _ := slices.BinarySearchFunc(f.recent, after, func(c feedCommit, after uint64) int {
		if c.position <= after {
			return -1
		}
		return 1
	})
	if i == len(f.recent) {
		return nil, after < f.last, f.serving, f.changed
	}
	if f.recent[i].before > after {
		return nil, true, f.serving, f.changed
	}
	return slices.Clone(f.recent[i:]), false, f.serving, f.changed
}

// ErrNotServing ends a Follow: the partition is not, or no longer, this node's. Its new owner's followers go on.
var ErrNotServing = errors.New("the partition is not served by this node")

// Follow calls fn for every commit behind a position, in order, and goes on with what comes, until ctx ends, fn fails or the
// partition leaves this node (ErrNotServing). After a failure a commit may be seen again; none is skipped.
func (f *Feed) Follow(ctx context.Context, after uint64, fn func(position uint64, c *messages.Commit) error) error {
	for ctx.Err() == nil {
		commits, missed, serving, changed := f.behind(after)
		if !serving {
			return fmt.Errorf("follow partition %d: %w", f.partition, ErrNotServing)
		}
		if missed {
			next, err := f.fromJournal(ctx, after, fn)
			if err != nil {
				return err
			}
			if next == after {
				return fmt.Errorf("partition %d: the journal ends at %d, below what was committed: %w", f.partition, after, persistence.ErrCorrupt)
			}
			after = next
			continue
		}
		for _, c := range commits {
			decoded, err := c.decode()
			if err != nil {
				return fmt.Errorf("partition %d position %d: %w", f.partition, c.position, err)
			}
			if err := fn(c.position, decoded); err != nil {
				return err
			}
			after = c.position
		}
		if len(commits) == 0 {
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	}
	return ctx.Err()
}

// fromJournal reads to the journal's present end and gives the position reached; records that are no commits count as read.
func (f *Feed) fromJournal(ctx context.Context, after uint64, fn func(position uint64, c *messages.Commit) error) (uint64, error) {
	err := f.journal.Read(ctx, f.partition, after, func(position uint64, record []byte) error {
		header, payload, err := persistence.DecodeRecord(record)
		if err != nil {
			return fmt.Errorf("partition %d position %d: %w", f.partition, position, err)
		}
		if header.Kind == persistence.RecordCommit {
			c, err := DecodeCommit(payload)
			if err != nil {
				return fmt.Errorf("partition %d position %d: %w", f.partition, position, err)
			}
			if err := fn(position, c); err != nil {
				return err
			}
		}
		after = position
		return nil
	})
	return after, err
}
