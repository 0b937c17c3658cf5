package actors

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"sync"
	"time"

	"orderyard/cluster/bus"
)

var _ Bus = (*bus.Bus)(nil)

// net is a bus in memory between nodes of one process, as bad as a test wants it.
type net struct {
	mu    sync.Mutex
	rand  *rand.Rand
	nodes map[string]*port
	bad   bool // loses, doubles and delays messages; breaks answers
}

func newNet(seed int64) *net {
	return &net{rand: rand.New(rand.NewSource(seed)), nodes: make(map[string]*port)}
}

// port is a node's end.
type port struct {
	net   *net
	self  string
	inbox chan func()
	hears map[string]func([]byte)
	serve map[string]func(context.Context, []byte, func([]byte) error) error
	mute  bool // its answers never come
	deaf  bool // what others publish does not reach it
	asked map[string]int
}

func (n *net) join(self string) *port {
	p := &port{
		net: n, self: self, inbox: make(chan func(), 1<<16), hears: make(map[string]func([]byte)), asked: make(map[string]int),
		serve: make(map[string]func(context.Context, []byte, func([]byte) error) error),
	}
	n.mu.Lock()
	n.nodes[self] = p
	n.mu.Unlock()
	go func() {
		for deliver := range p.inbox {
			deliver()
		}
	}()
	return p
}

// leave ends a node as kill -9 does.
func (n *net) leave(self string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.nodes[self].inbox)
	delete(n.nodes, self)
}

// setBad switches the faults.
func (n *net) setBad(bad bool) {
	n.mu.Lock()
	n.bad = bad
	n.mu.Unlock()
}

// set changes what a node's end suffers from.
func (p *port) set(deaf, mute bool) {
	p.net.mu.Lock()
	p.deaf, p.mute = deaf, mute
	p.net.mu.Unlock()
}

// chance says yes once in so many times, while the net is bad.
func (n *net) chance(in int) bool { return n.bad && n.rand.Intn(in) == 0 }

func (p *port) Subscribe(topic string, fn func([]byte)) error {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	p.hears[topic] = fn
	return nil
}

func (p *port) Serve(what string, fn func(context.Context, []byte, func([]byte) error) error) error {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	p.serve[what] = fn
	return nil
}

func (p *port) Publish(topic string, data []byte) error {
	n := p.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.nodes[p.self] != p {
		return errors.New("ended")
	}
	if n.chance(10) {
		return errors.New("not connected")
	}
	for _, id := range n.living() {
		to := n.nodes[id]
		if to == p || to.deaf || to.hears[topic] == nil || n.chance(5) {
			continue
		}
		b := slices.Clone(data)
		to.inbox <- func() { to.hears[topic](b) }
		if n.chance(5) { // once more, and late: it arrives behind younger ones
			time.AfterFunc(time.Duration(n.rand.Intn(50))*time.Millisecond, func() {
				n.mu.Lock()
				defer n.mu.Unlock()
				if n.nodes[id] == to {
					to.inbox <- func() { to.hears[topic](b) }
				}
			})
		}
	}
	return nil
}

// living lists the nodes in an order that does not change from run to run.
func (n *net) living() []string {
	ids := make([]string, 0, len(n.nodes))
	for id := range n.nodes {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (p *port) Ask(ctx context.Context, to, what string, body []byte, part func([]byte) error) error {
	n := p.net
	n.mu.Lock()
	p.asked[to]++
	other := n.nodes[to]
	if other == nil || other.serve[what] == nil {
		n.mu.Unlock()
		return fmt.Errorf("ask %s: %w", to, bus.ErrNobody)
	}
	fn, mute := other.serve[what], other.mute
	n.mu.Unlock()
	if mute {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return fn(ctx, body, func(data []byte) error {
		n.mu.Lock()
		broken := n.chance(4)
		n.mu.Unlock()
		if broken {
			return bus.ErrBroken
		}
		time.Sleep(time.Millisecond)
		return part(slices.Clone(data))
	})
}
