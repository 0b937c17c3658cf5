package persistence_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"orderyard/persistence"
	"orderyard/persistence/memory"
)

// written is a journal of 10 records: two takeovers, 8 commits, in partition 0; and a neighbor in partition 1.
func written(t *testing.T) (*memory.Store, *persistence.Log) {
	s := memory.New()
	appendAll(t, owner(t, s, quick("a")), "c0", "c1", "c2")
	l := owner(t, s, quick("b"))
	appendAll(t, l, "c3", "c4", "c5", "c6", "c7")
	neighbor := persistence.OpenLog(s, 1, quick("b"))
	if err := errors.Join(neighbor.Recover(t.Context(), persistence.Manifest{}, nil), neighbor.Takeover(t.Context(), nil)); err != nil {
		t.Fatal(err)
	}
	return s, l
}

// refused recovers and wants a CorruptError at a position.
func refused(t *testing.T, s *memory.Store, from persistence.Manifest, mark persistence.Mark, position uint64) {
	t.Helper()
	o := quick("c")
	o.HighWater = mark
	l := persistence.OpenLog(s, 0, o)
	err := l.Recover(t.Context(), from, nil)
	var corrupt *persistence.CorruptError
	if !errors.As(err, &corrupt) || !errors.Is(err, persistence.ErrCorrupt) {
		t.Fatalf("recovery ended with %v", err)
	}
	if corrupt.Position != position || corrupt.Partition != 0 {
		t.Fatalf("damage named at position %d of partition %d, want %d: %v", corrupt.Position, corrupt.Partition, position, err)
	}
	if err := l.Takeover(t.Context(), nil); !errors.Is(err, persistence.ErrCorrupt) {
		t.Fatalf("a log that found damage took over: %v", err)
	}
}

// Proves that each kind of damage is refused with the position of the first record that does not fit.
func TestDamage(t *testing.T) {
	flip := func(r memory.Record, at int) memory.Record {
		r.Data = bytes.Clone(r.Data)
		r.Data[at] ^= 0x40
		return r
	}
	tests := []struct {
		name   string
		damage func([]memory.Record) []memory.Record
		at     int // the record of the undamaged journal whose position is named
	}{
		{"flipped byte in a payload", func(r []memory.Record) []memory.Record { r[6] = flip(r[6], len(r[6].Data)-1); return r }, 6},
		{"flipped byte in the first record", func(r []memory.Record) []memory.Record { r[0] = flip(r[0], 30); return r }, 0},
		{"flipped byte in the last record", func(r []memory.Record) []memory.Record { r[9] = flip(r[9], 60); return r }, 9},
		{"gap", func(r []memory.Record) []memory.Record { return slices.Delete(r, 5, 6) }, 6},
		{"first record missing", func(r []memory.Record) []memory.Record { return r[1:] }, 1},
		{"takeover missing", func(r []memory.Record) []memory.Record { return slices.Delete(r, 4, 5) }, 5},
		{"swapped", func(r []memory.Record) []memory.Record { r[5].Data, r[6].Data = r[6].Data, r[5].Data; return r }, 5},
		{"doubled", func(r []memory.Record) []memory.Record { r[7].Data = r[6].Data; return r }, 7},
		{"positions swapped", func(r []memory.Record) []memory.Record {
			r[5].Position, r[6].Position = r[6].Position, r[5].Position
			return r
		}, 5},
		{"cut short", func(r []memory.Record) []memory.Record { r[3].Data = r[3].Data[:len(r[3].Data)-1]; return r }, 3},
		{"emptied", func(r []memory.Record) []memory.Record { r[3].Data = nil; return r }, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := written(t)
			records := s.Records(0)
			position := records[tt.at].Position
			s.Replace(0, tt.damage(records))
			refused(t, s, persistence.Manifest{}, persistence.Mark{}, position)
		})
	}
	t.Run("record of another partition", func(t *testing.T) {
		s, _ := written(t)
		s.Replace(0, s.Records(1))
		refused(t, s, persistence.Manifest{}, persistence.Mark{}, s.Records(1)[0].Position)
	})
	t.Run("record of another history", func(t *testing.T) {
		s, _ := written(t)
		other, _ := written(t) // the same payloads, other nonces
		records := s.Records(0)
		records[8].Data = other.Records(0)[8].Data
		s.Replace(0, records)
		refused(t, s, persistence.Manifest{}, persistence.Mark{}, records[8].Position)
	})
}

