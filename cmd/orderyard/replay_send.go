package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/nats-io/nats.go"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

const (
	// replayPatience bounds how long one request is tried again: longer than a node needs to start after kill -9.
	replayPatience = time.Minute
	replayPauseMax = time.Second
	// replayRefusalsShown bounds the lines about refused orders: the rest is counted.
	replayRefusalsShown = 10
)

// placements counts what became of the orders that were sent.
type placements struct {
	orders, repeated int64 // taken now; taken by an earlier run
	lines, units     int64 // of both
	refused          map[string]int64
}

// Outcomes of a cancellation.
const (
	cancelDone      = "cancelled"
	cancelRequested = "requested"
	cancelTooLate   = "too late"
	cancelUnknown   = "no such order"
	cancelFailed    = "failed"
)

// cancellations counts the C… invoices of the file and what was answered to them.
type cancellations struct {
	Invoices int64            `json:"invoices"`
	Repeated int64            `json:"repeated"`
	Outcomes map[string]int64 `json:"outcomes"`
}

// replayJob is one request under way.
type replayJob struct {
	subject, command string
	body             []byte
	order            string          // its id
	lines, units     int64           // of a placement
	placed           chan struct{}   // of a placement: closed when it was answered
	after            <-chan struct{} // of a cancellation: closed when its order was answered
}

// send reads the file and keeps at most --inflight requests under way. Jobs are taken in the file's order and wait only for earlier
// ones, so they cannot wait for each other.
func (r *replay) send(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	jobs := make(chan *replayJob)
	var workers sync.WaitGroup
	for range r.f.inflight {
		workers.Go(func() {
			for job := range jobs {
				if err := r.do(ctx, job); err != nil {
					cancel(err)
				}
			}
		})
	}
	err := r.reader.each(func(i *invoice) error { return r.dispatch(ctx, jobs, i) })
	close(jobs)
	workers.Wait()
	r.ended = time.Now()
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, context.Canceled) {
			cause = errors.New("interrupted")
		}
		return cause
	}
	return err
}

// dispatch turns an invoice into a job and hands it over.
func (r *replay) dispatch(ctx context.Context, jobs chan<- *replayJob, i *invoice) error {
	if i.cancel {
		return r.dispatchCancel(ctx, jobs, i)
	}
	if r.f.limit > 0 && r.sent.Load() == int64(r.f.limit) {
		return errEnough
	}
	body, err := wire.Encode(i.document(r.f.seed, r.f.policy))
	if err != nil {
		return fmt.Errorf("write the order of line %d: %w", i.line, err)
	}
	job := &replayJob{
		subject: messages.PlaceSubject(replayChannel), body: body, order: i.orderID(),
		lines: int64(len(i.lines)), units: i.units(), placed: make(chan struct{}),
	}
	r.past.add(i, job.placed)
	r.ours[xxhash.Sum64String(job.order)] = struct{}{}
	if err := r.wait(ctx); err != nil {
		return err
	}
	r.sent.Add(1)
	return hand(ctx, jobs, job)
}

func (r *replay) dispatchCancel(ctx context.Context, jobs chan<- *replayJob, i *invoice) error {
	found := r.past.match(i)
	r.mu.Lock()
	r.cancels.Invoices++
	if len(found) == 0 {
		r.cancels.Outcomes[cancelUnknown]++
	}
	r.mu.Unlock()
	for _, past := range found {
		body, err := wire.Encode(wire.CancelOrderRequest{OrderID: past.id, Reason: "customer", Note: "cancellation " + i.external(), Actor: "replay"})
		if err != nil {
			return err
		}
		job := &replayJob{
			subject: messages.OrderSubject("cancel"), command: "replay-" + i.external() + "-" + past.id, body: body, order: past.id,
			after: past.placed,
		}
		if err := hand(ctx, jobs, job); err != nil {
			return err
		}
	}
	return nil
}

func hand(ctx context.Context, jobs chan<- *replayJob, job *replayJob) error {
	select {
	case jobs <- job:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wait keeps to --rate.
func (r *replay) wait(ctx context.Context) error {
	if r.f.rate <= 0 {
		return nil
	}
	due := r.began.Add(time.Duration(float64(r.sent.Load()) / r.f.rate * float64(time.Second)))
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(due)):
		return nil
	}
}

