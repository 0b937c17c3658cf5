package jetstream

import (
	"context"
	"errors"
	"testing"
	"time"

	js "github.com/nats-io/nats.go/jetstream"

	"orderyard/persistence"
)

// Proves that both forms of the reply subject are read, with and without a domain, and garbage is not.
func TestPlaceOf(t *testing.T) {
	tests := []struct {
		reply              string
		position, sequence uint64
		ok                 bool
	}{
		{"$JS.ACK.OY_JOURNAL.cons.1.4711.42.1700000000000000000.7", 4711, 42, true},
		{"$JS.ACK.hub.ACCHASH.OY_JOURNAL.cons.1.4711.42.1700000000000000000.7", 4711, 42, true},
		{"$JS.ACK._.ACCHASH.OY_JOURNAL.cons.1.4711.42.1700000000000000000.7.token", 4711, 42, true},
		{"$JS.ACK.OY_JOURNAL.cons.1.x.42.1700000000000000000.7", 0, 0, false},
		{"$JS.ACK.OY_JOURNAL.cons.1..42.1700000000000000000.7", 0, 0, false},
		{"_INBOX.abc.1", 0, 0, false},
		{"", 0, 0, false},
		{"................................", 0, 0, false},
	}
	for _, tt := range tests {
		position, sequence, ok := placeOf(tt.reply)
		if ok != tt.ok || ok && (position != tt.position || sequence != tt.sequence) {
			t.Errorf("%q: %d, %d, %v", tt.reply, position, sequence, ok)
		}
	}
}

// young is a server that has not heard of a bucket yet.
type young struct{ asked int }

func (y *young) KeyValue(context.Context, string) (js.KeyValue, error) {
	if y.asked++; y.asked < 3 {
		return nil, js.ErrBucketNotFound
	}
	return nil, nil
}

// Proves that a bucket which was just made is asked for again when a server does not know it, and not for ever.
func TestBucketNotHeardOf(t *testing.T) {
	y := &young{}
	if _, err := KeyValue(t.Context(), y, "B"); err != nil || y.asked != 3 {
		t.Fatalf("asked %d times: %v", y.asked, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
	defer cancel()
	if _, err := KeyValue(ctx, &young{asked: -1000}, "B"); !errors.Is(err, js.ErrBucketNotFound) {
		t.Fatalf("a bucket that is not there: %v", err)
	}
}

// Proves that a manifest's bytes are refused or come back as what they say, whatever they are.
func FuzzDecodeManifest(f *testing.F) {
	f.Add([]byte("{}"))
	f.Add(encodeManifest("9-abc", persistence.Manifest{Position: 9, Number: 3, Epoch: 1, Hash: [32]byte{1}, Slices: 2, Bytes: 10, Digest: [32]byte{2}, AtMs: 1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		stored, err := decodeManifest(b)
		if err != nil {
			return
		}
		m, err := stored.manifest()
		if err != nil {
			return
		}
		again, err := decodeManifest(encodeManifest(stored.Name, m))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := again.manifest(); err != nil || n != m {
			t.Fatalf("%+v became %+v, %v", m, n, err)
		}
	})
}
