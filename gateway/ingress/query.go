package ingress

import (
	"errors"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/nats-io/nuid"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

// query is one request at the door: what was sent, and how to answer it.
type query struct {
	door      *door
	codes     *codeCounters
	subject   string
	reply     string
	body      []byte
	commandID string               // of the sender, "" = none
	asked     map[messages.Ref]int // how often each entity, under that id
	deadline  int64
	began     time.Time
	weight    int
	ticket    ticket
	fewer     string // the field by which less can be asked for, "" = none
	kind      effect // of a list: whether it changes something
}

// handler makes the NATS handler of an endpoint.
func (d *door) handler(e endpoint) micro.Handler {
	codes, shed := d.metrics.codes(e.verb), newShedAnswer()
	telling := e.party == byChannel || e.party == partyReserve
	return micro.HandlerFunc(func(r micro.Request) {
		q := query{door: d, codes: codes, subject: r.Subject(), reply: r.Reply(), body: r.Data(), began: time.Now(), weight: 1}
		if f := d.admit(1, len(q.body), e.party != inside); f != nil {
			q.respond(wire.EncodeFailure(f), f.GetCode(), false)
			return
		}
		party := e.party
		if party == byChannel {
			party = messages.LastToken(q.subject)
		}
		ticket, ok, after := d.in.gate.admit(party, telling, q.began)
		if !ok { // before anything was read, and without any memory: there may be very many
			d.release(1, len(q.body))
			d.metrics.shed.overload.Inc()
			q.respond(shed.write(after), messages.CodeLimit, false)
			return
		}
		in := q
		in.ticket = ticket
		d.handle(e, &in, nats.Header(r.Headers()))
	})
}

// handle goes on with a request that was let in.
func (d *door) handle(e endpoint, q *query, h nats.Header) {
	if f := q.readHeaders(h); f != nil {
		q.refuse(f)
		return
	}
	e.handle(q)
}

func (q *query) readHeaders(h nats.Header) *messages.Failure {
	id, f := commandID(h)
	if f != nil {
		return f
	}
	q.commandID = id
	q.deadline, f = deadline(h, q.door.in.o.Clock(), q.door.limits.Deadline)
	return f
}

// commandID reads the sender's idempotency key. The house's own keys ("web-1.1/0/c") live in another name space, so no sender
// can answer for a task.
func commandID(h nats.Header) (string, *messages.Failure) {
	id := h.Get(messages.HeaderCommandID)
	if id == "" {
		return "", nil
	}
	if len(id) > commandIDMax {
		return "", messages.Invalid(messages.HeaderCommandID, "has %d bytes, at most %d are allowed", len(id), commandIDMax)
	}
	if strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", messages.Invalid(messages.HeaderCommandID, "must be printable ASCII")
	}
	return messages.ClientKey + id, nil
}

// deadline reads Oy-Deadline-Ms: milliseconds from now, or a moment in Unix milliseconds.
func deadline(h nats.Header, now int64, usual time.Duration) (int64, *messages.Failure) {
	text := h.Get(messages.HeaderDeadlineMs)
	if text == "" {
		return now + usual.Milliseconds(), nil
	}
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ms <= 0 {
		return 0, messages.Invalid(messages.HeaderDeadlineMs, "must be a positive whole number of milliseconds")
	}
	if ms < absoluteFrom {
		ms += now
	}
	return min(ms, now+deadlineMax.Milliseconds()), nil
}

// freshID is for commands that change something and came without a key: the runtime may have to send them twice.
func freshID() string { return "fresh/" + nuid.Next() }

// idFor is the command id of the next command for an entity. Entities remember ids, each its own: so the first one of each has the sender's as it is, and
// only a further one for the same entity a number. An entry of a list is then answered the same when the list comes again in another order, cut down
// to what was not answered, or as one document; where another entry of the same entity is left out, what takes its place is a conflict, never a second booking.
func (q *query) idFor(to messages.Ref) string {
	if q.commandID == "" {
		return freshID()
	}
	n := q.asked[to]
	if q.asked == nil {
		q.asked = make(map[messages.Ref]int, 1)
	}
	q.asked[to] = n + 1
	if n == 0 {
		return q.commandID
	}
	return q.commandID + "/" + strconv.Itoa(n)
}

// ask sends one command; doc makes the answer from the reply, on a responder.
func (q *query) ask(req messages.Request, doc func(*messages.Reply) any) {
	q.askAll([]messages.Request{req}, func(replies []*messages.Reply) (any, *messages.Reply) {
		return doc(replies[0]), replies[0]
	})
}

