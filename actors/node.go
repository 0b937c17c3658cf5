package actors

import (
	"context"
	"fmt"
	"time"

	"orderyard/actors/entity"
	"orderyard/cluster"
	"orderyard/messages"
	"orderyard/persistence"
	"orderyard/routing"
)

// Options configures a node; Store and Partitions are required.
type Options struct {
	Name        string
	Incarnation string
	Partitions  int
	Store       persistence.Store
	Limits      entity.Limits
	Rules       *routing.Rules // nil = routing.DefaultRules()
	Clock       func() int64   // Unix ms; nil = the machine's clock
	RememberMs  int64          // of answers at buckets and sites; 0 = RememberForMs
	Floor       func(partition int) uint64
	HighWater   func(ctx context.Context, partition int) (uint64, error)
	Cluster     *Cluster // nil = the node is alone and runs every partition
}

// Cluster connects a node with the others. All functions may be called concurrently and must not block.
type Cluster struct {
	Route   func(messages.Request)                   // carries a request to whatever node owns its entity, this one included
	Lease   func(partition int) bool                 // see entity.Options
	Changed func(partition int, phase cluster.Phase) // told every change of a partition's phase here
}

// Send implements entity.Router.
func (c *Cluster) Send(req messages.Request) { c.Route(req) }

// Node runs entities and knows what they made public. All methods may be called concurrently.
type Node struct {
	*Knowledge
	runtime *entity.Runtime
	route   func(messages.Request)
	done    chan struct{}
}

// offerEvery is how often stock is compared with those who wait for it.
const offerEvery = 500 * time.Millisecond

// Start starts a node. Its partitions recover in the background; WaitReady tells when they serve.
func Start(o Options) (*Node, error) {
	if o.Clock == nil {
		o.Clock = func() int64 { return time.Now().UnixMilli() }
	}
	if o.RememberMs == 0 {
		o.RememberMs = RememberForMs
	}
	n := &Node{done: make(chan struct{})}
	started := make(chan struct{})
	n.Knowledge = NewKnowledge(o.Rules, o.Clock, func(req messages.Request) {
		<-started // partitions may be read back before entity.Start has returned
		n.route(req)
	})
	n.SplitBy(o.Partitions)
	if o.Cluster == nil {
		n.partial = func() bool {
			select {
			case <-started:
				return !n.Ready()
			default:
				return true
			}
		}
	}
	options := entity.RuntimeOptions{
		Node: o.Name, Incarnation: o.Incarnation, Partitions: o.Partitions, Kinds: Kinds(o.Clock, o.RememberMs, n.Answer), Limits: o.Limits, Store: o.Store,
		Planner: n.Answer, Observer: n, Clock: o.Clock, Floor: o.Floor, HighWater: o.HighWater,
	}
	if c := o.Cluster; c != nil {
		n.route = c.Route
		options.Cluster = &entity.ClusterOptions{Router: c, Lease: c.Lease, Changed: func(partition int, phase cluster.Phase) {
			n.changed(partition, phase)
			c.Changed(partition, phase)
		}}
	}
	runtime, err := entity.Start(options)
	if err != nil {
		return nil, err
	}
	if n.route == nil {
		n.route = runtime.Send
	}
	n.runtime = runtime
	close(started)
	go n.offer()
	return n, nil
}

// changed keeps the rows of orders where their partition is: one that left takes them with it.
func (n *Node) changed(partition int, phase cluster.Phase) {
	switch phase {
	case cluster.PhaseOpening:
		n.Remember(partition)
	case cluster.PhaseServing:
		n.Cover(partition)
	case cluster.PhaseClosed, cluster.PhaseIdle:
		n.Forget(partition)
	}
}

// Runtime gives the runtime, for its feeds and counters.
func (n *Node) Runtime() *entity.Runtime { return n.runtime }

// WaitReady returns when every partition serves.
func (n *Node) WaitReady(ctx context.Context) error { return n.runtime.WaitReady(ctx) }

// Ready says whether the node answers.
func (n *Node) Ready() bool { return n.runtime.Ready() }

// Stop drains the node; see entity.Runtime.Stop.
func (n *Node) Stop(ctx context.Context) error {
	close(n.done)
	return n.runtime.Stop(ctx)
}

// Kill ends the node without a word, for tests.
func (n *Node) Kill() {
	close(n.done)
	n.runtime.Kill()
}

// Send passes a client's request on; Done gets the answer exactly once.
func (n *Node) Send(req messages.Request) {
	if err := checkRef(req.To); err != nil {
		req.Done(messages.Refuse(messages.Invalid("", "%v", err)))
		return
	}
	n.route(req)
}

// Ask sends a request and waits for the answer or the end of ctx; then the outcome is unknown and asking again with the same command
// id is safe.
func (n *Node) Ask(ctx context.Context, req messages.Request) (*messages.Reply, error) {
	answer := make(chan *messages.Reply, 1)
	req.Done = func(reply *messages.Reply) { answer <- reply }
	if deadline, ok := ctx.Deadline(); ok && req.Deadline == 0 {
		req.Deadline = n.clock() + time.Until(deadline).Milliseconds()
	}
	n.Send(req)
	select {
	case reply := <-answer:
		return reply, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("ask %s: %w", req.To, ctx.Err())
	}
}

func (n *Node) offer() {
	timer := time.NewTimer(offerEvery)
	defer timer.Stop()
	for {
		select {
		case <-n.done:
			return
		case <-timer.C:
			timer.Reset(n.OfferStock())
		}
	}
}
