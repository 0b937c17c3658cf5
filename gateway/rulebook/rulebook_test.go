package rulebook_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"orderyard/gateway/rulebook"
	"orderyard/messages"
	"orderyard/persistence/jetstream/embedded"
	"orderyard/routing/ruleset"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const soon = 10 * time.Second // long enough for a loaded machine

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
	var err error
	if s.Server, err = embedded.Start(embedded.Options{Dir: s.dir, Port: s.port}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) connect() *nats.Conn {
	s.t.Helper()
	nc, err := nats.Connect(fmt.Sprintf("nats://127.0.0.1:%d", s.port), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectBufSize(-1))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	return nc
}

func (s *server) open() *rulebook.Book {
	s.t.Helper()
	b, err := rulebook.Open(s.t.Context(), s.connect(), rulebook.Options{Clock: func() int64 { return 1_000 }})
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// rules is a small set of that name.
func rules(name string) string {
	return "name: " + name + `
routes:
  - name: all
    rules:
      - name: nearest
        scores: [distance]
        actions: {full: assign_many, partial: backorder, none: backorder}
fallback: all
`
}

// passing are tests that rules must pass, failing are some that they do not.
const (
	passing = `now: 2026-11-23T15:00:00Z
sites: [{id: DEN, distance_km: 10}]
stock: {DEN: {SHIRT: 5}}
tests:
  - {name: one site, order: {lines: [{sku: SHIRT, quantity: 1}]}, expect: {winner: DEN}}
`
	failing = `now: 2026-11-23T15:00:00Z
sites: [{id: DEN, distance_km: 10}]
stock: {DEN: {SHIRT: 5}}
tests:
  - {name: one site, order: {lines: [{sku: SHIRT, quantity: 1}]}, expect: {winner: OMA}}
`
)

func publish(t *testing.T, b *rulebook.Book, text string) rulebook.Result {
	t.Helper()
	r, err := b.Publish(t.Context(), rulebook.Draft{Text: text, By: "ann", Note: "why"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func code(err error) string {
	var f *messages.Failure
	if errors.As(err, &f) {
		return f.Code
	}
	return fmt.Sprint(err)
}

// TestLife proves that versions are numbered and kept whole, that one is in force, that history tells every change, that states are derived,
// and that all of it is there after a restart of the server.
func TestLife(t *testing.T) {
	s := startServer(t)
	b := s.open()
	if _, _, found, err := b.Active(t.Context()); found || err != nil {
		t.Fatal(found, err)
	}
	one := publish(t, b, rules("one"))
	two := publish(t, b, rules("two"))
	if one.Activation.Number != 1 || two.Activation.Number != 2 || two.Activation.Previous != 1 || two.Activation.Act != rulebook.ActPublish {
		t.Fatalf("%+v %+v", one, two)
	}
	if again := publish(t, b, rules("two")); !again.Unchanged || again.Activation != two.Activation {
		t.Errorf("published again: %+v", again)
	}
	back, err := b.Rollback(t.Context(), 1, "bob", "two was wrong", nil)
	if err != nil || back.Activation.Number != 1 || back.Activation.Seq != 3 || back.Unchanged {
		t.Fatalf("%+v %v", back, err)
	}
	if again, err := b.Rollback(t.Context(), 1, "bob", "", nil); err != nil || !again.Unchanged {
		t.Errorf("rolled back again: %+v %v", again, err)
	}
	if again := publish(t, b, rules("one")); !again.Unchanged || again.Activation != back.Activation {
		t.Errorf("published what was rolled back to: %+v", again)
	}
	s.Shutdown()
	s.start()
	b = s.open()
	now, _, found, err := b.Active(t.Context())
	if err != nil || !found || now != back.Activation {
		t.Fatalf("after a restart: %+v %v %v", now, found, err)
	}
	v, found, err := b.Version(t.Context(), 2)
	if err != nil || !found || v.Text != rules("two") || v.By != "ann" || v.Note != "why" || v.AtMs != 1_000 || !strings.HasPrefix(v.Rules, "two-") {
		t.Fatalf("%+v %v %v", v, found, err)
	}
	h, err := b.History(t.Context())
	if err != nil || len(h.Activations) != 3 || len(h.Drafts) != 0 || h.State(1) != rulebook.StateActive || h.State(2) != rulebook.StateArchived {
		t.Fatalf("%+v %v", h, err)
	}
	if three := publish(t, b, rules("two")); three.Activation.Number != 2 { // the newest version, word for word, is that version
		t.Errorf("%+v", three)
	}
}

// TestRefusals proves that nothing wrong is stored, and that each refusal has its code and its place.
func TestRefusals(t *testing.T) {
	b := startServer(t).open()
	publish(t, b, rules("one"))
	zero := int64(0)
	for _, c := range []struct {
		name, want, says string
		draft            rulebook.Draft
	}{
		{"not rules", "invalid", "text:1:", rulebook.Draft{Text: "nmae: x\n"}},
		{"tests fail", "invalid", `test "one site"`, rulebook.Draft{Text: rules("x"), Tests: failing}},
		{"tests are none", "invalid", "tests:", rulebook.Draft{Text: rules("x"), Tests: "tests: 5\n"}},
		{"too large", "invalid", "at most", rulebook.Draft{Text: rules("x") + strings.Repeat("#", rulebook.TextBytesMax)}},
		{"based on another", "conflict", "version 1 is in force, not 0", rulebook.Draft{Text: rules("x"), BasedOn: &zero}},
	} {
		_, err := b.Publish(t.Context(), c.draft)
		if code(err) != c.want || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := b.Rollback(t.Context(), 7, "bob", "", nil); code(err) != "not_found" {
		t.Errorf("rollback: %v", err)
	}
	if r, err := b.Publish(t.Context(), rulebook.Draft{Text: rules("x"), Tests: passing}); err != nil || r.Activation.Number != 2 {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := b.Rollback(t.Context(), 1, "bob", "", &zero); code(err) != "conflict" {
		t.Errorf("rollback: %v", err)
	}
	// Asking again, as after a time-out, is no conflict.
	if r, err := b.Publish(t.Context(), rulebook.Draft{Text: rules("x"), Tests: passing, BasedOn: &zero}); err != nil || !r.Unchanged {
		t.Errorf("%+v %v", r, err)
	}
}

// TestTwoAtOnce proves that of many who publish at once none is lost: each is in the history in a gap-free sequence, or was told `conflict`.
func TestTwoAtOnce(t *testing.T) {
	s := startServer(t)
	first := s.open()
	var won, lost atomic.Int64
	for round := range 5 {
		var wait sync.WaitGroup
		for i := range 4 {
			b := s.open()
			wait.Go(func() {
				_, err := b.Publish(t.Context(), rulebook.Draft{Text: rules(fmt.Sprintf("r%d-%d", round, i)), By: fmt.Sprint(i)})
				switch {
				case err == nil:
					won.Add(1)
				case code(err) == "conflict":
					lost.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wait.Wait()
	}
	h, err := first.History(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d won, %d were told of a conflict, %d drafts", won.Load(), lost.Load(), len(h.Drafts))
	if int64(len(h.Activations)) != won.Load() || won.Load()+lost.Load() != 20 {
		t.Errorf("%d activations", len(h.Activations))
	}
	for i, a := range h.Activations {
		if want := int64(len(h.Activations) - i); a.Seq != want {
			t.Errorf("activation %d has number %d", want, a.Seq)
		}
	}
}

// TestInterrupted proves that a version which was stored but not put in force is a draft, stands in nobody's way, and can be put in force by
// publishing it again or by its number.
func TestInterrupted(t *testing.T) {
	s := startServer(t)
	b := s.open()
	publish(t, b, rules("one"))
	publish(t, b, rules("two"))
	// What is in force goes back to before the second activation, as if its publisher had ended in between.
	j, err := js.New(s.connect())
	if err != nil {
		t.Fatal(err)
	}
	kv, err := j.KeyValue(t.Context(), rulebook.Bucket)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := kv.History(t.Context(), "active")
	if err != nil || len(entries) != 2 {
		t.Fatal(err, len(entries))
	}
	if err := kv.Purge(t.Context(), "active"); err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), "active", entries[0].Value()); err != nil {
		t.Fatal(err)
	}
	h, err := b.History(t.Context())
	if err != nil || len(h.Drafts) != 1 || h.Drafts[0].Number != 2 || h.State(2) != rulebook.StateDraft {
		t.Fatalf("%+v %v", h, err)
	}
	if r := publish(t, b, rules("two")); r.Activation.Number != 2 || r.Unchanged {
		t.Errorf("%+v", r)
	}
	if r := publish(t, b, rules("three")); r.Activation.Number != 3 {
		t.Errorf("%+v", r)
	}
}

// follower is a node that follows.
type follower struct {
	*rulebook.Live
	mu    sync.Mutex
	names []string
}

func follow(t *testing.T, b *rulebook.Book) *follower {
	t.Helper()
	live, err := rulebook.Load(t.Context(), b, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := &follower{Live: live}
	live.Follow(func(c *ruleset.Compiled, _ rulebook.Activation) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.names = append(f.names, c.Set.Name)
	})
	t.Cleanup(live.Stop)
	return f
}

// reaches waits until the node routes by that version.
func (f *follower) reaches(t *testing.T, number int64) time.Duration {
	t.Helper()
	began := time.Now()
	for f.Status().Activation.Number != number {
		if time.Since(began) > soon {
			t.Fatalf("after %v: %+v", soon, f.Status())
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}

// TestFollow proves that a node begins with what is in force, is told of a change at once, and misses none while the server is away.
func TestFollow(t *testing.T) {
	s := startServer(t)
	b := s.open()
	f := follow(t, b)
	if f.Set() != nil || f.Status().Activation.Number != 0 {
		t.Fatal("there is nothing to load yet")
	}
	publish(t, b, rules("one"))
	t.Logf("a change was taken after %v", f.reaches(t, 1))
	time.Sleep(3 * time.Second) // longer than the watch took to begin: it must still be awake
	publish(t, b, rules("two"))
	if took := f.reaches(t, 2); took > time.Second {
		t.Errorf("a change was taken after %v", took)
	}
	s.Shutdown()
	s.start()
	publish(t, s.open(), rules("three"))
	t.Logf("after a restart of the server a change was taken after %v", f.reaches(t, 3))
	g := follow(t, s.open())
	if g.Set() == nil || g.Set().Set.Name != "three" || !strings.HasPrefix(g.Status().Rules, "three-") {
		t.Errorf("%+v", g.Status())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if got := strings.Join(f.names, " "); got != "one two three" {
		t.Errorf("took %s", got)
	}
}

// TestNewerLanguage proves that a version this program cannot compile is refused whole: a running node keeps what it has and says so, a
// starting one takes the newest it can, and both follow the next good one.
func TestNewerLanguage(t *testing.T) {
	s := startServer(t)
	b := s.open()
	publish(t, b, rules("one"))
	f := follow(t, b)
	newer(t, s, b, 2)
	for began := time.Now(); f.Status().Refused == nil; time.Sleep(time.Millisecond) {
		if time.Since(began) > soon {
			t.Fatalf("%+v", f.Status())
		}
	}
	now := f.Status()
	if now.Activation.Number != 1 || now.Refused.Activation.Number != 2 || now.Refusals != 1 || !strings.Contains(now.Refused.Why, "telepathy") {
		t.Errorf("%+v", now)
	}
	g := follow(t, b)
	if g.Set() == nil || g.Set().Set.Name != "one" || g.Status().Refused == nil {
		t.Errorf("%+v", g.Status())
	}
	if _, err := b.Rollback(t.Context(), 2, "bob", "", nil); code(err) != "invalid" {
		t.Errorf("rollback to it: %v", err)
	}
	publish(t, b, rules("three"))
	for _, node := range []*follower{f, g} {
		node.reaches(t, 3)
		if node.Status().Refused != nil {
			t.Errorf("%+v", node.Status())
		}
	}
}

// newer writes a version as a program with a newer language would.
func newer(t *testing.T, s *server, b *rulebook.Book, number int64) {
	t.Helper()
	j, err := js.New(s.connect())
	if err != nil {
		t.Fatal(err)
	}
	kv, err := j.KeyValue(t.Context(), rulebook.Bucket)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(rules("newer"), "scores: [distance]", "scores: [telepathy]", 1)
	if _, err := kv.Put(t.Context(), fmt.Sprintf("v.%d", number), rulebook.Stored(number, text)); err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), "active", fmt.Appendf(nil, `{"seq":%d,"number":%d,"act":"publish","id":"x","unheard_of":1}`, number, number)); err != nil {
		t.Fatal(err)
	}
}

// TestDamaged proves that a stored text that is not what was published is refused.
func TestDamaged(t *testing.T) {
	v := rulebook.Version{Number: 1, Text: rules("one"), Sum: "0"}
	if _, err := v.Compile(); err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("got %v", err)
	}
}

// TestUnfitBucket proves that a bucket which would forget is refused by name.
func TestUnfitBucket(t *testing.T) {
	s := startServer(t)
	j, err := js.New(s.connect())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.CreateKeyValue(t.Context(), js.KeyValueConfig{Bucket: rulebook.Bucket, TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if _, err := rulebook.Open(t.Context(), s.connect(), rulebook.Options{}); err == nil || !strings.Contains(err.Error(), "max_age") {
		t.Errorf("got %v", err)
	}
}

// TestNoAnswer proves that a write whose answer was lost is judged by what is stored: it counts once when it was done, is tried again when it
// was not, counts also when another activation came on top of it, and is unknown, never denied, when the store stays silent.
func TestNoAnswer(t *testing.T) {
	s := startServer(t)
	other := s.open()
	calls := 0
	for i, c := range []struct {
		name string
		done []bool // of the version's write, then of the activation's
		want string
	}{
		{"both done", []bool{true, true}, ""},
		{"done the second time", []bool{false, true, false, true}, ""},
		{"never done", []bool{false, false, false}, "timeout"},
		{"stored, not put in force", []bool{true, false, false, false}, "timeout"},
	} {
		b := s.open()
		b.Mute(func() { calls++ }, c.done...)
		text := rules(fmt.Sprintf("n%d", i))
		r, err := b.Publish(t.Context(), rulebook.Draft{Text: text})
		if got := code(err); c.want != "" && got != c.want || c.want == "" && err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		again := publish(t, other, text) // asking again is safe
		if again.Unchanged != (c.want == "") || c.want == "" && again.Activation != r.Activation {
			t.Errorf("%s: %+v, then %+v", c.name, r, again)
		}
	}
	b := s.open()
	b.Mute(func() {
		if calls++; calls%2 == 0 { // behind the activation
			publish(t, other, rules("on-top"))
		}
	}, true, true)
	calls = 0
	if r, err := b.Publish(t.Context(), rulebook.Draft{Text: rules("below")}); err != nil || r.Activation.Rules[:5] != "below" {
		t.Errorf("overtaken: %+v %v", r, err)
	}
	h, err := other.History(t.Context())
	if err != nil || len(h.Activations) != 6 || len(h.Drafts) != 0 {
		t.Errorf("%d activations, %d drafts, %v", len(h.Activations), len(h.Drafts), err)
	}
}

// TestAway proves that a book whose server is away says so in time, and goes on when it is back.
func TestAway(t *testing.T) {
	s := startServer(t)
	b := s.open()
	publish(t, b, rules("one"))
	s.Shutdown()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := b.Publish(ctx, rulebook.Draft{Text: rules("two")}); err == nil || code(err) == "conflict" {
		t.Errorf("got %v", err)
	}
	s.start()
	if r := publish(t, s.open(), rules("two")); r.Activation.Number != 2 {
		t.Errorf("%+v", r)
	}
}

// TestShippedSets proves that every rule set we ship fits the book.
func TestShippedSets(t *testing.T) {
	b := startServer(t).open()
	text, err := os.ReadFile("../../configs/routing/default.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile("../../configs/routing/default.test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r, err := b.Publish(t.Context(), rulebook.Draft{Text: string(text), Tests: string(tests), By: "ann"})
	if err != nil || r.Activation.Number != 1 {
		t.Fatal(r, err)
	}
	t.Logf("published in %v", time.Since(began))
}
