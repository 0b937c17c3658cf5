package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"orderyard/messages"
	"orderyard/routing/sweep"
)

// SweepOptions are the dials of a node's sweeps.
type SweepOptions struct {
	Every       time.Duration // between two sweeps; 0 = only when somebody asks for one
	OrdersMax   int           // orders of one sweep; the next one goes on behind them
	CommandsMax int           // orders asked or moved at once
	Limits      sweep.Limits
	Log         *slog.Logger
}

// SweepStats count what a node's sweeps have done.
type SweepStats struct {
	Runs, Moved, Refused, Saved, Nanos atomic.Int64 // Saved: minor units
}

// Sweeper moves orders of this node to where they are cheaper together (routing/sweep). It knows the orders of the node's own partitions
// only; another node may want the same stock at the same time, and then the bucket decides, as ever.
type Sweeper struct {
	know  *Knowledge
	ask   func(ctx context.Context, req messages.Request) (*messages.Reply, error)
	o     SweepOptions
	Stats SweepStats

	panics *atomic.Int64 // the node's

	turn  chan struct{} // one sweep at a time
	room  chan struct{} // of commands under way
	after string        // the last order of the sweep before

	stop context.CancelFunc
	done chan struct{}
}

// SweepReport is what one sweep found and did.
type SweepReport struct {
	sweep.Result
	Orders  []SweptOrder // that were compared, or could not be; Result's moves name them by position
	Waiting int          // orders with movable units at this node
	Outcome []string     // of each move: moved, or why not; empty after a dry run
	Moved   int
	Saved   int64 // by those that were moved

	last string // where the next sweep goes on
}

// SweptOrder is one of them.
type SweptOrder struct {
	ID       string
	Version  uint64
	Currency string
}

const (
	sweepAskWithin = 5 * time.Second         // one order
	sweepBackPoll  = 20 * time.Millisecond   // until units that were given back are seen
	sweepBackIn    = 1500 * time.Millisecond // and the longest: a commit at the order and one at the bucket, on a busy disk
	sweepMoved     = "moved"
)

// NewSweeper makes a node's sweeper; Start lets it run by itself.
func NewSweeper(n *Node, o SweepOptions) *Sweeper {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Sweeper{
		know: n.Knowledge, ask: n.Ask, o: o, panics: &n.runtime.Stats().Panics,
		turn: make(chan struct{}, 1), room: make(chan struct{}, max(o.CommandsMax, 1)),
	}
}

// Start sweeps every so often until Stop. It is called once; without a time it does nothing.
func (s *Sweeper) Start() {
	if s.o.Every <= 0 || s.done != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop, s.done = cancel, make(chan struct{})
	go func() {
		defer close(s.done)
		for {
			// Nodes that were started together shall not sweep together.
			pause := s.o.Every - s.o.Every/10 + rand.N(s.o.Every/5+1)
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			if _, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
				s.o.Log.Warn("a sweep ended early", "error", err)
			}
		}
	}()
}

// Stop ends the sweeping. A sweep under way stops between two moves. Stopping again does nothing.
func (s *Sweeper) Stop() {
	if s.stop != nil {
		s.stop()
		<-s.done
	}
}

// Look says what a sweep would move now, without any effect. It may be called concurrently; one sweep follows the other.
func (s *Sweeper) Look(ctx context.Context) (*SweepReport, error) {
	release, err := s.take(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	return s.look(ctx)
}

// Sweep looks and moves. What was moved stays moved when it ends early.
func (s *Sweeper) Sweep(ctx context.Context) (*SweepReport, error) {
	release, err := s.take(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	began := time.Now()
	r, err := s.look(ctx)
	if err != nil {
		return nil, err
	}
	s.after = r.last
	err = s.move(ctx, r)
	s.Stats.Runs.Add(1)
	s.Stats.Moved.Add(int64(r.Moved))
	s.Stats.Refused.Add(int64(len(r.Moves) - r.Moved))
	s.Stats.Saved.Add(max(r.Saved, 0))
	s.Stats.Nanos.Add(int64(time.Since(began)))
	if r.Moved > 0 {
		s.o.Log.Info("a sweep moved orders", "moved", r.Moved, "saving", r.Saved, "planned", len(r.Moves), "looked_at", len(r.Orders),
			"waiting", r.Waiting, "card", r.Card, "took", time.Since(began).Round(time.Millisecond))
	}
	return r, err
}

// MayMove gives the ids of this node's orders with units that no site was asked about: those behind an id, sorted, then those in front of it; at
// most so many.
func (k *Knowledge) MayMove(after string, most int) []string { return k.orders.mayMove(after, most) }

func (s *Sweeper) take(ctx context.Context) (release func(), err error) {
	select {
	case s.turn <- struct{}{}:
		return func() { <-s.turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("another sweep is under way: %w", ctx.Err())
	}
}

// look asks the orders what may be moved, and plans them together. A panic of the rules is an error: it ends the sweep and not the node.
func (s *Sweeper) look(ctx context.Context) (_ *SweepReport, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.panics.Add(1)
			s.o.Log.Error("a sweep panicked", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("the sweep panicked: %v", p)
		}
	}()
	if n := s.know.Uncovered(); n > 0 {
		return nil, fmt.Errorf("the stock of %d partitions is not known here yet", n)
	}
	ids := s.know.MayMove(s.after, s.o.OrdersMax)
	views := make([]*messages.OrderView, len(ids))
	s.each(ctx, len(ids), func(i int) {
		reply, err := s.one(ctx, ids[i], "", &messages.GetOrder{Movable: true})
		if err == nil {
			views[i] = reply.GetOrder().GetView() // an order that does not answer is left alone
		}
	})
	if ctx.Err() != nil {
		return nil, fmt.Errorf("look at %d orders: %w", len(ids), ctx.Err())
	}
	r := &SweepReport{Waiting: s.know.orders.movable(), last: s.after}
	if len(ids) > 0 {
		r.last = ids[len(ids)-1]
	}
	var questions []sweep.Order
	for _, v := range views {
		if m := v.GetMovable(); m != nil {
			questions = append(questions, sweep.Order{Question: m.Question, Present: m.Present})
			r.Orders = append(r.Orders, SweptOrder{ID: v.OrderId, Version: v.Version, Currency: v.Order.GetCurrency()})
		}
	}
	r.Result = sweep.Better(questions, s.know.view, s.know.Rules(), s.know.clock(), s.o.Limits)
	return r, nil
}

// each runs do for 0..n-1 at the same time, until the end of ctx. How many commands are under way is limited where they are sent.
func (s *Sweeper) each(ctx context.Context, n int, do func(i int)) {
	var wait sync.WaitGroup
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		wait.Go(func() { do(i) })
	}
	wait.Wait()
}

// one asks an order and gives its refusal as an error.
func (s *Sweeper) one(ctx context.Context, id, commandID string, cmd messages.Command) (*messages.Reply, error) {
	select {
	case s.room <- struct{}{}:
		defer func() { <-s.room }()
	case <-ctx.Done():
		return nil, fmt.Errorf("ask order %s: %w", id, ctx.Err())
	}
	ctx, cancel := context.WithTimeout(ctx, sweepAskWithin)
	defer cancel()
	reply, err := s.ask(ctx, messages.Request{To: messages.OrderRef(id), Command: cmd, CommandID: commandID})
	switch {
	case err != nil:
		return nil, err
	case reply == nil:
		return nil, errors.New("no answer")
	case reply.Failure != nil:
		return nil, reply.Failure
	}
	return reply, nil
}
