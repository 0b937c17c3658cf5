package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"orderyard/messages"
)

// unwilling is a NATS server where this test plays JetStream: it has a stream with events, and fails when somebody wants to read them.
func unwilling(t *testing.T, create string) *server.Server {
	t.Helper()
	ns, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	ns.Start()
	t.Cleanup(ns.Shutdown)
	if !ns.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	conn, err := nats.Connect(ns.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	_, err = conn.Subscribe("$JS.API.>", func(m *nats.Msg) {
		_, rest, of := strings.Cut(m.Subject, "."+messages.StreamEvents+".") // a consumer of it
		name, _, _ := strings.Cut(rest, ".")
		switch {
		case !of:
			_ = m.Respond([]byte(`{"config":{"name":"OY_EVENTS","subjects":["oy.v1.evt.>"]},"state":{"messages":2,"first_seq":1,"last_seq":2}}`))
		case strings.Contains(m.Subject, "CONSUMER.CREATE") && create != "":
			_ = m.Respond([]byte(create))
		case !strings.Contains(m.Subject, "MSG.NEXT"):
			_ = m.Respond(fmt.Appendf(nil, `{"stream_name":"OY_EVENTS","name":%q,"config":{},"num_pending":2}`, name))
		}
	})
	if err == nil {
		err = conn.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

// eventsSaid is more than a reader asks JetStream for at once.
const eventsSaid = 1200

// eventful is a NATS server with events.
func eventful(t *testing.T) *server.Server {
	t.Helper()
	s := startStub(t)
	s.publish(t, &datadriven.TestData{})
	for range eventsSaid - 1 {
		if err := s.conn.Publish("oy.v1.evt.order.placed.web", []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
	}
	s.publish(t, &datadriven.TestData{CmdArgs: []datadriven.CmdArg{{Key: "order.placed.web"}}, Input: `{"last":true}`})
	return s.server
}

// meanwhile does something while the first line is written.
type meanwhile struct {
	bytes.Buffer
	do func()
}

func (m *meanwhile) Write(b []byte) (int, error) {
	if m.Len() == 0 {
		m.do()
	}
	return m.Buffer.Write(b)
}

func runEvents(t *testing.T, ns *server.Server, out io.Writer, args ...string) (code int, errs string) {
	t.Helper()
	var told bytes.Buffer
	a := newApp(nil, out, &told, func(string) string { return "" })
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	code = a.execute(ctx, append([]string{"events", "--server", ns.ClientURL(), "--timeout", "500ms"}, args...))
	if ctx.Err() != nil {
		t.Errorf("%v did not end by itself", args)
	}
	return code, told.String()
}

// TestEventsUnwilling proves that a JetStream which cannot open the stream, or says nothing, ends in "unavailable", in time, and is not blamed on
// the filter.
func TestEventsUnwilling(t *testing.T) {
	for name, create := range map[string]string{
		"no leader": `{"error":{"code":503,"err_code":10008,"description":"JetStream system temporarily unavailable"}}`, "silent": "",
	} {
		code, errs := runEvents(t, unwilling(t, create), io.Discard)
		if code != exitUnavailable || strings.Contains(errs, "--filter") {
			t.Errorf("%s: exit %d, %s", name, code, errs)
		}
	}
}

// TestEventsCutShort proves that a list of events which is not whole never looks as if it were: when the connection dies while it is written, and
// when JetStream ends on a connection that lives.
func TestEventsCutShort(t *testing.T) {
	for name, fault := range map[string]func(ns *server.Server){
		"the connection dies": func(ns *server.Server) { ns.Shutdown(); ns.WaitForShutdown() },
		"JetStream ends":      func(ns *server.Server) { _ = ns.DisableJetStream() },
		"nothing":             func(*server.Server) {},
	} {
		ns := eventful(t)
		out := &meanwhile{do: func() { fault(ns) }}
		code, errs := runEvents(t, ns, out, "--all")
		want, whole := exitUnavailable, strings.Contains(out.String(), "last")
		if name == "nothing" {
			want = exitOK
		}
		if lines := strings.Count(out.String(), "\n"); code != want || whole != (code == exitOK) || whole && lines != eventsSaid {
			t.Errorf("%s: exit %d after %d lines, %s", name, code, lines, errs)
		}
	}
}

// TestEventsInterrupted proves that Ctrl-C is how a person ends `events -f`, which waits longer than --timeout, and that without -f it is told.
func TestEventsInterrupted(t *testing.T) {
	ns := eventful(t)
	for _, c := range []struct {
		arg  string
		wait time.Duration
		want int
	}{{"-f", 800 * time.Millisecond, exitOK}, {"--all", 0, exitFailed}} {
		ctx, cancel := context.WithCancel(t.Context())
		var errs bytes.Buffer
		out := &meanwhile{do: func() {
			if time.AfterFunc(c.wait, cancel); c.wait == 0 {
				<-ctx.Done()
			}
		}}
		a := newApp(nil, out, &errs, func(string) string { return "" })
		if code := a.execute(ctx, []string{"events", c.arg, "--server", ns.ClientURL(), "--timeout", "500ms"}); code != c.want {
			t.Errorf("%s: exit %d, %s", c.arg, code, errs.String())
		}
		cancel()
	}
}
