package entity

import (
	"fmt"

	"orderyard/messages"
)

// toy is a counter with a floor of zero: AdjustStock changes it, ReserveStock asks a neighbor once, GetStock reads it, an adjustment with
// reason "panic" panics, one with "fuse" makes it panic later. Small enough to see through, it has a task, a timer and a refusal.
type toy struct {
	id      string
	sum     int64
	version uint64
	owed    []string // neighbors to be told
	told    int
	ringAt  int64
	rang    int
	fuse    int64 // after that time, what it owes is nothing it can say
}

func toyKinds() Kinds {
	return Kinds{messages.KindBucket: {
		New: func(id string) Machine { return &toy{id: id} },
		Load: func(id string, b []byte) (Machine, error) {
			s := new(messages.BucketState)
			if err := s.UnmarshalVT(b); err != nil {
				return nil, err
			}
			t := &toy{id: id, sum: s.OnHand, told: int(s.SafetyStock), ringAt: s.CountedAsOfMs, rang: int(s.Unsellable), fuse: s.SteppedAtMs}
			for _, r := range s.Reservations {
				t.owed = append(t.owed, r.Id)
			}
			return t, nil
		},
		NewSummary: func() messages.Message { return new(messages.BucketView) },
	}}
}

func (t *toy) Decide(cmd messages.Command, now int64) ([]messages.Event, *messages.Reply, error) {
	answer := func(n int64) *messages.Reply {
		return &messages.Reply{Body: &messages.Reply_Stock{Stock: &messages.StockReply{Atp: n}}}
	}
	switch c := cmd.(type) {
	case *messages.AdjustStock:
		switch {
		case c.Reason == "panic":
			panic("toy broke")
		case t.sum+c.Delta < 0:
			r := answer(t.sum)
			r.Failure = messages.Fail(messages.CodeDeclined, "", "below zero")
			return nil, r, nil
		}
		return []messages.Event{&messages.StockAdjusted{Delta: c.Delta, Reason: c.Reason}}, answer(t.sum + c.Delta), nil
	case *messages.ReserveStock:
		return []messages.Event{&messages.StockReserved{ReservationId: c.ReservationId}}, answer(t.sum), nil
	case *messages.SetStock:
		return []messages.Event{&messages.StockCounted{AsOfMs: now + c.OnHand}}, answer(t.sum), nil
	case *messages.ExpireReservations:
		return []messages.Event{&messages.ReservationExpired{}}, nil, nil
	case *messages.TaskResult:
		if len(t.owed) > 0 && "tell/"+t.owed[0] == c.TaskId {
			return []messages.Event{&messages.OvercommitTold{}}, nil, nil
		}
		return nil, nil, nil
	case *messages.GetStock:
		return nil, answer(t.sum), nil
	}
	return nil, nil, messages.Invalid("", "the toy does not know %T", cmd)
}

func (t *toy) Evolve(e messages.Event, at int64) {
	switch e := e.(type) {
	case *messages.StockAdjusted:
		if e.Reason == "fuse" {
			t.fuse = at + e.Delta
			return
		}
		t.sum += e.Delta
	case *messages.StockReserved:
		t.owed = append(t.owed, e.ReservationId)
	case *messages.OvercommitTold:
		t.owed = t.owed[1:]
		t.told++
	case *messages.StockCounted:
		t.ringAt = e.AsOfMs
	case *messages.ReservationExpired:
		t.ringAt = 0
		t.rang++
	}
}

func (t *toy) Tasks(now int64, dst []messages.Task) []messages.Task {
	if t.fuse != 0 && now > t.fuse {
		panic("toy broke later")
	}
	for _, to := range t.owed {
		dst = append(dst, messages.Task{ID: "tell/" + to, To: messages.Ref{Kind: messages.KindBucket, ID: to}, Command: &messages.AdjustStock{Delta: 1}})
	}
	if t.ringAt != 0 {
		dst = append(dst, messages.Task{ID: "ring", To: messages.Ref{Kind: messages.KindBucket, ID: t.id}, Due: t.ringAt, Command: &messages.ExpireReservations{}})
	}
	return dst
}

func (t *toy) SetVersion(v uint64) { t.version = v }
func (t *toy) MarshalState() []byte {
	s := &messages.BucketState{OnHand: t.sum, SafetyStock: int64(t.told), CountedAsOfMs: t.ringAt, Unsellable: int64(t.rang), SteppedAtMs: t.fuse}
	for _, to := range t.owed {
		s.Reservations = append(s.Reservations, &messages.ReservationState{Id: to})
	}
	b, err := s.MarshalVT()
	if err != nil {
		panic(fmt.Sprint(err))
	}
	return b
}
func (t *toy) Summary() messages.Message {
	return &messages.BucketView{Sku: t.id, OnHand: t.sum, Version: t.version, Reserved: int64(t.told), Allocated: int64(t.rang)}
}
func (t *toy) Waits() []string { return nil }
func (t *toy) Topic() string   { return "" }

func toyRef(id string) messages.Ref { return messages.Ref{Kind: messages.KindBucket, ID: id} }
