package inventory

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"orderyard/messages"
)

// must runs a command that has to succeed.
func (d *driver) must(t testing.TB, cmd messages.Command) []messages.Event {
	t.Helper()
	events, reply, err := d.step(cmd)
	if err != nil || reply.GetFailure() != nil {
		t.Fatalf("%T: %s", cmd, describeReply(reply, err))
	}
	return events
}

// fill makes n reservations of one unit.
func (d *driver) fill(t testing.TB, n int, order string, hold int64) {
	t.Helper()
	for i := range n {
		d.must(t, &messages.ReserveStock{ReservationId: fmt.Sprintf("r%d", i), Quantity: 1, OrderId: order, HoldForMs: hold})
	}
}

func stocked(t testing.TB, onHand int64) *driver {
	t.Helper()
	d := newDriver()
	d.must(t, &messages.SetStock{OnHand: onHand})
	return d
}

// TestSweepIsBounded proves that no journal entry expires more than StepMax holds, that the steps follow a millisecond apart, and that a
// reservation which cannot be judged meanwhile is asked to come again instead of being declined.
func TestSweepIsBounded(t *testing.T) {
	const holds = 2*StepMax + 500
	d := stocked(t, holds)
	d.fill(t, holds, "", HoldMinMs)
	d.now += HoldMinMs

	events, reply, err := d.step(&messages.ReserveStock{ReservationId: "big", Quantity: holds, HoldForMs: HoldMaxMs})
	if len(events) != 0 || err != nil || !reply.GetFailure().GetRetryable() {
		t.Fatalf("a reservation of all that is about to expire: %d events, %s", len(events), describeReply(reply, err))
	}
	for _, want := range []int{StepMax, StepMax, 500} {
		if got := len(d.timers()); got != want {
			t.Fatalf("a step expired %d holds, want %d", got, want)
		}
		if next := d.s.nextStep(d.now); want == StepMax && next != d.now+1 {
			t.Fatalf("the next step is due at %d, it is %d", next, d.now)
		}
		d.now++
	}
	d.must(t, &messages.ReserveStock{ReservationId: "big", Quantity: holds})
}

// TestReserveTakesWhatIsDue proves that a newcomer frees as many holds as it needs and no more, oldest first.
func TestReserveTakesWhatIsDue(t *testing.T) {
	d := stocked(t, 20)
	d.fill(t, 20, "", HoldMinMs)
	d.now += HoldMinMs
	events := d.must(t, &messages.ReserveStock{ReservationId: "new", Quantity: 3})
	var got []string
	for _, e := range events {
		got = append(got, strings.Fields(describe(e))[1])
	}
	if fmt.Sprint(got) != "[r0 r1 r2 new]" {
		t.Fatalf("events about %v", got)
	}
}

// TestContestIsBounded proves that a loss of thousands of claims is named in steps, that nothing can be sold between them, that notices leave
// through a window, and that a restart in the middle goes on.
func TestContestIsBounded(t *testing.T) {
	const claims = 2*StepMax + 500
	d := stocked(t, claims)
	d.fill(t, claims, "o", HoldMaxMs)
	d.must(t, &messages.SetStock{OnHand: 0})
	for left := claims - StepMax; left > 0; left -= StepMax {
		if got := d.s.uncovered(); got != int64(left) {
			t.Fatalf("%d claims are not named yet, want %d", got, left)
		}
		if _, reply, _ := d.step(&messages.ReserveStock{ReservationId: "new", Quantity: 1}); reply.GetFailure().GetCode() != messages.CodeDeclined {
			t.Fatalf("reserved in the middle of an over-commitment: %v", reply)
		}
		restored, err := UnmarshalState(d.s.MarshalState())
		if err != nil {
			t.Fatal(err)
		}
		if restored.nextStep(d.now) != d.now+1 || d.s.nextStep(d.now) != d.now+1 {
			t.Fatalf("the next step is due at %d, after a restart at %d, it is %d", d.s.nextStep(d.now), restored.nextStep(d.now), d.now)
		}
		restored.Version = restored.sequence
		d.s = restored
		if n := len(d.notices()); n != NoticesMax {
			t.Fatalf("%d notices are under way, want %d", n, NoticesMax)
		}
		d.now++
		d.timers()
	}
	if d.s.uncovered() != 0 || d.s.contested != claims {
		t.Fatalf("%d claims are named, %d not", d.s.contested, d.s.uncovered())
	}
	told := 0
	for owed := d.notices(); len(owed) > 0; owed = d.notices() {
		for _, task := range owed {
			d.must(t, &messages.TaskResult{TaskId: task.ID, Reply: new(messages.Reply)})
			told++
		}
	}
	if told != claims || len(d.s.notices) != 0 {
		t.Fatalf("%d of %d orders were told, %d notices are left", told, claims, len(d.s.notices))
	}
}