// do carries out a job and counts its answer. Its error ends the run.
func (r *replay) do(ctx context.Context, job *replayJob) error {
	if job.after != nil {
		select {
		case <-job.after:
		case <-ctx.Done():
			return nil
		}
	}
	got, err := r.ask(ctx, job.subject, job.command, job.body)
	if job.placed != nil {
		close(job.placed)
	}
	var failure *messages.Failure
	if err != nil && !errors.As(err, &failure) {
		return err
	}
	if job.placed != nil {
		r.countPlaced(job, got, failure)
		return nil
	}
	return r.countCancel(got, failure)
}

func (r *replay) countPlaced(job *replayJob, got answer, failure *messages.Failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if failure == nil {
		if got.replayed {
			r.placed.repeated++
		} else {
			r.placed.orders++
		}
		r.placed.lines += job.lines
		r.placed.units += job.units
		return
	}
	r.placed.refused[failure.GetCode()]++
	if r.refusals++; r.refusals <= replayRefusalsShown {
		hint := ""
		if failure.GetCode() == messages.CodeConflict {
			hint = " (was the file replayed here with another --seed or policy?)"
		}
		r.say("order %s was refused: %v%s", job.order, failure, hint)
	}
}

func (r *replay) countCancel(got answer, failure *messages.Failure) error {
	outcome := cancelRequested
	switch failure.GetCode() {
	case "":
		var receipt wire.OrderReceipt
		if err := wire.DecodeAnswer(got.body, &receipt); err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		if receipt.Status == "cancelled" {
			outcome = cancelDone
		}
	case messages.CodeTooLate:
		outcome = cancelTooLate
	case messages.CodeNotFound:
		outcome = cancelUnknown // its placement was refused
	default:
		outcome = cancelFailed
		r.say("a cancellation was refused: %v", failure)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cancels.Outcomes[outcome]++
	if got.replayed {
		r.cancels.Repeated++
	}
	return nil
}

// ask sends a request until it is answered, always under the same command id: an answer that was lost is given again, and nothing is
// done twice. The error is a *messages.Failure when the node said no; any other one means that nobody answers.
func (r *replay) ask(ctx context.Context, subject, command string, body []byte) (answer, error) {
	end := time.Now().Add(replayPatience)
	pause, again := retryPauseMin, false
	for {
		got, err := r.once(ctx, subject, command, body)
		got.replayed = got.replayed && !again // else it repeats what an unanswered question of our own has done
		var failure *messages.Failure
		said := errors.As(err, &failure)
		if err == nil || ctx.Err() != nil || said && !failure.GetRetryable() && failure.GetCode() != messages.CodeTimeout {
			return got, err
		}
		if errors.Is(err, nats.ErrMaxPayload) || time.Now().Add(pause).After(end) {
			if !said {
				err = r.client.silence(ctx, err, command)
			}
			return got, err
		}
		again = true
		r.retries.Add(1)
		select {
		case <-ctx.Done():
			return got, ctx.Err()
		case <-time.After(max(pause, time.Duration(failure.GetRetryAfterMs())*time.Millisecond)):
		}
		pause = min(2*pause, replayPauseMax)
	}
}

// once asks a single time.
func (r *replay) once(ctx context.Context, subject, command string, body []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, r.client.timeout)
	defer cancel()
	message := nats.NewMsg(subject)
	message.Data = body
	if command != "" {
		message.Header.Set(messages.HeaderCommandID, command)
	}
	message.Header.Set(messages.HeaderDeadlineMs, patience(r.client.timeout))
	reply, err := r.client.conn.RequestMsgWithContext(ctx, message)
	if err != nil {
		return answer{}, err
	}
	got := answer{reply.Data, reply.Header.Get(messages.HeaderReplayed) == "true"}
	if failure := failureOf(reply); failure != nil {
		return got, failure
	}
	return got, nil
}

// question asks what changes nothing and decodes the answer.
func (r *replay) question(ctx context.Context, subject string, request, out any) error {
	body, err := wire.Encode(request)
	if err != nil {
		return err
	}
	got, err := r.ask(ctx, subject, "", body)
	if err != nil {
		return err
	}
	if err := wire.DecodeAnswer(got.body, out); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}
