package inventory

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"orderyard/messages"
)

// world runs the bucket beside the model.
type world struct {
	*driver
	m    *model
	past []messages.Command
}

// TestBucketMatchesModel proves that the bucket does what the model says under any sequence of commands, repeats, late timers and restarts:
// same answers, same sums, units conserved, each hold ended exactly once; and that replaying its events gives its very bytes.
func TestBucketMatchesModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{driver: newDriver(), m: new(model)}
		w.m.now = w.now
		t.Repeat(map[string]func(*rapid.T){
			"reserve": func(t *rapid.T) { w.run(t, drawReserve(t)) },
			"confirm": func(t *rapid.T) { w.run(t, &messages.ConfirmReservation{ReservationId: drawID(t)}) },
			"cancel":  func(t *rapid.T) { w.run(t, w.drawCancel(t)) },
			"ship": func(t *rapid.T) {
				w.run(t, &messages.ShipStock{ReservationId: drawID(t), Quantity: rapid.Int64Range(0, 4).Draw(t, "qty")})
			},
			"keep":  func(t *rapid.T) { w.run(t, &messages.KeepClaim{ReservationId: drawID(t)}) },
			"count": func(t *rapid.T) { w.run(t, w.drawCount(t)) },
			"adjust": func(t *rapid.T) {
				w.run(t, &messages.AdjustStock{Delta: rapid.Int64Range(-6, 6).Draw(t, "delta"), Reason: "test"})
			},
			"receive": func(t *rapid.T) { w.run(t, &messages.ReceiveStock{Quantity: rapid.Int64Range(1, 8).Draw(t, "qty")}) },
			"repeat": func(t *rapid.T) {
				if len(w.past) > 0 {
					w.run(t, rapid.SampledFrom(w.past).Draw(t, "again"))
				}
			},
			"answer": func(t *rapid.T) {
				if owed := w.notices(); len(owed) > 0 {
					task := rapid.SampledFrom(owed).Draw(t, "notice")
					reply := new(messages.Reply)
					if rapid.IntRange(0, 3).Draw(t, "gone") == 0 {
						reply.Failure = messages.Fail(messages.CodeNotFound, "", "no order")
					}
					w.run(t, &messages.TaskResult{TaskId: task.ID, Reply: reply})
				}
			},
			"wait":    func(t *rapid.T) { w.pass(rapid.Int64Range(1, 2000).Draw(t, "ms")) },
			"late":    func(t *rapid.T) { w.now += rapid.Int64Range(1, 3000).Draw(t, "ms") },
			"restart": func(t *rapid.T) { w.restart(t) },
			"":        func(t *rapid.T) { w.check(t) },
		})
		w.replayAll(t)
	})
}

func drawID(t *rapid.T) string {
	return rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "id")
}

func drawReserve(t *rapid.T) messages.Command {
	c := &messages.ReserveStock{
		ReservationId: drawID(t), Quantity: rapid.Int64Range(1, 5).Draw(t, "qty"), HoldForMs: rapid.SampledFrom([]int64{0, 1000, 2500}).Draw(t, "hold"),
		Priority: rapid.Int32Range(-1, 1).Draw(t, "priority"), PromiseMs: rapid.SampledFrom([]int64{0, 5, 9}).Draw(t, "promise"),
	}
	if rapid.Bool().Draw(t, "order") {
		c.OrderId = "order-" + c.ReservationId
	}
	c.Firm = rapid.IntRange(0, 2).Draw(t, "firm") == 0
	return c
}

func (w *world) drawCancel(t *rapid.T) messages.Command {
	reasons := []string{"", "", "", "capacity", "not_in_stock", "mismatch", "damaged"}
	found := int64(0)
	if rapid.Bool().Draw(t, "dated") {
		found = max(1, w.now-rapid.Int64Range(-1000, 4000).Draw(t, "age"))
	}
	return &messages.CancelReservation{
		RejectedAtMs:  found,
		ReservationId: drawID(t), RejectReason: rapid.SampledFrom(reasons).Draw(t, "reason"), RejectedQuantity: rapid.Int64Range(0, 3).Draw(t, "rejected"),
	}
}

