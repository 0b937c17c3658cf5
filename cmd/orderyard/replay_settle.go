package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/cespare/xxhash/v2"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

const (
	// settleQuiet is how long nothing may change before the orders count as at rest. The slowest step of the demo fleet takes less.
	settleQuiet = 15 * time.Second
	// settleQuietFleet is the same for a fleet of our own, which never waits.
	settleQuietFleet = 3 * time.Second
	// settlePause is between two looks; a look that takes long is followed by a longer pause, so that looking takes a small share.
	settlePause     = 500 * time.Millisecond
	settlePauseLook = 4
	// allocationMax is the longest time from placed to allocated that is told apart, in milliseconds.
	allocationMax = 7 * 24 * 3600 * 1000
)

// outcome is what the orders of this run look like.
type outcome struct {
	statuses, exceptions     map[string]int64
	orders, allocated, split int64
	parted                   int64 // orders with work at any site: the base of the split rate
	rerouted, reroutes       int64 // orders; in all
	backordered, shortUnits  int64 // orders; units
	failed                   int64 // orders with an exception
	waits                    int64 // orders that are neither allocated nor in any state that says why
	moving                   int64
	partly                   int64     // of moving: some units wait for stock
	changed                  wire.Time // the latest change
	latency                  *hdrhistogram.Histogram
	settled                  bool
	waited, quiet            time.Duration
}

// resting are the states that an order does not leave by itself within a minute: it has ended, waits for stock or for a person. An
// order that is shipped in part and waits for the rest is at rest too, but looks no different from one that is being picked.
var resting = []string{"completed", "cancelled", "backordered", "exception", "held"}

// settle looks until every order is at rest, or nothing has changed for a while: where nobody picks, released orders stay released,
// and an order shipped in part may wait for the rest of its stock. It gives up after --settle, which is then told.
func (r *replay) settle(ctx context.Context) (*outcome, error) {
	began := time.Now()
	quietSince, last, said := began, (*outcome)(nil), began
	for {
		look := time.Now()
		o, err := r.look(ctx)
		if err != nil {
			return nil, err
		}
		now := time.Now()
		if last == nil || o.changed != last.changed || !maps.Equal(o.statuses, last.statuses) {
			quietSince, last = now, o
		}
		o.waited, o.quiet = now.Sub(began), settleQuiet
		if r.f.fleet {
			o.quiet = settleQuietFleet
		}
		o.settled = o.moving == 0 || now.Sub(quietSince) >= o.quiet
		if o.settled || o.waited >= r.f.settle {
			return o, nil
		}
		if now.Sub(said) >= replayLineEvery {
			said = now
			r.say("waiting for %s on the way", plural(int(o.moving), "order"))
		}
		select {
		case <-ctx.Done():
			return o, ctx.Err()
		case <-time.After(min(max(settlePause, settlePauseLook*now.Sub(look)), time.Until(began.Add(r.f.settle)))):
		}
	}
}

// look reads the rows of this run's orders, page by page.
func (r *replay) look(ctx context.Context) (*outcome, error) {
	o := &outcome{
		statuses: make(map[string]int64), exceptions: make(map[string]int64), latency: hdrhistogram.New(1, allocationMax, 3),
	}
	for cursor := ""; ; {
		var page wire.OrderListAnswer
		request := wire.ListOrdersRequest{ListFilter: wire.ListFilter{Channel: replayChannel, Cursor: cursor, Limit: wire.ListMax}}
		if err := r.question(ctx, messages.OrderSubject("list"), request, &page); err != nil {
			return nil, fmt.Errorf("list the orders: %w", err)
		}
		for i := range page.Orders {
			if _, ours := r.ours[xxhash.Sum64String(page.Orders[i].OrderID)]; ours {
				o.add(&page.Orders[i])
			}
		}
		if cursor = page.NextCursor; cursor == "" {
			return o, nil
		}
	}
}

func (o *outcome) add(row *wire.OrderRow) {
	o.orders++
	o.statuses[row.Status]++
	o.changed = max(o.changed, row.ChangedAt)
	if !slices.Contains(resting, row.Status) {
		o.moving++
		if row.Backordered > 0 {
			o.partly++
		}
	}
	if row.AllocatedAt > 0 {
		o.allocated++
		_ = o.latency.RecordValue(max(int64(row.AllocatedAt-row.AcceptedAt), 1)) // above a week is not recorded
	} else if row.Backordered == 0 && len(row.Exceptions) == 0 && !slices.Contains(resting, row.Status) {
		o.waits++
	}
	if len(row.Sites) > 0 {
		o.parted++
	}
	if len(row.Sites) > 1 {
		o.split++
	}
	if row.Reroutes > 0 {
		o.rerouted++
		o.reroutes += int64(row.Reroutes)
	}
	if row.Backordered > 0 {
		o.backordered++
		o.shortUnits += row.Backordered
	}
	if len(row.Exceptions) > 0 {
		o.failed++
	}
	for _, kind := range row.Exceptions {
		o.exceptions[kind]++
	}
}