// TestExemptionEnds proves that a declared over-commitment excuses no later oversell: once stock covers the claims again, I1 is strict.
func TestExemptionEnds(t *testing.T) {
	const claims = StepMax + 500
	d := stocked(t, claims)
	d.fill(t, claims, "o", HoldMaxMs)
	d.must(t, &messages.SetStock{OnHand: 0})
	d.must(t, &messages.ReceiveStock{Quantity: claims + 1})
	d.must(t, &messages.ReserveStock{ReservationId: "last", Quantity: 1})
	defer func() {
		if text := fmt.Sprint(recover()); !strings.Contains(text, "I1 broken") {
			t.Fatalf("recovered %s", text)
		}
	}()
	Evolve(d.s, &messages.StockReserved{ReservationId: "forged", Quantity: StepMax + 1, ExpiresAtMs: 1 << 50}, d.now)
}

// TestNoticesOutOfOrder proves that answers in any order empty the list, and that it does not grow behind one order that never answers.
func TestNoticesOutOfOrder(t *testing.T) {
	d := stocked(t, 200)
	d.fill(t, 200, "o", HoldMaxMs)
	d.must(t, &messages.SetStock{OnHand: 0})
	owed := d.notices()
	for _, task := range owed[1:] {
		d.must(t, &messages.TaskResult{TaskId: task.ID, Reply: new(messages.Reply)})
	}
	if left := d.notices(); len(left) != 1 || left[0].ID != owed[0].ID || len(d.s.notices) > 20 {
		t.Fatalf("%d notices are owed, %d are kept", len(left), len(d.s.notices))
	}
}

// TestEndedAreForgotten proves that ended reservations are remembered for a day and at most EndedMax of them, and that what is live stays.
func TestEndedAreForgotten(t *testing.T) {
	d := stocked(t, 10)
	d.must(t, &messages.ReserveStock{ReservationId: "live", Quantity: 1})
	d.must(t, &messages.ConfirmReservation{ReservationId: "live"})
	s := d.s
	for i := range EndedMax + 100 {
		Evolve(s, &messages.ReservationReleased{ReservationId: fmt.Sprintf("gone-%d", i)}, d.now)
	}
	if s.ended.length != EndedMax || len(s.reservations) != EndedMax+1 || s.reservations["gone-99"] != nil || s.reservations["gone-100"] == nil {
		t.Fatalf("%d ended reservations are remembered", s.ended.length)
	}
	for range EndedMax/(pruneMax-1) + 1 {
		Evolve(s, &messages.StockReceived{Quantity: 1}, d.now+EndedKeepMs)
	}
	if s.ended.length != 0 || len(s.reservations) != 1 {
		t.Fatalf("%d ended reservations are remembered after a day", s.ended.length)
	}
}

