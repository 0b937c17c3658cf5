package link

import "time"

// Limits bounds the links and the router. A zero field takes its default.
type Limits struct {
	BatchBytesMax int // of one batch: half of what a NATS server takes, so that the detour carries it. A single larger item goes alone
	BatchItemsMax int // requests and replies in one batch: a batch is decoded in one go, and others wait behind it
	QueueBytesMax int // waiting for one peer before requests are refused with `limit`. Replies are never refused: whoever asked bounds them
	CallsMax      int // clients' requests in flight to one peer before `limit`
	TasksMax      int // entities' tasks in flight to one peer before `limit`; higher, since they are what lets requests under way end
	WindowBatches int // sent and not acknowledged before the sender lets the next batch grow
	WindowBytes   int

	AckWithin  time.Duration // something heard is acknowledged at the latest after this, alone when nothing else is to be said
	SilentMax  time.Duration // an unacknowledged batch of this age breaks the way it took, when nothing was heard on it for as long either
	SlowMax    time.Duration // the same, whatever was heard: the other lives and may have no processor, or hears nothing though it speaks
	ProbeEvery time.Duration // a broken direct way is probed this often
	CallFor    time.Duration // how long a client's request without deadline is waited for and retried
	TaskFor    time.Duration // how long an entity's task is waited for; the entity has asked again long before
	Grace      time.Duration // past the deadline, before a call is swept: the answer may be on its way

	RetriesMax int           // requests that wait in the router, for an owner or for the next try, before `unavailable`
	RetryMin   time.Duration // pause before a client's request is tried again, doubling
	RetryMax   time.Duration
	OwnerPause time.Duration // a task without an owner is answered `moved` after this, so that its entity does not spin
	TellFor    time.Duration // how long a request that nobody waits for is kept for an owner to appear
}

// DefaultLimits are sane for nodes on two cores.
func DefaultLimits() Limits {
	return Limits{
		BatchBytesMax: 512 << 10, BatchItemsMax: 4096, QueueBytesMax: 32 << 20, CallsMax: 1 << 15, TasksMax: 1 << 18,
		WindowBatches: 64, WindowBytes: 8 << 20,
		AckWithin: 100 * time.Millisecond, SilentMax: time.Second, SlowMax: 4 * time.Second, ProbeEvery: time.Second,
		CallFor: 10 * time.Second, TaskFor: 30 * time.Second, Grace: time.Second,
		RetriesMax: 1 << 16, RetryMin: 2 * time.Millisecond, RetryMax: 50 * time.Millisecond, OwnerPause: 20 * time.Millisecond,
		TellFor: 2 * time.Second,
	}
}

const (
	tickEvery   = 25 * time.Millisecond  // how often peers are looked at for what is due
	sweepEvery  = 500 * time.Millisecond // how often flights are looked at for deadlines
	strangerFor = 10 * time.Second       // a peer that the map never had is forgotten after this much silence
	chunkMin    = 512                    // bytes a new chunk has room for; more when the last one was larger
	headMax     = 1 << 10                // of a batch, beside its items: incarnations, address, numbers
	pastMax     = 1 << 12                // forgotten peers whose numbers are remembered
)

// orDefault fills what was left zero.
func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	fill(&l.BatchBytesMax, d.BatchBytesMax)
	fill(&l.BatchItemsMax, d.BatchItemsMax)
	fill(&l.QueueBytesMax, d.QueueBytesMax)
	fill(&l.CallsMax, d.CallsMax)
	fill(&l.TasksMax, d.TasksMax)
	fill(&l.WindowBatches, d.WindowBatches)
	fill(&l.WindowBytes, d.WindowBytes)
	fill(&l.AckWithin, d.AckWithin)
	fill(&l.SilentMax, d.SilentMax)
	fill(&l.SlowMax, max(d.SlowMax, l.SilentMax))
	fill(&l.ProbeEvery, d.ProbeEvery)
	fill(&l.CallFor, d.CallFor)
	fill(&l.TaskFor, d.TaskFor)
	fill(&l.Grace, d.Grace)
	fill(&l.RetriesMax, d.RetriesMax)
	fill(&l.RetryMin, d.RetryMin)
	fill(&l.RetryMax, d.RetryMax)
	fill(&l.OwnerPause, d.OwnerPause)
	fill(&l.TellFor, d.TellFor)
	return l
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
