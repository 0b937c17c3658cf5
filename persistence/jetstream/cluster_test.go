package jetstream_test

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"orderyard/persistence"
	"orderyard/persistence/jetstream"
)

// serveCluster starts three servers that replicate, and a connection that knows them all.
func serveCluster(t *testing.T) ([]*server.Server, *nats.Conn) {
	var routes []*url.URL
	ports := make([]int, 3)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ports[i] = l.Addr().(*net.TCPAddr).Port
		defer l.Close()
		routes = append(routes, &url.URL{Scheme: "nats", Host: l.Addr().String()})
		l.Close()
	}
	servers := make([]*server.Server, 3)
	urls := ""
	for i := range servers {
		srv, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprintf("s%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT,
			JetStream: true, StoreDir: t.TempDir(), SyncAlways: true, NoSigs: true, NoLog: true, MaxPayload: 8 << 20,
			Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: ports[i]}, Routes: routes,
		})
		if err != nil {
			t.Fatal(err)
		}
		go srv.Start()
		t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
		servers[i] = srv
	}
	for _, srv := range servers {
		if !srv.ReadyForConnections(20 * time.Second) {
			t.Fatal("a server is not ready")
		}
		urls += srv.ClientURL() + ","
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		// Only the leader of the meta group knows its peers.
		if slices.ContainsFunc(servers, func(s *server.Server) bool { return len(s.JetStreamClusterPeers()) == 3 }) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the servers do not find each other")
		}
	}
	nc, err := nats.Connect(urls[:len(urls)-1], nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectBufSize(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return servers, nc
}

// openReplicated opens a store of three replicas as soon as the cluster can make one.
func openReplicated(t *testing.T, nc *nats.Conn) *jetstream.Store {
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		s, err := jetstream.Open(t.Context(), nc, jetstream.Options{Replicas: 3})
		if err == nil {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// Proves on three replicas that a log goes on through leaders that step down and one that dies, doubling and losing nothing that was acknowledged, and
// that a rival fences it.
func TestReplicated(t *testing.T) {
	if testing.Short() {
		t.Skip("three servers")
	}
	servers, nc := serveCluster(t)
	s := openReplicated(t, nc)
	l := persistence.OpenLog(s, 0, persistence.LogOptions{Node: "a", AppendTimeout: time.Second})
	if err := errors.Join(l.Recover(t.Context(), persistence.Manifest{}, nil), l.Takeover(t.Context(), nil)); err != nil {
		t.Fatal(err)
	}
	const n = 240
	for i := range n {
		switch {
		case i == 200: // the leader dies
			for _, srv := range servers {
				if srv.JetStreamIsStreamLeader("$G", jetstream.StreamJournal) {
					srv.Shutdown()
					break
				}
			}
		case i%40 == 20: // while an append is under way
			go nc.Request("$JS.API.STREAM.LEADER.STEPDOWN."+jetstream.StreamJournal, nil, time.Second) //nolint:errcheck // as it comes
		}
		if _, err := l.Append(t.Context(), fmt.Append(nil, i)); err != nil {
			t.Fatalf("append %d: %v", i, err)
		}
	}
	t.Logf("%+v", l.Stats())
	rival := persistence.OpenLog(s, 0, persistence.LogOptions{Node: "b", HighWater: persistence.Mark{Position: l.Position(), Number: l.Number()}})
	next := 0
	err := rival.Recover(t.Context(), persistence.Manifest{}, func(_ uint64, payload []byte) error {
		if string(payload) != fmt.Sprint(next) {
			t.Fatalf("payload %d is %q", next, payload)
		}
		next++
		return nil
	})
	if err != nil || next != n {
		t.Fatalf("%d payloads, %v", next, err)
	}
	if err := rival.Takeover(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), []byte("zombie")); !errors.Is(err, persistence.ErrFenced) {
		t.Fatalf("the former owner was told %v", err)
	}
}
