package test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

// simulation is what `rules simulate` says, as far as it is looked at here.
type simulation struct {
	First     time.Time `json:"first_placed_at"` // RFC 3339, as all times are
	Orders    int       `json:"orders"`
	Cancelled int       `json:"cancelled_left_out"`
	Base      simulatedSide
	Candidate simulatedSide
	Figures   []struct {
		Figure           string
		Base, Difference *float64
	}
	Changed int `json:"orders_changed"`
}

type simulatedSide struct {
	Rules string `json:"rules_version"`
	Tally struct {
		UnitsOrdered  int64 `json:"units_ordered"`
		UnitsAssigned int64 `json:"units_assigned"`
		Sites         map[string]struct{ Units int64 }
	}
}

func simulate(t *testing.T, h *house, args ...string) (s simulation) {
	t.Helper()
	code, out, errs := run(t, append([]string{"rules", "simulate", "-o", "json", "--server", h.url}, args...)...)
	if err := json.Unmarshal([]byte(out), &s); err != nil || code != 0 {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	return s
}

// eventsOf counts all that the journal holds.
func eventsOf(t *testing.T, h *house) int64 {
	t.Helper()
	code, out, errs := run(t, "verify", "-o", "json", "--settle", "20s", "--server", h.url)
	var v struct{ Events int64 }
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	return v.Events
}

// TestSimulateSince lets orders take the last unit, cancels one of them, and simulates what the yard has taken. It proves that each side begins with
// the stock from before those orders, that the rules in force are the base and differ from themselves in nothing, that other rules do differ, and
// that the journal holds nothing more afterwards.
func TestSimulateSince(t *testing.T) {
	t.Parallel()
	h := open(t, t.TempDir())
	nc := h.connect()
	applySite(t, nc, site(0, nil))
	applySite(t, nc, site(1, func(s *wire.Site) { s.Type = "store" }))
	setStock(t, nc, "A", "den", 6)
	ids := placeSome(t, nc, 7)
	if got := bucket(t, nc, "A", "den").ATP; got != -1 && got != 0 {
		t.Fatalf("%d left", got)
	}
	must[wire.OrderReceipt](t, nc, messages.OrderSubject("cancel"), wire.CancelOrderRequest{OrderID: ids[0], Reason: "customer", Actor: "test"})
	reaches(t, nc, ids[0], "cancelled")
	reaches(t, nc, ids[6], "allocated", "released") // the unit of the cancelled order
	before := eventsOf(t, h)

	near := rulesNamed(t, "near")
	s := simulate(t, h, "--rules", near, "--since", "1h")
	if s.Orders != 6 || s.Cancelled != 1 || s.Base.Rules != "builtin-1" || s.Base.Tally.UnitsOrdered != 6 || s.Base.Tally.UnitsAssigned != 6 {
		t.Errorf("%+v", s)
	}
	if got := simulate(t, h, "--rules", near, "--base", near, "--since", "1h"); got.Changed != 0 || got.Candidate.Rules != got.Base.Rules {
		t.Errorf("%+v", got)
	}
	if after := eventsOf(t, h); after != before {
		t.Errorf("%d events before, %d after", before, after)
	}
	r := publishRules(t, h.url, "publish", near)
	s = simulate(t, h, "--rules", near, "--since", "1h")
	if s.Base.Rules != r.RulesVersion || s.Changed != 0 {
		t.Errorf("%+v", s)
	}
	for _, f := range s.Figures {
		if f.Difference != nil && *f.Difference != 0 {
			t.Errorf("%s differs from itself by %v", f.Figure, *f.Difference)
		}
	}
	if code, _, errs := run(t, "rules", "simulate", "--server", h.url, "--rules", near, "--since", "0s"); code != 1 {
		t.Errorf("no order: exit %d, %s", code, errs)
	}
}

// placeSome places orders of one unit each, one after the other.
func placeSome(t *testing.T, nc *nats.Conn, n int) (ids []string) {
	for i := range n {
		id := place(t, nc, order(fmt.Sprintf("sim-%d", i), 1, "A"))
		reaches(t, nc, id, "allocated", "released", "backordered")
		ids = append(ids, id)
	}
	return ids
}

// TestShadow places orders at a node whose shadow would wait where the rules in force ship a part. It proves that the shadow counts every one of
// them and decides none, that it begins anew when other rules are published, that `rules shadow` says when there is none, and that a file which
// is no rule set stops the start.
func TestShadow(t *testing.T) {
	t.Parallel()
	near := rulesNamed(t, "near")
	h := open(t, t.TempDir(), "ORDERYARD_ROUTING_SHADOW="+near)
	nc := h.connect()
	applySite(t, nc, site(0, nil))
	setStock(t, nc, "A", "den", 3)
	for i := range 2 {
		o := order(fmt.Sprintf("sh-%d", i), 2, "A")
		o.Policy = &wire.Policy{Partial: "ship_available", OnShort: "backorder"}
		reaches(t, nc, place(t, nc, o), "allocated", "released", "backordered")
	}
	counted := func(orders, changed int, present string) {
		t.Helper()
		eventually(t, answerIn, func() string {
			code, out, errs := run(t, "rules", "shadow", "-o", "json", "--server", h.url)
			var s struct{ Sum simulation }
			if err := json.Unmarshal([]byte(out), &s); err != nil || code != 0 {
				return fmt.Sprintf("exit %d, %v\n%s%s", code, err, out, errs)
			}
			if s.Sum.Orders != orders || s.Sum.Changed != changed || s.Sum.Base.Rules != present {
				return fmt.Sprintf("%d orders, %d changed, beside %s", s.Sum.Orders, s.Sum.Changed, s.Sum.Base.Rules)
			}
			return ""
		})
	}
	counted(2, 1, "builtin-1")
	if code, out, errs := run(t, "rules", "shadow", "--server", h.url); code != 0 || !strings.Contains(out, "FIGURE") || !strings.Contains(out, "web-sh-1") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	r := publishRules(t, h.url, "publish", near)
	reaches(t, nc, place(t, nc, order("sh-2", 1, "A")), "backordered")
	counted(1, 0, r.RulesVersion)

	none := open(t, t.TempDir())
	if code, _, errs := run(t, "rules", "shadow", "--server", none.url); code != 3 || !strings.Contains(errs, "routing.shadow") {
		t.Errorf("exit %d: %s", code, errs)
	}
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("name: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused, urls := launch(t, t.TempDir(), "ORDERYARD_ROUTING_SHADOW="+bad)
	if _, started := <-urls; started || !strings.Contains(refused.stderr.String(), "routing.shadow is no rule set") {
		t.Errorf("started %v: %s", started, refused.stderr)
	}
}
