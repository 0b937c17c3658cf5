package actors

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"orderyard/messages"
	"orderyard/routing"
	"orderyard/routing/geo"
)

// Knowledge is what a node knows without asking an entity: availability, sites, a row per order, who waits for what. It is derived
// from what became durable. All methods may be called concurrently.
type Knowledge struct {
	view    *View
	orders  *orders
	waiters *waiters
	rules   atomic.Pointer[routing.Rules]
	clock   func() int64

	pastMu sync.Mutex
	past   []*routing.Rules // the last ones in force, the newest last

	offeredAt int64    // OfferStock's own
	offering  []string // the SKUs that it has not offered yet in this round,
	offerFrom string   // and with which the next round begins: somebody was left out

	demand atomic.Pointer[demand] // nil = nobody counts

	partial func() bool // partitions are still being read back
	begun   int64

	coverage coverage
	watcher  atomic.Pointer[Watcher]

	// Stopwatch gives nanoseconds for the duration in a decision record; the simulator stops it.
	Stopwatch func() int64
}

// partialForMs is how long after the start missing partitions are taken to be on their way: a damaged one never comes.
const partialForMs = 60_000

// NewKnowledge knows nothing yet. send carries the wake-ups of orders whose stock arrived.
func NewKnowledge(rules *routing.Rules, clock func() int64, send func(messages.Request)) *Knowledge {
	start := time.Now()
	k := &Knowledge{
		view: NewView(), orders: newOrders(1), clock: clock,
		Stopwatch: func() int64 { return int64(time.Since(start)) },
	}
	k.partial = func() bool { return k.Uncovered() > 0 }
	k.begun = clock()
	k.waiters = newWaiters(clock, func(order, sku, site string) {
		send(messages.Request{To: messages.OrderRef(order), Command: &messages.StockArrived{Sku: sku, Site: site}})
	})
	k.SetRules(rules)
	return k
}

// SetRules routes by these from the next decision on; one that is under way keeps those it began with. Orders that wait are offered
// stock once more, for what stood in their way may be gone. nil = routing.DefaultRules(). The rules must not change any more.
func (k *Knowledge) SetRules(rules *routing.Rules) {
	if rules == nil {
		rules = routing.DefaultRules()
	}
	k.remember(rules)
	k.rules.Store(rules)
	k.waiters.routesGrown()
}

// Rules gives what the next decision is made by. The caller only reads it.
func (k *Knowledge) Rules() *routing.Rules { return k.rules.Load() }

// View gives the picture of stock and sites.
func (k *Knowledge) View() *View { return k.view }

// SplitBy keeps the rows of orders by partition, which Forget needs. It is called once, before anything is observed.
func (k *Knowledge) SplitBy(partitions int) {
	k.orders = newOrders(partitions)
	k.coverage.init(partitions)
}

// Observe takes what became durable of an entity. It implements entity.Observer.
func (k *Knowledge) Observe(_ messages.Ref, summary messages.Message, waits []string) {
	switch s := summary.(type) {
	case *messages.BucketView:
		k.noteStock(s.Sku, s.Site, s.Atp, s.Version, true)
	case *messages.SiteView:
		k.noteSite(s, true)
	case *messages.OrderSummary:
		k.orders.set(s, func() { k.waiters.set(s, waits) })
	}
}

// noteStock takes what a bucket has, from here (own) or from another node; growth wakes those who wait here in both cases.
func (k *Knowledge) noteStock(sku, site string, atp int64, version uint64, own bool) {
	if k.view.setStock(sku, site, atp, version, own) {
		k.waiters.grown(sku)
		if k.clock()-k.begun > partialForMs || !k.partial() { // else OfferStock does: whoever tries now knows little of other stock and sites, and tries in vain
			k.waiters.offer(sku, site, atp, &allowance{all: offerNoLimit, again: offerNoLimit, look: offerNoLimit})
		}
	}
}

func (k *Knowledge) noteSite(s *messages.SiteView, own bool) {
	if k.view.setSite(s, own) {
		k.waiters.routesGrown() // OfferStock wakes them: a network that opens together wakes everybody once
	}
}

// Forget drops the orders of a partition that is served here no more: their rows are listed, and their waiting is looked after, where it is
// served now. What an ending entity still says is ignored, until Remember. Stock and sites stay. Forgetting again does nothing.
func (k *Knowledge) Forget(partition int) {
	k.coverage.left(partition)
	k.orders.forget(partition, k.waiters.forget)
}

// Remember takes orders of the partition again. It is called before a partition that was forgotten is opened again; at first every
// partition is remembered.
func (k *Knowledge) Remember(partition int) { k.orders.remember(partition) }

