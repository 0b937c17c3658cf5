package jetstream_test

import (
	"testing"

	"github.com/nats-io/nats.go"

	"orderyard/persistence"
	"orderyard/persistence/jetstream"
	"orderyard/persistence/jetstream/embedded"
	"orderyard/persistence/journaltest"
)

// serve starts a server for one test.
func serve(t testing.TB, dir string, synced bool) *embedded.Server {
	t.Helper()
	srv, err := embedded.Start(embedded.Options{Dir: dir, Port: embedded.InProcessOnly, SyncAlways: synced})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Shutdown)
	return srv
}

// open opens a store on it.
func open(t testing.TB, srv *embedded.Server) (*jetstream.Store, *nats.Conn) {
	t.Helper()
	nc, err := srv.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	sync := jetstream.SyncRelaxed
	if srv.SyncAlways() {
		sync = jetstream.SyncAlways
	}
	s, err := jetstream.Open(t.Context(), nc, jetstream.Options{Sync: sync})
	if err != nil {
		t.Fatal(err)
	}
	return s, nc
}

// Proves that the JetStream store answers like every other, by the common suite on a server of its own per test.
func TestConformance(t *testing.T) {
	journaltest.Run(t, func(t *testing.T) persistence.Store {
		s, _ := open(t, serve(t, t.TempDir(), false))
		return s
	})
}
