package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
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
