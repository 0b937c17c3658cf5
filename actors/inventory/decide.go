package inventory

import (
	"fmt"
	"unicode/utf8"

	"orderyard/messages"
)

// Decide answers one command. It reads only; the events it gives must be evolved before the next call. A refusal is a reply with a
// failure; an error means that the command itself is wrong.
func Decide(s *State, cmd messages.Command, now int64) ([]messages.Event, *messages.Reply, error) {
	if s.Version != 0 && s.Version != s.sequence {
		panic(fmt.Sprintf("inventory: I9 broken at %s: %d events were applied, the version is %d", s.ref, s.sequence, s.Version))
	}
	var fail *messages.Failure
	var events []messages.Event
	var reply *messages.Reply
	switch c := cmd.(type) {
	case *messages.ReserveStock:
		events, reply, fail = s.reserve(c, now)
	case *messages.ConfirmReservation:
		events, reply, fail = s.confirm(c, now)
	case *messages.CancelReservation:
		events, reply, fail = s.cancel(c, now)
	case *messages.ShipStock:
		events, reply, fail = s.ship(c, now)
	case *messages.KeepClaim:
		events, reply, fail = s.keep(c, now)
	case *messages.SetStock:
		events, reply, fail = s.count(c, now)
	case *messages.AdjustStock:
		events, reply, fail = s.adjust(c, now)
	case *messages.ReceiveStock:
		events, reply, fail = s.receive(c, now)
	case *messages.GetStock:
		reply = s.get()
	case *messages.ExpireReservations:
		events = s.sweep(now)
	case *messages.TaskResult:
		if events = s.told(c); events == nil {
			events = s.checkAnswered(c)
		}
	default:
		fail = messages.Invalid("", "a bucket does not understand %T", cmd)
	}
	if fail != nil {
		// A nil *Failure inside an error would not be nil.
		return nil, nil, fail
	}
	return events, reply, nil
}

// decision collects events, with the counts as they will be once all of them have been evolved.
type decision struct {
	s   *State
	now int64
	counts
	events  []messages.Event
	leaving *reservation // what the command is about: it neither expires nor falls victim on the way
}

func (s *State) decide(now int64) decision { return decision{s: s, now: now, counts: s.counts} }

func (d *decision) add(e messages.Event) { d.events = append(d.events, e) }

// expire ends holds that have run out.
func (d *decision) expire(due []*reservation) {
	events := make([]messages.ReservationExpired, len(due))
	for i, r := range due {
		events[i].ReservationId = r.id
		d.add(&events[i])
		d.drop(r)
	}
}

// expireDue ends what has run out, a step of it, before anybody else is asked to give way.
func (d *decision) expireDue() {
	if due, _, _ := d.s.expiries.due(d.now, unlimited, StepMax, d.leaving); len(due) > 0 {
		d.expire(due)
	}
}

// release frees a live claim.
func (d *decision) release(r *reservation) {
	d.add(&messages.ReservationReleased{ReservationId: r.id})
	d.drop(r)
	d.leaving = r
}

// answer is a StockReply with everything around it, in one allocation.
type answer struct {
	reply messages.Reply
	body  messages.Reply_Stock
	stock messages.StockReply
}

func newAnswer(c *counts) *answer {
	a := new(answer)
	a.stock.Atp = c.atp()
	a.body.Stock = &a.stock
	a.reply.Body = &a.body
	return a
}

// answerAbout answers a command about one reservation that now has the given status.
func answerAbout(c *counts, st status, expiresAt int64) *messages.Reply {
	a := newAnswer(c)
	a.stock.ReservationStatus = st.String()
	if st == held {
		a.stock.ExpiresAtMs = expiresAt
	}
	return &a.reply
}

// refuse says no, and tells the ATP as every decline does.
func refuse(c *counts, st status, f *messages.Failure) *messages.Reply {
	a := newAnswer(c)
	a.stock.ReservationStatus = st.String()
	a.reply.Failure = f
	return &a.reply
}

// refuseEnded tells that a reservation has already ended another way.
func refuseEnded(c *counts, r *reservation, st status) *messages.Reply {
	return refuse(c, st, messages.Fail(messages.CodeTooLate, "reservation_id", "reservation %s is already %s", r.id, st))
}

func (s *State) unknownReservation(id string) *messages.Reply {
	return refuse(&s.counts, 0, messages.Fail(messages.CodeNotFound, "reservation_id", "no reservation %s at %s@%s", id, s.sku, s.site))
}

func (s *State) unknownBucket() *messages.Reply {
	return refuse(&s.counts, 0, messages.Fail(messages.CodeNotFound, "sku", "%s has never been stocked at %s", s.sku, s.site))
}

func (s *State) get() *messages.Reply {
	if !s.known {
		return s.unknownBucket()
	}
	a := newAnswer(&s.counts)
	a.stock.Bucket = View(s)
	return &a.reply
}

// misaddressed catches a command that reached another bucket than it names. Commands inside the house may leave the names out.
func (s *State) misaddressed(sku, site string) *messages.Failure {
	switch {
	case sku != "" && sku != s.sku:
		return messages.Invalid("sku", "this bucket holds %s, not %s", s.sku, sku)
	case site != "" && site != s.site:
		return messages.Invalid("site", "this bucket is at %s, not at %s", s.site, site)
	}
	return nil
}

// checkID bounds what becomes a key of the state and part of task ids.
func checkID(field, id string) *messages.Failure {
	switch {
	case id == "":
		return messages.Invalid(field, "must not be empty")
	case len(id) > idMax:
		return messages.Invalid(field, "has %d bytes, at most %d are allowed", len(id), idMax)
	}
	for i := 0; i < len(id); i++ {
		if id[i] <= ' ' || id[i] > '~' {
			return messages.Invalid(field, "holds %q, only printable ASCII without spaces is allowed", id[i])
		}
	}
	return nil
}

// checkAbout checks a command about one reservation.
func (s *State) checkAbout(sku, site, id string) *messages.Failure {
	if f := s.misaddressed(sku, site); f != nil {
		return f
	}
	return checkID("reservation_id", id)
}

func checkText(field, text string) *messages.Failure {
	switch {
	case len(text) > textMax:
		return messages.Invalid(field, "has %d bytes, at most %d are allowed", len(text), textMax)
	case !utf8.ValidString(text):
		return messages.Invalid(field, "is not valid UTF-8")
	}
	return nil
}

func checkCount(field string, n int64) *messages.Failure {
	if n < 0 || n > CountMax {
		return messages.Invalid(field, "must be between 0 and %d, is %d", int64(CountMax), n)
	}
	return nil
}
