package actors

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"orderyard/messages"
)

// waiters knows which orders of this node wait for which SKU. When stock arrives it wakes them in the order they are owed it:
// priority, promise, time of placement, id. It wakes no more than the stock can serve. An order that tried what is there and went
// back to waiting is passed over until more arrives or a site opens, so that one order nobody can serve neither blocks the queue behind
// it nor plans for ever; its own timer is behind it all.
type waiters struct {
	wake func(order, sku, site string)
	now  func() int64

	mu     sync.Mutex
	bySKU  map[string]map[string]*waiter
	skus   map[string][]string // order → SKUs it waits for
	seen   map[string]uint64   // SKU → how often its stock has grown
	routes uint64              // how often a site began to take work: as if all stock had grown
}

type waiter struct {
	order    string
	priority int32
	promise  string
	placed   int64
	units    int64 // of this SKU
	wokenAt  int64
	tried    uint64 // the SKU's growth count when it was woken last, plus 1
	tries    int    // at this growth
}

// An order that tried in vain may try again after tryAgainMs, then after twice that, up to about a minute: what spoke against the stock
// (a site at its capacity, a bucket's own word) passes without any stock moving. A try that fails costs microseconds and writes nothing.
const (
	tryAgainMs    = 1000
	tryAgainShift = 6
)

// wokenForMs is how long a woken order is taken to be planning: the stock it waits for is spoken for.
const wokenForMs = 250

func newWaiters(now func() int64, wake func(order, sku, site string)) *waiters {
	return &waiters{wake: wake, now: now, bySKU: make(map[string]map[string]*waiter), skus: make(map[string][]string), seen: make(map[string]uint64)}
}

// set replaces what an order waits for.
func (w *waiters) set(s *messages.OrderSummary, skus []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leave(s.OrderId, skus)
	if len(skus) == 0 {
		return
	}
	w.skus[s.OrderId] = skus
	for i, sku := range skus {
		units := s.Backordered // a summary of an older build tells the sum alone
		if len(s.Waiting) == len(skus) {
			units = s.Waiting[i]
		}
		if w.bySKU[sku] == nil {
			w.bySKU[sku] = make(map[string]*waiter)
		}
		if have := w.bySKU[sku][s.OrderId]; have != nil {
			have.units = units
			continue
		}
		w.bySKU[sku][s.OrderId] = &waiter{order: s.OrderId, priority: s.Priority, promise: s.DeliverBy, placed: s.PlacedAtMs, units: units}
	}
}

// leave ends an order's waiting but for the SKUs it still waits for.
func (w *waiters) leave(order string, still []string) {
	for _, sku := range w.skus[order] {
		if slices.Contains(still, sku) {
			continue
		}
		delete(w.bySKU[sku], order)
		if len(w.bySKU[sku]) == 0 {
			delete(w.bySKU, sku)
			delete(w.seen, sku)
		}
	}
	if len(still) == 0 {
		delete(w.skus, order)
	}
}

// forget ends the waiting of orders that another node looks after now.
func (w *waiters) forget(orders []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.skus) == 0 {
		return
	}
	for _, order := range orders {
		w.leave(order, nil)
	}
}

// grown notes that a bucket of the SKU has more than before: everybody may try again.
func (w *waiters) grown(sku string) {
	w.mu.Lock()
	if len(w.bySKU[sku]) > 0 {
		w.seen[sku]++
	}
	w.mu.Unlock()
}

// routesGrown notes that a site takes work which it did not take before: whoever waits may try again, for what was there could not be
// had. After a restart this is the rule: an order may be woken while the sites of other partitions are still being read back.
func (w *waiters) routesGrown() {
	w.mu.Lock()
	w.routes++
	w.mu.Unlock()
}

// What the net under lost wake-ups wakes per turn, and how soon the next turn comes. After a restart, and when a site opens, everybody who waits may try
// again: a hundred thousand orders at once took all processors for half a minute, and whoever placed an order meanwhile had no answer. 2,000 a second take
// a seventh of two cores. Those who tried in vain before are a tenth of that.
const (
	offerMost    = 40
	offerAgain   = 4
	offerLook    = 20_000 // waiters to look at per turn, for each site once: under a millisecond
	offerNext    = 20 * time.Millisecond
	offerNoLimit = math.MaxInt
)

// allowance is how many may still be woken, and looked at. short says that somebody may try again who was not woken for it.
type allowance struct {
	all, again, look int
	short            bool
}

// take says whether one more may be woken, who tried in vain or not.
func (a *allowance) take(again bool) bool {
	if a.all <= 0 || again && a.again <= 0 {
		a.short = true
		return false
	}
	a.all--
	if again {
		a.again--
	}
	return true
}

// offer wakes those whom the stock of a bucket can serve, as long as the allowance lasts.
func (w *waiters) offer(sku, site string, atp int64, most *allowance) {
	if atp <= 0 || most.all <= 0 {
		return
	}
	w.mu.Lock()
	waiting := w.bySKU[sku]
	if len(waiting) == 0 {
		w.mu.Unlock()
		return
	}
	most.look -= len(waiting)
	now, growth := w.now(), w.seen[sku]+w.routes+1
	var queue []*waiter
	for _, one := range waiting {
		since := now - one.wokenAt
		if one.tried != growth || since < wokenForMs || since >= tryAgainMs<<min(one.tries, tryAgainShift) {
			queue = append(queue, one)
		}
	}
	slices.SortFunc(queue, compareWaiters)
	var woken []string
	for _, one := range queue {
		if atp <= 0 || most.all <= 0 {
			break
		}
		again := one.tried == growth
		if again && now-one.wokenAt < wokenForMs {
			atp -= max(one.units, 1)
			continue
		}
		if !most.take(again) {
			continue
		}
		if !again {
			one.tries = 0
			atp -= max(one.units, 1)
		}
		one.wokenAt, one.tried = now, growth
		one.tries++
		woken = append(woken, one.order)
	}
	w.mu.Unlock()
	for _, order := range woken {
		w.wake(order, sku, site)
	}
}

// waiting lists the SKUs somebody waits for, sorted.
func (w *waiters) waiting() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.bySKU))
}

func compareWaiters(a, b *waiter) int {
	if (a.promise == "") != (b.promise == "") && a.priority == b.priority {
		// A promised order goes before one without a date.
		if a.promise != "" {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(a.promise, b.promise), cmp.Compare(a.placed, b.placed), cmp.Compare(a.order, b.order))
}
