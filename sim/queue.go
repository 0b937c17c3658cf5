package sim

import (
	"container/heap"
	"iter"
)

// event is something that happens at a moment, to one node or to the world. What happens to a node that stands still waits for it to go on; what
// happens to one that is gone does not happen.
type event struct {
	at   int64
	seq  int
	node *node
	run  func()
}

type eventQueue []event

func (q eventQueue) Len() int { return len(q) }
func (q eventQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *eventQueue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *eventQueue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = event{}
	*q = old[:len(old)-1]
	return e
}

// at schedules; node nil = the world's own.
func (w *world) at(ms int64, n *node, run func()) {
	w.seq++
	heap.Push(&w.queue, event{at: w.now + max(ms, 0), seq: w.seq, node: n, run: run})
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
	e := heap.Pop(&w.queue).(event)
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
// everything else goes on; so others' steps fall between any two of its own.
type process struct {
	n     *node
	yield func(int64) bool
	next  func() (int64, bool)
	stop  func()
	over  bool // its node is gone, or the world is
}

// process starts code of a node that waits.
func (n *node) process(run func()) {
	p := &process{n: n}
	p.next, p.stop = iter.Pull(func(yield func(int64) bool) {
		p.yield = yield
		run()
	})
	n.processes = append(n.processes, p)
	n.after(0, p.resume)
}

func (p *process) resume() {
	w := p.n.w
	before := w.current
	w.current = p
	ms, more := p.next()
	w.current = before
	if more {
		p.n.after(ms, p.resume)
		return
	}
	p.over = true
	p.n.forgetProcesses()
}

// forgetProcesses drops those that have ended, once in a while.
func (n *node) forgetProcesses() {
	if n.ended++; n.ended < 32 {
		return
	}
	n.ended = 0
	kept := n.processes[:0]
	for _, p := range n.processes {
		if !p.over {
			kept = append(kept, p)
		}
	}
	clear(n.processes[len(kept):])
	n.processes = kept
}

// endProcesses unwinds whatever waits, without another step in simulated time.
func (n *node) endProcesses() {
	for _, p := range n.processes {
		switch {
		case p.over:
		case p == n.w.current:
			p.over = true // the caller: it unwinds at its next wait
		default:
			before := n.w.current
			n.w.current = p
			p.over = true
			p.stop()
			n.w.current = before
		}
	}
	n.processes = nil
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
