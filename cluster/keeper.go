package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"orderyard/messages"
)

// Options are what a Keeper works with. Session, Registry, Bus, Host and Partitions are required.
type Options struct {
	Session    *messages.NodeSession // who this process is; Ready and Draining are the Keeper's from here on
	Registry   Registry
	Bus        Bus
	Host       Host
	Partitions int // of the store

	TTL         time.Duration // of a session, as the registry has it; default TTLDefault
	Grace       time.Duration // after (re)connecting, before anybody is declared dead; default GraceDefault, negative = none
	MovesMax    int           // partitions handed over at a time; default MovesMaxDefault
	WarmWithin  time.Duration // default WarmWithinDefault
	DrainWithin time.Duration // default DrainWithinDefault

	Log   *slog.Logger
	Clock func() time.Duration // never goes back and ignores the wall clock; nil = the machine's
}

// Keeper keeps this process's place in the cluster: it renews the session, finds out who lives, decides by Decide which partitions this node
// claims, opens, offers and gives up, and has that done. One goroutine decides; it never waits for the network. All methods
// may be called concurrently.
type Keeper struct {
	o       Options
	log     *slog.Logger
	clock   func() time.Duration
	current atomic.Pointer[Map]
	lease   lease
	kept    []atomic.Bool // the spots' Sure, for everybody to see
	news    news

	wake   chan struct{}
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan struct{}  // the loop has
	work   sync.WaitGroup // goroutines that wait for the network
	hands  Hands

	mu      sync.Mutex
	inbox   inbox
	hinted  map[string]time.Duration // when each process was last hinted at
	ready   bool
	drain   *drain
	started bool
	stopped bool

	// The loop's own.
	roster  *roster
	session *messages.NodeSession
	renewal renewal
	spots   []Spot
	held    []time.Duration // no change of the record before then: the last one failed
	records []uint64        // revisions seen last
	given   []uint64        // revisions that this node released, or tried to
	writing int
	telling map[string]bool
	told    tally
	known   atomic.Pointer[known]
}

type hint struct {
	incarnation, why string
	proven           bool // by another member
}

// inbox is what came in since the last step.
type inbox struct {
	hints  []hint
	warm   []warmNotice
	pings  []pingOutcome
	writes []writeOutcome
	puts   []putOutcome
	tells  []string
	fresh  *refreshOutcome
}

// New makes a Keeper that does nothing yet.
func New(o Options) (*Keeper, error) {
	switch {
	case o.Session == nil || o.Registry == nil || o.Bus == nil || o.Host == nil:
		return nil, errors.New("keep a node: session, registry, bus and host are required")
	case o.Partitions < 1 || o.Partitions > PartitionsMax:
		return nil, fmt.Errorf("keep a node: partitions must be 1 to %d, not %d", PartitionsMax, o.Partitions)
	}
	if err := messages.CheckToken(o.Session.Incarnation); err != nil {
		return nil, fmt.Errorf("keep a node: the incarnation %w", err)
	}
	o.TTL = max(orDefault(o.TTL, TTLDefault), TTLMin)
	o.Grace = max(orDefault(o.Grace, GraceDefault), 0)
	o.MovesMax = max(orDefault(o.MovesMax, MovesMaxDefault), 1)
	o.WarmWithin = orDefault(o.WarmWithin, WarmWithinDefault)
	o.DrainWithin = orDefault(o.DrainWithin, DrainWithinDefault)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		start := time.Now()
		o.Clock = func() time.Duration { return time.Since(start) }
	}
	k := &Keeper{
		o: o, log: o.Log, clock: o.Clock, wake: make(chan struct{}, 1), ended: make(chan struct{}),
		roster: newRoster(o.Session, o.Grace), session: proto.Clone(o.Session).(*messages.NodeSession),
		ready: o.Session.Ready,
		kept:  make([]atomic.Bool, o.Partitions),
		spots: make([]Spot, o.Partitions), held: make([]time.Duration, o.Partitions), records: make([]uint64, o.Partitions),
		given:   make([]uint64, o.Partitions),
		telling: make(map[string]bool), hinted: make(map[string]time.Duration),
	}
	k.session.Draining = false
	k.ctx, k.cancel = context.WithCancel(context.Background())
	k.lease.init(o.TTL * leasePercent / 100)
	k.hands = k.ownHands()
	k.current.Store(&Map{Self: o.Session.Incarnation, Members: []*messages.NodeSession{k.session}, Owners: make([]OwnerAt, o.Partitions)})
	k.known.Store(&known{})
	k.news.init()
	return k, nil
}

