package sim

import "iter"

// event is something that happens at a moment, to one node or to the world. What happens to a node that stands still waits for it to go on; what
// happens to one that is gone does not happen.
type event struct {
	at   int64
	seq  int
	node *node
	run  func()
}

// eventQueue is a binary heap. container/heap would box every event.
type eventQueue []event

func (q eventQueue) before(a, b int) bool {
	return q[a].at < q[b].at || q[a].at == q[b].at && q[a].seq < q[b].seq
}

func (q *eventQueue) push(e event) {
	h := append(*q, e)
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if !h.before(i, parent) {
			break
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
	*q = h
}

func (q *eventQueue) pop() event {
	h := *q
	first, last := h[0], len(h)-1
	h[0], h[last] = h[last], event{}
	h = h[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			break
		}
		if child+1 < last && h.before(child+1, child) {
			child++
		}
		if !h.before(child, i) {
			break
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
	*q = h
	return first
}

// at schedules; node nil = the world's own.
func (w *world) at(ms int64, n *node, run func()) {
	w.seq++
	w.queue.push(event{at: w.now + max(ms, 0), seq: w.seq, node: n, run: run})
}

// after schedules something of the world outside the nodes.
func (w *world) after(ms int64, run func()) { w.at(ms, nil, run) }

// every repeats while run says so.
func (w *world) every(ms int64, run func() bool) {
	var again func()
	again = func() {
		if run() {
			w.after(ms, again)
		}
	}
	w.after(ms, again)
}

// next takes one event.
func (w *world) next() {
	e := w.queue.pop()
	w.now = max(w.now, e.at)
	w.result.Steps++
	switch {
	case e.node == nil:
		e.run()
	case e.node.gone:
	case e.node.paused:
		e.node.frozen = append(e.node.frozen, e.run)
	default:
		e.run()
	}
}

// process is code that waits: the real log with its retries, the real keeper's writes. It runs as a coroutine. While it waits, in simulated time,
// everything else goes on; so others' steps fall between any two of its own. Coroutines are used again, for making one costs as much as what it runs.
type process struct {
	n     *node
	run   func()
	at    int // among its node's processes
	yield func(int64) bool
	next  func() (int64, bool)
	stop  func()
	over  bool // its node is gone, or the world is
}

// idle is what a coroutine yields that has nothing to run.
const idle = -1

// process starts code of a node that waits.
func (n *node) process(run func()) {
	w := n.w
	var p *process
	if last := len(w.idle) - 1; last >= 0 {
		p, w.idle = w.idle[last], w.idle[:last]
	} else {
		p = &process{}
		p.next, p.stop = iter.Pull(func(yield func(int64) bool) {
			p.yield = yield
			for {
				p.run()
				if p.run = nil; !yield(idle) {
					return
				}
			}
		})
	}
	p.n, p.run, p.over, p.at = n, run, false, len(n.processes)
	n.processes = append(n.processes, p)
	n.after(0, p.resume)
}

func (p *process) resume() {
	w := p.n.w
	before := w.current
	w.current = p
	ms, more := p.next()
	w.current = before
	switch {
	case !more:
	case ms == idle:
		p.leave()
		w.idle = append(w.idle, p)
	default:
		p.n.after(ms, p.resume)
	}
}

// leave takes it from its node's processes.
func (p *process) leave() {
	list := p.n.processes
	if p.at < len(list) && list[p.at] == p {
		last := len(list) - 1
		list[p.at] = list[last]
		list[p.at].at = p.at
		list[last] = nil
		p.n.processes = list[:last]
	}
}

// endProcesses unwinds whatever waits, without another step in simulated time.
func (n *node) endProcesses() {
	list := n.processes
	n.processes = nil
	for _, p := range list {
		before := n.w.current
		p.over = true
		if p == before {
			continue // the caller: it unwinds at its next wait
		}
		n.w.current = p
		p.stop()
		n.w.current = before
	}
}

// sleep lets the running process wait; false = its node is gone, and nothing of what it does counts any more.
func (w *world) sleep(ms int64) bool {
	p := w.current
	if p == nil {
		panic("sim: code that waits runs outside of a process")
	}
	if p.over {
		return false
	}
	if ms <= 0 {
		return true
	}
	if !p.yield(ms) {
		p.over = true
	}
	return !p.over
}
