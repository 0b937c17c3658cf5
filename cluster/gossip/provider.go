package gossip

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"slices"
	"strings"
	"time"

	protocluster "github.com/asynkron/protoactor-go/cluster"
	"github.com/hashicorp/memberlist"
)

// meta is what a member says of itself to everybody; memberlist carries at most 512 bytes of it.
type meta struct {
	Node   string `json:"n"`
	Remote string `json:"r"` // address of the actor remote
}

// provider is protoactor's ClusterProvider over memberlist.
type provider struct {
	g   *Gossip
	err error // StartMember's error: protoactor would panic with it
}

var _ protocluster.ClusterProvider = (*provider)(nil)

// StartMember implements ClusterProvider: it starts memberlist.
func (p *provider) StartMember(*protocluster.Cluster) error {
	p.err = p.g.listen()
	return nil
}

// StartClient implements ClusterProvider. Every node is a member here; a door without partitions is one of weight 0.
func (p *provider) StartClient(*protocluster.Cluster) error {
	return fmt.Errorf("%s has no clients without membership", clusterName)
}

// Shutdown implements ClusterProvider; Leave does the work.
func (p *provider) Shutdown(bool) error { return nil }

// listen starts memberlist on its addresses.
func (g *Gossip) listen() error {
	said, err := json.Marshal(meta{Node: g.o.Node, Remote: g.remote})
	if err != nil {
		return fmt.Errorf("gossip: %w", err)
	}
	if len(said) > memberlist.MetaMaxSize {
		return fmt.Errorf("gossip: name and address of this node have %d bytes together, at most %d are allowed", len(said), memberlist.MetaMaxSize)
	}
	c := memberlist.DefaultLANConfig()
	c.Name = g.o.Incarnation
	if c.BindAddr, c.BindPort, err = split(g.o.Bind); err == nil {
		c.AdvertiseAddr, c.AdvertisePort, err = split(g.o.Advertise)
	}
	if err != nil {
		return fmt.Errorf("gossip: %w", err)
	}
	// Deaths are noticed within about a second; the default of memberlist takes five.
	c.ProbeInterval, c.ProbeTimeout = 200*time.Millisecond, 100*time.Millisecond
	c.SuspicionMult, c.SuspicionMaxTimeoutMult = 3, 2
	c.GossipInterval = 50 * time.Millisecond
	c.TCPTimeout = joinWithin
	c.SecretKey = g.o.Key
	c.Delegate = self(said)
	c.Events = ears{g}
	c.Logger = log.New(&logWriter{g.log}, "", 0)
	if g.list, err = memberlist.Create(c); err != nil {
		return fmt.Errorf("gossip: %w", err)
	}
	return nil
}

// self answers memberlist's questions about this process; it has nothing to add to what memberlist sends.
type self []byte

func (s self) NodeMeta(int) []byte           { return s }
func (self) NotifyMsg([]byte)                {}
func (self) GetBroadcasts(int, int) [][]byte { return nil }
func (self) LocalState(bool) []byte          { return nil }
func (self) MergeRemoteState([]byte, bool)   {}

// ears take memberlist's events: they note and ring, no more, for memberlist waits for them.
type ears struct{ g *Gossip }

func (e ears) NotifyJoin(n *memberlist.Node) { e.g.saw(n) }

func (e ears) NotifyUpdate(n *memberlist.Node) { e.g.saw(n) }

func (e ears) NotifyLeave(n *memberlist.Node) {
	e.g.mu.Lock()
	delete(e.g.alive, n.Name)
	e.g.mu.Unlock()
	e.g.ring()
	e.g.o.OnSuspect(n.Name)
}

func (g *Gossip) saw(n *memberlist.Node) {
	m := new(meta)
	if err := json.Unmarshal(n.Meta, m); err != nil {
		g.log.Warn("a member of another kind answers to gossip", "name", n.Name, "addr", n.Address(), "error", err)
		return
	}
	g.mu.Lock()
	g.alive[n.Name] = m
	g.remember(n.Address())
	g.mu.Unlock()
	g.ring()
}

