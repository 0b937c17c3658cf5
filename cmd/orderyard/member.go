package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"orderyard/actors"
	"orderyard/cluster"
	"orderyard/cluster/bus"
	"orderyard/cluster/clock"
	"orderyard/cluster/gossip"
	"orderyard/cluster/link"
	"orderyard/cluster/registry"
	"orderyard/configs"
	"orderyard/gateway/control"
	"orderyard/gateway/egress"
	"orderyard/messages"
)

// member is a yard's part in a cluster.
type member struct {
	y           *yard
	incarnation string
	peers       *nats.Conn // of bus and registry: a busy door or journal must not hold up a ping
	bus         *bus.Bus
	registry    *registry.Registry
	gossip      *gossip.Gossip
	links       *link.Links
	keeper      atomic.Pointer[cluster.Keeper]
	sharing     *actors.Sharing
	listing     *actors.Listing
	control     *control.Control
	egress      atomic.Pointer[egress.Egress]
	route       atomic.Pointer[link.Router]
	draining    atomic.Bool
	drainHeard  atomic.Bool // a drain that somebody asked for is under way
	clock       *clock.Clock
	stopClock   func()
}

const (
	settleWithin = time.Minute      // for the first partitions to be served
	settleStill  = 10 * time.Second // without any that came; a damaged one never does, and an owner may have to be found dead first
	learnAgain   = 200 * time.Millisecond
	settlePoll   = 10 * time.Millisecond
	askWithin    = 2 * time.Second // one peer
	wordDrain    = "drain"
)

// openMember starts a node that shares the partitions with others, and returns when it answers.
func openMember(ctx context.Context, cfg configs.Config, log *slog.Logger) (*yard, error) {
	y := newYard(cfg, log)
	y.member = &member{y: y, incarnation: nuid.Next(), clock: clock.New(clock.Options{Log: log})}
	return open(ctx, y, y.member.start)
}

// start joins. The order matters: ears first, then the runtime, then membership, then knowledge; only who knows stock and sites may own
// partitions.
func (m *member) start(ctx context.Context) error {
	y := m.y
	y.doing(m.joining)
	partitions, err := y.storedPartitions(ctx)
	if err != nil {
		return err
	}
	if err := m.reachArbiter(ctx, partitions); err != nil {
		return err
	}
	cursors := &cursors{store: y.store}
	if err := y.startNode(ctx, cursors, m.incarnation, &actors.Cluster{Route: m.send, Lease: m.lease, Changed: m.changed}); err != nil {
		return err
	}
	if m.sharing, err = actors.Share(y.node.Knowledge, m.bus, m.incarnation, m.lease, y.log); err != nil {
		return err
	}
	if m.listing, err = actors.NewListing(y.node.Knowledge, m.bus, m.others); err != nil {
		return err
	}
	if err := y.setupStreams(ctx); err != nil {
		return err
	}
	if err := y.startEgress(cursors); err != nil {
		return err
	}
	m.egress.Store(y.egress)
	if err := m.join(ctx, partitions); err != nil {
		return err
	}
	if err := m.bus.Serve(wordDrain, m.heardDrain); err != nil {
		return err
	}
	keeper := m.keeper.Load()
	if err := m.learn(ctx); err != nil {
		return err
	}
	keeper.SetReady(true)
	return m.settle(ctx)
}

// reachArbiter opens what lies in NATS.
func (m *member) reachArbiter(ctx context.Context, partitions int) error {
	y := m.y
	var err error
	if m.peers, err = y.connect(nats.Name("orderyard member " + y.cfg.Node.Name)); err != nil {
		return err
	}
	if m.bus, err = bus.Open(m.peers, m.incarnation); err != nil {
		return err
	}
	if err := m.bus.Serve(wordRules, m.heardRules); err != nil {
		return err
	}
	m.registry, err = registry.Open(ctx, m.peers, registry.Options{
		Partitions: partitions, TTL: y.cfg.Cluster.SessionTTL, Replicas: y.cfg.NATS.Replicas, Log: y.log,
	})
	if err != nil {
		return err
	}
	return m.keepTime(ctx)
}

