package ingress

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"
	"github.com/prometheus/client_golang/prometheus"

	"orderyard/gateway/admission"
	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/routing"
)

// ServiceStock is the name of one of the three services; every node whose doors are open answers to it.
const ServiceStock = "orderyard-stock"

// Actors takes commands. Send returns at once, and calls Done exactly once, from any goroutine, now or later.
type Actors interface {
	Send(messages.Request)
}

// Directory knows what is spread over many entities. Its answers may be milliseconds old. All methods may be called
// concurrently, and but for ListOrders they do not wait for anything outside the process.
type Directory interface {
	// ListOrders gives a page of rows, newest first, and the cursor of the next page ("" = none). It may ask other nodes, until ctx
	// ends. A *messages.Failure goes to the caller as it is; another error is logged and answered `internal`.
	ListOrders(ctx context.Context, filter wire.ListFilter) (rows []*messages.OrderSummary, next string, err error)
	// Buckets lists the sites that have ever held the SKU, sorted.
	Buckets(sku string) []string
	// Available tells what one site can promise of a SKU, or each site when none is named.
	Available(sku, site string, tell func(site string, atp int64))
	// Sites lists all sites, sorted.
	Sites() []string
	// Prepare completes a placement with what only the node knows: unknown SKUs, the position, the fingerprint. A *messages.Failure
	// goes to the sender as it is.
	Prepare(*messages.PlaceOrder) error
}

// Planner answers a dry run: how would this order be routed now?
type Planner interface {
	// Plans is the dry run: ranked plans, best first, without any effect.
	Plans(*messages.Order) []*messages.Plan
	// Want says what would have to be otherwise for a site to give in one of an order's plans, the latest one when the number is 0. It may take
	// seconds, and gives up when ctx ends.
	Want(ctx context.Context, v *messages.OrderView, planNo uint32, site string) (*routing.Flip, *messages.Failure)
}

// Options are what the doors need. Actors, Directory and Planner are required.
type Options struct {
	Actors    Actors
	Directory Directory
	Planner   Planner
	// Learn asks the other nodes about SKUs this one has never heard of, and says which of them exist: what was counted a moment ago
	// through another door may be on its way here. It may wait until ctx ends; nil = there are no other nodes.
	Learn func(ctx context.Context, skus []string) (known map[string]bool, err error)
	// Faults says what the actors would find wrong with a command, so that a sender is told everything at once; nil = only the door's own words.
	Faults func(messages.Command) []*messages.FieldError
	// Locate finds a site by its postal code when its document gives no position; nil = the position is required.
	Locate func(postalCode, country string) (lat, lon float64, ok bool)
	Limits Limits
	// Admission lets new work in by what is measured, within Limits; its Max follows from RequestsMax. Nil = only Limits hold.
	Admission *admission.Options
	// Panicked counts an answer that panicked: its asker is told `internal`, and nobody else notices. Nil = nobody counts.
	Panicked func()
	// Registry receives the metrics; nil = none are kept.
	Registry prometheus.Registerer
	Log      *slog.Logger
	// Clock is the time that deadlines go by, the entities' own, in Unix milliseconds; nil = the machine's.
	Clock func() int64
	// Version is announced to $SRV.INFO; semantic, default "0.1.0".
	Version string
	// Metadata is announced there too: which node this is, of several that answer. It must not change.
	Metadata map[string]string
}

// Ingress is the running set of doors.
type Ingress struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	o       Options
	log     *slog.Logger
	metrics *metrics
	wheel   *wheel
	gate    *gate
	dead    *deadLetters

	services []micro.Service
	doors    []*door
	intake   *intake
	learners atomic.Int64 // asking other nodes about SKUs
	lists    atomic.Int64 // being made
	wants    atomic.Int64 // being worked on
	working  context.Context
	giveUp   context.CancelFunc // ends what is worked on
	workers  sync.WaitGroup
	stopped  sync.Once
}

// Start opens the doors; when it returns, the server sends requests here. The streams must exist: see Setup. Nothing of the caller's
// connection is closed by Stop.
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
	if o.Panicked == nil {
		o.Panicked = func() {}
	}
	if o.Clock == nil {
		o.Clock = func() int64 { return time.Now().UnixMilli() }
	}
	o.Limits = o.Limits.withDefaults()
	in := &Ingress{nc: nc, js: js, o: o, log: o.Log, metrics: newMetrics(o.Registry), wheel: newWheel(o.Clock)}
	in.working, in.giveUp = context.WithCancel(context.Background())
	in.gate = newGate(o.Admission, o.Limits.RequestsMax, in.metrics)
	in.dead = newDeadLetters(nc, js, in.metrics, o.Limits, time.Now)
	if in.intake, err = in.openIntake(ctx); err != nil {
		in.intake = noIntake()
		in.close()
		return nil, err
	}
	if err := in.openServices(); err != nil {
		in.close()
		return nil, err
	}
	// Whoever waits for Start may then close another node's doors: the server must know of these.
	if err := in.flush(); err != nil {
		in.close()
		return nil, err
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
	party   string // whose room it takes: see gate
}

func (in *Ingress) openServices() error {
	doors := make(map[string]*door)
	for _, s := range []service{
		{"orderyard-order", "places, shows and stops orders; plans without effect", append(in.orderEndpoints(), in.planEndpoint())},
		{ServiceStock, "counts, moves and reserves stock", in.stockEndpoints()},
		{"orderyard-site", "applies and runs sites; takes their answers about fulfillment orders", append(in.siteEndpoints(), in.fulfillmentEndpoints()...)},
	} {
		// Every node joins the same queue group, micro's default: a request reaches one of them.
		svc, err := micro.AddService(in.nc, micro.Config{
			Name: s.name, Version: in.o.Version, Description: s.about, Metadata: in.o.Metadata,
		})
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
