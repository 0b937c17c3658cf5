package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"orderyard/cluster/bus"
	"orderyard/messages"
)

// Bus carries what nodes tell each other; cluster/bus.Bus is one. What is published may be lost, doubled or late; an ask ends with an error
// when its answer is not whole.
type Bus interface {
	Publish(topic string, data []byte) error
	Subscribe(topic string, fn func(data []byte)) error
	Ask(ctx context.Context, incarnation, what string, body []byte, part func([]byte) error) error
	Serve(what string, fn func(ctx context.Context, body []byte, send func([]byte) error) error) error
}

const (
	topicView = "view" // also the word of an ask for everything
	wordSKUs  = "skus" // an ask about some

	// learnWithin bounds an ask about SKUs; skusAskMax is how many one may name.
	learnWithin = time.Second
	skusAskMax  = 1024

	// publishAfter gathers news before they are told: a bucket that many orders want changes a hundred times in it.
	publishAfter = 10 * time.Millisecond
	// beatEvery tells how far the numbers are, so that the loss of the last delta is noticed, and the load of sites.
	beatEvery = time.Second
	// newsMax bounds the SKUs told in one go, so that a partition taken over does not come as one burst.
	newsMax = 8192
	// healAfter lets a burst of losses end before everything is asked for.
	healAfter = 50 * time.Millisecond
	// healAgainMin and healAgainMax bound the pause after an ask that failed.
	healAgainMin, healAgainMax = 100 * time.Millisecond, 5 * time.Second
	// stuckFor ends the fetching of a snapshot of which no part has come for so long; fetchMax ends it in any case.
	stuckFor, fetchMax = 3 * time.Second, time.Minute
	// forgetAfter is when a silent sender is forgotten: it has ended, or says hello with a gap.
	forgetAfter = time.Minute
)

// Sharing makes every node's view the same: each node tells the others what it observes, and hears them.
//
// Deltas are numbered per process. Whoever misses one asks its sender for everything it knows; whoever joins asks one node (Sync). It
// holds that a node which has heard all of a sender's numbers, or a snapshot that had, knows everything that sender observed; and
// whoever takes a partition over observes, and so tells, all of its buckets and sites anew. So the newest of every bucket is always with
// a living sender who has told it, or is about to; what a dead sender left untold or unheard needs no care.
//
// A delta carries versions, and a higher one wins: order and repeats do not matter to the view, only to the count of what was heard.
type Sharing struct {
	know *Knowledge
	news *news
	bus  Bus
	self string
	sure func(partition int) bool
	log  *slog.Logger

	number atomic.Uint64 // of the newest delta published; written by the loop alone
	told   []uint32      // partitions served here of which everything was told; the loop's own

	mu      sync.Mutex
	senders map[string]*sender
	synced  bool
	heal    chan struct{} // holds one when somebody may be behind

	clock    func() time.Time
	aside    func(func()) // runs an ask beside others
	fetching sync.Mutex   // one snapshot at a time
	stop     context.CancelFunc
	done     sync.WaitGroup
	stats    SharingStats
}

// SharingStats counts since the start; each may be read at any time.
type SharingStats struct {
	Published, Heard   atomic.Int64 // deltas, heartbeats not counted
	Gaps               atomic.Int64 // asks for a snapshot because of missed deltas
	Fetched, FetchFail atomic.Int64 // snapshots from others
	Served             atomic.Int64 // snapshots to others
}

// Share begins to tell the other nodes what this one observes, and to hear them. It is called once, before the first partition opens. self
// is the process's incarnation on the bus; sure says whether it can be sure that a partition it serves is still its own; nil = always; log may be
// nil. Call Sync next.
func Share(k *Knowledge, bus Bus, self string, sure func(partition int) bool, log *slog.Logger) (*Sharing, error) {
	s, err := newSharing(k, bus, self, sure, log)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	for _, run := range []func(context.Context){s.publish, s.healing} {
		s.done.Add(1)
		go func() {
			defer s.done.Done()
			run(ctx)
		}()
	}
	return s, nil
}

