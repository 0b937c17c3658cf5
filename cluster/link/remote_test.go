package link

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"orderyard/cluster"
	"orderyard/cluster/bus"
	"orderyard/messages"
)

// These tests run over protoactor's remote. Every peer is a process of its own, which is this test binary started again: two remotes in
// one process race on gRPC's logger, and only a process can be killed.

const (
	envChild = "LINK_TEST_CHILD" // incarnation
	envBind  = "LINK_TEST_BIND"
	envAsker = "LINK_TEST_ASKER" // incarnation@address of the test
	envNATS  = "LINK_TEST_NATS"
	envDoor  = "LINK_TEST_DOOR" // address that others are to use
)

func TestMain(m *testing.M) {
	if id := os.Getenv(envChild); id != "" {
		child(id)
		return
	}
	os.Exit(m.Run())
}

// openRemote starts a remote and links over it. Every partition is the peer's.
func openRemote(system *actor.ActorSystem, o Options) *Links {
	o.Wire, o.Log = NewRemote(system, o.Log), slog.New(slog.NewTextHandler(io.Discard, nil))
	links, err := Open(o)
	if err != nil {
		panic(err)
	}
	return links
}

func newSystem() *actor.ActorSystem {
	return actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
}

func startRemote(system *actor.ActorSystem, bind, advertise string) {
	host, port, err := net.SplitHostPort(bind)
	if err != nil {
		panic(err)
	}
	var n int
	fmt.Sscan(port, &n)
	rc := remote.Configure(host, n, remote.WithAdvertisedHost(advertise), remote.WithEndpointWriterQueueSize(4096), remote.WithServerOptions(grpc.MaxRecvMsgSize(64<<20)),
		remote.WithDialOptions(grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20))))
	rc.MaxRetryCount = 1
	remote.NewRemote(system, rc).Start()
}

func freeAddr() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// child is the peer's process. It answers every request with its own incarnation, holds back what carries the note "hold", and ends
// with its standard input.
func child(id string) {
	bind := os.Getenv(envBind)
	if strings.HasSuffix(bind, ":0") {
		bind = freeAddr()
	}
	advertise := bind
	if door := os.Getenv(envDoor); door != "" {
		advertise = door
	}
	asker, addr, _ := strings.Cut(os.Getenv(envAsker), "@")
	view := &cluster.Map{Self: id, Members: []*messages.NodeSession{{Incarnation: asker, RemoteAddr: addr}}}
	o := Options{Self: id, Addr: advertise, Map: func() *cluster.Map { return view }, Deliver: func(req messages.Request) {
		if hold, ok := req.Command.(*messages.HoldOrder); ok && hold.Note == "hold" || req.Done == nil {
			return
		}
		req.Done(&messages.Reply{Body: &messages.Reply_Order{Order: &messages.OrderReply{OrderId: req.To.ID, Message: id}}})
	}}
	if url := os.Getenv(envNATS); url != "" {
		nc, err := nats.Connect(url)
		if err == nil {
			o.Detour, err = bus.Open(nc, id)
		}
		if err != nil {
			panic(err)
		}
	}
	system := newSystem()
	openRemote(system, o)
	startRemote(system, bind, advertise)
	fmt.Println("ready", bind)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// base is the one remote of this process.
var base = sync.OnceValues(func() (*actor.ActorSystem, string) {
	system := newSystem()
	addr := freeAddr()
	startRemote(system, addr, addr)
	return system, addr
})

// asker is the test's end of links to child processes.
type asker struct {
	t        testing.TB
	id, addr string
	links    *Links
	view     atomic.Pointer[cluster.Map]
	suspects chan string
}

var askers atomic.Int64

func newAsker(t testing.TB, limits Limits, detour func(self string) Fallback) *asker {
	system, addr := base()
	a := &asker{t: t, id: fmt.Sprint("ASKER", askers.Add(1)), addr: addr, suspects: make(chan string, 100)}
	a.view.Store(&cluster.Map{Self: a.id})
	o := Options{
		Self: a.id, Addr: addr, Map: a.view.Load, Deliver: func(messages.Request) {}, Limits: limits,
		Suspect: func(id string) { a.suspects <- id },
	}
	if detour != nil {
		o.Detour = detour(a.id)
	}
	a.links = openRemote(system, o)
	t.Cleanup(a.links.Close)
	return a
}

// owns makes a peer at an address the owner of everything.
func (a *asker) owns(id, addr string) {
	m := &cluster.Map{Self: a.id, Members: []*messages.NodeSession{{Incarnation: id, RemoteAddr: addr}}, Owners: make([]cluster.OwnerAt, partitions)}
	for i := range m.Owners {
		m.Owners[i] = cluster.OwnerAt{PartitionOwner: &messages.PartitionOwner{Incarnation: id, Phase: messages.OwnerPhase_OWNER_OWNED}}
	}
	a.view.Store(m)
	a.links.Update(m)
}

// process starts a peer and gives its address.
func (a *asker) process(id, bind string, env ...string) (*exec.Cmd, string) {
	a.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		a.t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), envChild+"="+id, envBind+"="+bind, envAsker+"="+a.id+"@"+a.addr)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		a.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		a.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() {
		in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if err != nil || !ok {
		a.t.Fatalf("the peer said %q, %v", line, err)
	}
	return cmd, addr
}

func (a *asker) ask(id string, command messages.Command) <-chan *messages.Reply {
	answer := make(chan *messages.Reply, 4)
	a.links.Router().Send(messages.Request{To: messages.OrderRef(id), Command: command, Done: func(r *messages.Reply) { answer <- r }})
	return answer
}

