package ingress

import (
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
	req, f := command(q, &r, reading, 0, 1)
	if err := messages.CheckToken(r.Want); f == nil && r.Want != "" && err != nil {
		f = messages.Invalid("want", "%v", err)
	}
	if f != nil {
		q.refuse(f)
		return
	}
	q.ask(req, func(reply *messages.Reply) any {
		a := wire.OrderAnswerOf(reply, true)
		v := reply.GetOrder().GetView()
		if r.Want == "" || v == nil {
			return a
		}
		flip, f := in.want(v, r.Plan, r.Want)
		if f != nil {
			return wire.FailureHead(f)
		}
		a.Flip = flipOf(flip, v.Order)
		return a
	})
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

func (in *Ingress) want(v *messages.OrderView, plan uint32, site string) (*routing.Flip, *messages.Failure) {
	defer in.wants.Add(-1)
	if in.wants.Add(1) > wantsMax {
		return nil, messages.Retry(messages.CodeLimit, shedRetryAfterMs, "too many such questions are being worked on, come back")
	}
	return in.o.Planner.Want(v, plan, site)
}
