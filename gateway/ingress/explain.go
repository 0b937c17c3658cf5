package ingress

import (
	"context"

	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/routing"
)

// wantsMax is how many questions "what would make this site win" are worked on at once: each routes the order some dozens of times.
const wantsMax = 2

// explain shows an order's plans with their evidence, and answers what would have to be otherwise for a site to give in one of them.
func (in *Ingress) explain(q *query) {
	var r wire.ExplainOrderRequest
	if f := decodeBody(q.body, &r); f != nil {
		q.garbage(f)
		return
	}
	req, f := command(q, &r, reading)
	if err := messages.CheckToken(r.Want); f == nil && r.Want != "" && err != nil {
		f = messages.Invalid("want", "%v", err)
	}
	if f != nil {
		q.refuse(f)
		return
	}
	req.Deadline = q.deadline
	c := q.call()
	c.complete = func(c *call) { in.explained(q, c, &r) }
	c.send(in.o.Actors, []messages.Request{req})
}

// explained goes on when the order is there. What would make a site win takes up to seconds, so nothing of that is done on a responder: it
// would hold back the answers of the whole door.
func (in *Ingress) explained(q *query, c *call, r *wire.ExplainOrderRequest) {
	reply := c.replies[0]
	a := wire.OrderAnswerOf(reply, true)
	v := reply.GetOrder().GetView()
	if r.Want == "" || v == nil {
		q.answer(a, reply)
		return
	}
	if in.wants.Add(1) > wantsMax {
		in.wants.Add(-1)
		f := messages.Retry(messages.CodeLimit, shedRetryAfterMs, "too many such questions are being worked on, come back")
		q.answer(wire.FailureHead(f), messages.Refuse(f))
		return
	}
	var flip *routing.Flip
	var f *messages.Failure
	next := c.succeed(func(*call) {
		if f != nil {
			q.answer(wire.FailureHead(f), messages.Refuse(f))
			return
		}
		a.Flip = flipOf(flip, v.Order)
		q.answer(a, reply)
	})
	go func() {
		ctx, cancel := context.WithTimeout(in.working, in.left(q.deadline))
		defer cancel()
		defer func() {
			if fault := in.failed(recover(), q.subject); fault != nil {
				f = fault
			}
			in.wants.Add(-1)
			next.send(in.o.Actors, nil)
		}()
		flip, f = in.o.Planner.Want(ctx, v, r.Plan, r.Want)
	}()
}

func flipOf(f *routing.Flip, o *messages.Order) *wire.Flip {
	d := &wire.Flip{Site: f.Site, Won: f.Won, Reason: f.Reason}
	for _, c := range f.Changes {
		d.Changes = append(d.Changes, wire.Change{What: c.What, Op: c.Op, Was: c.Was, Now: c.Now})
	}
	if f.Plan != nil && len(f.Changes) > 0 {
		p := wire.PlanOf(f.Plan, o.GetLines(), false)
		d.Plan = &p
	}
	return d
}
