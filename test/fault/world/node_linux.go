package world

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Node is one Orderyard node; its process may change, its name, addresses and configuration stay.
type Node struct {
	*Process
	Name  string
	Disk  *Disk // of dev; nil = the machine's
	w     *World
	place place
	file  string
	lives int
}

// HTTP is the node's door for probes and metrics.
func (n *Node) HTTP() string { return fmt.Sprintf("%s:%d", n.place.addr, n.place.port(8080)) }

func (n *Node) gossip() string { return fmt.Sprintf("%s:%d", n.place.addr, n.place.port(7946)) }
func (n *Node) remote() string { return fmt.Sprintf("%s:%d", n.place.addr, n.place.port(7947)) }

// configure writes the node's file. Its seeds are the nodes that were there before it: the first one has none, as a first node has.
func (n *Node) configure() error {
	var seeds []string
	for _, other := range n.w.Nodes {
		if other != n {
			seeds = append(seeds, other.gossip())
		}
	}
	replicas := 1
	if len(n.w.Servers) == 3 {
		replicas = 3
	}
	text := fmt.Sprintf("node:\n  name: %s\n  data: %s\nnats:\n  url: %q\n  replicas: %d\n", n.Name, n.w.Store(n.Name), n.w.URL(), replicas)
	text += fmt.Sprintf("cluster:\n  bind: %s\n  seeds: [%s]\n  plain: true\n  remote:\n    bind: %s\n", n.gossip(), strings.Join(seeds, ", "), n.remote())
	text += fmt.Sprintf("http:\n  addr: %s\npartitions: %d\n%s", n.HTTP(), n.w.o.Partitions, n.w.o.Config)
	n.file = filepath.Join(n.w.Dir, n.Name+".yaml")
	return os.WriteFile(n.file, []byte(text), 0o640)
}

// Start starts the node's process, again or for the first time, and does not wait.
func (n *Node) Start() error {
	args := []string{n.w.program, "node", "--config", n.file}
	if n.w.o.Dev {
		args = []string{
			n.w.program, "dev", "--data", n.w.Store(n.Name), "--nats-port", strconv.Itoa(n.w.devPort), "--http", n.HTTP(), "--no-demo", "--no-fleet",
		}
	}
	if n.w.o.Behind {
		args = append([]string{"nice", "-n", "5"}, args...)
	}
	n.lives++
	var err error
	n.Process, err = start(n.w.Dir, fmt.Sprintf("%s.%d", n.Name, n.lives), append(plainEnv(), n.w.o.NodeEnv...), n.place.argv(args...)...)
	return err
}

// Restart starts the node again and returns when it is ready, with the time that took.
func (n *Node) Restart() (time.Duration, error) {
	if err := n.Start(); err != nil {
		return 0, err
	}
	err := n.AwaitReady(readyWithin)
	return time.Since(n.Began), err
}

// Leave asks the node to end as an operator does, and waits: it hands its partitions over first.
func (n *Node) Leave() (time.Duration, error) {
	began := time.Now()
	if err := n.Terminate(leaveWithin); err != nil {
		return 0, err
	}
	if code := n.ExitCode(); code != 0 {
		return 0, fmt.Errorf("%s ended with exit %d:\n%s", n.Name, code, lastLines(n.Said(), 20))
	}
	return time.Since(began), nil
}

// web asks one node, and only for a short time: it may be paused or dead.
var web = &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func (n *Node) get(path string) (string, error) {
	answer, err := web.Get("http://" + n.HTTP() + path)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 8<<20))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s%s: %s: %s", n.Name, path, answer.Status, strings.TrimSpace(string(body)))
	}
	return string(body), err
}

// Ready says why the node is not, nil = it is.
func (n *Node) Ready() error {
	if n.Process == nil || !n.Alive() {
		return errors.New(n.Name + " does not run")
	}
	_, err := n.get("/readyz")
	return err
}

// AwaitReady waits until the node has said so and its probe agrees.
func (n *Node) AwaitReady(within time.Duration) error {
	if err := n.Await("ready", within); err != nil {
		return err
	}
	for end := time.Now().Add(within); ; time.Sleep(10 * time.Millisecond) {
		err := n.Ready()
		if err == nil || !n.Alive() || time.Now().After(end) {
			return err
		}
	}
}

// Probe is what the node says of its readiness when it is ready.
func (n *Node) Probe() (string, error) { return n.get("/readyz") }

// Metrics gives the node's numbers by name, labels added up.
func (n *Node) Metrics() (map[string]float64, error) {
	text, err := n.get("/metrics")
	if err != nil {
		return nil, err
	}
	return parseMetrics(text), nil
}

func parseMetrics(text string) map[string]float64 {
	found := map[string]float64{}
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		if at < 0 {
			continue
		}
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			continue
		}
		name, _, _ := strings.Cut(line[:at], "{")
		found[name] += value
	}
	return found
}

// Metric is one of them; -1 when the node does not answer.
func (n *Node) Metric(name string) float64 {
	all, err := n.Metrics()
	if err != nil {
		return -1
	}
	return all[name]
}

// Usage is what the process takes from the machine, as the kernel counts it.
type Usage struct {
	Goroutines, Files int
	ResidentBytes     int64
}

// Usage reads it.
func (n *Node) Usage() (Usage, error) {
	var u Usage
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", n.PID()))
	if err != nil {
		return u, err
	}
	if u.ResidentBytes, err = n.Resident(); err != nil {
		return u, err
	}
	u.Files, u.Goroutines = len(files), int(n.Metric("go_goroutines"))
	return u, nil
}

// File is the node's configuration.
func (n *Node) File() string { return n.file }

// Ports are where the node listens beside NATS: for gossip, for its peers' requests, for HTTP.
func (n *Node) Ports() []string { return []string{n.gossip(), n.remote(), n.HTTP()} }
