package rulebook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

// DoorOptions are what the door needs. Book and Nodes are required.
type DoorOptions struct {
	Book *Book
	// Nodes tells what every node of the cluster routes by, this one included; it may ask them until ctx ends.
	Nodes func(ctx context.Context) []wire.RulesNode
	// Prices tells the shadow prices that this node routes by. nil = none are made here.
	Prices   func(q wire.PricesRequest) (wire.PricesAnswer, *messages.Failure)
	Node     string            // who answers
	Metadata map[string]string // of the service instance
	Version  string            // announced to $SRV.INFO; semantic, default "0.1.0"
	Log      *slog.Logger
}

// Door is the open door.
type Door struct {
	o       DoorOptions
	service micro.Service
	room    chan struct{}
	work    sync.WaitGroup
}

// verb answers one request. Its error is a *messages.Failure, or the store's.
type verb func(ctx context.Context, body []byte) (any, error)

// OpenDoor opens it. Every node does: a request reaches one of them. Publish and rollback are answered when what they did is durable; how far
// the nodes have come, status says. There is no permission to ask for: whoever reaches the NATS account may publish.
func OpenDoor(nc *nats.Conn, o DoorOptions) (*Door, error) {
	if o.Version == "" {
		o.Version = "0.1.0"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	d := &Door{o: o, room: make(chan struct{}, requestsMax)}
	var err error
	d.service, err = micro.AddService(nc, micro.Config{
		Name: "orderyard-rules", Version: o.Version, Description: "publishes, shows and rolls back routing rules", Metadata: o.Metadata,
	})
	if err != nil {
		return nil, fmt.Errorf("rules door: %w", err)
	}
	for name, answer := range map[string]verb{
		"publish": d.publish, "rollback": d.rollback, "get": d.get, "history": d.history, "status": d.status, "prices": d.prices,
	} {
		err := d.service.AddEndpoint("rules-"+name, micro.HandlerFunc(func(r micro.Request) { d.take(r, answer) }),
			micro.WithEndpointSubject(messages.RulesSubject(name)))
		if err != nil {
			_ = d.service.Stop()
			return nil, fmt.Errorf("rules door: endpoint %s: %w", name, err)
		}
	}
	return d, nil
}

// Stop takes no new requests and returns when those under way are answered. Stopping again does nothing.
func (d *Door) Stop() error {
	err := d.service.Stop()
	d.work.Wait()
	return err
}

func (d *Door) take(r micro.Request, answer verb) {
	select {
	case d.room <- struct{}{}:
	default:
		d.respond(r, nil, messages.Retry(messages.CodeLimit, busyForMs, "%d requests are under way at this door", requestsMax))
		return
	}
	d.work.Go(func() {
		defer func() { <-d.room }()
		ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
		defer cancel()
		doc, err := answer(ctx, r.Data())
		d.respond(r, doc, err)
	})
}

func (d *Door) respond(r micro.Request, doc any, err error) {
	var body []byte
	if err == nil {
		if body, err = wire.Encode(doc); err != nil {
			err = messages.Fail(messages.CodeInternal, "", "the answer cannot be written")
		}
	}
	if err != nil {
		body = wire.EncodeFailure(d.failure(r.Subject(), err))
	}
	if err := r.Respond(body); err != nil {
		d.o.Log.Debug("answer not sent", "subject", r.Subject(), "error", err)
	}
}

// failure is the one table from what went wrong to the words of the contract.
func (d *Door) failure(subject string, err error) *messages.Failure {
	var told *messages.Failure
	if errors.As(err, &told) {
		return told
	}
	d.o.Log.Warn("the rule book cannot be used", "subject", subject, "error", err)
	return messages.Retry(messages.CodeUnavailable, busyForMs, "the rule book cannot be used: %v", err)
}

func (d *Door) publish(ctx context.Context, body []byte) (any, error) {
	q, f := wire.DecodePublishRules(body)
	if f == nil {
		f = q.Check()
	}
	if f != nil {
		return nil, f
	}
	return receipt(d.o.Book.Publish(ctx, Draft{Text: q.Text, Tests: q.Tests, Note: q.Note, By: by(q.Actor), BasedOn: q.BasedOn}))
}

func (d *Door) rollback(ctx context.Context, body []byte) (any, error) {
	var q wire.RollbackRulesRequest
	if f := decodeChecked(body, &q); f != nil {
		return nil, f
	}
	return receipt(d.o.Book.Rollback(ctx, q.Version, by(q.Actor), q.Note, q.BasedOn))
}

func by(actor string) string {
	if actor == "" {
		return "unknown"
	}
	return actor
}

func receipt(r Result, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	a := r.Activation
	return wire.RulesReceipt{
		Head: wire.Head{OK: true}, Version: a.Number, RulesVersion: a.Rules, Activation: a.Seq, Previous: a.Previous, Unchanged: r.Unchanged,
	}, nil
}

func (d *Door) get(ctx context.Context, body []byte) (any, error) {
	var q wire.GetRulesRequest
	if f := decodeChecked(body, &q); f != nil {
		return nil, f
	}
	if q.Version == 0 {
		now, _, found, err := d.o.Book.Active(ctx)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, messages.Fail(messages.CodeNotFound, "version", "no rule set has been published: the built-in rules are in force")
		}
		q.Version = now.Number
	}
	v, found, err := d.o.Book.Version(ctx, q.Version)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, messages.Fail(messages.CodeNotFound, "version", "there is no version %d", q.Version)
	}
	h, err := d.o.Book.History(ctx)
	if err != nil {
		return nil, err
	}
	return wire.RulesAnswer{
		Head: wire.Head{OK: true}, Version: v.Number, RulesVersion: v.Rules, Hash: v.Hash, State: string(h.State(v.Number)),
		By: v.By, At: wire.Time(v.AtMs), Note: v.Note, Text: v.Text, Tests: v.Tests,
	}, nil
}

