package entity

import (
	"context"
	"fmt"
	"slices"

	"orderyard/messages"
	"orderyard/persistence"
)

// Recovery rebuilds a partition's Store: the checkpoint's bytes, then every commit after it. Run does it in one go; Read, Settle and Take are
// its steps, so that a partition can be read back, and followed, while its owner still serves.
type Recovery struct {
	Kinds   Kinds
	Planner Planner
	Limits  *Limits

	partition int
	store     *Store
	touched   map[messages.Ref]*Core // changed since the last Settle
	told      []told                 // what the node may know of each entity, as the checkpoint has it
	known     map[messages.Ref]known // what changed of it since
	behind    map[messages.Ref]behind
	commits   int
	bytes     int64
	stream    StreamReader
	entries   EntryReader
	from      persistence.Manifest
}

// known is what an observer is told of an entity.
type known struct {
	summary messages.Message
	waits   []string
}

type told struct {
	ref messages.Ref
	known
}

// Recovered is what a recovery found.
type Recovered struct {
	Store    *Store
	Commits  int   // replayed after the checkpoint
	Bytes    int64 // of them
	Manifest persistence.Manifest
	told     []told
	known    map[messages.Ref]known // newer than what was told
	behind   map[messages.Ref]behind
}

// Behind names the entities whose machine panicked over an entry: what the Store has of them is not all that is durable.
func (r *Recovered) Behind() map[messages.Ref]error {
	errs := make(map[messages.Ref]error, len(r.behind))
	for ref, b := range r.behind {
		errs[ref] = b.err
	}
	return errs
}

// tell hands over what the node may know of the entities, once.
func (r *Recovered) tell(observe func(ref messages.Ref, summary messages.Message, waits []string)) {
	for _, t := range r.told {
		if _, newer := r.known[t.ref]; !newer {
			observe(t.ref, t.summary, t.waits)
		}
	}
	for ref, known := range r.known {
		observe(ref, known.summary, known.waits)
	}
	r.told, r.known = nil, nil
}

// Run loads the checkpoint, replays the journal through the log and takes the partition over: when it returns, the log may append.
// Entities that the replay changed are turned back into bytes with their wake-up at now.
func (r *Recovery) Run(ctx context.Context, log *persistence.Log, snapshots persistence.Snapshots, partition int, now int64) (*Recovered, error) {
	if err := r.Read(ctx, log, snapshots, partition); err != nil {
		return nil, err
	}
	return r.Take(ctx, log, now)
}

// Read loads the checkpoint and replays the journal to its present end.
func (r *Recovery) Read(ctx context.Context, log *persistence.Log, snapshots persistence.Snapshots, partition int) error {
	r.begin(partition)
	manifest, _, err := snapshots.Load(ctx, partition, r.slice)
	if err != nil {
		return fmt.Errorf("load checkpoint of partition %d: %w", partition, err)
	}
	r.from = manifest
	if !r.stream.whole() {
		return fmt.Errorf("checkpoint of partition %d ends in the middle of an entity: %w", partition, persistence.ErrCorrupt)
	}
	if err := log.Recover(ctx, manifest, r.commit); err != nil {
		return fmt.Errorf("recover partition %d: %w", partition, err)
	}
	return nil
}

func (r *Recovery) begin(partition int) {
	r.partition, r.store, r.touched, r.told, r.known = partition, NewStore(), make(map[messages.Ref]*Core), nil, make(map[messages.Ref]known)
	r.behind = make(map[messages.Ref]behind)
}

// Settle turns the entities that changed since the last Settle into bytes.
func (r *Recovery) Settle(now int64) error {
	refs := make([]messages.Ref, 0, len(r.touched))
	for ref := range r.touched {
		refs = append(refs, ref)
	}
	slices.SortFunc(refs, compareRefs)
	for _, ref := range refs {
		snap, err := atRest(r.touched[ref], now)
		if err != nil {
			r.behind[ref] = behind{r.touched[ref].Version(), err}
			continue
		}
		if err := r.store.Put(snap); err != nil {
			return err
		}
		switch k, some, err := r.know(ref, snap.Summary, snap.Waits); {
		case err != nil:
			return err
		case some:
			r.known[ref] = k
		}
	}
	clear(r.touched)
	return nil
}