func (w *world) drawCount(t *rapid.T) messages.Command {
	c := &messages.SetStock{OnHand: rapid.Int64Range(0, 15).Draw(t, "on hand")}
	if rapid.Bool().Draw(t, "dated") {
		c.AsOfMs = max(1, w.now-rapid.Int64Range(-1000, 4000).Draw(t, "age"))
	}
	if c.HasSafetyStock = rapid.IntRange(0, 3).Draw(t, "safety?") == 0; c.HasSafetyStock {
		c.SafetyStock = rapid.Int64Range(0, 3).Draw(t, "safety")
	}
	if c.HasUnsellable = rapid.IntRange(0, 3).Draw(t, "unsellable?") == 0; c.HasUnsellable {
		c.Unsellable = rapid.Int64Range(0, 5).Draw(t, "unsellable")
	}
	return c
}

// run gives one command to both sides and compares the answers; then it lets the timer catch up.
func (w *world) run(t *rapid.T, cmd messages.Command) {
	w.past = append(w.past, cmd)
	w.m.now = w.now
	_, reply, err := w.do(cmd)
	code, ignored := w.ask(cmd)
	got := reply.GetFailure().GetCode()
	if f, ok := err.(*messages.Failure); ok {
		got = f.Code
	}
	if got != code {
		t.Fatalf("%T %v: answered %q, the model says %q", cmd, cmd, describeReply(reply, err), code)
	}
	if reply.GetStock().GetIgnored() != ignored {
		t.Fatalf("%T %v: ignored %v, the model says %v", cmd, cmd, !ignored, ignored)
	}
	if reply.GetStock().GetAtp() < 0 {
		t.Fatalf("%T answers ATP %d", cmd, reply.GetStock().GetAtp())
	}
	if b := reply.GetStock().GetBucket(); b != nil && len(w.log) > 0 && b.Version > w.s.sequence {
		t.Fatalf("%T answers version %d, the bucket is at %d", cmd, b.Version, w.s.sequence)
	}
	w.pass(2)
}

// ask gives the command to the model.
func (w *world) ask(cmd messages.Command) (code string, ignored bool) {
	switch c := cmd.(type) {
	case *messages.ReserveStock:
		code = w.m.reserve(c)
	case *messages.ConfirmReservation:
		code = w.m.confirm(c.ReservationId)
	case *messages.CancelReservation:
		code = w.m.cancel(c)
	case *messages.ShipStock:
		code = w.m.ship(c)
	case *messages.KeepClaim:
		code = w.m.keep(c.ReservationId)
	case *messages.SetStock:
		return w.m.count(c)
	case *messages.AdjustStock:
		code = w.m.adjust(c.Delta)
	case *messages.ReceiveStock:
		code = w.m.receive(c.Quantity)
	case *messages.TaskResult:
		w.answered(c)
	}
	return code, false
}

// answered passes an answer on when it is about the present contest; the notices of earlier ones are other intentions.
func (w *world) answered(c *messages.TaskResult) {
	if id, ok := strings.CutSuffix(c.TaskId, checkSuffix); ok {
		w.m.check(id, c.Reply.Failure == nil)
		return
	}
	id, suffix, _ := strings.Cut(c.TaskId, "/lost")
	contests := w.contests(id)
	if suffix == "" && contests == 1 || suffix == fmt.Sprintf("/%d", contests) {
		w.m.told(id, c.Reply.Failure == nil)
	}
}

// contests counts in the log how often a reservation was a victim.
func (w *world) contests(id string) (n int) {
	for _, l := range w.log {
		if e, _ := messages.DecodeEvent(l.record); e != nil {
			if over, ok := e.(*messages.StockOvercommitted); ok {
				n += strings.Count(","+strings.Join(over.Victims, ",")+",", ","+id+",")
			}
		}
	}
	return n
}

// pass lets time go by with a punctual timer.
func (w *world) pass(ms int64) {
	w.wait(ms)
	w.m.now = w.now
	w.m.expire(nil)
}

// restart replaces the bucket by one made from its bytes.
func (w *world) restart(t *rapid.T) {
	b := w.s.MarshalState()
	s, err := UnmarshalState(b)
	if err != nil {
		t.Fatalf("restart: %v", err)
	}
	if !bytes.Equal(b, s.MarshalState()) {
		t.Fatalf("the restarted bucket has other bytes")
	}
	s.Version = s.sequence
	w.s = s
}

