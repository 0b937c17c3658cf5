package sim

import (
	"orderyard/cluster"
	"orderyard/messages"
)

// Requests find their entity by the map of the node they are at, which may be late. What is answered `moved` or `unavailable` is tried again
// under the same command id until the client's patience ends, as cluster/link does.

const (
	retryMinMs   = 2
	retryMaxMs   = 50
	ownerPauseMs = 20    // a task without an owner is answered after this
	tellForMs    = 2_000 // how long a request that nobody waits for is kept for an owner to appear
	detourMs     = 1_000 // until a direct way that is cut is noticed; then messages go over NATS
)

// again says whether asking once more may help.
func again(r *messages.Reply) bool {
	f := r.GetFailure()
	return f != nil && f.Retryable && (f.Code == messages.CodeMoved || f.Code == messages.CodeUnavailable)
}

// ask passes a client's request on, and again until its deadline.
func (n *node) ask(req messages.Request, pause int64) {
	done := req.Done
	req.Done = func(r *messages.Reply) {
		wait := pause/2 + n.w.rng.Int64N(pause/2+1)
		if !again(r) || n.wall()+wait >= req.Deadline {
			done(r)
			return
		}
		n.after(wait, func() {
			req.Done = done
			n.ask(req, min(2*pause, retryMaxMs))
		})
	}
	n.route(req)
}

// route tries once: here, or at the node that owns the entity.
func (n *node) route(req messages.Request) {
	owner := n.keeper.Map().Owner(cluster.PartitionOf(req.To, n.w.o.Partitions))
	switch {
	case owner == nil:
		n.unowned(req)
	case owner.Incarnation == n.incarnation:
		for range n.w.copiesOf(&req) {
			n.after(n.w.between(0, 1), func() { n.deliver(req) })
		}
	default:
		n.remote(owner.Incarnation, req)
	}
}

// copiesOf doubles an entity's own messages now and then, also within a node: the contract does not promise once.
func (w *world) copiesOf(req *messages.Request) int {
	if req.Done != nil {
		return 1
	}
	return w.copies()
}

func (n *node) unowned(req messages.Request) {
	refusal := messages.Refuse(messages.Retry(messages.CodeMoved, 20, "nobody owns the partition of %s at the moment", req.To))
	switch {
	case req.Done != nil:
		req.Done(refusal)
	case !req.From.IsZero():
		n.after(ownerPauseMs, func() {
			n.route(messages.Request{To: req.From, Command: &messages.TaskResult{TaskId: req.CommandID, Reply: refusal}})
		})
	default:
		until := n.w.now + tellForMs
		var wait func()
		wait = func() {
			if n.keeper.Map().Owner(cluster.PartitionOf(req.To, n.w.o.Partitions)) != nil {
				n.route(req)
			} else if n.w.now < until {
				n.after(50, wait)
			}
		}
		n.after(50, wait)
	}
}

// remote sends a request to another process. The answer comes back the same way; either may be lost.
func (n *node) remote(incarnation string, req messages.Request) {
	w := n.w
	to := w.running(incarnation)
	if to == nil {
		n.after(w.between(1, 50), func() { n.keeper.Suspect(incarnation) }) // the link finds nobody
		refusal := messages.Refuse(messages.Retry(messages.CodeUnavailable, 20, "%s cannot be reached", incarnation))
		switch {
		case req.Done != nil:
			n.after(1, func() { req.Done(refusal) })
		case !req.From.IsZero():
			n.after(1, func() {
				n.route(messages.Request{To: req.From, Command: &messages.TaskResult{TaskId: req.CommandID, Reply: refusal}})
			})
		}
		return
	}
	there := req
	answered := false // a second copy's answer changes nothing
	if req.Done != nil || !req.From.IsZero() {
		there.Done = func(r *messages.Reply) {
			w.carry(to, n, func() {
				switch {
				case answered && req.Done != nil:
				case req.Done != nil:
					answered = true
					req.Done(r)
				default:
					n.route(messages.Request{To: req.From, Command: &messages.TaskResult{TaskId: req.CommandID, Reply: r}})
				}
			})
		}
	}
	left := req.Deadline - n.wall()
	w.carry(n, to, func() {
		if req.Deadline != 0 {
			there.Deadline = to.wall() + left // what is left travels, not the moment: clocks differ
		}
		to.deliver(there)
	})
}

// carry brings something from one process to another.
func (w *world) carry(from, to *node, run func()) {
	split := from.apart || to.apart
	if from.gone || split && (from.cut || to.cut) {
		return
	}
	late := int64(0)
	if split { // the batch in the way is lost or late, then all takes the detour
		late = 3
		if w.chance(3) {
			late = detourMs
		}
	}
	if to.paused && from.keeper != nil {
		from.after(detourMs, func() {
			if to.paused {
				from.keeper.Suspect(to.incarnation) // silence on the link
			}
		})
	}
	for range w.copies() {
		to.after(late+w.delay(), run)
	}
}

// deliver hands a request to the partition it belongs to.
func (n *node) deliver(req messages.Request) {
	n.lanes[cluster.PartitionOf(req.To, n.w.o.Partitions)].deliver(&question{Request: req, at: n.w.now})
}
