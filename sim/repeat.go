package sim

import (
	"bytes"
	"strings"

	"google.golang.org/protobuf/proto"

	"orderyard/messages"
)

// repeatRefused and repeatGranted are how many of the final answers are asked for once more, in percent.
const repeatRefused, repeatGranted = 30, 5

// quietAnswersAreRemembered says that an `ok` to a command that changed nothing is an entry, too.
const quietAnswersAreRemembered = false

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

// remembered says that the answer must be given again to the same id: what changed something, and what was refused to a client by what is there.
func (c *checks) remembered(q *asked, r *messages.Reply) bool {
	if c.decided[decision{q.to, q.id}] {
		return true
	}
	if !strings.HasPrefix(q.id, messages.ClientKey) {
		return false
	}
	switch r.GetFailure().GetCode() {
	case messages.CodeDeclined, messages.CodeRejected, messages.CodeHeld, messages.CodeTooLate, messages.CodeConflict:
		return true
	case "":
		return quietAnswersAreRemembered
	}
	return false
}

func (q *asked) compare(r *messages.Reply) {
	again, first := proto.Clone(r).(*messages.Reply), proto.Clone(q.first).(*messages.Reply)
	again.Replayed, first.Replayed = false, false
	x, errX := first.MarshalVT()
	y, errY := again.MarshalVT()
	if errX != nil || errY != nil || !bytes.Equal(x, y) {
		q.c.w.violate("I6", q.to.String(), "%T %s was answered %v, and then, under the same id, %v", q.cmd, q.id, first, again)
	}
}
