package load

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/test/fault/client"
)

// Options are the dials. The zero value of each means the default.
type Options struct {
	Clients  int           // default 12
	Interval time.Duration // between two requests of one client, at least; default 80 ms
	SKUs     int           // default 200
	HotUnits int64         // of the hot SKU per site at first; default 150
	Seed     uint64
	// Quiet leaves out what answers "no" by its nature or moves orders later: rejections by sites. For rows that count every error.
	Quiet bool
	// EventsMayBeLost takes it as a figure when public events are: a lone NATS server whose disk is full has acknowledged a few that it cannot write.
	EventsMayBeLost bool
}

const (
	channel = "fault"
	// HotSKU stands in 30 % of the lines.
	HotSKU = "HOT"
	plenty = 100_000

	hotPercent        = 30
	duplicatePercent  = 10
	cancelPercent     = 5
	rejectionPermille = 50
	getPercent        = 8
	receivePercent    = 3
)

// Sites are five places; the buyers live in Denver. The last two wait for people.
var Sites = []wire.Site{
	place("den", 39.74, -104.99, "auto"), place("dal", 32.78, -96.80, "auto"), place("chi", 41.88, -87.63, "auto"),
	place("sea", 47.61, -122.33, "manual"), place("nyc", 40.71, -74.01, "manual"),
}

func place(id string, lat, lon float64, accept string) wire.Site {
	return wire.Site{ID: id, Type: "dc", Lat: &lat, Lon: &lon, Country: "US", Accept: accept}
}

// Load is the outside world, at work from Start to Stop.
type Load struct {
	o     Options
	ask   *client.Client
	zipf  []float64 // cumulated weights of the SKUs that are not hot
	run   string
	staff *staff

	orders  ordersTold
	windows windows
	wrong   findings

	starts   int // makes what one start sends differ from what another does
	stopping atomic.Bool
	wait     sync.WaitGroup
}

// ordersTold is what the channels were told.
type ordersTold struct {
	mu    sync.Mutex
	list  []*Order
	ready []string // acknowledged ids, for whoever wants to cancel or look
}

// Order is one order as its channel knows it.
type Order struct {
	ID        string
	Body      []byte
	Lines     int
	Known     bool   // acknowledged
	Answer    []byte // the first one
	Cancelled bool   // a cancellation was acknowledged
}

// findings collects what must not happen; a few stand for all.
type findings struct {
	mu   sync.Mutex
	list []string
	more int
}

func (f *findings) add(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.list) < 20 {
		f.list = append(f.list, fmt.Sprintf(format, args...))
	} else {
		f.more++
	}
}

func (f *findings) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := slices.Clone(f.list)
	if f.more > 0 {
		list = append(list, fmt.Sprintf("and %d more", f.more))
	}
	return list
}

// New prepares sites and stock. The client is shared and must outlive Stop.
func New(ctx context.Context, ask *client.Client, o Options) (*Load, error) {
	o.Clients, o.SKUs, o.HotUnits = orDefault(o.Clients, 12), orDefault(o.SKUs, 200), orDefault(o.HotUnits, 150)
	o.Interval = orDefault(o.Interval, 80*time.Millisecond)
	l := &Load{o: o, ask: ask, run: fmt.Sprintf("%x", time.Now().UnixMilli()&0xffffff)}
	sum := 0.0
	for i := range o.SKUs {
		sum += 1 / float64(i+1)
		l.zipf = append(l.zipf, sum)
	}
	for _, s := range Sites {
		if got := ask.Insist(ctx, messages.SiteSubject("apply"), client.Encode(s), ""); !got.OK() {
			return nil, fmt.Errorf("apply site %s: %s", s.ID, got.String())
		}
		if err := l.count(ctx, s.ID); err != nil {
			return nil, err
		}
	}
	var err error
	l.staff, err = hire(ctx, ask, o.Quiet)
	return l, err
}