// TestExpiriesAreCompacted proves that holds which leave early do not fill the heap.
func TestExpiriesAreCompacted(t *testing.T) {
	d := stocked(t, 1_000_000)
	d.must(t, &messages.ReserveStock{ReservationId: "first", Quantity: 1, HoldForMs: HoldMinMs}) // stays on top
	for i := range 10_000 {
		id := fmt.Sprintf("r%d", i)
		d.must(t, &messages.ReserveStock{ReservationId: id, Quantity: 1})
		d.must(t, &messages.ConfirmReservation{ReservationId: id})
		if len(d.s.expiries.items) > 2*1024+8 {
			t.Fatalf("%d entries for one hold", len(d.s.expiries.items))
		}
	}
	if d.wait(HoldMinMs); d.s.reservations["first"].status != expired || len(d.s.expiries.items) != 0 {
		t.Fatalf("%d entries are left", len(d.s.expiries.items))
	}
}

// TestMovementLogIsBounded proves that a count from before the log is ignored, and one that the log reaches is reconciled.
func TestMovementLogIsBounded(t *testing.T) {
	d := stocked(t, 0)
	for range 2 * MovementsMax {
		d.now++
		d.must(t, &messages.ReceiveStock{Quantity: 1})
		d.must(t, &messages.ReceiveStock{Quantity: 1})
	}
	if len(d.s.movements) != MovementsMax {
		t.Fatalf("%d movements are kept", len(d.s.movements))
	}
	_, reply, _ := d.step(&messages.SetStock{OnHand: 7, AsOfMs: d.now - MovementsMax - 1})
	if !reply.GetStock().GetIgnored() {
		t.Fatalf("a count from before the log was taken: %v", reply)
	}
	_, reply, _ = d.step(&messages.SetStock{OnHand: 7, AsOfMs: d.now - MovementsMax})
	if got := reply.GetStock().GetBucket().GetOnHand(); got != 7+2*MovementsMax {
		t.Fatalf("on hand %d", got)
	}
}

// TestBusyBucketIsCounted proves that the books of a bucket which moves more between a count and its arrival than the log holds can be corrected all the
// same: the first such count is told that more has moved than is remembered, not that a younger count is known; the next one is taken, after a restart
// too; and however much moves, the log has an end.
func TestBusyBucketIsCounted(t *testing.T) {
	const busy = 8 * MovementsMax
	d := stocked(t, 10*busy)
	count := func() *messages.StockReply {
		asOf, seen := d.now, View(d.s).OnHand-7 // seven are missing
		for range busy {
			d.now++
			d.must(t, &messages.AdjustStock{Delta: -1, Reason: "sold"})
		}
		_, reply, err := d.step(&messages.SetStock{OnHand: seen, AsOfMs: asOf})
		if err != nil || reply.GetFailure() != nil {
			t.Fatal(reply, err)
		}
		return reply.GetStock()
	}
	if got := count(); !got.Ignored || got.IgnoredReason != ignoredMoved {
		t.Fatalf("the first count: %v", got)
	}
	restored, err := UnmarshalState(d.s.MarshalState())
	if err != nil {
		t.Fatal(err)
	}
	restored.Version = restored.sequence
	d.s = restored
	before := View(d.s).OnHand
	if got := count(); got.Ignored || got.Bucket.OnHand != before-busy-7 {
		t.Fatalf("the second count: %v, %d were on hand", got, before)
	}
	for range MovementsWide + 10 {
		d.now++
		d.must(t, &messages.ReceiveStock{Quantity: 1})
	}
	if len(d.s.movements) != MovementsWide {
		t.Fatalf("%d movements are kept", len(d.s.movements))
	}
	if _, reply, _ := d.step(&messages.SetStock{OnHand: 7, AsOfMs: 1}); reply.GetStock().GetIgnoredReason() != ignoredCounted {
		t.Fatalf("a count older than the last: %v", reply)
	}
}

