package actors

import "orderyard/messages"

// Watcher is told of a decision. It must not block, and must not change what it is given nor keep the plan: an order is about to adopt it. Decisions are
// made concurrently.
type Watcher func(q *messages.PlanRequest, plan *messages.Plan, now int64)

// Watch has fn told of every decision of this node, dry runs among them, right after it is made. One watcher is told: the last one; nil = none. A
// decision under way may still be told to the one before.
func (k *Knowledge) Watch(fn Watcher) {
	if fn == nil {
		k.watcher.Store(nil)
		return
	}
	k.watcher.Store(&fn)
}

func (k *Knowledge) watched(q *messages.PlanRequest, plan *messages.Plan, now int64) {
	if fn := k.watcher.Load(); fn != nil {
		(*fn)(q, plan, now)
	}
}
