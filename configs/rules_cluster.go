package configs

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
)

// keyText is a key's path and its present text.
type keyText struct{ path, text string }

// seedsMax bounds the seeds: joining needs one that lives.
const seedsMax = 64

// servers are the rules about NATS.
func (l *loader) servers() {
	n := &l.cfg.NATS
	for _, server := range n.Servers() {
		u, err := url.Parse(server)
		if err != nil || u.Hostname() == "" || (u.Scheme != "nats" && u.Scheme != "tls") {
			l.refuse("nats.url", "must be nats://host:port or tls://host:port, or empty for an embedded server, not %q", withoutUser(server))
			break
		}
	}
	if n.Port < 0 || n.Port > 65535 {
		l.refuse("nats.port", "must be from 0 (any free port) to 65535, is %d", n.Port)
	}
	if n.Replicas != 1 && n.Replicas != 3 {
		l.refuse("nats.replicas", "must be 1 or 3, is %d", n.Replicas)
	} else if n.Embedded() && n.Replicas > 1 {
		l.refuse("nats.replicas", "is %d, but nats.url is empty and an embedded server is alone", n.Replicas)
	}
	for _, k := range append(tlsKeys("nats.tls", n.TLS), keyText{"nats.creds", n.Creds}, keyText{"nats.nkey", n.NKey}) {
		if n.Embedded() && k.text != "" {
			l.refuse(k.path, "is given, but nats.url is empty and an embedded server asks for nothing")
		}
	}
	if n.Creds != "" && n.NKey != "" {
		l.refuse("nats.nkey", "is given beside nats.creds: a node is one user")
	}
	l.readable("nats.creds", n.Creds)
	l.readable("nats.nkey", n.NKey)
	if (n.TLS.Cert == "") != (n.TLS.Key == "") {
		l.incomplete("nats.tls", n.TLS, "cert and key")
	}
	l.files("nats.tls", n.TLS)
}

// doors are the rules about where the nodes find each other.
func (l *loader) doors() {
	c := &l.cfg.Cluster
	for _, k := range []keyText{{"cluster.bind", c.Bind}, {"cluster.remote.bind", c.Remote.Bind}} {
		if !validAddr(k.text) {
			l.refuse(k.path, "must be host:port such as 0.0.0.0:7946, not %q", k.text)
		}
	}
	for _, k := range []keyText{{"cluster.advertise", c.Advertise}, {"cluster.remote.advertise", c.Remote.Advertise}} {
		if k.text != "" && !reachable(k.text) {
			l.refuse(k.path, "must be the host:port at which other nodes find this one, or empty, not %q", k.text)
		}
	}
	if len(c.Seeds) > seedsMax {
		l.refuse("cluster.seeds", "has %d members, at most %d are asked", len(c.Seeds), seedsMax)
	}
	for i, seed := range c.Seeds {
		if !reachable(seed) {
			l.refuse(fmt.Sprintf("cluster.seeds[%d]", i), "must be host:port such as 10.0.0.1:7946, not %q", seed)
		}
	}
	l.distinct("cluster.remote.bind", c.Remote.Bind, "cluster.bind", c.Bind)
	l.distinct("http.addr", l.cfg.HTTP.Addr, "cluster.bind", c.Bind)
	l.distinct("http.addr", l.cfg.HTTP.Addr, "cluster.remote.bind", c.Remote.Bind)
}

// reachable: an address somebody else could dial.
func reachable(addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	return err == nil && validAddr(addr) && port != "0" && !unspecified(host)
}

// distinct complains when two doors of this process would listen on the same address.
func (l *loader) distinct(path, addr, other, otherAddr string) {
	host, port, err := net.SplitHostPort(addr)
	otherHost, otherPort, otherErr := net.SplitHostPort(otherAddr)
	if err != nil || otherErr != nil || port != otherPort || port == "0" {
		return
	}
	if host == otherHost || unspecified(host) || unspecified(otherHost) {
		l.refuse(path, "is %s, where %s listens already, at %s", addr, other, otherAddr)
	}
}

// privacy are the rules about who may listen in: off loopback nothing goes unencrypted that the operator has not agreed to.
func (l *loader) privacy() {
	c := &l.cfg.Cluster
	key, err := c.Key()
	if err != nil {
		l.refuse("cluster.gossip_key", "%v", err)
	}
	open := !c.Plain && key == nil && !l.bad["cluster.gossip_key"]
	if path, addr := offLoopback("cluster.bind", c.Bind, "cluster.advertise", c.Advertise); open && path != "" {
		l.refuse(path, "is %s, which other machines reach, and cluster.gossip_key is empty: give a key (openssl rand -base64 32), "+
			"or agree to unencrypted gossip by cluster.plain: true", addr)
	}
	l.remoteTLS()
	open = !c.Plain && !c.Remote.TLS.Used()
	if path, addr := offLoopback("cluster.remote.bind", c.Remote.Bind, "cluster.remote.advertise", c.Remote.Advertise); open && path != "" {
		l.refuse(path, "is %s, which other machines reach, and cluster.remote.tls is empty: give cert, key and ca, "+
			"or agree to unencrypted requests between nodes by cluster.plain: true", addr)
	}
}

func (l *loader) remoteTLS() {
	const section = "cluster.remote.tls"
	t := l.cfg.Cluster.Remote.TLS
	if t.Used() && (t.Cert == "" || t.Key == "" || t.CA == "") {
		l.incomplete(section, t, "cert, key and ca")
		return
	}
	if !l.files(section, t) || !t.Used() {
		return
	}
	if err := t.proves(); err != nil {
		l.refuse(section+".cert", "would be refused by the other nodes: %v", err)
	}
}

// offLoopback names the first of two keys whose address other machines reach; "" when neither is one.
func offLoopback(bindKey, bind, advertiseKey, advertise string) (path, addr string) {
	for _, k := range []keyText{{bindKey, bind}, {advertiseKey, advertise}} {
		if host, _, err := net.SplitHostPort(k.text); err == nil && !loopback(host) {
			return k.path, k.text
		}
	}
	return "", ""
}

// incomplete complains at the first file that is given: the others are missing.
func (l *loader) incomplete(section string, t TLS, want string) {
	for _, k := range tlsKeys(section, t) {
		if k.text != "" {
			l.refuse(k.path, "is given, but %s needs %s together", section, want)
			return
		}
	}
}

// files reports whether the files of a TLS section are there, can be read as what they should be, and fit each other; it has
// complained if not.
func (l *loader) files(section string, t TLS) bool {
	for _, k := range tlsKeys(section, t) {
		if !l.readable(k.path, k.text) {
			return false
		}
	}
	if _, err := (TLS{CA: t.CA}).Load(); err != nil {
		l.refuse(section+".ca", "cannot be used: %v", err)
		return false
	}
	if t.Cert == "" || t.Key == "" {
		return true
	}
	if _, err := tls.LoadX509KeyPair(t.Cert, t.Key); err != nil {
		l.refuse(section+".cert", "cannot be used: %v", err)
		return false
	}
	return true
}

func tlsKeys(section string, t TLS) []keyText {
	return []keyText{{section + ".cert", t.Cert}, {section + ".key", t.Key}, {section + ".ca", t.CA}}
}

// readable reports whether the file that a key names is there, and has complained if not. No name is no file to miss.
func (l *loader) readable(path, file string) bool {
	if file == "" {
		return true
	}
	message := unreadable(file)
	if message != "" {
		l.refuse(path, "%s", message)
	}
	return message == ""
}
