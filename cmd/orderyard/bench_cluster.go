package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"orderyard/cmd/orderyard/figures"
	"orderyard/persistence/jetstream/embedded"
)

type clusterFlags struct {
	benchFlags
	nodes int
}

func newBenchCluster(a *app) *benchJob {
	f := &clusterFlags{}
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Several nodes against one on the same machine: orders end to end, and what a hop between nodes costs",
		Long: "Several nodes against one on the same machine: orders end to end, and what a hop between nodes costs.\n\n" +
			"Both sides are real processes beside a synced NATS server of their own and are measured in turn; an order counts when its event\n" +
			"`allocated` was published. More nodes on the same cores cannot be faster: the ratio says what being a cluster costs.",
	}
	cmd.Flags().IntVar(&f.nodes, "nodes", 3, "nodes of the larger side")
	return a.benchCommand(&f.benchFlags, cmd, 512, 12, func(ctx context.Context) (figures.Bench, error) {
		if f.nodes < 2 || f.nodes > 9 {
			return figures.Bench{}, usage("--nodes must be 2 to 9, is %d", f.nodes)
		}
		return benchCluster(ctx, a, f)
	})
}

func benchCluster(ctx context.Context, a *app, f *clusterFlags) (figures.Bench, error) {
	bench := figures.Bench{ID: "B9", Title: "Several nodes against one on the same machine", Setup: f.setup()}
	dir, remove, err := f.folder(a)
	if err != nil {
		return bench, err
	}
	defer remove()
	var sides [2]*clusterBench
	var steps []step
	for i, nodes := range []int{1, f.nodes} {
		fmt.Fprintf(a.err, "starting %s\n", plural(nodes, "node"))
		b := &clusterBench{partitions: f.partitions, nodes: nodes, side: newOurs(plural(nodes, "node"))}
		defer b.end()
		if err := b.start(ctx, filepath.Join(dir, strconv.Itoa(nodes))); err != nil {
			return bench, err
		}
		if err := b.stock(ctx); err != nil {
			return bench, err
		}
		sides[i] = b
		steps = append(steps, step{b.side, func() (int64, error) { return b.round(ctx, &f.benchFlags) }})
	}
	if err := f.interleave(ctx, a, steps...); err != nil {
		return bench, err
	}
	one, many := sides[0], sides[1]
	for _, b := range sides {
		b.side.note = fmt.Sprintf("%.0f µs of the nodes' CPU per order, %.1f remote calls", b.cpuPerOrder(), b.remotePerOrder())
		bench.Rows = append(bench.Rows, b.side.row())
		report, err := b.verify(ctx, a)
		if err != nil {
			return bench, err
		}
		bench.Notes = append(bench.Notes, b.side.name+": "+report.String())
	}
	bench.Goals = []figures.Goal{figures.AtLeast(fmt.Sprintf("orders, %d nodes / one", f.nodes), "×", figures.Ratios(many.side.rates, one.side.rates), 0.8)}
	hop := "No request went to another node."
	if calls := many.remotePerOrder(); calls > 0 {
		hop = fmt.Sprintf("A remote call costs about %.0f µs of CPU, both ends together.", (many.cpuPerOrder()-one.cpuPerOrder())/calls)
	}
	bench.Notes = append(bench.Notes, hop)
	return bench, nil
}

// clusterBench is a cluster of its own: a NATS server in this process, nodes beside it.
type clusterBench struct {
	benchShop
	dir        string
	partitions int
	nodes      int
	log        string // level of the nodes; "" = warn
	side       *side
	server     *embedded.Server
	procs      []*benchNode
	cpu        time.Duration // of the nodes, in rounds
	remote     float64       // calls to other nodes, in rounds
}

func (b *clusterBench) start(ctx context.Context, dir string) error {
	b.dir = dir
	var err error
	if b.server, err = embedded.Start(embedded.Options{Dir: filepath.Join(dir, "nats"), SyncAlways: true}); err != nil {
		return err
	}
	for i := range b.nodes {
		n := &benchNode{network: 1 + (2*os.Getpid()+b.nodes)%250, number: i, log: b.log} // two benchmarks at once do not meet
		b.procs = append(b.procs, n)
		if err := b.startNode(ctx, n); err != nil {
			return err
		}
	}
	return b.open(b.server.ClientURL(), benchConns, uint64(b.nodes))
}

// startNode starts one of the nodes, for the first time or again, and returns when it is ready.
func (b *clusterBench) startNode(ctx context.Context, n *benchNode) error {
	return n.start(ctx, filepath.Join(b.dir, "node"+strconv.Itoa(n.number)), b.server.ClientURL(), b.partitions)
}

// round places orders, each worker the next one only when the last was allocated.
func (b *clusterBench) round(ctx context.Context, f *benchFlags) (int64, error) {
	cpu, remote := b.measured()
	n, err := f.each(ctx, b.side.latency, f.duration(), func(worker int) error { return b.place(ctx, worker) })
	cpuAfter, remoteAfter := b.measured()
	b.cpu += cpuAfter - cpu
	b.remote += remoteAfter - remote
	return n, err
}

func (b *clusterBench) cpuPerOrder() float64 {
	return float64(b.cpu.Microseconds()) / float64(max(b.side.done, 1))
}
func (b *clusterBench) remotePerOrder() float64 { return b.remote / float64(max(b.side.done, 1)) }

// measured gives the nodes' CPU time and their calls to other nodes so far.
func (b *clusterBench) measured() (cpu time.Duration, remote float64) {
	for _, p := range b.procs {
		seconds, _ := p.metric("process_cpu_seconds_total") // a node that does not tell makes the note wrong, not the figures
		cpu += time.Duration(seconds * float64(time.Second))
		calls, _ := p.metric("orderyard_link_remote_total")
		remote += calls
	}
	return cpu, remote
}

// end stops the children, the gentle way first, and the server.
func (b *clusterBench) end() {
	var gone sync.WaitGroup
	for _, p := range b.procs {
		gone.Go(p.stop) // all at once: each hands over to those that stay
	}
	gone.Wait()
	b.close()
	if b.server != nil {
		b.server.Shutdown()
	}
}