// askAll sends several commands, in order; doc makes one answer. The reply it also gives says for headers and metrics how it went.
func (q *query) askAll(reqs []messages.Request, doc func([]*messages.Reply) (any, *messages.Reply)) {
	if more := len(reqs) - q.weight; more > 0 {
		if most, _ := q.door.most(!q.ticket.free); int64(len(reqs)) > most {
			q.refuse(q.tooMany(len(reqs), most))
			return
		}
		if f := q.door.admit(more, 0, !q.ticket.free); f != nil {
			q.refuse(f)
			return
		}
		q.door.in.gate.more(q.ticket, more)
		q.weight += more
	}
	for i := range reqs {
		reqs[i].Deadline = q.deadline
	}
	c := q.call()
	c.complete = func(c *call) { q.answer(q.made(doc, c.replies)) }
	c.send(q.door.in.o.Actors, reqs)
}

// later runs doc on a responder: for answers that need no actor but some time.
func (q *query) later(doc func() (any, *messages.Reply)) {
	c := q.call()
	c.complete = func(*call) {
		q.answer(q.made(func([]*messages.Reply) (any, *messages.Reply) { return doc() }, nil))
	}
	c.send(q.door.in.o.Actors, nil)
}

// made makes an answer. A fault of ours in it is the answer, and ends nothing else.
func (q *query) made(doc func([]*messages.Reply) (any, *messages.Reply), replies []*messages.Reply) (answer any, r *messages.Reply) {
	defer func() {
		if f := q.door.in.failed(recover(), q.subject); f != nil {
			answer, r = wire.FailureHead(f), messages.Refuse(f)
		}
	}()
	return doc(replies)
}

// failed counts and logs what was recovered from a panic, and makes a failure of it; nil = there was none.
func (in *Ingress) failed(panicked any, subject string) *messages.Failure {
	if panicked == nil {
		return nil
	}
	in.o.Panicked()
	in.log.Error("an answer panicked", "subject", subject, "panic", panicked, "stack", string(debug.Stack()))
	return messages.Fail(messages.CodeInternal, "", "the node failed on this question: %v", panicked)
}

func (q *query) call() *call {
	return &call{
		door: q.door, weight: q.weight, size: len(q.body), ticket: q.ticket, expires: q.deadline + q.door.limits.Grace.Milliseconds(),
	}
}

// answer encodes and publishes. The door's room is given back by the responder.
func (q *query) answer(doc any, r *messages.Reply) {
	code := codeOK
	if f := r.GetFailure(); f != nil {
		code = f.GetCode()
	}
	body, err := wire.Encode(doc)
	if err != nil {
		q.door.in.log.Error("answer cannot be encoded", "subject", q.subject, "error", err)
		code = messages.CodeInternal
		body = wire.EncodeFailure(messages.Fail(code, "", "the answer cannot be encoded"))
	}
	q.respond(body, code, r.GetReplayed())
}

// refuse answers a failure at once and gives the room back.
func (q *query) refuse(f *messages.Failure) {
	q.respond(wire.EncodeFailure(f), f.GetCode(), false)
	q.door.in.gate.leave(q.ticket, q.weight, false)
	q.door.release(q.weight, len(q.body))
}

// garbage refuses what could not be read, and keeps its bytes.
func (q *query) garbage(f *messages.Failure) {
	q.door.in.dead.shelve(q.door.name, q.subject, q.body, f)
	q.refuse(f)
}

// respond sends the answer, or what is said instead of one that is too long, and counts what was said.
func (q *query) respond(body []byte, code string, replayed bool) {
	err := q.publish(body, replayed)
	if errors.Is(err, nats.ErrMaxPayload) {
		f := q.tooLong(len(body))
		q.door.in.log.Debug("answer too long", "subject", q.subject, "bytes", len(body), "field", q.fewer)
		code, err = f.GetCode(), q.publish(wire.EncodeFailure(f), false)
	}
	q.codes.count(code, time.Since(q.began))
	if err != nil {
		q.door.in.log.Debug("answer not sent", "subject", q.subject, "error", err)
	}
}

func (q *query) publish(body []byte, replayed bool) error {
	switch {
	case q.reply == "":
		return nil // sent without wanting an answer
	case replayed:
		return q.door.in.nc.PublishMsg(&nats.Msg{Subject: q.reply, Data: body, Header: replayedHeader})
	}
	return q.door.in.nc.Publish(q.reply, body)
}

// replayedHeader is shared by all answers: the client only reads it.
var replayedHeader = nats.Header{messages.HeaderReplayed: []string{"true"}}