// remember keeps an address for the day its node is lost from sight.
func (g *Gossip) remember(addr string) {
	if i := slices.Index(g.known, addr); i >= 0 {
		g.known = slices.Delete(g.known, i, i+1)
	}
	g.known = append(g.known, addr)
	if len(g.known) > addressesMax {
		g.known = g.known[1:]
	}
}

func (g *Gossip) ring() {
	select {
	case g.kick <- struct{}{}:
	default:
	}
}

// feed tells protoactor's cluster who is there.
func (g *Gossip) feed() {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-g.done:
			return
		case <-look.C:
		case <-g.kick:
			select {
			case <-g.done:
				return
			case <-time.After(settleFor):
			}
		}
		g.proto.MemberList.UpdateClusterTopology(g.topology())
	}
}

// topology is everybody whom gossip sees or whom the arbiter counts among the living: see the package's comment.
func (g *Gossip) topology() protocluster.Members {
	remotes := map[string]string{g.o.Incarnation: g.remote}
	for _, s := range g.o.Map().Members {
		remotes[s.Incarnation] = s.RemoteAddr
	}
	g.mu.Lock()
	for id, m := range g.alive {
		remotes[id] = m.Remote
	}
	g.mu.Unlock()
	var members protocluster.Members
	for id, addr := range remotes {
		host, port, err := split(addr)
		if err != nil {
			continue
		}
		members = append(members, &protocluster.Member{Id: id, Host: host, Port: int32(port), Kinds: []string{}})
	}
	slices.SortFunc(members, func(a, b *protocluster.Member) int { return strings.Compare(a.Id, b.Id) })
	return members
}

// rejoin looks for those who are missing: seeds, and whoever was alive once or is alive by the arbiter's word.
func (g *Gossip) rejoin() {
	ticker := time.NewTicker(rejoinEvery)
	defer ticker.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for {
		select {
		case <-g.done:
			return
		case <-ticker.C:
			g.join(ctx, g.missing())
		}
	}
}

// missing lists addresses worth trying that no live member has.
func (g *Gossip) missing() []string {
	there := map[string]bool{g.addr: true}
	for _, n := range g.list.Members() {
		there[n.Address()] = true
	}
	wanted := slices.Clone(g.o.Seeds)
	for _, s := range g.o.Map().Members {
		wanted = append(wanted, s.GossipAddr)
	}
	g.mu.Lock()
	wanted = append(wanted, g.known...)
	g.mu.Unlock()
	var list []string
	for _, addr := range wanted {
		if addr != "" && !there[addr] {
			there[addr] = true
			list = append(list, addr)
		}
	}
	return list
}

// join tries addresses; nobody answering is the usual case for those that are gone.
func (g *Gossip) join(ctx context.Context, addrs []string) {
	for _, addr := range addrs {
		if ctx.Err() != nil {
			return
		}
		select {
		case <-g.done:
			return
		default:
		}
		if _, err := g.list.Join([]string{addr}); err != nil {
			g.log.Debug("gossip does not reach an address", "addr", addr, "error", err)
		}
	}
}

// logWriter turns memberlist's lines ("[WARN] memberlist: …") into records; its chatter stays at debug.
type logWriter struct{ log *slog.Logger }

var _ io.Writer = (*logWriter)(nil)

func (w *logWriter) Write(line []byte) (int, error) {
	level, text := slog.LevelDebug, strings.TrimSpace(string(line))
	if mark, rest, ok := strings.Cut(text, "] "); ok {
		text = strings.TrimPrefix(rest, "memberlist: ")
		switch mark {
		case "[WARN", "[ERR", "[ERROR":
			level = slog.LevelDebug // what it warns of is a peer that does not answer: the arbiter has its own word for that
		}
	}
	w.log.Log(context.Background(), level, "gossip", "says", text)
	return len(line), nil
}

// warnOnly lets protoactor speak only when something is wrong.
type warnOnly struct{ slog.Handler }

func (w warnOnly) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError && w.Handler.Enabled(ctx, level)
}