func (d *Door) history(ctx context.Context, body []byte) (any, error) {
	var q wire.RulesHistoryRequest
	if f := decodeChecked(body, &q); f != nil {
		return nil, f
	}
	h, err := d.o.Book.History(ctx)
	if err != nil {
		return nil, err
	}
	most := int(min(q.Limit, historyMax))
	if most == 0 {
		most = historyDefault
	}
	answer := wire.RulesHistoryAnswer{Head: wire.Head{OK: true}}
	rest := h.Activations
	if q.Before > 0 {
		from := slices.IndexFunc(rest, func(a Activation) bool { return a.Seq < q.Before })
		if from < 0 {
			from = len(rest)
		}
		rest = rest[from:]
	} else {
		for _, v := range h.Drafts {
			answer.Drafts = append(answer.Drafts, wire.RulesEntry{
				Version: v.Number, RulesVersion: v.Rules, State: string(StateDraft), By: v.By, At: wire.Time(v.AtMs), Note: v.Note,
			})
		}
	}
	for _, a := range rest[:min(len(rest), most)] {
		answer.History = append(answer.History, entry(a, h.State(a.Number)))
	}
	if len(rest) > most {
		answer.NextBefore = rest[most-1].Seq
	}
	return answer, nil
}

func entry(a Activation, state State) wire.RulesEntry {
	return wire.RulesEntry{
		Activation: a.Seq, Version: a.Number, RulesVersion: a.Rules, State: string(state), Act: a.Act, Previous: a.Previous,
		By: a.By, At: wire.Time(a.AtMs), Note: a.Note,
	}
}

func (d *Door) status(ctx context.Context, body []byte) (any, error) {
	var q wire.RulesStatusRequest
	if f := decodeChecked(body, &q); f != nil {
		return nil, f
	}
	answer := wire.RulesStatusAnswer{Head: wire.Head{OK: true}, AnsweredBy: d.o.Node}
	now, _, found, err := d.o.Book.Active(ctx)
	if err != nil {
		return nil, err
	}
	if found {
		e := entry(now, StateActive)
		answer.Active = &e
	}
	answer.Nodes = d.o.Nodes(ctx)
	return answer, nil
}

func (d *Door) prices(_ context.Context, body []byte) (any, error) {
	var q wire.PricesRequest
	if f := decodeChecked(body, &q); f != nil {
		return nil, f
	}
	if d.o.Prices == nil {
		return nil, messages.Fail(messages.CodeNotFound, "", "node %s makes no shadow prices", d.o.Node)
	}
	answer, f := d.o.Prices(q)
	if f != nil {
		return nil, f
	}
	answer.OK, answer.AnsweredBy = true, d.o.Node
	return answer, nil
}

// decodeChecked takes an empty body for an empty object, and asks what was decoded whether it is in bounds.
func decodeChecked(body []byte, q any) *messages.Failure {
	if len(body) > 0 {
		if f := wire.Decode(body, q); f != nil {
			return f
		}
	}
	if c, ok := q.(interface{ Check() *messages.Failure }); ok {
		return c.Check()
	}
	return nil
}

// Row is what this node says about itself when it is asked what it routes by.
func (s Status) Row(node, incarnation string) wire.RulesNode {
	row := wire.RulesNode{
		Node: node, Incarnation: incarnation, Version: s.Activation.Number, RulesVersion: s.Rules, Activation: s.Activation.Seq,
	}
	if s.Refused != nil {
		row.Refused = &wire.RulesRefusal{Version: s.Refused.Activation.Number, Activation: s.Refused.Activation.Seq, Reason: s.Refused.Why}
	}
	return row
}
