package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"orderyard/cmd/orderyard/child"
)

// benchNode is one child process of a benchmark: a real `orderyard node` on a loopback address of its own.
type benchNode struct {
	network int // keeps the sides of a benchmark apart
	number  int
	log     string         // level; "" = warn
	proc    *child.Process // nil before the first start
}

const (
	benchReadyIn  = time.Minute
	benchEndsIn   = 30 * time.Second
	benchScrapeIn = 2 * time.Second
)

func (n *benchNode) name() string { return "bench-" + strconv.Itoa(n.number) }

func (n *benchNode) address(number, port int) string {
	return fmt.Sprintf("127.0.%d.%d:%d", n.network, number+1, port)
}

// start starts the process and returns when it is ready.
func (n *benchNode) start(ctx context.Context, dir, url string, partitions int) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	text := fmt.Sprintf("node: {name: %s, data: %s}\nnats: {url: %q}\npartitions: %d\nhttp: {addr: %q}\nlog: {level: %s}\ncluster:\n  bind: %s\n  remote: {bind: %s}\n",
		n.name(), strconv.Quote(dir), url, partitions, n.address(n.number, 18080), cmp.Or(n.log, "warn"), n.address(n.number, 17946), n.address(n.number, 17947))
	if n.number > 0 {
		text += "  seeds: [" + strconv.Quote(n.address(0, 17946)) + "]\n"
	}
	config := filepath.Join(dir, "node.yaml")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	// As a child it ends with this process, however that ends.
	if n.proc, err = child.Start(child.Options{Argv: []string{self, "node", "--config", config}, Stderr: os.Stderr}); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, n.proc.Kill)()
	if _, err := n.proc.Await("is ready", benchReadyIn); err != nil {
		n.stop()
		return cmp.Or(ctx.Err(), err)
	}
	return nil
}

// stop asks the process to end the way an operator would, and returns when it is gone; one that does not go is killed.
func (n *benchNode) stop() {
	if n.proc != nil {
		n.proc.Stop(syscall.SIGTERM, benchEndsIn)
	}
}

// metric reads one of the process's own figures.
func (n *benchNode) metric(name string) (float64, error) {
	return scrape(n.address(n.number, 18080), name)
}

// scrape reads one figure of a node.
func scrape(address, name string) (float64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), benchScrapeIn)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, errors.New("no metric " + name)
}
