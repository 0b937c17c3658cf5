package world

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsVariable makes a test binary a NATS server.
const natsVariable = "FAULT_SUITE_NATS"

// promisesMax is more than the streams reserve: a small disk shall be full, not too small.
const promisesMax = 16 << 30

// natsOptions is what it holds, as JSON.
type natsOptions struct {
	Name, Host string
	Port       int
	Dir        string
	Route      int      // port of the cluster's own wires; 0 = alone
	Routes     []string // host:port of all members
	StoreMax   int64    // what it may promise to streams; 0 = by the disk
}

// Main is for TestMain: in a child it serves NATS and does not return; in the parent it runs the tests and what ends them.
func Main(m *testing.M, then func()) {
	if text := os.Getenv(natsVariable); text != "" {
		if err := serveNATS(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	sweep()
	code := m.Run()
	then()
	os.Exit(code)
}

// serveNATS runs a server until SIGTERM.
func serveNATS(text string) error {
	var o natsOptions
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return fmt.Errorf("read %s: %w", natsVariable, err)
	}
	opts := &server.Options{
		ServerName: o.Name, Host: o.Host, Port: o.Port, JetStream: true, StoreDir: o.Dir, SyncAlways: true, NoSigs: true,
		MaxPayload: 8 << 20, Logtime: true, JetStreamMaxStore: o.StoreMax,
	}
	if o.Route != 0 {
		opts.Cluster = server.ClusterOpts{Name: "fault", Host: o.Host, Port: o.Route}
		for _, r := range o.Routes {
			opts.Routes = append(opts.Routes, &url.URL{Scheme: "nats", Host: r})
		}
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("make the server: %w", err)
	}
	srv.ConfigureLogger()
	quit := make(chan os.Signal, 1)
	signal.Notify(quit, syscall.SIGTERM)
	go srv.Start()
	if !srv.ReadyForConnections(time.Minute) {
		return fmt.Errorf("%s is not ready", o.Name)
	}
	fmt.Println("listening") // what the parent waits for
	<-quit
	srv.Shutdown()
	srv.WaitForShutdown()
	return nil
}

// Server is one NATS server; its process may change, its address and store stay.
type Server struct {
	*Process
	Disk  *Disk // nil = the machine's
	w     *World
	place place
	o     natsOptions
}

// URL is where clients connect.
func (s *Server) URL() string { return fmt.Sprintf("nats://%s:%d", s.o.Host, s.o.Port) }

// Dir is the folder of its store.
func (s *Server) Dir() string { return s.o.Dir }

// Addr is the server's address.
func (s *Server) Addr() string { return s.o.Host }

// Start starts the server, again or for the first time, and returns when it listens.
func (s *Server) Start() error {
	if err := s.begin(); err != nil {
		return err
	}
	return s.Await("listening\n", time.Minute)
}

func (s *Server) begin() error {
	text, err := json.Marshal(s.o)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	s.Process, err = start(s.w.Dir, s.o.Name, append(plainEnv(), natsVariable+"="+string(text)), s.place.argv(self)...)
	return err
}

// ErrDeaf is a NATS server that does not come to listen.
var ErrDeaf = errors.New("the NATS server does not start")

// startServers makes one server or a group of three.
func (w *World) startServers(n int) error {
	var routes []string
	for i := range n {
		at, err := w.place(fmt.Sprintf("nats-%d", i+1), natsAddress+i)
		if err != nil {
			return err
		}
		o := natsOptions{Name: at.name, Host: at.addr, Port: at.port(4222), Dir: filepath.Join(w.Dir, at.name)}
		if n > 1 {
			o.Route = at.port(6222)
			routes = append(routes, fmt.Sprintf("%s:%d", o.Host, o.Route))
		}
		if w.o.DiskBytes > 0 {
			o.StoreMax = promisesMax
		}
		disk, err := w.disk(o.Dir)
		if err != nil {
			return err
		}
		w.Servers = append(w.Servers, &Server{w: w, place: at, o: o, Disk: disk})
	}
	for _, s := range w.Servers {
		s.o.Routes = routes
		if err := s.begin(); err != nil {
			return err
		}
	}
	for _, s := range w.Servers {
		if err := s.Await("listening\n", cmp.Or(w.o.ListensWithin, time.Minute)); err != nil {
			return fmt.Errorf("%w: %w", ErrDeaf, err)
		}
	}
	return w.awaitJetStream()
}

// awaitJetStream waits until every server knows who leads: before that it drops requests without a word.
func (w *World) awaitJetStream() error {
	for _, s := range w.Servers {
		nc, err := nats.Connect(s.URL(), nats.DontRandomize())
		if err != nil {
			return fmt.Errorf("connect to %s: %w", s.URL(), err)
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			return err
		}
		for end := time.Now().Add(time.Minute); ; {
			ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
			_, err := js.AccountInfo(ctx)
			cancel()
			if err == nil {
				break
			}
			if time.Now().After(end) {
				return fmt.Errorf("JetStream of %s: %w", s.URL(), err)
			}
		}
	}
	return nil
}
