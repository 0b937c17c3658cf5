package sim

import (
	"orderyard/messages"
)

// client asks until it is answered, as every caller of the contract must: the same command id after a time-out or a retryable error.
type client struct {
	w       *world
	pending int // questions without a final answer
}

const (
	patienceMs  = 2_000 // after which a caller asks again
	attemptsMax = 2_000
)

// ask sends a command until a final answer comes. then is called once.
func (c *client) ask(id string, to messages.Ref, cmd messages.Command, then func(*messages.Reply)) {
	c.pending++
	q := &question{c: c, id: id, to: to, cmd: cmd, then: then}
	q.send()
}

type question struct {
	c        *client
	id       string
	to       messages.Ref
	cmd      messages.Command
	then     func(*messages.Reply)
	attempt  int
	answered bool
}

func (q *question) send() {
	q.attempt++
	if q.attempt > attemptsMax {
		q.c.w.violate("I11", q.to.String(), "command %q was never answered", q.id)
		q.answered = true
		q.c.pending--
		return
	}
	attempt := q.attempt
	q.c.w.send(messages.Request{To: q.to, CommandID: q.id, Command: q.cmd, Done: func(r *messages.Reply) { q.answer(attempt, r) }})
	q.c.w.after(patienceMs+q.c.w.between(0, 500), func() {
		if !q.answered && q.attempt == attempt {
			q.send()
		}
	})
}

func (q *question) answer(attempt int, r *messages.Reply) {
	if q.answered {
		return
	}
	if f := r.GetFailure(); f != nil && f.Retryable {
		if q.attempt == attempt {
			q.attempt++ // the time-out of the former attempt is void
			q.c.w.after(q.c.w.between(20, 300), func() {
				if !q.answered {
					q.send()
				}
			})
		}
		return
	}
	q.answered = true
	q.c.pending--
	if q.then != nil {
		q.then(r)
	}
}
