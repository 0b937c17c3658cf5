package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const (
	lockFile = "LOCK"
	// MaxPayloadDefault is the largest message in bytes: one commit of many entities fits, and one slice of a checkpoint many times.
	MaxPayloadDefault = 8 << 20
	// BatchesMaxDefault is room for one batch of each of 1,024 partitions, and for some that nobody ended. NATS takes a thousand for one stream.
	BatchesMaxDefault = 4096
	// readyWithin bounds the start. A server that reads back a store of a million messages after kill -9 takes 3 s.
	readyWithin = 60 * time.Second
	// A server that starts is asked every readyPoll whether it serves, and for readyGlance: asked for longer, it looks every 25 ms only.
	readyPoll   = time.Millisecond
	readyGlance = 50 * time.Microsecond
	// reconnectWait is the pause between two tries of a connection to come back after the server was opened again.
	reconnectWait = 50 * time.Millisecond
)

// InProcessOnly as a port opens none: only this process can connect.
const InProcessOnly = -1

// Options are the dials of a Server.
type Options struct {
	Dir        string // holds everything; made if missing. Required
	Host       string // default 127.0.0.1
	Port       int    // 0 = any free one, InProcessOnly = none
	SyncAlways bool   // sync to disk before an append is acknowledged. Anything but tests and measurements wants it
	MaxPayload int32  // bytes; default MaxPayloadDefault
	Name       string // of the server; default "orderyard"
	BatchesMax int    // open batches of all streams; default BatchesMaxDefault
	Logger     *slog.Logger
}

// ErrLocked says that another process uses the directory.
var ErrLocked = errors.New("the data directory is in use")

// Server is a running server.
type Server struct {
	o    Options // with the port that was found
	lock *os.File
	once sync.Once
	quit chan struct{}
	gone chan struct{} // whoever watches the store has ended

	mu  sync.RWMutex
	srv *server.Server // replaced when its store had to be opened again
}

// Start starts a server and returns when it takes connections.
func Start(o Options) (*Server, error) {
	if o.Dir == "" {
		return nil, errors.New("start embedded NATS: no data directory given")
	}
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.Name == "" {
		o.Name = "orderyard"
	}
	if o.MaxPayload == 0 {
		o.MaxPayload = MaxPayloadDefault
	}
	if o.BatchesMax == 0 {
		o.BatchesMax = BatchesMaxDefault
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("start embedded NATS: %w", err)
	}
	lock, err := lockDir(filepath.Join(o.Dir, lockFile))
	if err != nil {
		return nil, fmt.Errorf("start embedded NATS in %s: %w", o.Dir, err)
	}
	srv, err := start(o)
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("start embedded NATS in %s: %w", o.Dir, err)
	}
	if o.Port == 0 {
		o.Port = srv.Addr().(*net.TCPAddr).Port
	}
	s := &Server{o: o, srv: srv, lock: lock, quit: make(chan struct{}), gone: make(chan struct{})}
	go s.watch()
	return s, nil
}

func start(o Options) (*server.Server, error) {
	opts := &server.Options{
		ServerName: o.Name, Host: o.Host, Port: o.Port,
		JetStream: true, StoreDir: o.Dir, SyncAlways: o.SyncAlways,
		MaxPayload:      o.MaxPayload,
		JetStreamLimits: server.JSLimitOpts{MaxBatchInflightPerStream: o.BatchesMax, MaxBatchInflightTotal: o.BatchesMax},
		NoSigs:          true, // signals are the node's to handle: it drains first
	}
	switch o.Port {
	case 0:
		opts.Port = server.RANDOM_PORT
	case InProcessOnly:
		opts.Port, opts.DontListen = 0, true
	default:
		if err := portFree(o.Host, o.Port); err != nil {
			return nil, err
		}
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return nil, err
	}
	log := &logger{log: o.Logger.With("part", "nats"), fatal: make(chan string, 1)}
	srv.SetLoggerV2(log, false, false, false)
	go srv.Start() // serves until Shutdown
	if err := await(srv, log.fatal); err != nil {
		srv.Shutdown()
		return nil, err
	}
	return srv, nil
}

// await returns when the server serves, or with the reason why it never will.
func await(srv *server.Server, fatal <-chan string) error {
	for end := time.Now().Add(readyWithin); time.Now().Before(end); {
		if srv.ReadyForConnections(readyGlance) && srv.JetStreamEnabled() {
			return nil
		}
		select {
		case reason := <-fatal:
			return errors.New(reason)
		case <-time.After(readyPoll):
		}
	}
	return fmt.Errorf("not ready within %s", readyWithin)
}

// portFree asks for the port once and gives it back: the server's own message would come too late and in its own words.
func portFree(host string, port int) error {
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("port %d on %s cannot be used: %w", port, host, errors.Unwrap(err))
	}
	return l.Close()
}

// InProcessConn gives the client's end of a connection without a socket. With it a Server is a nats.InProcessConnProvider.
func (s *Server) InProcessConn() (net.Conn, error) { return s.server().InProcessConn() }

func (s *Server) server() *server.Server {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.srv
}

// ClientURL is where clients connect; "" when only this process can.
func (s *Server) ClientURL() string {
	srv := s.server()
	if srv.Addr() == nil {
		return ""
	}
	return srv.ClientURL()
}

// SyncAlways tells whether an append is on disk before it is acknowledged.
func (s *Server) SyncAlways() bool { return s.o.SyncAlways }

// Connect connects within the process, for as long as the server runs.
func (s *Server) Connect(options ...nats.Option) (*nats.Conn, error) {
	options = append([]nats.Option{
		nats.InProcessServer(s), nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait), nats.ReconnectBufSize(-1),
	}, options...)
	return nats.Connect("", options...)
}

// Empty removes everything a server keeps in the directory. It refuses (ErrLocked) while another process uses it.
func Empty(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	lock, err := lockDir(filepath.Join(dir, lockFile))
	if err != nil {
		return fmt.Errorf("empty %s: %w", dir, err)
	}
	defer lock.Close()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("empty %s: %w", dir, err)
	}
	for _, e := range entries {
		if e.Name() == lockFile { // stays, for it is what keeps others out
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("empty %s: %w", dir, err)
		}
	}
	return nil
}

// Shutdown stops the server, waits until it has, and gives the directory free. Repeating it does nothing.
func (s *Server) Shutdown() {
	s.once.Do(func() {
		close(s.quit)
		<-s.gone
		srv := s.server()
		srv.Shutdown()
		srv.WaitForShutdown()
		s.lock.Close()
	})
}

// logger speaks the server's words into slog, one step quieter than the server means them: to an operator of Orderyard its notices are
// details. A fatal one ends the start instead of the process.
type logger struct {
	log   *slog.Logger
	fatal chan string
}

func (l *logger) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *logger) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l *logger) Errorf(format string, v ...any)  { l.log.Error(fmt.Sprintf(format, v...)) }
func (l *logger) Debugf(string, ...any)           {}
func (l *logger) Tracef(string, ...any)           {}
func (l *logger) Fatalf(format string, v ...any) {
	reason := fmt.Sprintf(format, v...)
	l.log.Error(reason)
	select {
	case l.fatal <- reason:
	default:
	}
}
