package main

import (
	"context"
	"errors"
	"strings"

	"orderyard/cluster"
	"orderyard/cluster/bus"
	"orderyard/gateway/wire"
	"orderyard/messages"
)

// clusterDoor shows a member's picture of the cluster to operators.
type clusterDoor struct{ *member }

// Status implements control.Cluster.
func (d clusterDoor) Status() *wire.ClusterStatus {
	s := d.keeper.Load().Status()
	seen := make(map[string]bool)
	for _, m := range d.gossip.Members() {
		seen[m.Incarnation] = true
	}
	out := &wire.ClusterStatus{AnsweredBy: d.y.cfg.Node.Name, Partitions: len(s.Partitions)}
	for i := range s.Members {
		m := &s.Members[i]
		out.Nodes = append(out.Nodes, wire.ClusterMember{
			Node: m.Node, Incarnation: m.Incarnation, Status: memberStatus(m.NodeSession), Partitions: m.Owned, Weight: int(m.Weight),
			RemoteAddr: m.RemoteAddr, GossipAddr: m.GossipAddr, Gossip: seen[m.Incarnation], StartedAt: wire.Time(m.StartedAtMs), Version: m.Version,
		})
	}
	for p := range s.Partitions {
		switch d.phaseOf(&s.Partitions[p].OwnerAt) {
		case phaseOwned:
			out.Owned++
		case phaseMoving:
			out.Moving++
		default:
			out.Unowned++
		}
	}
	return out
}

func memberStatus(s *messages.NodeSession) string {
	switch {
	case s.Draining:
		return wire.MemberDraining
	case s.Ready:
		return wire.MemberReady
	}
	return wire.MemberJoining
}

// What the outside is told about a partition's record.
const (
	phaseOwned    = "owned"
	phaseMoving   = "moving"
	phaseReleased = "released"
	phaseUnowned  = "unowned"
)

// phaseOf: a record that names nobody who lives is as good as none.
func (d clusterDoor) phaseOf(o *cluster.OwnerAt) string {
	if o.PartitionOwner == nil {
		return phaseUnowned
	}
	alive := d.current().Member(o.Incarnation) != nil
	switch {
	case o.Phase == messages.OwnerPhase_OWNER_RELEASED:
		return phaseReleased
	case !alive:
		return phaseUnowned
	case o.Phase == messages.OwnerPhase_OWNER_MOVING:
		return phaseMoving
	}
	return phaseOwned
}

// Partitions implements control.Cluster.
func (d clusterDoor) Partitions() []wire.ClusterPartition {
	now := d.current()
	rows := make([]wire.ClusterPartition, len(now.Owners))
	for p := range now.Owners {
		o := &now.Owners[p]
		rows[p] = wire.ClusterPartition{Partition: p, Phase: d.phaseOf(o)}
		if o.PartitionOwner == nil {
			continue
		}
		rows[p].Node, rows[p].Incarnation, rows[p].Since = o.Node, o.Incarnation, wire.Time(o.AtMs)
		if next := now.Member(o.Next); next != nil {
			rows[p].Next = next.Node
		}
	}
	return rows
}

// Drain implements control.Cluster: it tells the node of that name or incarnation.
func (d clusterDoor) Drain(ctx context.Context, node string) (*wire.ClusterDrainAnswer, *messages.Failure) {
	var found []*messages.NodeSession
	var names []string
	for _, m := range d.current().Members {
		if m.Node == node || m.Incarnation == node {
			found = append(found, m)
		}
		names = append(names, m.Node)
	}
	switch len(found) {
	case 0:
		return nil, messages.Fail(messages.CodeNotFound, "node", "there is no node %q; there are %s", node, strings.Join(names, ", "))
	case 1:
	default:
		return nil, messages.Fail(messages.CodeConflict, "node", "%d processes call themselves %q: name one by its incarnation", len(found), node)
	}
	target := found[0]
	partitions := 0
	for _, m := range d.keeper.Load().Status().Members {
		if m.Incarnation == target.Incarnation {
			partitions = m.Owned
		}
	}
	if target.Incarnation == d.incarnation {
		_ = d.heardDrain(ctx, nil, nil) // it only begins, and never fails
	} else {
		ctx, cancel := context.WithTimeout(ctx, askWithin)
		defer cancel()
		if err := d.bus.Ask(ctx, target.Incarnation, wordDrain, nil, func([]byte) error { return nil }); err != nil {
			if errors.Is(err, bus.ErrNobody) {
				d.suspect(target.Incarnation)
			}
			return nil, messages.Retry(messages.CodeUnavailable, 500, "%s does not answer: %v", node, err)
		}
	}
	return &wire.ClusterDrainAnswer{Node: target.Node, Incarnation: target.Incarnation, Partitions: partitions}, nil
}
