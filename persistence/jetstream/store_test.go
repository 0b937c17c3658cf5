package jetstream_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"orderyard/persistence"
	"orderyard/persistence/jetstream"
)

// Proves that a stream which would lose records, or answer from a lagging replica, is refused with the reason; and that a proper one is opened again.
func TestUnfitStream(t *testing.T) {
	tests := []struct {
		reason string
		change func(*js.StreamConfig)
	}{
		{"", func(*js.StreamConfig) {}},
		{"memory", func(c *js.StreamConfig) { c.Storage = js.MemoryStorage }},
		{"max_age", func(c *js.StreamConfig) { c.MaxAge = 1e12 }},
		{"max_bytes", func(c *js.StreamConfig) { c.MaxBytes = 1 << 20 }},
		{"max_msgs_per_subject", func(c *js.StreamConfig) { c.MaxMsgsPerSubject = 1 }},
		{"retention", func(c *js.StreamConfig) { c.Retention = js.InterestPolicy }},
		{"allow_direct", func(c *js.StreamConfig) { c.AllowDirect = true }},
		{"persist mode", func(c *js.StreamConfig) { c.PersistMode = js.AsyncPersistMode }},
		{"listens to", func(c *js.StreamConfig) { c.Subjects = []string{"oy.journal.>"} }},
		{"deny_purge", func(c *js.StreamConfig) { c.DenyPurge = true }},
		{"sealed", func(c *js.StreamConfig) { c.Sealed = true }},
		{"max_msg_size", func(c *js.StreamConfig) { c.MaxMsgSize = persistence.SliceMax }},
		{"", func(c *js.StreamConfig) { c.MaxMsgSize = 1 << 20 }},
	}
	nc, err := serve(t, t.TempDir(), false).Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	j, _ := js.New(nc)
	for _, tt := range tests {
		c := js.StreamConfig{Name: jetstream.StreamJournal, Subjects: []string{"oy.journal.*"}, Storage: js.FileStorage}
		tt.change(&c)
		j.DeleteStream(t.Context(), jetstream.StreamJournal)
		sealed := c.Sealed // by a change only
		c.Sealed = false
		if _, err := j.CreateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if c.Sealed = sealed; sealed {
			if _, err := j.UpdateStream(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		_, err := jetstream.Open(t.Context(), nc, jetstream.Options{})
		if refused := err != nil; refused != (tt.reason != "") || refused && !strings.Contains(err.Error(), tt.reason) {
			t.Errorf("%s: told %v", tt.reason, err)
		}
	}
}

// Proves that a reader makes nothing, and that a stream with fewer replicas than were asked for is opened and tells so.
func TestExistingAndReplicas(t *testing.T) {
	srv := serve(t, t.TempDir(), false)
	nc, err := srv.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	j, _ := js.New(nc)
	if _, err := jetstream.Open(t.Context(), nc, jetstream.Options{Existing: true}); !errors.Is(err, jetstream.ErrNoStore) {
		t.Errorf("where there is no store: %v", err)
	}
	for name := range j.StreamNames(t.Context()).Name() {
		t.Errorf("a reader made %s", name)
	}
	open(t, srv)
	for _, o := range []jetstream.Options{{Replicas: 3}, {Existing: true}} {
		s, err := jetstream.Open(t.Context(), nc, o)
		if err != nil {
			t.Fatal(err)
		}
		if n := s.Replicas(); n != 1 {
			t.Errorf("%d replicas where one server holds the streams", n)
		}
	}
}

// Proves that the store tells what it knows of the server's disk: what the caller knows, what the system account is told, or nothing.
func TestSyncAlways(t *testing.T) {
	s, nc := open(t, serve(t, t.TempDir(), true))
	if always, known := s.SyncAlways(); !always || !known {
		t.Errorf("the caller knows: %v, %v", always, known)
	}
	s, err := jetstream.Open(t.Context(), nc, jetstream.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if always, known := s.SyncAlways(); always || known {
		t.Errorf("nobody knows: %v, %v", always, known)
	}
	for _, synced := range []bool{true, false} {
		account := server.NewAccount("BOTH")
		srv, err := server.NewServer(&server.Options{
			DontListen: true, JetStream: true, StoreDir: t.TempDir(), SyncAlways: synced, NoSigs: true, NoLog: true,
			Accounts: []*server.Account{account}, SystemAccount: "BOTH",
			Users: []*server.User{{Username: "u", Password: "p", Account: account}},
		})
		if err != nil {
			t.Fatal(err)
		}
		go srv.Start()
		defer srv.Shutdown()
		srv.ReadyForConnections(1e10)
		nc, err := nats.Connect("", nats.InProcessServer(srv), nats.UserInfo("u", "p"))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if found := jetstream.AskSync(t.Context(), nc); (found == jetstream.SyncAlways) != synced || found == jetstream.SyncUnknown {
			t.Errorf("synced %v: found %v", synced, found)
		}
	}
}

// Proves that a record above the server's maximum is refused before it is sent, and the connection survives.
func TestTooLarge(t *testing.T) {
	s, _ := open(t, serve(t, t.TempDir(), false))
	if _, err := s.Append(t.Context(), 0, 0, "", make([]byte, s.RecordMax()+1)); !errors.Is(err, persistence.ErrTooLarge) {
		t.Fatalf("told %v", err)
	}
	if _, err := s.Append(t.Context(), 0, 0, strings.Repeat("i", 60), make([]byte, s.RecordMax())); err != nil {
		t.Fatalf("the largest record: %v", err)
	}
}

// Proves that a stream's own limit of a message counts as the server's does: else a commit would be refused, read back and refused again.
func TestTooLargeForTheStream(t *testing.T) {
	_, nc := open(t, serve(t, t.TempDir(), false))
	j, _ := js.New(nc)
	st, err := j.Stream(t.Context(), jetstream.StreamJournal)
	if err != nil {
		t.Fatal(err)
	}
	c := st.CachedInfo().Config
	c.MaxMsgSize = 1 << 20
	if _, err := j.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	s, err := jetstream.Open(t.Context(), nc, jetstream.Options{Sync: jetstream.SyncRelaxed})
	if err != nil {
		t.Fatal(err)
	}
	if s.RecordMax() > 1<<20 {
		t.Fatalf("records of %d bytes", s.RecordMax())
	}
	if _, err := s.Append(t.Context(), 0, 0, strings.Repeat("i", 60), make([]byte, s.RecordMax())); err != nil {
		t.Fatalf("the largest record: %v", err)
	}
}

// Proves that a checkpoint which is stored although older ones cannot be removed says so, and is loaded.
func TestUntidyCheckpoint(t *testing.T) {
	s, nc := open(t, serve(t, t.TempDir(), false))
	j, _ := js.New(nc)
	st, err := j.Stream(t.Context(), jetstream.StreamCheckpoint)
	if err != nil {
		t.Fatal(err)
	}
	c := st.CachedInfo().Config
	c.DenyPurge = true
	if _, err := j.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	slices := func(yield func([]byte, error) bool) { yield([]byte("slice"), nil) }
	for position := range uint64(4) {
		err := s.Write(t.Context(), 0, persistence.Manifest{Position: position + 1}, slices)
		if untidy := position >= 2; untidy != errors.Is(err, persistence.ErrUntidy) || !untidy && err != nil {
			t.Fatalf("checkpoint %d: %v", position+1, err)
		}
	}
	if m, ok, err := s.Load(t.Context(), 0, func([]byte) error { return nil }); !ok || err != nil || m.Position != 4 {
		t.Fatalf("loaded %d, %v, %v", m.Position, ok, err)
	}
}

// publishMany fills a stream fast, without expectations.
func publishMany(t testing.TB, nc *nats.Conn, n int, message func(i int) (subject string, data []byte)) {
	t.Helper()
	j, err := js.New(nc, js.WithPublishAsyncMaxPending(256))
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		subject, data := message(i)
		if _, err := j.PublishAsync(subject, data, js.WithStallWait(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	<-j.PublishAsyncComplete()
}

// Proves that a reading survives the loss of its consumer, again and again, without a gap or a double.
func TestReadInterrupted(t *testing.T) {
	s, nc := open(t, serve(t, t.TempDir(), false))
	j, _ := js.New(nc)
	const n = 40_000
	publishMany(t, nc, n, func(i int) (string, []byte) { return "oy.journal.0", fmt.Append(nil, i) })
	next := 0
	err := s.Read(t.Context(), 0, 0, func(_ uint64, data []byte) error {
		if string(data) != fmt.Sprint(next) {
			t.Fatalf("record %d is %q", next, data)
		}
		next++
		if next%12_000 == 0 {
			st, err := j.Stream(t.Context(), jetstream.StreamJournal)
			if err != nil {
				return err
			}
			names := st.ConsumerNames(t.Context())
			for name := range names.Name() {
				if err := st.DeleteConsumer(t.Context(), name); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil || next != n {
		t.Fatalf("%d records, %v", next, err)
	}
}

// Proves that a partition's checkpoints take the room of two: older ones and attempts that ended early are removed, a writer at work is left alone.
func TestTidy(t *testing.T) {
	s, nc := open(t, serve(t, t.TempDir(), false))
	slices := func(n int, err error) func(func([]byte, error) bool) {
		return func(yield func([]byte, error) bool) {
			for range n {
				if !yield([]byte("slice"), nil) {
					return
				}
			}
			if err != nil {
				yield(nil, err)
			}
		}
	}
	for i := range 5 {
		if err := s.Write(t.Context(), 0, persistence.Manifest{Position: uint64(100 + i)}, slices(10, errors.New("ended early"))); err == nil {
			t.Fatal("an attempt that ended early succeeded")
		}
		if err := s.Write(t.Context(), 0, persistence.Manifest{Position: uint64(100 + i)}, slices(10, nil)); err != nil {
			t.Fatal(err)
		}
	}
	s.Write(t.Context(), 0, persistence.Manifest{Position: 200}, slices(3, errors.New("at work")))
	s.Write(t.Context(), 1, persistence.Manifest{Position: 1}, slices(1, nil))
	if err := s.Write(t.Context(), 0, persistence.Manifest{Position: 105}, slices(10, nil)); err != nil {
		t.Fatal(err)
	}
	j, _ := js.New(nc)
	st, err := j.Stream(t.Context(), jetstream.StreamCheckpoint)
	if err != nil {
		t.Fatal(err)
	}
	// Two checkpoints of 10 slices, two manifests, 3 slices at work; the neighbor's slice and manifest.
	if n := st.CachedInfo().State.Msgs; n != 20+2+3+2 {
		t.Fatalf("%d messages", n)
	}
	lose := func(position string) { // one slice of the checkpoint at a position
		info, err := st.Info(t.Context(), js.WithSubjectFilter("oy.checkpoint.0.s.>"))
		if err != nil {
			t.Fatal(err)
		}
		for subject := range info.State.Subjects {
			if strings.Contains(subject, ".s."+position+"-") {
				if err := st.Purge(t.Context(), js.WithPurgeSubject(subject), js.WithPurgeKeep(9)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	// The newest loses a slice: the former one is whole.
	lose("105")
	m, ok, err := s.Load(t.Context(), 0, func([]byte) error { return nil })
	if !ok || err != nil || m.Position != 104 {
		t.Fatalf("loaded %d, %v, %v", m.Position, ok, err)
	}
	// So does the former: nothing is whole, and that is told.
	lose("104")
	if _, _, err := s.Load(t.Context(), 0, func([]byte) error { return nil }); !errors.Is(err, persistence.ErrCorrupt) {
		t.Fatalf("told %v", err)
	}
}

// Proves that a value which an operator deleted is no dead end: it is read as none, and can be made again from there, by either way.
func TestDeletedValue(t *testing.T) {
	s, nc := open(t, serve(t, t.TempDir(), false))
	j, _ := js.New(nc)
	kv, err := j.KeyValue(t.Context(), jetstream.BucketMeta)
	if err != nil {
		t.Fatal(err)
	}
	for _, remove := range []func(key string) error{
		func(key string) error { return kv.Delete(t.Context(), key) },
		func(key string) error { return kv.Purge(t.Context(), key) },
	} {
		for _, key := range []string{"marks", "partitions"} {
			if err := s.Put(t.Context(), key, []byte("old")); err != nil {
				t.Fatal(err)
			}
			if err := remove(key); err != nil {
				t.Fatal(err)
			}
		}
		value, revision, err := s.Get(t.Context(), "marks")
		if value != nil || revision == 0 || err != nil {
			t.Fatalf("a deleted value is %q, revision %d, %v", value, revision, err)
		}
		if _, err := s.Update(t.Context(), "marks", []byte("new"), revision); err != nil {
			t.Errorf("from where it was deleted: %v", err)
		}
		if err := s.Create(t.Context(), "partitions", []byte("new")); err != nil {
			t.Errorf("made again: %v", err)
		}
		if err := s.Create(t.Context(), "partitions", []byte("newer")); !errors.Is(err, persistence.ErrExists) {
			t.Errorf("made twice: %v", err)
		}
	}
}
