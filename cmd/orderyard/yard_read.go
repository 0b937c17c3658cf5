package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/actors"
	"orderyard/actors/entity"
	"orderyard/messages"
	"orderyard/persistence"
	"orderyard/persistence/jetstream"
	"orderyard/routing"
)

// yardReader brings entities back from checkpoints and journal, as a node does, and sends nothing.
type yardReader struct {
	kinds  entity.Kinds
	limits *entity.Limits
	cores  map[messages.Ref]*entity.Core
}

// readYard brings a whole yard back. It writes nothing.
func readYard(ctx context.Context, conn *nats.Conn) (*yardReader, error) {
	store, err := jetstream.Open(ctx, conn, jetstream.Options{Existing: true})
	if err != nil {
		return nil, err
	}
	return readStore(ctx, store)
}

func readStore(ctx context.Context, store persistence.Store) (*yardReader, error) {
	partitions, err := storedPartitions(ctx, store)
	if err != nil {
		return nil, err
	}
	limits := entity.DefaultLimits()
	r := &yardReader{
		kinds:  actors.Kinds(func() int64 { return time.Now().UnixMilli() }, actors.RememberForMs, nil),
		limits: &limits, cores: map[messages.Ref]*entity.Core{},
	}
	for partition := range partitions {
		if err := r.read(ctx, store, partition); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// noPlans stands in for routing: an entity that is read back never plans.
func noPlans(*messages.PlanRequest, int64) *messages.AdoptPlan { return &messages.AdoptPlan{} }

// errOvertaken says that a yard is too busy to be read: nothing is damaged.
var errOvertaken = errors.New("its owner wrote a checkpoint, and cut the journal, each time it was read: try again")

// read takes one partition to its end. A gap may be none: the owner may have written another checkpoint, and cut the journal below it, since this
// one was loaded. Then the partition is begun anew.
func (r *yardReader) read(ctx context.Context, store persistence.Store, partition int) error {
	for range checkpointTries {
		part := &yardReader{kinds: r.kinds, limits: r.limits, cores: map[messages.Ref]*entity.Core{}}
		from, err := part.attempt(ctx, store, partition)
		if err == nil {
			maps.Copy(r.cores, part.cores)
			return nil
		}
		if !errors.Is(err, persistence.ErrCorrupt) || !newerCheckpoint(ctx, store, partition, from) {
			return err
		}
	}
	return fmt.Errorf("partition %d: %w", partition, errOvertaken)
}

// attempt gives the position of the checkpoint it began with.
func (r *yardReader) attempt(ctx context.Context, store persistence.Store, partition int) (from uint64, err error) {
	var reader entity.StreamReader
	manifest, _, err := store.Load(ctx, partition, func(slice []byte) error { return reader.Take(slice, r.load) })
	if err != nil {
		return manifest.Position, fmt.Errorf("checkpoint of partition %d: %w", partition, err)
	}
	log := persistence.OpenLog(store, partition, persistence.LogOptions{})
	return manifest.Position, log.Recover(ctx, manifest, func(position uint64, payload []byte) error {
		c, err := entity.DecodeCommit(payload)
		for i := 0; err == nil && i < len(c.Entries); i++ {
			err = r.apply(c.Entries[i])
		}
		if err != nil {
			return fmt.Errorf("partition %d position %d: %w", partition, position, err)
		}
		return nil
	})
}

func (r *yardReader) load(blob []byte) error {
	snapshot := new(messages.EntitySnapshot)
	if err := snapshot.UnmarshalVT(blob); err != nil {
		return err
	}
	core, err := entity.LoadCore(snapshot, r.kinds, noPlans, r.limits)
	if err != nil {
		return err
	}
	r.cores[core.Ref()] = core
	return nil
}

func (r *yardReader) apply(e *messages.Entry) error {
	ref := messages.Ref{Kind: messages.Kind(e.Kind), ID: e.Id}
	core := r.cores[ref]
	if core == nil {
		kind, ok := r.kinds[ref.Kind]
		if !ok {
			return fmt.Errorf("unknown kind %d: this program is older than the yard", e.Kind)
		}
		core = entity.NewCore(ref, kind, noPlans, r.limits)
		r.cores[ref] = core
	}
	if e.Version+uint64(len(e.Events)) <= core.Version() {
		return nil // the checkpoint holds it already
	}
	return core.Apply(e)
}

// sites is a node's picture of the sites, without their stock.
func (r *yardReader) sites() routing.View {
	know := actors.NewKnowledge(nil, func() int64 { return time.Now().UnixMilli() }, func(messages.Request) {})
	for _, ref := range r.refs(messages.KindSite) {
		know.Observe(ref, r.cores[ref].Machine().Summary(), nil)
	}
	return know.View()
}

// refs lists the entities of a kind in the order of their ids.
func (r *yardReader) refs(kind messages.Kind) []messages.Ref {
	var refs []messages.Ref
	for ref := range r.cores {
		if ref.Kind == kind {
			refs = append(refs, ref)
		}
	}
	slices.SortFunc(refs, func(a, b messages.Ref) int { return strings.Compare(a.ID, b.ID) })
	return refs
}
