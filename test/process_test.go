package test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// binary is the program under test, built once per run, when the first test needs it.
var binary = sync.OnceValues(func() (string, error) {
	name := filepath.Join(binaryDir, "orderyard")
	args := []string{"build", "-buildvcs=false", "-o", name}
	if raceBuild {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "orderyard/cmd/orderyard")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the binary: %w\n%s", err, out)
	}
	return name, nil
})

var binaryDir string

func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "orderyard-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binaryDir = dir
	return m.Run()
}

const (
	readyIn  = 30 * time.Second // of a start; a journal after kill -9 is read back in it
	endsIn   = 30 * time.Second // of a clean stop
	answerIn = 20 * time.Second // of one request, on a machine that others use too
)

// house is one running `orderyard dev`.
type house struct {
	t      testing.TB
	dir    string
	cmd    *exec.Cmd
	url    string
	ready  time.Duration // from start to ready
	stderr *tail
	stdout *tail
	ended  chan struct{} // closed when the process is gone
	conns  []*nats.Conn
}

// launch starts a child on dir without waiting for it. It is ended, at the latest, with the test.
func launch(t testing.TB, dir string, env ...string) (*house, <-chan string) {
	t.Helper()
	name, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, dir: dir, stderr: &tail{}, stdout: &tail{}, ended: make(chan struct{})}
	h.cmd = exec.Command(name, "dev", "--data", dir, "--nats-port", "0", "--http", "127.0.0.1:0", "--no-demo", "--no-fleet")
	h.cmd.Env = append(plainEnv(), env...)
	h.cmd.Stderr = h.stderr
	stdout, err := h.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	urls := make(chan string, 1)
	go func() {
		defer close(h.ended)
		defer close(urls)
		h.readReady(stdout, urls)
		_ = h.cmd.Wait() // its state tells how it ended
	}()
	t.Cleanup(func() {
		for _, word := range []string{"DATA RACE", "panic"} {
			if strings.Contains(h.stderr.String(), word) {
				t.Errorf("process %d: %s", h.cmd.Process.Pid, word)
			}
		}
		if said := h.stderr.String(); t.Failed() && said != "" {
			t.Logf("process %d said:\n%s", h.cmd.Process.Pid, said)
		}
		h.end()
	})
	return h, urls
}

// readReady passes the URL of the ready line on and reads the rest.
func (h *house) readReady(stdout io.Reader, urls chan<- string) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		fmt.Fprintln(h.stdout, lines.Text())
		if _, rest, ok := strings.Cut(lines.Text(), "ready: NATS "); ok {
			url, _, _ := strings.Cut(rest, " ")
			urls <- url
		}
	}
}

// open starts a child on dir and returns when it is ready.
func open(t testing.TB, dir string, env ...string) *house {
	t.Helper()
	began := time.Now()
	h, urls := launch(t, dir, env...)
	select {
	case url, ok := <-urls:
		if !ok {
			t.Fatalf("the process ended before it was ready:\n%s", h.stderr)
		}
		h.url, h.ready = url, time.Since(began)
	case <-time.After(readyIn):
		t.Fatalf("not ready within %v:\n%s", readyIn, h.stderr)
	}
	return h
}

// plainEnv is the environment without anything that would configure the child.
func plainEnv() []string {
	var env []string
	for _, one := range os.Environ() {
		if !strings.HasPrefix(one, "ORDERYARD_") {
			env = append(env, one)
		}
	}
	return env
}

// connect gives a connection that lives as long as the house.
func (h *house) connect() *nats.Conn {
	h.t.Helper()
	quiet := func(*nats.Conn, *nats.Subscription, error) {} // a connection that breaks is often the point
	nc, err := nats.Connect(h.url, nats.NoReconnect(), nats.Timeout(5*time.Second), nats.ErrorHandler(quiet))
	if err != nil {
		h.t.Fatalf("connect: %v", err)
	}
	h.conns = append(h.conns, nc)
	return nc
}

// kill ends the process as kill -9 does and returns when it is gone.
func (h *house) kill() {
	_ = h.cmd.Process.Kill()
	<-h.ended
	h.closeConns()
}

func (h *house) closeConns() {
	for _, nc := range h.conns {
		nc.Close()
	}
	h.conns = nil
}

// end makes sure that the process is gone.
func (h *house) end() {
	if h.alive() {
		h.kill()
	}
	h.closeConns()
}

func (h *house) alive() bool {
	select {
	case <-h.ended:
		return false
	default:
		return true
	}
}

// interrupt presses Ctrl-C and gives the exit code.
func (h *house) interrupt() int {
	h.t.Helper()
	if err := h.cmd.Process.Signal(os.Interrupt); err != nil {
		h.t.Fatalf("interrupt: %v", err)
	}
	select {
	case <-h.ended:
	case <-time.After(endsIn):
		h.t.Fatalf("did not stop within %v", endsIn)
	}
	h.closeConns()
	return h.cmd.ProcessState.ExitCode()
}

// again starts the next life on the same folder.
func (h *house) again(env ...string) *house {
	h.t.Helper()
	return open(h.t, h.dir, env...)
}

// run runs a client command of the binary and gives its exit code and both streams.
func run(t testing.TB, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	name, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = plainEnv(), &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", args, err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// report is what `orderyard verify -o json` prints.
type report struct {
	Entities   int               `json:"entities"`
	Commits    int64             `json:"commits"`
	Events     int64             `json:"events"`
	Settled    bool              `json:"settled"`
	Violations []json.RawMessage `json:"violations"`
	Busy       string            `json:"busy"`
}

// verify runs the invariant check of the binary over the house's journal: it must find nothing, with the yard at rest.
func (h *house) verify() report {
	h.t.Helper()
	code, out, errs := run(h.t, "verify", "-o", "json", "--settle", "20s", "--server", h.url)
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		h.t.Fatalf("verify: exit %d, %v\n%s%s", code, err, out, errs)
	}
	if code != 0 || !r.Settled || len(r.Violations) > 0 {
		h.t.Fatalf("verify: exit %d\n%s%s", code, out, errs)
	}
	h.t.Logf("verify: every invariant holds, settled; %d entities, %d events in %d commits", r.Entities, r.Events, r.Commits)
	return r
}

// tail keeps the end of a stream.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (l *tail) Write(b []byte) (int, error) {
	const most = 16 << 10
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	if cut := len(l.text) - most; cut > most {
		l.text = append(l.text[:0], l.text[cut:]...)
	}
	return len(b), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
