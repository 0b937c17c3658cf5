package test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

// TestPermissions proves deploy/nats/permissions.conf: with the rights it gives, a node serves, a channel orders and hears of its orders, a site does its
// own work and people see and check everything; and a channel can neither order for another nor listen to it, a site not answer for another.
func TestPermissions(t *testing.T) {
	t.Parallel()
	url := guarded(t)
	n := join(t, url("node"), 31).isReady()
	people, web, denver := dial(t, url("operator")), dial(t, url("web")), dial(t, url("denver"))

	applySite(t, people.nc, site(0, func(s *wire.Site) { s.ID = "DC-DENVER"; manual(s) }))
	setStock(t, people.nc, "SHIRT", "DC-DENVER", 10)
	id := place(t, web.nc, order("1", 2, "SHIRT"))
	fo := submitted(t, people.nc, id, 1)
	if work := must[wire.FulfillmentListAnswer](t, denver.nc, messages.FulfillmentSubject("list", "DC-DENVER"), wire.FulfillmentListRequest{}); len(work.Fulfillments) != 1 {
		t.Fatalf("the site sees %+v", work.Fulfillments)
	}
	for _, verb := range []string{"accept", "ship", "deliver"} {
		tell(t, denver.nc, verb, "DC-DENVER", wire.FulfillmentRequest{FulfillmentID: fo.ID})
	}
	reaches(t, people.nc, id, "completed")
	web.hears(t, "oy.v1.evt.order.delivered.web", id)
	denver.hears(t, "oy.v1.evt.fulfillment.requested.DC-DENVER", fo.ID)

	web.mayNot(t, func() { _ = web.nc.Publish(messages.PlaceSubject("mobile"), nil) })
	web.mayNot(t, func() { _ = web.nc.Publish(messages.StockSubject("set"), nil) })
	web.mayNot(t, func() { web.listen(t, "oy.v1.evt.order.*.mobile") })
	web.mayNot(t, func() { web.listen(t, "oy.v1.evt.fulfillment.*.DC-DENVER") })
	denver.mayNot(t, func() { _ = denver.nc.Publish(messages.FulfillmentSubject("list", "DC-OTHER"), nil) })
	people.mayNot(t, func() { _ = people.nc.Publish("oy.journal.0", nil) })

	(&house{t: t, url: url("operator")}).verify()
	n.leave()
}

// guarded starts a NATS server with the rights of the file and gives each user's address.
func guarded(t *testing.T) func(user string) string {
	t.Helper()
	dir := t.TempDir()
	rights, err := os.ReadFile("../deploy/nats/permissions.conf")
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("listen: 127.0.0.1:-1\nmax_payload: 8MB\njetstream {store_dir: %q, sync_interval: always}\ninclude permissions.conf\n", filepath.Join(dir, "store"))
	for name, text := range map[string]string{"permissions.conf": string(rights), "nats.conf": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, variable := range []string{"NODE_PASSWORD", "WEB_PASSWORD", "DENVER_PASSWORD", "OPERATOR_PASSWORD"} {
		if !strings.Contains(string(rights), "$"+variable) {
			t.Fatalf("the file asks for no %s", variable)
		}
		if err := os.Setenv(variable, "of-"+variable); err != nil { // of this process, which runs the server
			t.Fatal(err)
		}
	}
	o, err := server.ProcessConfigFile(filepath.Join(dir, "nats.conf"))
	if err != nil {
		t.Fatal(err)
	}
	o.NoSigs, o.NoLog = true, true
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(readyIn) {
		t.Fatal("the NATS server takes no connections")
	}
	address := strings.TrimPrefix(s.ClientURL(), "nats://")
	return func(user string) string {
		return fmt.Sprintf("nats://%s:of-%s_PASSWORD@%s", user, strings.ToUpper(user), address)
	}
}

// caller is a connection that remembers what it was not allowed.
type caller struct {
	nc     *nats.Conn
	denied chan error
}

func dial(t *testing.T, url string) *caller {
	t.Helper()
	c := &caller{denied: make(chan error, 16)}
	nc, err := nats.Connect(url, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrPermissionViolation) {
			c.denied <- err
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	c.nc = nc
	return c
}

// mayNot proves that NATS refuses what act does, and that nothing was refused before.
func (c *caller) mayNot(t *testing.T, act func()) {
	t.Helper()
	select {
	case err := <-c.denied:
		t.Fatalf("refused before: %v", err)
	default:
	}
	act()
	select {
	case err := <-c.denied:
		t.Logf("as it should be: %v", err)
	case <-time.After(answerIn):
		t.Error("nobody refused")
	}
}

// listen asks for the events of a subject; nil when that is not allowed.
func (c *caller) listen(t *testing.T, subject string) jetstream.Consumer {
	t.Helper()
	js, err := jetstream.New(c.nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	consumer, err := js.OrderedConsumer(ctx, messages.StreamEvents, jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}})
	if err != nil {
		return nil
	}
	return consumer
}

// hears waits for an event about something.
func (c *caller) hears(t *testing.T, subject, about string) {
	t.Helper()
	pattern := strings.Split(subject, ".")
	pattern[4] = "*" // what a right is given for
	consumer := c.listen(t, strings.Join(pattern, "."))
	if consumer == nil {
		t.Fatalf("may not listen to %s", subject)
	}
	for end := time.Now().Add(answerIn); time.Now().Before(end); {
		m, err := consumer.Next(jetstream.FetchMaxWait(time.Second))
		if err == nil && m.Subject() == subject && m.Headers().Get("ce-subject") == about {
			return
		}
	}
	t.Errorf("%s about %s was not heard", subject, about)
}
