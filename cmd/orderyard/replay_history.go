package main

import "slices"

const (
	// historyPerCustomer is how many of a customer's last orders a cancellation may mean.
	historyPerCustomer = 64
	// historyMax bounds the orders remembered for all customers together; the oldest are forgotten first.
	historyMax = 200_000
)

// pastOrder is a placed order as a later cancellation needs it.
type pastOrder struct {
	id, invoice string
	number      uint64   // among all remembered
	skus        []string // sorted, each once
	placed      chan struct{}
}

// history remembers each customer's last orders, so that a cancellation finds the one it means: the history names no order in it.
type history struct {
	orders map[string][]*pastOrder // per customer, oldest first
	queue  []remembered            // in the order of the file: what to forget next
	next   uint64
}

type remembered struct {
	customer string
	number   uint64
}

func newHistory() *history { return &history{orders: make(map[string][]*pastOrder)} }

// add remembers an order. placed is closed when its placement was answered: a cancellation must not overtake it.
func (h *history) add(i *invoice, placed chan struct{}) {
	if i.customer == "" {
		return // nobody can cancel it
	}
	list := h.orders[i.customer]
	if len(list) == historyPerCustomer {
		list = slices.Delete(list, 0, 1)
	}
	h.next++
	h.orders[i.customer] = append(list, &pastOrder{i.orderID(), i.invoice, h.next, skusOf(i), placed})
	h.queue = append(h.queue, remembered{i.customer, h.next})
	if len(h.queue) > historyMax {
		h.forget(h.queue[0])
		h.queue = h.queue[1:]
	}
}

func (h *history) forget(old remembered) {
	list := h.orders[old.customer]
	if len(list) == 0 || list[0].number != old.number {
		return // its customer has had so many orders since that it is gone already
	}
	if h.orders[old.customer] = slices.Delete(list, 0, 1); len(list) == 1 {
		delete(h.orders, old.customer)
	}
}

// match finds the newest earlier invoice of the customer that holds every SKU of the cancellation, and gives those of its orders
// that hold one of them.
func (h *history) match(c *invoice) []*pastOrder {
	skus, list := skusOf(c), h.orders[c.customer]
	for end := len(list); end > 0; {
		begin := end - 1
		for begin > 0 && list[begin-1].invoice == list[end-1].invoice {
			begin--
		}
		if found := holding(list[begin:end], skus); found != nil {
			return found
		}
		end = begin
	}
	return nil
}

// holding gives the orders of one invoice that hold some of the SKUs, if they hold all of them together.
func holding(orders []*pastOrder, skus []string) (found []*pastOrder) {
	held := make(map[string]bool, len(skus))
	for _, o := range orders {
		some := false
		for _, sku := range skus {
			if _, ok := slices.BinarySearch(o.skus, sku); ok {
				held[sku], some = true, true
			}
		}
		if some {
			found = append(found, o)
		}
	}
	if len(held) < len(skus) {
		return nil
	}
	return found
}

func skusOf(i *invoice) []string {
	skus := make([]string, len(i.lines))
	for n := range i.lines {
		skus[n] = i.lines[n].sku
	}
	slices.Sort(skus)
	return slices.Clip(slices.Compact(skus))
}
