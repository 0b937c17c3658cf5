package actors

import (
	"context"
	"sync"
	"sync/atomic"

	"orderyard/messages"
	"orderyard/routing/opportunity"
)

// demandWaitingMax bounds the orders that wait to be counted: a second of a flash crowd. Past it they are missed, which is a matter of
// percent in a count, and counted as such.
const demandWaitingMax = 8192

// causePlaced is the cause of an order's first plan. See actors/order.
const causePlaced = "placed"

// demand counts what is ordered. An order is counted where its partition is served, by the question of its first plan: once, whatever door it
// came through and however often it was sent. The planner only puts the question into a queue. A nil demand counts nothing.
type demand struct {
	waiting chan placedOrder
	missed  atomic.Int64

	mu      sync.Mutex
	counter *opportunity.Counter
}

// placedOrder is a question that was asked for the first time.
type placedOrder struct {
	req *messages.PlanRequest // read only
	at  int64
}

func newDemand(o opportunity.CounterOptions, now int64) *demand {
	return &demand{waiting: make(chan placedOrder, demandWaitingMax), counter: opportunity.NewCounter(o, now)}
}

// note takes up a question of the planner. It never waits.
func (d *demand) note(req *messages.PlanRequest, now int64) {
	if d == nil || req.PlanNo != 1 || req.Cause != causePlaced {
		return
	}
	select {
	case d.waiting <- placedOrder{req, now}:
	default:
		d.missed.Add(1)
	}
}

// run counts until ctx ends.
func (d *demand) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case o := <-d.waiting:
			d.mu.Lock()
			d.counter.Count(o.req, o.at)
			d.mu.Unlock()
		}
	}
}

// parts hands over what is counted. send is called without the lock.
func (d *demand) parts(now int64, send func(*messages.DemandPart) error) error {
	var list []*messages.DemandPart
	d.mu.Lock()
	err := d.counter.Parts(now, partBytes, func(p *messages.DemandPart) error { list = append(list, p); return nil })
	d.mu.Unlock()
	for _, p := range list {
		if err == nil {
			err = send(p)
		}
	}
	return err
}

// counted gives the flows held, and how many were taken apart and lost for want of room.
func (d *demand) counted() (flows int, apart, lost int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counter.Flows(), d.counter.Apart, d.counter.Lost
}