func orDefault[T ~int | ~int64](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// Start joins: it stores the session, takes in who is there and begins to keep. When it returns, Map is complete. It is called once; after an
// error the Keeper is of no use.
func (k *Keeper) Start(ctx context.Context) error {
	k.mu.Lock()
	again := k.started || k.stopped
	k.started = true
	k.mu.Unlock()
	if again {
		return errors.New("start the keeper: it was started before")
	}
	if err := k.join(ctx); err != nil {
		k.never()
		return fmt.Errorf("start the keeper: %w", err)
	}
	k.o.Registry.OnChange(k.poke)
	wait := k.step()
	go k.news.run()
	go k.run(wait)
	return nil
}

// join opens the ears and stores the session.
func (k *Keeper) join(ctx context.Context) error {
	if err := errors.Join(k.o.Bus.Serve(wordWarm, k.hearWarm), k.o.Bus.Serve(wordDead, k.hearDead)); err != nil {
		return err
	}
	sent := k.clock()
	if err := k.o.Registry.PutSession(ctx, k.session); err != nil {
		return err
	}
	k.lease.renewed(sent, k.clock)
	k.renewal.begun(sent, k.session)
	return nil
}

// never ends what did not begin, so that Stop need not know.
func (k *Keeper) never() {
	close(k.ended)
	close(k.news.ended)
}

// Map is the newest picture of the cluster; never nil, never changed.
func (k *Keeper) Map() *Map { return k.current.Load() }

// OnChange has fn called with every new Map, one after the other, by a goroutine of the Keeper's. While fn runs newer ones replace each
// other: fn sees the newest, not each. It is called with the present one first.
func (k *Keeper) OnChange(fn func(*Map)) { k.news.add(fn, k.Map()) }

// Lease says whether this process has lately reached the arbiter, and has seen since then who owns what. False = others may have taken
// its partitions: do not answer reads. Writes need no lease, the journal fences them.
func (k *Keeper) Lease() bool {
	_, up := k.o.Registry.Connection()
	return up && k.lease.holds(k.clock())
}

// Sure says whether this process can be sure that a partition is still its own: Lease holds, and it has written the record since the lease last
// broke. Without the second, another member that had proven it dead before it came back might claim the partition a moment after the records were
// read afresh; that claim fails now, because the record is another. Ask it before a read that rests on memory alone.
func (k *Keeper) Sure(partition int) bool { // The lease is looked at first: one that became whole again after a break finds the partition not kept.
	return k.Lease() && k.kept[partition].Load()
}

// sure notes whether the record of a partition was written since the lease last broke.
func (k *Keeper) sure(partition int, is bool) {
	k.spots[partition].Sure = is
	k.kept[partition].Store(is)
}

// Suspect is a hint that a process may be dead: it is pinged at once. One that answers lives; hints about who is not known do nothing, nor
// does the same hint again within a moment, so that every failed call may give one.
func (k *Keeper) Suspect(incarnation string) {
	k.hint(hint{incarnation: incarnation, why: "it cannot be reached"})
}

func (k *Keeper) hint(h hint) {
	now := k.clock()
	k.mu.Lock()
	last, again := k.hinted[h.incarnation]
	if again = again && now-last < hintApart && !h.proven; !again {
		if len(k.hinted) >= MembersMax {
			clear(k.hinted)
		}
		k.hinted[h.incarnation] = now
		if len(k.inbox.hints) < MembersMax { // else the loop is stuck
			k.inbox.hints = append(k.inbox.hints, h)
		}
	}
	k.mu.Unlock()
	if !again {
		k.poke()
	}
}

// Nudge says that the host's phases have changed.
func (k *Keeper) Nudge() { k.poke() }

// SetReady says whether this node may own partitions. One that is no longer ready gives its partitions away without hurry.
func (k *Keeper) SetReady(ready bool) {
	k.mu.Lock()
	k.ready = ready
	k.mu.Unlock()
	k.poke()
}

// Stop ends the membership: what is still open here is dropped, the session is taken away, and others see at once that this process has
// left. Drain first, else its partitions have no owner until the others have claimed them. When ctx ends before everything has, the session is left
// to lapse. Stopping again does nothing.
func (k *Keeper) Stop(ctx context.Context) error {
	k.mu.Lock()
	again, started := k.stopped, k.started
	k.stopped = true
	k.mu.Unlock()
	if again {
		return nil
	}
	k.cancel()
	if !started {
		return nil
	}
	if err := finish(ctx, k.ended); err != nil {
		return err
	}
	for p := range k.o.Partitions {
		if phase, _ := k.o.Host.Local(p); phase != PhaseIdle {
			k.o.Host.Drop(p)
		}
	}
	k.lease.end()
	k.news.close()
	quiet := make(chan struct{})
	go func() {
		k.work.Wait() // so that no renewal comes after the end
		close(quiet)
	}()
	if err := finish(ctx, quiet); err != nil {
		return err
	}
	if err := k.o.Registry.EndSession(ctx, k.o.Session.Incarnation); err != nil {
		return fmt.Errorf("stop the keeper: %w", err) // it lapses by itself
	}
	k.log.Info("left the cluster", "node", k.o.Session.Node, "incarnation", k.o.Session.Incarnation)
	return finish(ctx, k.news.ended)
}

// finish waits for the end of something.
func finish(ctx context.Context, ended <-chan struct{}) error {
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop the keeper: %w", context.Cause(ctx))
	}
}

// poke has the loop take a step soon.
func (k *Keeper) poke() { k.hands.Poke() }

// mail puts something into the inbox and pokes.
func (k *Keeper) mail(put func(in *inbox)) {
	k.mu.Lock()
	put(&k.inbox)
	k.mu.Unlock()
	k.poke()
}
