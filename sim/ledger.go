package sim

import (
	"orderyard/actors/audit"
	"orderyard/persistence"
)

// ledger gives the whole history of every partition to the audit, in parts.
type ledger struct {
	*audit.Auditor
	w      *world
	chains []*persistence.Chain
	taken  []int // records, by partition
}

func newLedger(w *world) *ledger {
	l := &ledger{Auditor: audit.New(w.kinds, &w.limits), w: w, taken: make([]int, w.o.Partitions)}
	l.Granted = map[string]bool{}
	for p := range w.o.Partitions {
		l.chains = append(l.chains, persistence.NewChain(p, persistence.Manifest{}))
	}
	return l
}

// take takes what the history has gained.
func (l *ledger) take() {
	for p, chain := range l.chains {
		for _, r := range l.w.storage.history[p][l.taken[p]:] {
			h, payload, err := chain.Next(r.Position, r.Data)
			if err != nil {
				l.w.violate("I10", "", "%v", err)
				return
			}
			if h.Kind == persistence.RecordCommit {
				l.Commit(p, r.Position, h.Number, payload)
			}
		}
		l.taken[p] = len(l.w.storage.history[p])
	}
}

// evening compares what buckets, sites and orders believe before the day passes: in a day buckets ask about old claims, and so mend what was lost.
func (l *ledger) evening() {
	l.take()
	l.w.result.Violations = append(l.w.result.Violations, audit.Agree([]*audit.Part{l.Close(0)})...)
}
