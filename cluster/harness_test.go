package cluster_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/cluster"
	"orderyard/cluster/bus"
	"orderyard/cluster/registry"
	"orderyard/messages"
	"orderyard/persistence"
	"orderyard/persistence/jetstream/embedded"
)

const (
	testPartitions = 32
	testTTL        = 1500 * time.Millisecond
	soon           = 20 * time.Second // for a loaded machine; what has a limit of its own says so
)

// yard is an embedded NATS and the nodes on it.
type yard struct {
	t    *testing.T
	dir  string
	port int
	srv  *embedded.Server
	urls string // of three servers instead
	log  *logbook
}

func newYard(t *testing.T) *yard {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	y := &yard{t: t, dir: t.TempDir(), port: l.Addr().(*net.TCPAddr).Port, log: &logbook{}}
	l.Close()
	y.startServer()
	t.Cleanup(func() { y.srv.Shutdown() })
	return y
}

func (y *yard) startServer() {
	y.t.Helper()
	srv, err := embedded.Start(embedded.Options{Dir: y.dir, Port: y.port})
	if err != nil {
		y.t.Fatal(err)
	}
	y.srv = srv
}

// node is one process's worth of cluster: a connection through a proxy that can hold everything back, a registry, a bus, a keeper and a host.
type node struct {
	*cluster.Keeper
	yard *yard
	id   string
	wire *proxy
	nc   *nats.Conn
	reg  *registry.Registry
	bus  *bus.Bus
	host *fakeHost
}

// busOf gives the bus the keeper's words.
type busOf struct{ *bus.Bus }

func (b busOf) Ping(ctx context.Context, incarnation string) cluster.Liveness {
	return cluster.Liveness(b.Bus.Ping(ctx, incarnation))
}

func (y *yard) join(id string, change ...func(*cluster.Options)) *node {
	y.t.Helper()
	n := &node{yard: y, id: id, wire: newProxy(y.t, y.port), host: newFakeHost()}
	var err error
	urls, replicas := "nats://"+n.wire.address, 1
	if y.urls != "" {
		urls, replicas = y.urls, 3
	}
	n.nc, err = nats.Connect(urls, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	y.must(err)
	y.t.Cleanup(n.nc.Close)
	eventually(y.t, "the registry opens", func() bool { // three servers take a moment until they can make a bucket
		n.reg, err = registry.Open(y.t.Context(), n.nc, registry.Options{Partitions: testPartitions, TTL: testTTL, Replicas: replicas})
		return err == nil || replicas == 1
	})
	y.must(err)
	y.t.Cleanup(n.reg.Close)
	n.bus, err = bus.Open(n.nc, id)
	y.must(err)
	y.t.Cleanup(n.bus.Close)
	o := cluster.Options{
		Session:  &messages.NodeSession{Node: "node-" + id, Incarnation: id, Weight: 1, Ready: true},
		Registry: n.reg, Bus: busOf{n.bus}, Host: n.host, Partitions: testPartitions, TTL: n.reg.TTL(),
		Log: slog.New(y.log).With("on", id),
	}
	for _, c := range change {
		c(&o)
	}
	n.Keeper, err = cluster.New(o)
	y.must(err)
	n.host.nudge = n.Nudge
	y.must(n.Start(y.t.Context()))
	y.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		n.host.resume()
		n.wire.resume()
		_ = n.Stop(ctx) // fails for those that were killed
	})
	return n
}

// kill ends a node as kill -9 does: its connection is gone and nothing is renewed.
func (n *node) kill() {
	n.nc.Close()
	n.host.kill()
}

func (y *yard) must(err error) {
	y.t.Helper()
	if err != nil {
		y.t.Fatal(err)
	}
}

// eventually waits for a condition and gives how long it took.
func eventually(t *testing.T, what string, holds func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !holds() {
		if time.Since(began) > soon {
			t.Fatalf("%s: not within %s", what, soon)
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}

func (n *node) serving() int { return n.host.count(cluster.PhaseServing) }

// balanced says whether these nodes, and no others, serve everything in equal parts, and all their maps say so.
func balanced(nodes ...*node) bool {
	for _, n := range nodes {
		if k := n.serving(); k < testPartitions/len(nodes) || k > (testPartitions+len(nodes)-1)/len(nodes) {
			return false
		}
		if len(n.Map().Members) != len(nodes) {
			return false
		}
		for p, o := range n.Map().Owners {
			at := slices.IndexFunc(nodes, func(n *node) bool { return n.id == o.GetIncarnation() })
			if at < 0 || o.Phase != messages.OwnerPhase_OWNER_OWNED || nodes[at].host.phase(p) != cluster.PhaseServing {
				return false
			}
		}
	}
	return true
}

// logbook keeps what keepers log.
type logbook struct {
	mu    sync.Mutex
	lines []string
	attrs []slog.Attr
	up    *logbook
}

func (l *logbook) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (l *logbook) WithGroup(string) slog.Handler                    { return l }

func (l *logbook) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logbook{attrs: slices.Concat(l.attrs, attrs), up: l}
}

func (l *logbook) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	for _, a := range l.attrs {
		line += " " + a.String()
	}
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	top := l
	for top.up != nil {
		top = top.up
	}
	top.mu.Lock()
	defer top.mu.Unlock()
	top.lines = append(top.lines, fmt.Sprintf("%s %s", time.Now().Format("05.000"), line))
	return nil
}

