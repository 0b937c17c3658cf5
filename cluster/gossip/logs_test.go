package gossip

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// TestLogs proves what of memberlist and protoactor an operator hears, by a line of each sort.
func TestLogs(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	m := newMemberlistLog(log)
	m.Print("[DEBUG] memberlist: chatter")
	m.Print("[INFO] memberlist: more chatter")
	m.Print("[WARN] memberlist: was able to connect over TCP but not UDP")
	m.Print("[ERR] memberlist: Push/Pull with node failed: 10.0.0.1:7")
	m.Print("[ERR] memberlist: Push/Pull with node failed: 10.0.0.2:7")
	q := slog.New(newQuiet(log.Handler())).With("system", "A")
	q.Info("chatter of actors")
	for range 3 {
		q.Error("lost connection", "address", "b:1")
	}
	q.Warn("odd")
	got := out.String()
	if strings.Contains(got, "chatter") || strings.Contains(got, "ERROR") || strings.Count(got, "level=WARN") != 4 {
		t.Errorf("got\n%s", got)
	}
	for _, want := range []string{`text="was able to`, `text="Push/Pull with node failed: 10.0.0.1:7"`, "from=memberlist", "address=b:1", "system=A", "odd"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}
