package audit

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"orderyard/actors/entity"
	"orderyard/messages"
)

// CheckpointSlices takes the slices of a partition's checkpoint, as persistence.Snapshots.Load gives them, and begins from there.
func (a *Auditor) CheckpointSlices(partition int) func([]byte) error {
	return eachSnapshot(func(snap *messages.EntitySnapshot) error { return a.begin(partition, snap) })
}

// ExpectSlices takes the slices of a checkpoint as what the history must lead to: where it begins before the checkpoint, each entity is compared with
// the checkpoint, bit for bit, when it has the checkpoint's version (I10).
func (a *Auditor) ExpectSlices() func([]byte) error {
	return eachSnapshot(func(snap *messages.EntitySnapshot) error {
		want := expectation{version: snap.Version, answers: len(snap.Dedup)}
		var err error
		if want.sum, want.answersSum, err = sumsOf(snap, want.answers); err == nil {
			a.expected[messages.Ref{Kind: messages.Kind(snap.Kind), ID: snap.Id}] = want
		}
		return err
	})
}

func eachSnapshot(fn func(*messages.EntitySnapshot) error) func([]byte) error {
	var reader entity.StreamReader
	return func(slice []byte) error {
		return reader.Take(slice, func(blob []byte) error {
			snap := new(messages.EntitySnapshot)
			if err := snap.UnmarshalVT(blob); err != nil {
				return fmt.Errorf("decode entity snapshot: %w", err)
			}
			return fn(snap)
		})
	}
}

// expectation is an entity as a checkpoint has it.
type expectation struct {
	version         uint64
	sum, answersSum [sha256.Size]byte
	answers         int // how many are remembered
}

// sumsOf is over what is state, not the next wake-up, which depends on what is under way, and not what is derived for others; and over the newest
// remembered answers. How many of those there are is the operators' choice (limits.dedup_max, limits.dedup_for), and nothing tells the audit of it.
func sumsOf(snap *messages.EntitySnapshot, answers int) (state, remembered [sha256.Size]byte, err error) {
	bare := messages.EntitySnapshot{Kind: snap.Kind, Id: snap.Id, Version: snap.Version, State: snap.State}
	newest := messages.EntitySnapshot{Dedup: snap.Dedup[max(0, len(snap.Dedup)-answers):]}
	for _, one := range []struct {
		snap *messages.EntitySnapshot
		sum  *[sha256.Size]byte
	}{{&bare, &state}, {&newest, &remembered}} {
		b, err := one.snap.MarshalVT()
		if err != nil {
			return state, remembered, fmt.Errorf("encode snapshot of %s: %w", snap.Id, err)
		}
		*one.sum = sha256.Sum256(b)
	}
	return state, remembered, nil
}

// compare looks whether an entity is as the checkpoint has it, once.
func (a *Auditor) compare(ref messages.Ref, core *entity.Core) {
	if len(a.expected) == 0 {
		return
	}
	want, ok := a.expected[ref]
	if !ok || core.Version() < want.version {
		return
	}
	delete(a.expected, ref)
	if core.Version() > want.version {
		a.violate("I10", ref, "is at version %d in the checkpoint, which no entry of the journal ends with", want.version)
		return
	}
	a.Compared++
	snap := core.Snapshot(0)
	state, answers, err := sumsOf(snap, want.answers)
	if err != nil || state != want.sum {
		a.violate("I10", ref, "is another in the checkpoint than the journal makes it, both at version %d", want.version)
		return
	}
	if answers != want.answersSum && len(snap.Dedup) >= want.answers { // of more than the audit remembers it cannot tell
		a.violate("I10", ref, "remembers other answers in the checkpoint than the journal makes it, both at version %d", want.version)
	}
}

// unmet names what a checkpoint knows and the history does not lead to.
func (a *Auditor) unmet() {
	for _, ref := range sortedRefs(a.expected) {
		version := uint64(0)
		if s := a.subjects[ref]; s != nil {
			version = s.core.Version()
		}
		if want := a.expected[ref]; want.version > version {
			a.violate("I10", ref, "is at version %d in the checkpoint, the journal ends with version %d", want.version, version)
		}
	}
}

// Live compares a live entity with its replay, bit for bit (I10).
func (a *Auditor) Live(live *entity.Core, now int64) {
	a.position, a.record = 0, 0
	ref := live.Ref()
	back := a.subjects[ref]
	if back == nil {
		if live.Version() > 0 {
			a.violate("I10", ref, "lives at version %d and is not in the journal", live.Version())
		}
		return
	}
	x, y := live.Snapshot(now), back.core.Snapshot(now)
	x.WakeAtMs, y.WakeAtMs = 0, 0 // depends on what is under way, which is no state
	bx, errX := x.MarshalVT()
	by, errY := y.MarshalVT()
	if errX != nil || errY != nil || !bytes.Equal(bx, by) {
		a.violate("I10", ref, "the live state (version %d, %d bytes) is not its replay (version %d, %d bytes)", x.Version, len(bx), y.Version, len(by))
	}
}
