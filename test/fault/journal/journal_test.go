package journal

import (
	"errors"
	"strings"
	"testing"

	"orderyard/persistence"
	"orderyard/persistence/memory"
)

func owner(t *testing.T, s persistence.Store, partition int, node string) *persistence.Log {
	t.Helper()
	l := persistence.OpenLog(s, partition, persistence.LogOptions{Node: node})
	if err := errors.Join(l.Recover(t.Context(), persistence.Manifest{}, nil), l.Takeover(t.Context(), nil)); err != nil {
		t.Fatal(err)
	}
	return l
}

func records(t *testing.T, s persistence.Store, partition int) (all [][]byte) {
	t.Helper()
	err := s.Read(t.Context(), partition, 0, func(_ uint64, record []byte) error {
		all = append(all, append([]byte(nil), record...))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// copied is a journal made of these records of partition 0, whatever they say.
func copied(t *testing.T, all ...[]byte) persistence.Store {
	t.Helper()
	s, last := memory.New(), uint64(0)
	for _, record := range all {
		position, err := s.Append(t.Context(), 0, last, "", record)
		if err != nil {
			t.Fatal(err)
		}
		last = position
	}
	return s
}

// TestCheck proves that a true line is accepted, also when its beginning has been truncated, and that each way to break it is named; the
// first of them is a former owner's write behind the next owner's takeover.
func TestCheck(t *testing.T) {
	s := memory.New()
	a := owner(t, s, 0, "a")
	for _, payload := range []string{"one", "two"} {
		if _, err := a.Append(t.Context(), []byte(payload)); err != nil {
			t.Fatal(err)
		}
	}
	b := owner(t, s, 0, "b")
	if _, err := b.Append(t.Context(), []byte("three")); err != nil {
		t.Fatal(err)
	}
	r := records(t, s, 0) // takeover a, one, two, takeover b, three
	if l, err := Check(t.Context(), s, 0); err != nil || l != (Line{Records: 5, Takeovers: 2, Epoch: 2}) {
		t.Fatalf("%+v, %v", l, err)
	}
	if _, err := Check(t.Context(), copied(t, r[2:]...), 0); err != nil {
		t.Errorf("truncated: %v", err)
	}
	early := copied(t, r[0], r[1])
	owner(t, early, 0, "b") // before a wrote "two"
	takeover := records(t, early, 0)[2]
	for _, c := range []struct {
		name, want string
		records    [][]byte
	}{
		{"a zombie", "a former owner wrote", [][]byte{r[0], r[1], takeover, r[2]}},
		{"a zombie late", "a former owner wrote", [][]byte{r[0], r[1], r[2], r[3], r[4], r[2]}},
		{"a gap", "record 3 stands behind record 1", [][]byte{r[0], r[2]}},
		{"twice", "record 2 stands behind record 2", [][]byte{r[0], r[1], r[1]}},
		{"a bit", "checksum", [][]byte{r[0], append(append([]byte(nil), r[1][:len(r[1])-1]...), 'x')}},
	} {
		if _, err := Check(t.Context(), copied(t, c.records...), 0); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	foreign := memory.New()
	owner(t, foreign, 1, "a")
	if _, err := CheckAll(t.Context(), copied(t, records(t, foreign, 1)...), 1); err == nil || !strings.Contains(err.Error(), "partition 1") {
		t.Errorf("a foreign record: %v", err)
	}
}
