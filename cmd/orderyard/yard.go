package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"orderyard/actors"
	"orderyard/actors/entity"
	"orderyard/cluster"
	"orderyard/configs"
	"orderyard/gateway/admission"
	"orderyard/gateway/api"
	"orderyard/gateway/control"
	"orderyard/gateway/egress"
	"orderyard/gateway/ingress"
	"orderyard/gateway/rulebook"
	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/persistence"
	"orderyard/persistence/jetstream"
	"orderyard/persistence/jetstream/embedded"
	"orderyard/routing/geo"
)

// yard is one whole node in this process: its NATS server or the way to one, its store, actors and doors. dev, replay's tests and bench
// start one that is alone, `orderyard node` one that is a member.
type yard struct {
	cfg     configs.Config
	server  *embedded.Server // nil when NATS runs elsewhere
	conn    *nats.Conn       // of the store
	doors   *nats.Conn       // of the ingress: a busy door must not hold up the journal
	store   *jetstream.Store
	node    *actors.Node
	egress  *egress.Egress
	ingress *ingress.Ingress
	http    *api.Server
	member  *member // nil when it is alone
	log     *slog.Logger

	book      *rulebook.Book
	rules     *rulebook.Live
	rulesDoor *rulebook.Door
	pricing   *actors.Pricing // nil = no shadow prices
	shadow    *shadow
	sweep     *sweeping

	registry   *prometheus.Registry
	starting   atomic.Pointer[func() string] // what it does, for the probe; nil once it has opened
	stopEgress func()

	eventsLastingAfter time.Duration // see egress.Options; 0 = the usual
	stopMarks          func()
}

const (
	openWithin = 2 * time.Minute  // a long journal after kill -9 is replayed in seconds; a damaged disk may hang
	alonePoll  = time.Millisecond // how often a node that is alone looks whether it is ready: a start takes a tenth of a second
	// eventsLastAtOnce: replicas, and streams in the default mode, acknowledge what is written.
	eventsLastAtOnce = -1
	closeWithin      = 20 * time.Second // beside drain_within; then the process ends all the same: what was answered is durable
	// doorsWithin and answersWithin are the doors' part of that: a request to a partition that nobody serves may wait for a minute, and must not take
	// the time in which the others are given away.
	doorsWithin, answersWithin = 8 * time.Second, 2 * time.Second
)

func newYard(cfg configs.Config, log *slog.Logger) *yard {
	y := &yard{cfg: cfg, log: log, registry: prometheus.NewRegistry()}
	y.doing(func() string { return "starting: NATS and the store are being opened" })
	return y
}

// openYard starts a node that is alone and returns when it answers.
func openYard(ctx context.Context, cfg configs.Config, log *slog.Logger) (*yard, error) {
	y := newYard(cfg, log)
	return open(ctx, y, y.startAlone)
}

// open opens the probes, connects, opens the store, starts the node by start and opens the doors. What was opened is closed after an error.
func open(ctx context.Context, y *yard, start func(context.Context) error) (*yard, error) {
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	tuneMemory()
	for _, step := range []func(context.Context) error{
		y.openHTTP, y.connectNATS, y.openStore, y.openRules, start, y.followRules, y.openPricing, y.openShadow, y.openDoors, y.opened, y.openSweep,
	} {
		if err := step(ctx); err != nil {
			_ = y.close() // the first error tells more
			return nil, err
		}
	}
	return y, nil
}

func (y *yard) connectNATS(context.Context) error {
	c := y.cfg.NATS
	if c.Embedded() {
		var err error
		y.server, err = embedded.Start(embedded.Options{
			Dir: storeDir(y.cfg), Port: c.Port, SyncAlways: c.Sync == configs.SyncAlways, Logger: y.log,
		})
		if err != nil {
			return err
		}
	}
	for _, to := range []**nats.Conn{&y.conn, &y.doors} {
		var err error
		if *to, err = y.connect(nats.Name("orderyard node " + y.cfg.Node.Name)); err != nil {
			return err
		}
	}
	return nil
}

