package cluster

import (
	"log/slog"
	"time"

	"orderyard/messages"
)

// tally counts what happens to partitions, for one line of log per burst instead of one per partition.
type tally struct {
	claimed, released, takenBack, lost, failures int

	failure     error
	first, last time.Duration
}

func (t *tally) pending() bool { return t.claimed+t.released+t.takenBack+t.lost+t.failures > 0 }

func (t *tally) touch(now time.Duration) {
	if !t.pending() {
		t.first = now
	}
	t.last = now
}

func (t *tally) count(kind ActionKind, now time.Duration) {
	if kind == ActOffer || kind == ActKeep { // what comes of the one counts, and the other changes nothing
		return
	}
	t.touch(now)
	switch kind {
	case ActClaim:
		t.claimed++
	case ActRelease:
		t.released++
	case ActTakeBack:
		t.takenBack++
	}
}

func (t *tally) failed(err error, now time.Duration) {
	t.touch(now)
	t.failures++
	t.failure = err
}

// report writes the line once it has been quiet for a moment.
func (t *tally) report(log *slog.Logger, m *Map, now time.Duration) {
	if !t.pending() || now-t.last < summaryAfter && now-t.first < summaryMost {
		return
	}
	if t.failures > 0 {
		log.Warn("ownership could not be written", "times", t.failures, "last_error", t.failure)
	}
	if t.lost > 0 {
		log.Warn("partitions were lost: this process was taken for dead", "lost", t.lost, "owned", owned(m, m.Self), "of", len(m.Owners))
	}
	if t.claimed+t.released+t.takenBack > 0 {
		log.Info("partitions moved", "claimed", t.claimed, "released", t.released, "taken_back", t.takenBack,
			"owned", owned(m, m.Self), "of", len(m.Owners), "took", t.last-t.first)
	}
	*t = tally{}
}

// tallyLosses counts partitions that were this node's until another claimed them.
func (k *Keeper) tallyLosses(old, m *Map) {
	for p, o := range m.Owners {
		was := old.Owners[p]
		if was.PartitionOwner != nil && was.Incarnation == m.Self && was.Phase != messages.OwnerPhase_OWNER_RELEASED &&
			o.PartitionOwner != nil && o.Incarnation != m.Self && was.Revision != k.given[p] {
			k.told.touch(k.clock())
			k.told.lost++
		}
	}
}
