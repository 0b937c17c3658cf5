package ingress

import (
	"bytes"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

// effect says whether a command is remembered: only what changes something needs a command id.
type effect bool

const (
	reading  effect = false
	changing effect = true
)

// request is a pointer to a decoded document that makes its own command.
type request[T any] interface {
	*T
	wire.Request
}

// answerer makes the answer to one command.
type answerer func(*messages.Reply, messages.Command) any

// one handles a verb that takes one document and asks one entity.
func one[T any, P request[T]](kind effect, answer answerer) func(*query) {
	return func(q *query) {
		doc := P(new(T))
		if f := decodeBody(q.body, doc); f != nil {
			q.garbage(f)
			return
		}
		req, f := command(q, doc, kind)
		if f != nil {
			q.refuse(f)
			return
		}
		q.ask(req, func(r *messages.Reply) any { return answer(r, req.Command) })
	}
}

// command makes one command of a request. A wrong one has used up its id, too: it may come again mended, and what stands behind it in a list must then be
// what it was.
func command(q *query, doc wire.Request, kind effect) (messages.Request, *messages.Failure) {
	to, cmd, f := doc.Command()
	req := messages.Request{To: to, Command: cmd}
	if kind == changing {
		req.CommandID = q.idFor(to)
	}
	return req, f
}

// decodeBody reads an empty body as an empty document: a question may have nothing to say.
func decodeBody(body []byte, doc any) *messages.Failure { return wire.Decode(orEmpty(body), doc) }

// decodeLong is for documents that hold long lists.
func decodeLong(body []byte, doc any) *messages.Failure { return wire.DecodeLong(orEmpty(body), doc) }

func orEmpty(body []byte) []byte {
	if len(bytes.TrimSpace(body)) == 0 {
		return emptyDocument
	}
	return body
}

var emptyDocument = []byte("{}")

// oneOrMany handles a verb that takes one document or a list. Entries that are wrong in themselves fail alone: the others are
// asked, and the answer keeps the list's order.
func oneOrMany[T any, P request[T]](kind effect, answer answerer, list func([]*messages.Reply, []messages.Command) any) func(*query) {
	return func(q *query) {
		docs, many, f := wire.DecodeOneOrMany[T](q.body)
		if f != nil {
			q.garbage(f)
			return
		}
		if !many {
			req, f := command(q, P(&docs[0]), kind)
			if f != nil {
				q.refuse(f)
				return
			}
			q.ask(req, func(r *messages.Reply) any { return answer(r, req.Command) })
			return
		}
		b := batch{kind: kind, replies: make([]*messages.Reply, len(docs)), commands: make([]messages.Command, len(docs))}
		for i := range docs {
			req, f := command(q, P(&docs[i]), kind)
			b.add(i, req, f)
		}
		b.ask(q, list)
	}
}

// batch is a list under way: which entries were asked, and what the others were told at the door.
type batch struct {
	kind     effect
	reqs     []messages.Request
	asked    []int // the entry of each request
	replies  []*messages.Reply
	commands []messages.Command
}

func (b *batch) add(i int, req messages.Request, f *messages.Failure) {
	if f != nil {
		b.replies[i] = messages.Refuse(f)
		return
	}
	b.commands[i] = req.Command
	b.reqs = append(b.reqs, req)
	b.asked = append(b.asked, i)
}

func (b *batch) ask(q *query, list func([]*messages.Reply, []messages.Command) any) {
	q.fewer, q.kind = "body", b.kind
	q.askAll(b.reqs, func(replies []*messages.Reply) (any, *messages.Reply) {
		for i, r := range replies {
			b.replies[b.asked[i]] = r
		}
		return list(b.replies, b.commands), worst(b.replies)
	})
}

// worst is the first failure among replies, for the metrics; nil when all went well. A list is replayed entry by entry, so the
// header says nothing.
func worst(replies []*messages.Reply) *messages.Reply {
	for _, r := range replies {
		if r.GetFailure() != nil {
			return &messages.Reply{Failure: r.GetFailure()}
		}
	}
	return nil
}
