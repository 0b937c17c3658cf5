package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/persistence/jetstream/embedded"
)

// rulesNamed writes a small rule set of that name.
func rulesNamed(t testing.TB, name string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name+".yaml")
	text := fmt.Sprintf("name: %s\nroutes:\n  - name: all\n    rules:\n      - {name: near, scores: [distance], actions: {full: assign_many, partial: backorder, none: backorder}}\nfallback: all\n", name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// publishRules runs the client command and gives the version that plans store from then on.
func publishRules(t testing.TB, url string, args ...string) wire.RulesReceipt {
	t.Helper()
	code, out, errs := run(t, append([]string{"rules", "-o", "json", "--server", url}, args...)...)
	var r wire.RulesReceipt
	if err := wire.DecodeAnswer([]byte(out), &r); err != nil || code != 0 {
		t.Fatalf("%v: exit %d, %v\n%s%s", args, code, err, out, errs)
	}
	return r
}

// plannedBy is the version that the order's latest plan stored.
func plannedBy(t testing.TB, nc *nats.Conn, id string) string {
	t.Helper()
	view := must[wire.OrderAnswer](t, nc, messages.OrderSubject("explain"), wire.ExplainOrderRequest{OrderID: id}).OrderView
	if len(view.Decisions) == 0 {
		t.Fatalf("order %s has no plan", id)
	}
	return view.Decisions[0].RulesVersion
}

// keepPlacing places orders of one SKU from several hands until it is told to stop, and gives the ids of those acknowledged.
func keepPlacing(t testing.TB, nc *nats.Conn, name, sku string) (stop func() []string) {
	t.Helper()
	var mu sync.Mutex
	var placed []string
	var wait sync.WaitGroup
	end := make(chan struct{})
	for hand := range 4 {
		wait.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-end:
					return
				default:
				}
				o := order(fmt.Sprintf("%s-%d-%d", name, hand, i), 1, sku)
				if err := placeSurely(nc, o); err != nil {
					t.Errorf("order %s: %v", o.ExternalID, err)
					return
				}
				mu.Lock()
				placed = append(placed, o.Channel+"-"+o.ExternalID)
				mu.Unlock()
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	return func() []string {
		close(end)
		wait.Wait()
		return placed
	}
}

// TestRulesLive publishes rule sets, rolls one back and kills the process under a stream of orders. It proves that no acknowledged order is
// lost, that an order placed after the command has returned is planned by the new version, and that the version in force survives.
func TestRulesLive(t *testing.T) {
	t.Parallel()
	h := open(t, t.TempDir())
	nc := h.connect()
	applySite(t, nc, site(0, nil))
	setStock(t, nc, "A", "den", 100_000)
	stop := keepPlacing(t, nc, "s", "A")
	var versions []string
	for i, act := range []struct{ verb, arg string }{
		{"publish", rulesNamed(t, "one")}, {"publish", rulesNamed(t, "two")}, {"rollback", "1"}, {"publish", rulesNamed(t, "three")},
	} {
		began := time.Now()
		r := publishRules(t, h.url, act.verb, act.arg)
		if took := time.Since(began); i == 0 {
			t.Logf("published at the node in %v, with the start of the client", took.Round(time.Millisecond))
		}
		versions = append(versions, r.RulesVersion)
		id := place(t, nc, order(fmt.Sprintf("after-%d", i), 1, "A"))
		reaches(t, nc, id, "allocated", "released")
		if got := plannedBy(t, nc, id); got != r.RulesVersion {
			t.Errorf("placed after %s %s: planned by %s", act.verb, r.RulesVersion, got)
		}
	}
	placed := stop()
	seen := map[string]int{}
	for _, id := range placed {
		reaches(t, nc, id, "allocated", "released")
		seen[plannedBy(t, nc, id)]++
	}
	t.Logf("%d orders under the changes, by version: %v", len(placed), seen)
	for _, v := range versions {
		delete(seen, v)
	}
	delete(seen, "builtin-1")
	if len(placed) == 0 || len(seen) > 0 || versions[2] != versions[0] {
		t.Errorf("planned by versions that never were in force: %v; %v", seen, versions)
	}
	h.kill()
	h = h.again()
	nc = h.connect()
	id := place(t, nc, order("killed", 1, "A"))
	reaches(t, nc, id, "allocated", "released")
	if got := plannedBy(t, nc, id); got != versions[3] {
		t.Errorf("after kill -9: planned by %s, want %s", got, versions[3])
	}
	h.verify()
}

// TestRulesCommands proves by the exit codes that the door refuses what is wrong, that a file is had back as it was published, and that
// `routing.rules` is the first version of an empty store and no later one.
func TestRulesCommands(t *testing.T) {
	t.Parallel()
	first, dir := rulesNamed(t, "first"), t.TempDir()
	h := open(t, dir, "ORDERYARD_ROUTING_RULES="+first)
	expect := func(want int, says string, args ...string) {
		t.Helper()
		code, out, errs := run(t, append([]string{"rules", "--server", h.url}, args...)...)
		if code != want || !strings.Contains(out+errs, says) {
			t.Errorf("%v: exit %d, want %d and %q\n%s%s", args, code, want, says, out, errs)
		}
	}
	text, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	if code, out, _ := run(t, "rules", "--server", h.url, "show"); code != 0 || out != string(text) {
		t.Errorf("exit %d\n%s", code, out)
	}
	expect(0, "routing.rules: first.yaml", "history")
	expect(3, "there is no version 7", "show", "7")
	expect(3, "there is no version 7", "rollback", "7")
	expect(4, "version 1 is in force, not 0", "publish", rulesNamed(t, "second"), "--based-on", "0")
	expect(0, "Version 2", "publish", rulesNamed(t, "second"))
	expect(0, "as before", "publish", rulesNamed(t, "second"))
	expect(0, "1 node", "rollback", "1")
	nc := h.connect()
	m, err := nc.Request(messages.RulesSubject("publish"), []byte(`{"text":"name: x\n"}`), answerIn)
	if err != nil || !strings.Contains(string(m.Data), `"code":"invalid"`) {
		t.Errorf("%s %v", m.Data, err)
	}
	h.interrupt()
	h = open(t, dir, "ORDERYARD_ROUTING_RULES="+rulesNamed(t, "third"))
	expect(0, "Version 1 (first-", "status")
	h.interrupt()
	expect(5, "no Orderyard answers", "status")
}

// TestRulesEverywhere proves with several nodes, under a stream of orders, that a change has reached all of them when the command returns: every
// order placed from then on is planned by it, wherever it lives, and none is lost; and that a node which joins later begins with it.
func TestRulesEverywhere(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	url := server.ClientURL()
	join(t, url, 21).isReady()
	join(t, url, 22).isReady()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	applySite(t, nc, site(0, nil))
	setStock(t, nc, "A", "den", 100_000)
	stop := keepPlacing(t, nc, "e", "A")
	var r wire.RulesReceipt
	versions := map[string]bool{"builtin-1": true}
	for i, name := range []string{"everywhere", "elsewhere", "everywhere-again"} {
		r = publishRules(t, url, "publish", rulesNamed(t, name))
		versions[r.RulesVersion] = true
		for k := range 12 { // by chance on every node, or nearly
			id := place(t, nc, order(fmt.Sprintf("new-%d-%d", i, k), 1, "A"))
			reaches(t, nc, id, "allocated", "released")
			if got := plannedBy(t, nc, id); got != r.RulesVersion {
				t.Errorf("%s, placed after %s: planned by %s", id, r.RulesVersion, got)
			}
		}
	}
	placed := stop()
	for _, id := range placed {
		reaches(t, nc, id, "allocated", "released")
		if got := plannedBy(t, nc, id); !versions[got] {
			t.Errorf("%s is planned by %s, which never was in force", id, got)
		}
	}
	t.Logf("%d orders under three changes at two nodes", len(placed))
	join(t, url, 23).isReady()
	code, out, errs := run(t, "rules", "-o", "json", "--server", url, "status")
	var s wire.RulesStatusAnswer
	if err := wire.DecodeAnswer([]byte(out), &s); err != nil || code != 0 || len(s.Nodes) != 3 {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	for _, n := range s.Nodes {
		if n.RulesVersion != r.RulesVersion || n.Error != "" {
			t.Errorf("%+v", n)
		}
	}
}
