package entity

import (
	"sync/atomic"
	"time"
)

// Stats counts what the runtime does; a door exports them as metrics. All fields may be read at any time.
type Stats struct {
	Commits      atomic.Int64 // appends
	Entries      atomic.Int64 // decided commands in them
	Bytes        atomic.Int64
	CommitNanos  atomic.Int64 // time spent in appends
	Shed         atomic.Int64 // client requests refused at a limit
	Expired      atomic.Int64 // requests dropped because nobody waits any more
	Activations  atomic.Int64
	Passivations atomic.Int64
	Fenced       atomic.Int64 // partitions lost to another owner, or to an unknown outcome
	Outranked    atomic.Int64 // partitions not taken over, because another had claimed them later
	Panics       atomic.Int64
	Checkpoints  atomic.Int64
	Replayed     atomic.Int64 // commands answered from memory
	Inflight     atomic.Int64 // client requests under way
	Recoveries   atomic.Int64
}

func (s *Stats) commit(entries, bytes int, took time.Duration) {
	s.Commits.Add(1)
	s.Entries.Add(int64(entries))
	s.Bytes.Add(int64(bytes))
	s.CommitNanos.Add(int64(took))
}
