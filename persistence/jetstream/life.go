package jetstream

import (
	"context"
	"errors"
	"sync"

	"github.com/nats-io/nats.go"
)

// errDisconnected ends what waits for an answer over a connection that has ended: the answer cannot come any more, over the next one
// neither. Waiting for the time-out would hold a partition up for seconds after the server is back.
var errDisconnected = errors.New("the connection to NATS ended")

// life follows a connection through its breaks.
type life struct {
	mu      sync.Mutex
	present context.Context // of the connection as it is now; ends with it
	end     context.CancelCauseFunc
	stop    func()
}

func newLife(nc *nats.Conn) *life {
	l := &life{}
	l.begin()
	statuses := nc.StatusChanged(nats.DISCONNECTED, nats.RECONNECTING, nats.CLOSED)
	stopped := make(chan struct{})
	l.stop = sync.OnceFunc(func() { close(stopped); nc.RemoveStatusListener(statuses) })
	go func() {
		for {
			select {
			case <-stopped:
				return
			case status, open := <-statuses:
				over := !open || status == nats.CLOSED
				l.broke(!over)
				if over {
					return
				}
			}
		}
	}()
	return l
}

func (l *life) begin() { l.present, l.end = context.WithCancelCause(context.Background()) }

// broke ends what is bound to the connection; what begins later is bound to the next one.
func (l *life) broke(again bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end(errDisconnected)
	if again {
		l.begin()
	}
}

// bound gives a context that ends with ctx or with the connection, whichever ends first.
func (l *life) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	l.mu.Lock()
	present := l.present
	l.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(present, func() { cancel(errDisconnected) })
	return ctx, func() { unhook(); cancel(nil) }
}
