package link

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"orderyard/cluster"
	"orderyard/messages"
)

// world is several nodes in one process, over wires and a bus of memory that a test can cut.
type world struct {
	t     *testing.T
	mu    sync.Mutex
	wires map[string]*wire  // by address
	buses map[string]*ether // by incarnation
	cut   map[string]bool   // "a>b": nothing gets through directly
	mute  map[string]bool   // "a>b": nothing gets through over the bus
	done  chan struct{}
}

// node is one incarnation.
type node struct {
	w        *world
	id       string
	links    *Links
	wire     *wire
	view     atomic.Pointer[cluster.Map]
	serve    atomic.Pointer[func(messages.Request)]
	suspects chan string
}

const partitions = 8

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, wires: map[string]*wire{}, buses: map[string]*ether{}, cut: map[string]bool{}, mute: map[string]bool{}, done: make(chan struct{}),
	}
	t.Cleanup(func() { close(w.done) }) // after the nodes' own
	return w
}

// quick are limits for tests: everything that is waited for comes soon.
func quick() Limits {
	return Limits{
		AckWithin: 20 * time.Millisecond, SilentMax: 150 * time.Millisecond, ProbeEvery: 50 * time.Millisecond, Grace: 50 * time.Millisecond,
	}
}

// node starts a node that answers every request with its own name in the message of an order reply.
func (w *world) node(id string, limits Limits, detour bool) *node {
	w.t.Helper()
	n := &node{w: w, id: id, suspects: make(chan string, 1000)}
	n.wire = &wire{w: w, addr: id + ":1"}
	n.view.Store(&cluster.Map{Self: id})
	n.on(n.echo)
	o := Options{
		Self: id, Addr: n.wire.addr, Map: n.view.Load, Wire: n.wire, Limits: limits, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Deliver: func(req messages.Request) { (*n.serve.Load())(req) },
		Suspect: func(id string) {
			select {
			case n.suspects <- id:
			default:
			}
		},
	}
	if detour {
		o.Detour = &ether{w: w, id: id}
	}
	links, err := Open(o)
	if err != nil {
		w.t.Fatal(err)
	}
	n.links = links
	w.t.Cleanup(n.stop)
	return n
}

func (n *node) on(serve func(messages.Request)) { n.serve.Store(&serve) }

func (n *node) echo(req messages.Request) {
	if req.Done != nil {
		req.Done(&messages.Reply{Body: &messages.Reply_Order{Order: &messages.OrderReply{OrderId: req.To.ID, Message: n.id}}})
	}
}

// stop ends a node as kill -9 would: its wire and its ear are gone, without a word.
func (n *node) stop() {
	n.w.mu.Lock()
	if n.w.wires[n.wire.addr] == n.wire {
		delete(n.w.wires, n.wire.addr)
	}
	delete(n.w.buses, n.id)
	n.w.mu.Unlock()
	n.links.Close()
}

// owned gives every node a map in which everybody lives and owner has all partitions; nil = nobody has any.
func (w *world) owned(owner *node, living ...*node) {
	m := cluster.Map{Owners: make([]cluster.OwnerAt, partitions)}
	for _, n := range living {
		m.Members = append(m.Members, &messages.NodeSession{Incarnation: n.id, RemoteAddr: n.wire.addr})
	}
	slices.SortFunc(m.Members, func(a, b *messages.NodeSession) int { return strings.Compare(a.Incarnation, b.Incarnation) })
	if owner != nil {
		for i := range m.Owners {
			m.Owners[i] = cluster.OwnerAt{PartitionOwner: &messages.PartitionOwner{Incarnation: owner.id, Phase: messages.OwnerPhase_OWNER_OWNED}}
		}
	}
	for _, n := range living {
		view := m
		view.Self = n.id
		n.view.Store(&view)
		n.links.Update(&view)
	}
}

// endStream tells a node that its stream to another has ended.
func (n *node) endStream(to *node) { n.wire.broken(to.wire.addr) }

func (w *world) set(switches map[string]bool, from, to *node, off bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switches[from.id+">"+to.id] = off
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("never happened: %s", what)
		}
	}
}

