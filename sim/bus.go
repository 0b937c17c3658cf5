package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"orderyard/actors"
	"orderyard/cluster"
	"orderyard/cluster/bus"
	"orderyard/messages"
)

// nodeBus is one node's end of the bus, which goes over NATS. It implements cluster.Bus and actors.Bus.
type nodeBus struct {
	n     *node
	ears  map[string]func(context.Context, []byte, func([]byte) error) error
	topic map[string]func([]byte)
}

var (
	_ cluster.Bus = (*nodeBus)(nil)
	_ actors.Bus  = (*nodeBus)(nil)
)

const (
	// goneAfterMs is when the server says of a process that was cut off that nobody is there. It must be longer than a lease lasts.
	goneAfterMs = 4_000
	askWithinMs = 1_000
	pingMs      = 60
)

func newNodeBus(n *node) *nodeBus {
	return &nodeBus{n: n, ears: map[string]func(context.Context, []byte, func([]byte) error) error{}, topic: map[string]func([]byte){}}
}

// Serve implements cluster.Bus.
func (b *nodeBus) Serve(what string, fn func(context.Context, []byte, func([]byte) error) error) error {
	b.ears[what] = fn
	return nil
}

// Subscribe implements actors.Bus.
func (b *nodeBus) Subscribe(topic string, fn func([]byte)) error {
	b.topic[topic] = fn
	return nil
}

// Ping implements cluster.Bus.
func (b *nodeBus) Ping(_ context.Context, incarnation string) cluster.Liveness {
	w := b.n.w
	to := w.running(incarnation)
	switch {
	case b.n.cut:
	case to == nil, to.cut && w.now-to.cutAt > goneAfterMs:
		if w.sleep(2); !b.n.cut {
			return cluster.Gone
		}
	case !to.cut && !to.paused && !(w.strikes(faultMessages) && w.chance(1)):
		w.sleep(w.between(1, 4))
		return cluster.Alive
	}
	w.sleep(pingMs)
	return cluster.Silent
}

// Ask implements cluster.Bus and actors.Bus. The other side answers when it runs; the parts arrive together.
func (b *nodeBus) Ask(ctx context.Context, incarnation, what string, body []byte, part func([]byte) error) error {
	w := b.n.w
	if !w.sleep(w.between(1, 3)) {
		return errGone
	}
	to := w.running(incarnation)
	lost := w.strikes(faultMessages) && w.chance(1)
	if to == nil && !b.n.cut {
		return fmt.Errorf("ask %s: %w", incarnation, bus.ErrNobody)
	}
	if b.n.cut || to.cut || to.paused || lost {
		if !w.sleep(askWithinMs) {
			return errGone
		}
		return errNoAnswer
	}
	ear := to.bus.ears[what]
	if ear == nil {
		return fmt.Errorf("ask %s: %w", incarnation, bus.ErrNobody)
	}
	var parts [][]byte
	err := ear(ctx, body, func(b []byte) error { parts = append(parts, slices.Clone(b)); return nil })
	if !w.sleep(w.between(1, 3)) {
		return errGone
	}
	if b.n.cut {
		return errCut
	}
	for _, p := range parts {
		if err := part(sorted(p)); err != nil {
			return err
		}
	}
	return err
}

// sorted puts the stock of a view's part into an order: a node hands it out as its map lies, which differs from run to run.
func sorted(part []byte) []byte {
	d := new(messages.ViewDelta)
	if d.UnmarshalVT(part) != nil || len(d.Stock) < 2 {
		return part
	}
	slices.SortFunc(d.Stock, func(a, b *messages.StockLevel) int {
		return strings.Compare(a.Sku+"@"+a.Site, b.Sku+"@"+b.Site)
	})
	b, err := d.MarshalVT()
	if err != nil {
		return part
	}
	return b
}

// Publish implements actors.Bus: to everybody else, late, twice, or not at all.
func (b *nodeBus) Publish(topic string, data []byte) error {
	w := b.n.w
	if b.n.cut {
		return errCut
	}
	for _, to := range w.seats {
		if to == nil || to == b.n || to.gone || to.cut {
			continue
		}
		for range w.copies() {
			to.after(w.delay(), func() {
				if fn := to.bus.topic[topic]; fn != nil && !to.cut {
					fn(data)
					to.rang()
				}
			})
		}
	}
	return nil
}

// copies is how often a message arrives.
func (w *world) copies() int {
	if !w.strikes(faultMessages) {
		return 1
	}
	switch x := w.rng.Float64(); {
	case x < 0.005:
		return 0
	case x < 0.025:
		w.result.Duplicates++
		return 2
	}
	return 1
}

// delay is how long a message travels.
func (w *world) delay() int64 {
	if w.strikes(faultMessages) && w.chance(1) {
		return w.between(0, 8_000)
	}
	return w.between(0, 3)
}

// running finds a process; nil when it has ended.
func (w *world) running(incarnation string) *node {
	for _, n := range w.seats {
		if n != nil && !n.gone && n.incarnation == incarnation {
			return n
		}
	}
	return nil
}