// OfferStock compares present stock with those who still wait: the net under a wake-up that was lost or came before its site was known.
// It wakes a few at a time; one goroutine calls it again after the time it gives.
func (k *Knowledge) OfferStock() (next time.Duration) {
	if len(k.offering) == 0 {
		now := k.clock()
		if k.view.reopened(k.offeredAt, now) {
			k.waiters.routesGrown()
		}
		k.offeredAt = now
		k.offering = k.waiters.waiting()
		if from, found := slices.BinarySearch(k.offering, k.offerFrom); found { // who was left out last time comes first
			k.offering = slices.Concat(k.offering[from:], k.offering[:from])
		}
		k.offerFrom = ""
	}
	most := allowance{all: offerMost, again: offerAgain, look: offerLook}
	for len(k.offering) > 0 && most.all > 0 && most.look > 0 {
		sku := k.offering[0]
		k.offering = k.offering[1:]
		for _, s := range k.view.Stock(sku) {
			k.waiters.offer(sku, s.Site, s.ATP, &most)
		}
		if most.all <= 0 {
			k.offering = append(k.offering, sku) // it may not be done, and the others come first
		} else if most.short && k.offerFrom == "" {
			k.offerFrom = sku
		}
	}
	if len(k.offering) > 0 || k.offerFrom != "" {
		return offerNext
	}
	return offerEvery
}

// Prepare completes a placement with what only the node knows: which SKUs exist, where the address lies, and the content's fingerprint. While the
// stock of some partitions is not known here, an unknown SKU is a *messages.Failure worth a retry instead.
// The fingerprint is taken first, so the same order sent twice has the same one whatever the node has learned in between.
func (k *Knowledge) Prepare(place *messages.PlaceOrder) error {
	b, err := place.Order.MarshalVT()
	if err != nil {
		return fmt.Errorf("fingerprint of the order: %w", err)
	}
	place.Fingerprint = xxhash.Sum64(b)
	for i, line := range place.Order.Lines {
		if !k.view.Known(line.Sku) {
			place.UnknownSkuLines = append(place.UnknownSkuLines, uint32(i))
		}
	}
	if missing := k.Uncovered(); missing > 0 && len(place.UnknownSkuLines) > 0 {
		return messages.Retry(messages.CodeUnavailable, uncoveredRetryMs, "this node does not know the stock of %d partitions yet, so it cannot say whether %q exists",
			missing, place.Order.Lines[place.UnknownSkuLines[0]].Sku)
	}
	if to := place.Order.ShipTo; to != nil && !to.HasPosition {
		if lat, lon, ok := geo.Locate(to.Country, to.PostalCode); ok {
			to.Lat, to.Lon, to.HasPosition = lat, lon, true
		} else {
			place.UnknownPostalCode = true
		}
	}
	return nil
}

// Answer computes an order's routing question from the view. It implements entity.Planner.
func (k *Knowledge) Answer(req *messages.PlanRequest, now int64) *messages.AdoptPlan {
	began := k.Stopwatch()
	k.demand.Load().note(req, now)
	plan := routing.Route(req, k.view, k.rules.Load(), now)
	for _, a := range plan.Assignments {
		a.Manual = k.view.asks(a.Site) // such a site is asked only when the work may begin
	}
	if plan.Decision != nil {
		plan.Decision.DurationUs = (k.Stopwatch() - began) / 1000
	}
	k.watched(req, plan, now)
	return &messages.AdoptPlan{Plan: plan}
}

// Plans is the dry run: how an order would be routed now, and what would come next if a site of that plan were not there. It has no effect.
func (k *Knowledge) Plans(o *messages.Order) []*messages.Plan {
	began := k.Stopwatch()
	plans := routing.Alternatives(routing.Question(o, "dry_run"), k.view, k.Rules(), k.clock())
	took := (k.Stopwatch() - began) / 1000
	for _, p := range plans {
		for _, a := range p.Assignments {
			a.Manual = k.view.asks(a.Site)
		}
		p.Decision.DurationUs = took // of all of them
	}
	return plans
}

// ListOrders gives this node's rows, newest first, and the cursor of the next page; Listing asks all nodes.
func (k *Knowledge) ListOrders(f OrderFilter, cursor string, limit int) ([]*messages.OrderSummary, string) {
	return k.orders.list(f, cursor, limit)
}

// OrdersByStatus counts the node's orders.
func (k *Knowledge) OrdersByStatus() map[string]int64 { return k.orders.byStatus() }
