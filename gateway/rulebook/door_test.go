package rulebook_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/gateway/rulebook"
	"orderyard/gateway/wire"
	"orderyard/messages"
)

// TestDoor proves that the door answers what the contract says, refuses what it cannot understand by naming the field, and is gone after
// Stop: asked over a real server as a client would.
func TestDoor(t *testing.T) {
	s := startServer(t)
	nc := s.connect()
	door, err := rulebook.OpenDoor(nc, rulebook.DoorOptions{
		Book: s.open(), Node: "n1", Nodes: func(context.Context) []wire.RulesNode { return []wire.RulesNode{{Node: "n1", Version: 2}} },
	})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(verb, body string) string {
		t.Helper()
		m, err := nc.Request(messages.RulesSubject(verb), []byte(body), soon)
		if err != nil {
			t.Fatalf("%s: %v", verb, err)
		}
		return string(m.Data)
	}
	publish := func(text, more string) string { return fmt.Sprintf(`{"text":%q%s}`, text, more) }
	for _, c := range []struct{ verb, body, want string }{
		{"get", "", `"code":"not_found"`},
		{"status", "", `{"ok":true,"answered_by":"n1","nodes":[{"node":"n1","version":2,"activation":0}]}`},
		{"history", "{}", `{"ok":true}`},
		{"publish", "", `"field":"body"`},
		{"publish", `{"text":""}`, `"field":"text"`},
		{"publish", publish("nmae: x\n", ""), `"field":"text:1:1"`},
		{"publish", publish(rules("one"), `,"note":`+fmt.Sprintf("%q", strings.Repeat("n", 1001))), `"field":"note"`},
		{"publish", publish(rules("one"), `,"based_on":4`), `"code":"conflict"`},
		{"publish", publish(rules("one"), `,"actor":"cli:ann","note":"first","based_on":0`), `{"ok":true,"version":1,"rules_version":"one-`},
		{"publish", publish(rules("one"), ``), `"unchanged":true`},
		{"publish", publish(rules("two"), fmt.Sprintf(`,"tests":%q`, failing)), `"field":"tests:5:`},
		{"publish", publish(rules("two"), fmt.Sprintf(`,"tests":%q`, passing)), `"activation":2,"previous":1}`},
		{"get", "", `"version":2,"rules_version":"two-`},
		{"get", `{"version":1}`, `"state":"archived","by":"cli:ann","at":"1970-01-01T00:00:01Z","note":"first","text":"name: one\n`},
		{"get", `{"version":9}`, `"code":"not_found"`},
		{"rollback", `{"version":0}`, `"field":"version"`},
		{"rollback", `{"version":9}`, `"code":"not_found"`},
		{"rollback", `{"version":1,"based_on":1}`, `"code":"conflict"`},
		{"rollback", `{"version":2,"based_on":1}`, `"unchanged":true`},
		{"rollback", `{"version":1,"actor":"cli:bob"}`, `"version":1,`},
		{"status", "{}", `"active":{"activation":3,"version":1,"rules_version":"one-`},
		{"history", `{"limit":2}`, `"next_before":2`},
		{"history", `{"before":2}`, `{"ok":true,"history":[{"activation":1,"version":1,`},
		{"history", `{"page":2}`, `"field":"page"`},
		{"prices", "", `"code":"not_found"`},
		{"prices", `{"limit":1001}`, `"field":"limit"`},
	} {
		if got := ask(c.verb, c.body); !strings.Contains(got, c.want) {
			t.Errorf("%s %s answered %s, without %s", c.verb, c.body, got, c.want)
		}
	}
	if err := door.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Request(messages.RulesSubject("status"), nil, time.Second); err != nats.ErrNoResponders {
		t.Fatalf("after Stop: %v", err)
	}
}
