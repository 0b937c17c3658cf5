package cluster_test

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"orderyard/cluster/registry"
)

// serveCluster starts three servers that replicate.
func serveCluster(t *testing.T) (*yard, []*server.Server) {
	var routes []*url.URL
	ports := make([]int, 3)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ports[i] = l.Addr().(*net.TCPAddr).Port
		routes = append(routes, &url.URL{Scheme: "nats", Host: l.Addr().String()})
		l.Close()
	}
	y := &yard{t: t, log: &logbook{}}
	servers := make([]*server.Server, 3)
	for i := range servers {
		srv, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprintf("s%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT,
			JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
			Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: ports[i]}, Routes: routes,
		})
		y.must(err)
		go srv.Start()
		t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
		servers[i] = srv
	}
	for _, srv := range servers {
		if !srv.ReadyForConnections(soon) {
			t.Fatal("a server is not ready")
		}
		y.urls += srv.ClientURL() + ","
	}
	y.urls = y.urls[:len(y.urls)-1]
	eventually(t, "the servers find each other", func() bool { // only the leader of the meta group knows its peers
		return slices.ContainsFunc(servers, func(s *server.Server) bool { return len(s.JetStreamClusterPeers()) == 3 })
	})
	return y, servers
}

// Proves on three servers that the death of the one that leads the buckets costs no partition its owner: sessions lapse while the others
// elect, everybody answers pings, and nobody is declared dead; and that afterwards a node that was killed is found out as ever.
func TestReplicated(t *testing.T) {
	if testing.Short() {
		t.Skip("three servers")
	}
	y, servers := serveCluster(t)
	defer func() {
		if t.Failed() {
			y.dump()
		}
	}()
	a, b, c := three(y)
	settle()
	before := a.Map().Owners
	for _, srv := range servers {
		if srv.JetStreamIsStreamLeader("$G", "KV_"+registry.BucketSessions) {
			srv.Shutdown()
			break
		}
	}
	began := time.Now()
	time.Sleep(testTTL)
	for _, n := range []*node{a, b, c} {
		eventually(t, "the lease is back", n.Lease)
	}
	t.Logf("leases are back after %s", time.Since(began))
	time.Sleep(testTTL * 2)
	for p, o := range b.Map().Owners {
		if !sameOwner(o, before[p]) {
			t.Errorf("partition %d: %v, was %v", p, o, before[p])
		}
	}
	if y.logged("member proven dead") > 0 || len(b.Map().Members) != 3 {
		t.Error("somebody was declared dead")
	}
	c.kill()
	began = time.Now()
	a.Suspect("c")
	eventually(t, "two serve in equal parts", func() bool { return balanced(a, b) })
	t.Logf("after a kill two serve everything in %s", time.Since(began))
}
