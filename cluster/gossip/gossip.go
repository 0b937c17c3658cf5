package gossip

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	protocluster "github.com/asynkron/protoactor-go/cluster"
	"github.com/hashicorp/memberlist"

	"orderyard/cluster"
	"orderyard/cluster/link"
)

// Options are what a node needs to be found and to find others. Incarnation, Bind, RemoteBind and Map are required.
type Options struct {
	Incarnation string // of this process: the member's name, never used twice
	Node        string // the operator's name, for people

	Bind, Advertise             string // host:port of gossip, TCP and UDP; Advertise defaults to Bind
	RemoteBind, RemoteAdvertise string // host:port of the actor remote
	Seeds                       []string
	Key                         []byte      // 16, 24 or 32 bytes; nil = gossip is not encrypted
	TLS                         *tls.Config // of the remote, for both ends; nil = plain
	AllowPlain                  bool        // consent to plain off loopback

	Map       func() *cluster.Map      // never nil
	OnSuspect func(incarnation string) // a hint that a member died or left; must not block. Nil = nobody cares
	Log       *slog.Logger
}

const (
	rejoinEvery   = 5 * time.Second
	joinWithin    = 2 * time.Second        // one address
	settleFor     = 20 * time.Millisecond  // gathers changes of the topology
	lookEvery     = time.Second            // at the map, whose changes do not ring here
	leaveWithin   = 500 * time.Millisecond // telling the others
	addressesMax  = 256                    // remembered to join again
	clusterName   = "orderyard"
	noGossipEvery = 24 * time.Hour // protoactor's own gossip is off; zero would panic its ticker
)

// Gossip is a process's part. Methods may be called concurrently after Start.
type Gossip struct {
	o      Options
	log    *slog.Logger
	system *actor.ActorSystem
	wire   *link.Remote
	proto  *protocluster.Cluster
	list   *memberlist.Memberlist
	addr   string // of gossip, as others use it
	remote string

	mu    sync.Mutex
	alive map[string]*meta // by incarnation, as memberlist sees it
	known []string         // addresses that were alive once, newest last

	kick    chan struct{}
	done    chan struct{}
	work    sync.WaitGroup
	started atomic.Bool
	left    sync.Once
}

// New checks the addresses and makes the actor system; nothing is sent yet. Open the links over Wire before Start.
func New(o Options) (*Gossip, error) {
	if o.Incarnation == "" || o.Bind == "" || o.RemoteBind == "" || o.Map == nil {
		return nil, errors.New("gossip: incarnation, addresses and map must be given")
	}
	if o.OnSuspect == nil {
		o.OnSuspect = func(string) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Advertise == "" {
		o.Advertise = o.Bind
	}
	if o.RemoteAdvertise == "" {
		o.RemoteAdvertise = o.RemoteBind
	}
	for _, a := range []struct{ what, addr string }{
		{"cluster.bind", o.Bind}, {"cluster.advertise", o.Advertise}, {"cluster.remote.bind", o.RemoteBind}, {"cluster.remote.advertise", o.RemoteAdvertise},
	} {
		if _, _, err := split(a.addr); err != nil {
			return nil, fmt.Errorf("gossip: %s: %w", a.what, err)
		}
	}
	if err := o.plainAllowed(); err != nil {
		return nil, err
	}
	g := &Gossip{
		o: o, log: o.Log, addr: o.Advertise, remote: o.RemoteAdvertise, alive: make(map[string]*meta),
		kick: make(chan struct{}, 1), done: make(chan struct{}),
	}
	quiet := slog.New(warnOnly{o.Log.Handler()})
	g.system = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }),
		actor.WithDeadLetterRequestLogging(false), actor.WithDeadLetterThrottleCount(1))
	g.system.ID = o.Incarnation // protoactor compares it with the member's id
	g.wire = link.NewRemote(g.system, o.Log)
	return g, nil
}

// plainAllowed refuses to send requests readable over a network without consent.
func (o *Options) plainAllowed() error {
	for _, a := range []struct {
		what, addr string
		safe       bool
	}{{"cluster.bind", o.Bind, o.Key != nil}, {"cluster.remote.bind", o.RemoteBind, o.TLS != nil}} {
		host, _, _ := split(a.addr)
		if ip := net.ParseIP(host); !a.safe && !o.AllowPlain && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return fmt.Errorf("gossip: %s is %s, which is not loopback, and what it sends is not encrypted", a.what, a.addr)
		}
	}
	return nil
}

// Start listens, joins the seeds that can be reached and begins to feed protoactor's cluster. Seeds that cannot be reached are tried
// again: a first node has nobody to reach. It takes a second, which protoactor sleeps.
func (g *Gossip) Start(ctx context.Context) error {
	for _, a := range []struct{ what, addr string }{{"cluster.bind", g.o.Bind}, {"cluster.remote.bind", g.o.RemoteBind}} {
		l, err := net.Listen("tcp", a.addr) // the libraries' own way to say that it is taken is a panic
		if err != nil {
			return fmt.Errorf("gossip: %s: %w", a.what, err)
		}
		l.Close()
	}
	p := &provider{g: g}
	config := protocluster.Configure(clusterName, p, &lookup{g: g}, g.remoteConfig())
	config.GossipInterval = noGossipEvery
	g.proto = protocluster.New(g.system, config)
	if err := g.begin(); err != nil {
		return err
	}
	if p.err != nil {
		g.proto.Remote.Shutdown(false)
		return p.err
	}
	g.started.Store(true)
	g.join(ctx, g.o.Seeds)
	g.work.Go(g.feed)
	g.work.Go(g.rejoin)
	return nil
}

// begin starts protoactor's member, which speaks by panics.
func (g *Gossip) begin() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("gossip: start the remote: %v", r)
		}
	}()
	g.proto.StartMember()
	return nil
}

// Wire is the direct way between nodes.
func (g *Gossip) Wire() *link.Remote { return g.wire }

// Addr and RemoteAddr are where others reach this process.
func (g *Gossip) Addr() string       { return g.addr }
func (g *Gossip) RemoteAddr() string { return g.remote }

// Members lists the incarnations that gossip sees alive, this one included, sorted.
func (g *Gossip) Members() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := make([]string, 0, len(g.alive))
	for id := range g.alive {
		list = append(list, id)
	}
	slices.Sort(list)
	return list
}

// Leave tells the others, stops gossip and the remote. Leaving again does nothing. What is still to be sent should have been flushed.
func (g *Gossip) Leave(ctx context.Context) error {
	var err error
	g.left.Do(func() {
		if !g.started.Load() {
			return
		}
		close(g.done)
		g.work.Wait()
		within := leaveWithin
		if deadline, ok := ctx.Deadline(); ok {
			within = max(min(within, time.Until(deadline)), time.Millisecond)
		}
		err = errors.Join(g.list.Leave(within), g.list.Shutdown())
		g.proto.Remote.Shutdown(false) // gracefully it would wait ten seconds for streams that nobody closes
		g.system.Shutdown()
	})
	if err != nil {
		return fmt.Errorf("leave gossip: %w", err)
	}
	return nil
}

func split(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return "", 0, fmt.Errorf("%q: the port must be 1 to 65535", addr)
	}
	return host, port, nil
}
