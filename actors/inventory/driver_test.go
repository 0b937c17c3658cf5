package inventory

import (
	"fmt"
	"strings"

	"orderyard/messages"
)

// driver runs a bucket as the entity core does: decide, write, evolve, count versions, run timers that are due. What is written is
// encoded and decoded on the way, as the journal would.
type driver struct {
	s   *State
	now int64
	log []logged
}

type logged struct {
	record *messages.EventRecord
	at     int64
}

func newDriver() *driver { return &driver{s: New("TEE", "S1"), now: 1_000_000} }

// do decides one command and then the timers that are due.
func (d *driver) do(cmd messages.Command) ([]messages.Event, *messages.Reply, error) {
	events, reply, err := d.step(cmd)
	return append(events, d.timers()...), reply, err
}

func (d *driver) step(cmd messages.Command) ([]messages.Event, *messages.Reply, error) {
	events, reply, err := Decide(d.s, cmd, d.now)
	for _, e := range events {
		b, encodeErr := e.MarshalVT()
		if encodeErr != nil {
			panic(encodeErr)
		}
		record := &messages.EventRecord{Type: messages.EventType(e), Data: b}
		d.log = append(d.log, logged{record, d.now})
		d.s.replay(d.log[len(d.log)-1])
	}
	return events, reply, err
}

func (s *State) replay(l logged) {
	e, err := messages.DecodeEvent(l.record)
	if err != nil {
		panic(err)
	}
	Evolve(s, e, l.at)
	s.Version = s.sequence
}

// timers runs what is due at this very millisecond.
func (d *driver) timers() []messages.Event {
	var all []messages.Event
	for range 64 {
		due := false
		for _, t := range Tasks(d.s, d.now, nil) {
			if t.To == d.s.ref && t.Due <= d.now {
				events, _, err := d.step(t.Command)
				if err != nil || len(events) == 0 {
					panic(fmt.Sprintf("timer %s did nothing: %v", t.ID, err))
				}
				all, due = append(all, events...), true
			}
		}
		if !due {
			return all
		}
	}
	panic("the timer never settles")
}

// wait lets time pass, waking the bucket whenever it asks to be woken.
func (d *driver) wait(ms int64) []messages.Event {
	until := d.now + ms
	all := d.timers()
	for {
		next := d.s.nextStep(d.now)
		if next == 0 || next > until {
			d.now = until
			return all
		}
		d.now = max(d.now, next)
		all = append(all, d.timers()...)
	}
}

// notices lists the messages to orders that are owed, now or later.
func (d *driver) notices() []messages.Task {
	var list []messages.Task
	for _, t := range Tasks(d.s, d.now, nil) {
		if t.To.Kind == messages.KindOrder {
			list = append(list, t)
		}
	}
	return list
}

// describe prints an event the way the stories read it.
func describe(event messages.Event) string {
	name := messages.EventName(event)
	switch e := event.(type) {
	case *messages.StockReserved:
		text := fmt.Sprintf("%s %s %d until=%d", name, e.ReservationId, e.Quantity, e.ExpiresAtMs)
		if e.Firm {
			text = fmt.Sprintf("%s %s %d firm", name, e.ReservationId, e.Quantity)
		}
		if e.OrderId != "" {
			text += " order=" + e.OrderId
		}
		return text
	case *messages.StockCounted:
		return fmt.Sprintf("%s %d (%+d)", name, e.OnHand, e.Delta)
	case *messages.StockLevelsSet:
		return fmt.Sprintf("%s safety=%d unsellable=%d", name, e.SafetyStock, e.Unsellable)
	case *messages.StockAdjusted:
		return fmt.Sprintf("%s %+d %q", name, e.Delta, e.Reason)
	case *messages.StockReceived:
		return fmt.Sprintf("%s %d", name, e.Quantity)
	case *messages.StockShipped:
		return fmt.Sprintf("%s %s %d", name, e.ReservationId, e.Quantity)
	case *messages.StockRejected:
		return fmt.Sprintf("%s %s %s on_hand%+d unsellable%+d", name, e.ReservationId, e.Reason, e.OnHandDelta, e.UnsellableDelta)
	case *messages.StockOvercommitted:
		return fmt.Sprintf("%s short=%d victims=%s", name, e.Short, strings.Join(e.Victims, ","))
	case *messages.ClaimKept:
		return fmt.Sprintf("%s %s on_hand%+d", name, e.ReservationId, e.OnHandDelta)
	}
	return name + " " + event.(interface{ GetReservationId() string }).GetReservationId()
}

// describeReply prints an answer the way the stories read it.
func describeReply(reply *messages.Reply, err error) string {
	if err != nil {
		return "error " + err.Error()
	}
	if reply == nil {
		return ""
	}
	text := "ok"
	if reply.Failure != nil {
		text = reply.Failure.Error()
	}
	stock := reply.GetStock()
	if stock == nil {
		return text
	}
	text += fmt.Sprintf(" atp=%d", stock.Atp)
	if stock.ReservationStatus != "" {
		text += " status=" + stock.ReservationStatus
	}
	if stock.Ignored {
		text += " ignored"
	}
	if b := stock.Bucket; b != nil {
		text += fmt.Sprintf("\n   on_hand=%d reserved=%d allocated=%d safety=%d unsellable=%d overcommitted=%d version=%d",
			b.OnHand, b.Reserved, b.Allocated, b.SafetyStock, b.Unsellable, b.Overcommitted, b.Version)
	}
	return text
}
