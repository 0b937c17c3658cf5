package rulebook

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	js "github.com/nats-io/nats.go/jetstream"

	"orderyard/routing/ruleset"
)

// Status is what a node routes by.
type Status struct {
	Activation Activation // the zero Activation = the built-in rules
	Rules      string     // the set's version as this program compiled it: what plans store
	Refused    *Refusal   // what is in force and cannot be used here; nil = this node is up to date as far as it knows
	Refusals   int64      // so many since the node started
}

// Refusal is an activation that this node does not follow.
type Refusal struct {
	Activation Activation
	Why        string
}

// Live is the rule set of one node: the one in force, or the last before it that this program can compile. All methods but Follow may be
// called concurrently.
type Live struct {
	book   *Book
	log    *slog.Logger
	status atomic.Pointer[Status]
	set    *ruleset.Compiled
	seen   uint64 // revision of the activation last looked at
	use    func(*ruleset.Compiled, Activation)
	nudge  chan struct{}
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// Load reads and compiles what is in force, before a node opens its doors. A node that cannot compile it takes the newest version of the
// history that it can, as it would have kept that one if it had been running; when there is none, the built-in rules. Either way it says so.
func Load(ctx context.Context, b *Book, log *slog.Logger) (*Live, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	l := &Live{book: b, log: log, nudge: make(chan struct{}, 1), use: func(*ruleset.Compiled, Activation) {}}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.status.Store(&Status{})
	l.use = func(c *ruleset.Compiled, _ Activation) { l.set = c }
	if err := l.look(ctx); err != nil {
		return nil, fmt.Errorf("load the rules in force: %w", err)
	}
	if l.status.Load().Refused == nil {
		return l, nil
	}
	if err := l.earlier(ctx); err != nil {
		return nil, fmt.Errorf("load the rules that were in force before: %w", err)
	}
	return l, nil
}

// earlier takes the newest version of the history that compiles.
func (l *Live) earlier(ctx context.Context) error {
	history, err := l.book.activations(ctx)
	if err != nil {
		return err
	}
	for _, a := range history[:min(len(history), earlierMax)] {
		v, found, err := l.book.Version(ctx, a.Number)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		if c, err := v.Compile(); err == nil {
			l.take(c, a, l.status.Load().Refused)
			return nil
		}
	}
	l.log.Error("no published rule set can be used here: the built-in rules are in use")
	return nil
}

// Set gives what Load found; nil = the built-in rules.
func (l *Live) Set() *ruleset.Compiled { return l.set }

// Status says what the node routes by.
func (l *Live) Status() Status { return *l.status.Load() }

// Follow hands every further change to use, compiled whole, from one goroutine, until Stop. It is called once.
func (l *Live) Follow(use func(*ruleset.Compiled, Activation)) {
	l.use = use
	l.work.Go(l.watchAlways)
	l.work.Go(l.follow)
	l.hurry()
}

// Stop ends following. Stopping again does nothing.
func (l *Live) Stop() {
	l.cancel()
	l.work.Wait()
}

// hurry has the store looked at now.
func (l *Live) hurry() {
	select {
	case l.nudge <- struct{}{}:
	default: // somebody said so already
	}
}

// follow looks when the watch says so, and every few seconds by itself. A watch only says when: what is in force is always read from the
// bucket's leader, so neither a late nor a lost word of it can mislead.
func (l *Live) follow() {
	wait, well := checkEvery, true
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-l.nudge:
		case <-time.After(wait):
		}
		err := l.look(l.ctx)
		if l.ctx.Err() != nil {
			return
		}
		wait = checkEvery
		if err != nil {
			wait = againAfter
		}
		if well != (err == nil) {
			well = err == nil
			l.log.Log(l.ctx, levelOf(well), "the rules in force can be read", "now", well, "error", err)
		}
	}
}

func levelOf(well bool) slog.Level {
	if well {
		return slog.LevelInfo
	}
	return slog.LevelWarn
}

// look reads what is in force and takes it when it is news. An error means that it could not be read: then it is read again.
func (l *Live) look(ctx context.Context) error {
	a, revision, found, err := l.book.Active(ctx)
	if err != nil {
		return err
	}
	if !found || revision == l.seen { // a history that was removed by hand changes nothing here
		return nil
	}
	v, found, err := l.book.Version(ctx, a.Number)
	if err != nil {
		return err
	}
	l.seen = revision
	if !found {
		l.refuse(a, fmt.Errorf("the store has no version %d", a.Number))
		return nil
	}
	c, err := v.Compile()
	if err != nil {
		l.refuse(a, err)
		return nil
	}
	if c.Hash != v.Hash {
		l.log.Warn("the rules in force mean something else to the program that published them: run one version everywhere",
			"number", v.Number, "here", c.Version, "there", v.Rules)
	}
	l.take(c, a, nil)
	return nil
}

func (l *Live) take(c *ruleset.Compiled, a Activation, refused *Refusal) {
	l.use(c, a)
	l.status.Store(&Status{Activation: a, Rules: c.Version, Refused: refused, Refusals: l.status.Load().Refusals})
	l.log.Info("routing by published rules", "number", a.Number, "rules", c.Version, "act", a.Act, "by", a.By)
}

func (l *Live) refuse(a Activation, why error) {
	now := *l.status.Load()
	now.Refused, now.Refusals = &Refusal{a, why.Error()}, now.Refusals+1
	l.status.Store(&now)
	l.log.Error("the rules in force are refused: this node goes on with those it has", "refused", a.Number, "in use", now.Activation.Number, "error", why)
}

// watchAlways watches what is in force, again and again.
func (l *Live) watchAlways() {
	for l.ctx.Err() == nil {
		if err := l.watch(); err != nil && l.ctx.Err() == nil {
			l.log.Debug("a watch failed", "bucket", Bucket, "error", err)
		}
		select {
		case <-l.ctx.Done():
		case <-time.After(againAfter):
		}
	}
}

// watch hurries with every word of one watch, and returns when it ends.
func (l *Live) watch() error {
	ctx, stop := context.WithCancel(l.ctx) // lives as long as the watch: its end would end the watch
	defer stop()
	late := time.AfterFunc(callWithin, stop)
	w, err := l.book.kv.Watch(ctx, keyActive, js.MetaOnly())
	if !late.Stop() || err != nil {
		return fmt.Errorf("begin to watch: %w", cmp.Or(err, ctx.Err()))
	}
	defer func() {
		_ = w.Stop() // fails when the connection is closed, which stops it too
		go func() {  // what delivers may be waiting for somebody to take it; it closes the channel at its end
			for range w.Updates() {
			}
		}()
	}()
	for {
		select {
		case <-l.ctx.Done():
			return nil
		case _, ok := <-w.Updates():
			if !ok {
				return nil
			}
			l.hurry()
		}
	}
}
