package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// DefaultAddr is where the door listens unless told otherwise.
const DefaultAddr = "127.0.0.1:8080"

// Limits of a connection. None of the answers takes long, so neither may a caller.
const (
	headerWithin = 2 * time.Second
	readWithin   = 5 * time.Second
	writeWithin  = 30 * time.Second // a scrape of a busy node
	idleFor      = time.Minute
	headerMax    = 16 << 10
	scrapesMax   = 4 // at once
)

// Options are what the door needs.
type Options struct {
	// Addr is host:port; default DefaultAddr, port 0 = any free one.
	Addr string
	// Ready says why the node does not serve, or that it drains and should get nothing new; nil = it serves. It is called for every
	// probe, from many goroutines, and must not wait.
	Ready func() error
	// Note is what the probe says of a node that serves, but not everything; nil or "" = nothing.
	Note func() string
	// Status gives what this node knows of the cluster, to be written as JSON, or nil while it knows nothing yet; nil = it is not served. It
	// is called for every request, from many goroutines, and must not wait.
	Status func() any
	// Gatherer holds the metrics; nil = none are served.
	Gatherer prometheus.Gatherer
	// Profile serves the profiles of the Go runtime under /debug/pprof/, to whoever asks: they tell what the process works on, and cost it time.
	Profile bool
	Log     *slog.Logger
}

// Server is the running door.
type Server struct {
	http     *http.Server
	listener net.Listener
	log      *slog.Logger
	ended    chan struct{}
}

// limits are how long a request may take to be read and to be answered.
type limits struct{ read, write time.Duration }

// takenFor is how long an address may be taken: a process that was killed keeps it, and its store, until its memory is gone.
const takenFor = time.Second

func listen(addr string) (net.Listener, error) {
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		l, err := net.Listen("tcp", addr)
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) || time.Since(began) > takenFor {
			return l, err
		}
	}
}

// Start listens and serves. An address that is taken is tried for a second.
func Start(o Options) (*Server, error) { return start(o, limits{read: readWithin, write: writeWithin}) }

func start(o Options, l limits) (*Server, error) {
	if o.Addr == "" {
		o.Addr = DefaultAddr
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	listener, err := listen(o.Addr)
	if err != nil {
		return nil, fmt.Errorf("http door: %w", err)
	}
	s := &Server{listener: listener, log: o.Log, ended: make(chan struct{})}
	s.http = &http.Server{
		Handler: routes(o), ReadHeaderTimeout: headerWithin, ReadTimeout: l.read, WriteTimeout: l.write,
		IdleTimeout: idleFor, MaxHeaderBytes: headerMax, ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	// A stopping door does not wait until a profile is over: what was gathered so far is sent.
	running, stopping := context.WithCancel(context.Background())
	s.http.BaseContext = func(net.Listener) context.Context { return running }
	s.http.RegisterOnShutdown(stopping)
	go func() {
		defer stopping()
		defer close(s.ended)
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("http door ended", "error", err)
		}
	}()
	return s, nil
}

// Addr is where the door listens, with the real port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Stop lets open requests finish until ctx ends, then closes them.
func (s *Server) Stop(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("stop http door: %w", err), s.http.Close())
	}
	<-s.ended
	return err
}

func routes(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if o.Ready != nil {
			if err := o.Ready(); err != nil {
				say(w, http.StatusServiceUnavailable, err.Error())
				return
			}
		}
		text := "ok"
		if o.Note != nil && o.Note() != "" {
			text += ", but " + o.Note()
		}
		say(w, http.StatusOK, text)
	})
	if o.Status != nil {
		mux.HandleFunc("GET /v1/cluster", func(w http.ResponseWriter, _ *http.Request) {
			status := o.Status()
			if status == nil {
				say(w, http.StatusServiceUnavailable, "this node is still joining the cluster")
				return
			}
			show(w, status, o.Log)
		})
	}
	if o.Gatherer != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{MaxRequestsInFlight: scrapesMax}))
	}
	if o.Profile {
		profiles(mux)
	}
	return mux
}

// profiles serves what net/http/pprof has. Importing it puts the same on http.DefaultServeMux, which nothing in this house serves. A profile of so
// many seconds may be answered that much later than anything else: pprof itself moves the deadline of its connection.
func profiles(mux *http.ServeMux) {
	for path, serve := range map[string]http.HandlerFunc{
		"": pprof.Index, "cmdline": pprof.Cmdline, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace,
	} {
		mux.HandleFunc("GET /debug/pprof/"+path, serve)
	}
}

func say(w http.ResponseWriter, status int, text string) {
	write(w, status, "text/plain; charset=utf-8", []byte(text+"\n"))
}

// show writes a document as JSON, the same bytes for the same document.
func show(w http.ResponseWriter, doc any, log *slog.Logger) {
	body, err := json.Marshal(doc, json.Deterministic(true))
	if err != nil {
		log.Error("status cannot be written", "error", err)
		say(w, http.StatusInternalServerError, "the status cannot be written")
		return
	}
	write(w, http.StatusOK, "application/json", append(body, '\n'))
}

func write(w http.ResponseWriter, status int, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller may be gone
}
