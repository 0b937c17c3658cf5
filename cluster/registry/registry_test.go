package registry_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"orderyard/cluster"
	"orderyard/cluster/registry"
	"orderyard/messages"
	"orderyard/persistence"
	"orderyard/persistence/jetstream/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	partitions = 8
	ttl        = time.Second
	soon       = 10 * time.Second // long enough for a loaded machine; what has a limit of its own says so
)

// server is an embedded NATS that can be stopped and started again at the same port.
type server struct {
	t    *testing.T
	dir  string
	port int
	*embedded.Server
}

func startServer(t *testing.T) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, dir: t.TempDir(), port: l.Addr().(*net.TCPAddr).Port}
	l.Close()
	s.start()
	t.Cleanup(func() { s.Shutdown() })
	return s
}

func (s *server) start() {
	s.t.Helper()
	srv, err := embedded.Start(embedded.Options{Dir: s.dir, Port: s.port})
	if err != nil {
		s.t.Fatal(err)
	}
	s.Server = srv
}

func (s *server) connect() *nats.Conn {
	s.t.Helper()
	nc, err := nats.Connect(fmt.Sprintf("nats://127.0.0.1:%d", s.port), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	return nc
}

func (s *server) open() *registry.Registry {
	s.t.Helper()
	return s.openOn(s.connect())
}

func (s *server) openOn(nc *nats.Conn) *registry.Registry {
	s.t.Helper()
	r, err := registry.Open(s.t.Context(), nc, registry.Options{Partitions: partitions, TTL: ttl})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(r.Close)
	return r
}

// eventually waits for a condition and gives how long it took.
func eventually(t *testing.T, what string, holds func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !holds() {
		if time.Since(began) > soon {
			t.Fatalf("%s: not within %s", what, soon)
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}

func session(incarnation string) *messages.NodeSession {
	return &messages.NodeSession{Node: "node-" + incarnation, Incarnation: incarnation, Weight: 1, Ready: true}
}

func owned(incarnation string) *messages.PartitionOwner {
	return &messages.PartitionOwner{Node: "node-" + incarnation, Incarnation: incarnation, Phase: messages.OwnerPhase_OWNER_OWNED}
}

// state tells how a session stands; "" = not known.
func state(r *registry.Registry, incarnation string) string {
	for _, s := range r.Picture().Sessions {
		if s.Incarnation == incarnation {
			return [...]string{"present", "lapsed", "ended"}[s.State]
		}
	}
	return ""
}

func owner(r *registry.Registry, partition int) string {
	return r.Picture().Owners[partition].GetIncarnation()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Proves that a session is known to others at once, lapses about its TTL after the last renewal and no sooner, and that a watcher hears
// of it; and that one which is taken away has ended, for good.
func TestSessions(t *testing.T) {
	s := startServer(t)
	a, b := s.open(), s.open()
	must(t, a.PutSession(t.Context(), session("a")))
	took := eventually(t, "b hears of a", func() bool { return state(b, "a") == "present" })
	t.Logf("heard after %s", took)
	var last time.Time
	for range 6 {
		last = time.Now()
		must(t, a.PutSession(t.Context(), session("a")))
		time.Sleep(ttl / 4)
		if got := state(b, "a"); got != "present" && time.Since(last) < ttl {
			t.Fatalf("renewed %s ago, and %s", time.Since(last), got)
		}
	}
	eventually(t, "the session lapses", func() bool { return state(b, "a") == "lapsed" })
	lived := time.Since(last)
	t.Logf("lapsed %s after its last renewal", lived)
	if lived < ttl*9/10 || lived > 2*ttl {
		t.Errorf("lapsed after %s, the TTL is %s", lived, ttl)
	}
	must(t, a.PutSession(t.Context(), session("a")))
	eventually(t, "it is back", func() bool { return state(b, "a") == "present" })
	must(t, a.EndSession(t.Context(), "a"))
	eventually(t, "it has ended", func() bool { return state(b, "a") == "ended" })
	must(t, a.EndSession(t.Context(), "a"))
	time.Sleep(ttl * 3 / 2) // its marker lapses, too
	if got := state(b, "a"); got != "ended" {
		t.Errorf("ended, and then %s", got)
	}
}

// Proves that of many compare-and-sets with one revision exactly one wins, over two registries, that the losers are told so, and that
// their pictures have the winner's record when they are.
func TestOneWins(t *testing.T) {
	s := startServer(t)
	rs := []*registry.Registry{s.open(), s.open()}
	for round := range 20 {
		must(t, rs[0].Refresh(t.Context()))
		must(t, rs[1].Refresh(t.Context()))
		revision := rs[0].Picture().Owners[3].Revision
		var wait sync.WaitGroup
		won := make([]bool, 8)
		for i := range won {
			wait.Go(func() {
				r, me := rs[i%2], fmt.Sprintf("p%d-%d", round, i)
				err := r.SetOwner(t.Context(), 3, owned(me), revision)
				switch {
				case err == nil:
					won[i] = true
				case !errors.Is(err, persistence.ErrConflict):
					t.Errorf("told %v", err)
				}
				if at := r.Picture().Owners[3]; at.Revision <= revision || won[i] && at.Incarnation != me {
					t.Errorf("won %v, and the picture says %s at %d", won[i], at.Incarnation, at.Revision)
				}
			})
		}
		wait.Wait()
		if n := strings.Count(fmt.Sprint(won), "true"); n != 1 {
			t.Fatalf("%d won", n)
		}
	}
	eventually(t, "both agree", func() bool { return owner(rs[0], 3) == owner(rs[1], 3) })
}

// Proves that writing the same once more, as a repeated request does, succeeds when it was stored, by letting one write twice with the
// same revision; and that other words are a conflict.
func TestSetOwnerJudges(t *testing.T) {
	s := startServer(t)
	r := s.open()
	o := owned("a")
	o.AtMs = 5
	must(t, r.SetOwner(t.Context(), 0, o, 0))
	must(t, r.SetOwner(t.Context(), 0, proto.Clone(o).(*messages.PartitionOwner), 0))
	o.AtMs = 6
	if err := r.SetOwner(t.Context(), 0, o, 0); !errors.Is(err, persistence.ErrConflict) {
		t.Fatalf("told %v", err)
	}
	if err := r.SetOwner(t.Context(), partitions, o, 0); err == nil {
		t.Fatal("took a partition that does not exist")
	}
}

// Proves that a write whose answer does not come in time is judged by what is stored, by giving it no time at all: the record is
// either stored and called a success, or not and called a failure.
func TestSetOwnerInNoTime(t *testing.T) {
	s := startServer(t)
	r := s.open()
	stored, failed := 0, 0
	for i := range 60 {
		before := r.Picture().Owners[1]
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*10*time.Microsecond)
		err := r.SetOwner(ctx, 1, owned(fmt.Sprintf("w%d", i)), before.Revision)
		cancel()
		must(t, r.Refresh(t.Context()))
		if err == nil {
			stored++
			if got := owner(r, 1); got != fmt.Sprintf("w%d", i) {
				t.Fatalf("success, and it is %q", got)
			}
		} else {
			failed++
		}
	}
	t.Logf("%d stored, %d failed", stored, failed)
}

// Proves that changes and lapses are heard soon after the server was away: sessions that nobody renews lapse, one that is renewed stays, records
// are as they were, and a change made after the reconnection reaches the other within a second.
func TestServerRestart(t *testing.T) {
	s := startServer(t)
	a, b := s.open(), s.open()
	must(t, a.PutSession(t.Context(), session("a")))
	must(t, b.PutSession(t.Context(), session("b")))
	must(t, a.SetOwner(t.Context(), 0, owned("a"), 0))
	eventually(t, "b knows", func() bool { return owner(b, 0) == "a" && state(b, "a") == "present" })
	count, _ := b.Connection()

	s.Shutdown()
	for _, r := range []*registry.Registry{a, b} {
		eventually(t, "the break is noticed", func() bool { _, up := r.Connection(); return !up })
	}
	s.start()
	for _, r := range []*registry.Registry{a, b} {
		eventually(t, "connected again", func() bool { _, up := r.Connection(); return up })
	}
	if again, _ := b.Connection(); again == count {
		t.Errorf("the connection still counts as %d", count)
	}
	back := time.Now()
	// JetStream is there a moment after the connection.
	eventually(t, "b renews", func() bool { return b.PutSession(t.Context(), session("b")) == nil })
	must(t, a.SetOwner(t.Context(), 0, owned("a2"), a.Picture().Owners[0].Revision))
	written := time.Now()
	eventually(t, "b hears the change", func() bool { return owner(b, 0) == "a2" })
	if took := time.Since(written); took > time.Second {
		t.Errorf("heard after %s", took)
	}
	go func() { // from now on only b is renewed
		for t.Context().Err() == nil {
			_ = b.PutSession(t.Context(), session("b"))
			time.Sleep(ttl / 4)
		}
	}()
	eventually(t, "a lapses", func() bool { return state(b, "a") == "lapsed" })
	t.Logf("a lapsed %s after the reconnection", time.Since(back))
	if got := state(a, "b"); got != "present" {
		t.Errorf("b is renewed, and %q", got)
	}
}

// Proves that a registry hears of changes that no registry announced, by writing into the bucket behind its back; and of those whose watch
// died, by removing its consumer: within a second through the announcement, within seconds for what only the leader knows.
func TestHearsWithoutAnnouncement(t *testing.T) {
	s := startServer(t)
	nc := s.connect()
	r := s.openOn(nc)
	j, err := js.New(s.connect())
	must(t, err)
	kv, err := j.KeyValue(t.Context(), registry.BucketOwners)
	must(t, err)
	put := func(who string) {
		value, err := owned(who).MarshalVT()
		must(t, err)
		_, err = kv.Put(t.Context(), "5", value)
		must(t, err)
	}
	put("stranger")
	eventually(t, "the watch tells", func() bool { return owner(r, 5) == "stranger" })

	stream, err := j.Stream(t.Context(), "KV_"+registry.BucketOwners)
	must(t, err)
	killed := 0
	for name := range stream.ConsumerNames(t.Context()).Name() {
		must(t, stream.DeleteConsumer(t.Context(), name))
		killed++
	}
	if killed != 1 {
		t.Fatalf("killed %d watches", killed)
	}
	put("another")
	took := eventually(t, "the leader is asked", func() bool { return owner(r, 5) == "another" })
	t.Logf("without a watch and without an announcement: %s", took)
	put("third")
	eventually(t, "the watch is back", func() bool { return owner(r, 5) == "third" })
}

// Proves that announcements alone bring a change within a second when the watches are dead, by removing all consumers just before.
func TestHearsAnnouncement(t *testing.T) {
	s := startServer(t)
	a, b := s.open(), s.open()
	j, err := js.New(s.connect())
	must(t, err)
	stream, err := j.Stream(t.Context(), "KV_"+registry.BucketOwners)
	must(t, err)
	for name := range stream.ConsumerNames(t.Context()).Name() {
		must(t, stream.DeleteConsumer(t.Context(), name))
	}
	must(t, a.SetOwner(t.Context(), 2, owned("a"), 0))
	took := eventually(t, "b hears it", func() bool { return owner(b, 2) == "a" })
	t.Logf("heard after %s", took)
	if took > time.Second {
		t.Errorf("heard after %s", took)
	}
}

// Proves that an announcement which is none moves nothing: with a body that is no record, another's name, or a number that no change could have. The
// true changes that follow are seen.
func TestHearsNonsense(t *testing.T) {
	s := startServer(t)
	a, b := s.open(), s.open()
	must(t, a.PutSession(t.Context(), session("a")))
	must(t, a.SetOwner(t.Context(), 2, owned("a"), 0))
	eventually(t, "b knows", func() bool { return owner(b, 2) == "a" && state(b, "a") == "present" })
	value := func(m interface{ MarshalVT() ([]byte, error) }) []byte {
		v, err := m.MarshalVT()
		must(t, err)
		return v
	}
	nc := s.connect()
	for _, lie := range []struct {
		bucket, key, revision string
		body                  []byte
	}{
		{registry.BucketOwners, "2", "100", nil},
		{registry.BucketOwners, "2", "100", []byte("{}")},
		{registry.BucketOwners, "2", "100", []byte{0xff}},
		{registry.BucketOwners, "2", "9000000000000000000", value(owned("z"))},
		{registry.BucketOwners, "x", "100", value(owned("z"))},
		{registry.BucketOwners, "-1", "100", value(owned("z"))},
		{registry.BucketOwners, "2", "NaN", value(owned("z"))},
		{registry.BucketSessions, "a", "100", []byte{0xff}},
		{registry.BucketSessions, "a", "100", value(session("b"))},
		{registry.BucketSessions, "a", "9000000000000000000", value(&messages.NodeSession{Incarnation: "a", Draining: true})},
		{"", "", "", nil},
	} {
		m := &nats.Msg{Subject: messages.NodesSubject("changed"), Data: lie.body, Header: nats.Header{
			"Oy-Bucket": {lie.bucket}, "Oy-Key": {lie.key}, "Oy-Revision": {lie.revision},
		}}
		must(t, nc.PublishMsg(m))
	}
	must(t, nc.Flush())
	must(t, a.SetOwner(t.Context(), 3, owned("a"), 0))
	eventually(t, "b hears what comes after", func() bool { return owner(b, 3) == "a" })
	revision := a.Picture().Owners[2].Revision
	if owner(b, 2) != "a" || b.Picture().Owners[2].Revision != revision || state(b, "a") != "present" {
		t.Fatalf("b believes %+v", b.Picture())
	}
	must(t, a.SetOwner(t.Context(), 2, owned("n"), revision))
	eventually(t, "b hears the truth", func() bool { return owner(b, 2) == "n" })
}

// Proves that many may open at once on an empty server, and that buckets which cannot do what they are for are refused with the reason.
func TestOpen(t *testing.T) {
	s := startServer(t)
	var wait sync.WaitGroup
	for range 6 {
		nc := s.connect()
		wait.Go(func() {
			r, err := registry.Open(t.Context(), nc, registry.Options{Partitions: partitions, TTL: ttl})
			if err != nil {
				t.Error(err)
				return
			}
			if r.TTL() != ttl {
				t.Errorf("TTL %s", r.TTL())
			}
			r.Close()
			r.Close()
		})
	}
	wait.Wait()
	nc := s.connect()
	r, err := registry.Open(t.Context(), nc, registry.Options{Partitions: partitions, TTL: 7 * ttl})
	must(t, err)
	r.Close()
	if r.TTL() != ttl {
		t.Errorf("TTL %s, the bucket has %s", r.TTL(), ttl)
	}
	j, err := js.New(nc)
	must(t, err)
	for _, c := range []struct {
		bucket, reason string
		spoil          func(*js.StreamConfig)
	}{
		{registry.BucketOwners, "max_age", func(c *js.StreamConfig) { c.MaxAge = time.Hour }},
		{registry.BucketOwners, "allow_direct", func(c *js.StreamConfig) { c.AllowDirect = true }},
		{registry.BucketOwners, "per key", func(c *js.StreamConfig) { c.MaxMsgsPerSubject = 3 }},
		{registry.BucketSessions, "subject_delete_marker_ttl", func(c *js.StreamConfig) { c.SubjectDeleteMarkerTTL = 0 }},
	} {
		stream, err := j.Stream(t.Context(), "KV_"+c.bucket)
		must(t, err)
		good := stream.CachedInfo().Config
		bad := good
		c.spoil(&bad)
		_, err = j.UpdateStream(t.Context(), bad)
		must(t, err)
		if _, err := registry.Open(t.Context(), nc, registry.Options{Partitions: partitions}); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: told %v", c.reason, err)
		}
		_, err = j.UpdateStream(t.Context(), good)
		must(t, err)
	}
	if _, err := registry.Open(t.Context(), nc, registry.Options{Partitions: cluster.PartitionsMax + 1}); err == nil {
		t.Error("took too many partitions")
	}
}

// Proves that a bucket which is removed under a running registry is made again and used.
func TestBucketRemoved(t *testing.T) {
	s := startServer(t)
	r := s.open()
	must(t, r.SetOwner(t.Context(), 0, owned("a"), 0))
	must(t, r.SetOwner(t.Context(), 1, owned("a"), 0))
	j, err := js.New(s.connect())
	must(t, err)
	must(t, j.DeleteKeyValue(t.Context(), registry.BucketOwners))
	eventually(t, "it is there again, empty", func() bool { return owner(r, 0) == "" })
	must(t, r.SetOwner(t.Context(), 0, owned("b"), 0))
	if got := owner(r, 0); got != "b" {
		t.Errorf("it is %q", got)
	}
}

// A watch that nothing happens to lasts: NATS is asked for one each for sessions and owners, and for none more after the time in which a beginning
// must succeed is over.
func TestWatchesLast(t *testing.T) {
	s := startServer(t)
	nc := s.connect()
	begun := make(chan string, 64)
	if _, err := nc.Subscribe("$JS.API.CONSUMER.CREATE.>", func(m *nats.Msg) { begun <- m.Subject }); err != nil {
		t.Fatal(err)
	}
	must(t, nc.Flush())
	s.open()
	for range 2 {
		select {
		case <-begun:
		case <-time.After(soon):
			t.Fatal("no watch was begun")
		}
	}
	select {
	case again := <-begun:
		t.Fatalf("a watch was begun once more: %s", again)
	case <-time.After(3 * time.Second): // longer than a beginning may take
	}
}
