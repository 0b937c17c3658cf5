package sim

// Faults that a node could have and must not. Each is planted in the scheduler's stand-in for the shells, where the real one keeps
// the promise; a test shows that a few seeds are enough to find it. A checker that cannot fail is a defect.
const (
	bugEarlyReply   = "reply before commit"       // answers leave while their entry is still in memory
	bugNoDedup      = "command ids forgotten"     // a repeated command is decided again
	bugLostEntry    = "entry left out"            // one entry of a batch never reaches the journal
	bugDeafTimer    = "timers never ring"         // nothing expires
	bugStaleRebirth = "asleep with the old state" // an entity wakes up as it was at its first sleep
)

// Bugs lists the faults that can be planted.
func Bugs() []string {
	return []string{bugEarlyReply, bugNoDedup, bugLostEntry, bugDeafTimer, bugStaleRebirth}
}

func (w *world) has(bug string) bool { return w.o.Bug == bug }
