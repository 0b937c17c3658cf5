package persistence

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// What a caller acts on. Everything else is an ordinary failure that may be tried again.
var (
	// ErrConflict answers an Append whose expectation is wrong: the partition's last position is another. It says nothing about who
	// wrote: it may have been oneself. Values.Update answers it for a stale revision.
	ErrConflict = errors.New("journal: the last position is another than expected")
	// ErrUnknown says that an append may or may not have been stored: read the tail, then judge. A Log does that by itself and
	// gives it only when its context ended first.
	ErrUnknown = errors.New("journal: outcome of the append unknown")
	// ErrFenced says that another owner has written: stop serving this partition. It is final.
	ErrFenced = errors.New("journal: fenced, another owner has written")
	// ErrOutranked says that another took the partition over under a later claim: ask the arbiter whose it is before trying again.
	ErrOutranked = errors.New("journal: another took over under a later claim")
	// ErrCorrupt says that the journal or a checkpoint is not what was written: see CorruptError. Refuse to serve.
	ErrCorrupt = errors.New("journal: damaged")
	// ErrTooLarge refuses a record, a slice or a value before it is sent. Nothing was stored; a Log stays usable.
	ErrTooLarge = errors.New("journal: too large")
	// ErrSuperseded refuses a checkpoint because a newer one is already stored. Drop yours.
	ErrSuperseded = errors.New("checkpoint: a newer one is stored")
	// ErrUntidy says that a checkpoint is stored, and what it makes superfluous could not be removed: it counts, and the store keeps its size.
	ErrUntidy = errors.New("checkpoint: stored, but older ones could not be removed")
	// ErrExists answers Values.Create when the key has a value.
	ErrExists = errors.New("values: the key exists")
)

// CorruptError tells where the damage is.
type CorruptError struct {
	Partition int    // -1 when the reader does not know it
	Position  uint64 // of the offending record, or where the journal ends when records are missing at its end
	Reason    string
}

func (e *CorruptError) Error() string {
	if e.Partition < 0 {
		return "journal damaged: " + e.Reason
	}
	return fmt.Sprintf("journal of partition %d damaged at position %d: %s", e.Partition, e.Position, e.Reason)
}

// Unwrap makes errors.Is(err, ErrCorrupt) true.
func (e *CorruptError) Unwrap() error { return ErrCorrupt }

// OutrankedError is an ErrOutranked that tells the term to go above. Who has none else to ask, because the owners' records are lost, would have to find
// it one refusal at a time.
type OutrankedError struct {
	Partition int
	Term      uint64 // of the claim that was refused
	Journal   uint64 // the journal's
}

func (e *OutrankedError) Error() string {
	return fmt.Sprintf("take over partition %d under term %d, the journal is at term %d: %v", e.Partition, e.Term, e.Journal, ErrOutranked)
}

// Unwrap makes errors.Is(err, ErrOutranked) true.
func (e *OutrankedError) Unwrap() error { return ErrOutranked }

// OutrankedBy is the term of the journal that refused a claim; 0 = the error is of another kind.
func OutrankedBy(err error) uint64 {
	var o *OutrankedError
	if !errors.As(err, &o) {
		return 0
	}
	return o.Journal
}

const (
	// SliceMax bounds one slice of a checkpoint, in bytes: it passes a NATS server with its default maximum payload of 1 MiB.
	SliceMax = 512 << 10
	// PartitionsMax bounds partition numbers: a record's header has 16 bits for it.
	PartitionsMax = 1 << 16
	// KeyMax bounds the key of a value, in bytes.
	KeyMax = 256
)

