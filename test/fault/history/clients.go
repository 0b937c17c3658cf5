package history

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nuid"

	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/test/fault/client"
)

// Options are the dials of the clients.
type Options struct {
	Buckets   []Bucket
	PerBucket int           // clients of each; default 4
	Interval  time.Duration // between two requests of one client; default 80 ms
	OnHand    int64         // at first; few enough that declines happen. Default 40
	Seed      uint64
	// Patience is how long a client repeats a command before it leaves its outcome open; default 20 s.
	Patience time.Duration
	// Wait is how long every other client waits for one answer; default: as long as the others. Clients that wait longer than a node is paused
	// take its word when it wakes, as what the others do meanwhile goes on elsewhere: they meet whatever it says of a former state.
	Wait time.Duration
}

// Bucket is one SKU at one site.
type Bucket struct{ SKU, Site string }

func (b Bucket) String() string { return b.SKU + "@" + b.Site }

// holdFor is longer than any run: a hold that runs out by itself is another test's matter.
const holdFor = 12 * time.Hour

// Clients reserve, confirm, cancel and look until they are stopped.
type Clients struct {
	*Recorder
	ask    [2]*client.Client // of even and of odd clients
	o      Options
	run    string // makes ids of this run differ from those of every other
	cancel context.CancelFunc
	wait   sync.WaitGroup
}

// Start counts every bucket and lets the clients go. The client is shared and must outlive Stop.
func Start(ctx context.Context, ask *client.Client, o Options) (*Clients, error) {
	if o.PerBucket == 0 {
		o.PerBucket = 4
	}
	if o.Interval == 0 {
		o.Interval = 80 * time.Millisecond
	}
	if o.OnHand == 0 {
		o.OnHand = 40
	}
	if o.Patience == 0 {
		o.Patience = 20 * time.Second
	}
	own, waiting := *ask, *ask
	own.Patience, waiting.Patience = o.Patience, o.Patience
	waiting.Attempt = max(o.Wait, ask.Attempt)
	c := &Clients{Recorder: NewRecorder(), ask: [2]*client.Client{&own, &waiting}, o: o, run: nuid.Next()}
	for _, b := range o.Buckets {
		in := Input{Bucket: b.String(), Kind: Set, Quantity: o.OnHand}
		if out := c.do(ctx, 0, b, in); !out.Known || out.Code != "" {
			return nil, fmt.Errorf("count %s: %+v", b, out)
		}
	}
	run, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	for i, b := range o.Buckets {
		for k := range o.PerBucket {
			number := i*o.PerBucket + k
			c.wait.Go(func() { c.live(run, number, b) })
		}
	}
	return c, nil
}

// Stop ends the clients after their present command.
func (c *Clients) Stop() {
	c.cancel()
	c.wait.Wait()
}

// hold is a reservation that its client knows to have.
type hold struct {
	id       string
	quantity int64
	firm     bool
}

// live is one client: it takes, keeps a few, gives back.
func (c *Clients) live(ctx context.Context, number int, b Bucket) {
	rng := rand.New(rand.NewPCG(c.o.Seed, uint64(number)))
	var mine []hold
	tick := time.NewTicker(c.o.Interval)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		in := Input{Bucket: b.String()}
		at := -1
		switch k := rng.IntN(100); {
		case k < 15:
			in.Kind = Get
		case k < 60 && len(mine) < 8:
			in.Kind, in.ID, in.Quantity = Reserve, fmt.Sprintf("h-%s-%d-%d", c.run, number, n), 1+rng.Int64N(5)
		case len(mine) > 0:
			at = rng.IntN(len(mine))
			in.Kind, in.ID, in.Quantity, in.Firm = Cancel, mine[at].id, mine[at].quantity, mine[at].firm
			if !in.Firm && rng.IntN(3) == 0 {
				in.Kind = Confirm
			}
		default:
			in.Kind = Get
		}
		out := c.do(context.Background(), number, b, in) // to its end: an outcome that is known proves more
		switch {
		case at >= 0 && out.Known && in.Kind == Confirm && out.Code == "":
			mine[at].firm = true
		case at >= 0: // given back, or nobody knows
			mine = append(mine[:at], mine[at+1:]...)
		case in.Kind == Reserve && out.Known && out.Code == "":
			mine = append(mine, hold{id: in.ID, quantity: in.Quantity})
		}
	}
}

// do asks until the outcome is known or given up, and writes it down.
func (c *Clients) do(ctx context.Context, number int, b Bucket, in Input) Output {
	subject, doc := request(b, in)
	id := ""
	if in.Kind != Get {
		id = fmt.Sprintf("%s/%s/%s%s", b, in.Kind, c.run, in.ID)
	}
	op := c.Begin(number, in)
	o := c.ask[number%2].Insist(ctx, subject, client.Encode(doc), id)
	var out Output
	var answer wire.StockAnswer
	if o.Known() && o.Read(&answer) == nil && o.Code != messages.CodeInternal {
		out.Known, out.Code = true, o.Code
		if answer.ATP != nil {
			out.ATP = *answer.ATP
		}
		if in.Kind == Get && answer.Bucket != nil {
			out.Count = State{answer.OnHand, answer.Reserved, answer.Allocated}
		}
	}
	c.End(op, out)
	return out
}

func request(b Bucket, in Input) (subject string, doc any) {
	switch in.Kind {
	case Set:
		return messages.StockSubject("set"), wire.SetStockRequest{SKU: b.SKU, Site: b.Site, OnHand: &in.Quantity}
	case Receive:
		return messages.StockSubject("receive"), wire.ReceiveStockRequest{SKU: b.SKU, Site: b.Site, Quantity: in.Quantity}
	case Reserve:
		return messages.StockSubject("reserve"), wire.ReserveStockRequest{
			ReservationID: in.ID, SKU: b.SKU, Site: b.Site, Quantity: in.Quantity, HoldForMs: holdFor.Milliseconds(),
		}
	case Confirm:
		return messages.StockSubject("confirm"), wire.ConfirmReservationRequest{ReservationID: in.ID, SKU: b.SKU, Site: b.Site}
	case Cancel:
		return messages.StockSubject("cancel"), wire.CancelReservationRequest{ReservationID: in.ID, SKU: b.SKU, Site: b.Site}
	}
	return messages.StockSubject("get"), wire.GetStockRequest{SKU: b.SKU, Site: b.Site}
}