// dump shows the log when a test failed.
func (y *yard) dump() {
	y.log.mu.Lock()
	defer y.log.mu.Unlock()
	for _, line := range y.log.lines {
		y.t.Log(line)
	}
}

// fakeHost takes a moment for everything.
type fakeHost struct {
	nudge func()
	takes time.Duration

	mu     sync.Mutex
	spots  []fakeSpot
	dead   bool
	stuck  bool          // what is being read back never is
	paused chan struct{} // closed when it goes on; nil = it runs
}

type fakeSpot struct {
	phase cluster.Phase
	turn  int // counts changes asked for: a later one makes an earlier one void
}

func newFakeHost() *fakeHost {
	return &fakeHost{spots: make([]fakeSpot, testPartitions), takes: 2 * time.Millisecond, nudge: func() {}}
}

func (h *fakeHost) change(p int, from []cluster.Phase, now, then cluster.Phase) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &h.spots[p]
	if h.dead || !slices.Contains(from, s.phase) {
		return
	}
	s.phase = now
	s.turn++
	turn := s.turn
	if now == cluster.PhaseWarming && h.stuck {
		return
	}
	time.AfterFunc(h.takes, func() {
		h.mu.Lock()
		fits := h.spots[p].turn == turn && !h.dead
		if fits {
			h.spots[p].phase = then
		}
		h.mu.Unlock()
		if fits && now != then {
			h.nudge()
		}
	})
}

func (h *fakeHost) Warm(p int) {
	h.change(p, []cluster.Phase{cluster.PhaseIdle}, cluster.PhaseWarming, cluster.PhaseWarm)
}

func (h *fakeHost) Open(p int, _ persistence.Mark) {
	h.change(p, []cluster.Phase{cluster.PhaseIdle, cluster.PhaseWarming, cluster.PhaseWarm}, cluster.PhaseOpening, cluster.PhaseServing)
}

func (h *fakeHost) Close(p int) {
	h.change(p, []cluster.Phase{cluster.PhaseOpening, cluster.PhaseServing}, cluster.PhaseClosing, cluster.PhaseClosed)
}

func (h *fakeHost) Drop(p int) {
	h.mu.Lock()
	h.spots[p].phase = cluster.PhaseIdle
	h.spots[p].turn++
	h.mu.Unlock()
	h.nudge()
}

func (h *fakeHost) Local(p int) (cluster.Phase, persistence.Mark) {
	h.mu.Lock()
	paused := h.paused
	h.mu.Unlock()
	if paused != nil {
		<-paused
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.spots[p].phase == cluster.PhaseClosed {
		return cluster.PhaseClosed, persistence.Mark{Position: uint64(100 + p), Number: 1}
	}
	return h.spots[p].phase, persistence.Mark{}
}

func (h *fakeHost) phase(p int) cluster.Phase {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.spots[p].phase
}

func (h *fakeHost) count(phase cluster.Phase) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.spots {
		if h.spots[i].phase == phase {
			n++
		}
	}
	return n
}

// pause has the keeper's loop stand still at its next look at the host.
func (h *fakeHost) pause() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.paused = make(chan struct{})
}

func (h *fakeHost) resume() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.paused != nil {
		close(h.paused)
		h.paused = nil
	}
}

func (h *fakeHost) kill() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dead = true
	clear(h.spots)
}

// proxy stands between a client and NATS and can hold everything back, without either side noticing more than silence.
type proxy struct {
	address string
	port    int
	mu      sync.Mutex
	held    chan struct{} // closed when it goes on
	conns   []net.Conn
}

func newProxy(t *testing.T, port int) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{address: l.Addr().String(), port: port}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				in.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, in, out)
			p.mu.Unlock()
			go p.pass(in, out)
			go p.pass(out, in)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		p.resume()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, c := range p.conns {
			c.Close()
		}
	})
	return p
}

func (p *proxy) pass(from, to net.Conn) {
	defer to.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		held := p.held
		p.mu.Unlock()
		if held != nil {
			<-held
		}
		if err != nil {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			_, _ = io.Copy(io.Discard, from)
			return
		}
	}
}

func (p *proxy) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = make(chan struct{})
}

func (p *proxy) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held != nil {
		close(p.held)
		p.held = nil
	}
}

// sameOwner says that nobody else has claimed the partition, nor its owner anew: a record that is only written once more is the same.
func sameOwner(a, b cluster.OwnerAt) bool {
	return a.PartitionOwner != nil && b.PartitionOwner != nil && a.Incarnation == b.Incarnation && a.Phase == b.Phase && a.Next == b.Next && a.Term == b.Term
}
