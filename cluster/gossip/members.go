package gossip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"orderyard/cluster"
	"orderyard/messages"
)

// members is this node's end of memberlist: who it believes to be there. memberlist calls the event methods under its own lock, so
// they only note what happened and kick the goroutine that passes it on.
type members struct {
	o       *Options
	session *messages.NodeSession
	meta    atomic.Pointer[[]byte]
	list    *memberlist.Memberlist
	addr    string // of this node's gossip
	change  func([]member)

	mu       sync.Mutex
	present  map[string]member // by incarnation
	left     []string          // incarnations to suspect
	lost     map[string]time.Time
	reported map[string]bool // addresses whose failure the operator knows of

	kick  chan struct{}
	done  chan struct{}
	ended sync.WaitGroup
	once  sync.Once
}

// member is one process as gossip sees it.
type member struct {
	session *messages.NodeSession // of its metadata: node, incarnation, remote address
	gossip  string                // address
}

// newMembers starts to listen. change is told the members whenever they change, by one goroutine.
func newMembers(ctx context.Context, o *Options, d door, session *messages.NodeSession, change func([]member)) (*members, error) {
	m := &members{
		o: o, session: session, change: change, present: map[string]member{}, lost: map[string]time.Time{},
		reported: map[string]bool{}, kick: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if err := m.tell(false); err != nil {
		return nil, err
	}
	cfg, err := m.config(ctx, d)
	if err != nil {
		return nil, err
	}
	if m.list, err = memberlist.Create(cfg); err != nil {
		return nil, fmt.Errorf("listen for gossip on %s: %w", net.JoinHostPort(d.ip.String(), strconv.Itoa(d.port)), err)
	}
	self := m.list.LocalNode()
	m.addr = self.Address()
	m.ended.Go(m.pass)
	return m, nil
}

// tell sets the metadata that others get. draining says that this node is about to leave: memberlist does not tell its listeners who left
// from who died.
func (m *members) tell(draining bool) error {
	session := &messages.NodeSession{
		Node: m.session.Node, Incarnation: m.session.Incarnation, RemoteAddr: m.session.RemoteAddr, Protocol: m.session.Protocol, Draining: draining,
	}
	meta, err := session.MarshalVT()
	if err != nil {
		return fmt.Errorf("encode this node's metadata: %w", err)
	}
	if len(meta)+drainingBytes > memberlist.MetaMaxSize {
		return fmt.Errorf("this node's name and address take %d bytes of metadata, at most %d are allowed", len(meta), memberlist.MetaMaxSize-drainingBytes)
	}
	m.meta.Store(&meta)
	return nil
}

func (m *members) config(ctx context.Context, d door) (*memberlist.Config, error) {
	l, cfg := &m.o.Limits, memberlist.DefaultLANConfig()
	cfg.Name, cfg.Label = m.o.Incarnation, m.o.Cluster
	cfg.BindAddr, cfg.BindPort = d.ip.String(), d.port
	ip, err := resolve(ctx, d.advertiseHost)
	if err != nil {
		return nil, fmt.Errorf("gossip: advertised address %s: %w", d.addr(), err)
	}
	cfg.AdvertiseAddr, cfg.AdvertisePort = ip.String(), d.advertisePort
	cfg.ProbeInterval, cfg.ProbeTimeout = l.ProbeEvery, l.ProbeWithin
	cfg.SuspicionMult, cfg.SuspicionMaxTimeoutMult = suspicionMult, suspicionMaxMult
	cfg.GossipInterval, cfg.PushPullInterval, cfg.TCPTimeout = l.GossipEvery, l.SyncEvery, l.StreamWithin
	cfg.Delegate, cfg.Events, cfg.Logger = m, m, newMemberlistLog(m.o.Log)
	if len(m.o.Keys) > 0 {
		if cfg.Keyring, err = memberlist.NewKeyring(m.o.Keys, m.o.Keys[0]); err != nil {
			return nil, fmt.Errorf("gossip keys: %w", err)
		}
	}
	if m.o.wrap != nil {
		transport, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{
			BindAddrs: []string{cfg.BindAddr}, BindPort: cfg.BindPort, Logger: cfg.Logger,
		})
		if err != nil {
			return nil, err
		}
		cfg.BindPort, cfg.AdvertisePort = transport.GetAutoBindPort(), transport.GetAutoBindPort()
		cfg.Transport = m.o.wrap(transport)
	}
	return cfg, nil
}

