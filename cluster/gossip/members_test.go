package gossip

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"orderyard/cluster"
	"orderyard/messages"
)

// yard is several members in one process, over real sockets that a test can cut. There is no protoactor here: two of its remotes in one
// process race on gRPC's logger.
type yard struct {
	t   *testing.T
	mu  sync.Mutex
	cut map[string]bool // "a>b" gossip addresses
}

type one struct {
	*members
	y        *yard
	id       string
	view     atomic.Pointer[cluster.Map]
	suspects chan string
	lists    atomic.Pointer[[]member]
	changes  atomic.Int64
}

func newYard(t *testing.T) *yard { return &yard{t: t, cut: map[string]bool{}} }

// loopback is a door on any free port.
func loopback(t *testing.T) door {
	t.Helper()
	d, err := newDoor(t.Context(), "gossip", "127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// member starts one that calls the seeds.
func (y *yard) member(id string, options func(*Options), seeds ...*one) *one {
	y.t.Helper()
	m := &one{y: y, id: id, suspects: make(chan string, 100)}
	m.view.Store(&cluster.Map{Self: id})
	o := Options{
		Incarnation: id, Bind: "127.0.0.1:0", GossipBind: "127.0.0.1:0", Map: m.view.Load, Log: slog.New(slog.DiscardHandler),
		Suspect: func(id string) { m.suspects <- id },
		Limits:  Limits{RejoinEvery: 500 * time.Millisecond, StreamWithin: 500 * time.Millisecond},
	}
	for _, seed := range seeds {
		o.Seeds = append(o.Seeds, seed.addr)
	}
	if options != nil {
		options(&o)
	}
	if err := o.check(); err != nil {
		y.t.Fatal(err)
	}
	o.wrap = func(t *memberlist.NetTransport) memberlist.NodeAwareTransport {
		return &cutTransport{NetTransport: t, y: y, from: fmt.Sprint("127.0.0.1:", t.GetAutoBindPort())}
	}
	session := &messages.NodeSession{Node: "node-" + id, Incarnation: id, RemoteAddr: "127.0.0.1:1"}
	var err error
	m.members, err = newMembers(y.t.Context(), &o, loopback(y.t), session, func(list []member) {
		m.lists.Store(&list)
		m.changes.Add(1)
	})
	if err != nil {
		y.t.Fatal(err)
	}
	y.t.Cleanup(func() { _ = m.leave(0) })
	m.join(y.t.Context())
	return m
}

// sees waits until exactly these are there, as it is told to protoactor, and says how long it took.
func (m *one) sees(others ...string) time.Duration {
	m.y.t.Helper()
	began := time.Now()
	want := strings.Join(append([]string{}, others...), " ")
	got := ""
	for time.Since(began) < 15*time.Second {
		if list := m.lists.Load(); list != nil {
			var ids []string
			for _, other := range *list {
				ids = append(ids, other.session.Incarnation)
			}
			if got = strings.Join(ids, " "); got == want {
				return time.Since(began)
			}
		}
		time.Sleep(time.Millisecond)
	}
	m.y.t.Fatalf("%s sees %q, want %q", m.id, got, want)
	return 0
}

func (m *one) suspected(id string) {
	m.y.t.Helper()
	select {
	case got := <-m.suspects:
		if got != id {
			m.y.t.Fatalf("%s suspects %s, want %s", m.id, got, id)
		}
	case <-time.After(15 * time.Second):
		m.y.t.Fatalf("%s does not suspect %s", m.id, id)
	}
}

// split cuts or joins the ways between two sides.
func (y *yard) split(left, right []*one, off bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, a := range left {
		for _, b := range right {
			y.cut[a.addr+">"+b.addr] = off
			y.cut[b.addr+">"+a.addr] = off
		}
	}
}

type cutTransport struct {
	*memberlist.NetTransport
	y    *yard
	from string
}

func (t *cutTransport) off(to string) bool {
	t.y.mu.Lock()
	defer t.y.mu.Unlock()
	return t.y.cut[t.from+">"+to]
}

func (t *cutTransport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	if t.off(a.Addr) {
		return time.Now(), nil
	}
	return t.NetTransport.WriteToAddress(b, a)
}

func (t *cutTransport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	if t.off(a.Addr) {
		return nil, errors.New("cut")
	}
	return t.NetTransport.DialAddressTimeout(a, timeout)
}

// TestJoinThroughOneSeed proves that members find each other through one seed although another does not answer, that the death of one
// is noticed soon, and that a good-bye is noticed sooner, by three members.
func TestJoinThroughOneSeed(t *testing.T) {
	y := newYard(t)
	a := y.member("A", nil)
	dead := func(o *Options) {
		o.Seeds = append(o.Seeds, "127.0.0.1:1", "not an address", "no-such-host.invalid:7000")
	}
	b := y.member("B", dead, a)
	c := y.member("C", dead, a)
	for _, m := range []*one{a, b, c} {
		m.sees("A", "B", "C")
	}
	if list := a.all(); list[1].session.Node != "node-B" || list[1].gossip != b.addr {
		t.Errorf("got %+v", list[1])
	}
	if err := c.leave(0); err != nil { // without a word
		t.Fatal(err)
	}
	took := a.sees("A", "B")
	b.sees("A", "B")
	t.Logf("death noticed after %v", took)
	if took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	a.suspected("C")
	b.suspected("C")
	if err := b.leave(time.Second); err != nil {
		t.Fatal(err)
	}
	took = a.sees("A")
	t.Logf("good-bye noticed after %v", took)
	a.suspected("B")
	if err := b.leave(time.Second); err != nil {
		t.Error(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.lost) != 1 {
		t.Errorf("lost %v, want only C", a.lost)
	}
}

// TestSplitHeals proves that two sides that lost sight of each other find each other again without any seed, by cutting three members in
// two.
func TestSplitHeals(t *testing.T) {
	y := newYard(t)
	a := y.member("A", nil)
	b, c := y.member("B", nil), y.member("C", nil)
	for _, m := range []*one{b, c} {
		if _, err := m.list.Join([]string{a.addr}); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range []*one{a, b, c} {
		m.sees("A", "B", "C")
	}
	y.split([]*one{a, b}, []*one{c}, true)
	a.sees("A", "B")
	b.sees("A", "B")
	c.sees("C")
	y.split([]*one{a, b}, []*one{c}, false)
	for _, m := range []*one{a, b, c} {
		m.sees("A", "B", "C")
	}
}

// TestArbiterKnows proves that a member which gossip never met is found through the map, by two members without seeds.
func TestArbiterKnows(t *testing.T) {
	y := newYard(t)
	a, b := y.member("A", nil), y.member("B", nil)
	b.view.Store(&cluster.Map{Self: "B", Members: []*messages.NodeSession{{Incarnation: "A", GossipAddr: a.addr}, {Incarnation: "B", GossipAddr: b.addr}}})
	a.sees("A", "B")
	b.sees("A", "B")
}

// TestKeys proves that members whose keys overlap meet, as while a key is being changed, and that another key, no key, or another
// cluster's name is not let in, by members that all call the first.
func TestKeys(t *testing.T) {
	key := func(letter string) []byte { return []byte(strings.Repeat(letter, 32)) }
	with := func(keys ...[]byte) func(*Options) { return func(o *Options) { o.Keys = keys } }
	for _, second := range [][][]byte{{key("o")}, {key("n"), key("o")}} {
		y := newYard(t)
		a := y.member("A", with(key("o"), key("n")))
		b := y.member("B", with(second...), a)
		a.sees("A", "B")
		b.sees("A", "B")
	}
	y := newYard(t)
	a := y.member("A", with(key("o")))
	wrong := y.member("W", with(key("w")), a)
	open := y.member("O", nil, a)
	other := y.member("X", func(o *Options) { o.Keys, o.Cluster = [][]byte{key("o")}, "elsewhere" }, a)
	c := y.member("C", with(key("o")), a)
	for _, m := range []*one{wrong, open, other} {
		if err := m.failure(a.addr); err == nil {
			t.Errorf("%s was let in", m.id)
		}
		m.sees(m.id)
	}
	for _, m := range []*one{a, c} {
		m.sees("A", "C")
	}
}

func (m *one) failure(addr string) error {
	_, err := m.list.Join([]string{addr})
	return err
}

// TestChangesAreOne proves that changes which come together reach protoactor as one, by ten members at once.
func TestChangesAreOne(t *testing.T) {
	y := newYard(t)
	a := y.member("A", func(o *Options) { o.Limits.Coalesce = 300 * time.Millisecond })
	a.sees("A")
	before := a.changes.Load()
	for i := range 10 {
		session, err := (&messages.NodeSession{Incarnation: fmt.Sprint("X", i), RemoteAddr: "127.0.0.1:1"}).MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		a.NotifyJoin(&memberlist.Node{Name: fmt.Sprint("X", i), Meta: session, Addr: net.IPv4(127, 0, 0, 1), Port: uint16(i + 1)})
	}
	a.NotifyJoin(&memberlist.Node{Name: "Y", Meta: []byte("nonsense"), Addr: net.IPv4(127, 0, 0, 1), Port: 99})
	a.NotifyJoin(&memberlist.Node{Name: "Z", Addr: net.IPv4(127, 0, 0, 1), Port: 99})
	a.sees("A", "X0", "X1", "X2", "X3", "X4", "X5", "X6", "X7", "X8", "X9")
	if n := a.changes.Load() - before; n > 2 {
		t.Errorf("%d changes", n)
	}
}

// TestLostIsBounded proves that addresses of the dead are forgotten, the oldest first, by more of them than may be kept.
func TestLostIsBounded(t *testing.T) {
	y := newYard(t)
	a := y.member("A", func(o *Options) { o.Limits.LostMax, o.Limits.RejoinEvery = 3, time.Hour })
	for i := range 6 {
		a.NotifyLeave(&memberlist.Node{Name: fmt.Sprint("X", i), Addr: net.IPv4(127, 0, 0, 1), Port: uint16(i + 1), State: memberlist.StateDead})
	}
	meta, err := (&messages.NodeSession{Incarnation: "L", Draining: true}).MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	left := &memberlist.Node{Name: "L", Meta: meta, Addr: net.IPv4(127, 0, 0, 1), Port: 9}
	a.NotifyJoin(left)
	a.NotifyLeave(left)
	if got := a.missing(t.Context()); !slices.Equal(got, []string{"127.0.0.1:4", "127.0.0.1:5", "127.0.0.1:6"}) {
		t.Errorf("got %v", got)
	}
	a.o.Limits.LostFor = time.Nanosecond
	if got := a.missing(t.Context()); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

// TestMetadataIsBounded proves that a name which memberlist could not carry is an error and not a panic, by a long one.
func TestMetadataIsBounded(t *testing.T) {
	o := Options{Incarnation: "A", Map: func() *cluster.Map { return &cluster.Map{} }}
	if err := o.check(); err != nil {
		t.Fatal(err)
	}
	session := &messages.NodeSession{Node: strings.Repeat("n", 600), Incarnation: "A"}
	if _, err := newMembers(t.Context(), &o, loopback(t), session, nil); err == nil || !strings.Contains(err.Error(), "at most 510") {
		t.Errorf("got %v", err)
	}
}