// ask sends a client's request and gives the channel of its answer.
func (n *node) ask(id string) <-chan *messages.Reply {
	return n.askFor(messages.Request{To: messages.OrderRef(id), Command: &messages.GetOrder{}})
}

func (n *node) askFor(req messages.Request) <-chan *messages.Reply {
	answer := make(chan *messages.Reply, 4) // room for answers that must not come
	req.Done = func(r *messages.Reply) { answer <- r }
	n.links.Router().Send(req)
	return answer
}

// raw asks over the link itself, without the router's retries.
func (n *node) raw(to *node, req messages.Request) <-chan *messages.Reply {
	answer := make(chan *messages.Reply, 4)
	req.Done = func(r *messages.Reply) { answer <- r }
	if f := n.links.send(&messages.NodeSession{Incarnation: to.id, RemoteAddr: to.wire.addr}, &req); f != nil {
		req.Done(messages.Refuse(f))
	}
	return answer
}

func (w *world) within(answer <-chan *messages.Reply) *messages.Reply {
	w.t.Helper()
	select {
	case r := <-answer:
		return r
	case <-time.After(10 * time.Second):
		w.t.Fatal("no answer")
		return nil
	}
}

func (w *world) answeredBy(answer <-chan *messages.Reply, n *node) {
	w.t.Helper()
	if r := w.within(answer); r.GetOrder().GetMessage() != n.id {
		w.t.Fatalf("got %v, want an answer of %s", r, n.id)
	}
}

func (w *world) refused(answer <-chan *messages.Reply, code string) *messages.Failure {
	w.t.Helper()
	f := w.within(answer).GetFailure()
	if f.GetCode() != code {
		w.t.Fatalf("got %v, want %s", f, code)
	}
	return f
}

// wire is an end of the direct way.
type wire struct {
	w      *world
	addr   string
	take   func(*messages.Link)
	ended  func(string)
	queues sync.Map // to address → chan *messages.Link
	sent   atomic.Int64
	lost   atomic.Int64
	slow   atomic.Int64 // nanoseconds per batch
}

func (v *wire) Start(take func(*messages.Link), broken func(string)) error {
	v.take, v.ended = take, broken
	v.w.mu.Lock()
	defer v.w.mu.Unlock()
	v.w.wires[v.addr] = v
	return nil
}

func (v *wire) broken(addr string) { v.ended(addr) }

func (v *wire) Close() {}

func (v *wire) Send(addr string, batch *messages.Link) {
	v.sent.Add(1)
	made := make(chan *messages.Link, 1000)
	q, old := v.queues.LoadOrStore(addr, made)
	if !old {
		go v.carry(addr, made)
	}
	select {
	case q.(chan *messages.Link) <- batch:
	case <-v.w.done:
	}
}

func (v *wire) carry(addr string, batches chan *messages.Link) {
	for {
		select {
		case b := <-batches:
			time.Sleep(time.Duration(v.slow.Load()))
			if to := v.w.way(v.addr, addr); to != nil {
				to.take(b)
			} else {
				v.lost.Add(1)
			}
		case <-v.w.done:
			return
		}
	}
}

// way gives the wire at an address, if it can be reached.
func (w *world) way(from, to string) *wire {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut[strings.TrimSuffix(from, ":1")+">"+strings.TrimSuffix(to, ":1")] {
		return nil
	}
	return w.wires[to]
}

// ether is an end of the detour.
type ether struct {
	w   *world
	id  string
	ear func([]byte)
	in  chan []byte
}

func (b *ether) Hear(what string, fn func([]byte)) error {
	if what != detourWord {
		return fmt.Errorf("unexpected word %s", what)
	}
	b.ear, b.in = fn, make(chan []byte, 1000)
	go func() {
		for {
			select {
			case data := <-b.in:
				b.ear(data)
			case <-b.w.done:
				return
			}
		}
	}()
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	b.w.buses[b.id] = b
	return nil
}

func (b *ether) Tell(to, _ string, data []byte) error {
	if len(data) > DefaultLimits().BatchBytesMax {
		return fmt.Errorf("%d bytes are too many", len(data))
	}
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	if other := b.w.buses[to]; other != nil && !b.w.mute[b.id+">"+to] {
		select {
		case other.in <- slices.Clone(data):
		default:
		}
	}
	return nil
}
