package test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/persistence/jetstream/embedded"
)

// member is one running `orderyard node`.
type member struct {
	t      testing.TB
	name   string
	cmd    *exec.Cmd
	stderr *tail
	ready  chan struct{}
	ended  chan struct{}
}

// join starts a node on a loopback address of its own; number must be used once at a time. env is the environment beside the plain one.
func join(t testing.TB, url string, number int, env ...string) *member {
	t.Helper()
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir, ip := t.TempDir(), fmt.Sprintf("127.0.77.%d", number)
	m := &member{t: t, name: fmt.Sprintf("n%d", number), stderr: &tail{}, ready: make(chan struct{}), ended: make(chan struct{})}
	config := fmt.Sprintf("node: {name: %s, data: %q}\nnats: {url: %q}\nhttp: {addr: \"%s:27780\"}\npartitions: 8\nlog: {level: warn}\n"+
		"cluster: {bind: \"%s:27746\", remote: {bind: \"%s:27747\"}, seeds: [\"127.0.77.1:27746\", \"127.0.77.2:27746\"]}\n", m.name, dir, url, ip, ip, ip)
	file := filepath.Join(dir, "node.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	m.cmd = exec.Command(program, "node", "--config", file)
	m.cmd.Env, m.cmd.Stderr = append(plainEnv(), env...), m.stderr
	stdout, err := m.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(m.ended)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if strings.Contains(lines.Text(), "is ready") {
				close(m.ready)
			}
		}
		_ = m.cmd.Wait() // its state tells how it ended
	}()
	t.Cleanup(func() {
		_ = m.cmd.Process.Kill()
		<-m.ended
		for _, word := range []string{"DATA RACE", "panic"} {
			if strings.Contains(m.stderr.String(), word) {
				t.Errorf("node %s: %s", m.name, word)
			}
		}
		if t.Failed() {
			t.Logf("node %s said:\n%s", m.name, m.stderr)
		}
	})
	return m
}

func (m *member) isReady() *member {
	m.t.Helper()
	select {
	case <-m.ready:
	case <-m.ended:
		m.t.Fatalf("node %s ended before it was ready", m.name)
	case <-time.After(readyIn):
		m.t.Fatalf("node %s is not ready within %v", m.name, readyIn)
	}
	return m
}

// leave stops the node as an operator does and wants a clean end.
func (m *member) leave() {
	m.t.Helper()
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		m.t.Fatal(err)
	}
	select {
	case <-m.ended:
	case <-time.After(endsIn):
		m.t.Fatalf("node %s did not leave within %v", m.name, endsIn)
	}
	if code := m.cmd.ProcessState.ExitCode(); code != 0 {
		m.t.Errorf("node %s ended with %d", m.name, code)
	}
}

// clusterStatus asks whatever node answers.
func clusterStatus(nc *nats.Conn) *wire.ClusterStatus {
	m, err := nc.Request(messages.ClusterSubject("status"), nil, 2*time.Second)
	if err != nil {
		return nil
	}
	var a wire.ClusterStatusAnswer
	if wire.DecodeAnswer(m.Data, &a) != nil {
		return nil
	}
	return a.Cluster
}

// placeSurely repeats an order until it is acknowledged: after a moment without an answer, for a door may die with a request in its hands,
// and when the answer says so.
func placeSurely(nc *nats.Conn, o wire.Order) error {
	body, err := wire.Encode(o)
	if err != nil {
		return err
	}
	for end := time.Now().Add(2 * answerIn); ; {
		m, err := nc.Request(messages.PlaceSubject(o.Channel), body, time.Second)
		if err == nil {
			a, err := read[wire.OrderReceipt](m)
			if err != nil || a.failure == nil {
				return err
			}
			if !a.failure.Retryable {
				return a.failure
			}
		}
		if time.Now().After(end) {
			return fmt.Errorf("not acknowledged within %v: %w", 2*answerIn, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestNodesComeAndGo proves that orders go on while nodes come and go, by real processes: one node takes orders, two more join, one is killed
// with kill -9, one is told to leave. Clients repeat what is retryable under the same command id; no other failure may be seen, every acknowledged order
// must exist exactly once on whatever node, and the journal must keep every invariant.
func TestNodesComeAndGo(t *testing.T) {
	server, err := embedded.Start(embedded.Options{Dir: t.TempDir(), SyncAlways: true})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown()
	first := join(t, server.ClientURL(), 1).isReady()
	nc, err := nats.Connect(server.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	applySite(t, nc, site(1, nil))
	applySite(t, nc, site(2, nil))
	for i := range 4 {
		for s := 1; s <= 2; s++ {
			setStock(t, nc, fmt.Sprintf("SKU-%d", i), site(s, nil).ID, 1_000_000)
		}
	}

	var placed atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for c := range 4 {
		clients.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				o := order(fmt.Sprintf("c%d-%d", c, i), 1, fmt.Sprintf("SKU-%d", i%4))
				if err := placeSurely(nc, o); err != nil {
					t.Errorf("order %s: %v", o.ExternalID, err)
					return
				}
				placed.Add(1)
			}
		})
	}
	some := func(what string) {
		t.Helper()
		from := placed.Load()
		eventually(t, answerIn, func() string {
			if placed.Load() < from+50 {
				return what + ": orders do not go on"
			}
			return ""
		})
	}
	settled := func(nodes int) {
		t.Helper()
		eventually(t, answerIn, func() string {
			s := clusterStatus(nc)
			if s == nil || len(s.Nodes) != nodes || s.Owned != s.Partitions {
				return fmt.Sprintf("not settled with %d nodes: %+v", nodes, s)
			}
			for _, n := range s.Nodes {
				if n.Partitions < s.Partitions/nodes || n.Partitions > s.Partitions/nodes+1 {
					return fmt.Sprintf("not balanced: %+v", s.Nodes)
				}
			}
			return ""
		})
	}
	some("one node")
	second, third := join(t, server.ClientURL(), 2).isReady(), join(t, server.ClientURL(), 3).isReady()
	settled(3)
	some("three nodes")
	for i := range 30 { // counted through one door, ordered through another in the same moment
		sku := fmt.Sprintf("NEW-%d", i)
		setStock(t, nc, sku, site(1, nil).ID, 10)
		if err := placeSurely(nc, order(fmt.Sprintf("new-%d", i), 1, sku)); err != nil {
			t.Errorf("a SKU counted a moment ago: %v", err)
		}
		placed.Add(1)
	}
	_ = second.cmd.Process.Kill()
	<-second.ended
	settled(2)
	some("after kill -9")
	first.leave()
	settled(1)
	some("after one has left")
	close(stop)
	clients.Wait()
	rest(t, nc, time.Minute)
	if n := len(rows(t, nc, wire.ListFilter{})); int64(n) != placed.Load() {
		t.Errorf("%d orders are listed, %d were acknowledged", n, placed.Load())
	}
	(&house{t: t, url: server.ClientURL()}).verify()
	third.leave()
}
