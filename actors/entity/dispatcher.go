package entity

import (
	"runtime"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// pool runs the mailboxes that have work on a few goroutines that stay. The stock dispatcher starts a goroutine whenever a mailbox
// wakes up; a commit wakes hundreds at once, and each new goroutine had to grow its stack before it could decide anything: a tenth
// of all CPU time at 2,000 orders/s. Receivers here never block, so a few workers per core are all that can run anyway.
type pool struct {
	mu      sync.Mutex
	work    sync.Cond
	queue   []runner // queue[head:] waits
	head    int
	waiting int
	closed  bool
}

// runner is something to be run once, soon.
type runner interface{ run() }

type runFunc func()

func (f runFunc) run() { f() }

const (
	workersPerCore = 2
	poolThroughput = 48 // messages a mailbox handles before it yields: what waits for a turn includes what brings the next commit's answer
)

var _ actor.Dispatcher = (*pool)(nil)

func newPool() *pool {
	p := &pool{}
	p.work.L = &p.mu
	for range workersPerCore * runtime.GOMAXPROCS(0) {
		go p.serve()
	}
	return p
}

// Schedule implements actor.Dispatcher, for mailboxes that are not the pool's own.
func (p *pool) Schedule(fn func()) { p.put(runFunc(fn)) }

// Throughput implements actor.Dispatcher.
func (p *pool) Throughput() int { return poolThroughput }

// put has it run soon, first come, first served. It never blocks; the queue is bounded by the number of live actors.
func (p *pool) put(r runner) {
	p.mu.Lock()
	p.queue = append(p.queue, r)
	wake := p.waiting > 0
	p.mu.Unlock()
	if wake {
		p.work.Signal()
	}
}

func (p *pool) serve() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for p.head == len(p.queue) {
			if p.closed {
				return
			}
			p.waiting++
			p.work.Wait()
			p.waiting--
		}
		r := p.queue[p.head]
		p.queue[p.head] = nil
		p.head++
		if p.head == len(p.queue) || p.head > 1024 {
			p.queue = p.queue[:copy(p.queue, p.queue[p.head:])]
			p.head = 0
		}
		p.mu.Unlock()
		r.run()
		p.mu.Lock()
	}
}

// close ends the workers once the queue is empty.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.work.Broadcast()
}
