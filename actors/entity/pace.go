package entity

import "time"

// An append costs a quarter of a millisecond of processor time, whatever is in it: a dozen hand-overs between here and the journal's disk. At half of
// the peak, batches of nine entries one right after the other took a quarter of the node, and every wait for a processor was longer than the pace is. ADR 18.
const (
	paceFrom   = 4  // entries of a batch from which the next one keeps the pace: a caller alone, who asks one thing after the other, never waits
	paceEnough = 64 // entries that need not wait for more
)

// lastAppend is what the next one's beginning depends on.
type lastAppend struct {
	entries int
	began   time.Time
	took    time.Duration
}

// pace says how long the next append lets company gather, so long after the last one began and with so many entries waiting: it begins a pace after the
// last one did, and leaves the journal, which other partitions share, alone for as long as that one took, a pace at most. It begins at once when the last
// one was nearly empty, or when enough waits: neither a lone caller nor a full load ever waits here.
func (l *lastAppend) pace(pace, since time.Duration, waiting int) time.Duration {
	if l.entries < paceFrom || waiting >= paceEnough || pace == 0 {
		return 0
	}
	return max(pace, l.took+min(l.took, pace)) - since
}
