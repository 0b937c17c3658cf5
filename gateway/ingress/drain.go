package ingress

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// Drain takes no new requests and returns when every request that reached this process is answered and its answer sent. What comes
// from then on goes to other nodes. When ctx ends first it says so, and how many are left; they are still answered when their actors
// do. It may be called again and goes on waiting then; a drained ingress does not open again. With others to take over, no request
// fails and none is taken twice:
//
//   - The server handles what one connection sends in its order. Behind the answer to a ping that follows the unsubscribe
//     it sends nothing more for it: a request that meets the removed subscription is given to another member of
//     the queue group, there or on another server. What it sent before is in this process when the answer is, and the
//     client hands all of it over before the barrier behind it.
//   - The intake lets its last pull run out instead of leaving it: what the server sends in answer to a pull that nobody listens to
//     may be lost on its way, and would come again only when IntakeWait is over. That takes up to a second.
func (in *Ingress) Drain(ctx context.Context) error {
	err := in.drain(ctx)
	if n := in.inFlight(); n > 0 && ctx.Err() != nil {
		err = errors.Join(err, fmt.Errorf("ingress: %d requests are still in flight: %w", n, ctx.Err()))
	}
	return errors.Join(err, in.flush())
}

// drain does what Drain says until ctx ends, which is no error.
func (in *Ingress) drain(ctx context.Context) error {
	in.intake.pullNoMore()
	var errs []error
	for _, s := range in.services {
		errs = append(errs, s.Stop()) // unsubscribes; what is delivered is still handled. A second stop is a no-op
	}
	errs = append(errs, in.handed(ctx))
	select {
	case <-in.intake.ended:
	case <-ctx.Done():
	}
	for in.inFlight() > 0 && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	return errors.Join(errs...)
}

// handed returns when everything that the server sent before now has been handed to the doors.
func (in *Ingress) handed(ctx context.Context) error {
	if err := in.flush(); err != nil {
		return err
	}
	done := make(chan struct{})
	if err := in.nc.Barrier(func() { close(done) }); err != nil {
		return nil // closed meanwhile: nothing can come
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
	return nil
}

// flushFor bounds how long a round trip to the server may take, such as that of the last answers.
const flushFor = 2 * time.Second

// flush returns when the server has all that was sent. A connection that is closed holds nothing back; for one that is lost there is
// nothing to wait for.
func (in *Ingress) flush() error {
	switch {
	case in.nc.IsClosed():
		return nil
	case !in.nc.IsConnected():
		return errors.New("ingress: the NATS server is out of reach, the last answers may not leave")
	}
	if err := in.nc.FlushTimeout(flushFor); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("ingress: flush: %w", err)
	}
	return nil
}

// Stop drains until ctx ends and stops. Requests that nobody answered by then are answered `unavailable`, and intake messages are
// given back. It may be called again and does nothing then. Without a Drain before, it does not wait for the last pull of an intake
// where nothing happens: what the server would send in that very moment is delivered again when IntakeWait is over.
func (in *Ingress) Stop(ctx context.Context) error {
	var err error
	in.stopped.Do(func() {
		if in.intake.idle() {
			in.intake.giveUp()
		}
		err = in.drain(ctx)
		in.close()
		err = errors.Join(err, in.flush())
	})
	return err
}

func (in *Ingress) inFlight() int64 {
	var n int64
	for _, d := range in.doors {
		n += d.requests.Load()
	}
	return n
}

// close answers what is left and ends every goroutine.
func (in *Ingress) close() {
	in.intake.giveUp()
	for _, s := range in.services {
		_ = s.Stop()
	}
	for _, d := range in.doors {
		d.closing.Store(true)
	}
	<-in.intake.ended
	in.wheel.stop(stopping())
	in.giveUp()
	for _, d := range in.doors {
		for d.requests.Load() > 0 { // what the wheel just answered leaves through the responders
			time.Sleep(time.Millisecond)
		}
		close(d.answers)
	}
	in.workers.Wait()
}
