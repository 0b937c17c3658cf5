package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"orderyard/messages"
)

// TestRulesWithin proves that a change which some nodes do not follow in time is told with the names of those nodes, and exits 5: it stands,
// and only they are behind.
func TestRulesWithin(t *testing.T) {
	s := startStub(t)
	s.replies[messages.RulesSubject("status")] = []*nats.Msg{{Data: []byte(`{"ok":true,"nodes":[{"node":"n1","version":4,"activation":5},` +
		`{"node":"n2","error":"nobody listens"},{"node":"n3","version":3,"activation":4}]}`)}}
	s.replies[messages.RulesSubject("rollback")] = []*nats.Msg{{Data: []byte(`{"ok":true,"version":4,"rules_version":"good-1","activation":5,"previous":3}`)}}
	var out, errs bytes.Buffer
	a := newApp(strings.NewReader(""), &out, &errs, func(string) string { return "" })
	code := a.execute(context.Background(), words("rules rollback 4 --within 1s --server "+s.url))
	if want := "not yet at n2 (does not answer), n3;"; code != exitUnavailable || !strings.Contains(errs.String(), want) ||
		out.String() != "Version 4 (good-1) is in force; before it was version 3.\n" {
		t.Errorf("exit %d\n%s%s", code, out.String(), errs.String())
	}
}
