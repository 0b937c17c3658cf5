package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/persistence/jetstream"
)

// benchShop is a channel of a benchmark: it stocks sites and places orders over the public doors, and hears by the public feed when an order
// was accepted. It may be used concurrently.
type benchShop struct {
	conns  []*nats.Conn
	orders orderMaker

	mu       sync.Mutex
	accepted map[string]func(time.Time) // by order: what to do when it is
}

const (
	benchConns    = 8
	benchRestMost = 2 * time.Minute
	benchWaits    = 30 * time.Second // for any one answer
)

// open connects. The seed makes its orders differ from another shop's.
func (b *benchShop) open(url string, conns int, seed uint64) error {
	b.orders.src = rand.New(rand.NewPCG(1, seed))
	b.accepted = make(map[string]func(time.Time))
	for range conns {
		nc, err := nats.Connect(url)
		if err != nil {
			return fmt.Errorf("connect to the node: %w", err)
		}
		b.conns = append(b.conns, nc)
	}
	if _, err := b.conns[0].Subscribe(messages.EventSubject("order", "allocated", benchChannel), b.heard); err != nil {
		return err
	}
	return b.conns[0].Flush()
}

func (b *benchShop) close() {
	for _, c := range b.conns {
		c.Close()
	}
}

// heard takes the public event that the site has accepted.
func (b *benchShop) heard(m *nats.Msg) {
	now := time.Now()
	id := strings.TrimPrefix(m.Header.Get("ce-subject"), "order/")
	b.mu.Lock()
	then := b.accepted[id]
	delete(b.accepted, id)
	b.mu.Unlock()
	if then != nil {
		then(now)
	}
}

// expect says what to do when an order is accepted.
func (b *benchShop) expect(id string, then func(time.Time)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.accepted[id] = then
}

// ask asks over one of the connections and folds a refusal into the error.
func (b *benchShop) ask(ctx context.Context, worker int, subject, commandID string, body []byte) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, benchWaits)
	defer cancel()
	m := nats.NewMsg(subject)
	m.Data = body
	if commandID != "" {
		m.Header.Set(messages.HeaderCommandID, commandID)
	}
	reply, err := b.conns[worker%len(b.conns)].RequestMsgWithContext(ctx, m)
	if err != nil {
		return nil, err
	}
	if f := failureOf(reply); f != nil {
		return nil, f
	}
	return reply, nil
}

// place places one order and returns when its site has accepted it.
func (b *benchShop) place(ctx context.Context, worker int) error {
	body, id, err := b.orders.make()
	if err != nil {
		return err
	}
	accepted := make(chan struct{})
	b.expect(id, func(time.Time) { close(accepted) })
	if _, err := b.ask(ctx, worker, messages.PlaceSubject(benchChannel), "", body); err != nil {
		return err
	}
	late := time.NewTimer(acceptedWithin)
	defer late.Stop()
	select {
	case <-accepted:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-late.C:
		return fmt.Errorf("order %s was not allocated within %v", id, acceptedWithin)
	}
}

// benchSite is where site s of a benchmark stands.
func benchSite(s int) (id string, lat, lon float64) {
	return "SITE-" + strconv.Itoa(s), 30 + float64(s), -120 + 5*float64(s)
}

// stock makes sites and stock over the public doors.
func (b *benchShop) stock(ctx context.Context) error {
	return b.stockAs(ctx, func(int, int) int64 { return benchUnits })
}

// stockAs makes sites, and stock with so many units of each SKU at each site.
func (b *benchShop) stockAs(ctx context.Context, units func(site, sku int) int64) error {
	var sites []wire.Site
	for s := range benchSites {
		id, lat, lon := benchSite(s)
		sites = append(sites, wire.Site{ID: id, Name: id, Type: "dc", Country: "US", Lat: &lat, Lon: &lon, Accept: "auto", Status: "online"})
	}
	c := &client{conn: b.conns[0], timeout: benchReadyIn}
	if _, err := c.ask(ctx, messages.SiteSubject("apply"), "bench-sites", sites); err != nil {
		return fmt.Errorf("apply sites: %w", err)
	}
	for s := range benchSites {
		id, _, _ := benchSite(s)
		for from := 0; from < benchSKUs; from += wire.BatchMax {
			var counts []wire.SetStockRequest
			for i := from; i < min(from+wire.BatchMax, benchSKUs); i++ {
				n := units(s, i)
				counts = append(counts, wire.SetStockRequest{SKU: demoSKU(i), Site: id, OnHand: &n})
			}
			if _, err := c.ask(ctx, messages.StockSubject("set"), fmt.Sprintf("bench-%d-%d", s, from), counts); err != nil {
				return fmt.Errorf("count stock: %w", err)
			}
		}
	}
	return nil
}

// count sets the stock of one bucket.
func (b *benchShop) count(ctx context.Context, sku, site string, units int64) error {
	body, err := wire.Encode(wire.SetStockRequest{SKU: sku, Site: site, OnHand: &units})
	if err == nil {
		_, err = b.ask(ctx, 0, messages.StockSubject("set"), "count-"+sku, body)
	}
	if err != nil {
		return fmt.Errorf("count stock: %w", err)
	}
	return nil
}

// reserve claims one unit.
func (b *benchShop) reserve(ctx context.Context, worker int, sku, site, id string) error {
	body, err := wire.Encode(wire.ReserveStockRequest{ReservationID: id, SKU: sku, Site: site, Quantity: 1, HoldForMs: hotHoldMs})
	if err != nil {
		return err
	}
	_, err = b.ask(ctx, worker, messages.StockSubject("reserve"), id, body)
	return err
}

// reserveMany claims one unit n times with one request: n reservations, each with its own outcome.
func (b *benchShop) reserveMany(ctx context.Context, worker int, sku, site, id string, n int) error {
	list := make([]wire.ReserveStockRequest, n)
	for i := range list {
		list[i] = wire.ReserveStockRequest{ReservationID: id + "-" + strconv.Itoa(i), SKU: sku, Site: site, Quantity: 1, HoldForMs: hotHoldMs}
	}
	body, err := wire.Encode(list)
	if err != nil {
		return err
	}
	_, err = b.ask(ctx, worker, messages.StockSubject("reserve"), id, body)
	return err
}

// bucket reads one bucket.
func (b *benchShop) bucket(ctx context.Context, sku, site string) (*wire.Bucket, error) {
	body, err := wire.Encode(wire.GetStockRequest{SKU: sku, Site: site})
	if err != nil {
		return nil, err
	}
	reply, err := b.ask(ctx, 0, messages.StockSubject("get"), "", body)
	if err != nil {
		return nil, err
	}
	var got wire.StockAnswer
	if err := wire.DecodeAnswer(reply.Data, &got); err != nil {
		return nil, err
	}
	if got.Bucket == nil || got.ATP == nil {
		return nil, fmt.Errorf("the answer about %s at %s holds no bucket", sku, site)
	}
	got.Bucket.ATP = *got.ATP // of one name in the answer
	return got.Bucket, nil
}

// verify makes the figures worth something: it audits the journal. A broken promise is an error.
func (b *benchShop) verify(ctx context.Context, a *app) (*auditReport, error) {
	store, err := jetstream.Open(ctx, b.conns[0], jetstream.Options{Existing: true})
	if err != nil {
		return nil, err
	}
	report, err := verifyUntilRest(ctx, store, benchRestMost)
	if err != nil {
		return nil, err
	}
	return report, a.showViolations(report)
}
