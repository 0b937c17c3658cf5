package api

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// TestProbes proves that a living process that does not serve yet says so and why, that metrics are those handed in, and that a
// stopped door is closed.
func TestProbes(t *testing.T) {
	ready := errors.New("3 of 8 partitions recover")
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "orderyard_test_total", Help: "x"})
	registry.MustRegister(counter)
	counter.Inc()
	s, err := Start(Options{Addr: "127.0.0.1:0", Ready: func() error { return ready }, Gatherer: registry})
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + s.Addr()
	for _, c := range []struct {
		path   string
		status int
		holds  string
	}{
		{"/livez", 200, "ok"}, {"/readyz", 503, "3 of 8"}, {"/metrics", 200, "orderyard_test_total 1"}, {"/else", 404, ""},
	} {
		if status, body := get(t, base+c.path); status != c.status || !strings.Contains(body, c.holds) {
			t.Errorf("%s: %d %s", c.path, status, body)
		}
	}
	ready = nil
	if status, _ := get(t, base+"/readyz"); status != 200 {
		t.Errorf("ready: %d", status)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := http.Get(base + "/livez"); err == nil {
		t.Error("still open after Stop")
	}
}

// TestReadiness proves that a node which drains is alive, tells all its reasons for taking nothing new, and is ready again without them.
func TestReadiness(t *testing.T) {
	var reason atomic.Pointer[error]
	s, err := Start(Options{Addr: "127.0.0.1:0", Ready: func() error {
		if err := reason.Load(); err != nil {
			return *err
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop(context.Background())
	base := "http://" + s.Addr()
	both := errors.Join(errors.New("this node drains"), errors.New("3 partitions are on their way"))
	for _, c := range []struct {
		reason *error
		status int
		holds  []string
	}{{nil, 200, []string{"ok"}}, {&both, 503, []string{"this node drains", "3 partitions"}}, {nil, 200, []string{"ok"}}} {
		reason.Store(c.reason)
		status, body := get(t, base+"/readyz")
		if status != c.status {
			t.Errorf("ready: %d %s, want %d", status, body, c.status)
		}
		for _, part := range c.holds {
			if !strings.Contains(body, part) {
				t.Errorf("ready: %q does not say %q", body, part)
			}
		}
		if status, _ := get(t, base+"/livez"); status != 200 {
			t.Errorf("live: %d", status)
		}
	}
}

// TestStatus proves that the cluster's status is served as JSON where there is one, that one which cannot be written is the house's
// own fault, one that is not known yet nobody's, and that nothing here takes an order from a caller.
func TestStatus(t *testing.T) {
	var status any = map[string]any{"nodes": []string{"n1", "n2"}, "draining": false}
	s, err := Start(Options{Addr: "127.0.0.1:0", Status: func() any { return status }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop(context.Background())
	url := "http://" + s.Addr() + "/v1/cluster"
	if code, body := get(t, url); code != 200 || body != `{"draining":false,"nodes":["n1","n2"]}`+"\n" {
		t.Errorf("%d %s", code, body)
	}
	for _, path := range []string{"/v1/cluster", "/readyz", "/livez", "/drain"} {
		r, err := http.Post("http://"+s.Addr()+path, "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != http.StatusMethodNotAllowed && r.StatusCode != http.StatusNotFound {
			t.Errorf("POST %s: %d", path, r.StatusCode)
		}
	}
	status = make(chan int)
	if code, _ := get(t, url); code != 500 {
		t.Errorf("%d for what cannot be written", code)
	}
	status = nil
	if code, body := get(t, url); code != 503 || !strings.Contains(body, "joining") {
		t.Errorf("%d %s while nothing is known", code, body)
	}
	none, err := Start(Options{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer none.Stop(context.Background())
	if code, _ := get(t, "http://"+none.Addr()+"/v1/cluster"); code != 404 {
		t.Errorf("%d without a status", code)
	}
}

// TestProfiles proves that a node can be profiled where the operator has said so and nowhere else, and that a profile may take longer than any other answer: here
// a second where others have a fifth of that. A stopping door does not wait for it.
func TestProfiles(t *testing.T) {
	short := limits{read: 100 * time.Millisecond, write: 200 * time.Millisecond}
	s, err := start(Options{Addr: "127.0.0.1:0", Profile: true}, short)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop(context.Background())
	base := "http://" + s.Addr() + "/debug/pprof/"
	for _, c := range []struct{ path, holds string }{
		{"", "goroutine"}, {"goroutine?debug=1", "TestProfiles"}, {"heap?debug=1", "heap profile"}, {"cmdline", "api.test"}, {"symbol", "num_symbols"}, {"trace?seconds=0.3", "go 1."},
		{"heap?seconds=1", ""},
	} {
		if status, body := get(t, base+c.path); status != 200 || !strings.Contains(body, c.holds) {
			t.Errorf("%s: %d %.200q", c.path, status, body)
		}
	}
	began := time.Now()
	status, body := get(t, base+"profile?seconds=1")
	if took := time.Since(began); status != 200 || len(body) == 0 || took < time.Second {
		t.Errorf("a profile of a second: %d, %d bytes after %v", status, len(body), took)
	}
	answered := make(chan int)
	go func() {
		r, err := http.Get(base + "profile?seconds=60")
		if err != nil {
			answered <- 0
			return
		}
		r.Body.Close()
		answered <- r.StatusCode
	}()
	time.Sleep(100 * time.Millisecond) // most likely it runs by now; if not, it is refused
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Errorf("the door waits for a profile: %v", err)
	}
	if status := <-answered; status != 200 && status != 0 {
		t.Errorf("a profile that the end cut short: %d", status)
	}
	silent, err := Start(Options{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Stop(context.Background())
	for _, path := range []string{"", "heap", "profile?seconds=1", "cmdline"} {
		if status, _ := get(t, "http://"+silent.Addr()+"/debug/pprof/"+path); status != 404 {
			t.Errorf("%q without the option: %d", path, status)
		}
	}
}

// TestPortTaken proves that a door which cannot open says so at once.
func TestPortTaken(t *testing.T) {
	s, err := Start(Options{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop(context.Background())
	if _, err := Start(Options{Addr: s.Addr()}); err == nil {
		t.Error("two doors on one port")
	}
}

// TestAddressOfTheDying proves that a door gets the address of a process that is just ending: whoever is started again at once after kill -9 starts.
func TestAddressOfTheDying(t *testing.T) {
	old, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, func() { old.Close() })
	s, err := Start(Options{Addr: old.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
