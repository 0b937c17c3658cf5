package order

import (
	"slices"
	"unicode/utf8"

	"orderyard/messages"
)

// heldBy gives the index of the hold with this reason, or −1.
func (s *State) heldBy(reason string) int {
	return slices.IndexFunc(s.holds, func(h *messages.OrderHold) bool { return h.Reason == reason })
}

// exception gives the index of the open exception of this kind, or −1.
func (s *State) exception(kind string) int {
	return slices.IndexFunc(s.exceptions, func(e *messages.OrderException) bool { return e.Kind == kind })
}

// hold stops the release of work; planning and reserving go on. One hold per reason: the same again changes its note and end.
func (d *decision) hold(c *messages.HoldOrder) (*messages.Reply, *messages.Failure) {
	s := d.s
	var errs []*messages.FieldError
	if !slices.Contains(holdReasons, c.GetReason()) {
		errs = append(errs, wrong("reason", "is %q, must be one of %v", c.GetReason(), holdReasons))
	}
	if c.GetReason() == reasonOther && c.GetNote() == "" {
		errs = append(errs, wrong("note", "must say why when the reason is other"))
	}
	if c.GetUntilMs() != 0 && c.GetUntilMs() <= d.now {
		errs = append(errs, wrong("until", "must be in the future"))
	}
	if failure := messages.InvalidAll(errs); failure != nil {
		return nil, failure
	}
	if failure := checkText("note", c.GetNote(), c.GetActor()); failure != nil {
		return nil, failure
	}
	if s.terminal() {
		return messages.Refuse(messages.Fail(messages.CodeTooLate, "", "order %s is %s; a hold would stop nothing", s.id, s.life)), nil
	}
	if i := s.heldBy(c.Reason); i >= 0 {
		if h := s.holds[i]; h.Note == c.Note && h.UntilMs == c.UntilMs && h.Actor == c.Actor {
			return orderReply(s), nil
		}
	}
	d.emit(&messages.HoldPlaced{Reason: c.Reason, Note: c.Note, UntilMs: c.UntilMs, Actor: c.Actor})
	return orderReply(s), nil
}

// release ends one hold, or all, or resolves an exception. Releasing what is not there answers ok: the goal is reached.
func (d *decision) release(c *messages.ReleaseOrder) (*messages.Reply, *messages.Failure) {
	s := d.s
	if c.GetReason() != "" && !slices.Contains(holdReasons, c.GetReason()) {
		return nil, messages.Invalid("reason", "is %q, must be one of %v", c.GetReason(), holdReasons)
	}
	if c.GetException() != "" && !slices.Contains(exceptionKinds, c.GetException()) {
		return nil, messages.Invalid("exception", "is %q, must be one of %v", c.GetException(), exceptionKinds)
	}
	if failure := checkText("actor", c.GetActor(), ""); failure != nil {
		return nil, failure
	}
	by := or(c.GetActor(), "request")
	if c.GetException() != "" && s.exception(c.GetException()) >= 0 {
		d.emit(&messages.ExceptionResolved{Kind: c.GetException(), By: by})
		if c.GetException() == exceptionUnroutable {
			d.reopen(&messages.UnitsReopened{Cause: causeManual})
		}
	}
	switch {
	case c.GetReason() != "":
		d.releaseHold(c.GetReason(), by)
	case c.GetException() == "":
		for _, h := range slices.Clone(s.holds) {
			d.releaseHold(h.Reason, by)
		}
	}
	return orderReply(s), nil
}

// releaseHold ends a hold. Without out_of_stock the units do not wait any longer: they are planned again, and may be held again.
func (d *decision) releaseHold(reason, by string) {
	if d.s.heldBy(reason) < 0 {
		return
	}
	d.emit(&messages.HoldReleased{Reason: reason, By: by})
	if reason == holdOutOfStock {
		d.reopen(&messages.UnitsReopened{Cause: causeHold})
	}
}

// checkText refuses notes and names that are too long or not text.
func checkText(field, note, actor string) *messages.Failure {
	switch {
	case len(note) > noteMax:
		return messages.Invalid(field, "has %d bytes, at most %d are allowed", len(note), noteMax)
	case !utf8.ValidString(note):
		return messages.Invalid(field, "is not valid UTF-8")
	case len(actor) > textMax || !utf8.ValidString(actor):
		return messages.Invalid("actor", "must be valid UTF-8 of at most %d bytes", textMax)
	}
	return nil
}
