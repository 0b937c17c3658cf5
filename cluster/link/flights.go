package link

import "orderyard/messages"

// flight is a call that was not answered yet.
type flight struct {
	call      uint64 // 0 = free
	chunk     uint64 // it is in
	until     int64  // Unix ms when it is swept
	done      func(*messages.Reply)
	from      messages.Ref // the entity whose task it is
	commandID string
}

// slotBits bounds the calls of one peer to a million. The rest of a call's number is unique for the process: an answer that comes
// late, even to a peer that was forgotten and met again, never finds another call.
const slotBits = 20

// flights is the table of one peer's calls; the peer's lock guards it.
type flights struct {
	slots   []flight
	free    []uint32
	clients int
	tasks   int
}

// add takes a free slot and gives the call its number; serial is new for every call of the process. False when the table is full.
func (t *flights) add(serial uint64, f flight) (uint64, bool) {
	var slot uint32
	if n := len(t.free); n > 0 {
		slot = t.free[n-1]
		t.free = t.free[:n-1]
	} else {
		if len(t.slots) == 1<<slotBits {
			return 0, false
		}
		slot = uint32(len(t.slots))
		t.slots = append(t.slots, flight{})
	}
	f.call = serial<<slotBits | uint64(slot)
	t.slots[slot] = f
	if f.from.IsZero() {
		t.clients++
	} else {
		t.tasks++
	}
	return f.call, true
}

// take removes a call; false when it is answered already.
func (t *flights) take(call uint64) (flight, bool) {
	slot := call & (1<<slotBits - 1)
	if call == 0 || slot >= uint64(len(t.slots)) || t.slots[slot].call != call {
		return flight{}, false
	}
	f := t.slots[slot]
	t.slots[slot] = flight{}
	t.free = append(t.free, uint32(slot))
	if f.from.IsZero() {
		t.clients--
	} else {
		t.tasks--
	}
	return f, true
}

// takeIf removes every call that fits.
func (t *flights) takeIf(fits func(*flight) bool) (taken []flight) {
	if t.clients+t.tasks == 0 {
		return nil
	}
	for i := range t.slots {
		if f := &t.slots[i]; f.call != 0 && fits(f) {
			one, _ := t.take(f.call)
			taken = append(taken, one)
		}
	}
	if t.clients+t.tasks == 0 && len(t.slots) > 1024 {
		t.slots, t.free = nil, nil // a peak is not kept
	}
	return taken
}
