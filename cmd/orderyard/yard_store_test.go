package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	js "github.com/nats-io/nats.go/jetstream"

	"orderyard/configs"
	"orderyard/persistence/jetstream/embedded"
)

// Proves that commands which only read make no stream on a server that no node has started on: it would have one replica, for ever.
func TestReadersMakeNoStream(t *testing.T) {
	server, err := embedded.Start(embedded.Options{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown()
	conn, err := server.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	rules := "../../configs/routing/default.yaml"
	for _, args := range [][]string{
		{"verify"}, {"rules", "recheck"}, {"rules", "simulate", "--rules", rules, "--since", "24h"},
	} {
		var out, errs bytes.Buffer
		a := newApp(strings.NewReader(""), &out, &errs, func(string) string { return "" })
		if code := a.execute(t.Context(), append(args, "--server", server.ClientURL())); code == exitOK {
			t.Errorf("%s: exit %d, %s", args, code, out.String())
		}
	}
	j, _ := js.New(conn)
	for name := range j.StreamNames(t.Context()).Name() {
		t.Errorf("somebody made %s", name)
	}
}

// Proves that a node says so when it starts on streams with fewer replicas than it is configured for: nothing else would.
func TestFewerReplicasAreTold(t *testing.T) {
	v := startVerifyServer(t)
	for replicas, told := range map[int]bool{1: false, 3: true} {
		var log bytes.Buffer
		cfg := configs.Dev()
		cfg.NATS.Replicas = replicas
		y := &yard{cfg: cfg, conn: v.conn, log: slog.New(slog.NewTextHandler(&log, nil))}
		if err := y.openStore(t.Context()); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(log.String(), "fewer replicas") != told {
			t.Errorf("configured for %d replicas on streams with one: %s", replicas, log.String())
		}
	}
}
