package world

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// place is where a process lives: an address, and with namespaces a network of its own.
type place struct {
	name, addr string
	space      string // network namespace; "" = the machine's
	ports      map[int]int
}

// The last byte of addresses.
const (
	hostAddress = 254
	natsAddress = 201
	nodeAddress = 1
)

// argv puts a program into its place.
func (p place) argv(program ...string) []string {
	if p.space == "" {
		return program
	}
	return append([]string{"ip", "netns", "exec", p.space}, program...) // replaces itself by the program: the id stays
}

// port gives the usual port where the place has its address for itself, a free one otherwise; always the same one.
func (p place) port(usual int) int {
	if p.space != "" {
		return usual
	}
	if p.ports[usual] == 0 {
		p.ports[usual] = freePort(p.addr)
	}
	return p.ports[usual]
}

func freePort(addr string) int {
	l, err := net.Listen("tcp", net.JoinHostPort(addr, "0"))
	if err != nil {
		panic(fmt.Sprintf("no free port at %s: %v", addr, err))
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// place finds an address, and with namespaces lays a wire to it.
func (w *World) place(name string, last int) (place, error) {
	p := place{name: name, ports: map[int]int{}}
	if !w.o.Namespaces {
		p.addr = "127.0.0.1"
		if last < natsAddress {
			p.addr = fmt.Sprintf("127.0.0.%d", 10+last) // like machines of their own, to look at
		}
		return p, nil
	}
	p.addr, p.space = w.wires.address(last), w.wires.prefix+name
	return p, w.wires.lay(p, last)
}

// wires is a bridge on this machine with a network namespace at the end of every cable.
type wires struct {
	prefix string // of every name, so that what a killed run left behind is found
	bridge string
	net    string // "10.213.7."
	spaces []string
	cables []string
}

const wirePrefix = "oyf"

// NamespacesAllowed says whether this machine lets us cut wires, and why not.
func NamespacesAllowed() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("network namespaces need root")
	}
	name := fmt.Sprintf("%s%d-try", wirePrefix, os.Getpid())
	if err := ip("netns", "add", name); err != nil {
		return err
	}
	return ip("netns", "del", name)
}

func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// newWires makes the bridge. There is one at a time per process: rows run one after the other.
func newWires() (*wires, error) {
	pid := os.Getpid()
	x := &wires{
		prefix: fmt.Sprintf("%s%d-", wirePrefix, pid), bridge: fmt.Sprintf("%s%db", wirePrefix, pid), net: fmt.Sprintf("10.213.%d.", pid%250+1),
	}
	for _, args := range [][]string{
		{"link", "add", x.bridge, "type", "bridge"}, {"addr", "add", x.address(hostAddress) + "/24", "dev", x.bridge}, {"link", "set", x.bridge, "up"},
	} {
		if err := ip(args...); err != nil {
			x.remove()
			return nil, err
		}
	}
	return x, nil
}

func (x *wires) address(last int) string { return x.net + strconv.Itoa(last) }

// inside is the name of the cable's end within a namespace.
const inside = "wire"

func (x *wires) lay(p place, last int) error {
	x.spaces = append(x.spaces, p.space)
	outside := fmt.Sprintf("%s%dx%d", wirePrefix, os.Getpid(), last) // at most 15 letters, the kernel says
	x.cables = append(x.cables, outside)
	for _, args := range [][]string{
		{"netns", "add", p.space},
		{"link", "add", outside, "type", "veth", "peer", "name", inside, "netns", p.space},
		{"link", "set", outside, "master", x.bridge, "up"},
		{"-n", p.space, "addr", "add", p.addr + "/24", "dev", inside},
		{"-n", p.space, "link", "set", inside, "up"},
		{"-n", p.space, "link", "set", "lo", "up"},
	} {
		if err := ip(args...); err != nil {
			return err
		}
	}
	return nil
}

func (x *wires) remove() {
	for _, cable := range x.cables {
		_ = ip("link", "del", cable) // it would go with its namespace, but at a time of its own: the next row uses the name
	}
	for _, space := range x.spaces {
		_ = ip("netns", "del", space)
	}
	_ = ip("link", "del", x.bridge) // may be gone already
}

// sweep removes what runs left behind that were killed.
func sweep() {
	gone := func(name string) bool {
		digits := strings.TrimPrefix(name, wirePrefix)
		digits = digits[:len(digits)-len(strings.TrimLeft(digits, "0123456789"))]
		pid, err := strconv.Atoi(digits)
		return strings.HasPrefix(name, wirePrefix) && err == nil && syscall.Kill(pid, 0) == syscall.ESRCH
	}
	spaces, _ := os.ReadDir("/run/netns") // nothing there, nothing to do
	for _, s := range spaces {
		if gone(s.Name()) {
			_ = ip("netns", "del", s.Name())
		}
	}
	links, _ := net.Interfaces()
	for _, l := range links {
		if gone(l.Name) {
			_ = ip("link", "del", l.Name)
		}
	}
}

// nowhere is a hardware address that nobody has: what is sent there is lost without a word, as on a broken line.
const nowhere = "02:00:00:00:00:fe"

// cut parts two places in both directions; connections between them hang, none is refused.
func (w *World) cut(a, b place) error {
	for _, side := range [][2]place{{a, b}, {b, a}} {
		if err := ip("-n", side[0].space, "neigh", "replace", side[1].addr, "lladdr", nowhere, "nud", "permanent", "dev", inside); err != nil {
			return err
		}
	}
	return nil
}

// mend undoes cut.
func (w *World) mend(a, b place) error {
	for _, side := range [][2]place{{a, b}, {b, a}} {
		if err := ip("-n", side[0].space, "neigh", "del", side[1].addr, "dev", inside); err != nil {
			return err
		}
	}
	return nil
}