// Journal holds the records of all partitions. It may be called concurrently, also for one partition: that is what the
// expectation is for.
//
// Positions of one partition grow; they are not contiguous, for partitions may share a numbering.
type Journal interface {
	// Append stores the record if the partition's last position is expect (0 = the partition is empty) and gives its position. Errors:
	// ErrConflict, ErrUnknown, ErrTooLarge; any other error leaves the outcome as unknown as ErrUnknown does. The record is not kept
	// after the call. The id names the append for operators; repeating it promises nothing.
	Append(ctx context.Context, partition int, expect uint64, id string, record []byte) (position uint64, err error)
	// Last gives the last record as the store's leader knows it; 0, nil, nil when the partition is empty.
	Last(ctx context.Context, partition int) (position uint64, record []byte, err error)
	// Read gives every record after the position, in order, to the end as of the call. The record is fn's until it returns. An
	// error of fn ends the reading and is given back as it is.
	Read(ctx context.Context, partition int, after uint64, fn func(position uint64, record []byte) error) error
	// Truncate removes the records below a position, except the last one. It is not fenced: truncate only below a durable
	// checkpoint and below every follower.
	Truncate(ctx context.Context, partition int, below uint64) error
}

// Manifest describes a checkpoint: the journal's head it stands for, and what its slices must add up to.
type Manifest struct {
	Position uint64   // of the last record it includes; 0 = nothing, from the beginning
	Number   uint64   // of that record
	Epoch    uint64   // of that record
	Term     uint64   // highest of the takeovers up to it; see Mark
	Hash     [32]byte // SHA-256 of that record
	Slices   int      // filled by Write, like Bytes and Digest
	Bytes    int64
	Digest   [32]byte // over the slices and their lengths
	AtMs     int64    // when it was made, Unix milliseconds
}

// Snapshots holds the checkpoints of all partitions. A checkpoint exists only when its manifest is durable, after its slices. The newest and the
// one before it are kept. Partitions may be written concurrently; one partition by one writer at a time, though a second
// one (a zombie) does no harm: the higher position wins.
type Snapshots interface {
	// Write stores a checkpoint and removes those it makes superfluous. It ends without effect on the iterator's error, on a slice
	// above SliceMax (ErrTooLarge), and when a newer checkpoint is stored (ErrSuperseded). ErrUntidy alone comes with a checkpoint that is stored.
	Write(ctx context.Context, partition int, manifest Manifest, slices iter.Seq2[[]byte, error]) error
	// Load gives the slices of the newest whole checkpoint; false when there is none. One that is found incomplete before its first slice
	// was given away is passed over for the former one; damage found later is a CorruptError, and whoever took the
	// slices throws them away.
	Load(ctx context.Context, partition int, slice func([]byte) error) (Manifest, bool, error)
}

// Values holds small named values. Keys are of letters, digits and -_=/. and neither begin nor end with a dot.
type Values interface {
	// Get gives the value and its revision; nil, 0 when there is none. It is read from the store's leader. One that somebody deleted by hand is nil
	// with a revision to Update from.
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	// Put stores the value whatever was there.
	Put(ctx context.Context, key string, value []byte) error
	// Create stores the value if there is none, else ErrExists.
	Create(ctx context.Context, key string, value []byte) error
	// Update stores the value if the revision is the one that Get gives (0 = there is none), else ErrConflict. After a time-out the
	// outcome is unknown: Get, then judge.
	Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
}

// Store is all that a node needs to remember.
type Store interface {
	Journal
	Snapshots
	Values
	Close() error
}

// CheckPartition says whether a partition number can be stored.
func CheckPartition(partition int) error {
	if partition < 0 || partition >= PartitionsMax {
		return fmt.Errorf("partition %d: must be from 0 to %d", partition, PartitionsMax-1)
	}
	return nil
}

// CheckKey says whether a value can be stored under the key.
func CheckKey(key string) error {
	if key == "" || len(key) > KeyMax {
		return fmt.Errorf("key %q: must have from 1 to %d bytes", key, KeyMax)
	}
	if key[0] == '.' || key[len(key)-1] == '.' {
		return fmt.Errorf("key %q: must neither begin nor end with a dot", key)
	}
	for i := 0; i < len(key); i++ {
		c := key[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '-' && c != '_' && c != '=' && c != '/' && c != '.' {
			return fmt.Errorf("key %q: holds %q, only letters, digits and -_=/. are allowed", key, c)
		}
		if c == '.' && key[i-1] == '.' {
			return fmt.Errorf("key %q: has an empty part", key)
		}
	}
	return nil
}
