package control_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/gateway/control"
	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/persistence/jetstream/embedded"
)

// stage is a cluster of two nodes that never changes; a drain of the unknown is refused as the real one refuses it.
type stage struct{}

func (stage) Status() *wire.ClusterStatus {
	return &wire.ClusterStatus{AnsweredBy: "n1", Partitions: 2, Owned: 2, Nodes: []wire.ClusterMember{{Node: "n1", Partitions: 1}, {Node: "n2", Partitions: 1}}}
}

func (stage) Partitions() []wire.ClusterPartition {
	return []wire.ClusterPartition{{Partition: 0, Phase: "owned", Node: "n1"}, {Partition: 1, Phase: "owned", Node: "n2"}}
}

func (stage) Drain(_ context.Context, node string) (*wire.ClusterDrainAnswer, *messages.Failure) {
	if node != "n2" {
		return nil, messages.Fail(messages.CodeNotFound, "node", "there is no node %q", node)
	}
	return &wire.ClusterDrainAnswer{Node: "n2", Incarnation: "i2", Partitions: 1}, nil
}

// The door answers what the contract says, refuses what it cannot understand by naming the field, and is gone after Stop: asked over a
// real server as a client would.
func TestDoor(t *testing.T) {
	srv, err := embedded.Start(embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Shutdown()
	nc, err := srv.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	door, err := control.Start(nc, control.Options{Cluster: stage{}, Metadata: map[string]string{"node": "n1"}})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(verb, body string) string {
		t.Helper()
		m, err := nc.Request(messages.ClusterSubject(verb), []byte(body), 5*time.Second)
		if err != nil {
			t.Fatalf("%s: %v", verb, err)
		}
		return string(m.Data)
	}
	for _, c := range []struct{ verb, body, want string }{
		{"status", "", `"answered_by":"n1"`},
		{"status", "{}", `"partitions":2,"owned":2`},
		{"status", `{"nodes":1}`, `"field":"nodes"`},
		{"partitions", "", `{"partition":1,"phase":"owned","node":"n2"}`},
		{"drain", `{"node":"n2"}`, `"incarnation":"i2"`},
		{"drain", `{"node":"n9"}`, `"code":"not_found"`},
		{"drain", `{"node":"a b"}`, `"field":"node"`},
		{"drain", ``, `"field":"node"`},
		{"drain", `{`, `"code":"invalid"`},
	} {
		got := ask(c.verb, c.body)
		if !json.Valid([]byte(got)) || !strings.Contains(got, c.want) {
			t.Errorf("%s %s answered %s, without %s", c.verb, c.body, got, c.want)
		}
	}
	if err := door.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Request(messages.ClusterSubject("status"), nil, 5*time.Second); err != nats.ErrNoResponders {
		t.Fatalf("after Stop: %v", err)
	}
}

// hung is a cluster whose status takes until it is told.
type hung struct {
	stage
	go_ chan struct{}
}

func (h hung) Status() *wire.ClusterStatus { <-h.go_; return h.stage.Status() }

// TestBusyDoor proves that requests which take long are bounded: those beyond are told to come again, at once, and those under way are answered before
// the door is closed.
func TestBusyDoor(t *testing.T) {
	srv, err := embedded.Start(embedded.Options{Dir: t.TempDir(), Port: embedded.InProcessOnly})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Shutdown()
	nc, err := srv.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	h := hung{go_: make(chan struct{})}
	door, err := control.Start(nc, control.Options{Cluster: h})
	if err != nil {
		t.Fatal(err)
	}
	const all, most = 300, 64
	answers, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		t.Fatal(err)
	}
	for range all {
		if err := nc.PublishRequest(messages.ClusterSubject("status"), answers.Subject, nil); err != nil {
			t.Fatal(err)
		}
	}
	next := func() string {
		t.Helper()
		m, err := answers.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return string(m.Data)
	}
	for range all - most {
		if got := next(); !strings.Contains(got, `"code":"limit"`) || !strings.Contains(got, `"retry_after_ms"`) {
			t.Fatalf("beside %d requests under way: %s", most, got)
		}
	}
	close(h.go_)
	if err := door.Stop(); err != nil {
		t.Fatal(err)
	}
	for range most {
		if got := next(); !strings.Contains(got, `"answered_by":"n1"`) {
			t.Fatalf("under way: %s", got)
		}
	}
}
