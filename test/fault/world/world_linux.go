package world

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Options say what a world is made of.
type Options struct {
	NATS       int    // servers: 1 (default) or 3, then every stream has 3 replicas
	Nodes      int    // started by New; more can be added
	Namespaces bool   // everything in a network namespace of its own
	Partitions int    // default 32
	Build      string // name of the program; default "plain"
	How        Build  // how to build it
	Config     string // YAML that goes into every node's file
	// Dev runs `orderyard dev` instead of a node: one process that is its own NATS server.
	Dev bool
	// Store is the folder of a NATS server that has ended: its only server begins with a copy of it.
	Store string
	// DiskBytes puts the store of every NATS server, or of dev, on a disk of its own of that size. It needs DisksAllowed.
	DiskBytes int64
	// Behind lets the nodes run behind NATS and the clients (nice 5), which then have the processors first, as on machines of their own.
	Behind bool
	// ListensWithin is how long a NATS server may take to start; default a minute.
	ListensWithin time.Duration
	// NodeEnv is put into every node's environment.
	NodeEnv []string
}

// World is everything that runs for one row. It belongs to one goroutine.
type World struct {
	Dir     string
	Servers []*Server
	Nodes   []*Node

	t       testing.TB
	o       Options
	program string
	wires   *wires
	disks   []*Disk
	devPort int
}

const (
	readyWithin = 60 * time.Second
	leaveWithin = 60 * time.Second
)

// New builds the program, starts NATS and the nodes, and returns when all are ready. Everything ends with the test; when that has failed, the
// end of what every process said is shown.
func New(t testing.TB, o Options) *World {
	t.Helper()
	w, err := Try(t, o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Try is New for what may not start.
func Try(t testing.TB, o Options) (*World, error) {
	t.Helper()
	if o.Partitions == 0 {
		o.Partitions = 32
	}
	if o.Build == "" {
		o.Build = "plain"
	}
	dir, err := os.MkdirTemp("", "orderyard-fault-")
	if err != nil {
		t.Fatal(err)
	}
	w := &World{Dir: dir, t: t, o: o}
	t.Cleanup(w.end)
	if w.program, err = Program(o.Build, o.How); err != nil {
		t.Fatal(err)
	}
	return w, w.open()
}

func (w *World) open() error {
	if w.o.Dev {
		w.o.Nodes, w.devPort = 1, freePort("127.0.0.1")
	} else {
		if w.o.Namespaces {
			var err error
			if w.wires, err = newWires(); err != nil {
				return err
			}
		}
		if w.o.Store != "" {
			if err := os.CopyFS(w.Store("nats-1"), os.DirFS(w.o.Store)); err != nil {
				return err
			}
		}
		if err := w.startServers(max(w.o.NATS, 1)); err != nil {
			return err
		}
	}
	for range w.o.Nodes {
		if _, err := w.Add(); err != nil {
			return err
		}
	}
	for _, n := range w.Nodes {
		if err := n.AwaitReady(readyWithin); err != nil {
			return err
		}
	}
	return nil
}

// end kills everything, shows what was said when the test failed, and removes what was written; a failed test's folder stays.
func (w *World) end() {
	for _, n := range w.Nodes {
		if n.Process != nil {
			n.Kill()
		}
	}
	for _, s := range w.Servers {
		if s.Process != nil {
			s.Kill()
		}
	}
	if w.wires != nil {
		w.wires.remove()
	}
	for _, d := range w.disks {
		d.remove(w.t.Failed())
	}
	if !w.t.Failed() {
		_ = os.RemoveAll(w.Dir) // a temporary folder
		return
	}
	for _, p := range w.processes() {
		w.t.Logf("the end of what %s said (all of it: %s):\n%s", p.Name, p.Log, lastLines(p.Said(), 25))
	}
}

func (w *World) processes() (all []*Process) {
	for _, s := range w.Servers {
		if s.Process != nil {
			all = append(all, s.Process)
		}
	}
	for _, n := range w.Nodes {
		if n.Process != nil {
			all = append(all, n.Process)
		}
	}
	return all
}

// URL lists the NATS servers for a client.
func (w *World) URL() string {
	if w.o.Dev {
		return fmt.Sprintf("nats://127.0.0.1:%d", w.devPort)
	}
	var urls []string
	for _, s := range w.Servers {
		urls = append(urls, s.URL())
	}
	return strings.Join(urls, ",")
}

// Partitions is how many there are; `dev` has its own number.
func (w *World) Partitions() int {
	if w.o.Dev {
		return 4
	}
	return w.o.Partitions
}

// Add makes another node and starts it, without waiting.
func (w *World) Add() (*Node, error) {
	i := len(w.Nodes) + 1
	at, err := w.place(fmt.Sprintf("node-%d", i), nodeAddress+i-1)
	if err != nil {
		return nil, err
	}
	n := &Node{w: w, place: at, Name: at.name}
	w.Nodes = append(w.Nodes, n)
	if w.o.Dev {
		if n.Disk, err = w.disk(w.Store(n.Name)); err != nil {
			return nil, err
		}
	} else {
		if err := n.configure(); err != nil {
			return nil, err
		}
	}
	return n, n.Start()
}

// Node finds a node by its name.
func (w *World) Node(name string) *Node {
	for _, n := range w.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// Cut parts two of the world's processes in both directions, by name; Mend joins them again.
func (w *World) Cut(a, b string) error { return w.both(a, b, w.cut) }

// Mend undoes Cut.
func (w *World) Mend(a, b string) error { return w.both(a, b, w.mend) }

func (w *World) both(a, b string, do func(a, b place) error) error {
	var ends []place
	for _, name := range []string{a, b} {
		if n := w.Node(name); n != nil {
			ends = append(ends, n.place)
		}
		for _, s := range w.Servers {
			if s.o.Name == name {
				ends = append(ends, s.place)
			}
		}
	}
	if len(ends) != 2 || w.wires == nil {
		return errors.New("no wire between " + a + " and " + b)
	}
	return do(ends[0], ends[1])
}

// Store is a folder of the world's own.
func (w *World) Store(name string) string { return filepath.Join(w.Dir, name) }
