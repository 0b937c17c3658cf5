package test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

// answer is a decoded reply with what stands around it.
type answer[A any] struct {
	doc      A
	failure  *messages.Failure // nil = ok
	replayed bool
	raw      []byte
}

// send makes one request with the bytes as they are. An error means that no answer came, so the outcome is unknown.
func send(ctx context.Context, nc *nats.Conn, subject string, body []byte, commandID string) (*nats.Msg, error) {
	m := nats.NewMsg(subject)
	m.Data = body
	if commandID != "" {
		m.Header.Set(messages.HeaderCommandID, commandID)
	}
	m.Header.Set(messages.HeaderDeadlineMs, fmt.Sprint(answerIn.Milliseconds()))
	return nc.RequestMsgWithContext(ctx, m)
}

func read[A any](m *nats.Msg) (answer[A], error) {
	a := answer[A]{raw: m.Data, replayed: m.Header.Get(messages.HeaderReplayed) == "true"}
	var head wire.Head
	if err := wire.DecodeAnswer(m.Data, &head); err != nil {
		return a, fmt.Errorf("answer %s: %w", m.Data, err)
	}
	a.failure = head.Failure()
	return a, wire.DecodeAnswer(m.Data, &a.doc)
}

// ask sends a document once.
func ask[A any](nc *nats.Conn, subject string, doc any, commandID string) (answer[A], error) {
	body, err := wire.Encode(doc)
	if err != nil {
		return answer[A]{}, err
	}
	return askRaw[A](nc, subject, body, commandID)
}

func askRaw[A any](nc *nats.Conn, subject string, body []byte, commandID string) (answer[A], error) {
	ctx, cancel := context.WithTimeout(context.Background(), answerIn)
	defer cancel()
	m, err := send(ctx, nc, subject, body, commandID)
	if err != nil {
		return answer[A]{}, fmt.Errorf("%s: %w", subject, err)
	}
	return read[A](m)
}

// must asks and takes no "no"; only a moment's "come back later" is followed.
func must[A any](t testing.TB, nc *nats.Conn, subject string, doc any) A {
	t.Helper()
	got, err := insist[A](nc, subject, doc, fmt.Sprintf("must-%d", counter()))
	if err != nil || got.failure != nil {
		t.Fatalf("%s %+v: %v %s", subject, doc, err, got.raw)
	}
	return got.doc
}

// insist asks again, under the same command id, for as long as the answer is that one may.
func insist[A any](nc *nats.Conn, subject string, doc any, commandID string) (answer[A], error) {
	body, err := wire.Encode(doc)
	if err != nil {
		return answer[A]{}, err
	}
	return insistRaw[A](nc, subject, body, commandID)
}

func insistRaw[A any](nc *nats.Conn, subject string, body []byte, commandID string) (answer[A], error) {
	for end := time.Now().Add(2 * answerIn); ; {
		got, err := askRaw[A](nc, subject, body, commandID)
		again := err == nil && got.failure != nil && got.failure.Retryable || errors.Is(err, context.DeadlineExceeded)
		if !again || time.Now().After(end) {
			return got, err
		}
		time.Sleep(time.Duration(max(got.failure.GetRetryAfterMs(), 10)) * time.Millisecond)
	}
}

var (
	counterMu sync.Mutex
	counted   int
)

// counter numbers things of one test run.
func counter() int {
	counterMu.Lock()
	defer counterMu.Unlock()
	counted++
	return counted
}

