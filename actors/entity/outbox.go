package entity

// Outbox holds back what may leave only when a batch is durable, first in, first out: replies, tasks, summaries. It is the rule "nothing leaves
// before it is durable" and nothing else; the entity's actor and the simulation use the same.
type Outbox[Out any] struct {
	last    uint64 // newest batch that holds an entry of this entity
	durable uint64 // newest batch known durable
	waiting []held[Out]
	head    int
	room    [2]held[Out] // most entities never have more under way
}

type held[Out any] struct {
	batch uint64
	out   Out
}

// Last is the newest batch that holds an entry of the entity.
func (b *Outbox[Out]) Last() uint64 { return b.last }

// Depend notes that an entry went into a batch: what is pushed from now on waits for it.
func (b *Outbox[Out]) Depend(batch uint64) { b.last = batch }

// Push adds what waits for the newest batch.
func (b *Outbox[Out]) Push(out Out) {
	switch {
	case b.waiting == nil:
		b.waiting = b.room[:0]
	case b.head > 0 && b.head == len(b.waiting):
		b.waiting, b.head = b.waiting[:0], 0
	}
	b.waiting = append(b.waiting, held[Out]{b.last, out})
}

// Empty says that nothing waits.
func (b *Outbox[Out]) Empty() bool { return b.head == len(b.waiting) }

// Release lets go of everything whose batch is durable, in the order it was pushed. number is a batch that has become durable; 0 = none new.
func (b *Outbox[Out]) Release(number uint64, emit func(*Out)) {
	b.durable = max(b.durable, number)
	for b.head < len(b.waiting) && b.waiting[b.head].batch <= b.durable {
		h := &b.waiting[b.head]
		emit(&h.out)
		*h = held[Out]{}
		b.head++
	}
	if b.head > 256 && b.head > len(b.waiting)/2 {
		n := copy(b.waiting, b.waiting[b.head:])
		clear(b.waiting[n:])
		b.waiting, b.head = b.waiting[:n], 0
	}
}

// Abandon gives everything that waits and will never be durable.
func (b *Outbox[Out]) Abandon(drop func(*Out)) {
	for ; b.head < len(b.waiting); b.head++ {
		drop(&b.waiting[b.head].out)
	}
}
