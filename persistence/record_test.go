package persistence

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

// Proves that a record comes back as encoded, whatever its numbers and its payload.
func TestRecordRoundTrip(t *testing.T) {
	for _, payload := range [][]byte{nil, {0}, []byte("payload"), bytes.Repeat([]byte{0xff}, 100_000)} {
		for _, h := range []Header{
			{Kind: RecordCommit, Number: 1, Epoch: 1},
			{Kind: RecordTakeover, Partition: PartitionsMax - 1, Number: math.MaxUint64, Epoch: math.MaxUint64, Prev: [32]byte{1, 2, 31: 3}},
		} {
			b := appendRecord([]byte("in front"), &h, payload)[len("in front"):]
			if len(b) != len(payload)+RecordOverhead {
				t.Fatalf("%d bytes of record for %d of payload", len(b), len(payload))
			}
			got, body, err := DecodeRecord(b)
			if err != nil || got != h || !bytes.Equal(body, payload) {
				t.Fatalf("got %+v, %d bytes, %v; want %+v", got, len(body), err, h)
			}
		}
	}
}

// Proves that a takeover comes back as encoded, and that no shortened one is taken for whole.
func TestTakeoverRoundTrip(t *testing.T) {
	want := Takeover{Node: "node-ä", Incarnation: "", Nonce: 42}
	b := want.append(nil)
	got, err := DecodeTakeover(b)
	if err != nil || got != want {
		t.Fatalf("got %+v, %v", got, err)
	}
	for n := range b {
		if _, err := DecodeTakeover(b[:n]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%d of %d bytes: %v", n, len(b), err)
		}
	}
	if _, err := DecodeTakeover(append(b, 0)); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("a byte too many: %v", err)
	}
	want.Term = 300
	b = want.append(nil)
	if got, err := DecodeTakeover(b); err != nil || got != want {
		t.Fatalf("with a term: got %+v, %v", got, err)
	}
	for _, odd := range [][]byte{append(b, 0), b[:len(b)-1]} {
		if _, err := DecodeTakeover(odd); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%x: %v", odd, err)
		}
	}
}

// Proves that bytes of any kind are refused with ErrCorrupt or are exactly what encoding their header and payload gives.
func FuzzDecodeRecord(f *testing.F) {
	commit := appendRecord(nil, &Header{Kind: RecordCommit, Number: 7, Epoch: 3, Prev: [32]byte{9}}, []byte("payload"))
	f.Add([]byte{})
	f.Add(commit)
	f.Add(commit[:len(commit)-1])
	f.Add(appendRecord(nil, &Header{Kind: RecordTakeover, Number: 1, Epoch: 1}, Takeover{Node: "n", Incarnation: "i", Nonce: 1}.append(nil)))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, payload, err := DecodeRecord(b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) || payload != nil {
				t.Fatalf("refused with %v and %d bytes", err, len(payload))
			}
			return
		}
		if again := appendRecord(nil, &h, payload); !bytes.Equal(again, b) {
			t.Fatalf("decoded %x, encodes to %x", b, again)
		}
		if h.Kind == RecordTakeover {
			_, _ = DecodeTakeover(payload)
		}
	})
}

// Proves that the takeover decoder survives any bytes and accepts only what it would write.
func FuzzDecodeTakeover(f *testing.F) {
	f.Add([]byte{})
	f.Add(Takeover{Node: "n", Incarnation: "i", Nonce: 1}.append(nil))
	f.Add(Takeover{Node: "n", Incarnation: "i", Nonce: 1, Term: 1 << 40}.append(nil))
	f.Add(append(make([]byte, 8), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := DecodeTakeover(b)
		if err != nil {
			return
		}
		again, err := DecodeTakeover(got.append(nil)) // not the same bytes: a length may be written in more bytes than it needs
		if err != nil || again != got {
			t.Fatalf("%+v became %+v, %v", got, again, err)
		}
	})
}

// Proves that a well-linked record of the wrong epoch is refused: only a takeover raises the epoch, by one, and no commit comes before the first.
func TestChainEpoch(t *testing.T) {
	tests := []struct {
		name    string
		records []Header
		refused int // index; -1 = none
	}{
		{"proper", []Header{{Kind: RecordTakeover, Epoch: 1}, {Kind: RecordCommit, Epoch: 1}, {Kind: RecordTakeover, Epoch: 2}, {Kind: RecordCommit, Epoch: 2}}, -1},
		{"commit of the epoch before", []Header{{Kind: RecordTakeover, Epoch: 1}, {Kind: RecordTakeover, Epoch: 2}, {Kind: RecordCommit, Epoch: 1}}, 2},
		{"commit of the epoch to come", []Header{{Kind: RecordTakeover, Epoch: 1}, {Kind: RecordCommit, Epoch: 2}}, 1},
		{"commit before any takeover", []Header{{Kind: RecordCommit, Epoch: 0}}, 0},
		{"takeover that repeats an epoch", []Header{{Kind: RecordTakeover, Epoch: 1}, {Kind: RecordTakeover, Epoch: 1}}, 1},
		{"takeover that skips an epoch", []Header{{Kind: RecordTakeover, Epoch: 2}}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := NewChain(3, Manifest{})
			for i, h := range tt.records {
				h.Partition, h.Number, h.Prev = 3, uint64(i+1), c.Head().Hash
				before := c.Head()
				var payload []byte
				if h.Kind == RecordTakeover {
					payload = Takeover{}.append(nil)
				}
				_, _, err := c.Next(uint64(10+i), appendRecord(nil, &h, payload))
				if refused := err != nil; refused != (i == tt.refused) {
					t.Fatalf("record %d: %v", i, err)
				}
				if err != nil && c.Head() != before {
					t.Fatal("a refused record moved the chain")
				}
			}
		})
	}
}

// Proves that takeovers follow the claims at the arbiter: a takeover of an earlier claim than the one before is refused, wherever the chain begins;
// one without an arbiter changes nothing.
func TestChainTerm(t *testing.T) {
	tests := []struct {
		name    string
		terms   []uint64
		refused int // index; -1 = none
	}{
		{"rising", []uint64{1, 2, 7}, -1},
		{"the same process again", []uint64{3, 3}, -1},
		{"no arbiter between", []uint64{3, 0, 3}, -1},
		{"an earlier claim", []uint64{3, 2}, 1},
		{"an earlier claim behind one without", []uint64{3, 0, 2}, 2},
	}
	for _, tt := range tests {
		for _, from := range []string{"the beginning", "a checkpoint"} {
			t.Run(tt.name+" from "+from, func(t *testing.T) {
				c := NewChain(3, Manifest{})
				for i, term := range tt.terms {
					if from == "a checkpoint" {
						c = NewChain(3, c.Head())
					}
					h := Header{Kind: RecordTakeover, Partition: 3, Number: uint64(i + 1), Epoch: uint64(i + 1), Prev: c.Head().Hash}
					_, _, err := c.Next(uint64(10+i), appendRecord(nil, &h, Takeover{Node: "n", Term: term}.append(nil)))
					if refused := err != nil; refused != (i == tt.refused) {
						t.Fatalf("takeover %d: %v", i, err)
					}
					if err != nil {
						return
					}
				}
			})
		}
	}
}
