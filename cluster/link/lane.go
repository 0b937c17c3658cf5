package link

import "time"

// lane is one way to a peer, with its own numbers in both directions; the peer's lock guards it.
type lane struct {
	direct bool

	sent    uint64 // last number given
	tell    bool   // a number was left out, and the other is to find the gap soon
	unacked []sentBatch
	head    int // of unacked
	bytes   int // in unacked

	seen    uint64    // highest number heard
	told    uint64    // highest number acknowledged
	heardAt time.Time // when something was heard that is not acknowledged
	hurry   bool      // the other waits for the acknowledgement

	spokeAt time.Time // when anything was heard on this way
}

type sentBatch struct {
	number uint64
	at     time.Time
	bytes  int
}

// roomFor says whether another batch may be sent before the other has acknowledged something.
func (n *lane) roomFor(l *Limits) bool {
	return len(n.unacked)-n.head < l.WindowBatches && n.bytes < l.WindowBytes
}

// send gives the next number to a batch, which is on its way from now on.
func (n *lane) send(bytes int, now time.Time) uint64 {
	n.sent++
	n.tell = false
	n.unacked = append(n.unacked, sentBatch{number: n.sent, at: now, bytes: bytes})
	n.bytes += bytes
	return n.sent
}

// acknowledged lets go of what the other has.
func (n *lane) acknowledged(seen uint64) {
	for n.head < len(n.unacked) && n.unacked[n.head].number <= seen {
		n.bytes -= n.unacked[n.head].bytes
		n.head++
	}
	if n.head == len(n.unacked) {
		n.unacked, n.head = n.unacked[:0], 0
	} else if n.head > 64 {
		n.unacked, n.head = n.unacked[:copy(n.unacked, n.unacked[n.head:])], 0
	}
}

// giveUp forgets what was sent: it is lost, or the other will ignore it.
func (n *lane) giveUp() {
	n.unacked, n.head, n.bytes = n.unacked[:0], 0, 0
}

// silent says that what was sent is to be given up. Whoever breaks with one that is only slow gives it everything under way to do once more.
func (n *lane) silent(now time.Time, l *Limits) bool {
	oldest, waits := n.oldest()
	if !waits {
		return false
	}
	age := now.Sub(oldest)
	return age > l.SlowMax || age > l.SilentMax && now.Sub(n.spokeAt) > l.SilentMax
}

// leaveOut uses up a number: the other finds the gap, and answers its flights.
func (n *lane) leaveOut() {
	n.sent++
	n.tell = true
}

// oldest tells since when something waits to be acknowledged.
func (n *lane) oldest() (time.Time, bool) {
	if n.head == len(n.unacked) {
		return time.Time{}, false
	}
	return n.unacked[n.head].at, true
}

// hear notes a number. late: a higher one has come already. gap: some before it are lost, or will be ignored.
func (n *lane) hear(number uint64, now time.Time) (late, gap bool) {
	if number <= n.seen {
		return true, false
	}
	gap = number != n.seen+1
	if n.told == n.seen {
		n.heardAt = now
	}
	n.seen = number
	return false, gap
}

// ackDue says whether an acknowledgement is to go now, alone if need be.
func (n *lane) ackDue(now time.Time, l *Limits) bool {
	if n.seen == n.told {
		return false
	}
	return n.hurry || n.seen-n.told >= uint64(l.WindowBatches)/4 || now.Sub(n.heardAt) >= l.AckWithin
}

// acknowledge gives the number that the batch about to be sent acknowledges.
func (n *lane) acknowledge() uint64 {
	n.told, n.hurry = n.seen, false
	return n.seen
}