// TestOlderBuildsReadABusyBucket proves that a node of the version before can go on with a bucket that remembers more than it does: it is left the
// movements it can hold, and is told truly how far back they go.
func TestOlderBuildsReadABusyBucket(t *testing.T) {
	d := stocked(t, 0)
	Evolve(d.s, &messages.StockLevelsSet{MovementsKept: MovementsWide}, d.now)
	d.s.Version = d.s.sequence
	for range 2 * MovementsMax {
		d.now++
		d.must(t, &messages.ReceiveStock{Quantity: 1})
	}
	b := d.s.MarshalState()
	m := new(messages.BucketState)
	if err := m.UnmarshalVT(b); err != nil {
		t.Fatal(err)
	}
	if n := len(m.Movements); n != MovementsMax || m.Movements[0].AtMs != m.MovementsFromMs+1 || m.Movements[n-1].AtMs != d.now {
		t.Errorf("it reads %d movements, from %d to %d, of those after %d", n, m.Movements[0].AtMs, m.Movements[n-1].AtMs, m.MovementsFromMs)
	}
	restored, err := UnmarshalState(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(restored.movements) != 2*MovementsMax || restored.movementsFrom != d.s.movementsFrom || !bytes.Equal(b, restored.MarshalState()) {
		t.Errorf("%d movements after %d come back", len(restored.movements), restored.movementsFrom)
	}
}

// TestFindingBeforeTheLog proves that an empty shelf found before the log of movements begins is of now, for what came since is not known; one
// that the log reaches leaves what came after it.
func TestFindingBeforeTheLog(t *testing.T) {
	for _, c := range []struct{ ago, want int64 }{{MovementsMax + 1, 0}, {MovementsMax, MovementsMax}, {1, 1}} {
		d := stocked(t, 5)
		d.must(t, &messages.ReserveStock{ReservationId: "r", Quantity: 1, OrderId: "o", Firm: true})
		for range 2 * MovementsMax {
			d.now++
			d.must(t, &messages.ReceiveStock{Quantity: 1})
		}
		d.must(t, &messages.CancelReservation{ReservationId: "r", RejectReason: reasonNotInStock, RejectedAtMs: d.now - c.ago})
		if got := View(d.s).OnHand; got != c.want {
			t.Errorf("found %d ms ago: %d are on hand, want %d", c.ago, got, c.want)
		}
	}
}

// TestBrokenInvariantsPanic proves that Evolve notices what must never be in a journal, and names the invariant and the bucket.
func TestBrokenInvariantsPanic(t *testing.T) {
	for name, event := range map[string]messages.Event{
		"I1 oversold":         &messages.StockReserved{ReservationId: "x", Quantity: 5, ExpiresAtMs: 1 << 50},
		"I1 negative":         &messages.StockAdjusted{Delta: -11},
		"I1 silent loss":      &messages.StockCounted{OnHand: 1},
		"I1 shipped too much": &messages.StockShipped{ReservationId: "held", Quantity: 7},
		"I7 expired twice":    &messages.ReservationExpired{ReservationId: "gone"},
		"I7 released twice":   &messages.ReservationReleased{ReservationId: "gone"},
		"I7 confirmed twice":  &messages.ReservationConfirmed{ReservationId: "gone"},
		"I7 expired early":    &messages.ReservationExpired{ReservationId: "held"},
		"I7 unknown":          &messages.ReservationConfirmed{ReservationId: "nobody"},
	} {
		t.Run(name, func(t *testing.T) {
			d := stocked(t, 10)
			d.must(t, &messages.ReserveStock{ReservationId: "held", Quantity: 6})
			d.must(t, &messages.ReserveStock{ReservationId: "gone", Quantity: 1})
			d.must(t, &messages.CancelReservation{ReservationId: "gone"})
			defer func() {
				text := fmt.Sprint(recover())
				if !strings.Contains(text, name[:2]+" broken at bucket/TEE@S1") {
					t.Fatalf("recovered %s", text)
				}
			}()
			Evolve(d.s, event, d.now)
		})
	}
	t.Run("I9 lost event", func(t *testing.T) {
		d := stocked(t, 1)
		d.s.Version++
		defer func() {
			if text := fmt.Sprint(recover()); !strings.Contains(text, "I9 broken") {
				t.Fatalf("recovered %s", text)
			}
		}()
		_, _, _ = Decide(d.s, new(messages.GetStock), d.now)
	})
}

// TestDecideReadsOnly proves that asking twice without evolving gives the same answer and leaves the state's bytes alone.
func TestDecideReadsOnly(t *testing.T) {
	d := stocked(t, 10)
	d.fill(t, 9, "o", HoldMinMs)
	d.now += 2 * HoldMinMs
	before := d.s.MarshalState()
	for _, cmd := range []messages.Command{
		&messages.ReserveStock{ReservationId: "n", Quantity: 5}, &messages.ConfirmReservation{ReservationId: "r1"}, &messages.SetStock{OnHand: 2},
		&messages.CancelReservation{ReservationId: "r2", RejectReason: reasonNotInStock}, &messages.ShipStock{ReservationId: "r3"},
		new(messages.ExpireReservations), new(messages.GetStock),
	} {
		e1, r1, err1 := Decide(d.s, cmd, d.now)
		e2, r2, err2 := Decide(d.s, cmd, d.now)
		if fmt.Sprint(e1, r1, err1) != fmt.Sprint(e2, r2, err2) {
			t.Errorf("%T answers differently the second time", cmd)
		}
	}
	if !bytes.Equal(before, d.s.MarshalState()) {
		t.Error("Decide changed the state")
	}
}

// Proves that a bucket whose last expiry was stamped by a clock ahead of today's (one that was set back, or a former owner's) ends its holds when
// they run out, not when that clock's time has come.
func TestClockSetBack(t *testing.T) {
	s, now := New("sku", "S"), int64(100_000)
	apply := func(cmd messages.Command) { t.Helper(); applyAt(t, s, cmd, now) }
	apply(&messages.SetStock{OnHand: 5})
	apply(&messages.ReserveStock{ReservationId: "a", Quantity: 1, HoldForMs: 1_000})
	now += 30_000 // the clock steps forward
	apply(new(messages.ExpireReservations))
	now -= 29_000 // and is set right
	apply(&messages.ReserveStock{ReservationId: "b", Quantity: 1, HoldForMs: 1_000})
	tasks := Tasks(s, now, nil)
	if len(tasks) != 1 || tasks[0].Due != now+1_000 {
		t.Fatalf("at %d the timer is %+v, the hold runs out in a second", now, tasks)
	}
	now += 1_000
	apply(new(messages.ExpireReservations))
	if tasks := Tasks(s, now, nil); len(tasks) != 0 {
		t.Fatalf("the hold has not ended: %+v", tasks)
	}
}

func applyAt(t *testing.T, s *State, cmd messages.Command, now int64) *messages.Reply {
	t.Helper()
	events, reply, err := Decide(s, cmd, now)
	if err != nil || reply.GetFailure() != nil {
		t.Fatalf("%T: %v, %v", cmd, reply, err)
	}
	for _, e := range events {
		Evolve(s, e, now)
		s.Version++
	}
	return reply
}

// Proves that a count which is taken now counts, whatever clocks have stamped before: a count and a receipt under a clock that was ahead do not
// silence it, nor is what they moved added to it.
func TestCountAfterClockSetBack(t *testing.T) {
	s, now := New("sku", "S"), int64(100_000)
	applyAt(t, s, &messages.SetStock{OnHand: 5}, now+30_000)
	applyAt(t, s, &messages.ReceiveStock{Quantity: 4}, now+30_100)
	reply := applyAt(t, s, &messages.SetStock{OnHand: 100}, now)
	if reply.GetStock().Ignored || s.onHand != 100 {
		t.Fatalf("%v, %d on hand", reply, s.onHand)
	}
	if reply := applyAt(t, s, &messages.SetStock{OnHand: 1, AsOfMs: now - 1_000}, now); !reply.GetStock().Ignored {
		t.Fatalf("an older count was believed: %v", reply)
	}
}
