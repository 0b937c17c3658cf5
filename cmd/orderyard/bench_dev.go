package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"orderyard/cmd/orderyard/child"
)

// benchDev is Orderyard as one child process: `orderyard dev` with an empty store, its NATS server inside, every write synced. Databases are
// child processes, too: the load generator is outside of all of them.
type benchDev struct {
	dir        string
	partitions int
	port       string // of NATS; "0" before the first start
	url, http  string
	proc       *child.Process
}

var devReady = regexp.MustCompile(`NATS (nats://[^ ]+:([0-9]+)) · http://([^ ]+)`)

// startDev starts one in dir and returns when it is ready.
func startDev(dir string, partitions int) (*benchDev, error) {
	d := &benchDev{dir: dir, partitions: partitions, port: "0"}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	config := fmt.Sprintf("partitions: %d\nlog: {level: warn}\n", partitions)
	if err := os.WriteFile(d.config(), []byte(config), 0o600); err != nil {
		return nil, err
	}
	if err := d.start(); err != nil {
		return nil, err
	}
	line, err := d.proc.Await("is ready", benchReadyIn)
	if err != nil {
		d.end()
		return nil, err
	}
	m := devReady.FindStringSubmatch(line)
	if m == nil {
		d.end()
		return nil, fmt.Errorf("the node is ready, but does not say where: %q", line)
	}
	d.url, d.port, d.http = m[1], m[2], m[3]
	return d, nil
}

func (d *benchDev) config() string { return filepath.Join(d.dir, "dev.yaml") }

// start starts the process, again or for the first time, and does not wait. It keeps its port, so that clients find it again.
func (d *benchDev) start() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	d.proc, err = child.Start(child.Options{Argv: []string{
		self, "dev", "--config", d.config(), "--data", filepath.Join(d.dir, "data"), "--nats-port", d.port, "--http", "127.0.0.1:0", "--no-demo", "--no-fleet",
	}})
	return err
}

// metric reads one of the process's own figures.
func (d *benchDev) metric(name string) (float64, error) { return scrape(d.http, name) }

// commands gives how many commands were made durable so far, and with how many syncs.
func (d *benchDev) commands() (entries, commits float64, err error) {
	if entries, err = d.metric("orderyard_commit_entries_total"); err != nil {
		return 0, 0, err
	}
	commits, err = d.metric("orderyard_commits_total")
	return entries, commits, err
}

// cpu is what the node and its NATS server have used.
func (d *benchDev) cpu() time.Duration { return d.proc.CPU() }

func (d *benchDev) end() { d.proc.Stop(syscall.SIGTERM, benchEndsIn) }

// openDev starts a node and a shop in front of it. end ends both.
func openDev(dir string, partitions, conns int) (d *benchDev, shop *benchShop, end func(), err error) {
	if d, err = startDev(filepath.Join(dir, "orderyard"), partitions); err != nil {
		return nil, nil, nil, err
	}
	shop = &benchShop{}
	end = func() { shop.close(); d.end() }
	if err := shop.open(d.url, conns, uint64(partitions)); err != nil {
		end()
		return nil, nil, nil, err
	}
	shop.orders.prefix = strconv.FormatInt(int64(d.proc.PID()), 36) + "-"
	return d, shop, end, nil
}
