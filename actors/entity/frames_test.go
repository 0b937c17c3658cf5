package entity

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"orderyard/messages"
)

// yardOf fills a store with orders that look alike, buckets too small to pack, and a large one.
func yardOf(t *testing.T) *Store {
	t.Helper()
	store := NewStore()
	for i := range 300 {
		snap := &messages.EntitySnapshot{
			Kind: 1, Id: fmt.Sprint("web-", i), Version: uint64(i), WakeAtMs: int64(i % 3), Waits: []string{fmt.Sprint("SKU-", i)}, Summary: rowOf(t, i),
			State: fmt.Appendf(nil, "channel=web currency=USD ship_to=B. Buyer, %d Main St, Denver CO 80202 US placed planned reserved allocated released", i),
			Dedup: []*messages.DedupEntry{{CommandId: fmt.Sprint("c", i), Reply: []byte("r")}},
		}
		if err := store.Put(snap); err != nil {
			t.Fatal(err)
		}
	}
	for _, snap := range []*messages.EntitySnapshot{
		{Kind: 2, Id: "A@S", Version: 3, State: []byte("7")},
		{Kind: 3, Id: "S", Version: 9, State: []byte(strings.Repeat("a busy site with much work ", 4000))},
	} {
		if err := store.Put(snap); err != nil {
			t.Fatal(err)
		}
	}
	store.SetWake(messages.OrderRef("heard of"), 0) // a slot without bytes
	return store
}

// rowOf stands for what the node may know of an order.
func rowOf(t *testing.T, i int) []byte {
	t.Helper()
	b, err := (&messages.DedupEntry{CommandId: fmt.Sprint("row of SKU-", i)}).MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func rowKinds() Kinds {
	return Kinds{messages.KindOrder: {NewSummary: func() messages.Message { return new(messages.DedupEntry) }}}
}

func sliced(t *testing.T, store *Store, size int) [][]byte {
	t.Helper()
	var all [][]byte
	for slice, err := range store.Slices(size) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, bytes.Clone(slice))
	}
	return all
}

