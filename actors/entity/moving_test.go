package entity

import (
	"context"
	"fmt"
	"iter"
	"testing"

	"orderyard/cluster"
	"orderyard/messages"
	"orderyard/persistence"
	"orderyard/persistence/memory"
)

// inOne gives ids of so many entities of one partition.
func inOne(partition, many int) (ids []string) {
	for i := 0; len(ids) < many; i++ {
		if id := fmt.Sprint("e", i); cluster.PartitionOf(toyRef(id), pairPartitions) == partition {
			ids = append(ids, id)
		}
	}
	return ids
}

// closeHalf has a partition closed, to be moved, and keeps it closing: one entity waits for the journal, all others are done. It gives what lets the
// journal go on.
func closeHalf(p *pair, store *stuck, id string) (open func()) {
	shut := make(chan struct{})
	store.gate = shut // nothing is under way: nobody reads it now
	p.nodes[0].Send(messages.Request{To: toyRef(id), CommandID: "last", Command: &messages.AdjustStock{Delta: 1}, Done: func(*messages.Reply) {}})
	p.nodes[0].Close(0)
	return func() { close(shut) }
}

func openGate() chan struct{} {
	gate := make(chan struct{})
	close(gate)
	return gate
}

// Proves that a node which ends while one of its partitions is closing, to be moved, leaves no checkpoint of it: its entities did not become bytes. Two
// entities are told to finish, one waits for the journal, meanwhile the node is told to end; the next owner must find what was acknowledged.
func TestNodeEndsWhilePartitionMoves(t *testing.T) {
	store := &stuck{Store: memory.New(), gate: openGate()}
	p := startPairWith(&pair{t: t, store: store, limit: DefaultLimits()})
	p.nodes[0].Open(0, persistence.Mark{})
	p.until(0, 0, cluster.PhaseServing)
	ids := inOne(0, 2)
	p.ask(ids[0], "c1", &messages.AdjustStock{Delta: 4})
	open := closeHalf(p, store, ids[1])
	done := make(chan error, 1)
	p.nodes[0].tell(0, &order{do: shutIt, done: done})
	open()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	p.nodes[0].Kill()
	p.nodes[1].Open(0, persistence.Mark{})
	p.until(1, 0, cluster.PhaseServing)
	if got := p.ask(ids[0], "", &messages.GetStock{}).GetStock().GetAtp(); got != 4 {
		t.Errorf("%d units at the next owner, 4 were acknowledged", got)
	}
}

// announcing is a store that tells when a checkpoint begins and ends.
type announcing struct {
	persistence.Store
	begun, ended chan struct{}
}

func (s *announcing) Write(ctx context.Context, partition int, m persistence.Manifest, slices iter.Seq2[[]byte, error]) error {
	s.begun <- struct{}{}
	defer func() { s.ended <- struct{}{} }()
	return s.Store.Write(ctx, partition, m, slices)
}

// Proves that a checkpoint under way ends when its partition is closed to be moved: entities that have finished would be written as they were at their last
// rest. A checkpoint begins, of hundreds that are awake, the partition is told to close and kept from it until the checkpoint is over; the next owner
// must find what was acknowledged.
func TestPartitionMovesDuringCheckpoint(t *testing.T) {
	points := &announcing{Store: memory.New(), begun: make(chan struct{}, 64), ended: make(chan struct{}, 64)}
	store := &stuck{Store: points, gate: openGate()}
	limit := DefaultLimits()
	limit.CheckpointTailBytes, limit.PassivateAfterMs = 1, 60_000
	p := startPairWith(&pair{t: t, store: store, limit: limit})
	p.nodes[0].Open(0, persistence.Mark{})
	p.until(0, 0, cluster.PhaseServing)
	ids := inOne(0, 600)
	for _, id := range ids[1:] {
		p.ask(id, "c-"+id, &messages.AdjustStock{Delta: 4})
	}
	<-points.begun
	open := closeHalf(p, store, ids[0])
	<-points.ended
	open()
	mark := p.until(0, 0, cluster.PhaseClosed)
	p.nodes[1].Open(0, mark)
	p.until(1, 0, cluster.PhaseServing)
	lost := 0
	for _, id := range ids[1:] {
		if p.ask(id, "", &messages.GetStock{}).GetStock().GetAtp() != 4 {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d entities are not as they were acknowledged", lost, len(ids)-1)
	}
}
