package order

import (
	"strconv"
	"strings"

	"orderyard/messages"
)

// The verbs of task ids: "<FO id>/q" to a site, "<FO id>/<line>/c" to a bucket.
const (
	verbReserve = 'r' // + extension number
	verbConfirm = 'c'
	verbCancel  = 'x' // to buckets and sites
	verbShip    = 's'
	verbKeep    = 'k'
	verbRequest = 'q'
	verbRelease = 'o'
)

// taskName is a task id taken apart.
type taskName struct {
	fulfillment uint32
	line        uint32
	bucket      bool // the task is about a line's claim
	verb        byte
	extension   uint32
}

// parseTask reads an id that this order has given; ok is false for any other.
func (s *State) parseTask(id string) (name taskName, ok bool) {
	rest, ok := s.cutID(id)
	if !ok {
		return name, false
	}
	number, rest, ok := strings.Cut(rest, "/")
	if !ok {
		return name, false
	}
	if name.fulfillment, ok = parseNumber(number); !ok {
		return name, false
	}
	if line, verb, has := strings.Cut(rest, "/"); has {
		if name.line, ok = parseNumber(line); !ok {
			return name, false
		}
		name.bucket, rest = true, verb
	}
	if rest == "" {
		return name, false
	}
	name.verb = rest[0]
	if name.verb == verbReserve || name.verb == verbKeep {
		name.extension, ok = parseNumber(rest[1:])
		return name, ok
	}
	return name, len(rest) == 1
}

// parseFulfillment reads "<order id>.<number>".
func (s *State) parseFulfillment(id string) (*fulfillment, bool) {
	rest, ok := s.cutID(id)
	if !ok {
		return nil, false
	}
	number, ok := parseNumber(rest)
	f := s.fulfillment(number)
	return f, ok && f != nil
}

func (s *State) cutID(id string) (string, bool) {
	if len(id) <= len(s.id) || id[:len(s.id)] != s.id || id[len(s.id)] != '.' {
		return "", false
	}
	return id[len(s.id)+1:], true
}

func parseNumber(text string) (uint32, bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err == nil
}

// result takes the answer to a task. It counts only while the state still waits for it: everything else is late or a duplicate.
func (d *decision) result(r *messages.TaskResult) {
	name, ok := d.s.parseTask(r.GetTaskId())
	if !ok {
		return
	}
	f := d.s.fulfillment(name.fulfillment)
	if f == nil {
		return
	}
	if !name.bucket {
		d.siteAnswered(f, name.verb, r.Reply)
		return
	}
	i := f.find(name.line)
	if i < 0 {
		return
	}
	if told := name.verb == verbCancel || name.verb == verbShip || name.verb == verbKeep; told && r.Reply.GetFailure().GetCode() == messages.CodeInternal {
		return // a bucket that fails, or is quarantined, has heard nothing: it is told again
	}
	switch c := &f.claims[i]; name.verb {
	case verbReserve:
		d.reserveAnswered(f, c, name.extension, r.Reply)
	case verbConfirm:
		if c.stage != claimReserved || !f.accepted() {
			return
		}
		if r.Reply.GetFailure() == nil {
			d.emit(&messages.LineAllocated{Fulfillment: f.number, Line: c.line})
		} else {
			d.lose(f, c, "expired", causeTimeout)
		}
	case verbCancel:
		// Whatever the bucket says, it does not hold the claim any more: a cancel of what is not there reaches its goal too.
		if c.stage == claimFreeing || c.stage == claimShipped && c.rejected > 0 {
			stock := r.Reply.GetStock()
			d.emit(&messages.LineFreed{Fulfillment: f.number, Line: c.line, Told: stock != nil, Atp: stock.GetAtp()})
		}
	case verbShip:
		// A refusal changes nothing: the goods have left. The bucket's books are put right by its next count.
		if c.stage == claimAllocated && rank(f.status) >= rankShipped {
			d.emit(&messages.LineStockShipped{Fulfillment: f.number, Line: c.line})
		}
	case verbKeep:
		if c.stage == claimKept && name.extension == c.extensions {
			d.emit(&messages.LineAllocated{Fulfillment: f.number, Line: c.line})
		}
	}
}

// reserveAnswered: the first question is number 0, each extension asks again under the next number.
func (d *decision) reserveAnswered(f *fulfillment, c *claim, extension uint32, r *messages.Reply) {
	granted := r.GetFailure() == nil
	switch {
	case c.stage == claimAsked && extension == 0 && !granted:
		d.emit(&messages.LineDeclined{Fulfillment: f.number, Line: c.line, Atp: max(r.GetStock().GetAtp(), 0)})
		return
	case c.stage == claimAsked && extension == 0:
	case c.stage == claimReserved && c.expires != 0 && extension == c.extensions+1 && !f.accepted():
		if !granted {
			d.lose(f, c, "expired", causeTimeout)
			return
		}
	case c.stage == claimDeclined && granted: // a duplicate of the question was granted after all: it is given back
	default:
		return
	}
	expires := r.GetStock().GetExpiresAtMs() // 0 = firm
	if expires <= 0 && r.GetStock().GetReservationStatus() != reservationConfirmed {
		expires = d.now + holdForMs
	}
	d.emit(&messages.LineReserved{Fulfillment: f.number, Line: c.line, ExpiresAtMs: expires})
}