// know reads what an observer will be told; false when there is nothing to tell.
func (r *Recovery) know(ref messages.Ref, bytes []byte, waits []string) (k known, some bool, err error) {
	if len(bytes) == 0 {
		return known{}, false, nil
	}
	kind, ok := r.Kinds[ref.Kind]
	if !ok {
		return known{}, false, fmt.Errorf("%s: no such kind of entity", ref)
	}
	summary := kind.NewSummary()
	if err := summary.UnmarshalVT(bytes); err != nil {
		return known{}, false, fmt.Errorf("summary of %s: %w", ref, err)
	}
	return known{summary: summary, waits: waits}, true, nil
}

// Take reads on to the end and takes the partition over.
func (r *Recovery) Take(ctx context.Context, log *persistence.Log, now int64) (*Recovered, error) {
	if err := log.Takeover(ctx, r.commit); err != nil {
		return nil, fmt.Errorf("take over partition %d: %w", r.partition, err)
	}
	if err := r.Settle(now); err != nil {
		return nil, err
	}
	return &Recovered{Store: r.store, Commits: r.commits, Bytes: r.bytes, Manifest: r.from, told: r.told, known: r.known, behind: r.behind}, nil
}

// slice takes one slice of a checkpoint.
func (r *Recovery) slice(b []byte) error {
	return r.stream.frames(b, r.frame)
}

func (r *Recovery) frame(frame []byte) error {
	var o outline
	var packed []byte
	var err error
	switch kindOf(frame) {
	case frameCount:
		n, err := countOf(frame)
		r.store.expect(n)
		r.told = slices.Grow(r.told, n)
		return err
	case frameDict:
		return adoptDict(r.store.packs, frame)
	case frameIdle:
		if o, packed, err = idleFrame(frame); err == nil {
			err = r.store.adopt(o.ref, packed, o.wake)
		}
	default:
		if o, err = outlineOf(frame); err == nil {
			r.store.put(o.ref, frame, o.wake)
		}
	}
	if err != nil {
		return err
	}
	k, some, err := r.know(o.ref, o.summary, o.waits)
	if some {
		r.told = append(r.told, told{o.ref, k})
	}
	return err
}

// commit replays one commit.
func (r *Recovery) commit(position uint64, payload []byte) error {
	r.commits++
	r.bytes += int64(len(payload))
	err := r.entries.Each(payload, r.entry)
	if err != nil {
		return fmt.Errorf("commit at position %d: %w", position, err)
	}
	return nil
}

// entry replays one entry. An entity whose machine panics over it is left behind, and does not keep its neighbors from being served.
func (r *Recovery) entry(e *messages.Entry) error {
	ref := messages.Ref{Kind: messages.Kind(e.Kind), ID: e.Id}
	version := e.Version + uint64(len(e.Events))
	if b, ok := r.behind[ref]; ok {
		r.behind[ref] = behind{max(b.version, version), b.err}
		return nil
	}
	err := r.apply(ref, e)
	if isPoison(err) {
		delete(r.touched, ref)
		r.behind[ref] = behind{version, err}
		return nil
	}
	return err
}

func (r *Recovery) apply(ref messages.Ref, e *messages.Entry) (err error) {
	defer contain(ref, &err)
	core := r.touched[ref]
	if core == nil {
		if core, err = r.store.Core(ref, r.Kinds, r.Planner, r.Limits); err != nil {
			return err
		}
		r.touched[ref] = core
	}
	return core.Apply(e)
}

// viewCommit reads a commit's payload without copying: the commit shares its memory.
func viewCommit(payload []byte) (*messages.Commit, error) {
	c := new(messages.Commit)
	if err := c.UnmarshalVTUnsafe(payload); err != nil {
		return nil, fmt.Errorf("decode commit: %w", err)
	}
	return c, nil
}

// DecodeCommit reads a commit's payload.
func DecodeCommit(payload []byte) (*messages.Commit, error) {
	c := new(messages.Commit)
	if err := c.UnmarshalVT(payload); err != nil {
		return nil, fmt.Errorf("decode commit: %w", err)
	}
	return c, nil
}
