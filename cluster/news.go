package cluster

import "sync"

// news brings new Maps to those who want them; the loop waits for none of them.
type news struct {
	mu     sync.Mutex
	fns    []func(*Map)
	newest *Map // not told yet; nil = all is told
	wake   chan struct{}
	ended  chan struct{} // run has
	closed bool
}

func (n *news) init() {
	n.wake = make(chan struct{}, 1)
	n.ended = make(chan struct{})
}

func (n *news) add(fn func(*Map), present *Map) {
	n.mu.Lock()
	n.fns = append(n.fns, fn)
	if n.newest == nil {
		n.newest = present // the others hear it again, which does no harm
	}
	n.mu.Unlock()
	n.poke()
}

func (n *news) tell(m *Map) {
	n.mu.Lock()
	n.newest = m
	n.mu.Unlock()
	n.poke()
}

func (n *news) close() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.poke()
}

func (n *news) poke() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// run tells until close.
func (n *news) run() {
	defer close(n.ended)
	for range n.wake {
		n.mu.Lock()
		m, fns, closed := n.newest, n.fns, n.closed
		n.newest = nil
		n.mu.Unlock()
		if closed {
			return
		}
		if m != nil {
			for _, fn := range fns {
				fn(m)
			}
		}
	}
}
