package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"orderyard/configs"
)

// freeAddr is an address where nobody listens.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// probe asks one of a node's paths; 0 = nobody listens.
func probe(addr, path string) (int, string) {
	r, err := http.Get("http://" + addr + path)
	if err != nil {
		return 0, err.Error()
	}
	defer r.Body.Close()
	text, _ := io.ReadAll(r.Body) // what came tells
	return r.StatusCode, string(text)
}

// wantProbes holds the answers of some paths against what is wanted: a status and a part of the text.
func wantProbes(t *testing.T, when, addr string, want map[string]struct {
	status int
	part   string
}) {
	t.Helper()
	for path, w := range want {
		if status, text := probe(addr, path); status != w.status || !strings.Contains(text, w.part) {
			t.Errorf("%s: %s answers %d %.200q, want %d and %q", when, path, status, text, w.status, w.part)
		}
	}
}

type wanted = map[string]struct {
	status int
	part   string
}

// TestProbesOfAStart proves that a node which is still starting lives, is not ready and says what it does, so that nobody kills it for reading a large
// store; and that it is ready when its start is over. It is asked in the middle of its start, before and after its partitions are read back.
func TestProbesOfAStart(t *testing.T) {
	cfg := configs.Dev()
	cfg.Node.Data, cfg.NATS.Port, cfg.HTTP.Addr = t.TempDir(), 0, freeAddr(t)
	cfg.NATS.Sync = configs.SyncInterval // nothing here is about power loss
	y := newYard(cfg, slog.New(slog.DiscardHandler))
	_, err := open(t.Context(), y, func(ctx context.Context) error {
		wantProbes(t, "before the partitions are read", cfg.HTTP.Addr, wanted{
			"/livez": {200, "ok"}, "/readyz": {503, "starting"}, "/metrics": {200, "orderyard_ready 0"}, "/v1/cluster": {404, ""},
		})
		err := y.startAlone(ctx)
		wantProbes(t, "before the doors open", cfg.HTTP.Addr, wanted{"/livez": {200, "ok"}, "/readyz": {503, "2 of 2 partitions"}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer y.close()
	wantProbes(t, "after the start", cfg.HTTP.Addr, wanted{
		"/livez": {200, "ok"}, "/readyz": {200, "ok"}, "/metrics": {200, "orderyard_ready 1"}, "/v1/cluster": {404, ""},
	})
}

// TestProbesOfAJoin proves the same of a member: it says which partitions it waits for. This one waits for an owner that never comes, since it must not be one
// itself.
func TestProbesOfAJoin(t *testing.T) {
	cfg := configs.Default()
	cfg.Node.Data, cfg.Node.Weight, cfg.NATS.Port, cfg.HTTP.Addr, cfg.Partitions = t.TempDir(), 0, 0, freeAddr(t), 4
	cfg.NATS.Sync = configs.SyncInterval
	cfg.Cluster.Bind, cfg.Cluster.Remote.Bind = freeAddr(t), freeAddr(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		y, err := openMember(ctx, cfg, slog.New(slog.DiscardHandler))
		if err == nil {
			err = y.close()
		}
		ended <- err
	}()
	const want = "joining the cluster: 4 of 4 partitions are not served"
	for end := time.Now().Add(settleStill - time.Second); ; time.Sleep(time.Millisecond) {
		status, text := probe(cfg.HTTP.Addr, "/readyz")
		if status == http.StatusServiceUnavailable && strings.Contains(text, want) {
			break
		}
		if status == http.StatusOK || time.Now().After(end) {
			t.Fatalf("/readyz answers %d %q", status, text)
		}
	}
	wantProbes(t, "while it joins", cfg.HTTP.Addr, wanted{
		"/livez": {200, "ok"}, "/v1/cluster": {503, "joining"}, "/metrics": {200, "orderyard_ready 0"},
	})
	cancel()
	if err := <-ended; err == nil {
		t.Error("a start that was interrupted ended well")
	}
}

// TestPortOfProbesTaken proves that a node whose HTTP address is taken says so before it touches its store.
func TestPortOfProbesTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := configs.Dev()
	cfg.Node.Data, cfg.NATS.Port, cfg.HTTP.Addr = t.TempDir(), 0, l.Addr().String()
	y := newYard(cfg, slog.New(slog.DiscardHandler))
	_, err = open(t.Context(), y, func(context.Context) error {
		t.Error("the node starts all the same")
		return nil
	})
	if err == nil || !isPortTaken(err) || !strings.Contains(err.Error(), "http door") {
		t.Errorf("got %v", err)
	}
}