// startAlone starts a node that owns every partition and returns when all serve.
func (y *yard) startAlone(ctx context.Context) error {
	cursors := &cursors{store: y.store}
	if err := y.startNode(ctx, cursors, nuid.Next(), nil); err != nil {
		return err
	}
	runtime, partitions := y.node.Runtime(), y.cfg.Partitions
	y.doing(func() string {
		return fmt.Sprintf("reading the journal back: %d of %d partitions serve", len(runtime.Partitions()), partitions)
	})
	setup, ctx := errgroup.WithContext(ctx)
	setup.Go(func() error { return y.setupStreams(ctx) }) // NATS answers while the partitions are read
	setup.Go(func() error { return y.settleAlone(ctx) })
	if err := setup.Wait(); err != nil {
		return err
	}
	return y.startEgress(cursors)
}

// settleAlone returns when every partition is served, or all but those whose journal is damaged: the others' doors open all the same.
func (y *yard) settleAlone(ctx context.Context) error {
	for r := y.node.Runtime(); !r.Ready(); {
		if refused := r.Refused(); len(refused) > 0 && len(refused)+len(r.Partitions()) == y.cfg.Partitions {
			y.log.Error("the node opens its doors although not everything is served", "because", refusedNote(refused))
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("read the partitions back: %w", ctx.Err())
		case <-time.After(alonePoll):
		}
	}
	return nil
}

func (y *yard) startNode(ctx context.Context, cursors *cursors, incarnation string, member *actors.Cluster) error {
	partitions, err := y.storedPartitions(ctx)
	if err != nil {
		return err
	}
	y.node, err = actors.Start(actors.Options{
		Name: y.cfg.Node.Name, Incarnation: incarnation, Partitions: partitions, Store: y.store, Limits: runtimeLimits(y.cfg, y.store.RecordMax()),
		RememberMs: y.cfg.Limits.DedupFor.Milliseconds(), Floor: cursors.floor, HighWater: cursors.highWater, Cluster: member,
		Rules: rulesBy(y.rules.Set()), Clock: y.nowMs,
	})
	return err
}

// nowMs is the time this node goes by: that of the cluster, or, when it is alone, of its machine.
func (y *yard) nowMs() int64 {
	if y.member != nil {
		return y.member.clock.NowMs()
	}
	return time.Now().UnixMilli()
}

// storedPartitions gives the number that the store was made with, or makes it.
func (y *yard) storedPartitions(ctx context.Context) (int, error) {
	if err := cluster.LostPartitions(ctx, y.store, y.cfg.Partitions); err != nil {
		return 0, err
	}
	partitions, err := cluster.Partitions(ctx, y.store, y.cfg.Partitions)
	if err != nil {
		return 0, err
	}
	if partitions != y.cfg.Partitions {
		y.log.Warn("the store keeps its number of partitions", "configured", y.cfg.Partitions, "store", partitions)
		y.cfg.Partitions = partitions
	}
	return partitions, nil
}

// setupStreams makes the streams of the doors and of public events what this node needs, and looks what an acknowledged event is worth.
func (y *yard) setupStreams(ctx context.Context) error {
	j, err := js.New(y.conn)
	if err != nil {
		return err
	}
	if err := ingress.Setup(ctx, j, y.streams()); err != nil {
		return err
	}
	events, err := j.Stream(ctx, messages.StreamEvents)
	if err != nil {
		return fmt.Errorf("look at the stream of public events: %w", err)
	}
	if have := events.CachedInfo().Config; have.Replicas > 1 || have.PersistMode == js.DefaultPersistMode {
		y.eventsLastingAfter = eventsLastAtOnce
	}
	return nil
}

