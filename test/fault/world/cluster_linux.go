package world

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"orderyard/gateway/wire"
)

// Run runs a client command of the program against the world.
func (w *World) Run(within time.Duration, args ...string) (code int, stdout, stderr string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, w.program, append(args, "--server", w.URL())...)
	cmd.Env, cmd.Stdout, cmd.Stderr = plainEnv(), &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && (!errors.As(err, &exit) || ctx.Err() != nil) {
		return -1, out.String(), errs.String(), fmt.Errorf("%v: %w", args, err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String(), nil
}

func (w *World) runJSON(into any, args ...string) error {
	code, out, errs, err := w.Run(20*time.Second, append(args, "-o", "json")...)
	if err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("%v: exit %d: %s%s", args, code, out, errs)
	}
	if err := wire.DecodeAnswer([]byte(out), into); err != nil {
		return fmt.Errorf("%v: %w in %.200s", args, err, out)
	}
	return nil
}

// Status is the cluster as some node sees it.
func (w *World) Status() (*wire.ClusterStatus, error) {
	var a wire.ClusterStatusAnswer
	if err := w.runJSON(&a, "cluster", "status"); err != nil {
		return nil, err
	}
	if a.Cluster == nil {
		return nil, errors.New("cluster status answers no cluster")
	}
	return a.Cluster, nil
}

// Owners gives the owner's name of every partition, "" = none or in between.
func (w *World) Owners() ([]wire.ClusterPartition, error) {
	var a wire.ClusterPartitionsAnswer
	if err := w.runJSON(&a, "cluster", "partitions"); err != nil {
		return nil, err
	}
	if len(a.Partitions) != w.Partitions() {
		return nil, fmt.Errorf("cluster partitions lists %d, there are %d", len(a.Partitions), w.Partitions())
	}
	return a.Partitions, nil
}

// Owned lists the partitions of a node.
func (w *World) Owned(name string) ([]int, error) {
	all, err := w.Owners()
	var list []int
	for _, p := range all {
		if p.Node == name {
			list = append(list, p.Partition)
		}
	}
	return list, err
}

// Balance waits until every partition is owned by one of the nodes named, evenly to one, and nothing moves. It gives the time that
// took, and what is missing if it does not come.
func (w *World) Balance(within time.Duration, names ...string) (time.Duration, error) {
	began := time.Now()
	for {
		missing := w.unbalanced(names)
		if missing == nil {
			return time.Since(began), nil
		}
		if time.Since(began) > within {
			return 0, fmt.Errorf("not in balance after %v: %w", within, missing)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (w *World) unbalanced(names []string) error {
	all, err := w.Owners()
	if err != nil {
		return err
	}
	counts := map[string]int{}
	for _, name := range names {
		counts[name] = 0
	}
	for _, p := range all {
		if _, known := counts[p.Node]; !known || p.Phase != "owned" {
			return fmt.Errorf("partition %d is %s at %q, next %q", p.Partition, p.Phase, p.Node, p.Next)
		}
		counts[p.Node]++
	}
	least, most := w.Partitions(), 0
	for _, n := range counts {
		least, most = min(least, n), max(most, n)
	}
	if most-least > 1 {
		return fmt.Errorf("partitions per node: %v", counts)
	}
	return nil
}

// Verified is what `orderyard verify` prints.
type Verified struct {
	Entities   int               `json:"entities"`
	Commits    int64             `json:"commits"`
	Events     int64             `json:"events"`
	Settled    bool              `json:"settled"`
	Violations []json.RawMessage `json:"violations"`
	Busy       string            `json:"busy"`
	Seconds    float64           `json:"seconds"`
}

// ErrBusy says that nothing is broken, but something is not at rest.
var ErrBusy = errors.New("the yard is not at rest")

// Verify runs the program's own check of the journal, waiting for rest. An error says what is broken, or not at rest.
func (w *World) Verify(settle time.Duration) (Verified, error) {
	var v Verified
	code, out, errs, err := w.Run(settle+2*time.Minute, "verify", "-o", "json", "--timeout", "20s", "--settle", settle.String())
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		return v, fmt.Errorf("verify: exit %d: %s%s", code, out, errs)
	}
	if code != 0 || len(v.Violations) > 0 {
		return v, fmt.Errorf("verify: exit %d, %d violations: %s%s", code, len(v.Violations), out, errs)
	}
	if !v.Settled {
		return v, fmt.Errorf("verify: %w after %v: %s", ErrBusy, settle, v.Busy)
	}
	return v, nil
}