func orDefault[T ~int | ~int64](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// count sets the stock of a site: the hot SKU scarce, the others plenty.
func (l *Load) count(ctx context.Context, site string) error {
	const page = 500
	var docs []wire.SetStockRequest
	for i := range l.o.SKUs + 1 {
		units, sku := int64(plenty), skuName(i)
		if i == l.o.SKUs {
			units, sku = l.o.HotUnits, HotSKU
		}
		docs = append(docs, wire.SetStockRequest{SKU: sku, Site: site, OnHand: &units})
	}
	for chunk := range slices.Chunk(docs, page) {
		if got := l.ask.Insist(ctx, messages.StockSubject("set"), client.Encode(chunk), ""); !got.OK() {
			return fmt.Errorf("count the stock of %s: %s", site, got.String())
		}
	}
	return nil
}

func skuName(i int) string { return fmt.Sprintf("SKU-%04d", i) }

// Start lets the channels go; again after a Stop, too.
func (l *Load) Start() {
	l.stopping.Store(false)
	l.starts++
	for i := range l.o.Clients {
		rng, name := rand.New(rand.NewPCG(l.o.Seed+uint64(l.starts), uint64(i))), fmt.Sprintf("%s-%d-%d", l.run, l.starts, i)
		l.wait.Go(func() { l.live(rng, name) })
	}
}

// Stop ends the channels after their present request. The sites' people work on.
func (l *Load) Stop() {
	l.stopping.Store(true)
	l.wait.Wait()
}

// Close sends the people home, too.
func (l *Load) Close() {
	l.Stop()
	l.staff.stop()
}

// live is one client in a closed loop.
func (l *Load) live(rng *rand.Rand, client string) {
	for n := 0; !l.stopping.Load(); n++ {
		next := time.Now().Add(l.o.Interval/2 + time.Duration(rng.Int64N(int64(l.o.Interval))))
		name := fmt.Sprintf("%s-%d", client, n)
		switch k := rng.IntN(100); {
		case k < cancelPercent:
			l.cancelOne(rng, name)
		case k < cancelPercent+getPercent:
			l.look(rng)
		case k < cancelPercent+getPercent+receivePercent:
			l.receive(rng, name)
		default:
			l.buy(rng, name)
		}
		time.Sleep(time.Until(next))
	}
}

// do makes a request until its outcome is known and keeps how it went. Codes that are an answer to this kind of request are allowed.
func (l *Load) do(subject string, doc []byte, id string, allowed ...string) client.Outcome {
	o := l.ask.Insist(context.Background(), subject, doc, id)
	failed := !o.OK() && !slices.Contains(allowed, o.Code)
	l.windows.add(&o, failed)
	if failed {
		l.wrong.add("%s answers %s after %d tries and %v: %s", subject, o.Code, o.Tries, o.Took.Round(time.Millisecond), o.String())
	}
	return o
}

// NewOrder makes an order of the load's kind.
func (l *Load) NewOrder(rng *rand.Rand, name string) (wire.Order, []byte) {
	price, lat, lon := int64(1999), 39.75, -104.99
	o := wire.Order{
		Channel: channel, ExternalID: name, Currency: "USD",
		Policy: &wire.Policy{
			OnShort: []string{"backorder", "cancel", "hold"}[rng.IntN(3)],
			Partial: []string{"split", "split", "complete_only", "ship_available"}[rng.IntN(4)],
		},
		ShipTo: wire.Address{Name: "A. Buyer", City: "Denver", PostalCode: "80202", Country: "US", Lat: &lat, Lon: &lon},
	}
	taken := map[string]bool{}
	for i := range 1 + rng.IntN(3) {
		if sku := l.sku(rng); !taken[sku] {
			taken[sku] = true
			o.Lines = append(o.Lines, wire.Line{ID: fmt.Sprint(i + 1), SKU: sku, Quantity: 1 + rng.Int64N(3), UnitPrice: &price})
		}
	}
	return o, client.Encode(o)
}

func (l *Load) sku(rng *rand.Rand) string {
	if rng.IntN(100) < hotPercent {
		return HotSKU
	}
	at, _ := slices.BinarySearch(l.zipf, rng.Float64()*l.zipf[len(l.zipf)-1])
	return skuName(min(at, len(l.zipf)-1))
}

// buy places an order; some are sent twice, at once or one after the other.
func (l *Load) buy(rng *rand.Rand, name string) {
	doc, body := l.NewOrder(rng, name)
	told := &Order{ID: channel + "-" + name, Body: body, Lines: len(doc.Lines)}
	l.orders.mu.Lock()
	l.orders.list = append(l.orders.list, told)
	l.orders.mu.Unlock()
	twice, atOnce := rng.IntN(100) < duplicatePercent, rng.IntN(2) == 0
	var answers []client.Outcome
	if twice && atOnce {
		answers = make([]client.Outcome, 2)
		var both sync.WaitGroup
		for i := range answers {
			both.Go(func() { answers[i] = l.place(told) })
		}
		both.Wait()
	} else {
		answers = append(answers, l.place(told))
		if twice {
			answers = append(answers, l.place(told))
		}
	}
	l.acknowledge(told, answers)
}

func (l *Load) place(o *Order) client.Outcome {
	return l.do(messages.PlaceSubject(channel), o.Body, "")
}

// acknowledge books the answers to one order: all must be the same, and only one of them the first.
func (l *Load) acknowledge(told *Order, answers []client.Outcome) {
	first := 0
	for i := range answers {
		a := &answers[i]
		if !a.OK() {
			continue
		}
		if !a.Replayed {
			first++
		}
		var r wire.OrderReceipt
		if err := a.Read(&r); err != nil || r.OrderID != told.ID {
			l.wrong.add("order %s was answered as %s", told.ID, a.Body)
		}
		l.orders.mu.Lock()
		if !told.Known {
			told.Known, told.Answer = true, a.Body
			l.orders.ready = append(l.orders.ready, told.ID)
		} else if !bytes.Equal(told.Answer, a.Body) {
			l.wrong.add("order %s was answered as %s and as %s", told.ID, told.Answer, a.Body)
		}
		l.orders.mu.Unlock()
	}
	if first > 1 {
		l.wrong.add("order %s was placed %d times", told.ID, first)
	}
}

// some gives one acknowledged order.
func (l *Load) some(rng *rand.Rand) string {
	l.orders.mu.Lock()
	defer l.orders.mu.Unlock()
	if len(l.orders.ready) == 0 {
		return ""
	}
	recent := max(len(l.orders.ready)-500, 0)
	return l.orders.ready[recent+rng.IntN(len(l.orders.ready)-recent)]
}

func (l *Load) cancelOne(rng *rand.Rand, name string) {
	id := l.some(rng)
	if id == "" {
		return
	}
	o := l.do(messages.OrderSubject("cancel"), client.Encode(wire.CancelOrderRequest{OrderID: id}), "cancel-"+name, messages.CodeTooLate)
	if !o.OK() {
		return
	}
	l.orders.mu.Lock()
	defer l.orders.mu.Unlock()
	for _, told := range slices.Backward(l.orders.list) {
		if told.ID == id {
			told.Cancelled = true
			return
		}
	}
}

// look reads an acknowledged order or a bucket; an order that is not there has been lost.
func (l *Load) look(rng *rand.Rand) {
	id := l.some(rng)
	if id == "" || rng.IntN(2) == 0 {
		l.do(messages.StockSubject("get"), client.Encode(wire.GetStockRequest{SKU: HotSKU, Site: Sites[rng.IntN(len(Sites))].ID}), "")
		return
	}
	l.do(messages.OrderSubject("get"), client.Encode(wire.GetOrderRequest{OrderID: id}), "")
}

func (l *Load) receive(rng *rand.Rand, name string) {
	doc := wire.ReceiveStockRequest{SKU: HotSKU, Site: Sites[rng.IntN(len(Sites))].ID, Quantity: 1 + rng.Int64N(20)}
	l.do(messages.StockSubject("receive"), client.Encode(doc), "receive-"+name)
}

// Orders gives what the channels know, in the order of sending.
func (l *Load) Orders() []*Order {
	l.orders.mu.Lock()
	defer l.orders.mu.Unlock()
	return slices.Clone(l.orders.list)
}

// Acknowledged counts the orders that were.
func (l *Load) Acknowledged() int {
	l.orders.mu.Lock()
	defer l.orders.mu.Unlock()
	return len(l.orders.ready)
}

// Told lists the ids of the orders that were acknowledged.
func (l *Load) Told() []string {
	l.orders.mu.Lock()
	defer l.orders.mu.Unlock()
	return slices.Clone(l.orders.ready)
}

// Wrong lists what the clients saw and must not see.
func (l *Load) Wrong() []string { return l.wrong.all() }

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
