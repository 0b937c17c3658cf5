package gossip

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/hashicorp/memberlist"

	"orderyard/cluster"
	"orderyard/messages"
)

// Options is what a process needs to join; Incarnation, Bind, GossipBind and Map are required.
type Options struct {
	Cluster     string // nodes of another name are not met; empty = "orderyard"
	Node        string // the operator's name
	Incarnation string // this process's, never used before

	Bind            string // the door for requests, host:port; port 0 = any free one
	Advertise       string // exactly what others dial; empty = Bind. A port of 0 becomes the bound one
	GossipBind      string // memberlist, TCP and UDP
	GossipAdvertise string
	Seeds           []string // gossip addresses of some who may be there already; names may stand for several

	// Keys are for gossip, 16, 24 or 32 bytes each. The first encrypts, all decrypt; none = not encrypted. To change a key, add
	// the new one everywhere behind the old, then put it first everywhere, then take the old one away.
	Keys       [][]byte
	TLS        *tls.Config // for requests, both as server and as client. Nil = not encrypted
	AllowPlain bool        // consent to either without encryption off loopback

	Map     func() *cluster.Map      // for lookups, and for the addresses of members that gossip has lost
	Suspect func(incarnation string) // a member left or is believed dead; does not block. Nil = nobody cares
	// Attach is called once, with the actor system and the address that others will dial, before the network is opened: whoever
	// listens in the system from then on misses nothing. Nil = nobody.
	Attach func(system *actor.ActorSystem, addr string) error

	Limits Limits
	Log    *slog.Logger

	// wrap lets tests cut memberlist's network.
	wrap func(*memberlist.NetTransport) memberlist.NodeAwareTransport
}

// Limits are the paces of membership. A zero field takes its default.
type Limits struct {
	ProbeEvery   time.Duration // memberlist probes one member this often
	ProbeWithin  time.Duration // and suspects it when no answer comes within this, directly or through others
	GossipEvery  time.Duration // news go out this often
	SyncEvery    time.Duration // whole views are compared with one other
	StreamWithin time.Duration // of a connection to one other, when joining or comparing
	JoinWithin   time.Duration // how long Join waits for the first seed to answer; later the search goes on behind it
	RejoinEvery  time.Duration // seeds and members that are missing are called again
	LeaveWithin  time.Duration // how long leaving may take to get around
	Coalesce     time.Duration // changes within this reach protoactor as one
	LostFor      time.Duration // a member that gossip lost is called again for so long
	LostMax      int           // members so remembered
}

// DefaultLimits notice a dead member among five in about a second. A member that is merely slow for that long is believed dead and comes back,
// which costs a ping by the arbiter.
func DefaultLimits() Limits {
	return Limits{
		ProbeEvery: 200 * time.Millisecond, ProbeWithin: 100 * time.Millisecond, GossipEvery: 50 * time.Millisecond, SyncEvery: 15 * time.Second,
		StreamWithin: 2 * time.Second, JoinWithin: 3 * time.Second, RejoinEvery: 5 * time.Second, LeaveWithin: time.Second,
		Coalesce: 20 * time.Millisecond, LostFor: time.Hour, LostMax: 64,
	}
}

const (
	suspicionMult    = 3 // of ProbeEvery, times the logarithm of the members: how long a suspect may defend itself
	suspicionMaxMult = 2 // of that, while nobody else suspects it
	defaultCluster   = "orderyard"
	metaVersion      = 1
	lookEvery        = time.Second // at the map
	drainingBytes    = 2           // of metadata, when a node says that it is about to leave
)

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	fill(&l.ProbeEvery, d.ProbeEvery)
	fill(&l.ProbeWithin, d.ProbeWithin)
	fill(&l.GossipEvery, d.GossipEvery)
	fill(&l.SyncEvery, d.SyncEvery)
	fill(&l.StreamWithin, d.StreamWithin)
	fill(&l.JoinWithin, d.JoinWithin)
	fill(&l.RejoinEvery, d.RejoinEvery)
	fill(&l.LeaveWithin, d.LeaveWithin)
	fill(&l.Coalesce, d.Coalesce)
	fill(&l.LostFor, d.LostFor)
	fill(&l.LostMax, d.LostMax)
	return l
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// door is an address to listen on and the one that others use.
type door struct {
	ip            netip.Addr // to bind
	port          int
	advertiseHost string
	advertisePort int
}

