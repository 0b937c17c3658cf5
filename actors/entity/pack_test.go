package entity

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"unsafe"

	"orderyard/messages"
)

// Proves that packed entities come back byte for byte whatever their size and order, that bytes given to the packer are not kept, and that
// entities which look alike take less than half.
func TestPackedEntitiesComeBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	store := NewStore()
	want := map[messages.Ref][]byte{}
	plain, packed := 0, 0
	for i := range 3000 {
		ref := messages.OrderRef(fmt.Sprint("web-", i))
		var blob []byte
		switch {
		case i%100 == 7: // noise cannot be packed
			blob = make([]byte, rng.IntN(200))
			for j := range blob {
				blob[j] = byte(rng.Uint32())
			}
		case i%500 == 9: // one large entity
			blob = bytes.Repeat([]byte(fmt.Sprint("a busy site with much work", i)), 4000)
		default:
			snap := &messages.EntitySnapshot{Kind: 1, Id: ref.ID, Version: uint64(rng.IntN(40)), State: []byte(fmt.Sprintf(
				"channel=web currency=USD ship_to=B. Buyer, 1 Main St, Denver CO 80202 US lines=SKU-%07d SKU-%07d placed planned reserved allocated released", rng.IntN(1e6), rng.IntN(1e6)))}
			var err error
			if blob, err = snap.MarshalVT(); err != nil {
				t.Fatal(err)
			}
			plain += len(blob)
		}
		want[ref] = bytes.Clone(blob)
		sl := store.put(ref, blob, 0)
		if i%100 != 7 && i%500 != 9 {
			packed += len(sl.blob)
		}
		clear(blob) // the caller's again
	}
	for ref, blob := range want {
		got, err := store.blob(store.slots[ref])
		if err != nil || !bytes.Equal(got, blob) {
			t.Fatalf("%s: %d bytes came back of %d, %v", ref, len(got), len(blob), err)
		}
	}
	if packed*2 > plain {
		t.Errorf("%d bytes were packed into %d", plain, packed)
	}
}

// Proves that the outline of an entity is what the whole snapshot says.
func TestOutlineIsOfTheSnapshot(t *testing.T) {
	for _, snap := range []*messages.EntitySnapshot{
		{},
		{Kind: 2, Id: "A@S", Version: 3, State: []byte("state"), WakeAtMs: 77, Summary: []byte("summary")},
		{Kind: 1, Id: "web-1", Version: 300, Waits: []string{"A", "B"}, Dedup: []*messages.DedupEntry{{CommandId: "c", Reply: []byte("r")}}, WakeAtMs: 1 << 41},
	} {
		blob, err := snap.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		got, err := outlineOf(blob)
		want := outline{ref: messages.Ref{Kind: messages.Kind(snap.Kind), ID: snap.Id}, wake: snap.WakeAtMs, waits: snap.Waits, summary: snap.Summary}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("outline %+v, want %+v (%v)", got, want, err)
		}
		for n := range blob {
			if _, err := outlineOf(blob[:n]); err == nil && decodes(blob[:n]) == nil {
				continue
			} else if err == nil {
				t.Errorf("%d of %d bytes pass for a snapshot", n, len(blob))
			}
		}
	}
}

func decodes(blob []byte) error {
	_, err := decodeSnapshot(blob)
	return err
}

// Proves that a slot stays what it says: there are millions of them.
func TestSlotIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(slot{}); size > 96 {
		t.Errorf("a slot takes %d bytes", size)
	}
}

// Proves that a reader of entries gives what the whole commit says, again and again through the same memory, and ends where bytes are cut.
func TestEntryReaderReadsCommits(t *testing.T) {
	commit := &messages.Commit{Entries: []*messages.Entry{
		{Kind: 1, Id: "web-1", Version: 7, CommandId: "c", Fingerprint: 99, AtMs: 5, Events: []*messages.EventRecord{{Type: 24}, {Type: 2, Data: []byte("xyz")}}, Reply: []byte("r"), Topic: "web"},
		{Kind: 2, Id: "A@S"},
		{Kind: 3, Id: "S", Events: []*messages.EventRecord{{Type: 80, Data: []byte("d")}}},
	}}
	payload, err := commit.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	var reader EntryReader
	for range 2 {
		at := 0
		if err := reader.Each(payload, func(e *messages.Entry) error {
			if e.String() != commit.Entries[at].String() {
				t.Errorf("entry %d: %v, want %v", at, e, commit.Entries[at])
			}
			at++
			return nil
		}); err != nil || at != len(commit.Entries) {
			t.Fatalf("%d entries, %v", at, err)
		}
	}
	for n := 1; n < len(payload); n++ {
		whole := new(messages.Commit)
		if cut := reader.Each(payload[:n], func(*messages.Entry) error { return nil }); (cut == nil) != (whole.UnmarshalVT(payload[:n]) == nil) {
			t.Errorf("cut at %d: %v", n, cut)
		}
	}
}
