package entity

import (
	"bytes"
	"testing"

	"orderyard/messages"
)

// Bytes that no journal could hold are an error, never a panic: neither a commit's payload nor an entity's snapshot nor the stream of
// a checkpoint may bring a node down.
func FuzzDecode(f *testing.F) {
	limits := DefaultLimits()
	c := NewCore(toyRef("a"), toyKinds()[messages.KindBucket], nil, &limits)
	f.Add(c.Step(add("c1", 5), 1).Entry)
	blob, err := c.Snapshot(2).MarshalVT()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(blob)
	f.Add(append([]byte{byte(len(blob))}, blob...))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &Recovery{Kinds: toyKinds(), Limits: &limits}
		r.begin(0)
		_ = r.commit(1, b)
		_ = r.slice(b)
		if snap, err := decodeSnapshot(b); err == nil {
			_, _ = LoadCore(snap, toyKinds(), nil, &limits)
		}
	})
}

// A checkpoint's stream comes back whole, however it was cut.
func FuzzStream(f *testing.F) {
	f.Add([]byte("first"), []byte("second"), 3)
	f.Fuzz(func(t *testing.T, a, b []byte, size int) {
		job := &checkpoint{}
		job.changed.L = &job.mu
		job.add(a)
		job.add(b)
		size = max(size%64, 1)
		var got [][]byte
		var reader StreamReader
		for stream := job.stream; len(stream) > 0; {
			n := min(size, len(stream))
			if err := reader.frames(stream[:n], func(blob []byte) error { got = append(got, bytes.Clone(blob)); return nil }); err != nil {
				t.Fatal(err)
			}
			stream = stream[n:]
		}
		if len(got) != 2 || !bytes.Equal(got[0], a) || !bytes.Equal(got[1], b) {
			t.Fatalf("got %q, want %q and %q", got, a, b)
		}
	})
}
