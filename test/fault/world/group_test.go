//go:build fault && linux

package world

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// TestThreeServers proves that a group of three finds itself and keeps a stream of three replicas when one of them dies.
func TestThreeServers(t *testing.T) {
	w := bare(t)
	if err := w.startServers(3); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(w.URL(), nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	until := func(what string, try func() error) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			err := try()
			if err == nil {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
	until("make a stream", func() error {
		_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Replicas: 3})
		return err
	})
	publish := func() error { _, err := js.Publish(t.Context(), "s", []byte("x")); return err }
	until("publish", publish)
	w.Servers[0].Kill()
	until("publish without one server", publish)
}
