package entity

import "time"

// Limits bounds everything in the runtime; configs/orderyard.yaml holds the operator's side with the reasons.
type Limits struct {
	MailboxMax           int           // requests waiting at one entity before clients are shed
	PartitionInflightMax int64         // client requests inside one partition before it sheds
	ParkedMax            int           // requests kept while an entity or the partition is between two lives
	CommitBytesMax       int           // of a batch; an append must hold it
	CommitPace           time.Duration // between the beginnings of appends, while few entries come; 0 = one right after the other
	BatchesMax           int           // closed batches waiting for the journal before clients are shed
	ActivationMax        int           // idle entities woken per tick
	DedupMax             int           // remembered answers per entity
	RetryMinMs           int64         // an unanswered or refused task is sent again after this, doubling
	RetryMaxMs           int64
	AnswerMs             int64 // a task without an answer is sent again after this
	PassivateAfterMs     int64 // an entity without messages for this long becomes bytes
	CheckpointTailBytes  int64 // journal bytes after which a checkpoint is written
	CrashesMax           int   // tries of one entity that end in a panic before it is quarantined
	StallAfterMs         int64 // an append that takes longer stops new client requests: the answer is `unavailable` instead of a time-out
	FeedBytesMax         int   // recent commits kept for followers before they must read the journal
}

// DefaultLimits are sane for one node on two cores.
func DefaultLimits() Limits {
	return Limits{
		MailboxMax: 8192, PartitionInflightMax: 32768, ParkedMax: 8192, CommitBytesMax: 512 << 10, CommitPace: time.Millisecond, BatchesMax: 8, ActivationMax: 1000,
		DedupMax: 1 << 18, RetryMinMs: 20, RetryMaxMs: 30_000, AnswerMs: 5_000, PassivateAfterMs: 5_000, CheckpointTailBytes: 64 << 20,
		CrashesMax: 3, StallAfterMs: 2_000, FeedBytesMax: 4 << 20,
	}
}

// stepsMax bounds the timers and plans that one Step may run in a row: a machine that never settles is cut off and woken again.
const stepsMax = 64

// recordsMax bounds the events that one Step gathers before it stops running timers and is woken again: a machine that works off much, slice by slice,
// would else put up to stepsMax slices into one entry, which the journal may not take. What the command itself and one timer give comes on top.
const recordsMax = 1000
