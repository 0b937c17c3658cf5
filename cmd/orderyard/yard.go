package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"orderyard/actors"
	"orderyard/actors/entity"
	"orderyard/cluster"
	"orderyard/configs"
	"orderyard/gateway/api"
	"orderyard/gateway/egress"
	"orderyard/gateway/ingress"
	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/persistence/jetstream"
	"orderyard/persistence/jetstream/embedded"
	"orderyard/routing/geo"
)

// yard is one whole node in this process: its NATS server, store, actors and doors. dev, replay's tests and bench start one.
type yard struct {
	cfg     configs.Config
	server  *embedded.Server
	conn    *nats.Conn // of the store and the egress
	doors   *nats.Conn // of the ingress: a busy door must not hold up the journal
	store   *jetstream.Store
	node    *actors.Node
	egress  *egress.Egress
	ingress *ingress.Ingress
	http    *api.Server
	log     *slog.Logger

	registry   *prometheus.Registry
	stopEgress func()
}

const (
	openWithin  = 2 * time.Minute  // a long journal after kill -9 is replayed in seconds; a damaged disk may hang
	closeWithin = 20 * time.Second // then the process ends all the same: what was answered is durable
)

// openYard starts everything and returns when the node answers.
func openYard(ctx context.Context, cfg configs.Config, log *slog.Logger) (y *yard, err error) {
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	tuneMemory()
	y = &yard{cfg: cfg, log: log, registry: prometheus.NewRegistry()}
	opened := y // an error's return sets y to nil before the deferred call runs
	defer func() {
		if err != nil {
			opened.close()
		}
	}()
	y.server, err = embedded.Start(embedded.Options{
		Dir: storeDir(cfg), Port: cfg.NATS.Port, SyncAlways: cfg.NATS.Sync == configs.SyncAlways, Logger: log,
	})
	if err != nil {
		return nil, err
	}
	for _, c := range []**nats.Conn{&y.conn, &y.doors} {
		if *c, err = y.server.Connect(nats.Name("orderyard node"), nats.MaxReconnects(-1)); err != nil {
			return nil, fmt.Errorf("connect to the embedded NATS server: %w", err)
		}
	}
	sync := jetstream.SyncRelaxed
	if cfg.NATS.Sync == configs.SyncAlways {
		sync = jetstream.SyncAlways
	} else {
		log.Warn("nats.sync is not always: what is acknowledged may be lost when the machine loses power")
	}
	if y.store, err = jetstream.Open(ctx, y.conn, jetstream.Options{Sync: sync}); err != nil {
		return nil, err
	}
	if err = y.startNode(ctx); err != nil {
		return nil, err
	}
	return y, y.openDoors(ctx)
}

func (y *yard) startNode(ctx context.Context) error {
	partitions, err := cluster.Partitions(ctx, y.store, y.cfg.Partitions)
	if err != nil {
		return err
	}
	if partitions != y.cfg.Partitions {
		y.log.Warn("the store keeps its number of partitions", "configured", y.cfg.Partitions, "store", partitions)
	}
	cursors := &cursors{store: y.store}
	y.node, err = actors.Start(actors.Options{
		Name: y.cfg.Node.Name, Incarnation: nuid.Next(), Partitions: partitions, Store: y.store, Limits: runtimeLimits(y.cfg),
		RememberMs: y.cfg.Limits.DedupFor.Milliseconds(),
		Floor:      cursors.floor, HighWater: cursors.highWater,
	})
	if err != nil {
		return err
	}
	if err := y.node.WaitReady(ctx); err != nil {
		return err
	}
	j, err := js.New(y.conn)
	if err != nil {
		return err
	}
	if err := ingress.Setup(ctx, j, streamSizes(y.cfg.Node.Data)); err != nil {
		return err
	}
	y.egress, err = egress.New(egress.Options{
		Source: y.node.Runtime(), Cursors: cursors, Connect: y.server.Connect, Registry: y.registry, Log: y.log,
	})
	if err != nil {
		return err
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

func (y *yard) openDoors(ctx context.Context) error {
	y.registry.MustRegister(collectors.NewGoCollector(), newRuntimeCollector(y.node))
	var err error
	y.ingress, err = ingress.Start(ctx, y.doors, ingress.Options{
		Actors: y.node, Directory: directory{y.node}, Planner: y.node, Registry: y.registry, Log: y.log,
		Locate: func(postal, country string) (float64, float64, bool) { return geo.Locate(country, postal) },
		Limits: ingress.Limits{RequestsMax: y.cfg.Limits.InflightMax},
	})
	if err != nil {
		return err
	}
	if y.cfg.HTTP.Addr == "" {
		return nil
	}
	y.http, err = api.Start(api.Options{Addr: y.cfg.HTTP.Addr, Gatherer: y.registry, Ready: y.ready, Log: y.log})
	return err
}

// storeDir is where the embedded server keeps everything.
func storeDir(cfg configs.Config) string { return filepath.Join(cfg.Node.Data, "nats") }

// ready says why the node does not serve.
func (y *yard) ready() error {
	if !y.node.Ready() {
		return errors.New("not every partition serves")
	}
	return nil
}

// close stops in the order that loses nothing: doors first, then the actors, then what they stand on.
func (y *yard) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	var errs []error
	if y.ingress != nil {
		errs = append(errs, y.ingress.Stop(ctx))
	}
	if y.node != nil {
		errs = append(errs, y.node.Stop(ctx))
	}
	if y.stopEgress != nil {
		y.stopEgress()
	}
	if y.http != nil {
		errs = append(errs, y.http.Stop(ctx))
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

func runtimeLimits(cfg configs.Config) entity.Limits {
	l := entity.DefaultLimits()
	l.MailboxMax, l.PartitionInflightMax = cfg.Limits.MailboxMax, int64(cfg.Limits.PartitionInflightMax)
	l.CommitBytesMax, l.DedupMax, l.ParkedMax = int(cfg.Limits.CommitBytesMax), cfg.Limits.DedupMax, cfg.Limits.ParkedMax
	l.RetryMinMs, l.RetryMaxMs, l.ActivationMax = cfg.Limits.RetryMin.Milliseconds(), cfg.Limits.RetryMax.Milliseconds(), cfg.Limits.ActivationMax
	l.CheckpointTailBytes, l.PassivateAfterMs = int64(cfg.Checkpoint.TailBytesMax), cfg.PassivateAfter.Milliseconds()
	return l
}

// directory lends the node's knowledge to the doors.
type directory struct{ *actors.Node }

func (d directory) ListOrders(f wire.ListFilter) ([]*messages.OrderSummary, string) {
	return d.Node.ListOrders(actors.OrderFilter{Status: f.Status, Channel: f.Channel, Site: f.Site, Query: f.Q}, f.Cursor, int(f.Limit))
}

func (d directory) Buckets(sku string) []string {
	stock := d.View().Stock(sku)
	sites := make([]string, len(stock))
	for i := range stock {
		sites[i] = stock[i].Site
	}
	return sites
}

func (d directory) Sites() []string { return d.View().SiteIDs() }
