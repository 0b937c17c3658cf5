package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// benchNode is one child process of a benchmark: a real `orderyard node` on a loopback address of its own.
type benchNode struct {
	network int // keeps the sides of a benchmark apart
	number  int
	log     string // level; "" = warn
	cmd     *exec.Cmd
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
	n.cmd = exec.Command(self, "node", "--config", config)
	n.cmd.Stderr = os.Stderr
	stdout, err := n.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := n.cmd.Start(); err != nil {
		return fmt.Errorf("start a node: %w", err)
	}
	ready := make(chan error, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "is ready") {
				ready <- nil
			}
		}
		ready <- fmt.Errorf("node %d ended before it was ready", n.number)
	}()
	select {
	case err = <-ready:
	case <-time.After(benchReadyIn):
		err = fmt.Errorf("node %d is not ready after %v", n.number, benchReadyIn)
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		n.leave()
		n.wait()
	}
	return err
}

// leave asks the process to end the way an operator would.
func (n *benchNode) leave() { _ = n.cmd.Process.Signal(syscall.SIGTERM) } // it may have ended

// wait returns when the process is gone; one that does not go is killed.
func (n *benchNode) wait() {
	late := time.AfterFunc(benchEndsIn, func() { _ = n.cmd.Process.Kill() })
	defer late.Stop()
	_ = n.cmd.Wait() // how it ended matters to nobody any more
}

// kill is kill -9; it returns when the process is gone.
func (n *benchNode) kill() {
	_ = n.cmd.Process.Kill() // it may have ended
	_ = n.cmd.Wait()         // how it ended is known
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
