package entity

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"

	"orderyard/messages"
)

// A panic of a machine stops its entity alone. Whatever calls one does it behind `defer contain`: what comes out is an error that names the entity, and
// what becomes of it is the caller's to say. While it lives it is read back, a few times, then quarantined (lifecycle.go). When it is read back, it
// comes to rest as it can: one that cannot say what it owes, or what others may know, has its state all the same, and is due at once, so that each
// start, and a mended program, looks at it. One that cannot even take its entries is restored later, for its bytes are behind what is durable.

// poisoned is a panic of an entity's machine.
type poisoned struct {
	ref messages.Ref
	was any
}

func (p *poisoned) Error() string { return fmt.Sprintf("panic of %s: %v", p.ref, p.was) }

func isPoison(err error) bool {
	var p *poisoned
	return errors.As(err, &p)
}

// contain is to be deferred: it makes a panic the error.
func contain(ref messages.Ref, err *error) {
	if r := recover(); r != nil {
		*err = &poisoned{ref, r}
		slog.Error("entity panicked", "entity", ref.String(), "panic", r, "stack", string(debug.Stack()))
	}
}

// atRest is the entity's snapshot, or at least its state.
func atRest(c *Core, now int64) (*messages.EntitySnapshot, error) {
	if snap, err := wholeSnapshot(c, now); err == nil {
		return snap, nil
	}
	return bareSnapshot(c)
}

func wholeSnapshot(c *Core, now int64) (snap *messages.EntitySnapshot, err error) {
	defer contain(c.ref, &err)
	return c.Snapshot(now), nil
}

func bareSnapshot(c *Core) (snap *messages.EntitySnapshot, err error) {
	defer contain(c.ref, &err)
	return &messages.EntitySnapshot{
		Kind: uint32(c.ref.Kind), Id: c.ref.ID, Version: c.version, State: c.machine.MarshalState(), Dedup: slices.Clone(c.dedup.list()), WakeAtMs: 1,
	}, nil
}

// behind is an entity that could not take all of its entries.
type behind struct {
	version uint64 // that it should have
	err     error
}
