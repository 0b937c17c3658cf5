package cluster

import (
	"slices"
	"strings"

	"orderyard/messages"
	"orderyard/persistence"
)

// Phase is where a partition stands on this node.
type Phase uint8

const (
	PhaseIdle    Phase = iota // nothing of it is here
	PhaseWarming              // being read back, not taken over
	PhaseWarm                 // read back; follows the tail, so that opening takes an instant
	PhaseOpening              // being taken over; requests are parked
	PhaseServing
	PhaseClosing // takes nothing new, finishes what is under way
	PhaseClosed  // stopped; its mark says where the journal ended. Drop makes it idle
)

func (p Phase) String() string {
	return [...]string{"idle", "warming", "warm", "opening", "serving", "closing", "closed"}[p]
}

// Host runs partitions on this node: actors/entity.Runtime. Every method returns at once and may be called from any goroutine; calling
// one again, or one that does not fit the present phase, does nothing. What happened is read by Local; the host nudges its keeper when it
// changes.
type Host interface {
	// Warm reads a partition back without taking it over, and keeps following its tail. From idle.
	Warm(partition int)
	// Open takes a partition over and serves it. From idle, warming or warm. mark is a place the journal is known to have reached: one that
	// ends below it is refused as damaged. One that was taken over under a later claim than the mark's is left alone: the phase is idle again.
	Open(partition int, mark persistence.Mark)
	// Close stops taking requests (they are answered `moved`), lets what is under way become durable and stops. From serving or opening.
	Close(partition int)
	// Drop forgets a partition at once, whatever its phase: ownership was lost, or a warm one is not needed. What waits is answered `moved`.
	Drop(partition int)
	// Local tells a partition's phase. The mark's place is set when it is closed; its term is a later one than was opened with when the
	// journal is another's by now: then whoever opens again needs a later claim.
	Local(partition int) (Phase, persistence.Mark)
}

// OwnerAt is a partition's ownership record with its revision; the zero value says that nobody ever owned it.
type OwnerAt struct {
	*messages.PartitionOwner
	Revision uint64
}

// Map is one node's picture of the cluster at a moment. It is never changed: a new one replaces it.
type Map struct {
	Self    string                  // this process's incarnation
	Members []*messages.NodeSession // who lives as far as is known, this node included, by incarnation
	Owners  []OwnerAt               // one per partition
}

// Member gives a living member by incarnation; nil when it is not known to live.
func (m *Map) Member(incarnation string) *messages.NodeSession {
	i, found := slices.BinarySearchFunc(m.Members, incarnation, func(s *messages.NodeSession, id string) int {
		return strings.Compare(s.Incarnation, id)
	})
	if !found {
		return nil
	}
	return m.Members[i]
}

// Owner gives the living member to whom requests for a partition go; nil when there is none at the moment: ask again soon.
func (m *Map) Owner(partition int) *messages.NodeSession {
	o := m.Owners[partition]
	if o.PartitionOwner == nil || o.Phase == messages.OwnerPhase_OWNER_RELEASED {
		return nil
	}
	return m.Member(o.Incarnation)
}
