package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/persistence/jetstream"
	"orderyard/persistence/jetstream/embedded"
)

type clusterFlags struct {
	benchFlags
	nodes int
}

func newBenchClusterCmd(a *app) *cobra.Command {
	f := clusterFlags{}
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Several nodes against one on the same machine: orders end to end, and what a hop between nodes costs",
		Long: "Several nodes against one on the same machine: orders end to end, and what a hop between nodes costs.\n\n" +
			"Both sides are real processes beside a synced NATS server of their own and are measured in turn; an order counts when its event\n" +
			"`allocated` was published. More nodes on the same cores cannot be faster: the ratio says what being a cluster costs.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			if f.nodes < 2 || f.nodes > 9 {
				return usage("--nodes must be 2 to 9, is %d", f.nodes)
			}
			return benchCluster(cmd.Context(), a, &f)
		},
	}
	f.register(cmd, 512)
	cmd.Flags().IntVar(&f.nodes, "nodes", 3, "nodes of the larger side")
	cmd.Flags().Lookup("partitions").DefValue = "12"
	f.partitions = 12
	return cmd
}

func benchCluster(ctx context.Context, a *app, f *clusterFlags) error {
	dir, err := os.MkdirTemp(f.data, "orderyard-bench-")
	if err != nil {
		return fmt.Errorf("folder for the benchmark: %w", err)
	}
	defer os.RemoveAll(dir)
	var sides [2]*clusterBench
	for i, nodes := range []int{1, f.nodes} {
		fmt.Fprintf(a.err, "starting %s\n", plural(nodes, "node"))
		b := &clusterBench{f: f, nodes: nodes, accepted: make(map[string]chan struct{})}
		defer b.end()
		if err := b.start(ctx, filepath.Join(dir, strconv.Itoa(nodes))); err != nil {
			return err
		}
		sides[i] = b
	}
	d := time.Duration(f.seconds * float64(time.Second))
	for round := range f.rounds {
		fmt.Fprintf(a.err, "round %d of %d\n", round+1, f.rounds)
		for _, b := range sides {
			if err := b.side.measure(func() (int64, error) { return b.round(ctx, d) }); err != nil {
				return err
			}
		}
	}
	one, many := sides[0], sides[1]
	for _, b := range sides {
		b.side.allocs = 0 // of this process: the load generator's
		b.side.note = fmt.Sprintf("%.0f µs of the nodes' CPU per order, %.1f remote calls", b.cpuPerOrder(), b.remotePerOrder())
	}
	if err := a.benchTable(one.side, many.side); err != nil {
		return err
	}
	hop := "no request went to another node"
	if calls := many.remotePerOrder(); calls > 0 {
		hop = fmt.Sprintf("a remote call costs about %.0f µs of CPU, both ends together", (many.cpuPerOrder()-one.cpuPerOrder())/calls)
	}
	if err := a.println(fmt.Sprintf("\n%d nodes = %.2f × one node; %s. %d in flight, %d partitions.\n%s", f.nodes, many.side.median()/one.side.median(), hop,
		f.inflight, f.partitions, a.machine())); err != nil {
		return err
	}
	for _, b := range sides {
		if err := b.verify(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// clusterBench is one side: a NATS server in this process, nodes beside it.
type clusterBench struct {
	f      *clusterFlags
	nodes  int
	side   *side
	server *embedded.Server
	conns  []*nats.Conn
	procs  []*benchNode
	orders orderMaker
	cpu    time.Duration // of the nodes, in rounds
	remote float64       // calls to other nodes, in rounds

	mu       sync.Mutex
	accepted map[string]chan struct{}
}

const (
	benchConns    = 8
	benchRestMost = 2 * time.Minute
)

func (b *clusterBench) start(ctx context.Context, dir string) error {
	b.side = newSide(plural(b.nodes, "node"))
	b.orders.src = rand.New(rand.NewPCG(1, uint64(b.nodes)))
	var err error
	if b.server, err = embedded.Start(embedded.Options{Dir: filepath.Join(dir, "nats"), SyncAlways: true}); err != nil {
		return err
	}
	for i := range b.nodes {
		n := &benchNode{network: b.nodes, number: i}
		if err := n.start(ctx, filepath.Join(dir, "node"+strconv.Itoa(i)), b.server.ClientURL(), b.f.partitions); err != nil {
			return err
		}
		b.procs = append(b.procs, n)
	}
	for range benchConns {
		nc, err := nats.Connect(b.server.ClientURL())
		if err != nil {
			return err
		}
		b.conns = append(b.conns, nc)
	}
	if _, err := b.conns[0].Subscribe(messages.EventSubject("order", "allocated", benchChannel), b.heard); err != nil {
		return err
	}
	return b.stock(ctx)
}

// heard takes the public event that the site has accepted.
func (b *clusterBench) heard(m *nats.Msg) {
	id := strings.TrimPrefix(m.Header.Get("ce-subject"), "order/")
	b.mu.Lock()
	ch := b.accepted[id]
	delete(b.accepted, id)
	b.mu.Unlock()
	if ch != nil {
		close(ch)
	}
}

// stock makes sites and stock over the public doors.
func (b *clusterBench) stock(ctx context.Context) error {
	var sites []wire.Site
	units := int64(benchUnits)
	for s := range benchSites {
		id, lat, lon := "SITE-"+strconv.Itoa(s), 30+float64(s), -120+5*float64(s)
		sites = append(sites, wire.Site{ID: id, Name: id, Type: "dc", Country: "US", Lat: &lat, Lon: &lon, Accept: "auto", Status: "online"})
	}
	c := &client{conn: b.conns[0], timeout: benchReadyIn}
	if _, err := c.ask(ctx, messages.SiteSubject("apply"), "bench-sites", sites); err != nil {
		return fmt.Errorf("apply sites: %w", err)
	}
	for s := range benchSites {
		for from := 0; from < benchSKUs; from += wire.BatchMax {
			var counts []wire.SetStockRequest
			for i := from; i < min(from+wire.BatchMax, benchSKUs); i++ {
				counts = append(counts, wire.SetStockRequest{SKU: demoSKU(i), Site: "SITE-" + strconv.Itoa(s), OnHand: &units})
			}
			if _, err := c.ask(ctx, messages.StockSubject("set"), fmt.Sprintf("bench-%d-%d", s, from), counts); err != nil {
				return fmt.Errorf("count stock: %w", err)
			}
		}
	}
	return nil
}

// round places orders, each worker the next one only when the last was allocated.
func (b *clusterBench) round(ctx context.Context, d time.Duration) (int64, error) {
	cpu, remote := b.measured()
	n, err := b.f.each(ctx, b.side.latency, d, func(worker int) error {
		body, id, err := b.orders.make()
		if err != nil {
			return err
		}
		accepted := make(chan struct{})
		b.mu.Lock()
		b.accepted[id] = accepted
		b.mu.Unlock()
		reply, err := b.conns[worker%benchConns].RequestMsgWithContext(ctx, &nats.Msg{Subject: messages.PlaceSubject(benchChannel), Data: body})
		if err != nil {
			return err
		}
		if f := failureOf(reply); f != nil {
			return f
		}
		select {
		case <-accepted:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(acceptedWithin):
			return fmt.Errorf("order %s was not allocated within %v", id, acceptedWithin)
		}
	})
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

// verify makes the figures worth something.
func (b *clusterBench) verify(ctx context.Context, a *app) error {
	store, err := jetstream.Open(ctx, b.conns[0], jetstream.Options{})
	if err != nil {
		return err
	}
	report, err := verifyUntilRest(ctx, store, benchRestMost)
	if err != nil {
		return err
	}
	if err := a.println(b.side.name + ": " + report.String()); err != nil {
		return err
	}
	return a.showViolations(report)
}

// end stops the children, the gentle way first, and the server.
func (b *clusterBench) end() {
	for _, p := range b.procs {
		p.leave()
	}
	for _, p := range b.procs {
		p.wait()
	}
	for _, c := range b.conns {
		c.Close()
	}
	if b.server != nil {
		b.server.Shutdown()
	}
}
