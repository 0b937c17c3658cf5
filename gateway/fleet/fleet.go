package fleet

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

// Options are the dials of a fleet.
type Options struct {
	PickAfter, PackAfter, ShipAfter, DeliverAfter time.Duration
	RejectPermille                                int // of fulfillment orders are refused
	Seed                                          uint64
	Log                                           *slog.Logger
}

const (
	workers    = 32              // requests under way
	answerIn   = 5 * time.Second // of one request
	triesMax   = 20              // of one step; then the work is left to whoever looks at the list
	retryAfter = 200 * time.Millisecond
	listPage   = 500
	busyMin    = 100 * time.Millisecond // how long a site without free hands takes no work, at least
)

// Fleet is at work until Stop.
type Fleet struct {
	nc     *nats.Conn
	o      Options
	cancel context.CancelFunc
	done   sync.WaitGroup
	todo   chan *job

	mu    sync.Mutex
	later jobHeap
	known map[string]bool // fulfillment orders in hand
	wake  chan struct{}

	Shipped, Rejected, Failed atomic.Int64
}

// job is the next step of one fulfillment order.
type job struct {
	id, site, step string
	missing        []wire.FulfillmentLine // of a refusal: the line that is not as it should be
	at             time.Time
	tries          int
}

// Start takes all open work and what comes.
func Start(ctx context.Context, nc *nats.Conn, o Options) (*Fleet, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	run, cancel := context.WithCancel(context.Background())
	f := &Fleet{nc: nc, o: o, cancel: cancel, todo: make(chan *job, workers), known: make(map[string]bool), wake: make(chan struct{}, 1)}
	js, err := jetstream.New(nc)
	if err == nil {
		err = f.listen(ctx, run, js)
	}
	if err == nil {
		err = f.openWork(ctx)
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("start the site fleet: %w", err)
	}
	f.done.Add(1 + workers)
	go f.dispatch(run)
	for range workers {
		go f.work(run)
	}
	return f, nil
}

// Stop ends the fleet; open work stays open.
func (f *Fleet) Stop() {
	f.cancel()
	f.done.Wait()
}

// InHand counts the fulfillment orders that are not delivered, refused or given up.
func (f *Fleet) InHand() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.known)
}

// listen follows the public events from now on. Events that were published before are found by openWork.
func (f *Fleet) listen(ctx, run context.Context, js jetstream.JetStream) error {
	consumer, err := js.OrderedConsumer(ctx, messages.StreamEvents, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{messages.EventSubject("fulfillment", "requested", "*")}, DeliverPolicy: jetstream.DeliverNewPolicy,
	})
	if err != nil {
		return err
	}
	events, err := consumer.Messages()
	if err != nil {
		return err
	}
	context.AfterFunc(run, events.Stop)
	f.done.Add(1)
	go func() {
		defer f.done.Done()
		for {
			m, err := events.Next()
			if errors.Is(err, jetstream.ErrMsgIteratorClosed) || errors.Is(err, nats.ErrConnectionClosed) {
				return
			}
			if err != nil {
				f.o.Log.Debug("fleet events", "error", err)
				continue
			}
			var fo struct {
				ID            string                 `json:"fulfillment_id"`
				Status        string                 `json:"status"`
				RequestStatus string                 `json:"request_status"`
				Lines         []wire.FulfillmentLine `json:"lines"`
			}
			if err := json.Unmarshal(m.Data(), &fo); err != nil {
				f.o.Log.Warn("a fulfillment event cannot be read", "subject", m.Subject(), "error", err)
				continue
			}
			f.take(&wire.Fulfillment{ID: fo.ID, Status: fo.Status, RequestStatus: fo.RequestStatus, Lines: fo.Lines}, messages.LastToken(m.Subject()))
		}
	}()
	return nil
}

// openWork asks every site for what it has not finished.
func (f *Fleet) openWork(ctx context.Context) error {
	var sites wire.SiteListAnswer
	if err := f.ask(ctx, messages.SiteSubject("list"), wire.SiteListRequest{}, &sites); err != nil {
		return err
	}
	for _, s := range sites.Sites {
		if s.SiteView == nil {
			continue
		}
		for after := ""; ; {
			var page wire.FulfillmentListAnswer
			req := wire.FulfillmentListRequest{Limit: listPage, Cursor: after}
			if err := f.ask(ctx, messages.FulfillmentSubject("list", s.ID), req, &page); err != nil {
				return err
			}
			for i := range page.Fulfillments {
				f.take(&page.Fulfillments[i], s.ID)
			}
			if after = page.NextCursor; after == "" {
				break
			}
		}
	}
	return nil
}

