package gossip

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	protocluster "github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/remote"

	"orderyard/messages"
)

// off is how often protoactor's own gossip speaks: not while anybody watches. Zero would panic its ticker.
const off = 24 * time.Hour

// Gossip is this process's membership. All methods may be called concurrently.
type Gossip struct {
	o       *Options
	system  *actor.ActorSystem
	cluster *protocluster.Cluster
	members *members
	addr    string
	once    sync.Once
	err     error
}

// Join opens the door for requests, becomes a member and returns after about a second, which protoactor insists on. One seed that answers is
// enough; those that do not are logged and tried again for ever, so a process without any is a member of a cluster of one, until others
// come. An error says what is wrong with an address, a port, a key or the certificates; then nothing is left open.
func Join(ctx context.Context, o Options) (*Gossip, error) {
	g := &Gossip{o: &o}
	if err := g.join(ctx); err != nil {
		return nil, fmt.Errorf("join the cluster: %w", err)
	}
	return g, nil
}

func (g *Gossip) join(ctx context.Context) error {
	o := g.o
	if err := o.check(); err != nil {
		return err
	}
	requests, err := newDoor(ctx, "requests", o.Bind, o.Advertise)
	if err != nil {
		return err
	}
	talk, err := newDoor(ctx, "gossip", o.GossipBind, o.GossipAdvertise)
	if err != nil {
		return err
	}
	if err := o.consent(requests, talk); err != nil {
		return err
	}
	if err := requests.bound("requests"); err != nil {
		return err
	}
	g.addr = requests.addr()
	g.system = newSystem(o.Incarnation, o.Log)
	if err := o.Attach(g.system, g.addr); err != nil {
		return err
	}
	session := &messages.NodeSession{Node: o.Node, Incarnation: o.Incarnation, RemoteAddr: g.addr, Protocol: metaVersion}
	plug := &provider{stop: g.leave, start: func(c *protocluster.Cluster) (err error) {
		view := newTopology()
		change := func(list []member) { c.MemberList.UpdateClusterTopology(view.next(list, o.Map().Members)) }
		if g.members, err = newMembers(ctx, o, talk, session, change); err == nil {
			g.members.join(ctx)
		}
		return err
	}}
	cfg := protocluster.Configure(o.Cluster, plug, identities{o.Map}, remoteConfig(requests, o.TLS, o.Log))
	cfg.GossipInterval = off
	g.cluster = protocluster.New(g.system, cfg)
	if err := g.start(); err != nil {
		g.close()
		return err
	}
	return nil
}

// start starts protoactor, which panics when something is wrong.
func (g *Gossip) start() (err error) {
	defer func() {
		if r := recover(); r != nil {
			if e, ok := r.(error); ok {
				err = e
				return
			}
			err = fmt.Errorf("%v", r)
		}
	}()
	g.cluster.StartMember()
	return nil
}

// System is the actor system behind the door for requests.
func (g *Gossip) System() *actor.ActorSystem { return g.system }

// Cluster is protoactor's cluster. Its Shutdown is not to be called: use ours.
func (g *Gossip) Cluster() *protocluster.Cluster { return g.cluster }

// Addr is where other nodes send requests: the remote address of this node's session.
func (g *Gossip) Addr() string { return g.addr }

// GossipAddr is where other nodes find this one's gossip: the gossip address of its session.
func (g *Gossip) GossipAddr() string { return g.members.addr }

// Members lists who gossip believes to be there, this process included, by incarnation. Only incarnation, node and addresses are set.
func (g *Gossip) Members() []*messages.NodeSession {
	var list []*messages.NodeSession
	for _, m := range g.members.all() {
		list = append(list, &messages.NodeSession{
			Node: m.session.Node, Incarnation: m.session.Incarnation, RemoteAddr: m.session.RemoteAddr, GossipAddr: m.gossip,
		})
	}
	return list
}

// Shutdown says good-bye to the others and closes the door. It waits for the good-bye to get around, LeaveWithin at most. Again it
// repeats the first result.
func (g *Gossip) Shutdown() error {
	g.once.Do(func() { g.err = errors.Join(g.cluster.Config.ClusterProvider.Shutdown(true), g.close()) })
	return g.err
}

// Kill closes everything without a word, as kill -9 would: for tests.
func (g *Gossip) Kill() {
	g.once.Do(func() { g.err = errors.Join(g.cluster.Config.ClusterProvider.Shutdown(false), g.close()) })
}

func (g *Gossip) leave(graceful bool) error {
	switch {
	case g.members == nil:
		return nil
	case graceful:
		return g.members.leave(g.o.Limits.LeaveWithin)
	}
	return g.members.leave(0)
}

// close ends protoactor's part, also of a half-started one. Its own shutdown sleeps, closes twice and races.
func (g *Gossip) close() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("close the door for requests: %v", r)
		}
		g.system.Shutdown()
	}()
	err = g.leave(false)
	g.cluster.Gossip.Shutdown()
	// The writers to other nodes end when their stream is said to have ended.
	for _, m := range g.o.Map().Members {
		if m.RemoteAddr != g.addr {
			g.system.EventStream.Publish(&remote.EndpointTerminatedEvent{Address: m.RemoteAddr})
		}
	}
	if r := g.cluster.Remote; r != nil {
		r.Shutdown(false)
	}
	return err
}
