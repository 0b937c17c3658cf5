package cluster

import "time"

// The times of membership hang together: a member renews six times per TTL, stops answering reads at 73 % of it and is looked for
// by the others when it is over. So a process that was cut off has stopped before anybody takes its place.
const (
	// TTLDefault is how long a session lives without being renewed.
	TTLDefault = 3 * time.Second
	// TTLMin keeps a renewal and its answer well inside the time it buys. NATS itself ages messages to the tenth of a second.
	TTLMin = 500 * time.Millisecond

	renewalsPerTTL   = 6
	leasePercent     = 73
	renewalsAtOnce   = 3 // one that hangs must not keep the next from being tried
	renewalTimeoutBy = 3 // a renewal is given up after a third of the TTL
)

// Limits of looking for the dead.
const (
	// GraceDefault is how long after (re)connecting nobody is declared dead: others may still be on their way back.
	GraceDefault = time.Second
	// knownFor is how long a process must have been known before "nobody there" proves anything: its ears may not be open yet.
	knownFor = time.Second
	// pingApart is the least time between two pings that together prove a death.
	pingApart = 30 * time.Millisecond
	// pingWithin is how long a ping waits. It must let a busy process answer.
	pingWithin = 250 * time.Millisecond
	// pingFirst is how long the first ones wait while the session is there. A ping sent in the very moment of a death is not answered at
	// all; the next one finds nobody. Silence proves nothing yet, so a process that was merely busy loses nothing.
	pingFirst = 60 * time.Millisecond
	// pingAgain is the pause before a suspect is pinged again when two pings proved nothing.
	pingAgain = 100 * time.Millisecond
	// pingLapsed is the pause between pings of one that answers but does not renew its session.
	pingLapsed = time.Second
	pingsMax   = 16 // at once
	// hintApart is the least time between two hints at one process that count. It is shorter than two pings take.
	hintApart = 20 * time.Millisecond
	// MembersMax bounds the processes a node knows, dead ones included. Further ones are not noticed.
	MembersMax = 1024
	// forgetAfter is how long a dead process stays in the roster that nothing names any more: for people who ask what happened.
	forgetAfter = 10 * time.Minute
)

// Limits of moving partitions.
const (
	// MovesMaxDefault is how many partitions a node hands over at a time. Each is being read back at its new owner meanwhile.
	MovesMaxDefault = 4
	// WarmWithinDefault is how long the next owner may take to read a partition back before the offer is taken back.
	WarmWithinDefault = 10 * time.Second
	// DrainWithinDefault is how long a draining node waits for warm successors; what is left then is released cold.
	DrainWithinDefault = 20 * time.Second
	// releasedFor is how long a released partition waits for its next owner; then another one claims it.
	releasedFor = 2 * time.Second
	// restFor is how long a partition stays where it is after its next owner could not read it back in time.
	restFor = 30 * time.Second
	// againAfter is the pause before the host is asked, or the owner told, the same once more.
	againAfter = 500 * time.Millisecond
	// writesMax bounds the changes of records under way at once.
	writesMax = 16
	// writeWithin bounds one of them. The outcome of one that took longer is read from the registry's picture.
	writeWithin = 2 * time.Second
	// tellWithin bounds telling another keeper something.
	tellWithin = time.Second
	// tellMax bounds the partitions one tell names.
	tellMax = PartitionsMax
)

// Limits of the keeper's loop.
const (
	tickBusy = 50 * time.Millisecond  // something is pending that time decides
	tickCalm = 250 * time.Millisecond // nothing is
	// summaryAfter is how long partitions must have been quiet before their movements are told in one line; summaryMost is the longest
	// such a line is put off.
	summaryAfter = 200 * time.Millisecond
	summaryMost  = 5 * time.Second
	// slowStep is how long a step of the loop may take before it is told: renewals wait for it.
	slowStep = 250 * time.Millisecond
)
