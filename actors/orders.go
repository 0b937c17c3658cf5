package actors

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"orderyard/messages"
)

// orders keeps one row per order of this node, for lists and counts.
type orders struct {
	mu     sync.RWMutex
	rows   map[string]*messages.OrderSummary
	ids    []string // by time of acceptance, then id; sorted when unsorted is false
	sorted bool
	counts map[string]int64 // by status
}

// OrderFilter selects rows; empty fields select all.
type OrderFilter struct {
	Status, Channel, Site, Query string
}

func newOrders() *orders {
	return &orders{rows: make(map[string]*messages.OrderSummary), counts: make(map[string]int64), sorted: true}
}

func (o *orders) set(s *messages.OrderSummary) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if old := o.rows[s.OrderId]; old != nil {
		o.counts[old.Status]--
	} else {
		if n := len(o.ids); n > 0 && o.sorted {
			o.sorted = compareRows(o.rows[o.ids[n-1]], s) < 0
		}
		o.ids = append(o.ids, s.OrderId)
	}
	o.rows[s.OrderId] = s
	o.counts[s.Status]++
}

func compareRows(a, b *messages.OrderSummary) int {
	return cmp.Or(cmp.Compare(a.AcceptedAtMs, b.AcceptedAtMs), cmp.Compare(a.OrderId, b.OrderId))
}

// List gives matching rows, newest first, and the cursor of the next page ("" = no more).
func (o *orders) list(f OrderFilter, cursor string, limit int) ([]*messages.OrderSummary, string) {
	o.mu.Lock()
	if !o.sorted {
		slices.SortFunc(o.ids, func(a, b string) int { return compareRows(o.rows[a], o.rows[b]) })
		o.sorted = true
	}
	o.mu.Unlock()
	o.mu.RLock()
	defer o.mu.RUnlock()
	i := len(o.ids)
	if at, id, ok := strings.Cut(cursor, "/"); ok {
		ms, _ := strconv.ParseInt(at, 10, 64)
		i, _ = slices.BinarySearchFunc(o.ids, &messages.OrderSummary{AcceptedAtMs: ms, OrderId: id}, func(a string, b *messages.OrderSummary) int {
			return compareRows(o.rows[a], b)
		})
	}
	var rows []*messages.OrderSummary
	for i--; i >= 0; i-- {
		row := o.rows[o.ids[i]]
		if !f.matches(row) {
			continue
		}
		if len(rows) == limit {
			last := rows[limit-1]
			return rows, strconv.FormatInt(last.AcceptedAtMs, 10) + "/" + last.OrderId
		}
		rows = append(rows, row)
	}
	return rows, ""
}

func (f *OrderFilter) matches(s *messages.OrderSummary) bool {
	return (f.Status == "" || s.Status == f.Status) && (f.Channel == "" || s.Channel == f.Channel) &&
		(f.Site == "" || slices.Contains(s.Sites, f.Site)) && (f.Query == "" || strings.Contains(s.OrderId, f.Query))
}

// byStatus counts the orders per headline status.
func (o *orders) byStatus() map[string]int64 {
	o.mu.RLock()
	defer o.mu.RUnlock()
	counts := make(map[string]int64, len(o.counts))
	for status, n := range o.counts {
		if n != 0 {
			counts[status] = n
		}
	}
	return counts
}