// join makes this process a member: it listens to its peers, then shows itself.
func (m *member) join(ctx context.Context, partitions int) error {
	y, c := m.y, m.y.cfg.Cluster
	gossipAddr, remoteAddr, err := y.cfg.Advertised(ctx)
	if err != nil {
		return err
	}
	key, err := c.Key()
	if err != nil {
		return fmt.Errorf("cluster.gossip_key: %w", err)
	}
	secure, err := c.Remote.TLS.Load()
	if err != nil {
		return fmt.Errorf("cluster.remote.tls: %w", err)
	}
	limits := link.DefaultLimits()
	limits.CallsMax, limits.TasksMax = y.cfg.Limits.CallsMax, y.cfg.Limits.TasksMax
	links := link.Options{
		Self: m.incarnation, Map: m.current, Deliver: y.node.Runtime().Send, Suspect: m.suspect, Detour: m.bus, Limits: limits, Log: y.log,
		Clock: y.nowMs,
	}
	var keys [][]byte
	if key != nil {
		keys = [][]byte{key}
	}
	m.gossip, err = gossip.Join(ctx, gossip.Options{
		Node: y.cfg.Node.Name, Incarnation: m.incarnation,
		Bind: c.Remote.Bind, Advertise: remoteAddr, GossipBind: c.Bind, GossipAdvertise: gossipAddr, Seeds: c.Seeds,
		Keys: keys, TLS: secure, AllowPlain: c.Plain,
		Map: m.current, Suspect: m.suspect, Attach: link.Attacher(links, func(l *link.Links) { m.links = l }), Log: y.log,
	})
	if err != nil {
		return err
	}
	m.route.Store(m.links.Router())
	keeper, err := cluster.New(cluster.Options{
		Session: &messages.NodeSession{
			Node: y.cfg.Node.Name, Incarnation: m.incarnation, RemoteAddr: m.gossip.Addr(), GossipAddr: m.gossip.GossipAddr(),
			Weight: uint32(y.cfg.Node.Weight), StartedAtMs: y.nowMs(), Version: version(), Protocol: messages.LinkProtocol,
		},
		Registry: m.registry, Bus: m.bus, Host: y.node.Runtime(), Partitions: partitions,
		TTL: m.registry.TTL(), MovesMax: c.MovesMax, WarmWithin: c.WarmWithin, DrainWithin: c.DrainWithin, Log: y.log,
	})
	if err != nil {
		return err
	}
	if err := keeper.Start(ctx); err != nil {
		return err
	}
	m.keeper.Store(keeper)
	keeper.OnChange(m.links.Update)
	return nil
}

// learn asks the others for stock and sites until one has told everything.
func (m *member) learn(ctx context.Context) error {
	for {
		var known []string
		for _, peer := range m.others() {
			known = append(known, peer.Incarnation)
		}
		err := m.sharing.Sync(ctx, known)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("learn stock and sites from the other nodes: %w", err)
		}
		m.y.log.Warn("no other node has told stock and sites yet", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(learnAgain):
		}
	}
}

// learnSKUs asks every other member that may own a bucket.
func (m *member) learnSKUs(ctx context.Context, skus []string) (map[string]bool, error) {
	var members []string
	for _, peer := range m.others() {
		members = append(members, peer.Incarnation)
	}
	return m.sharing.Learn(ctx, skus, members)
}

// others lists the other members that know stock and sites, and may own partitions.
func (m *member) others() []actors.Peer {
	var list []actors.Peer
	for _, s := range m.current().Members {
		if s.Ready && s.Incarnation != m.incarnation {
			list = append(list, actors.Peer{Incarnation: s.Incarnation, Node: s.Node})
		}
	}
	return list
}

// settle returns when every partition has a living owner, those that are ours are served and the stock of all is known. A partition whose
// journal is damaged never is: once nothing else is missing, or nothing of ours is being read back any more and nothing else has come for a
// while, the node opens its doors for the others and says so.
func (m *member) settle(ctx context.Context) error {
	began := time.Now()
	came, least := began, math.MaxInt
	for {
		missing, opening, refused, why := m.unsettled()
		if why == nil {
			return nil
		}
		now := time.Now()
		if missing < least || opening > 0 {
			came, least = now, missing
		}
		if missing == refused || now.Sub(came) > settleStill || now.Sub(began) > settleWithin {
			m.y.log.Error("the node opens its doors although not everything is served", "because", why)
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("join the cluster: %w (%w)", why, ctx.Err())
		case <-time.After(settlePoll):
		}
	}
}

// unsettled says how much is missing before this node can answer for everything; of it, what is being read back here and what is refused here;
// nil = nothing.
func (m *member) unsettled() (missing, opening, refused int, why error) {
	now, runtime := m.current(), m.y.node.Runtime()
	for p := range now.Owners {
		owner := now.Owner(p)
		if owner == nil {
			missing++
			continue
		}
		if phase, _ := runtime.Local(p); owner.Incarnation == m.incarnation && phase != cluster.PhaseServing {
			missing++
			opening++
		}
	}
	damaged := runtime.Refused()
	refused = len(damaged)
	opening -= refused
	unknown := m.y.node.Uncovered()
	switch {
	case refused > 0:
		why = errors.New(refusedNote(damaged))
	case missing > 0:
		why = fmt.Errorf("%d of %d partitions are not served", missing, len(now.Owners))
	case unknown > 0:
		why = fmt.Errorf("the stock of %d partitions is not known here yet", unknown)
	}
	return max(missing, unknown), opening, refused, why // what is not served cannot be known
}

