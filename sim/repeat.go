package sim

import (
	"bytes"
	"strings"

	"google.golang.org/protobuf/proto"

	"orderyard/messages"
)

// repeatRefused and repeatGranted are how many of the final answers are asked for once more, in percent.
const repeatRefused, repeatGranted = 30, 5

// repeat asks a command that has its final answer once more, seconds later: the same id is told the same, whatever could be granted meanwhile.
func (q *asked) repeat(r *messages.Reply) {
	w, percent := q.c.w, float64(repeatGranted)
	if r.GetFailure() != nil {
		percent = repeatRefused
	}
	if q.id == "" || w.load.calm || !w.checks.remembered(q, r) || !w.chance(percent) {
		return
	}
	w.after(w.between(500, 5_000), func() {
		if !w.load.calm { // a day passes in the calm, and then buckets and sites have forgotten
			q.c.pending++
			again := &asked{c: q.c, id: q.id, to: q.to, cmd: q.cmd, first: r}
			again.send()
		}
	})
}

// remembered says that the answer must be given again to the same id: what the journal has, and to a client whatever was decided by what is there, also
// when it changed nothing.
func (c *checks) remembered(q *asked, r *messages.Reply) bool {
	if v, durable := c.decided[decision{q.to, q.id}]; durable && bytes.Equal(v.reply, plainReply(r)) {
		return true
	}
	if !strings.HasPrefix(q.id, messages.ClientKey) {
		return false
	}
	switch r.GetFailure().GetCode() {
	case "", messages.CodeDeclined, messages.CodeRejected, messages.CodeHeld, messages.CodeTooLate, messages.CodeConflict:
		return true
	}
	return false
}

func (q *asked) compare(r *messages.Reply) {
	if !bytes.Equal(plainReply(q.first), plainReply(r)) {
		q.c.w.violate("I6", q.to.String(), "%T %s was answered %v, and then, under the same id, %v", q.cmd, q.id, q.first, r)
	}
}

// plainReply is the answer as the journal has it.
func plainReply(r *messages.Reply) []byte {
	if r.Replayed {
		r = proto.Clone(r).(*messages.Reply)
		r.Replayed = false
	}
	b, err := r.MarshalVT()
	if err != nil {
		return nil
	}
	return b
}
