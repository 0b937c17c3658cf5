package configs

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Cluster says how nodes find each other and what they may take to move a partition. NATS decides who owns what; gossip only tells
// sooner who is there.
type Cluster struct {
	Bind        string        `yaml:"bind"`       // gossip listens here, on TCP and UDP; port 0 = any free one
	Advertise   string        `yaml:"advertise"`  // where others reach it; empty = see Advertised
	Seeds       []string      `yaml:"seeds"`      // host:port of some who may be there already
	GossipKey   Secret        `yaml:"gossip_key"` // base64; empty = gossip is not encrypted
	Plain       bool          `yaml:"plain"`      // consent to gossip and requests without encryption off loopback
	Remote      Remote        `yaml:"remote"`
	SessionTTL  time.Duration `yaml:"session_ttl" min:"1s" max:"60s"`
	MovesMax    int           `yaml:"moves_max" min:"1" max:"1024"`
	WarmWithin  time.Duration `yaml:"warm_within" min:"100ms" max:"10m"`
	DrainWithin time.Duration `yaml:"drain_within" min:"100ms" max:"1h"`
}

// Remote is the door for requests of other nodes.
type Remote struct {
	Bind      string `yaml:"bind"`
	Advertise string `yaml:"advertise"`
	TLS       TLS    `yaml:"tls"`
}

// Key gives the bytes of GossipKey: 16, 24 or 32 of them for AES, none when gossip is not encrypted. On a loaded Config it never fails.
func (c Cluster) Key() ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(string(c.GossipKey))
	if err != nil { // the decoder's own message could show a part of the key
		return nil, errors.New("must be base64, such as `openssl rand -base64 32` makes")
	}
	switch len(key) {
	case 0:
		return nil, nil
	case 16, 24, 32:
		return key, nil
	}
	return nil, fmt.Errorf("must be 16, 24 or 32 bytes in base64, is %d bytes", len(key))
}

// Advertised gives the addresses, as ip:port, at which the other nodes are told to find this one's gossip and its door for requests.
// What the operator wrote stands. Otherwise it is the address it listens on; when that is every address of the machine, it is the one from
// which this machine reaches its NATS server: all nodes have that server in common, so they are in that network together. A port
// 0 stays 0 for whoever listens to fill in. It looks names up, sends nothing, and ends with ctx.
func (c Config) Advertised(ctx context.Context) (gossip, remote string, err error) {
	for _, door := range []struct {
		key, bind, advertise string
		result               *string
	}{
		{"cluster.advertise", c.Cluster.Bind, c.Cluster.Advertise, &gossip},
		{"cluster.remote.advertise", c.Cluster.Remote.Bind, c.Cluster.Remote.Advertise, &remote},
	} {
		if *door.result, err = advertised(ctx, door.bind, door.advertise, c.NATS.Servers()); err != nil {
			return "", "", fmt.Errorf("%s must be given: %w", door.key, err)
		}
	}
	return gossip, remote, nil
}

func advertised(ctx context.Context, bind, advertise string, servers []string) (string, error) {
	if advertise != "" {
		bind = advertise
	}
	host, port, err := net.SplitHostPort(bind)
	if err != nil {
		return "", err
	}
	if unspecified(host) {
		ip, err := outward(ctx, servers)
		if err != nil {
			return "", fmt.Errorf("%s is every address of this machine, and %w", bind, err)
		}
		return net.JoinHostPort(ip.String(), port), nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return "", err
	}
	for _, ip := range ips { // a name may have both kinds: nodes must agree on one
		if ip.Unmap().Is4() {
			return net.JoinHostPort(ip.Unmap().String(), port), nil
		}
	}
	return net.JoinHostPort(ips[0].String(), port), nil
}

// outward asks the system's routes for the address that packets to the first usable server would carry. A UDP socket that is
// "connected" sends nothing.
func outward(ctx context.Context, servers []string) (netip.Addr, error) {
	failed := []error{errors.New("the one towards NATS cannot be told")}
	for _, server := range servers {
		u, err := url.Parse(server)
		if err != nil {
			continue // Load refuses it
		}
		port := u.Port()
		if port == "" {
			port = "4222"
		}
		conn, err := (&net.Dialer{}).DialContext(ctx, "udp", net.JoinHostPort(u.Hostname(), port))
		if err != nil {
			failed = append(failed, err)
			continue
		}
		ip := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
		conn.Close()
		if ip.IsLoopback() {
			failed = append(failed, fmt.Errorf("%s is reached over %s, which no other machine can use", withoutUser(server), ip))
			continue
		}
		return ip, nil
	}
	return netip.Addr{}, errors.Join(failed...)
}

// unspecified: the host part of an address that means every address of the machine.
func unspecified(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.Unmap().IsUnspecified()
}

// loopback: the host part of an address that no other machine can reach.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// split reads a list that is written as one text, separated by commas; empty places are left out.
func split(text string) []string {
	var list []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// withoutUser hides the user and the password of an address, also of one that is too broken to be parsed.
func withoutUser(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address
	}
	scheme, _, ok := strings.Cut(address[:at], "://")
	if !ok {
		return hidden + address[at:]
	}
	return scheme + "://" + hidden + address[at:]
}
