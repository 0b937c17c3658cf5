package sim

import (
	"context"
	"errors"
	"slices"
	"strings"

	"orderyard/messages"
)

// client asks until it is answered, as every caller of the contract must: the same command id after a time-out or a retryable error, through whatever
// door is there.
type client struct {
	w       *world
	pending int // commands without a final answer
}

const (
	patienceMs  = 2_000 // after which a caller asks again
	attemptsMax = 2_000
)

// asked is a question of a client with all its attempts.
type asked struct {
	c        *client
	id       string
	to       messages.Ref
	cmd      messages.Command
	then     func(*messages.Reply)
	attempt  int
	answered bool
	floor    uint64          // the version that somebody had been told of when it was asked
	first    *messages.Reply // of a repeat: what was answered before
}

// ask sends a command until a final answer comes. then is called once. Its id counts as a client's, as the doors make it; that of a placement without
// one is the doors' own.
func (c *client) ask(id string, to messages.Ref, cmd messages.Command, then func(*messages.Reply)) {
	if id != "" {
		c.pending++
		if !strings.HasPrefix(id, placeKey) {
			id = messages.ClientKey + id
		}
	}
	q := &asked{c: c, id: id, to: to, cmd: cmd, then: then, floor: c.w.checks.floors[to]}
	q.send()
}

const placeKey = "place/"

func (q *asked) send() {
	w := q.c.w
	q.attempt++
	if q.attempt > attemptsMax {
		w.violate("I11", q.to.String(), "command %q was never answered", q.id)
		q.end()
		return
	}
	attempt := q.attempt
	if n := w.anybody(); n != nil {
		for range w.copies() {
			n.after(w.delay(), func() { n.door(q, attempt) })
		}
	}
	w.after(patienceMs+w.between(0, 500), func() {
		if !q.answered && q.attempt == attempt {
			q.send()
		}
	})
}

// anybody is a node that listens, whatever its state: NATS hands a request to one of those who subscribed.
func (w *world) anybody() *node {
	n := w.seats[w.rng.IntN(len(w.seats))]
	if n == nil || n.gone || n.cut {
		return nil
	}
	return n
}

// door takes a client's request in, completes it with what the node knows, and answers.
func (n *node) door(q *asked, attempt int) {
	w := n.w
	if n.cut {
		return
	}
	req := messages.Request{To: q.to, CommandID: q.id, Command: q.cmd, Deadline: n.wall() + patienceMs}
	req.Done = func(r *messages.Reply) {
		if !n.cut && w.copies() > 0 {
			w.after(w.delay(), func() { q.answer(attempt, r) })
		}
	}
	place, ok := q.cmd.(*messages.PlaceOrder)
	if !ok {
		n.ask(req, retryMinMs)
		return
	}
	own := &messages.PlaceOrder{Order: place.Order} // the order has its position: nothing in it is changed
	req.Command = own
	n.prepared(own, func(f *messages.Failure) {
		if f != nil {
			req.Done(messages.Refuse(f))
			return
		}
		n.ask(req, retryMinMs)
	})
}

// prepared completes a placement and goes on with then, as the doors do: when a SKU is named that this node has never heard of, after the other nodes
// were asked.
func (n *node) prepared(place *messages.PlaceOrder, then func(*messages.Failure)) {
	if err := n.know.Prepare(place); err != nil {
		var f *messages.Failure
		if !errors.As(err, &f) {
			f = messages.Fail(messages.CodeInternal, "", "%v", err)
		}
		then(f)
		return
	}
	if len(place.UnknownSkuLines) == 0 {
		then(nil)
		return
	}
	n.w.result.Learned++
	n.process(func() {
		var skus, others []string
		for _, i := range place.UnknownSkuLines {
			skus = append(skus, place.Order.Lines[i].Sku)
		}
		for _, m := range n.keeper.Map().Members {
			if m.Incarnation != n.incarnation {
				others = append(others, m.Incarnation)
			}
		}
		known, err := n.sharing.Learn(context.Background(), skus, others)
		switch {
		case n.gone:
		case err != nil:
			then(messages.Retry(messages.CodeUnavailable, 200, "whether %q exists is not known", skus[0]))
		default:
			place.UnknownSkuLines = slices.DeleteFunc(place.UnknownSkuLines, func(i uint32) bool { return known[place.Order.Lines[i].Sku] })
			then(nil)
		}
	})
}

func (q *asked) answer(attempt int, r *messages.Reply) {
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
	q.end()
	q.c.w.checks.answered(q, r)
	if q.first != nil {
		q.compare(r)
		return
	}
	q.repeat(r)
	if q.then != nil {
		q.then(r)
	}
}

func (q *asked) end() {
	q.answered = true
	if q.id != "" {
		q.c.pending--
	}
}

// reader is a client that looks at one thing again and again, through any door: what it is told must be true when it is told. The first look at a bucket,
// the next at a site, and the last at the newest order.
func (l *load) reader(what int) {
	ref, question := messages.BucketRef(l.pick(l.skus), l.pick(l.sites)), messages.Command(&messages.GetStock{})
	if what == 1 {
		ref, question = messages.SiteRef(l.pick(l.sites)), &messages.GetSite{}
	}
	var look func()
	look = func() {
		if what == 2 && l.newest != "" {
			ref, question = messages.OrderRef(l.newest), &messages.GetOrder{}
		}
		ref, floor := ref, l.w.checks.floors[ref]
		l.ask("", ref, question, func(r *messages.Reply) { l.w.checks.read(ref, floor, r) })
		if !l.calm {
			l.w.after(l.pace(40, 160), look)
		}
	}
	l.w.after(warmUpMs, look)
}

// burst is a flash sale: everybody wants one SKU at once.
func (l *load) burst() {
	sku, site := l.pick(l.skus), l.pick(l.sites)
	l.w.note("burst on %s at %s", sku, site)
	to := messages.BucketRef(sku, site)
	for range l.w.between(8, 20) {
		id := l.id("burst")
		l.w.after(l.w.between(0, 30), func() {
			reserve := &messages.ReserveStock{Sku: sku, Site: site, ReservationId: id, Quantity: l.w.between(1, 3), HoldForMs: l.w.between(1_000, 3_000)}
			l.ask(id+"/r", to, reserve, func(r *messages.Reply) {
				if r.GetFailure() == nil {
					l.holds[id] = true
				}
			})
		})
	}
}
