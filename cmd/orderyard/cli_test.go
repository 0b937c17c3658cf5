package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"

	"orderyard/messages"
)

// stub is a NATS server with somebody behind the contract's subjects who answers what the story says, and remembers what was asked.
type stub struct {
	server  *server.Server
	url     string
	conn    *nats.Conn
	mu      sync.Mutex
	replies map[string][]*nats.Msg // per subject, one after the other; the last one stays
	asked   []string
	fresh   []string // the ids that this program made up, in the order in which they were first seen
}

func startStub(t *testing.T) *stub {
	t.Helper()
	ns, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	ns.Start()
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	if !ns.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	conn, err := nats.Connect(ns.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	s := &stub{server: ns, url: ns.ClientURL(), conn: conn, replies: map[string][]*nats.Msg{}}
	for _, family := range []string{"order", "stock", "site", "fulfillment", "rules"} {
		if _, err := conn.Subscribe(messages.SubjectRoot+family+".>", s.answer); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stub) answer(m *nats.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := m.Header.Get(messages.HeaderCommandID)
	if _, err := ulid.ParseStrict(id[:min(len(id), ulid.EncodedSize)]); err == nil && !slices.Contains(s.fresh, id[:ulid.EncodedSize]) {
		s.fresh = append(s.fresh, id[:ulid.EncodedSize])
	}
	s.asked = append(s.asked, strings.TrimSpace(fmt.Sprintf("%s %s %s", m.Subject, id, m.Data)))
	queue := s.replies[m.Subject]
	if len(queue) == 0 {
		return // nobody answers
	}
	if len(queue) > 1 {
		s.replies[m.Subject] = queue[1:]
	}
	reply := nats.NewMsg(m.Reply)
	reply.Data, reply.Header = queue[0].Data, queue[0].Header
	_ = m.RespondMsg(reply)
}

// take returns what was asked since the last call.
func (s *stub) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.asked = nil }()
	return strings.Join(s.asked, "\n")
}

// plain replaces the command ids that this run made up, which differ every time: <fresh> is the first one, <fresh 2> the next, and so on.
func (s *stub) plain(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.fresh = nil }()
	for i, id := range s.fresh {
		name := "<fresh>"
		if i > 0 {
			name = fmt.Sprintf("<fresh %d>", i+1)
		}
		text = strings.ReplaceAll(text, id, name)
	}
	return text
}

// TestStories runs every story in testdata: `reply` says what the node would answer, `silence` that it does not, `file` writes a file, `event` publishes one,
// `run` runs a command line and shows exit code, output, errors and what was asked. It proves that arguments become the contract's
// requests, answers become aligned tables or untouched JSON, and failures become the contract's exit codes.
func TestStories(t *testing.T) {
	testdata, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	datadriven.Walk(t, testdata, func(t *testing.T, path string) {
		s := startStub(t)
		t.Chdir(t.TempDir())
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "reply":
				return s.story(d)
			case "silence":
				s.mu.Lock()
				defer s.mu.Unlock()
				delete(s.replies, d.CmdArgs[0].Key)
				return ""
			case "event":
				return s.publish(t, d)
			case "file":
				if err := os.WriteFile(d.CmdArgs[0].Key, []byte(d.Input+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				return ""
			case "run":
				return s.run(d)
			}
			d.Fatalf(t, "unknown directive %s", d.Cmd)
			return ""
		})
	})
}

// story remembers an answer; `more` appends it behind the one before, `replayed` sets the header.
func (s *stub) story(d *datadriven.TestData) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &nats.Msg{Data: []byte(d.Input), Header: nats.Header{}}
	if d.HasArg("replayed") {
		m.Header.Set(messages.HeaderReplayed, "true")
	}
	subject := d.CmdArgs[0].Key
	if !d.HasArg("more") {
		s.replies[subject] = nil
	}
	s.replies[subject] = append(s.replies[subject], m)
	return ""
}

// publish puts an event into OY_EVENTS the way the egress does.
func (s *stub) publish(t *testing.T, d *datadriven.TestData) string {
	js, err := jetstream.New(s.conn)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if _, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: messages.StreamEvents, Subjects: []string{messages.SubjectEvents + ">"},
	}); err != nil {
		t.Fatal(err)
	}
	if len(d.CmdArgs) == 0 {
		return ""
	}
	m := nats.NewMsg(messages.SubjectEvents + d.CmdArgs[0].Key)
	m.Data = []byte(d.Input)
	for _, arg := range d.CmdArgs[1:] {
		m.Header.Set("ce-"+arg.Key, arg.Vals[0])
	}
	if _, err := js.PublishMsg(ctx, m); err != nil {
		t.Fatal(err)
	}
	return ""
}

// run executes the command line of the input; `terminal` pretends that a person looks, `now` sets the clock, other arguments are the environment.
func (s *stub) run(d *datadriven.TestData) string {
	env := map[string]string{"ORDERYARD_SERVER": s.url, "USER": "ann"}
	for _, arg := range d.CmdArgs {
		if len(arg.Vals) > 0 {
			env[arg.Key] = arg.Vals[0]
		} else if arg.Key != "terminal" {
			env[arg.Key] = ""
		}
	}
	command, in, _ := strings.Cut(d.Input, "\n")
	var out, errs bytes.Buffer
	a := newApp(strings.NewReader(in), &out, &errs, func(name string) string { return env[name] })
	a.terminal = d.HasArg("terminal")
	if now, err := time.Parse(time.RFC3339, env["now"]); err == nil {
		a.now = func() time.Time { return now }
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	code := a.execute(ctx, words(command))
	text := fmt.Sprintf("exit %d\n%s", code, out.String())
	if errs.Len() > 0 {
		text += "[stderr]\n" + errs.String()
	}
	if asked := s.take(); asked != "" {
		text += "[asked]\n" + asked + "\n"
	}
	text = strings.ReplaceAll(s.plain(text), s.url, "nats://stub")
	return strings.ReplaceAll(text, "\x1b", "ESC")
}

// words splits like a shell with single quotes.
func words(line string) []string {
	var found []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			found = append(found, part)
			continue
		}
		found = append(found, strings.Fields(part)...)
	}
	return found
}

