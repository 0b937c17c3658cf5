package actors

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"orderyard/cluster"
	"orderyard/messages"
)

// orders keeps one row per order of this node, for lists and counts: by partition, so that a partition that moves away takes its rows with
// it at once, and so that partitions do not wait for each other.
type orders struct {
	parts []*orderRows
}

// orderRows are the rows of one partition.
type orderRows struct {
	mu     sync.RWMutex
	away   bool // the partition has left: what still trickles in is not ours to show
	rows   map[string]*messages.OrderSummary
	ids    []string // by time of acceptance, then id, unless sorted is false
	sorted bool
	counts map[string]int64 // by status
	// movable are the orders that a sweep may look at.
	movable map[string]bool
}

// OrderFilter selects rows; empty fields select all.
type OrderFilter struct {
	Status, Channel, Site, Query string
}

func newOrders(partitions int) *orders {
	o := &orders{parts: make([]*orderRows, partitions)}
	for i := range o.parts {
		o.parts[i] = &orderRows{}
		o.parts[i].clear()
	}
	return o
}

func (r *orderRows) clear() {
	r.rows, r.counts, r.ids, r.sorted = make(map[string]*messages.OrderSummary), make(map[string]int64), nil, true
	r.movable = make(map[string]bool)
}

// set replaces an order's row; also runs under the same lock, so that no Forget comes between. Nothing happens when the partition is away.
func (o *orders) set(s *messages.OrderSummary, also func()) {
	r := o.parts[cluster.PartitionOf(messages.OrderRef(s.OrderId), len(o.parts))]
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away {
		return
	}
	if old := r.rows[s.OrderId]; old != nil {
		r.counts[old.Status]--
	} else {
		if n := len(r.ids); n > 0 && r.sorted {
			r.sorted = compareRows(r.rows[r.ids[n-1]], s) < 0
		}
		r.ids = append(r.ids, s.OrderId)
	}
	r.rows[s.OrderId] = s
	r.counts[s.Status]++
	if s.Movable > 0 {
		r.movable[s.OrderId] = true
	} else {
		delete(r.movable, s.OrderId)
	}
	also()
}

// mayMove gives the ids of orders with movable units behind an id, sorted, and all in front of it behind them: at most so many.
func (o *orders) mayMove(after string, most int) []string {
	var ids []string
	for _, r := range o.parts {
		r.mu.RLock()
		for id := range r.movable {
			ids = append(ids, id)
		}
		r.mu.RUnlock()
	}
	slices.Sort(ids)
	at, found := slices.BinarySearch(ids, after)
	if found {
		at++
	}
	return slices.Concat(ids[at:], ids[:at])[:min(most, len(ids))]
}

// forget drops a partition's rows; also gets their ids, under the same lock.
func (o *orders) forget(partition int, also func(ids []string)) {
	r := o.parts[partition]
	r.mu.Lock()
	defer r.mu.Unlock()
	also(r.ids)
	r.clear()
	r.away = true
}

// remember takes rows of the partition again.
func (o *orders) remember(partition int) {
	r := o.parts[partition]
	r.mu.Lock()
	r.away = false
	r.mu.Unlock()
}

// movable counts the orders with movable units.
func (o *orders) movable() (n int) {
	for _, r := range o.parts {
		r.mu.RLock()
		n += len(r.movable)
		r.mu.RUnlock()
	}
	return n
}

func compareRows(a, b *messages.OrderSummary) int {
	return cmp.Or(cmp.Compare(a.AcceptedAtMs, b.AcceptedAtMs), cmp.Compare(a.OrderId, b.OrderId))
}

// page is a part of a list from one source: its newest matching rows, and whether it has more behind them.
type page struct {
	rows []*messages.OrderSummary
	more bool
}

// list gives matching rows, newest first, and the cursor of the next page ("" = no more).
func (o *orders) list(f OrderFilter, cursor string, limit int) ([]*messages.OrderSummary, string) {
	pages := make([]page, len(o.parts))
	for i, r := range o.parts {
		pages[i] = r.page(&f, cursor, limit)
	}
	return mergePages(pages, limit)
}

// page gives the newest matching rows behind the cursor.
func (r *orderRows) page(f *OrderFilter, cursor string, limit int) (p page) {
	r.sort()
	r.mu.RLock()
	defer r.mu.RUnlock()
	i := len(r.ids)
	if at, id, ok := strings.Cut(cursor, "/"); ok {
		ms, _ := strconv.ParseInt(at, 10, 64)
		i, _ = slices.BinarySearchFunc(r.ids, &messages.OrderSummary{AcceptedAtMs: ms, OrderId: id}, func(a string, b *messages.OrderSummary) int {
			return compareRows(r.rows[a], b)
		})
	}
	for i--; i >= 0; i-- {
		row := r.rows[r.ids[i]]
		if !f.matches(row) {
			continue
		}
		if len(p.rows) == limit {
			p.more = true
			break
		}
		p.rows = append(p.rows, row)
	}
	return p
}

func (r *orderRows) sort() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.sorted {
		slices.SortFunc(r.ids, func(a, b string) int { return compareRows(r.rows[a], r.rows[b]) })
		r.sorted = true
	}
}

// mergePages makes one page of the pages of several sources, all taken with the same filter, cursor and limit, and its cursor.
//
// It is the page one source with all the rows would give. The order of rows (time of acceptance, id) is the same everywhere and never changes
// for an order, and a cursor is a place in that order. What a source holds back is older than the `limit` different rows it gave, so
// it cannot belong to the merged page; and rows are left for a next page exactly when a source held some back or the merge cuts some.
//
// While a partition moves an order may be with two sources: the row that changed last counts.
func mergePages(pages []page, limit int) ([]*messages.OrderSummary, string) {
	var all []*messages.OrderSummary
	more := false
	for _, p := range pages {
		all = append(all, p.rows...)
		more = more || p.more
	}
	slices.SortFunc(all, func(a, b *messages.OrderSummary) int {
		return cmp.Or(compareRows(b, a), cmp.Compare(b.ChangedAtMs, a.ChangedAtMs))
	})
	all = slices.CompactFunc(all, func(a, b *messages.OrderSummary) bool { return a.OrderId == b.OrderId })
	if len(all) > limit {
		all, more = all[:limit], true
	}
	if !more || len(all) == 0 {
		return all, ""
	}
	last := all[len(all)-1]
	return all, strconv.FormatInt(last.AcceptedAtMs, 10) + "/" + last.OrderId
}

func (f *OrderFilter) matches(s *messages.OrderSummary) bool {
	return (f.Status == "" || s.Status == f.Status) && (f.Channel == "" || s.Channel == f.Channel) &&
		(f.Site == "" || slices.Contains(s.Sites, f.Site)) && (f.Query == "" || strings.Contains(s.OrderId, f.Query))
}

// byStatus counts the orders per headline status.
func (o *orders) byStatus() map[string]int64 {
	counts := make(map[string]int64)
	for _, r := range o.parts {
		r.mu.RLock()
		for status, n := range r.counts {
			if n != 0 {
				counts[status] += n
			}
		}
		r.mu.RUnlock()
	}
	return counts
}
