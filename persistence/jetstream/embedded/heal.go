package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// A server whose disk was full refuses every write until it is started again, however much room there is: with one replica the stream keeps its
// first write error, with three JetStream switches itself off. A server of its own is restarted by its operator. This one lives in the
// node's process and has nobody, so it looks after itself: it waits for room and opens its store again. Connections come back by themselves.

const (
	watchEvery = 500 * time.Millisecond
	// roomBytes must fit before the store is opened again; the server needs some to start.
	roomBytes = 4 << 20
	roomFile  = "room"
)

// watch looks after the store until Shutdown.
func (s *Server) watch() {
	defer close(s.gone)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	told := false
	for {
		select {
		case <-s.quit:
			return
		case <-tick.C:
		}
		why := refusesWrites(s.server())
		if why == "" {
			told = false
			continue
		}
		if !told {
			told = true
			s.o.Logger.Error("the store takes nothing more; it is opened again once there is room", "error", why)
		}
		if err := room(s.o.Dir); err != nil {
			s.o.Logger.Debug("no room yet", "error", err)
			continue
		}
		if err := s.again(); err != nil {
			s.o.Logger.Error("the store cannot be opened again yet", "error", err)
			continue
		}
		s.o.Logger.Info("the store is open again")
	}
}

// TakesWrites says whether every stream of the server can be written, as far as it knows: a disk that is full is noticed with the next write.
func (s *Server) TakesWrites() bool { return refusesWrites(s.server()) == "" }

// refusesWrites says why a server stores nothing any more; "" = it does. What else may be wrong with its health is no reason to start it again.
func refusesWrites(srv *server.Server) string {
	if !srv.Running() { // it is being opened again, or could not be
		return "the server has stopped"
	}
	if !srv.JetStreamEnabled() {
		return "JetStream has switched itself off"
	}
	if h := srv.Healthz(&server.HealthzOptions{}); strings.Contains(h.Error, "write error") {
		return h.Error
	}
	return ""
}

// room tries whether the disk takes something.
func room(dir string) error {
	file, err := os.Create(filepath.Join(dir, roomFile))
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if _, err := file.Write(make([]byte, roomBytes)); err != nil {
		return err
	}
	return file.Sync()
}

// again ends the server and starts another one over the same store, at the same port.
func (s *Server) again() error {
	old := s.server()
	old.Shutdown()
	old.WaitForShutdown()
	srv, err := start(s.o)
	if err != nil {
		return fmt.Errorf("open the store again: %w", err)
	}
	s.mu.Lock()
	s.srv = srv
	s.mu.Unlock()
	return nil
}
