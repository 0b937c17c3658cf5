package entity

import (
	"cmp"
	"container/heap"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	"orderyard/messages"
)

// Store is the memory of one partition: every entity it ever heard of, idle ones as bytes, with their wake-ups. It belongs to one
// goroutine.
type Store struct {
	slots map[messages.Ref]*slot
	alive []*slot // those with an actor, in no order, so that a sweep costs what is awake, not what there is
	wakes wakeHeap
	packs map[messages.Kind]*packer
	// Entities whose machine panicked and that are not read back yet. Their bytes are behind what is durable: nothing may be written from them.
	restoring map[messages.Ref]*restoring
}

// slot is one entity's place in the partition. There are millions: it is 96 bytes.
type slot struct {
	ref  messages.Ref
	blob string // encoded EntitySnapshot, packed; "" when nothing is known yet. Behind the truth while the entity is live
	wake int64  // 0 = none

	live   *liveEntity // the actor, while there is one
	last   int64       // time of the last message
	parked []*envelope

	heap    int32 // index in the wake heap, -1 = not in it
	crashes uint16
	retired bool // it was told to stop: park what arrives
	rebuild bool // its machine panicked, and it is not read back yet: see restoring
}

// NewStore makes an empty store.
func NewStore() *Store {
	return &Store{slots: make(map[messages.Ref]*slot), packs: make(map[messages.Kind]*packer)}
}

// Len counts the entities.
func (s *Store) Len() int { return len(s.slots) }

// setLive notes an entity's actor; nil = it has none any more.
func (s *Store) setLive(sl *slot, live *liveEntity) {
	was := sl.live
	switch sl.live = live; {
	case live != nil && was == nil:
		live.alive = len(s.alive)
		s.alive = append(s.alive, sl)
	case live != nil:
		live.alive = was.alive
	case was != nil:
		last := len(s.alive) - 1
		moved := s.alive[last]
		s.alive[was.alive], s.alive[last] = moved, nil
		if s.alive = s.alive[:last]; moved != sl {
			moved.live.alive = was.alive
		}
	}
}

func (s *Store) slot(ref messages.Ref) *slot {
	sl := s.slots[ref]
	if sl == nil {
		sl = &slot{ref: ref, heap: -1}
		s.slots[ref] = sl
	}
	return sl
}

// Put stores an idle entity.
func (s *Store) Put(snap *messages.EntitySnapshot) error {
	blob := borrow(snap.SizeVT())
	defer giveBack(blob)
	if _, err := snap.MarshalToSizedBufferVT(*blob); err != nil {
		return fmt.Errorf("encode snapshot of %s: %w", snap.Id, err)
	}
	s.put(messages.Ref{Kind: messages.Kind(snap.Kind), ID: snap.Id}, *blob, snap.WakeAtMs)
	return nil
}

// put stores an entity's encoded snapshot; the bytes are not kept.
func (s *Store) put(ref messages.Ref, blob []byte, wake int64) *slot {
	sl := s.slot(ref)
	sl.blob = s.packer(ref.Kind).pack(blob)
	s.setWake(sl, wake)
	return sl
}

// adopt stores an entity as it lies packed in a checkpoint; the bytes are not kept.
func (s *Store) adopt(ref messages.Ref, packed []byte, wake int64) error {
	if packed[0] == packedDict && s.packer(ref.Kind).dict == nil {
		return fmt.Errorf("%s: its dictionary is missing", ref)
	}
	sl := s.slot(ref)
	sl.blob = string(packed)
	s.setWake(sl, wake)
	return nil
}

// expect makes room for so many entities, in an empty store.
func (s *Store) expect(entities int) {
	if len(s.slots) == 0 {
		s.slots = make(map[messages.Ref]*slot, entities)
	}
}

func (s *Store) packer(kind messages.Kind) *packer { return packerIn(s.packs, kind) }

func packerIn(packs map[messages.Kind]*packer, kind messages.Kind) *packer {
	p := packs[kind]
	if p == nil {
		p = new(packer)
		packs[kind] = p
	}
	return p
}

// blob gives an entity's encoded snapshot as it was stored last, in its own memory; nil when there is none.
func (s *Store) blob(sl *slot) ([]byte, error) { return s.packer(sl.ref.Kind).unpack(sl.blob) }

// forget drops an entity that nothing ever happened to.
func (s *Store) forget(ref messages.Ref) {
	if sl := s.slots[ref]; sl != nil {
		s.setWake(sl, 0)
		delete(s.slots, ref)
	}
}

