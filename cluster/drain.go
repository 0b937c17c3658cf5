package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orderyard/messages"
)

// drain is under way since the first call of Drain.
type drain struct {
	began     time.Duration
	releaseAt time.Duration
	done      chan struct{}
}

// Drain gives every partition away, each to a successor that has read it back, and takes no new ones; it returns when none is left here. What has no
// warm successor after DrainWithin, or after three quarters of the time that ctx leaves, is released without one; at once when no other
// member could ever come. It cannot be undone. Calling it again waits for the same end. When ctx ends first, draining goes on.
func (k *Keeper) Drain(ctx context.Context) error {
	within := k.o.DrainWithin
	if deadline, ok := ctx.Deadline(); ok {
		within = min(within, time.Until(deadline)*3/4)
	}
	k.mu.Lock()
	if !k.started || k.stopped {
		k.mu.Unlock()
		return errors.New("drain: the keeper does not run")
	}
	done := k.beginDrain(within)
	k.mu.Unlock()
	k.poke()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("drain: partitions are left: %w", context.Cause(ctx))
	case <-k.ended:
		return errors.New("drain: the keeper was stopped")
	}
}

// beginDrain notes that everything is to be given away, unless that is noted already. Under the lock.
func (k *Keeper) beginDrain(within time.Duration) (done chan struct{}) {
	if k.drain == nil {
		now := k.clock()
		k.drain = &drain{began: now, releaseAt: now + within, done: make(chan struct{})}
	}
	return k.drain.done
}

// drained ends the draining when nothing is left. The session must say so too, else another could still offer something.
func (k *Keeper) drained(m *Map, now time.Duration) {
	k.mu.Lock()
	d := k.drain
	k.mu.Unlock()
	if d == nil || !k.session.Draining || k.renewal.last != k.session || k.renewal.running > 0 {
		return
	}
	select {
	case <-d.done:
		return
	default:
	}
	for p := range k.spots {
		o, s := m.Owners[p], &k.spots[p]
		mine := o.PartitionOwner != nil && o.Incarnation == m.Self && o.Phase != messages.OwnerPhase_OWNER_RELEASED
		if mine || s.Busy != 0 || s.Phase != PhaseIdle {
			return
		}
	}
	k.log.Info("drained: no partition is left here", "took", now-d.began)
	close(d.done)
}
