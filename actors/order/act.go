package order

import (
	"slices"

	"orderyard/messages"
)

// What a rule may want done beside its assignments; the words are those of the rules' language.
const (
	actHold        = "hold"
	actCare        = "customer_care"
	actQueue       = "move_to_queue"
	actCancelAfter = "cancel_after_days"
	actClearCancel = "clear_cancel"
	byRouting      = "routing"
	cancelExpired  = "expired" // the reason of what waited too long
	cancelDaysMax  = 3650
	// careDetail marks the exception that a rule opened: it stays while units wait.
	careDetail = "a rule hands the order to a person"
)

// act does what the rule that decided wants. Doing it again changes nothing, so a plan that comes again and again writes nothing. What is not
// known here, or makes no sense, is passed over: rules are checked where they are published. When nothing waits any more, of this plan's units or of
// others, nothing is to be cancelled later either.
func (d *decision) act(actions []*messages.PlanAction) {
	s := d.s
	for _, a := range actions {
		switch a.GetDo() {
		case actHold:
			if slices.Contains(holdReasons, a.Word) && s.heldBy(a.Word) < 0 {
				by := byRouting
				if a.Word == holdOutOfStock {
					by = bySystem // it ends by itself when the stock is there
				}
				d.emit(&messages.HoldPlaced{Reason: a.Word, Actor: by})
			}
		case actCare:
			if s.exception(exceptionUnroutable) < 0 {
				d.emit(&messages.ExceptionOpened{Kind: exceptionUnroutable, Detail: careDetail, Owner: or(a.Word, ownerRouting)})
			}
		case actQueue:
			if messages.CheckToken(a.Word) == nil && s.queue != a.Word {
				d.emit(&messages.OrderQueued{Queue: a.Word})
			}
		case actCancelAfter:
			if a.Days > 0 && a.Days <= cancelDaysMax && s.cancelAt == 0 {
				d.emit(&messages.CancelScheduled{AtMs: d.now + a.Days*dayMs})
			}
		case actClearCancel:
			if s.cancelAt != 0 {
				d.emit(&messages.CancelScheduled{})
			}
		}
	}
	if s.cancelAt != 0 && s.count().backordered == 0 {
		d.emit(&messages.CancelScheduled{})
	}
}

// cancelWaiting cancels what has waited as long as a rule allows: for stock, or for a person without whom nothing may be planned.
func (d *decision) cancelWaiting() {
	s := d.s
	waiting := make([]int64, len(s.lines))
	if s.exception(exceptionUnroutable) >= 0 {
		waiting = s.openUnits()
	}
	for i := range s.lines {
		waiting[i] += s.lines[i].backordered
	}
	if lines := quantities(waiting); len(lines) > 0 {
		d.emit(&messages.UnitsCancelled{Lines: lines, Reason: cancelExpired})
		d.reason = cancelExpired
	}
	d.emit(&messages.CancelScheduled{})
}
