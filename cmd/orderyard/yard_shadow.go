package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/routing/ruleset"
	"orderyard/routing/whatif"
)

const (
	// shadowQueueMax bounds the decisions that wait for the shadow, a few KiB each: a burst of so many orders is followed whole, of a longer one
	// the rest is dropped and counted.
	shadowQueueMax = 256
	// shadowRest is how many times as long as it worked the shadow rests: it takes at most a fifth of one core.
	shadowRest = 4
	// wordShadow is the verb under which every node tells about its shadow.
	wordShadow = "shadow"
)

// shadow is a rule set that looks on: it is asked about every new order after it was routed, and decides nothing. Deciding never waits for it.
type shadow struct {
	y     *yard
	rules string // "" = none is configured
	card  string
	queue chan *whatif.Sighting
	told  *nats.Subscription
	end   chan struct{}
	work  sync.WaitGroup

	followed, changed, dropped atomic.Int64

	mu    sync.Mutex // of what follows
	what  *whatif.Shadow
	since time.Time // of the orders counted
}

// openShadow begins to follow, when a file is configured, and to tell about it in any case: whoever asks all nodes knows when he has heard all.
func (y *yard) openShadow(context.Context) error {
	s := &shadow{y: y, end: make(chan struct{}), queue: make(chan *whatif.Sighting, shadowQueueMax), since: time.Now()}
	if file := y.cfg.Routing.Shadow; file != "" {
		if err := s.load(file); err != nil {
			return err
		}
		s.count()
		s.work.Go(s.follow)
		y.node.Watch(s.hear)
		y.log.Info("a rule set looks on", "rules", s.rules)
	}
	var err error
	if s.told, err = y.doors.Subscribe(messages.RulesSubject(wordShadow), s.answer); err != nil {
		s.stop()
		return fmt.Errorf("subscribe %s: %w", messages.RulesSubject(wordShadow), err)
	}
	y.shadow = s
	return nil
}

func (s *shadow) load(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("routing.shadow: %w", err)
	}
	set, err := ruleset.Load(file, text)
	if err != nil {
		return fmt.Errorf("routing.shadow is no rule set:\n%w", err)
	}
	live, mine := set.Yardstick(""), set.Yardstick("")
	if live != nil {
		s.card = live.Card()
	}
	s.rules, s.what = set.Version, whatif.NewShadow(rulesBy(set), live, mine)
	return nil
}

// stop ends following and telling. Stopping again does nothing.
func (s *shadow) stop() {
	s.y.node.Watch(nil)
	if s.told != nil {
		_ = s.told.Unsubscribe() // fails when the connection is closed, which ends it too
	}
	select {
	case <-s.end:
	default:
		close(s.end)
	}
	s.work.Wait()
}

// hear takes the first plan of an order, and lets everything else pass: what a node has to decide comes first.
func (s *shadow) hear(q *messages.PlanRequest, plan *messages.Plan, now int64) {
	if q.Cause != causePlaced || q.PlanNo != 1 {
		return
	}
	if len(s.queue) == cap(s.queue) {
		s.dropped.Add(1)
		return
	}
	select {
	case s.queue <- whatif.See(q, plan, s.y.node.View(), now):
	default:
		s.dropped.Add(1)
	}
}

// follow asks the shadow about one order after the other, and rests in between.
func (s *shadow) follow() {
	for {
		select {
		case <-s.end:
			return
		case seen := <-s.queue:
			began := time.Now()
			if !s.look(seen) {
				return
			}
			select {
			case <-s.end:
				return
			case <-time.After(shadowRest * time.Since(began)):
			}
		}
	}
}

// look asks about one order. A shadow that fails ends, and the node goes on: it has no part in what is decided.
func (s *shadow) look(seen *whatif.Sighting) (well bool) {
	defer func() {
		if r := recover(); r != nil {
			s.y.node.Watch(nil)
			s.y.log.Error("the shadow rules failed on an order and look on no more: tell the makers of this program", "rules", s.rules, "error", r)
			well = false
		}
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	present := s.what.Present()
	before, _ := s.what.Changed()
	s.what.Follow(seen)
	if now := s.what.Present(); now != present {
		before = 0
		if present != "" {
			s.since = time.Now()
			s.y.log.Info("the shadow counts anew: other rules are in force", "rules", s.rules, "present", now)
		}
	}
	after, _ := s.what.Changed()
	s.followed.Add(1)
	s.changed.Add(after - before)
	return true
}

// count exports how far the shadow follows.
func (s *shadow) count() {
	for _, c := range []struct {
		name, help string
		of         *atomic.Int64
	}{
		{"orders", "New orders that the shadow rules were asked about.", &s.followed},
		{"changed", "Orders of these that they would have routed differently.", &s.changed},
		{"dropped", "New orders that they could not follow.", &s.dropped},
	} {
		s.y.registry.MustRegister(prometheus.NewCounterFunc(
			prometheus.CounterOpts{Name: "orderyard_shadow_" + c.name + "_total", Help: c.help}, func() float64 { return float64(c.of.Load()) }))
	}
}

// shadowAnswer is what one node tells about its shadow.
type shadowAnswer struct {
	wire.Head
	Node        string            `json:"node"`
	Rules       string            `json:"rules_version,omitempty"` // of the shadow; empty = the node has none
	Present     string            `json:"present,omitempty"`       // the rules in force that it is compared with
	Since       wire.Time         `json:"since,omitzero"`
	Card        string            `json:"card,omitempty"`
	Dropped     int64             `json:"dropped"` // since the node started
	Live        whatif.Tally      `json:"live"`
	Shadow      whatif.Tally      `json:"shadow"`
	Changed     int64             `json:"orders_changed"`
	MostChanged []simulatedChange `json:"most_changed,omitempty"`
}

func (s *shadow) answer(m *nats.Msg) {
	body, err := wire.Encode(s.report())
	if err == nil {
		err = m.Respond(body)
	}
	if err != nil {
		s.y.log.Debug("answer not sent", "subject", m.Subject, "error", err)
	}
}

func (s *shadow) report() shadowAnswer {
	a := shadowAnswer{Head: wire.Head{OK: true}, Node: s.y.cfg.Node.Name, Rules: s.rules, Card: s.card, Dropped: s.dropped.Load()}
	if s.what == nil {
		return a
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a.Present, a.Since = s.what.Present(), wire.Time(s.since.UnixMilli())
	a.Live, a.Shadow = s.what.Tallies()
	var most []whatif.Change
	a.Changed, most = s.what.Changed()
	a.MostChanged = changesOf(most)
	return a
}
