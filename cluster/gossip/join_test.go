package gossip

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	protocluster "github.com/asynkron/protoactor-go/cluster"

	"orderyard/cluster"
	"orderyard/cluster/link"
	"orderyard/messages"
)

// These tests join for real. Every member is a process of its own, which is this test binary started again.

const envChild = "GOSSIP_TEST_CHILD"

func TestMain(m *testing.M) {
	if text := os.Getenv(envChild); text != "" {
		if err := child(text); err != nil {
			fmt.Println("failed", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// spec is what a child is to be.
type spec struct {
	ID    string
	Seeds []string
	Key   []byte
	Cert  string // files of certificate, key and CA; empty = plain
	CA    string
}

// child joins, opens links, and does what it is told line by line: who, ask <incarnation>, topology, suspects, bye.
func child(text string) error {
	var s spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	var view atomic.Pointer[cluster.Map]
	view.Store(&cluster.Map{Self: s.ID})
	suspects := make(chan string, 100)
	var topology atomic.Pointer[protocluster.ClusterTopology] // protoactor's own list races with whoever reads it
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	var links *link.Links
	o := Options{
		Incarnation: s.ID, Bind: "127.0.0.1:0", GossipBind: "127.0.0.1:0", Seeds: s.Seeds, Map: view.Load, Log: log,
		Suspect: func(id string) { suspects <- id },
		Limits:  Limits{RejoinEvery: 500 * time.Millisecond},
		Attach: func(system *actor.ActorSystem, addr string) (err error) {
			system.EventStream.Subscribe(func(event any) {
				if told, ok := event.(*protocluster.ClusterTopology); ok {
					topology.Store(told)
				}
			})
			links, err = link.Open(link.Options{
				Self: s.ID, Addr: addr, Map: view.Load, Wire: link.NewRemote(system, log), Log: log,
				Deliver: func(req messages.Request) {
					req.Done(&messages.Reply{Body: &messages.Reply_Order{Order: &messages.OrderReply{Message: s.ID}}})
				},
			})
			return err
		},
	}
	if len(s.Key) > 0 {
		o.Keys = [][]byte{s.Key}
	}
	if s.Cert != "" {
		cfg, err := loadTLS(s.Cert, s.CA)
		if err != nil {
			return err
		}
		o.TLS = cfg
	}
	g, err := Join(context.Background(), o)
	if err != nil {
		return err
	}
	fmt.Println("joined", g.GossipAddr())
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		word, rest, _ := strings.Cut(in.Text(), " ")
		switch word {
		case "who":
			var ids []string
			for _, m := range g.Members() {
				ids = append(ids, m.Incarnation)
			}
			fmt.Println(strings.Join(ids, " "))
		case "topology":
			var ids []string
			for _, m := range topology.Load().GetMembers() {
				ids = append(ids, m.Id)
			}
			slices.Sort(ids)
			fmt.Println(strings.Join(ids, " "))
		case "ask":
			fmt.Println(ask(g, links, &view, rest))
		case "suspects":
			fmt.Println(<-suspects)
		case "bye":
			links.Close()
			fmt.Println("bye", g.Shutdown(), g.Shutdown())
			return nil
		}
	}
	return in.Err()
}

// ask makes a member the owner of everything, asks it once, and gives who answered, or the code of the failure.
func ask(g *Gossip, links *link.Links, view *atomic.Pointer[cluster.Map], to string) string {
	m := &cluster.Map{Self: view.Load().Self, Members: g.Members(), Owners: make([]cluster.OwnerAt, 1)}
	m.Owners[0] = cluster.OwnerAt{PartitionOwner: &messages.PartitionOwner{Incarnation: to, Phase: messages.OwnerPhase_OWNER_OWNED}}
	old := view.Swap(m)
	defer view.Store(old)
	answer := make(chan *messages.Reply, 1)
	links.Router().Send(messages.Request{
		To: messages.OrderRef("1"), Command: &messages.GetOrder{}, Deadline: time.Now().Add(2500 * time.Millisecond).UnixMilli(),
		Done: func(r *messages.Reply) { answer <- r },
	})
	r := <-answer
	if f := r.GetFailure(); f != nil {
		return f.Code
	}
	return r.GetOrder().GetMessage()
}

// process is a child as the test sees it.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Scanner
	gossip string
}

func start(t *testing.T, s spec) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(exe)}
	p.cmd.Env = append(os.Environ(), envChild+"="+string(text))
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.in.Close()
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	return p
}