// addr is what others dial.
func (d door) addr() string {
	return net.JoinHostPort(d.advertiseHost, strconv.Itoa(d.advertisePort))
}

// newDoor reads the two addresses of a door. what names it in errors.
func newDoor(ctx context.Context, what, bind, advertise string) (door, error) {
	host, port, err := split(bind)
	if err != nil {
		return door{}, fmt.Errorf("%s: listen address %q: %w", what, bind, err)
	}
	d := door{port: port}
	if d.ip, err = resolve(ctx, host); err != nil {
		return door{}, fmt.Errorf("%s: listen address %q: %w", what, bind, err)
	}
	if advertise == "" {
		if d.ip.IsUnspecified() {
			return door{}, fmt.Errorf("%s: %s is every address of this machine; the one that others use must be given", what, bind)
		}
		d.advertiseHost, d.advertisePort = d.ip.String(), port
		return d, nil
	}
	if d.advertiseHost, d.advertisePort, err = split(advertise); err != nil {
		return door{}, fmt.Errorf("%s: advertised address %q: %w", what, advertise, err)
	}
	if ip, err := netip.ParseAddr(d.advertiseHost); d.advertiseHost == "" || err == nil && ip.IsUnspecified() {
		return door{}, fmt.Errorf("%s: advertised address %q: others cannot dial it", what, advertise)
	}
	return d, nil
}

func split(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("port %q is not a number up to 65535", text)
	}
	return host, port, nil
}

// resolve gives one address of a host, IPv4 before IPv6; an empty host is every address.
func resolve(ctx context.Context, host string) (netip.Addr, error) {
	if host == "" {
		return netip.IPv4Unspecified(), nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap(), nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, ip := range ips {
		if ip.Unmap().Is4() {
			return ip.Unmap(), nil
		}
	}
	return ips[0], nil
}

// check says what is wrong with the options that are no addresses, and fills the defaults.
func (o *Options) check() error {
	if o.Map == nil {
		return errors.New("the map must be given")
	}
	if err := messages.CheckToken(o.Incarnation); err != nil {
		return fmt.Errorf("incarnation %q %w", o.Incarnation, err)
	}
	for i, key := range o.Keys {
		if err := memberlist.ValidateKey(key); err != nil {
			return fmt.Errorf("gossip key %d has %d bytes, not 16, 24 or 32", i+1, len(key))
		}
	}
	if o.Cluster == "" {
		o.Cluster = defaultCluster
	}
	if len(o.Cluster) > memberlist.LabelMaxSize {
		return fmt.Errorf("the cluster's name has %d bytes, at most %d are allowed", len(o.Cluster), memberlist.LabelMaxSize)
	}
	if o.Suspect == nil {
		o.Suspect = func(string) {}
	}
	if o.Attach == nil {
		o.Attach = func(*actor.ActorSystem, string) error { return nil }
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	o.Limits = o.Limits.orDefault()
	return nil
}

// consent refuses to talk in the clear to other machines unless the operator said so.
func (o *Options) consent(requests, gossip door) error {
	if o.AllowPlain {
		return nil
	}
	if o.TLS == nil && !requests.ip.IsLoopback() {
		return fmt.Errorf("requests would go unencrypted over %s: give certificates, or consent to plain", requests.addr())
	}
	if len(o.Keys) == 0 && !gossip.ip.IsLoopback() {
		return fmt.Errorf("gossip would go unencrypted over %s: give a key, or consent to plain", gossip.addr())
	}
	return nil
}
