package client

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/messages"
	"orderyard/persistence/jetstream/embedded"
)

// TestInsist proves that a client repeats under one command id what may be repeated and nothing else, by answering it with every kind of
// answer in turn; and that each attempt is counted as what it was.
func TestInsist(t *testing.T) {
	srv, err := embedded.Start(embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Shutdown()
	c, err := Dial(srv.ClientURL(), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Attempt, c.Tally = 100*time.Millisecond, NewTally()
	answers := []string{
		"", // silence
		`{"ok":false,"error":{"code":"moved","message":"m","retryable":true,"retry_after_ms":1}}`,
		`{"ok":false,"error":{"code":"timeout","message":"m","retryable":false}}`,
		`{"ok":true}`, "nonsense",
	}
	ids := map[string]bool{}
	if _, err := c.Conn().Subscribe("ask", func(m *nats.Msg) {
		ids[m.Header.Get(messages.HeaderCommandID)] = true
		if next := answers[0]; next != "" {
			_ = m.Respond([]byte(next)) // an attempt without an answer is what the client must survive
		}
		answers = answers[1:]
	}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if o := c.Insist(t.Context(), "ask", nil, "one"); o.Tries != 3 || o.Code != messages.CodeTimeout || !o.Known() {
		t.Errorf("%+v, want the third answer, which denies another try", o)
	}
	if o := c.Insist(t.Context(), "ask", nil, "one"); !o.OK() || o.Tries != 1 {
		t.Errorf("%+v, want ok", o)
	}
	if o := c.Insist(t.Context(), "ask", nil, "one"); o.Code != Garbled {
		t.Errorf("%+v, want garbled", o)
	}
	if o := c.Once(t.Context(), "elsewhere", nil, "one"); o.Code != Nobody || o.Known() {
		t.Errorf("%+v, want nobody", o)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if o := c.Insist(ended, "ask", nil, "one"); o.Known() {
		t.Errorf("%+v after the end", o)
	}
	counts := c.Tally.Between(began, time.Now())
	if counts[Silence] != 2 || counts["moved"] != 1 || counts["timeout!"] != 1 || counts["ok"] != 1 || counts.Bad() != 2 || counts.Unanswered() != 5 || counts.All() != 7 {
		t.Errorf("%v: bad %d, unanswered %d", counts, counts.Bad(), counts.Unanswered())
	}
	if len(ids) != 1 {
		t.Errorf("command ids %v", ids)
	}
}