// joined waits until the process has joined.
func (p *process) joined() *process {
	p.t.Helper()
	if !p.out.Scan() {
		p.t.Fatal("the process has ended")
	}
	var ok bool
	if p.gossip, ok = strings.CutPrefix(p.out.Text(), "joined "); !ok {
		p.t.Fatal(p.out.Text())
	}
	return p
}

func (p *process) say(line string) string {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		p.t.Fatal(err)
	}
	if !p.out.Scan() {
		p.t.Fatalf("%s: the process has ended", line)
	}
	return p.out.Text()
}

func (p *process) says(line, want string) {
	p.t.Helper()
	got := ""
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if got = p.say(line); got == want {
			return
		}
	}
	p.t.Fatalf("%s: got %q, want %q", line, got, want)
}

// TestJoin proves that processes join through one seed, that memberlist and protoactor agree on who is there, that requests go from one
// to the other with mutual TLS and encrypted gossip, that kill -9 is noticed and suspected, and that a good-bye ends cleanly.
func TestJoin(t *testing.T) {
	ca := newCA(t)
	key := []byte("0123456789abcdef")
	one := func(id string, seeds ...string) *process {
		return start(t, spec{ID: id, Seeds: seeds, Key: key, Cert: ca.issue(id), CA: ca.file})
	}
	a := one("A").joined()
	b, c := one("B", "127.0.0.1:1", a.gossip), one("C", a.gossip)
	b.joined()
	c.joined()
	for _, p := range []*process{a, b, c} {
		p.says("who", "A B C")
		p.says("topology", "A B C")
	}
	if got := b.say("ask C"); got != "C" {
		t.Errorf("B asked C and got %s", got)
	}
	if got := c.say("ask A"); got != "A" {
		t.Errorf("C asked A and got %s", got)
	}
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*process{a, b} {
		p.says("who", "A B")
		p.says("topology", "A B")
		if got := p.say("suspects"); got != "C" {
			t.Errorf("suspected %s", got)
		}
	}
	if got := b.say("bye"); got != "bye <nil> <nil>" {
		t.Error(got)
	}
	a.says("topology", "A")
	if got := a.say("suspects"); got != "B" {
		t.Errorf("suspected %s", got)
	}
}

// TestForeignCertificate proves that a process whose certificate another CA signed is not talked to, in either direction, although
// it knows the gossip: TLS alone keeps it out.
func TestForeignCertificate(t *testing.T) {
	ours, theirs := newCA(t), newCA(t)
	a := start(t, spec{ID: "A", Cert: ours.issue("A"), CA: ours.file}).joined()
	x := start(t, spec{ID: "X", Cert: theirs.issue("X"), CA: theirs.file, Seeds: []string{a.gossip}}).joined()
	a.says("who", "A X")
	x.says("who", "A X")
	if got := a.say("ask X"); got != messages.CodeMoved && got != messages.CodeTimeout {
		t.Errorf("A asked X and got %s", got)
	}
	if got := x.say("ask A"); got != messages.CodeMoved && got != messages.CodeTimeout {
		t.Errorf("X asked A and got %s", got)
	}
	b := start(t, spec{ID: "B", Cert: ours.issue("B"), CA: ours.file, Seeds: []string{a.gossip}}).joined()
	a.says("who", "A B X")
	b.says("who", "A B X")
	if got := b.say("ask A"); got != "A" {
		t.Errorf("B asked A and got %s", got)
	}
}

// authority signs certificates for tests.
type authority struct {
	t    *testing.T
	dir  string
	file string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newCA(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.key = a.newKey()
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	a.file = filepath.Join(a.dir, "ca.pem")
	a.write(a.file, "CERTIFICATE", der)
	return a
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

func (a *authority) write(file, kind string, der []byte) {
	a.t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// issue writes <name>.pem and <name>.pem.key and gives the first.
func (a *authority) issue(name string) string {
	a.t.Helper()
	key := a.newKey()
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	file := filepath.Join(a.dir, name+".pem")
	a.write(file, "CERTIFICATE", der)
	text, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(file+".key", "EC PRIVATE KEY", text)
	return file
}

func loadTLS(cert, ca string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(cert, cert+".key")
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, RootCAs: pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}, nil
}
