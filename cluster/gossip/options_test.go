package gossip

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"

	protocluster "github.com/asynkron/protoactor-go/cluster"

	"orderyard/cluster"
	"orderyard/messages"
)

// TestJoinSaysWhatIsWrong proves that each thing an operator can get wrong is an error that names it, before anything is left open, by one
// wrong option at a time.
func TestJoinSaysWhatIsWrong(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for want, wrong := range map[string]func(*Options){
		"the map must be given":           func(o *Options) { o.Map = nil },
		"incarnation":                     func(o *Options) { o.Incarnation = "a b" },
		"gossip key 2 has 5 bytes":        func(o *Options) { o.Keys = [][]byte{make([]byte, 16), make([]byte, 5)} },
		"the cluster's name":              func(o *Options) { o.Cluster = strings.Repeat("c", 300) },
		`requests: listen address "x"`:    func(o *Options) { o.Bind = "x" },
		`port "99999"`:                    func(o *Options) { o.Bind = "127.0.0.1:99999" },
		`gossip: listen address`:          func(o *Options) { o.GossipBind = "no-such-host.invalid:1" },
		`requests: advertised address`:    func(o *Options) { o.Advertise = "0.0.0.0:1" },
		`gossip: advertised address "no"`: func(o *Options) { o.GossipAdvertise = "no" },
		"0.0.0.0:0 is every address":      func(o *Options) { o.Bind = "0.0.0.0:0" },
		"requests would go unencrypted":   func(o *Options) { o.Bind, o.Advertise = ":0", "127.0.0.1:1" },
		"gossip would go unencrypted": func(o *Options) {
			o.TLS, o.GossipBind, o.GossipAdvertise = &tls.Config{}, ":0", "127.0.0.1:1"
		},
		"listen for requests on " + taken.Addr().String(): func(o *Options) { o.Bind = taken.Addr().String() },
	} {
		o := Options{Incarnation: "A", Bind: "127.0.0.1:0", GossipBind: "127.0.0.1:0", Map: func() *cluster.Map { return &cluster.Map{} }}
		wrong(&o)
		if _, err := Join(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestGossipPortTaken proves that a taken gossip port is an error that names it, by taking it.
func TestGossipPortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	d, err := newDoor(t.Context(), "gossip", taken.Addr().String(), "")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Incarnation: "A", Map: func() *cluster.Map { return &cluster.Map{} }}
	if err := o.check(); err != nil {
		t.Fatal(err)
	}
	if _, err := newMembers(t.Context(), &o, d, &messages.NodeSession{Incarnation: "A"}, nil); err == nil || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Errorf("got %v", err)
	}
}

// TestDoor proves which address is bound and which is told, by a table.
func TestDoor(t *testing.T) {
	for _, c := range []struct{ bind, advertise, ip, addr string }{
		{"127.0.0.1:7", "", "127.0.0.1", "127.0.0.1:7"},
		{"localhost:7", "", "127.0.0.1", "127.0.0.1:7"},
		{":7", "node-1.yard:8", "0.0.0.0", "node-1.yard:8"},
		{"[::]:7", "[2001:db8::1]:8", "::", "[2001:db8::1]:8"},
	} {
		d, err := newDoor(t.Context(), "x", c.bind, c.advertise)
		if err != nil || d.ip.String() != c.ip || d.addr() != c.addr || d.port != 7 {
			t.Errorf("%s, %s: got %+v, %v", c.bind, c.advertise, d, err)
		}
	}
}

// TestIdentities proves that protoactor finds an entity at its partition's owner and nothing while there is none, by a map with one.
func TestIdentities(t *testing.T) {
	view := &cluster.Map{Self: "A", Members: []*messages.NodeSession{{Incarnation: "B", RemoteAddr: "10.0.0.2:7101"}}, Owners: make([]cluster.OwnerAt, 4)}
	owned := cluster.PartitionOf(messages.OrderRef("web-1"), 4)
	view.Owners[owned] = cluster.OwnerAt{PartitionOwner: &messages.PartitionOwner{Incarnation: "B", Phase: messages.OwnerPhase_OWNER_OWNED}}
	i := identities{func() *cluster.Map { return view }}
	if pid := i.Get(protocluster.NewClusterIdentity("web-1", "order")); pid.GetAddress() != "10.0.0.2:7101" || pid.GetId() != "orderyard-link" {
		t.Errorf("got %v", pid)
	}
	view.Members = nil
	for _, id := range []*protocluster.ClusterIdentity{
		protocluster.NewClusterIdentity("web-1", "order"), protocluster.NewClusterIdentity("web-1", "kettle"),
	} {
		if pid := i.Get(id); pid != nil {
			t.Errorf("%v: got %v", id, pid)
		}
	}
	view.Owners = nil
	if pid := i.Get(protocluster.NewClusterIdentity("web-1", "order")); pid != nil {
		t.Errorf("got %v", pid)
	}
}

// TestTopology proves that protoactor hears of a member while gossip or the arbiter has it, and under a new id when it has been away, by
// a life of one member.
func TestTopology(t *testing.T) {
	b := &messages.NodeSession{Incarnation: "B", RemoteAddr: "10.0.0.2:7101"}
	gossip := []member{{session: &messages.NodeSession{Incarnation: "A", RemoteAddr: "10.0.0.1:7101"}}}
	view := newTopology()
	for i, step := range []struct {
		gossip  bool
		arbiter bool
		want    string
	}{
		{false, false, "A"}, {true, false, "A B"}, {true, true, "A B"}, {false, true, "A B"}, {true, true, "A B"}, {true, false, "A B"},
		{false, false, "A"}, {false, true, "A B#2"}, {true, true, "A B#2"}, {false, false, "A"}, {true, false, "A B#3"},
	} {
		seen, living := gossip, []*messages.NodeSession(nil)
		if step.gossip {
			seen = append(seen, member{session: b})
		}
		if step.arbiter {
			living = append(living, b, &messages.NodeSession{Incarnation: "X", RemoteAddr: "nonsense"})
		}
		var ids []string
		for _, m := range view.next(seen, living) {
			ids = append(ids, m.Id)
		}
		if got := strings.Join(ids, " "); got != step.want {
			t.Errorf("step %d: got %s, want %s", i, got, step.want)
		}
	}
}