// Proves that a checkpoint holds entities as they lie packed, that they come back packed with their dictionary, wake-ups and outlines, that a reader of
// plain snapshots gets every byte, and that the next checkpoint of what was read back is the same, however the streams are cut.
func TestCheckpointHoldsEntitiesPacked(t *testing.T) {
	was := yardOf(t)
	for _, size := range []int{1, 7, 1000, 1 << 20} {
		slices := sliced(t, was, size)
		plain, stored := 0, 0
		var reader StreamReader
		seen := map[messages.Ref]uint64{}
		r := &Recovery{Kinds: rowKinds(), Limits: &Limits{}}
		r.begin(0)
		for _, slice := range slices {
			stored += len(slice)
			handed := bytes.Clone(slice)
			if err := reader.Take(handed, func(blob []byte) error {
				plain += len(blob)
				snap, err := decodeSnapshot(blob)
				if err != nil {
					return err
				}
				ref := messages.Ref{Kind: messages.Kind(snap.Kind), ID: snap.Id}
				want, err := was.Get(ref)
				if seen[ref] = snap.Version; err != nil || want == nil || want.String() != snap.String() {
					t.Errorf("%s came back as %v, %v", ref, snap, err)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if err := r.slice(handed); err != nil {
				t.Fatal(err)
			}
			clear(handed) // the caller's again
		}
		if len(seen) != 302 || !reader.whole() {
			t.Errorf("slices of %d: %d entities came back", size, len(seen))
		}
		if stored*2 > plain {
			t.Errorf("slices of %d: %d bytes were stored as %d", size, plain, stored)
		}
		for ref := range seen {
			got, want := r.store.slots[ref], was.slots[ref]
			if got.wake != want.wake || want.blob[0] != packedNot && got.blob != want.blob {
				t.Fatalf("slices of %d: %s lies there otherwise than it lay", size, ref)
			}
			if entity, err := r.store.Get(ref); err != nil || entity.Version != seen[ref] {
				t.Fatalf("slices of %d: %s is %v, %v", size, ref, entity, err)
			}
		}
		for i, told := range r.told {
			if told.summary.(*messages.DedupEntry).CommandId != "row of "+told.waits[0] {
				t.Fatalf("slices of %d: of order %d is told %+v", size, i, told)
			}
		}
		if len(r.told) != 300 {
			t.Errorf("slices of %d: %d orders are told", size, len(r.told))
		}
	}
}

// Proves that a checkpoint which was begun before a kind had its dictionary is read back, though reading it makes another dictionary.
func TestDictionaryMadeDuringACheckpoint(t *testing.T) {
	was := yardOf(t)
	var w frameWriter
	w.begin(NewStore(), func([]byte) {})
	r := &Recovery{Kinds: rowKinds(), Limits: &Limits{}}
	r.begin(0)
	for _, at := range was.Refs() {
		add := func(frame []byte) {
			if err := r.frame(frame); err != nil {
				t.Fatalf("%s: %v", at, err)
			}
		}
		if _, err := w.idle(was, was.slots[at], add); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range was.Refs() {
		want, _ := was.Get(at)
		if got, err := r.store.Get(at); err != nil || got.String() != want.String() {
			t.Fatalf("%s: %v, %v", at, got, err)
		}
	}
}

// Proves that a checkpoint of plain snapshots, as builds before frames wrote it, is read back.
func TestPlainCheckpointIsRead(t *testing.T) {
	job := &checkpoint{}
	job.changed.L = &job.mu
	ref := messages.Ref{Kind: messages.KindBucket, ID: "A@S"}
	c := NewCore(ref, toyKinds()[ref.Kind], nil, &Limits{})
	blob, err := c.Snapshot(2).MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	job.add(blob)
	r := &Recovery{Kinds: toyKinds(), Limits: &Limits{}}
	r.begin(0)
	if err := r.slice(job.stream); err != nil {
		t.Fatal(err)
	}
	if got, err := r.store.Get(ref); err != nil || got == nil || got.Version != c.Version() {
		t.Errorf("got %v, %v", got, err)
	}
}

// Proves that frames which cannot be are refused and leave no entity that cannot be opened.
func TestFramesThatCannotBe(t *testing.T) {
	was := yardOf(t)
	idle := func() (frame []byte) {
		var w frameWriter
		w.begin(was, func([]byte) {})
		if _, err := w.idle(was, was.slots[messages.OrderRef("web-299")], func(f []byte) { frame = bytes.Clone(f) }); err != nil {
			t.Fatal(err)
		}
		return frame
	}()
	if idle[0] != frameIdle {
		t.Fatalf("a frame of kind %d", idle[0])
	}
	for name, frame := range map[string][]byte{
		"count cut":               {frameCount},
		"dictionary cut":          {frameDict},
		"dictionary that is none": {frameDict, 1, 9},
		"dictionary of no kind":   append([]byte{frameDict, 0xff, 0xff, 3}, was.packs[1].dict.Bytes()...),
		"idle cut":                {frameIdle},
		"outline cut":             {frameIdle, 9, 8},
		"nothing packed":          {frameIdle, 2, 8, 1},
		"without dictionary":      idle,
		"unknown kind of frame":   {4, 1, 2},
	} {
		r := &Recovery{Kinds: toyKinds(), Limits: &Limits{}}
		r.begin(0)
		if err := r.frame(frame); err == nil || r.store.Len() > 0 {
			t.Errorf("%s: %v, %d entities", name, err, r.store.Len())
		}
	}
	r := &Recovery{Kinds: toyKinds(), Limits: &Limits{}}
	r.begin(0)
	dict := append([]byte{frameDict, 1}, was.packs[1].dict.Bytes()...)
	if first, second := r.frame(dict), r.frame(dict); first != nil || second == nil {
		t.Errorf("two dictionaries: %v, %v", first, second)
	}
}
