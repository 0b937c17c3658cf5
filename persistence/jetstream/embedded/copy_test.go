package embedded_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"orderyard/persistence/jetstream/embedded"
)

// Proves that the named streams of a stopped server, and nothing else, are served from a copy, whichever of the folders above them is named; that a
// folder in use, one without the streams and one of a replicated stream are refused.
func TestCopyIsServed(t *testing.T) {
	data := filepath.Join(t.TempDir(), "with [strange] name")
	dir := filepath.Join(data, "nats")
	srv, err := embedded.Start(embedded.Options{Dir: dir, Port: embedded.InProcessOnly})
	if err != nil {
		t.Fatal(err)
	}
	publish(t, srv, "WANTED", "OTHER")
	if err := embedded.Copy(data, t.TempDir(), "WANTED"); !errors.Is(err, embedded.ErrLocked) {
		t.Errorf("while it is served: %v", err)
	}
	srv.Shutdown()
	for _, from := range []string{data, dir, filepath.Join(dir, "jetstream")} {
		to := t.TempDir()
		if err := embedded.Copy(from, to, "WANTED"); err != nil {
			t.Fatal(err)
		}
		if got := streams(t, to); len(got) != 1 || got["WANTED"] != 1 {
			t.Errorf("of %s the copy serves %v", from, got)
		}
	}
	if err := embedded.Copy(data, t.TempDir(), "NOT THERE"); !errors.Is(err, embedded.ErrNoStore) {
		t.Errorf("a stream that is not there: %v", err)
	}
	described := filepath.Join(dir, "jetstream", "$G", "streams", "WANTED", "meta.inf")
	if err := os.WriteFile(described, []byte(`{"name":"WANTED","num_replicas":3}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := embedded.Copy(data, t.TempDir(), "WANTED"); !errors.Is(err, embedded.ErrReplicated) {
		t.Errorf("a replicated stream: %v", err)
	}
}

func publish(t *testing.T, srv *embedded.Server, names ...string) {
	t.Helper()
	nc, err := srv.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{name}}); err != nil {
			t.Fatal(err)
		}
		if _, err := js.Publish(t.Context(), name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
}

// streams serves a folder and counts the messages of every stream.
func streams(t *testing.T, dir string) map[string]uint64 {
	t.Helper()
	srv, err := embedded.Start(embedded.Options{Dir: dir, Port: embedded.InProcessOnly})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Shutdown()
	nc, err := srv.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]uint64{}
	list := js.ListStreams(t.Context())
	for info := range list.Info() {
		found[info.Config.Name] = info.State.Msgs
	}
	if err := list.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}
