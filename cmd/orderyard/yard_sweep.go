package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"orderyard/actors"
	"orderyard/configs"
	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/routing/sweep"
)

const (
	// wordSweep is the verb under which every node says what its next sweep would move.
	wordSweep = "sweep"
	// sweepLookWithin bounds a look on demand, below the five seconds that a client waits.
	sweepLookWithin = 4 * time.Second
	// sweepMovesShown bounds the moves of one answer: with all their sites they fit one message.
	sweepMovesShown = 500
)

// sweeping lets the node sweep, when that is switched on, and tells what a sweep would move in any case.
type sweeping struct {
	y       *yard
	sweeper *actors.Sweeper
	told    *nats.Subscription
	work    sync.WaitGroup
}

func (y *yard) openSweep(context.Context) error {
	s := &sweeping{y: y, sweeper: actors.NewSweeper(y.node, sweepOptions(y))}
	s.count()
	var err error
	if s.told, err = y.doors.Subscribe(messages.RulesSubject(wordSweep), func(m *nats.Msg) { s.work.Go(func() { s.answer(m) }) }); err != nil {
		return fmt.Errorf("subscribe %s: %w", messages.RulesSubject(wordSweep), err)
	}
	s.sweeper.Start()
	y.sweep = s
	return nil
}

func sweepOptions(y *yard) actors.SweepOptions {
	c := y.cfg.Routing.Sweep
	o := actors.SweepOptions{OrdersMax: c.OrdersMax, CommandsMax: c.CommandsMax, Limits: sweepLimits(c), Log: y.log}
	if c.Enabled {
		o.Every = c.Every
	}
	return o
}

func sweepLimits(c configs.Sweep) sweep.Limits {
	l := sweep.DefaultLimits()
	l.SavingPercentMin, l.SavingMin = int64(c.SavingPercentMin), int64(c.SavingMin)
	return l
}

// stop ends sweeping; a sweep under way ends between two moves. Stopping again does nothing.
func (s *sweeping) stop() {
	_ = s.told.Unsubscribe() // fails when the connection is closed, which ends it too
	s.sweeper.Stop()
	s.work.Wait()
}

// count exports what the sweeps have done.
func (s *sweeping) count() {
	stats := &s.sweeper.Stats
	counter := func(name, help string, value func() float64) {
		s.y.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "orderyard_sweep_" + name, Help: help}, value))
	}
	counter("runs_total", "Sweeps.", func() float64 { return float64(stats.Runs.Load()) })
	counter("moved_total", "Orders that sweeps moved.", func() float64 { return float64(stats.Moved.Load()) })
	counter("refused_total", "Moves that came too late.", func() float64 { return float64(stats.Refused.Load()) })
	counter("saved_minor_units_total", "What the moves saved, by the rules' first rate card and the sites' own costs.",
		func() float64 { return float64(stats.Saved.Load()) })
	counter("seconds_total", "Time spent in sweeps.", func() float64 { return float64(stats.Nanos.Load()) / 1e9 })
}

// sweepRequest asks every node what a sweep would move. DryRun must be true: nodes move by themselves.
type sweepRequest struct {
	DryRun bool `json:"dry_run"`
}

// sweepAnswer is what one node would move.
type sweepAnswer struct {
	wire.Head
	Node    string      `json:"node"`
	Enabled bool        `json:"enabled"` // it sweeps by itself
	Rules   string      `json:"rules_version"`
	Card    string      `json:"card,omitempty"` // the rate card it measures by; empty = the sites' own costs alone
	Waiting int         `json:"waiting"`        // orders with units that no site was asked about
	Looked  int         `json:"looked_at"`
	Cut     bool        `json:"cut,omitzero"` // the search ended at a limit
	Before  int64       `json:"before"`       // of all moves, minor units
	After   int64       `json:"after"`
	Saving  int64       `json:"saving"`
	Orders  int         `json:"orders_moved"`
	Moves   []sweepMove `json:"moves,omitempty"` // the first ones, by order id
}

// sweepMove is one order. Moves of one group need each other.
type sweepMove struct {
	OrderID string      `json:"order_id"`
	Group   int         `json:"group"`
	From    []sweepPart `json:"from"`
	To      []sweepPart `json:"to"`
	Before  int64       `json:"before"`
	After   int64       `json:"after"`
	Saving  int64       `json:"saving"`
}

// sweepPart is what one site gives.
type sweepPart struct {
	Site  string `json:"site"`
	Units int64  `json:"units"`
}

func (s *sweeping) answer(m *nats.Msg) {
	body, err := wire.Encode(s.look(m.Data))
	if err == nil {
		err = m.Respond(body)
	}
	if err != nil {
		s.y.log.Debug("answer not sent", "subject", m.Subject, "error", err)
	}
}

func (s *sweeping) look(body []byte) sweepAnswer {
	no := func(f *messages.Failure) sweepAnswer {
		return sweepAnswer{Head: wire.FailureHead(f), Node: s.y.cfg.Node.Name}
	}
	var q sweepRequest
	if f := wire.Decode(body, &q); f != nil {
		return no(f)
	}
	if !q.DryRun {
		return no(messages.Invalid("dry_run", "must be true: nodes move orders by themselves, when routing.sweep.enabled says so"))
	}
	ctx, cancel := context.WithTimeout(context.Background(), sweepLookWithin)
	defer cancel()
	r, err := s.sweeper.Look(ctx)
	if err != nil {
		return no(messages.Retry(messages.CodeUnavailable, 500, "%v", err))
	}
	a := sweepAnswer{
		Head: wire.Head{OK: true}, Node: s.y.cfg.Node.Name, Enabled: s.y.cfg.Routing.Sweep.Enabled, Rules: s.y.node.Rules().Version, Card: r.Card,
		Waiting: r.Waiting, Looked: len(r.Orders), Cut: r.Cut, Before: r.Before, After: r.After, Saving: r.Saving(), Orders: len(r.Moves),
	}
	for i := range r.Moves[:min(len(r.Moves), sweepMovesShown)] {
		m := &r.Moves[i]
		a.Moves = append(a.Moves, sweepMove{
			OrderID: r.Orders[m.Order].ID, Group: m.Group, From: sweepParts(m.From), To: sweepParts(m.To.Assignments),
			Before: m.Before, After: m.After, Saving: m.Saving(),
		})
	}
	return a
}

func sweepParts(list []*messages.Assignment) []sweepPart {
	parts := make([]sweepPart, 0, len(list))
	for _, a := range list {
		units := int64(0)
		for _, l := range a.Lines {
			units += l.Quantity
		}
		if at := slices.IndexFunc(parts, func(p sweepPart) bool { return p.Site == a.Site }); at >= 0 {
			parts[at].Units += units
			continue
		}
		parts = append(parts, sweepPart{a.Site, units})
	}
	return parts
}
