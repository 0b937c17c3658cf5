package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"orderyard/messages"
	"orderyard/persistence"
)

// wordWarm is the question by which the next owner tells the present one which partitions it has read back.
const wordWarm = "warm"

type writeOutcome struct {
	action Action
	err    error
	breaks uint64 // of the lease, when the write began
}

type warmNotice struct {
	partition int
	revision  uint64
}

// act has a steward's actions done: the host's at once, those that need the network on goroutines.
func (k *Keeper) act(m *Map, actions []Action, now time.Duration) {
	tells := make(map[string][]Action)
	for _, a := range actions {
		s := &k.spots[a.Partition]
		switch a.Kind {
		case ActClaim, ActOffer, ActTakeBack, ActRelease, ActKeep:
			k.write(a, now)
			continue
		case ActTellWarm:
			if k.telling[a.To] || len(tells[a.To]) >= tellMax {
				continue // with the next one
			}
			tells[a.To] = append(tells[a.To], a)
		case ActWarm:
			k.o.Host.Warm(a.Partition)
		case ActOpen:
			k.o.Host.Open(a.Partition, a.Mark)
		case ActClose:
			k.o.Host.Close(a.Partition)
		case ActDrop:
			k.o.Host.Drop(a.Partition)
		}
		s.Last, s.LastAt, s.LastAbout, s.LastIn = a.Kind, now, a.Revision, s.Phase
		k.log.Debug("partition", "do", a.Kind, "partition", a.Partition, "revision", a.Revision)
	}
	for _, to := range slices.Sorted(maps.Keys(tells)) { // sorted, so that a simulation sees one order
		k.tell(m.Self, to, tells[to])
	}
}

// write changes a record, if not too many are being changed; then the steward will want it again.
func (k *Keeper) write(a Action, now time.Duration) {
	if k.writing >= writesMax || now < k.held[a.Partition] {
		return
	}
	if a.Kind == ActKeep && k.lease.ran(now) {
		return // it would make nobody sure
	}
	k.writing++
	k.spots[a.Partition].Busy = a.Kind
	if a.Kind == ActRelease {
		k.given[a.Partition] = a.Revision
	}
	breaks := k.renewal.breaks
	k.hands.Go(func() {
		ctx, cancel := context.WithTimeout(k.ctx, writeWithin)
		defer cancel()
		record := proto.Clone(a.Record).(*messages.PartitionOwner)
		record.AtMs = time.Now().UnixMilli() // for people
		err := k.o.Registry.SetOwner(ctx, a.Partition, record, a.Revision)
		k.mail(func(in *inbox) { in.writes = append(in.writes, writeOutcome{a, err, breaks}) })
	})
}

// wrote takes in how changes of records ended.
func (k *Keeper) wrote(outcomes []writeOutcome, now time.Duration) {
	for _, w := range outcomes {
		p := w.action.Partition
		k.writing--
		k.spots[p].Busy = 0
		log := k.log.With("do", w.action.Kind, "partition", p, "to", w.action.To, "revision", w.action.Revision)
		switch {
		case w.err == nil:
			log.Debug("partition")
			k.held[p] = 0
			k.sure(p, w.action.Kind != ActRelease && w.breaks == k.renewal.breaks)
			if w.action.Late {
				k.spots[p].Rest = now + restFor
				k.log.Warn("a partition was not read back at its next owner in time, it stays here for now", "partition", p, "limit", k.o.WarmWithin)
			}
			k.told.count(w.action.Kind, now)
		case errors.Is(w.err, persistence.ErrConflict):
			log.Debug("another has changed the record", "error", w.err)
			k.held[p] = now + tickBusy
		default:
			k.held[p] = now + againAfter
			k.told.failed(w.err, now)
		}
	}
}

// tell says to an owner which of its partitions are warm here, all in one ask.
func (k *Keeper) tell(self, owner string, about []Action) {
	words := []string{self}
	for _, a := range about {
		words = append(words, fmt.Sprintf("%d:%d", a.Partition, a.Revision))
	}
	k.telling[owner] = true
	k.hands.Go(func() {
		ctx, cancel := context.WithTimeout(k.ctx, tellWithin)
		defer cancel()
		err := k.o.Bus.Ask(ctx, owner, wordWarm, []byte(strings.Join(words, " ")), func([]byte) error { return nil })
		if err != nil && k.ctx.Err() == nil {
			k.log.Debug("cannot tell the owner what is warm", "owner", owner, "error", err)
			k.hint(hint{incarnation: owner, why: "it does not answer"})
		}
		k.mail(func(in *inbox) { in.tells = append(in.tells, owner) })
	})
}

// hearWarm is the other end of tell: "incarnation partition:revision partition:revision …".
func (k *Keeper) hearWarm(_ context.Context, body []byte, _ func([]byte) error) error {
	words := strings.Fields(string(body))
	if len(words) < 2 || len(words) > 1+tellMax {
		return fmt.Errorf("hear what is warm: %d words", len(words))
	}
	heard := make([]warmNotice, 0, len(words)-1)
	for _, word := range words[1:] {
		partition, revision, _ := strings.Cut(word, ":")
		p, err := strconv.ParseUint(partition, 10, 16)
		if err != nil || int(p) >= k.o.Partitions {
			return fmt.Errorf("hear what is warm: %q names no partition", word)
		}
		r, err := strconv.ParseUint(revision, 10, 64)
		if err != nil {
			return fmt.Errorf("hear what is warm: %q has no revision", word)
		}
		heard = append(heard, warmNotice{int(p), r})
	}
	k.mail(func(in *inbox) {
		if len(in.warm) < 2*tellMax { // else the loop is stuck, and the other node tells again
			in.warm = slices.Concat(in.warm, heard)
		}
	})
	return nil
}