func (y *yard) startEgress(cursors *cursors) (err error) {
	var healthy func() bool
	if y.server != nil {
		healthy = y.server.TakesWrites
	}
	y.egress, err = egress.New(egress.Options{
		Source: y.node.Runtime(), Partitions: y.cfg.Partitions, LastingAfter: y.eventsLastingAfter, Healthy: healthy, Cursors: cursors, Connect: y.connect, Registry: y.registry, Log: y.log,
	})
	if err != nil {
		return err
	}
	cursors.egress.Store(y.egress)
	y.keepMarks()
	for _, p := range y.node.Runtime().Partitions() {
		y.egress.Serve(p)
	}
	run, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	y.stopEgress = func() { cancel(); <-done }
	go func() {
		defer close(done)
		if err := y.egress.Run(run); err != nil && run.Err() == nil {
			y.log.Error("event feed ended", "error", err)
		}
	}()
	return nil
}

// keepMarks writes down how far the journal has come, until the node has stopped.
func (y *yard) keepMarks() {
	run, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	y.stopMarks = func() { cancel(); <-done }
	m := &marks{store: y.store, heads: y.node.Runtime().Heads, log: y.log}
	go func() {
		defer close(done)
		m.keep(run)
	}()
}

func (y *yard) openDoors(ctx context.Context) error {
	y.registry.MustRegister(newRuntimeCollector(y.node, y.rules))
	var err error
	if m := y.member; m != nil {
		y.registry.MustRegister(newMemberCollector(m))
		m.control, err = control.Start(y.doors, control.Options{Cluster: clusterDoor{m}, Metadata: y.metadata(), Version: "0.1.0", Log: y.log})
		if err != nil {
			return err
		}
	}
	if err := y.openRulesDoor(); err != nil {
		return err
	}
	y.ingress, err = ingress.Start(ctx, y.doors, ingress.Options{
		Learn:  y.learn(),
		Faults: actors.Faults,
		Actors: y.node, Directory: y.directory(), Planner: y.node, Registry: y.registry, Log: y.log,
		Metadata: y.metadata(),
		Locate:   func(postal, country string) (float64, float64, bool) { return geo.Locate(country, postal) },
		Limits:   ingress.Limits{RequestsMax: y.cfg.Limits.InflightMax}, Admission: admissionOptions(&y.cfg.Admission),
		Clock: y.nowMs, Panicked: func() { y.node.Runtime().Stats().Panics.Add(1) },
	})
	return err
}

func (y *yard) directory() directory {
	d := directory{Node: y.node}
	if y.member != nil {
		d.listing = y.member.listing
	}
	return d
}

// learn lets the doors ask other nodes about SKUs; nil when there are none.
func (y *yard) learn() func(context.Context, []string) (map[string]bool, error) {
	if y.member == nil {
		return nil
	}
	return y.member.learnSKUs
}

// metadata names the process to whoever looks at the services on NATS.
func (y *yard) metadata() map[string]string {
	m := map[string]string{"node": y.cfg.Node.Name}
	if y.member != nil {
		m["incarnation"] = y.member.incarnation
	}
	return m
}

// storeDir is where the embedded server keeps everything.
func storeDir(cfg configs.Config) string { return filepath.Join(cfg.Node.Data, "nats") }

// close stops in the order that loses nothing: doors first, then partitions are given away, then the actors end, then what they stand on.
func (y *yard) close() error {
	patience := closeWithin
	if y.member != nil {
		patience += y.cfg.Cluster.DrainWithin
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var errs []error
	note := func(err error) { errs = append(errs, err) }
	within := func(limit time.Duration, what func(context.Context) error) {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		note(what(ctx))
	}
	if y.member != nil {
		y.member.draining.Store(true)
	}
	note(y.closeSides())
	if y.ingress != nil {
		within(doorsWithin, y.ingress.Drain)
	}
	if y.member != nil {
		note(y.member.leave(ctx))
	}
	if y.ingress != nil {
		within(answersWithin, y.ingress.Stop)
	}
	if y.pricing != nil {
		y.pricing.Stop()
	}
	if y.node != nil {
		note(y.node.Stop(ctx))
	}
	if y.rules != nil {
		y.rules.Stop()
	}
	if y.stopMarks != nil {
		y.stopMarks()
	}
	if y.stopEgress != nil {
		y.stopEgress()
	}
	if y.member != nil {
		note(y.member.close(ctx))
	}
	if y.http != nil {
		note(y.http.Stop(ctx))
	}
	if y.store != nil {
		note(y.store.Close())
	}
	for _, c := range []*nats.Conn{y.doors, y.conn} {
		if c != nil {
			c.Close()
		}
	}
	if y.server != nil {
		y.server.Shutdown()
	}
	if err := errors.Join(errs...); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("stop: %w", err)
	}
	return nil
}

