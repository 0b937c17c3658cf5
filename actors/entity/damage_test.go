package entity

import (
	"context"
	"testing"
	"time"

	"orderyard/cluster"
	"orderyard/messages"
	"orderyard/persistence/memory"
)

// Proves that a journal which loses what it had acknowledged while the partition is served is refused and not read back shortened, though no
// mark but the owner's own memory tells of the loss.
func TestLostTailIsNotServed(t *testing.T) {
	store := memory.New()
	y := startYard(t, store, nil)
	defer stop(t, y)
	if r := y.ask("1", &messages.AdjustStock{Delta: 5}, "a"); r.Failure != nil {
		t.Fatal(r.Failure)
	}
	p := cluster.PartitionOf(toyRef("a"), len(y.parts))
	whole := store.Records(p)
	store.Replace(p, whole[:len(whole)-1])
	asked, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	for asked.Err() == nil && len(y.Refused()) == 0 {
		attempt, done := context.WithTimeout(asked, 200*time.Millisecond)
		r, err := y.Ask(attempt, messages.Request{To: toyRef("a"), CommandID: "2", Command: &messages.AdjustStock{Delta: 1}})
		done()
		if err == nil && r.Failure == nil {
			t.Fatalf("a journal without its last record is served: %v", r)
		}
	}
	if y.Ready() || len(y.Refused()) != 1 {
		t.Fatalf("ready %v, partitions %v refused", y.Ready(), y.Refused())
	}
}