// Proves that no single flipped bit anywhere in the journal passes.
func TestEveryFlippedBit(t *testing.T) {
	s, _ := written(t)
	for i, r := range s.Records(0) {
		for at := range r.Data {
			for bit := range 8 {
				c := s.Clone()
				records := c.Records(0)
				records[i].Data = bytes.Clone(r.Data)
				records[i].Data[at] ^= 1 << bit
				c.Replace(0, records)
				refused(t, c, persistence.Manifest{}, persistence.Mark{}, r.Position)
			}
		}
	}
}

// Proves that a shortened tail, which no chain can see, is refused by each mark: position, number, checkpoint; and served without one.
func TestShortenedTail(t *testing.T) {
	s, l := written(t)
	head := l.Manifest()
	records := s.Records(0)
	for keep := range len(records) {
		c := s.Clone()
		c.Replace(0, records[:keep])
		var end uint64
		if keep > 0 {
			end = records[keep-1].Position
		}
		refused(t, c, persistence.Manifest{}, persistence.Mark{Position: head.Position}, end)
		refused(t, c, persistence.Manifest{}, persistence.Mark{Number: head.Number}, end)
		if got := contents(t, c); len(got) > keep {
			t.Fatalf("%d commits of %d records", len(got), keep)
		}
	}
	c := s.Clone()
	c.Replace(0, records[:9])
	refused(t, c, head, persistence.Mark{}, 0) // the checkpoint's own record is gone: nothing from there on
	o := quick("c")
	o.HighWater = persistence.Mark{Position: head.Position, Number: head.Number}
	if err := persistence.OpenLog(s, 0, o).Recover(t.Context(), persistence.Manifest{}, nil); err != nil {
		t.Fatalf("the whole journal: %v", err)
	}
}

// Proves that recovery from a checkpoint reads only what follows it, before and after truncation, and that the checkpoint must belong to the
// journal.
func TestCheckpointRecovery(t *testing.T) {
	s := memory.New()
	l := owner(t, s, quick("a"))
	appendAll(t, l, "c0", "c1", "c2")
	from := l.Manifest()
	appendAll(t, l, "c3", "c4")
	head := l.Manifest()
	for _, below := range []uint64{0, from.Position, from.Position + 1} {
		if err := s.Truncate(t.Context(), 0, below); err != nil {
			t.Fatal(err)
		}
		var found []string
		r := persistence.OpenLog(s, 0, quick("b"))
		err := r.Recover(t.Context(), from, func(_ uint64, payload []byte) error { found = append(found, string(payload)); return nil })
		if err != nil || fmt.Sprint(found) != "[c3 c4]" || r.Manifest() != head {
			t.Fatalf("truncated below %d: found %v, %v", below, found, err)
		}
	}
	// Truncated beyond an older checkpoint: a gap, named.
	s.Truncate(t.Context(), 0, head.Position)
	refused(t, s, from, persistence.Mark{}, head.Position)
	refused(t, s, persistence.Manifest{}, persistence.Mark{}, head.Position)
	// At the very end, only the checkpoint's own record left.
	if err := persistence.OpenLog(s, 0, quick("b")).Recover(t.Context(), head, nil); err != nil {
		t.Fatal(err)
	}
	// A checkpoint of another journal.
	other := head
	other.Hash[0] ^= 1
	refused(t, s, other, persistence.Mark{}, head.Position)
}
