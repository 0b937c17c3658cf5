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
	back := &ReadBack{
		Partition: p.Partition, Kinds: p.Kinds, Planner: p.Planner, Limits: p.limits, Store: p.Store, Clock: p.clock,
		Log: persistence.LogOptions{Node: p.Node, Incarnation: p.Incarnation, Logger: slog.Default()},
	}
	if p.HighWater != nil {
		position, err := p.HighWater(ctx, p.Partition)
		if err != nil {
			return nil, nil, fmt.Errorf("high-water mark of partition %d: %w", p.Partition, err)
		}
		back.Log.HighWater.Position = position
	}
	if err := p.inTurn(ctx, back.Read); err != nil {
		return nil, nil, err
	}
	p.system.Root.Send(p.pid, &warmed{of: r})
	mark, err := p.follow(ctx, r, back)
	if err != nil {
		return nil, nil, err
	}
	return back.Take(ctx, mark)
}

// inTurn waits until not too many partitions are being read: more at once than there are processors are no faster, and each needs the
// memory of what is on its way.
func (p *partition) inTurn(ctx context.Context, read func(context.Context) error) error {
	select {
	case p.turns <- struct{}{}:
		defer func() { <-p.turns }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return read(ctx)
}

// follow reads along with the present owner until the partition is to be opened, and gives the mark to be reached then.
func (p *partition) follow(ctx context.Context, r *reading, back *ReadBack) (persistence.Mark, error) {
	for {
		select {
		case mark := <-r.open:
			return mark, nil
		case <-time.After(followEvery):
			if err := back.Along(ctx); err != nil {
				return persistence.Mark{}, err
			}
		case <-ctx.Done():
			return persistence.Mark{}, ctx.Err()
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
	m.of.failed = true
	if p.at(cluster.PhaseWarm) {
		p.enter(cluster.PhaseWarming)
	}
	time.AfterFunc(pause, func() { p.system.Root.Send(p.pid, &order{do: retryIt, of: m.of}) })
}