// TestNoServer proves that a missing node is told in words that help, with the exit code for "unavailable".
func TestNoServer(t *testing.T) {
	for _, args := range [][]string{{"order", "list"}, {"events"}, {"stock", "get", "A@B"}, {"order", "place", "-"}} {
		var out, errs bytes.Buffer
		in := strings.NewReader(`{"channel":"web","external_id":"1"}`)
		a := newApp(in, &out, &errs, func(string) string { return "" })
		code := a.execute(t.Context(), append(args, "--server", "nats://ann:secret@127.0.0.1:1", "--timeout", "2s"))
		want := "no Orderyard answers at nats://…@127.0.0.1:1: start one with `orderyard dev`"
		if code != exitUnavailable || !strings.Contains(errs.String(), want) || strings.Contains(errs.String(), "secret") {
			t.Errorf("%v: exit %d, %s", args, code, errs.String())
		}
	}
}

// TestBrokenAddress proves that an address which is none is a mistake of the command line, and that the password in it is shown to nobody, not
// even a part of it.
func TestBrokenAddress(t *testing.T) {
	for _, address := range []string{"nats://ann:50%off@nats:4222", "nats://ann:50/off@nats:4222", "ann:50%off@nats", "nats://ann:50,off%@nats:4222"} {
		var out, errs bytes.Buffer
		a := newApp(nil, &out, &errs, func(string) string { return "" })
		code := a.execute(t.Context(), []string{"order", "list", "--server", address, "--timeout", "2s"})
		if code != exitUsage || !strings.Contains(errs.String(), "…@nats") || strings.Contains(errs.String(), "50") || strings.Contains(errs.String(), "off") {
			t.Errorf("%s: exit %d, %s", address, code, errs.String())
		}
	}
}

// TestServerGone proves that a server which is lost for good while a command runs is told in the same words, not in those of the client library.
func TestServerGone(t *testing.T) {
	c := &client{server: "nats://127.0.0.1:4222"}
	for _, gone := range []error{nats.ErrReconnectBufExceeded, nats.ErrDisconnected} {
		err := c.silence(t.Context(), fmt.Errorf("ask: %w", gone), "")
		var coded *exitError
		if !errors.As(err, &coded) || coded.code != exitUnavailable || !strings.Contains(err.Error(), "no Orderyard answers at nats://127.0.0.1:4222") || strings.Contains(err.Error(), "buffer") {
			t.Errorf("%v: %v", gone, err)
		}
	}
}

// TestNobodyBehindTheServer proves the same when NATS is there and Orderyard is not.
func TestNobodyBehindTheServer(t *testing.T) {
	ns, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	ns.Start()
	defer ns.Shutdown()
	if !ns.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	for _, args := range [][]string{{"order", "list"}, {"events"}, {"site", "pause", "S"}} {
		var out, errs bytes.Buffer
		a := newApp(nil, &out, &errs, func(string) string { return "" })
		code := a.execute(t.Context(), append(args, "--server", ns.ClientURL(), "--timeout", "2s"))
		if code != exitUnavailable || !strings.Contains(errs.String(), "no Orderyard answers at "+ns.ClientURL()) {
			t.Errorf("%v: exit %d, %s", args, code, errs.String())
		}
	}
}

// TestExitCodes proves the table of the contract for every error code there is, and for errors that carry none.
func TestExitCodes(t *testing.T) {
	for code, want := range map[string]int{
		messages.CodeInvalid: 1, messages.CodeDeclined: 1, messages.CodeRejected: 1, messages.CodeHeld: 1, messages.CodeTooLate: 1,
		messages.CodeInternal: 1, messages.CodeNotFound: 3, messages.CodeConflict: 4, messages.CodeLimit: 5, messages.CodeUnavailable: 5,
		messages.CodeMoved: 5, messages.CodeTimeout: 5, "a code of tomorrow": 1,
	} {
		if got := exitOf(fmt.Errorf("wrapped: %w", messages.Fail(code, "", "x"))); got != want {
			t.Errorf("%s: exit %d, want %d", code, got, want)
		}
	}
	if got := exitOf(exitWith(exitInvariant, fmt.Errorf("I1"))); got != 6 {
		t.Errorf("invariant: exit %d", got)
	}
	if got := exitOf(context.DeadlineExceeded); got != 5 {
		t.Errorf("deadline: exit %d", got)
	}
}

// TestMoney proves that minor units are shown without a float, at both ends of their range.
func TestMoney(t *testing.T) {
	for _, c := range []struct {
		amount   int64
		currency string
		want     string
	}{
		{4498, "USD", "44.98 USD"}, {5, "USD", "0.05 USD"}, {-5, "EUR", "-0.05 EUR"}, {0, "USD", "0.00 USD"}, {4498, "JPY", "4498 JPY"},
		{1234, "KWD", "1.234 KWD"}, {4498, "XPF", "4498 XPF"}, {4498, "BIF", "4498 BIF"}, {12345, "CLF", "1.2345 CLF"}, {5, "UYW", "0.0005 UYW"}, {-1 << 63, "USD", "-92233720368547758.08 USD"},
	} {
		if got := money(c.amount, c.currency); got != c.want {
			t.Errorf("%d %s: %s, want %s", c.amount, c.currency, got, c.want)
		}
	}
}
