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
}

// slot is one entity's place in the partition.
type slot struct {
	ref  messages.Ref
	blob []byte // encoded EntitySnapshot; nil when nothing is known yet. Behind the truth while the entity is live
	wake int64  // 0 = none
	heap int    // index in the wake heap, -1 = not in it

	live    *liveEntity // the actor, while there is one
	alive   int         // index among those with an actor
	retired bool        // it was told to stop: park what arrives
	last    int64       // time of the last message
	parked  []*envelope
	crashes int
	rebuild bool // being read back from the journal
}

// NewStore makes an empty store.
func NewStore() *Store {
	return &Store{slots: make(map[messages.Ref]*slot)}
}

// Len counts the entities.
func (s *Store) Len() int { return len(s.slots) }

// setLive notes an entity's actor; nil = it has none any more.
func (s *Store) setLive(sl *slot, live *liveEntity) {
	was := sl.live != nil
	switch sl.live = live; {
	case live != nil && !was:
		sl.alive = len(s.alive)
		s.alive = append(s.alive, sl)
	case live == nil && was:
		last := len(s.alive) - 1
		s.alive[sl.alive], s.alive[last].alive = s.alive[last], sl.alive
		s.alive[last] = nil
		s.alive = s.alive[:last]
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
	blob, err := snap.MarshalVT()
	if err != nil {
		return fmt.Errorf("encode snapshot of %s: %w", snap.Id, err)
	}
	s.put(messages.Ref{Kind: messages.Kind(snap.Kind), ID: snap.Id}, blob, snap.WakeAtMs)
	return nil
}

func (s *Store) put(ref messages.Ref, blob []byte, wake int64) *slot {
	sl := s.slot(ref)
	sl.blob = blob
	s.setWake(sl, wake)
	return sl
}

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
	if sl == nil || sl.blob == nil {
		return nil, nil
	}
	return decodeSnapshot(sl.blob)
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
		heap.Remove(&s.wakes, sl.heap)
	case at != 0 && sl.heap >= 0:
		heap.Fix(&s.wakes, sl.heap)
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
	h[i].heap, h[j].heap = i, j
}
func (h *wakeHeap) Push(x any) {
	sl := x.(*slot)
	sl.heap = len(*h)
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
		for _, ref := range s.Refs() {
			if blob := s.slots[ref].blob; blob != nil {
				stream = binary.AppendUvarint(stream, uint64(len(blob)))
				stream = append(stream, blob...)
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
