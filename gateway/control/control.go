package control

import (
	"context"
	"fmt"
	"log/slog"
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

// Control is the open door.
type Control struct {
	service micro.Service
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
		handler := micro.HandlerFunc(func(r micro.Request) { go respond(r, answer, o.Log) })
		if err := service.AddEndpoint("cluster-"+verb, handler, micro.WithEndpointSubject(messages.ClusterSubject(verb))); err != nil {
			return nil, fmt.Errorf("control: endpoint %s: %w", verb, err)
		}
	}
	return &Control{service: service}, nil
}

// Stop closes the door. Closing it again does nothing.
func (c *Control) Stop() error { return c.service.Stop() }

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
