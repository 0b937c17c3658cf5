package jetstream_test

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/persistence"
	"orderyard/persistence/jetstream"
	"orderyard/persistence/jetstream/embedded"
)

func portOf(t *testing.T, address string) int {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// An append whose connection ends is told at once that its outcome is unknown: not one answer can come over a connection that is gone, and
// a partition that waited for its time-out would stand still for seconds after the server is back. Then the next append finds the
// server again.
func TestAppendEndsWithItsConnection(t *testing.T) {
	dir := t.TempDir()
	start := func(port int) *embedded.Server {
		s, err := embedded.Start(embedded.Options{Dir: dir, Port: port, SyncAlways: true})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	server := start(0)
	address := server.ClientURL()
	nc, err := nats.Connect(address, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectBufSize(-1))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	store, err := jetstream.Open(t.Context(), nc, jetstream.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	position := uint64(0)
	ended := make(chan error, 1)
	go func() { // appends until one gets no answer
		for {
			next, err := store.Append(context.Background(), 0, position, "", []byte("record"))
			if err != nil {
				ended <- err
				return
			}
			position = next
		}
	}()
	time.Sleep(50 * time.Millisecond) // some appends: any moment will do
	server.Shutdown()
	select {
	case err := <-ended:
		if !errors.Is(err, persistence.ErrUnknown) {
			t.Fatalf("told %v", err)
		}
	case <-time.After(2 * time.Second): // an append's own time-out is five seconds
		t.Fatal("the append waits for an answer that cannot come")
	}
	again := start(portOf(t, address))
	defer again.Shutdown()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		last, _, err := store.Last(t.Context(), 0)
		if err == nil {
			if _, err = store.Append(t.Context(), 0, last, "", []byte("record")); err == nil {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatalf("the store does not come back: %v", err)
		}
	}
}
