package entity

import (
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// mailbox is an actor's queue. It does what the stock one does, for less: messages are taken by the batch under one lock instead of one lock
// for each, waking up makes no garbage, and an idle mailbox is a hundred bytes instead of half a kilobyte, of which a busy node has a hundred thousand.
type mailbox struct {
	pool    *pool
	invoker actor.MessageInvoker
	urgent  atomic.Bool // there are system messages

	mu        sync.Mutex
	system    []any
	user      []any
	scheduled bool // the pool has it, or a worker runs it

	// Of the worker that runs it.
	batch     []any // batch[next:] is to be handled before user
	next      int
	suspended bool
}

var _ actor.Mailbox = (*mailbox)(nil)

// spareMax is the largest queue that is kept for the next rush.
const spareMax = 256

func (p *pool) mailbox() actor.Mailbox { return &mailbox{pool: p} }

// PostUserMessage queues a message. It never blocks; who sends bounds what may be under way.
func (m *mailbox) PostUserMessage(message any) {
	m.mu.Lock()
	m.user = append(m.user, message)
	wake := !m.scheduled
	m.scheduled = true
	m.mu.Unlock()
	if wake {
		m.pool.put(m)
	}
}

// PostSystemMessage queues a message that is handled before those of users.
func (m *mailbox) PostSystemMessage(message any) {
	m.mu.Lock()
	m.system = append(m.system, message)
	m.urgent.Store(true)
	wake := !m.scheduled
	m.scheduled = true
	m.mu.Unlock()
	if wake {
		m.pool.put(m)
	}
}

// RegisterHandlers implements actor.Mailbox. The dispatcher is the pool that made the mailbox.
func (m *mailbox) RegisterHandlers(invoker actor.MessageInvoker, _ actor.Dispatcher) {
	m.invoker = invoker
}

// Start implements actor.Mailbox.
func (m *mailbox) Start() {}

// UserMessageCount counts the messages that nobody has begun to handle.
func (m *mailbox) UserMessageCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.user)
}

// run handles messages until there are none, or until it has had its turn; then it goes to the end of the pool's queue.
func (m *mailbox) run() {
	for turn := poolThroughput; ; {
		if turn <= 0 {
			m.pool.put(m)
			return
		}
		if !m.handle(&turn) {
			return
		}
	}
}

// handle works on until nothing is left (false), the turn is over, or a receiver has panicked: its supervisor decides what becomes of it, and
// the rest is handled after that.
func (m *mailbox) handle(turn *int) (more bool) {
	var message any
	defer func() {
		if r := recover(); r != nil {
			m.invoker.EscalateFailure(r, message)
			more = true
		}
	}()
	for *turn > 0 {
		*turn--
		if m.urgent.Load() {
			if message = m.takeSystem(); message != nil {
				m.heed(message)
				continue
			}
		}
		if m.suspended || m.next == len(m.batch) {
			if !m.refill() {
				return false
			}
			continue
		}
		message = m.batch[m.next]
		m.batch[m.next] = nil
		m.next++
		m.invoker.InvokeUserMessage(message)
	}
	return true
}

func (m *mailbox) heed(message any) {
	switch message.(type) {
	case *actor.SuspendMailbox:
		m.suspended = true
	case *actor.ResumeMailbox:
		m.suspended = false
	default:
		m.invoker.InvokeSystemMessage(message)
	}
}

func (m *mailbox) takeSystem() any {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.system) == 0 {
		return nil
	}
	message := m.system[0]
	m.system[0] = nil
	if m.system = m.system[1:]; len(m.system) == 0 {
		m.system = nil
		m.urgent.Store(false)
	}
	return message
}

// refill takes what has arrived. When that is nothing, or may not be handled now, the mailbox is idle: whoever posts next wakes it.
func (m *mailbox) refill() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.system) > 0 {
		return true
	}
	if m.suspended || len(m.user) == 0 {
		m.scheduled = false
		return false
	}
	spare := m.batch[:0]
	if cap(spare) > spareMax {
		spare = nil
	}
	m.batch, m.next, m.user = m.user, 0, spare
	return true
}
