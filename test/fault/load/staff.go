package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/nats-io/nats.go/jetstream"

	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/test/fault/client"
)

// staff are the people at the sites: they read the public events through a durable consumer of their own, as a site's system would, accept
// what waits for them and reject a part of everything. It depends on the work's id alone whether it is rejected, so an event that comes
// twice changes nothing.
type staff struct {
	ask      *client.Client
	quiet    bool
	consumer jetstream.Consumer
	cancel   context.CancelFunc
	wait     sync.WaitGroup
	slots    chan struct{}

	accepted, rejected atomic.Int64
}

const (
	staffName   = "fault_staff"
	staffAtOnce = 16
)

func hire(ctx context.Context, ask *client.Client, quiet bool) (*staff, error) {
	js, err := jetstream.New(ask.Conn())
	if err != nil {
		return nil, err
	}
	s := &staff{ask: ask, quiet: quiet, slots: make(chan struct{}, staffAtOnce)}
	s.consumer, err = js.CreateOrUpdateConsumer(ctx, messages.StreamEvents, jetstream.ConsumerConfig{
		Durable: staffName, FilterSubjects: []string{messages.EventSubject("fulfillment", "requested", "*")},
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: 5 * time.Second, MaxAckPending: 4 * staffAtOnce, DeliverPolicy: jetstream.DeliverNewPolicy,
	})
	if err != nil {
		return nil, fmt.Errorf("hire staff: %w", err)
	}
	run, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.wait.Go(func() { s.read(run) })
	return s, nil
}

func (s *staff) stop() {
	s.cancel()
	s.wait.Wait()
}

// read pulls events for as long as there is a server to pull from.
func (s *staff) read(ctx context.Context) {
	for ctx.Err() == nil {
		batch, err := s.consumer.Fetch(staffAtOnce, jetstream.FetchMaxWait(time.Second))
		if err != nil {
			time.Sleep(100 * time.Millisecond) // no server at the moment
			continue
		}
		for m := range batch.Messages() {
			s.slots <- struct{}{}
			s.wait.Go(func() {
				defer func() { <-s.slots }()
				if s.work(ctx, m) {
					_ = m.Ack() // an event that comes again is answered again, with the same words
				} else {
					_ = m.NakWithDelay(500 * time.Millisecond)
				}
			})
		}
	}
}

// work answers one event; false = try it again later.
func (s *staff) work(ctx context.Context, m jetstream.Msg) bool {
	var fo struct {
		ID            string                 `json:"fulfillment_id"`
		RequestStatus string                 `json:"request_status"`
		Lines         []wire.FulfillmentLine `json:"lines"`
	}
	if err := json.Unmarshal(m.Data(), &fo); err != nil {
		return true
	}
	site := messages.LastToken(m.Subject())
	req := wire.FulfillmentRequest{FulfillmentID: fo.ID}
	draw := xxhash.Sum64String(fo.ID)
	switch {
	case !s.quiet && draw%1000 < rejectionPermille:
		s.reason(&req, fo.Lines, draw/1000)
		s.rejected.Add(1)
		return s.tell(ctx, "reject", site, req)
	case fo.RequestStatus == "submitted":
		s.accepted.Add(1)
		return s.tell(ctx, "accept", site, req)
	}
	return true
}

// reason draws why: mostly what changes no stock, sometimes a broken or missing unit.
func (s *staff) reason(req *wire.FulfillmentRequest, lines []wire.FulfillmentLine, draw uint64) {
	req.Note = "simulated"
	switch draw % 10 {
	case 0, 1:
		req.Reason = "damaged"
	case 2:
		req.Reason = "mismatch"
	case 3:
		req.Reason = "carrier"
	default:
		req.Reason = "other"
	}
	if draw%10 < 3 && len(lines) > 0 {
		req.Lines = []wire.FulfillmentLine{{LineID: lines[0].LineID, Quantity: 1}}
	}
}

// tell answers for a site. A refusal is final: the order took the work back meanwhile, or this is a repeat.
func (s *staff) tell(ctx context.Context, verb, site string, req wire.FulfillmentRequest) bool {
	o := s.ask.Insist(ctx, messages.FulfillmentSubject(verb, site), client.Encode(req), "staff/"+verb+"/"+req.FulfillmentID)
	return o.Known()
}

// idle says why the people are not, "" = they are.
func (s *staff) idle(ctx context.Context) string {
	info, err := s.consumer.Info(ctx)
	switch {
	case errors.Is(err, context.Canceled):
		return ""
	case err != nil:
		return err.Error()
	case info.NumPending > 0 || info.NumAckPending > 0:
		return fmt.Sprintf("the sites have %d events to read and %d under way", info.NumPending, info.NumAckPending)
	}
	return ""
}