// lose: the bucket can no longer serve the claim. Goods in the site's hands are kept (Evolve sees to it), all others are asked back.
func (d *decision) lose(f *fulfillment, c *claim, reason, cause string) {
	d.emit(&messages.LineLost{Fulfillment: f.number, Line: c.line, Reason: reason})
	if !f.dropped && !f.over() && !f.taken() {
		d.emit(&messages.FulfillmentDropped{Fulfillment: f.number, Reason: cause})
	}
}

func (d *decision) siteAnswered(f *fulfillment, verb byte, r *messages.Reply) {
	switch verb {
	case verbRequest:
		d.requestAnswered(f, r)
	case verbRelease:
		if f.over() || f.status != statusScheduled {
			return
		}
		switch r.GetFailure().GetCode() {
		case "":
			d.emit(&messages.OrderFulfillmentReleased{Fulfillment: f.number})
		case messages.CodeNotFound: // nobody works on it, nobody will tell
			d.emit(&messages.OrderFulfillmentRejected{Fulfillment: f.number, Reason: reasonOther, Note: "the site does not know it", Recall: true})
		}
		// Otherwise the site has ended it and its notice is on the way; the release is asked again until then.
	case verbCancel:
		d.cancelAnswered(f, r)
	}
}

// requestAnswered: while the order wants the FO back, only the answer to the cancel counts. A question that overtook its own
// cancel must not read as a rejection. And a refusal alone does not prove that no duplicate of the question is taken (doc.go), so the
// site is told to forget the FO before its units are planned again.
func (d *decision) requestAnswered(f *fulfillment, r *messages.Reply) {
	if !f.asked || f.dropped || f.over() || f.request != requestUnsubmitted {
		return
	}
	answer := r.GetFulfillment()
	switch {
	case r.GetFailure() != nil || rejectedBy(answer.GetStatus(), answer.GetRequestStatus()) || answer.GetStatus() == statusCancelled:
		d.emit(&messages.OrderFulfillmentRejected{
			Fulfillment: f.number, Reason: or(answer.GetReason(), reasonOther), Note: r.GetFailure().GetMessage(),
			TimedOut: answer.GetRequestStatus() == requestTimedOut, RetryAfterMs: answer.GetRetryAfterMs(), Recall: true,
			RejectedAtMs: answer.GetRejectedAtMs(),
		})
	case answer.GetRequestStatus() == requestSubmitted:
		d.emit(&messages.OrderFulfillmentSubmitted{Fulfillment: f.number})
	case answer.GetRequestStatus() == requestAccepted || rank(answer.GetStatus()) >= rankPicking:
		d.advance(f, answer.GetStatus(), answer.GetWorkDate(), nil)
	default:
		// No answer of the handshake. The site may have taken it or not; asking it back settles that.
		d.emit(&messages.FulfillmentDropped{Fulfillment: f.number, Reason: causeDropped})
	}
}

func rejectedBy(status messages.FulfillmentStatus, request messages.RequestStatus) bool {
	return status == statusRejected || status == statusTimedOut || request == requestRejected || request == requestTimedOut
}

// cancelAnswered: the site gives the FO back, or keeps working. A word that is neither leaves the question open.
func (d *decision) cancelAnswered(f *fulfillment, r *messages.Reply) {
	if !f.recalled() {
		return
	}
	answer := r.GetFulfillment()
	refused := answer.GetRequestStatus() == requestRefused || rank(answer.GetStatus()) >= rankShipped
	switch r.GetFailure().GetCode() {
	case "":
		told := rejectedBy(0, f.request) // the rejection has been heard
		if !refused && (answer.GetRequestStatus() == requestRecalled || rejectedBy(answer.GetStatus(), 0) && !told) {
			return // people at the site decide, or have rejected it already with more to say: their notice tells
		}
	case messages.CodeTooLate, messages.CodeRejected, messages.CodeConflict, messages.CodeHeld:
		refused = true
	case messages.CodeNotFound: // it never knew of it
	default:
		return
	}
	d.givenBack(f, !refused, answer.GetStatus())
}

// givenBack ends a recall. What has been shipped is not given back, whatever was said before.
func (d *decision) givenBack(f *fulfillment, yes bool, status messages.FulfillmentStatus) {
	if yes && rank(f.status) < rankShipped {
		d.emit(&messages.OrderFulfillmentCancelled{Fulfillment: f.number})
		return
	}
	d.emit(&messages.OrderCancellationRefused{Fulfillment: f.number})
	d.advance(f, status, "", nil)
}