// newSharing opens the ears.
func newSharing(k *Knowledge, bus Bus, self string, sure func(partition int) bool, log *slog.Logger) (*Sharing, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if sure == nil {
		sure = func(int) bool { return true }
	}
	s := &Sharing{
		know: k, news: k.view.share(), bus: bus, self: self, sure: sure, log: log, clock: time.Now,
		senders: make(map[string]*sender), heal: make(chan struct{}, 1),
	}
	s.aside = func(ask func()) { go ask() }
	k.coverage.mu.Lock()
	k.coverage.shared, k.coverage.ring = true, s.news.ring
	k.coverage.mu.Unlock()
	if err := bus.Subscribe(topicView, s.hear); err != nil {
		return nil, fmt.Errorf("share the view: %w", err)
	}
	for word, fn := range map[string]func(context.Context, []byte, func([]byte) error) error{topicView: s.serve, wordSKUs: s.serveSKUs} {
		if err := bus.Serve(word, fn); err != nil {
			return nil, fmt.Errorf("share the view: %w", err)
		}
	}
	return s, nil
}

// Stop tells nothing more and asks nobody. What is heard is still noted, until the bus closes. Stopping again does nothing.
func (s *Sharing) Stop() {
	s.stop()
	s.done.Wait()
}

// Stats gives the counters.
func (s *Sharing) Stats() *SharingStats { return &s.stats }

// publish is the loop that tells: soon after something changed, and with every beat.
func (s *Sharing) publish(ctx context.Context) {
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	soon := time.NewTimer(0)
	defer soon.Stop()
	<-soon.C
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.news.wake:
			soon.Reset(publishAfter)
			select {
			case <-ctx.Done():
				return
			case <-soon.C:
			}
			if s.tell(false) {
				s.beat()
			}
		case <-beat.C:
			s.tell(true)
			s.beat()
		}
	}
}

// tell publishes what is new, and says whether whole partitions are told by it. What the bus does not take is lost, and with it its
// number: whoever listens asks for a snapshot.
func (s *Sharing) tell(all bool) (covered bool) {
	served := s.know.coverage.served() // before the news are taken: what a served partition has is among them, or was
	skus, sites, more := s.news.take(newsMax, all)
	w := &deltas{from: s.self, send: func(d *messages.ViewDelta) error {
		d.Number = s.number.Add(1)
		s.stats.Published.Add(1)
		b, err := d.MarshalVT()
		if err == nil {
			err = s.bus.Publish(topicView, b)
		}
		if err != nil {
			s.log.Debug("news not told", "number", d.Number, "error", err)
		}
		return nil
	}}
	_ = w.write(skus, true, func(yield func(*messages.SiteView) bool) {
		for _, id := range sites {
			if v := s.know.view.siteView(id); v != nil && !yield(v) {
				return
			}
		}
	})
	if more || len(served) == len(s.told) {
		return false
	}
	s.told = served
	return true
}