// Get gives an entity as it was last stored; nil when there is nothing.
func (s *Store) Get(ref messages.Ref) (*messages.EntitySnapshot, error) {
	sl := s.slots[ref]
	if sl == nil || sl.blob == "" {
		return nil, nil
	}
	blob, err := s.blob(sl)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	snap := new(messages.EntitySnapshot)
	if err := snap.UnmarshalVTUnsafe(blob); err != nil {
		return nil, fmt.Errorf("decode snapshot of %s: %w", ref, err)
	}
	return snap, nil
}

// Core activates an entity: from its snapshot, or new.
func (s *Store) Core(ref messages.Ref, kinds Kinds, planner Planner, limits *Limits) (*Core, error) {
	snap, err := s.Get(ref)
	if err != nil {
		return nil, err
	}
	if snap != nil {
		return LoadCore(snap, kinds, planner, limits)
	}
	kind, ok := kinds[ref.Kind]
	if !ok {
		return nil, fmt.Errorf("%s: no such kind of entity", ref)
	}
	return NewCore(ref, kind, planner, limits), nil
}

// Refs lists every entity in a fixed order.
func (s *Store) Refs() []messages.Ref {
	refs := make([]messages.Ref, 0, len(s.slots))
	for ref := range s.slots {
		refs = append(refs, ref)
	}
	slices.SortFunc(refs, compareRefs)
	return refs
}

// unsorted lists every entity, in no order: sorting a million of them would stop the partition for a second.
func (s *Store) unsorted() []messages.Ref {
	refs := make([]messages.Ref, 0, len(s.slots))
	for ref := range s.slots {
		refs = append(refs, ref)
	}
	return refs
}

func compareRefs(a, b messages.Ref) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
}

// NextWake is the earliest wake-up; 0 = none.
func (s *Store) NextWake() int64 {
	if len(s.wakes) == 0 {
		return 0
	}
	return s.wakes[0].wake
}

// Due takes up to most entities out of the wake heap whose time has come, earliest first.
func (s *Store) Due(now int64, most int) []messages.Ref {
	var refs []messages.Ref
	for len(s.wakes) > 0 && s.wakes[0].wake <= now && len(refs) < most {
		sl := s.wakes[0]
		s.setWake(sl, 0)
		refs = append(refs, sl.ref)
	}
	return refs
}

// SetWake moves an entity's wake-up; 0 takes it away.
func (s *Store) SetWake(ref messages.Ref, at int64) { s.setWake(s.slot(ref), at) }

func (s *Store) setWake(sl *slot, at int64) {
	sl.wake = at
	switch {
	case at == 0 && sl.heap >= 0:
		heap.Remove(&s.wakes, int(sl.heap))
	case at != 0 && sl.heap >= 0:
		heap.Fix(&s.wakes, int(sl.heap))
	case at != 0:
		heap.Push(&s.wakes, sl)
	}
}

func decodeSnapshot(blob []byte) (*messages.EntitySnapshot, error) {
	snap := new(messages.EntitySnapshot)
	if err := snap.UnmarshalVT(blob); err != nil {
		return nil, fmt.Errorf("decode entity snapshot: %w", err)
	}
	return snap, nil
}

// wakeHeap orders slots by wake-up, then by reference, so that the simulator sees one order.
type wakeHeap []*slot

func (h wakeHeap) Len() int { return len(h) }
func (h wakeHeap) Less(i, j int) bool {
	if h[i].wake != h[j].wake {
		return h[i].wake < h[j].wake
	}
	return compareRefs(h[i].ref, h[j].ref) < 0
}
func (h wakeHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heap, h[j].heap = int32(i), int32(j)
}
func (h *wakeHeap) Push(x any) {
	sl := x.(*slot)
	sl.heap = int32(len(*h))
	*h = append(*h, sl)
}
func (h *wakeHeap) Pop() any {
	old := *h
	sl := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	sl.heap = -1
	return sl
}

// Slices gives the whole store as a checkpoint's slices of the given size. Every entity must be stored as it is: nothing may be live.
func (s *Store) Slices(size int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var stream []byte
		var frames frameWriter
		add := func(frame []byte) {
			stream = append(binary.AppendUvarint(stream, uint64(len(frame))), frame...)
		}
		frames.begin(s, add)
		for _, ref := range s.Refs() {
			if _, err := frames.idle(s, s.slots[ref], add); err != nil {
				yield(nil, err)
				return
			}
			for len(stream) >= size {
				if !yield(stream[:size], nil) {
					return
				}
				stream = append(stream[:0:0], stream[size:]...)
			}
		}
		if len(stream) > 0 {
			yield(stream, nil)
		}
	}
}