// eventually waits until cond has nothing to complain about.
func eventually(t testing.TB, within time.Duration, cond func() string) {
	t.Helper()
	for end := time.Now().Add(within); ; {
		missing := cond()
		if missing == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("after %v: %s", within, missing)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// each runs f for 0..n-1, at most `most` at a time, and returns when all have ended.
func each(n, most int, f func(i int)) {
	var wait sync.WaitGroup
	slots := make(chan struct{}, most)
	for i := range n {
		slots <- struct{}{}
		wait.Go(func() {
			f(i)
			<-slots
		})
	}
	wait.Wait()
}

// The network of the tests: Denver, Chicago, New York, Dallas, Seattle; the buyer lives in Denver, so that is the order of distance.
var places = []struct {
	id       string
	lat, lon float64
}{{"den", 39.74, -104.99}, {"dal", 32.78, -96.80}, {"sea", 47.61, -122.33}, {"chi", 41.88, -87.63}, {"nyc", 40.71, -74.01}}

// site is a place that always works; change may be nil.
func site(i int, change func(*wire.Site)) wire.Site {
	p := places[i]
	s := wire.Site{ID: p.id, Type: "dc", Lat: &p.lat, Lon: &p.lon, Country: "US", Accept: "auto"}
	if change != nil {
		change(&s)
	}
	return s
}

func manual(s *wire.Site) { s.Accept = "manual" }

func applySite(t testing.TB, nc *nats.Conn, s wire.Site) {
	t.Helper()
	must[wire.SiteAnswer](t, nc, messages.SiteSubject("apply"), s)
}

func setStock(t testing.TB, nc *nats.Conn, sku, site string, onHand int64) {
	t.Helper()
	must[wire.StockAnswer](t, nc, messages.StockSubject("set"), wire.SetStockRequest{SKU: sku, Site: site, OnHand: &onHand})
}

func bucket(t testing.TB, nc *nats.Conn, sku, site string) wire.Bucket {
	t.Helper()
	a := must[wire.StockAnswer](t, nc, messages.StockSubject("get"), wire.GetStockRequest{SKU: sku, Site: site})
	if a.Bucket == nil {
		t.Fatalf("stock.get %s@%s answers no bucket", sku, site)
	}
	b := *a.Bucket
	b.ATP = *a.ATP // stands once in the document, in front
	return b
}

// order is one of the channel "web" to Denver, with one line of `quantity` for each SKU.
func order(id string, quantity int64, skus ...string) wire.Order {
	price, lat, lon := int64(1999), 39.75, -104.99
	o := wire.Order{
		Channel: "web", ExternalID: id, Currency: "USD", Policy: &wire.Policy{},
		ShipTo: wire.Address{Name: "A. Buyer", City: "Denver", PostalCode: "80202", Country: "US", Lat: &lat, Lon: &lon},
	}
	for i, sku := range skus {
		o.Lines = append(o.Lines, wire.Line{ID: fmt.Sprint(i + 1), SKU: sku, Quantity: quantity, UnitPrice: &price})
	}
	return o
}

func place(t testing.TB, nc *nats.Conn, o wire.Order) string {
	t.Helper()
	return must[wire.OrderReceipt](t, nc, messages.PlaceSubject(o.Channel), o).OrderID
}

func orderOf(t testing.TB, nc *nats.Conn, id string) *wire.OrderView {
	t.Helper()
	return must[wire.OrderAnswer](t, nc, messages.OrderSubject("get"), wire.GetOrderRequest{OrderID: id}).OrderView
}

// reaches waits until the order's headline is one of the words.
func reaches(t testing.TB, nc *nats.Conn, id string, words ...string) *wire.OrderView {
	t.Helper()
	var view *wire.OrderView
	eventually(t, answerIn, func() string {
		view = orderOf(t, nc, id)
		for _, word := range words {
			if view.Status == word {
				return ""
			}
		}
		return fmt.Sprintf("order %s is %s, not %v", id, view.Status, words)
	})
	return view
}

// rows lists every order that the filter selects.
func rows(t testing.TB, nc *nats.Conn, f wire.ListFilter) []wire.OrderRow {
	t.Helper()
	var all []wire.OrderRow
	for f.Limit = wire.ListMax; ; {
		page := must[wire.OrderListAnswer](t, nc, messages.OrderSubject("list"), wire.ListOrdersRequest{ListFilter: f})
		all = append(all, page.Orders...)
		if f.Cursor = page.NextCursor; f.Cursor == "" {
			return all
		}
	}
}

// has says whether any order is in the status.
func has(t testing.TB, nc *nats.Conn, status string) bool {
	t.Helper()
	page := must[wire.OrderListAnswer](t, nc, messages.OrderSubject("list"), wire.ListOrdersRequest{ListFilter: wire.ListFilter{Status: status, Limit: 1}})
	return len(page.Orders) > 0
}

// moving are the headlines of orders that the house itself still works on.
var moving = []string{"placed", "planning", "reserving", "allocated"}

// rest waits until the house has done with every order what it can do alone. An order that a site refuses goes back while it is looked for, past
// those who look status by status: the last word has a look at every order.
func rest(t testing.TB, nc *nats.Conn, within time.Duration) {
	t.Helper()
	eventually(t, within, func() string {
		for _, status := range moving {
			if has(t, nc, status) {
				return "some orders are still " + status
			}
		}
		for _, row := range rows(t, nc, wire.ListFilter{}) {
			if slices.Contains(moving, row.Status) {
				return "order " + row.OrderID + " is still " + row.Status
			}
		}
		return ""
	})
}
