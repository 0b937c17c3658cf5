package configs

import (
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// check applies every rule of validity to the finished values.
func (l *loader) check() {
	for _, k := range l.keys {
		if message := k.check(); message != "" {
			l.refuse(k.path, "%s", message)
		}
	}
	l.names()
	l.servers()
	l.doors()
	l.privacy()
	l.lists()
	l.contradictions()
}

// refuse complains about a key's value at the place it was written; a default that is at fault has no place.
func (l *loader) refuse(path, format string, args ...any) {
	if l.bad[path] {
		return
	}
	at, written := l.from[path]
	if !written {
		at = Problem{Source: "default", Key: path}
	}
	l.complain(at, format, args...)
}

var token = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (l *loader) names() {
	c := &l.cfg
	if c.Node.Name == "" {
		l.hostName()
	} else if !token.MatchString(c.Node.Name) {
		l.refuse("node.name", "must be 1 to 64 letters, digits, '_' or '-', or empty for the host's name, not %q", c.Node.Name)
	}
	if c.Node.Data == "" {
		l.refuse("node.data", "must name a folder")
	}
	if c.HTTP.Addr != "" && !validAddr(c.HTTP.Addr) {
		l.refuse("http.addr", "must be host:port such as 127.0.0.1:8080, or empty for no HTTP, not %q", c.HTTP.Addr)
	}
	if c.HTTP.Profile && c.HTTP.Addr == "" {
		l.refuse("http.profile", "is true, but http.addr is empty: nothing would serve the profiles")
	}
	l.readable("routing.rules", c.Routing.Rules)
	l.readable("routing.shadow", c.Routing.Shadow)
}

// hostName names the node after its machine, as containers and pods have a name of their own anyway.
func (l *loader) hostName() {
	host, err := os.Hostname()
	name := strings.ReplaceAll(host, ".", "-")
	if err != nil || !token.MatchString(name) {
		l.refuse("node.name", "is empty, and the host's name %q cannot stand for it: give a name", host)
		return
	}
	l.cfg.Node.Name = name
}

func validAddr(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	n, err := strconv.Atoi(port)
	return err == nil && n >= 0 && n <= 65535
}

// listMax is how many entries a list of the contract may have (wire.BatchMax), and newWorkEighths how much of a door is for new work while
// admission is enabled. A test of the doors holds both against what a door does.
const listMax, newWorkEighths = 1000, 7

// lists: a door has room for the longest list, or it would refuse one for ever, in words that say to come back.
func (l *loader) lists() {
	least, why := listMax, ""
	if l.cfg.Admission.Enabled {
		least, why = (8*listMax+newWorkEighths-1)/newWorkEighths, ", and of this an eighth is not for new work while admission.enabled is true"
	}
	if have := l.cfg.Limits.InflightMax; have < least {
		l.refuse("limits.inflight_max", "is %d, below %d: a list has up to %d entries and goes in at once or never%s", have, least, listMax, why)
	}
}

// contradictions are the rules over two keys: the first must not be below the second.
func (l *loader) contradictions() {
	m, check := l.cfg.Limits, l.cfg.Checkpoint
	l.notBelow("limits.retry_max", "limits.retry_min", m.RetryMax < m.RetryMin, "pauses grow from one to the other")
	o := l.cfg.Routing.Opportunity
	l.notBelow("routing.opportunity.every", "routing.opportunity.within", o.Every < o.Within, "a computation would still run when the next one is due")
	l.notBelow("routing.opportunity.horizon", "routing.opportunity.every", o.Horizon < o.Every, "prices would be over before the next ones come")
	l.notBelow("routing.opportunity.half_life", "routing.opportunity.every", o.HalfLife < o.Every, "most orders would be forgotten before they count")
	l.notBelow("limits.partition_inflight_max", "limits.inflight_max", m.PartitionInflightMax < m.InflightMax, "one entity alone may use that much")
	a := l.cfg.Admission
	l.notBelow("admission.surge", "admission.target", a.Surge < a.Target, "less could queue than the target lets stand")
	l.notBelow("checkpoint.tail_bytes_max", "limits.commit_bytes_max", check.TailBytesMax < m.CommitBytesMax, "every commit would cause a checkpoint")
}

// notBelow complains when broken, at the key that the operator wrote: the larger one if both were or none was.
func (l *loader) notBelow(large, small string, broken bool, why string) {
	if !broken || l.bad[large] || l.bad[small] {
		return
	}
	_, wroteLarge := l.from[large]
	if _, wroteSmall := l.from[small]; wroteSmall && !wroteLarge {
		l.refuse(small, "is %v, above %s, which is %v: %s", l.value(small), large, l.value(large), why)
		return
	}
	l.refuse(large, "is %v, below %s, which is %v: %s", l.value(large), small, l.value(small), why)
}

func (l *loader) value(path string) any {
	for _, k := range l.keys {
		if k.path == path {
			return k.value.Interface()
		}
	}
	panic("configs: no key " + path)
}
