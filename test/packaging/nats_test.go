package packaging

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"orderyard/persistence/jetstream/embedded"
)

const (
	formedIn = time.Minute     // of three servers on a busy machine; they need a few seconds
	hungIn   = 8 * time.Second // what the runbook says of a node that hangs: after this NATS has noticed
)

// natsOptions reads a command line of nats-server the way its main function does, with the configuration where it lies here.
func natsOptions(t *testing.T, line []string) *server.Options {
	t.Helper()
	args := slices.Clone(line)
	i := slices.Index(args, "--config")
	if i < 0 || args[i+1] != "/etc/nats/nats.conf" {
		t.Fatalf("%q names no configuration", line)
	}
	args[i+1] = filepath.Join(root, "deploy/nats/nats.conf")
	none := func() { t.Errorf("%q asks for help", line) }
	o, err := server.ConfigureOptions(flag.NewFlagSet("nats-server", flag.ContinueOnError), args, none, none, none)
	if err != nil {
		t.Fatal(err)
	}
	if !o.SyncAlways || !o.JetStream || o.StoreDir != "/data" || o.Port != 4222 || o.HTTPPort != 8222 || o.Cluster.Port != 6222 ||
		o.Cluster.Name == "" || !o.Cluster.NoAdvertise || o.MaxPayload != embedded.MaxPayloadDefault {
		t.Errorf("%q gives %+v", line, o)
	}
	if o.PingInterval > hungIn/4 { // noticed after the third that is not answered
		t.Errorf("%q pings every %v: a node that hangs keeps its place at the doors for minutes", line, o.PingInterval)
	}
	return o
}

// TestNATSCluster proves deploy/nats/nats.conf and the command lines of docker-compose.yml by running them: three servers of the library,
// with only addresses and folders replaced, become one cluster that takes a stream of three copies; and the health check that the nodes
// wait for fails before that.
func TestNATSCluster(t *testing.T) {
	p := project(t)
	names := natsServices(p)
	ports := freePorts(t, len(names))
	var all []*server.Options
	for i, name := range names {
		s := p.Services[name]
		if s.Command[0] != "nats-server" {
			t.Fatalf("%s runs %q", name, s.Command)
		}
		o := natsOptions(t, s.Command[1:])
		if grace := time.Duration(*s.StopGracePeriod); s.StopSignal != "SIGUSR2" || grace < o.LameDuckDuration+o.LameDuckGracePeriod+10*time.Second {
			t.Errorf("%s: %s, killed after %v", name, s.StopSignal, grace)
		}
		if o.ServerName != name || s.Volumes[0].Target != o.StoreDir || s.Configs[0].Target != "/etc/nats/nats.conf" {
			t.Errorf("%s: named %s, volume %s, configuration %s", name, o.ServerName, s.Volumes[0].Target, s.Configs[0].Target)
		}
		if file := p.Configs[s.Configs[0].Source].File; filepath.Base(file) != "nats.conf" || filepath.Base(filepath.Dir(file)) != "nats" {
			t.Errorf("%s: its configuration is %s", name, file)
		}
		here(t, o, i, names, ports)
		all = append(all, o)
	}
	first := start(t, all[0])
	if code := health(t, first); code == http.StatusOK {
		t.Error("one server alone says that it is healthy")
	}
	servers := []*server.Server{first, start(t, all[1]), start(t, all[2])}
	deadline := time.Now().Add(formedIn)
	for _, s := range servers {
		for health(t, s) != http.StatusOK {
			if time.Now().After(deadline) {
				t.Fatalf("%s is not healthy after %v", s.Name(), formedIn)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	keepThrice(t, servers)
}

// here moves a server to this machine and a folder of the test; its routes are those to the others, by name.
func here(t *testing.T, o *server.Options, i int, names []string, ports []int) {
	t.Helper()
	var hosts []string
	for _, r := range o.Routes {
		if r.Port() != strconv.Itoa(o.Cluster.Port) {
			t.Errorf("route %s; the servers listen at %d", r, o.Cluster.Port)
		}
		hosts = append(hosts, r.Hostname())
	}
	if !slices.Equal(hosts, names) {
		t.Fatalf("routes lead to %q, servers are %q", hosts, names)
	}
	o.Routes = nil
	for j := range names {
		if j != i {
			o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[j]))})
		}
	}
	o.Host, o.Port, o.HTTPHost, o.HTTPPort = "127.0.0.1", server.RANDOM_PORT, "127.0.0.1", -1
	o.Cluster.Host, o.Cluster.Port = "127.0.0.1", ports[i]
	o.StoreDir, o.NoSigs, o.NoLog = t.TempDir(), true, true
}

func start(t *testing.T, o *server.Options) *server.Server {
	t.Helper()
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	log := &logger{t: t, name: o.ServerName}
	s.SetLoggerV2(log, false, false, false)
	go s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown(); log.end() })
	if !s.ReadyForConnections(formedIn) {
		t.Fatalf("%s does not take connections", o.ServerName)
	}
	return s
}

// logger shows what a server complains about, as long as its test runs.
type logger struct {
	t     *testing.T
	name  string
	mu    sync.Mutex
	ended bool
}

func (l *logger) say(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.t.Logf(l.name+": "+format, v...)
	}
}

func (l *logger) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
}

func (l *logger) Noticef(string, ...any)         {}
func (l *logger) Debugf(string, ...any)          {}
func (l *logger) Tracef(string, ...any)          {}
func (l *logger) Warnf(format string, v ...any)  { l.say(format, v...) }
func (l *logger) Errorf(format string, v ...any) { l.say(format, v...) }
func (l *logger) Fatalf(format string, v ...any) { l.say(format, v...) }

func health(t *testing.T, s *server.Server) int {
	t.Helper()
	r, err := http.Get(fmt.Sprintf("http://%s/healthz", s.MonitorAddr()))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	return r.StatusCode
}

func keepThrice(t *testing.T, servers []*server.Server) {
	t.Helper()
	conn, err := nats.Connect(servers[0].ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), formedIn)
	defer cancel()
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Replicas: len(servers)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(ctx, "s", make([]byte, 4<<20)); err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(ctx)
	if err != nil || info.State.Msgs != 1 || len(info.Cluster.Replicas) != len(servers)-1 {
		t.Errorf("%v, %+v", err, info)
	}
	if conn.MaxPayload() != embedded.MaxPayloadDefault || len(conn.DiscoveredServers()) != 0 {
		t.Errorf("largest message %d, other servers %q", conn.MaxPayload(), conn.DiscoveredServers())
	}
}

// freePorts finds ports for servers that must know each other's before they start. They lie below those that the system gives to
// outgoing connections: one of these would take a port away between here and its server's start, about once in a hundred runs.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	const low, span, triesMax = 12000, 18000, 200
	for range triesMax {
		port := low + rand.IntN(span)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		defer l.Close() // all at the end, so that none is given twice
		if ports = append(ports, port); len(ports) == n {
			return ports
		}
	}
	t.Fatalf("no %d free ports", n)
	return nil
}
