package entity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"orderyard/cluster"
	"orderyard/persistence"
)

// A warm partition follows the journal's tail at this pace, so that little is left to read when it is opened.
const followEvery = 50 * time.Millisecond

// A journal that was found damaged is looked at again soon, a few times: of three servers the next reading may meet another, whose disk is
// whole. Then now and then, for an operator may have mended it.
const (
	damagedSoon  = 4
	damagedAgain = time.Second
	damagedLater = 30 * time.Second
)

// refenceAfter is the least time between losing a partition to another writer and taking it over again.
const refenceAfter = 250 * time.Millisecond

// read begins an attempt to read the partition back, in the background. It takes the partition over when the phase is opening, or as
// soon as it becomes so.
func (p *partition) read() {
	r := &reading{open: make(chan persistence.Mark, 1)}
	p.reading = r
	pause := time.Duration(0)
	if p.at(cluster.PhaseOpening) {
		r.open <- p.mark
		if p.fencedAt != 0 {
			pause = min(time.Duration(p.fencedAt-p.clock())*time.Millisecond+refenceAfter, refenceAfter)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	go func() {
		time.Sleep(pause)
		log, result, err := p.readBack(ctx, r)
		p.system.Root.Send(p.pid, &recovered{of: r, result: result, log: log, err: err})
	}()
}

func (p *partition) readBack(ctx context.Context, r *reading) (*persistence.Log, *Recovered, error) {
	p.stats.Recoveries.Add(1)
	var mark persistence.Mark
	if p.HighWater != nil {
		position, err := p.HighWater(ctx, p.Partition)
		if err != nil {
			return nil, nil, fmt.Errorf("high-water mark of partition %d: %w", p.Partition, err)
		}
		mark.Position = position
	}
	for opened := false; ; {
		log, recovery, err := p.readJournal(ctx, mark)
		if err != nil {
			return nil, nil, err
		}
		if err := recovery.Settle(p.clock()); err != nil {
			return nil, nil, err
		}
		if !opened {
			p.system.Root.Send(p.pid, &warmed{of: r})
			var reach persistence.Mark
			if reach, err = p.follow(ctx, r, log, recovery); err == nil {
				mark, opened = reach, true
			}
		}
		if err == nil {
			err = log.CatchUp(ctx, mark, recovery.commit)
		}
		if p.overtaken(ctx, log, err) {
			slog.Info("partition read back anew: the journal was cut above the place of reading", "partition", p.Partition, "position", log.Position())
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("catch up partition %d: %w", p.Partition, err)
		}
		result, err := recovery.Take(ctx, log, p.clock())
		if err != nil {
			return nil, nil, err
		}
		return log, result, nil
	}
}

// follow reads along with the present owner until the partition is to be opened, and gives the mark to be reached then.
func (p *partition) follow(ctx context.Context, r *reading, log *persistence.Log, recovery *Recovery) (mark persistence.Mark, err error) {
	for {
		select {
		case mark := <-r.open:
			return mark, nil
		case <-time.After(followEvery):
			if err := log.CatchUp(ctx, persistence.Mark{}, recovery.commit); err != nil {
				return mark, err
			}
			if err := recovery.Settle(p.clock()); err != nil {
				return mark, err
			}
		case <-ctx.Done():
			return mark, ctx.Err()
		}
	}
}

// overtaken says that a gap is none: whoever reads along is no reader that the owner waits for, so the owner may have written a checkpoint and
// cut the journal behind the place of reading. Then all is read anew from that checkpoint.
func (p *partition) overtaken(ctx context.Context, log *persistence.Log, err error) bool {
	if !errors.Is(err, persistence.ErrCorrupt) {
		return false
	}
	newest, found, again := p.Store.Load(ctx, p.Partition, func([]byte) error { return nil })
	return again == nil && found && newest.Position > log.Position()
}

// readJournal reads checkpoint and tail. A gap may only mean that a newer checkpoint was made, and the journal cut below it, between
// the two readings: then it reads once more.
func (p *partition) readJournal(ctx context.Context, mark persistence.Mark) (*persistence.Log, *Recovery, error) {
	for attempt := 1; ; attempt++ {
		log := persistence.OpenLog(p.Store, p.Partition, persistence.LogOptions{
			Node: p.Node, Incarnation: p.Incarnation, HighWater: mark, Logger: slog.Default(),
		})
		r := &Recovery{Kinds: p.Kinds, Planner: p.Planner, Limits: p.limits}
		err := r.Read(ctx, log, p.Store, p.Partition)
		if err == nil || attempt > 1 || !errors.Is(err, persistence.ErrCorrupt) {
			return log, r, err
		}
		newest, found, again := p.Store.Load(ctx, p.Partition, func([]byte) error { return nil })
		if again != nil || !found || newest.Position == r.from.Position {
			return nil, nil, err
		}
	}
}

// readAgain plans the next attempt. Whoever is to close has nothing to wait for.
func (p *partition) readAgain(m *recovered) {
	if p.closing != nil {
		p.closed(nil, m.err)
		return
	}
	p.attempts++
	pause := time.Duration(min(50<<min(p.attempts, 7), 5000)) * time.Millisecond
	if errors.Is(m.err, persistence.ErrCorrupt) {
		p.refused.Store(true)
		slog.Error("partition refused: its journal is damaged", "partition", p.Partition, "error", m.err)
		pause = damagedAgain
		if p.attempts > damagedSoon {
			pause = damagedLater
		}
	} else {
		slog.Warn("partition cannot be read back yet", "partition", p.Partition, "error", m.err, "again_in", pause)
	}
	p.stop()
	if p.at(cluster.PhaseWarm) {
		p.enter(cluster.PhaseWarming)
	}
	time.AfterFunc(pause, func() { p.system.Root.Send(p.pid, &order{do: retryIt, of: m.of}) })
}