// closeSides ends what stands beside the doors of orders and stock, when what is under way there is answered.
func (y *yard) closeSides() error {
	var errs []error
	if y.sweep != nil {
		y.sweep.stop()
	}
	if y.rulesDoor != nil {
		errs = append(errs, y.rulesDoor.Stop())
	}
	if y.member != nil && y.member.control != nil {
		errs = append(errs, y.member.control.Stop())
	}
	if y.shadow != nil {
		y.shadow.stop()
	}
	return errors.Join(errs...)
}

// runtimeLimits are the operator's, within what the server takes: recordMax is the largest record. A commit that the server refuses is refused again and
// again.
func runtimeLimits(cfg configs.Config, recordMax int) entity.Limits {
	l := entity.DefaultLimits()
	l.MailboxMax, l.PartitionInflightMax = cfg.Limits.MailboxMax, int64(cfg.Limits.PartitionInflightMax)
	l.CommitBytesMax = min(int(cfg.Limits.CommitBytesMax), recordMax-persistence.RecordOverhead, persistence.PayloadMax)
	l.DedupMax, l.ParkedMax = cfg.Limits.DedupMax, cfg.Limits.ParkedMax
	l.RetryMinMs, l.RetryMaxMs, l.ActivationMax = cfg.Limits.RetryMin.Milliseconds(), cfg.Limits.RetryMax.Milliseconds(), cfg.Limits.ActivationMax
	l.CommitPace = cfg.Limits.CommitPace
	l.CheckpointTailBytes, l.PassivateAfterMs = int64(cfg.Checkpoint.TailBytesMax), cfg.PassivateAfter.Milliseconds()
	return l
}

// admissionOptions is nil where only the fixed limits shall hold.
func admissionOptions(c *configs.Admission) *admission.Options {
	if !c.Enabled {
		return nil
	}
	return &admission.Options{
		Target: c.Target, Interval: c.Interval, Surge: c.Surge, Min: c.InflightMin, PartiesMax: c.ChannelsMax, RetryMax: c.RetryMax,
		Seed: rand.Uint64(), // nodes that refuse in the same moment must not all name the same times
	}
}

// directory lends the node's knowledge to the doors.
type directory struct {
	*actors.Node
	listing *actors.Listing // nil when the node is alone
}

func (d directory) ListOrders(ctx context.Context, f wire.ListFilter) ([]*messages.OrderSummary, string, error) {
	filter := actors.OrderFilter{Status: f.Status, Channel: f.Channel, Site: f.Site, Query: f.Q}
	if d.listing != nil {
		return d.listing.ListOrders(ctx, filter, f.Cursor, int(f.Limit))
	}
	rows, next := d.Node.ListOrders(filter, f.Cursor, int(f.Limit))
	return rows, next, nil
}

func (d directory) Buckets(sku string) []string {
	stock := d.View().Stock(sku)
	sites := make([]string, len(stock))
	for i := range stock {
		sites[i] = stock[i].Site
	}
	return sites
}

func (d directory) Available(sku, site string, tell func(site string, atp int64)) {
	if site != "" {
		tell(site, d.View().ATP(sku, site))
		return
	}
	for _, s := range d.View().Stock(sku) {
		tell(s.Site, s.ATP)
	}
}

func (d directory) Sites() []string { return d.View().SiteIDs() }