// take puts a fulfillment order in hand, at the step it has reached.
func (f *Fleet) take(fo *wire.Fulfillment, site string) {
	step, after := f.next(fo)
	if step == "" {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known[fo.ID] {
		return
	}
	f.known[fo.ID] = true
	j := &job{id: fo.ID, site: site, step: step, at: time.Now().Add(after)}
	if step == "reject" && len(fo.Lines) > 0 {
		at := f.draw(fo.ID, "line") % uint64(len(fo.Lines))
		j.missing = []wire.FulfillmentLine{{LineID: fo.Lines[at].LineID, Quantity: fo.Lines[at].Quantity}}
	}
	f.put(j)
}

// next says what is to be done with a fulfillment order, and how long that takes.
func (f *Fleet) next(fo *wire.Fulfillment) (step string, after time.Duration) {
	switch fo.Status {
	case "open":
		if f.refuses(fo.ID) {
			return "reject", f.o.PickAfter / 2
		}
		if fo.RequestStatus == "submitted" {
			return "accept", f.o.PickAfter / 4
		}
		return "pick", f.o.PickAfter
	case "picking":
		return "pick", 0
	case "picked":
		return "pack", f.o.PackAfter
	case "packed":
		return "ship", f.o.ShipAfter
	case "shipped":
		return "deliver", f.o.DeliverAfter
	}
	return "", 0
}

func (f *Fleet) draw(id, what string) uint64 {
	return xxhash.Sum64String(fmt.Sprintf("%d/%s/%s", f.o.Seed, what, id))
}

func (f *Fleet) refuses(id string) bool { return int(f.draw(id, "reject")%1000) < f.o.RejectPermille }

// put schedules; the lock is held.
func (f *Fleet) put(j *job) {
	heap.Push(&f.later, j)
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// dispatch hands out jobs when their time comes.
func (f *Fleet) dispatch(ctx context.Context) {
	defer f.done.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		f.mu.Lock()
		var due *job
		pause := time.Hour
		if len(f.later) > 0 {
			if pause = time.Until(f.later[0].at); pause <= 0 {
				due = heap.Pop(&f.later).(*job)
			}
		}
		f.mu.Unlock()
		if due != nil {
			select {
			case f.todo <- due:
				continue
			case <-ctx.Done():
				return
			}
		}
		timer.Reset(pause)
		select {
		case <-timer.C:
		case <-f.wake:
		case <-ctx.Done():
			return
		}
	}
}

func (f *Fleet) work(ctx context.Context) {
	defer f.done.Done()
	for {
		select {
		case j := <-f.todo:
			f.do(ctx, j)
		case <-ctx.Done():
			return
		}
	}
}

// do takes one step and schedules the next.
func (f *Fleet) do(ctx context.Context, j *job) {
	req := wire.FulfillmentRequest{FulfillmentID: j.id}
	switch j.step {
	case "reject":
		f.refuse(j, &req)
	case "ship":
		req.Shipment = &wire.Shipment{ID: "1", Carrier: "demo", Service: "standard", Tracking: fmt.Sprintf("OY%016X", f.draw(j.id, "tracking"))}
	}
	var got wire.FulfillmentAnswer
	err := f.ask(ctx, messages.FulfillmentSubject(j.step, j.site), req, &got)
	var failure *messages.Failure
	switch {
	case ctx.Err() != nil:
		return
	case err != nil && (!errors.As(err, &failure) || failure.Retryable) && j.tries < triesMax:
		j.tries++
		j.at = time.Now().Add(retryAfter)
		f.mu.Lock()
		f.put(j)
		f.mu.Unlock()
		return
	case err != nil:
		// The order took the work back meanwhile, or somebody else did the step: not ours any more.
		f.o.Log.Debug("fleet step refused", "fulfillment", j.id, "step", j.step, "error", err)
		f.Failed.Add(1)
		f.drop(j)
		return
	}
	f.advance(j)
}

// refuse fills in why. People find one line missing or broken, seldom all of them; and who has no hands free has some a moment later:
// without its own time the site would take no work until the next hour, and one refusal after the other would close the whole network.
func (f *Fleet) refuse(j *job, req *wire.FulfillmentRequest) {
	reasons := []string{"not_in_stock", "mismatch", "damaged", "capacity", "carrier", "other"}
	req.Reason, req.Note = reasons[f.draw(j.id, "reason")%uint64(len(reasons))], "simulated refusal"
	switch req.Reason {
	case "not_in_stock", "mismatch", "damaged":
		req.Lines = j.missing
	case "capacity":
		req.RetryAfterMs = max(f.o.PickAfter/10, busyMin).Milliseconds()
	}
}

func (f *Fleet) advance(j *job) {
	next := wire.Fulfillment{ID: j.id}
	switch j.step {
	case "reject":
		f.Rejected.Add(1)
	case "accept":
		next.Status, next.RequestStatus = "open", "accepted"
	case "pick":
		next.Status = "picked"
	case "pack":
		next.Status = "packed"
	case "ship":
		f.Shipped.Add(1)
		next.Status = "shipped"
	}
	step, after := f.next(&next)
	if step == "" {
		f.drop(j)
		return
	}
	f.mu.Lock()
	f.put(&job{id: j.id, site: j.site, step: step, at: time.Now().Add(after)})
	f.mu.Unlock()
}

func (f *Fleet) drop(j *job) {
	f.mu.Lock()
	delete(f.known, j.id)
	f.mu.Unlock()
}

// ask makes one request; a refusal comes back as a *messages.Failure.
func (f *Fleet) ask(ctx context.Context, subject string, request, answer any) error {
	body, err := wire.Encode(request)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerIn)
	defer cancel()
	reply, err := f.nc.RequestWithContext(ctx, subject, body)
	if err != nil {
		return fmt.Errorf("%s: %w", subject, err)
	}
	var head wire.Head
	if err := json.Unmarshal(reply.Data, &head); err != nil {
		return fmt.Errorf("%s: the answer cannot be read: %w", subject, err)
	}
	if failure := head.Failure(); failure != nil {
		return failure
	}
	return wire.DecodeAnswer(reply.Data, answer)
}

type jobHeap []*job

func (h jobHeap) Len() int { return len(h) }
func (h jobHeap) Less(i, j int) bool {
	return cmp.Or(h[i].at.Compare(h[j].at), cmp.Compare(h[i].id, h[j].id)) < 0
}
func (h jobHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *jobHeap) Push(x any)   { *h = append(*h, x.(*job)) }
func (h *jobHeap) Pop() any {
	old := *h
	j := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return j
}
