package control

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

// Cluster is what the door shows. Methods may be called concurrently; Drain may wait until its context ends.
type Cluster interface {
	Status() *wire.ClusterStatus
	Partitions() []wire.ClusterPartition
	// Drain passes the wish on to the node of that name or incarnation. Its failure is a *messages.Failure or an ordinary error.
	Drain(ctx context.Context, node string) (*wire.ClusterDrainAnswer, *messages.Failure)
}

// Options are what the door needs. Cluster is required.
type Options struct {
	Cluster  Cluster
	Metadata map[string]string // of the service instance: who answers
	Version  string
	Log      *slog.Logger
}

// drainWithin bounds how long passing a drain on may take; the drain itself is watched by asking for the status.
const drainWithin = 3 * time.Second

const (
	// requestsMax is how many requests may be under way at the door: a drain that is passed on to a node which hangs takes seconds.
	requestsMax = 64
	busyForMs   = 200
)

// Control is the open door.
type Control struct {
	o       Options
	service micro.Service
	room    chan struct{}

	mu     sync.Mutex
	closed bool // nobody begins work any more
	work   sync.WaitGroup
}

// Start opens the door.
func Start(nc *nats.Conn, o Options) (*Control, error) {
	if o.Version == "" {
		o.Version = "0.1.0"
	}
	service, err := micro.AddService(nc, micro.Config{
		Name: "orderyard-cluster", Version: o.Version, Description: "shows the cluster; drains a node", Metadata: o.Metadata,
	})
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	c := &Control{o: o, service: service, room: make(chan struct{}, requestsMax)}
	for verb, answer := range map[string]func([]byte) (any, *messages.Failure){
		"status": func(body []byte) (any, *messages.Failure) {
			var r wire.ClusterStatusRequest
			if f := decode(body, &r); f != nil {
				return nil, f
			}
			return wire.ClusterStatusAnswer{Head: wire.Head{OK: true}, Cluster: o.Cluster.Status()}, nil
		},
		"partitions": func(body []byte) (any, *messages.Failure) {
			var r wire.ClusterPartitionsRequest
			if f := decode(body, &r); f != nil {
				return nil, f
			}
			return wire.ClusterPartitionsAnswer{Head: wire.Head{OK: true}, Partitions: o.Cluster.Partitions()}, nil
		},
		"drain": func(body []byte) (any, *messages.Failure) { return drain(o.Cluster, body) },
	} {
		handler := micro.HandlerFunc(func(r micro.Request) { c.take(r, answer) })
		if err := service.AddEndpoint("cluster-"+verb, handler, micro.WithEndpointSubject(messages.ClusterSubject(verb))); err != nil {
			_ = service.Stop()
			return nil, fmt.Errorf("control: endpoint %s: %w", verb, err)
		}
	}
	return c, nil
}

// Stop closes the door and returns when what is under way is answered. Closing it again does nothing.
func (c *Control) Stop() error {
	err := c.service.Stop() // what is delivered already may still come
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.work.Wait()
	return err
}

func (c *Control) take(r micro.Request, answer func([]byte) (any, *messages.Failure)) {
	refuse := func(f *messages.Failure) {
		respond(r, func([]byte) (any, *messages.Failure) { return nil, f }, c.o.Log)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		refuse(messages.Retry(messages.CodeUnavailable, busyForMs, "this node is stopping"))
		return
	}
	select {
	case c.room <- struct{}{}:
	default:
		refuse(messages.Retry(messages.CodeLimit, busyForMs, "%d requests are under way at this door", requestsMax))
		return
	}
	c.work.Go(func() {
		defer func() { <-c.room }()
		respond(r, answer, c.o.Log)
	})
}

// decode takes an empty body for an empty object.
func decode[T any](body []byte, r *T) *messages.Failure {
	if len(body) == 0 {
		return nil
	}
	return wire.Decode(body, r)
}

func drain(c Cluster, body []byte) (any, *messages.Failure) {
	var r wire.ClusterDrainRequest
	if f := decode(body, &r); f != nil {
		return nil, f
	}
	if err := messages.CheckToken(r.Node); err != nil {
		return nil, messages.Invalid("node", "%v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainWithin)
	defer cancel()
	answer, f := c.Drain(ctx, r.Node)
	if f != nil {
		return nil, f
	}
	answer.Head = wire.Head{OK: true}
	return answer, nil
}

func respond(r micro.Request, answer func([]byte) (any, *messages.Failure), log *slog.Logger) {
	doc, f := answer(r.Data())
	body := wire.EncodeFailure(f)
	if f == nil {
		var err error
		if body, err = wire.Encode(doc); err != nil {
			body = wire.EncodeFailure(messages.Fail(messages.CodeInternal, "", "the answer cannot be written"))
		}
	}
	if err := r.Respond(body); err != nil && log != nil {
		log.Debug("answer not sent", "subject", r.Subject(), "error", err)
	}
}