// NotifyUpdate notes that a member's metadata changed.
func (m *members) NotifyUpdate(n *memberlist.Node) { m.NotifyJoin(n) }

// NotifyJoin notes a member that appeared, or came back.
func (m *members) NotifyJoin(n *memberlist.Node) {
	session := new(messages.NodeSession)
	if err := session.UnmarshalVT(n.Meta); err != nil || session.Incarnation != n.Name {
		m.o.Log.Warn("member ignored: its metadata cannot be read", "member", n.Name, "addr", n.Address(), "error", err)
		return
	}
	m.mu.Lock()
	m.present[n.Name] = member{session: session, gossip: n.Address()}
	delete(m.lost, n.Address())
	delete(m.reported, n.Address())
	m.mu.Unlock()
	m.kicked()
}

// NotifyLeave notes a member that left or is believed dead. One that did not say good-bye is called again for a while.
func (m *members) NotifyLeave(n *memberlist.Node) {
	m.mu.Lock()
	if !m.present[n.Name].session.GetDraining() {
		m.remember(n.Address())
	}
	delete(m.present, n.Name)
	m.left = append(m.left, n.Name)
	m.mu.Unlock()
	m.kicked()
}

// remember keeps an address, the oldest making room.
func (m *members) remember(addr string) {
	m.lost[addr] = time.Now()
	if len(m.lost) <= m.o.Limits.LostMax {
		return
	}
	oldest := addr
	for other, at := range m.lost {
		if at.Before(m.lost[oldest]) {
			oldest = other
		}
	}
	delete(m.lost, oldest)
}

// NodeMeta is what others learn of this node.
func (m *members) NodeMeta(int) []byte { return *m.meta.Load() }

// NotifyMsg and the methods below are memberlist's means for messages of the application, which has none.
func (m *members) NotifyMsg([]byte) {}

// GetBroadcasts gives nothing.
func (m *members) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState gives nothing.
func (m *members) LocalState(bool) []byte { return nil }

// MergeRemoteState takes nothing.
func (m *members) MergeRemoteState([]byte, bool) {}

func (m *members) kicked() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// pass hands on what was noted: suspicions at once, members when no more changes have come for a moment. A new map of the arbiter is a
// change too, which nobody rings for: there is no hurry.
func (m *members) pass() {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	var last *cluster.Map
	for {
		select {
		case <-m.done:
			return
		case <-look.C:
			if m.o.Map() == last {
				continue
			}
		case <-m.kick:
			m.suspect()
			select {
			case <-m.done:
				return
			case <-time.After(m.o.Limits.Coalesce):
			}
		}
		m.suspect()
		last = m.o.Map()
		m.change(m.all())
	}
}

func (m *members) suspect() {
	m.mu.Lock()
	left := m.left
	m.left = nil
	m.mu.Unlock()
	for _, incarnation := range left {
		if incarnation != m.o.Incarnation {
			m.o.Suspect(incarnation)
		}
	}
}

// all lists who is there, by incarnation.
func (m *members) all() []member {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]member, 0, len(m.present))
	for _, one := range m.present {
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b member) int { return strings.Compare(a.session.Incarnation, b.session.Incarnation) })
	return list
}

// goodBye tells the others, who then do not look for this node.
func (m *members) goodBye(within time.Duration) error {
	if err := m.tell(true); err != nil {
		return err
	}
	if err := m.list.UpdateNode(within); err != nil {
		return fmt.Errorf("say good-bye: %w", err)
	}
	if err := m.list.Leave(within); err != nil {
		return fmt.Errorf("leave gossip: %w", err)
	}
	return nil
}

// leave says good-bye, unless within is 0, and stops. Leaving again does nothing.
func (m *members) leave(within time.Duration) error {
	var errs []error
	m.once.Do(func() {
		close(m.done)
		m.ended.Wait()
		if within > 0 {
			errs = append(errs, m.goodBye(within))
		}
		if err := m.list.Shutdown(); err != nil {
			errs = append(errs, fmt.Errorf("stop gossip: %w", err))
		}
	})
	return errors.Join(errs...)
}