// raw asks without the router's retries.
func (a *asker) raw(id string, command messages.Command) <-chan *messages.Reply {
	answer := make(chan *messages.Reply, 4)
	req := messages.Request{To: messages.OrderRef(id), Command: command, Done: func(r *messages.Reply) { answer <- r }}
	if f := a.links.send(a.view.Load().Members[0], &req); f != nil {
		answer <- messages.Refuse(f)
	}
	return answer
}

func (a *asker) answeredBy(answer <-chan *messages.Reply, id string) {
	a.t.Helper()
	select {
	case r := <-answer:
		if r.GetOrder().GetMessage() != id {
			a.t.Fatalf("got %v, want an answer of %s", r, id)
		}
	case <-time.After(15 * time.Second):
		a.t.Fatal("no answer")
	}
}

func (a *asker) eventually(what string, ok func() bool) {
	a.t.Helper()
	for end := time.Now().Add(15 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			a.t.Fatalf("never happened: %s; %+v", what, a.links.Stats())
		}
	}
}

// TestRemoteKill proves, over the real remote, that requests are answered by another process, that the death of that process answers what
// was under way long before any time-out, and that its successor on the same port is not mistaken for it, by kill -9.
func TestRemoteKill(t *testing.T) {
	limits := DefaultLimits()
	limits.SilentMax = 20 * time.Second // so that only the end of the stream can be the reason
	a := newAsker(t, limits, nil)
	peer, addr := a.process("PEER1", "127.0.0.1:0")
	a.owns("PEER1", addr)
	var answers []<-chan *messages.Reply
	for i := range 1000 {
		answers = append(answers, a.ask(fmt.Sprint("web-", i), &messages.GetOrder{}))
	}
	for _, answer := range answers {
		a.answeredBy(answer, "PEER1")
	}
	answers = answers[:0]
	for i := range 100 {
		answers = append(answers, a.raw(fmt.Sprint("web-", i), &messages.HoldOrder{Note: "hold"}))
	}
	a.answeredBy(a.ask("after them", &messages.GetOrder{}), "PEER1") // so they have arrived
	if err := peer.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	for _, answer := range answers {
		select {
		case r := <-answer:
			if r.GetFailure().GetCode() != messages.CodeMoved {
				t.Fatalf("got %v", r)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no answer")
		}
	}
	t.Logf("answered %v after kill -9", time.Since(killed))
	if took := time.Since(killed); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	if id := <-a.suspects; id != "PEER1" {
		t.Errorf("suspected %s", id)
	}
	_ = peer.Wait()
	a.process("PEER2", addr) // the map does not know yet
	answer := a.ask("for PEER2, once the map knows", &messages.GetOrder{})
	a.eventually("a probe meets the successor", func() bool { return a.links.Stats().Probes >= 2 })
	a.owns("PEER2", addr)
	a.answeredBy(answer, "PEER2")
}

// TestRemoteDetour proves that requests reach their owner over NATS while its port is closed, and directly once it is open, by a port
// that is opened late and forwards to the peer. Then it is cut while requests go, and opened again.
func TestRemoteDetour(t *testing.T) {
	ns, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	go ns.Start()
	defer ns.Shutdown()
	if !ns.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS does not start")
	}
	nc, err := nats.Connect(ns.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	limits := DefaultLimits()
	limits.SilentMax, limits.ProbeEvery = 300*time.Millisecond, 100*time.Millisecond
	a := newAsker(t, limits, func(self string) Fallback {
		b, err := bus.Open(nc, self)
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
	door := &door{at: freeAddr()}
	defer door.close()
	_, door.to = a.process("PEER", "127.0.0.1:0", envNATS+"="+ns.ClientURL(), envDoor+"="+door.at)
	a.owns("PEER", door.at)
	a.answeredBy(a.ask("closed", &messages.GetOrder{}), "PEER")
	if s := a.links.Stats(); s.DetourBatches == 0 {
		t.Errorf("stats %+v", s)
	}
	for round := range 2 {
		if err := door.open(); err != nil {
			t.Fatal(err)
		}
		a.eventually("direct", func() bool { return a.links.Peers()[0].Direct })
		before := a.links.Stats()
		a.answeredBy(a.ask("open", &messages.GetOrder{}), "PEER")
		if s := a.links.Stats(); s.Batches == before.Batches || s.DetourBatches != before.DetourBatches {
			t.Errorf("round %d: stats %+v, before %+v", round, s, before)
		}
		door.close()
		a.answeredBy(a.ask("closed again", &messages.GetOrder{}), "PEER")
	}
	if s := a.links.Stats(); s.Heals < 2 || s.Breaks < 2 {
		t.Errorf("stats %+v", s)
	}
}

// door forwards one port to another while it is open.
type door struct {
	at, to string
	cancel context.CancelFunc
	ended  sync.WaitGroup
}

func (d *door) open() error {
	l, err := net.Listen("tcp", d.at)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	d.ended.Go(func() {
		<-ctx.Done()
		l.Close()
	})
	d.ended.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", d.to)
			if err != nil {
				in.Close()
				continue
			}
			for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
				d.ended.Go(func() { _, _ = io.Copy(pair[0], pair[1]) })
			}
			d.ended.Go(func() {
				<-ctx.Done()
				in.Close()
				out.Close()
			})
		}
	})
	return nil
}

// close ends every connection.
func (d *door) close() {
	if d.cancel != nil {
		d.cancel()
		d.ended.Wait()
		d.cancel = nil
	}
}