// beat says how far the numbers are, and forgets who has not been heard for long.
func (s *Sharing) beat() {
	b, err := (&messages.ViewDelta{From: s.self, Number: s.number.Load(), Covered: s.told}).MarshalVT()
	if err == nil {
		err = s.bus.Publish(topicView, b)
	}
	if err != nil {
		s.log.Debug("heartbeat of the view not sent", "error", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, one := range s.senders {
		if s.clock().Sub(one.heardAt) > forgetAfter {
			delete(s.senders, id)
		}
	}
}

// hear takes a delta or a heartbeat of another node. The content is noted before the number: whoever asks this node for everything is told
// numbers whose content is in the view.
func (s *Sharing) hear(data []byte) {
	d := &messages.ViewDelta{}
	if err := d.UnmarshalVTUnsafe(data); err != nil { // the bus gives data away: it does not change any more
		s.log.Warn("news of another node cannot be read", "error", err)
		return
	}
	if d.From == s.self {
		return
	}
	full := len(d.Stock)+len(d.Sites) > 0
	if full {
		s.stats.Heard.Add(1)
		s.apply(d)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.senders[d.From]
	if one == nil {
		one = &sender{}
		s.senders[strings.Clone(d.From)] = one
	}
	one.heardAt = s.clock()
	one.heard(d.Number, full)
	if one.behind() {
		s.nudge()
	}
	if one.known && one.seen >= d.Number {
		s.cover(d)
	}
}

func (s *Sharing) cover(d *messages.ViewDelta) {
	for _, p := range d.Covered {
		s.know.coverage.note(int(p), false)
	}
}

func (s *Sharing) apply(d *messages.ViewDelta) {
	for _, l := range d.Stock {
		s.know.noteStock(l.Sku, l.Site, l.Atp, l.Version, false)
	}
	for _, b := range d.Sites {
		v := &messages.SiteView{}
		if err := v.UnmarshalVT(b); err != nil {
			s.log.Warn("a site of another node cannot be read", "from", d.From, "error", err)
			continue
		}
		s.know.noteSite(v, false)
	}
}

func (s *Sharing) nudge() {
	select {
	case s.heal <- struct{}{}:
	default:
	}
}

// serve answers with everything this node knows, and then how far it has heard whom. The numbers are read first: the view holds at least
// what they promise.
func (s *Sharing) serve(_ context.Context, _ []byte, send func([]byte) error) error {
	s.stats.Served.Add(1)
	positions := s.positions()
	w := &deltas{from: s.self, send: func(d *messages.ViewDelta) error {
		b, err := d.MarshalVT()
		if err != nil {
			return fmt.Errorf("encode the view: %w", err)
		}
		return send(b)
	}}
	var err error
	s.know.view.skus.Range(func(_, value any) bool {
		err = w.stock(value.(*skuStock), false)
		return err == nil
	})
	if err == nil {
		err = w.write(nil, false, func(yield func(*messages.SiteView) bool) {
			for _, v := range s.know.view.siteViews() {
				if !yield(v) {
					return
				}
			}
		})
	}
	for i, p := range positions {
		if err != nil {
			break
		}
		p.Last = i == len(positions)-1
		err = w.send(p)
	}
	return err
}

// positions gives, for every sender of whom nothing is missing, the number up to which that is so; this node among them.
func (s *Sharing) positions() []*messages.ViewDelta {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []*messages.ViewDelta{{From: s.self, Number: s.number.Load(), Covered: s.know.coverage.all()}}
	for _, id := range slices.Sorted(maps.Keys(s.senders)) {
		if one := s.senders[id]; one.known {
			list = append(list, &messages.ViewDelta{From: id, Number: one.seen})
		}
	}
	return list
}

var (
	errNoEnd = errors.New("the snapshot has no end")
	errStuck = fmt.Errorf("no part of the snapshot came for %s", stuckFor)
)

// fetch notes everything another node knows. It returns when that is done, or with an error when it was not everything; what came is
// noted in any case. One fetch runs at a time.
func (s *Sharing) fetch(ctx context.Context, from string) error {
	s.fetching.Lock()
	defer s.fetching.Unlock()
	ctx, end := context.WithTimeout(ctx, fetchMax)
	defer end()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stuck := time.AfterFunc(stuckFor, func() { cancel(errStuck) })
	defer stuck.Stop()
	var positions []*messages.ViewDelta
	last := false
	err := s.bus.Ask(ctx, from, topicView, nil, func(part []byte) error {
		stuck.Reset(stuckFor)
		d := &messages.ViewDelta{}
		if err := d.UnmarshalVT(part); err != nil {
			return fmt.Errorf("read a snapshot: %w", err)
		}
		if len(d.Stock)+len(d.Sites) > 0 {
			s.apply(d)
		} else {
			positions = append(positions, d)
		}
		last = last || d.Last
		return nil
	})
	if err == nil && !last {
		err = errNoEnd
	}
	if err != nil {
		s.stats.FetchFail.Add(1)
		return err
	}
	s.stats.Fetched.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range positions {
		s.cover(p)
		if p.From == s.self {
			continue
		}
		one := s.senders[p.From]
		if one == nil {
			one = &sender{heardAt: s.clock()}
			s.senders[p.From] = one
		}
		one.learned(p.Number)
	}
	return nil
}

// Sync fetches what the cluster knows from one of the living members, the first who gives it; with none there is nothing to know. A node
// that joins calls it before it serves, so that its doors and planners know stock and sites. Until it has been called nobody is asked for
// what was missed. It fails when a member that lives did not give everything and no other did, or at the end of ctx; it may be called
// again.
func (s *Sharing) Sync(ctx context.Context, members []string) error {
	defer func() {
		s.mu.Lock()
		s.synced = true
		s.mu.Unlock()
		s.nudge()
	}()
	var errs []error
	for _, member := range members {
		if member == s.self {
			continue
		}
		err := s.fetch(ctx, member)
		if err == nil {
			return nil
		}
		s.log.Warn("the view cannot be fetched from a member", "member", member, "error", err)
		if !errors.Is(err, bus.ErrNobody) { // else it has just ended; should it live, its next heartbeat says that something is missing
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("fetch the view: %w", err)
	}
	return nil
}