// check compares the sums and every reservation, and weighs the units.
func (w *world) check(t *rapid.T) {
	if w.m.now != w.now {
		return // the timer is late just now
	}
	got := View(w.s)
	if got.OnHand != w.m.onHand || got.Reserved != w.m.reserved() || got.Allocated != w.m.allocated() || got.SafetyStock != w.m.safety ||
		got.Unsellable != w.m.unsellable || got.Atp != max(0, w.m.available()) || got.Overcommitted != w.m.short() || w.s.contested != w.m.contested() {
		t.Fatalf("the bucket has %v contested %d, the model %+v reserved %d allocated %d contested %d short %d",
			got, w.s.contested, w.m, w.m.reserved(), w.m.allocated(), w.m.contested(), w.m.short())
	}
	if w.m.received+w.m.counted+w.m.adjusted != w.m.onHand+w.m.shippedOut {
		t.Fatalf("units were made or lost: %+v", w.m)
	}
	if got.OnHand-got.Reserved-got.Allocated < 0 && w.s.contested < got.Reserved+got.Allocated-got.OnHand {
		t.Fatalf("oversold: %v", got)
	}
	for _, c := range w.m.claims {
		if c != w.m.find(c.id) {
			continue
		}
		want := map[string]status{"held": held, "allocated": confirmed, "released": released, "expired": expired, "shipped": shipped}[c.status]
		r := w.s.reservations[c.id]
		if r == nil || r.status != want || r.contested != c.contested || r.contested && r.told != c.told || r.quantity != c.quantity || r.shipped != c.gone ||
			r.isLive() && r.unchecked != c.unchecked {
			t.Fatalf("reservation %s is %+v, the model says %+v", c.id, r, c)
		}
		if c.exits > 1 || c.exits == 0 && c.quantity > 0 && c.status != "held" && !c.firm {
			t.Fatalf("reservation %s left `held` %d times", c.id, c.exits)
		}
	}
}

// replayAll evolves a new bucket from what was written, and again from the middle by way of a snapshot.
func (w *world) replayAll(t *rapid.T) {
	want := w.s.MarshalState()
	cut := rapid.IntRange(0, len(w.log)).Draw(t, "cut")
	s := New("TEE", "S1")
	for i, l := range w.log {
		if i == cut {
			restored, err := UnmarshalState(s.MarshalState())
			if err != nil {
				t.Fatalf("snapshot after %d events: %v", i, err)
			}
			s = restored
		}
		s.replay(l)
	}
	if !bytes.Equal(want, s.MarshalState()) {
		t.Fatalf("replay gives another state")
	}
	if a, b := Tasks(w.s, w.now, nil), Tasks(s, w.now, nil); fmt.Sprint(a) != fmt.Sprint(b) {
		t.Fatalf("replay owes other tasks:\n%v\n%v", a, b)
	}
	ledger(t, w.log, View(s).OnHand)
}

// ledger reads the log alone: units are conserved, and each reservation leaves `held` once per time it was made.
func ledger(t *rapid.T, log []logged, onHand int64) {
	balance := int64(0)
	isHeld := make(map[string]bool)
	exit := func(id string) {
		if !isHeld[id] {
			t.Fatalf("reservation %s left `held` without being held", id)
		}
		delete(isHeld, id)
	}
	for _, l := range log {
		event, err := messages.DecodeEvent(l.record)
		if err != nil {
			t.Fatal(err)
		}
		switch e := event.(type) {
		case *messages.StockCounted:
			balance += e.Delta
		case *messages.StockAdjusted:
			balance += e.Delta
		case *messages.StockReceived:
			balance += e.Quantity
		case *messages.StockRejected:
			balance += e.OnHandDelta
		case *messages.ClaimKept:
			balance += e.OnHandDelta
		case *messages.StockReserved:
			if isHeld[e.ReservationId] = true; e.Firm {
				exit(e.ReservationId)
			}
		case *messages.ReservationConfirmed:
			exit(e.ReservationId)
		case *messages.ReservationExpired:
			exit(e.ReservationId)
		case *messages.ReservationReleased:
			delete(isHeld, e.ReservationId) // an allocation or an unknown id may be released too
		case *messages.StockShipped:
			balance -= e.Quantity
			delete(isHeld, e.ReservationId)
		}
	}
	if balance != onHand {
		t.Fatalf("%d units are on hand, the ledger says %d", onHand, balance)
	}
}
