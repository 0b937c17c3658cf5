package ingress

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"
	"github.com/prometheus/client_golang/prometheus"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

// Actors takes commands. Send returns at once, and calls Done exactly once, from any goroutine, now or later.
type Actors interface {
	Send(messages.Request)
}

// Directory knows what is spread over many entities. Its answers may be milliseconds old. All methods may be called
// concurrently and do not wait for anything outside the process.
type Directory interface {
	// ListOrders gives a page of rows, newest first, and the cursor of the next page ("" = none).
	ListOrders(filter wire.ListFilter) (rows []*messages.OrderSummary, next string)
	// Buckets lists the sites that have ever held the SKU, sorted.
	Buckets(sku string) []string
	// Sites lists all sites, sorted.
	Sites() []string
	// Prepare completes a placement with what only the node knows: unknown SKUs, the position, the fingerprint.
	Prepare(*messages.PlaceOrder) error
}

// Planner answers a dry run: how would this order be routed now?
type Planner interface {
	Plan(*messages.Order) *messages.Plan
}

// Options are what the doors need. Actors, Directory and Planner are required.
type Options struct {
	Actors    Actors
	Directory Directory
	Planner   Planner
	// Locate finds a site by its postal code when its document gives no position; nil = the position is required.
	Locate func(postalCode, country string) (lat, lon float64, ok bool)
	Limits Limits
	// Registry receives the metrics; nil = none are kept.
	Registry prometheus.Registerer
	Log      *slog.Logger
	// Version is announced to $SRV.INFO; semantic, default "0.1.0".
	Version string
}

// Ingress is the running set of doors.
type Ingress struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	o       Options
	log     *slog.Logger
	metrics *metrics
	wheel   *wheel
	dead    *deadLetters

	services []micro.Service
	doors    []*door
	intake   *intake
	workers  sync.WaitGroup
	stopped  sync.Once
}

// Start opens the doors. The streams must exist: see Setup. Nothing of the caller's connection is closed by Stop.
func Start(ctx context.Context, nc *nats.Conn, o Options) (*Ingress, error) {
	if o.Actors == nil || o.Directory == nil || o.Planner == nil {
		return nil, errors.New("ingress: Actors, Directory and Planner are required")
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("ingress: %w", err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Version == "" {
		o.Version = "0.1.0"
	}
	o.Limits = o.Limits.withDefaults()
	in := &Ingress{nc: nc, js: js, o: o, log: o.Log, metrics: newMetrics(o.Registry), wheel: newWheel(time.Now)}
	in.dead = newDeadLetters(nc, js, in.metrics, o.Limits, time.Now)
	for _, open := range []func() error{in.openServices, func() error { return in.openIntake(ctx) }} {
		if err := open(); err != nil {
			in.close()
			return nil, err
		}
	}
	return in, nil
}

// service describes one micro service and its endpoints.
type service struct {
	name, about string
	endpoints   []endpoint
}

// endpoint is one subject. handle decodes and hands over; it runs on the subscription's goroutine and never waits.
type endpoint struct {
	door    string // names the limit, the metrics and the dead letters
	verb    string
	subject string
	handle  func(*query)
}

func (in *Ingress) openServices() error {
	doors := make(map[string]*door)
	for _, s := range []service{
		{"orderyard-order", "places, shows and stops orders; plans without effect", append(in.orderEndpoints(), in.planEndpoint())},
		{"orderyard-stock", "counts, moves and reserves stock", in.stockEndpoints()},
		{"orderyard-site", "applies and runs sites; takes their answers about fulfillment orders", append(in.siteEndpoints(), in.fulfillmentEndpoints()...)},
	} {
		svc, err := micro.AddService(in.nc, micro.Config{Name: s.name, Version: in.o.Version, Description: s.about})
		if err != nil {
			return fmt.Errorf("ingress: service %s: %w", s.name, err)
		}
		in.services = append(in.services, svc)
		for _, e := range s.endpoints {
			d := doors[e.door]
			if d == nil {
				d = in.newDoor(e.door)
				doors[e.door] = d
			}
			if err := svc.AddEndpoint(e.door+"-"+e.verb, d.handler(e), micro.WithEndpointSubject(e.subject)); err != nil {
				return fmt.Errorf("ingress: endpoint %s: %w", e.subject, err)
			}
		}
	}
	return nil
}

// Stop takes no new requests, waits for those in flight until ctx ends, and stops. Requests that nobody answered by then are
// answered `unavailable`. It may be called again and does nothing then.
func (in *Ingress) Stop(ctx context.Context) error {
	var err error
	in.stopped.Do(func() {
		if in.intake != nil {
			in.intake.stop()
		}
		for _, s := range in.services {
			err = errors.Join(err, s.Stop())
		}
		for in.inFlight() > 0 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		in.close()
		err = errors.Join(err, in.nc.FlushTimeout(flushFor))
	})
	return err
}

// flushFor bounds how long the last answers may take to leave.
const flushFor = 2 * time.Second

func (in *Ingress) inFlight() int64 {
	var n int64
	for _, d := range in.doors {
		n += d.requests.Load()
	}
	return n
}

// close answers what is left and ends every goroutine. Services were stopped, or never started.
func (in *Ingress) close() {
	for _, s := range in.services {
		_ = s.Stop() // a second stop is a no-op
	}
	for _, d := range in.doors {
		d.closing.Store(true)
	}
	in.wheel.stop(stopping())
	for _, d := range in.doors {
		for d.requests.Load() > 0 { // what the wheel just answered leaves through the responders
			time.Sleep(time.Millisecond)
		}
		close(d.answers)
	}
	in.workers.Wait()
}
