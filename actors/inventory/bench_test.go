package inventory

import (
	"strconv"
	"testing"

	"orderyard/messages"
)

// crowded is a bucket with a million holds, five minutes old.
func crowded(b testing.TB, holds int) *State {
	b.Helper()
	s := New("TEE", "S1")
	Evolve(s, &messages.StockCounted{Sku: "TEE", Site: "S1", OnHand: CountMax, AsOfMs: 1}, 1)
	for i := range holds {
		e := &messages.StockReserved{ReservationId: "web-" + strconv.Itoa(i) + ".1/0", Quantity: 1, ExpiresAtMs: int64(1_000_000 + i/10), OrderId: "web-" + strconv.Itoa(i)}
		Evolve(s, e, 1)
	}
	return s
}

func commands(n int) []messages.ReserveStock {
	list := make([]messages.ReserveStock, n)
	for i := range list {
		c := &list[i]
		c.Sku, c.Site, c.ReservationId, c.OrderId, c.Quantity = "TEE", "S1", "new-"+strconv.Itoa(i)+".1/0", "new-"+strconv.Itoa(i), 1
	}
	return list
}

// BenchmarkReserve measures one reservation on a bucket that holds a million: decide, evolve, tasks. The floor is 150,000 per second.
func BenchmarkReserve(b *testing.B) {
	s, list := crowded(b, 1_000_000), commands(b.N)
	var tasks []messages.Task
	b.ReportAllocs()
	b.ResetTimer()
	for i := range list {
		now := int64(500_000 + i/100)
		events, _, err := Decide(s, &list[i], now)
		if err != nil {
			b.Fatal(err)
		}
		for _, e := range events {
			Evolve(s, e, now)
		}
		tasks = Tasks(s, now, tasks[:0])
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reservations/s")
}

// BenchmarkReserveConfirmShip measures the whole life of a claim on a bucket that holds a million others.
func BenchmarkReserveConfirmShip(b *testing.B) {
	s, list := crowded(b, 1_000_000), commands(b.N)
	var tasks []messages.Task
	run := func(cmd messages.Command, now int64) {
		events, _, err := Decide(s, cmd, now)
		if err != nil {
			b.Fatal(err)
		}
		for _, e := range events {
			Evolve(s, e, now)
		}
		tasks = Tasks(s, now, tasks[:0])
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range list {
		now := int64(500_000 + i/100)
		run(&list[i], now)
		run(&messages.ConfirmReservation{ReservationId: list[i].ReservationId}, now)
		run(&messages.ShipStock{ReservationId: list[i].ReservationId}, now)
	}
}

// BenchmarkExpire measures the timer on a bucket whose million holds run out, per hold.
func BenchmarkExpire(b *testing.B) {
	s := crowded(b, b.N)
	b.ResetTimer()
	for now := int64(10_000_000); s.live.length > 0; now++ {
		events, _, _ := Decide(s, new(messages.ExpireReservations), now)
		for _, e := range events {
			Evolve(s, e, now)
		}
	}
}

// BenchmarkSnapshot measures writing and reading a bucket with a million holds.
func BenchmarkSnapshot(b *testing.B) {
	s := crowded(b, 1_000_000)
	bytes := s.MarshalState()
	b.Run("marshal", func(b *testing.B) {
		for range b.N {
			s.MarshalState()
		}
		b.SetBytes(int64(len(bytes)))
	})
	b.Run("unmarshal", func(b *testing.B) {
		for range b.N {
			if _, err := UnmarshalState(bytes); err != nil {
				b.Fatal(err)
			}
		}
		b.SetBytes(int64(len(bytes)))
	})
}

// TestReserveAllocations proves that a reservation costs three allocations (event, answer, record) and a share of growing tables.
func TestReserveAllocations(t *testing.T) {
	s, list := crowded(t, 1000), commands(2000)
	var tasks []messages.Task
	i := 0
	allocs := testing.AllocsPerRun(1000, func() {
		events, _, err := Decide(s, &list[i], 500_000)
		if err != nil {
			t.Fatal(err)
		}
		Evolve(s, events[0], 500_000)
		tasks = Tasks(s, 500_000, tasks[:0])
		i++
	})
	if allocs > 3 {
		t.Fatalf("%.1f allocations per reservation", allocs)
	}
}