// joining is what the probe shows before the doors open.
func (m *member) joining() string {
	const what = "joining the cluster"
	if m.keeper.Load() == nil { // until then there is neither a node nor a map to look at
		return what
	}
	if _, _, _, why := m.unsettled(); why != nil {
		return what + ": " + why.Error()
	}
	return what + ": the doors are about to open"
}

// readiness is what the probe shows then. A partition on its way between others is no reason to send nobody here.
func (m *member) readiness() error {
	switch k := m.keeper.Load(); {
	case k == nil:
		return errors.New("joining the cluster")
	case m.draining.Load():
		return errors.New("draining: partitions are being given away")
	case !k.Lease():
		return errors.New("cut off: NATS has not confirmed this node's session lately")
	}
	return nil
}

// Before the keeper is there the node is alone on its map and owns nothing.
func (m *member) current() *cluster.Map {
	if k := m.keeper.Load(); k != nil {
		return k.Map()
	}
	return &cluster.Map{Self: m.incarnation, Owners: make([]cluster.OwnerAt, m.y.cfg.Partitions)}
}

func (m *member) leased() bool {
	k := m.keeper.Load()
	return k != nil && k.Lease()
}

func (m *member) lease(partition int) bool {
	k := m.keeper.Load()
	return k != nil && k.Sure(partition)
}

func (m *member) suspect(incarnation string) {
	if k := m.keeper.Load(); k != nil {
		k.Suspect(incarnation)
	}
}

// send carries a request to its owner, wherever that is.
func (m *member) send(req messages.Request) {
	if r := m.route.Load(); r != nil {
		r.Send(req)
		return
	}
	if req.Done != nil {
		req.Done(messages.Refuse(messages.Retry(messages.CodeUnavailable, 100, "the node is joining the cluster")))
	}
}

// changed is told by the runtime how a partition stands.
func (m *member) changed(partition int, phase cluster.Phase) {
	if e := m.egress.Load(); e != nil {
		if phase == cluster.PhaseServing {
			e.Serve(partition)
		} else {
			e.Release(partition)
		}
	}
	if k := m.keeper.Load(); k != nil {
		k.Nudge()
	}
}

// drain gives every partition away and says so to the probes. It may be called again and waits for the same end.
func (m *member) drain(ctx context.Context) error {
	m.draining.Store(true)
	return m.keeper.Load().Drain(ctx)
}

func (m *member) heardDrain(context.Context, []byte, func([]byte) error) error {
	if !m.drainHeard.CompareAndSwap(false, true) {
		return nil // one is enough
	}
	m.y.log.Info("told to drain")
	go func() {
		defer m.drainHeard.Store(false)
		ctx, cancel := context.WithTimeout(context.Background(), m.y.cfg.Cluster.DrainWithin)
		defer cancel()
		if err := m.drain(ctx); err != nil {
			m.y.log.Warn("draining goes on", "error", err)
		}
	}()
	return nil
}

// leave gives the partitions away while the node still answers its peers. What cannot be given away in time is found by the others when
// the session ends.
func (m *member) leave(ctx context.Context) error {
	if m.keeper.Load() == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, m.y.cfg.Cluster.DrainWithin)
	defer cancel()
	err := m.drain(ctx)
	return errors.Join(err, m.links.Flush(ctx))
}

// close ends the membership once the runtime has stopped.
func (m *member) close(ctx context.Context) error {
	var errs []error
	if m.stopClock != nil {
		m.stopClock()
	}
	if k := m.keeper.Load(); k != nil {
		errs = append(errs, k.Stop(ctx))
	}
	if m.sharing != nil {
		m.sharing.Stop()
	}
	if m.links != nil {
		m.links.Close()
	}
	if m.gossip != nil {
		if err := m.gossip.Shutdown(); err != nil {
			m.y.log.Debug("good-bye not said to everybody", "error", err) // the session's end says it too
		}
	}
	if m.registry != nil {
		m.registry.Close()
	}
	if m.bus != nil {
		m.bus.Close()
	}
	if m.peers != nil {
		m.peers.Close()
	}
	return errors.Join(errs...)
}
