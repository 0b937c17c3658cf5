//go:build linux

package world

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestMain(m *testing.M) { Main(m, Clean) }

func bare(t *testing.T) *World {
	w := &World{Dir: t.TempDir(), t: t, o: Options{Partitions: 32}}
	t.Cleanup(func() {
		for _, p := range w.processes() {
			p.Kill()
		}
	})
	return w
}

// TestServerLives proves that a NATS server keeps what it acknowledged through kill -9 and a start on the same store and address, and that
// one that is paused says nothing until it is resumed.
func TestServerLives(t *testing.T) {
	w := bare(t)
	if err := w.startServers(1); err != nil {
		t.Fatal(err)
	}
	s := w.Servers[0]
	publish := func() error {
		nc, err := nats.Connect(w.URL(), nats.NoReconnect(), nats.Timeout(time.Second))
		if err != nil {
			return err
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			return err
		}
		if _, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
			return err
		}
		_, err = js.Publish(t.Context(), "s", []byte("x"))
		return err
	}
	if err := publish(); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if s.Alive() || publish() == nil {
		t.Fatal("it lives on")
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if err := publish(); err != nil {
		t.Fatal(err)
	}
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	if publish() == nil {
		t.Error("a paused server answers")
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := publish(); err != nil {
		t.Error(err)
	}
	if err := s.Terminate(10 * time.Second); err != nil || s.ExitCode() != 0 {
		t.Errorf("%v, exit %d", err, s.ExitCode())
	}
}

// TestWires proves that a cut is felt in both directions, only between the two, without a word, and that it can be mended.
func TestWires(t *testing.T) {
	if err := NamespacesAllowed(); err != nil {
		t.Skip(err)
	}
	w := bare(t)
	w.o.Namespaces = true
	var err error
	if w.wires, err = newWires(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.wires.remove)
	for i := range 3 { // each alone: it is about wires
		name := fmt.Sprintf("nats-%d", i+1)
		at, err := w.place(name, natsAddress+i)
		if err != nil {
			t.Fatal(err)
		}
		s := &Server{w: w, place: at, o: natsOptions{Name: name, Host: at.addr, Port: at.port(4222), Dir: w.Store(name)}}
		w.Servers = append(w.Servers, s)
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}
	// Who reaches whom: a server's own namespace is the vantage point, its neighbor's port the target.
	reaches := func(from, to *Server) bool {
		script := "exec 3<>/dev/tcp/" + to.o.Host + "/4222 && head -c 4 <&3"
		p, err := start(w.Dir, "try", nil, from.place.argv("timeout", "1", "bash", "-c", script)...)
		if err != nil {
			t.Fatal(err)
		}
		<-p.Ended()
		return strings.Contains(p.Said(), "INFO")
	}
	a, b, c := w.Servers[0], w.Servers[1], w.Servers[2]
	if !reaches(a, b) || !reaches(b, a) || !reaches(a, c) {
		t.Fatal("the wires do not work")
	}
	if err := w.Cut("nats-1", "nats-2"); err != nil {
		t.Fatal(err)
	}
	if reaches(a, b) || reaches(b, a) || !reaches(a, c) || !reaches(c, b) {
		t.Error("the cut is not between the two, or not only there")
	}
	if err := w.Mend("nats-1", "nats-2"); err != nil {
		t.Fatal(err)
	}
	if !reaches(a, b) || !reaches(b, a) {
		t.Error("the mended wire does not work")
	}
}

// TestChildrenEnd proves that a child that ends by itself is noticed, with what it said.
func TestChildrenEnd(t *testing.T) {
	p, err := start(t.TempDir(), "child", os.Environ(), "sh", "-c", "echo ready; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Await("ready", 5*time.Second); err != nil {
		t.Error(err)
	}
	if err := p.Await("more", 5*time.Second); err == nil || !strings.Contains(err.Error(), "ended before") {
		t.Error(err)
	}
	if p.Kill(); p.ExitCode() != 3 {
		t.Errorf("exit %d", p.ExitCode())
	}
}

// TestMetrics proves that numbers are read from the text format, labels added up.
func TestMetrics(t *testing.T) {
	got := parseMetrics("# HELP a b\n# TYPE a counter\na 3\nb{x=\"1 2\"} 1.5\nb{x=\"3\"} 2e3\nbroken\n")
	if got["a"] != 3 || got["b"] != 2001.5 || len(got) != 2 {
		t.Errorf("%v", got)
	}
}
