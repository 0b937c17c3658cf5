package cluster

import (
	"cmp"
	"slices"
	"time"

	"orderyard/messages"
)

// Status is what a keeper tells people.
type Status struct {
	Self       string
	Connected  bool
	Lease      bool
	Ready      bool
	Draining   bool
	Members    []MemberStatus    // by node, then incarnation
	Dead       []DeadStatus      // lately, by incarnation
	Partitions []PartitionStatus // by number
}

// MemberStatus is one living member.
type MemberStatus struct {
	*messages.NodeSession
	Self      bool
	Owned     int    // partitions whose owner it is
	Leaving   int    // of these: offered to another
	Arriving  int    // partitions offered or released to it
	Suspected string // why it is being looked for; "" = it is not
}

// DeadStatus is one process that was proven dead, or has left.
type DeadStatus struct {
	Node, Incarnation string
	Why               string
	Ago               time.Duration
}

// PartitionStatus is one partition: its record, and how it stands on this node.
type PartitionStatus struct {
	Partition int
	OwnerAt
	Phase Phase
}

// known is the part of the roster that a Map does not show.
type known struct {
	at       time.Duration
	suspects map[string]string
	dead     []DeadStatus // Ago as of at
}

func (r *roster) known(now time.Duration) *known {
	found := &known{at: now, suspects: make(map[string]string)}
	for id, p := range r.peers {
		if p.suspect != "" {
			found.suspects[id] = p.suspect
		}
		if p.dead != "" {
			found.dead = append(found.dead, DeadStatus{Node: p.node(), Incarnation: id, Why: p.dead, Ago: now - p.diedAt})
		}
	}
	slices.SortFunc(found.dead, func(a, b DeadStatus) int { return cmp.Compare(a.Incarnation, b.Incarnation) })
	return found
}

// Status tells how things stand. It may be called concurrently and waits for nobody.
func (k *Keeper) Status() Status {
	m, seen, now := k.Map(), k.known.Load(), k.clock()
	_, up := k.o.Registry.Connection()
	s := Status{Self: m.Self, Connected: up, Lease: k.Lease()}
	k.mu.Lock()
	s.Ready, s.Draining = k.ready, k.drain != nil
	k.mu.Unlock()
	for _, d := range seen.dead {
		d.Ago += now - seen.at
		s.Dead = append(s.Dead, d)
	}
	at := make(map[string]*MemberStatus, len(m.Members))
	s.Members = make([]MemberStatus, len(m.Members))
	for i, member := range m.Members {
		s.Members[i] = MemberStatus{NodeSession: member, Self: member.Incarnation == m.Self, Suspected: seen.suspects[member.Incarnation]}
		at[member.Incarnation] = &s.Members[i]
	}
	for p, o := range m.Owners {
		phase, _ := k.o.Host.Local(p)
		s.Partitions = append(s.Partitions, PartitionStatus{Partition: p, OwnerAt: o, Phase: phase})
		if o.PartitionOwner == nil {
			continue
		}
		if owner := at[o.Incarnation]; owner != nil && o.Phase != messages.OwnerPhase_OWNER_RELEASED {
			owner.Owned++
			if o.Phase == messages.OwnerPhase_OWNER_MOVING {
				owner.Leaving++
			}
		}
		if next := at[o.Next]; next != nil {
			next.Arriving++
		}
	}
	slices.SortFunc(s.Members, func(a, b MemberStatus) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Incarnation, b.Incarnation))
	})
	return s
}
