package load

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/test/fault/client"
)

// Report is what Audit found.
type Report struct {
	Orders   int            // acknowledged
	Statuses map[string]int // of these, at rest
	Rest     time.Duration  // until nothing moved any more
	Untold   int            // acknowledged, and not told to the public
	Wrong    []string
}

const (
	lookAtOnce = 32
	// steady is how long nothing may move before it counts as rest: a site's rejection may still be on its way.
	steady = 2
)

// moving are the headlines of orders that the house itself still works on.
var moving = map[string]bool{"placed": true, "planning": true, "reserving": true, "allocated": true}

// Audit settles what the clients did not learn, waits until every order is at rest, and compares. It is for after Stop, when nothing is
// broken any more.
func (l *Load) Audit(ctx context.Context, within time.Duration) Report {
	began := time.Now()
	l.resolve()
	views, missing := l.rest(ctx, within)
	r := Report{Orders: len(views), Statuses: map[string]int{}, Rest: time.Since(began)}
	if missing != "" {
		l.wrong.add("not at rest after %v: %s", within, missing)
	}
	for _, v := range views {
		r.Statuses[v.Status]++
	}
	if missing == "" {
		l.agree(ctx, views)
		r.Untold = l.heard(ctx)
	}
	r.Wrong = l.wrong.all()
	return r
}

// resolve asks again for every order whose outcome its client does not know.
func (l *Load) resolve() {
	var unsure []*Order
	for _, o := range l.Orders() {
		if !o.Known {
			unsure = append(unsure, o)
		}
	}
	each(unsure, func(o *Order) { l.acknowledge(o, []client.Outcome{l.place(o)}) })
}

func each[T any](list []T, f func(T)) {
	var wait sync.WaitGroup
	slots := make(chan struct{}, lookAtOnce)
	for _, one := range list {
		slots <- struct{}{}
		wait.Go(func() {
			f(one)
			<-slots
		})
	}
	wait.Wait()
}

// rest looks at every order until none moves and the sites' people have nothing to do, twice in a row.
func (l *Load) rest(ctx context.Context, within time.Duration) (map[string]*wire.OrderView, string) {
	views, end := map[string]*wire.OrderView{}, time.Now().Add(within)
	for calm := 0; ; {
		missing := l.staff.idle(ctx)
		if stirring := l.lookAtAll(ctx, views); stirring != "" {
			missing = stirring
		}
		if calm++; missing != "" {
			calm = 0
		}
		if calm >= steady || time.Now().After(end) {
			return views, missing
		}
		select {
		case <-ctx.Done():
			return views, ctx.Err().Error()
		case <-time.After(time.Second):
		}
	}
}

// lookAtAll reads every acknowledged order and says what still moves.
func (l *Load) lookAtAll(ctx context.Context, views map[string]*wire.OrderView) string {
	var mu sync.Mutex
	stirring := map[string]int{}
	each(l.Orders(), func(o *Order) {
		if !o.Known {
			return
		}
		got := l.ask.Insist(ctx, messages.OrderSubject("get"), client.Encode(wire.GetOrderRequest{OrderID: o.ID}), "")
		var a wire.OrderAnswer
		if !got.OK() || got.Read(&a) != nil || a.OrderView == nil {
			l.wrong.add("order %s was acknowledged and is not there: %s", o.ID, got.String())
			return
		}
		if len(a.Lines) != o.Lines || a.OrderID != o.ID {
			l.wrong.add("order %s has %d lines instead of %d", a.OrderID, len(a.Lines), o.Lines)
		}
		if o.Cancelled && a.CancelReason == "" {
			l.wrong.add("the cancellation of %s was acknowledged and is forgotten: %s", o.ID, a.Status)
		}
		mu.Lock()
		defer mu.Unlock()
		views[o.ID] = a.OrderView
		if moving[a.Status] {
			stirring[a.Status]++
		}
	})
	if len(stirring) > 0 {
		return fmt.Sprintf("orders are moving: %v", stirring)
	}
	return ""
}

// live are the states of work whose units are in the building and spoken for.
var live = []string{"scheduled", "open", "on_hold", "picking", "picked", "packed"}

// agree compares every bucket with the sum of what orders believe to have there. Nobody but orders claims these SKUs.
func (l *Load) agree(ctx context.Context, views map[string]*wire.OrderView) {
	believed := map[string]int64{}
	for _, v := range views {
		for _, fo := range v.Fulfillments {
			if !slices.Contains(live, fo.Status) {
				continue
			}
			for _, line := range fo.Lines {
				believed[line.SKU+"@"+fo.Site] += line.Quantity
			}
		}
	}
	skus := []string{HotSKU}
	for i := range l.o.SKUs {
		skus = append(skus, skuName(i))
	}
	each(skus, func(sku string) {
		got := l.ask.Insist(ctx, messages.StockSubject("get"), client.Encode(wire.GetStockRequest{SKU: sku}), "")
		var a wire.BucketListAnswer
		if !got.OK() || got.Read(&a) != nil {
			l.wrong.add("stock of %s: %s", sku, got.String())
			return
		}
		if len(a.Buckets) != len(Sites) {
			l.wrong.add("%s is known at %d sites, stocked at %d", sku, len(a.Buckets), len(Sites))
		}
		for _, b := range a.Buckets {
			claimed := b.Reserved + b.Allocated
			if claimed != believed[b.SKU+"@"+b.Site] {
				l.wrong.add("%s@%s holds %d for orders (%d reserved, %d allocated), and orders count on %d",
					b.SKU, b.Site, claimed, b.Reserved, b.Allocated, believed[b.SKU+"@"+b.Site])
			}
			if b.OnHand < claimed || b.Overcommitted > 0 {
				l.wrong.add("oversold: %+v", b)
			}
		}
	})
}

// Summary is the statuses in one line.
func (r Report) Summary() string {
	text := fmt.Sprintf("%d orders", r.Orders)
	for _, status := range sorted(r.Statuses) {
		text += fmt.Sprintf(", %d %s", r.Statuses[status], status)
	}
	return text
}
