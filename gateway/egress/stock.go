package egress

import (
	"orderyard/messages"
)

// bucketChange gathers what one commit did to one bucket: on a hot bucket that is a thousand claims, and one public event.
type bucketChange struct {
	last    occasion // the newest event
	atp     int64
	known   bool // atp is of the newest event
	lowered bool // something took from the ATP
	changes int64
}

// lowering says which events may take the last unit away.
var lowering = func() map[uint32]bool {
	set := make(map[uint32]bool)
	for _, e := range []messages.Event{
		&messages.StockReserved{}, &messages.StockAdjusted{}, &messages.StockCounted{}, &messages.StockLevelsSet{}, &messages.StockRejected{},
	} {
		set[messages.EventType(e)] = true
	}
	return set
}()

// stockMoved notes a change; flushBuckets tells it at the end of the commit.
func (t *translator) stockMoved(o *occasion) error {
	change := t.buckets[o.entry.GetId()]
	if change == nil {
		if n := len(t.spare); n > 0 {
			change, t.spare = t.spare[n-1], t.spare[:n-1]
			*change = bucketChange{}
		} else {
			change = &bucketChange{}
		}
		t.buckets[o.entry.GetId()] = change
		t.changed = append(t.changed, change)
	}
	change.last, change.known = *o, false
	change.changes++
	if lowering[o.entry.GetEvents()[o.index].GetType()] {
		change.lowered = true
	}
	return nil
}

// bucketReply takes the ATP from the entry's answer, which is the only place where the journal spells it out. Timers have no
// answer: the event then goes without.
func (t *translator) bucketReply(e *messages.Entry) {
	change := t.buckets[e.GetId()]
	if change == nil || change.last.entry != e || len(e.GetReply()) == 0 {
		return
	}
	var reply messages.Reply
	if reply.UnmarshalVTUnsafe(e.GetReply()) == nil && reply.GetStock() != nil {
		change.atp, change.known = max(reply.GetStock().GetAtp(), 0), true
	}
}

// stockOvercommitted is told at once, behind the changes that led to it: versions of a bucket ascend. Nothing is available then.
func (t *translator) stockOvercommitted(o *occasion) error {
	var e messages.StockOvercommitted
	if !t.read(o, &e) {
		return nil
	}
	if change := t.buckets[o.entry.GetId()]; change != nil {
		change.atp, change.known = 0, true
		if err := t.tellBucket(change, o.emit); err != nil {
			return err
		}
	}
	t.openStock(o)
	b := appendInt(t.buf, "short", e.GetShort())
	b = append(b, `,"reservations":[`...)
	for i, id := range e.GetVictims() {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, id)
	}
	t.buf = append(b, ']', '}')
	return t.sayStock(o, "overcommitted", "")
}

// flushBuckets tells each changed bucket once.
func (t *translator) flushBuckets(emit func(*outgoing) error) error {
	defer t.forgetBuckets()
	for _, change := range t.changed {
		if err := t.tellBucket(change, emit); err != nil {
			return err
		}
	}
	return nil
}

// tellBucket tells what is gathered and begins anew. `out` follows when the last unit just went.
func (t *translator) tellBucket(change *bucketChange, emit func(*outgoing) error) error {
	if change.changes == 0 {
		return nil
	}
	told := *change
	*change = bucketChange{}
	o := &told.last
	o.emit = emit
	t.openStock(o)
	if told.known {
		t.buf = appendInt(t.buf, "atp", told.atp)
	}
	t.buf = append(appendInt(t.buf, "changes", told.changes), '}')
	if err := t.sayStock(o, "changed", ""); err != nil {
		return err
	}
	if !told.known || told.atp > 0 || !told.lowered {
		return nil
	}
	t.openStock(o)
	t.buf = append(t.buf, '}')
	return t.sayStock(o, "out", "out")
}

func (t *translator) forgetBuckets() {
	t.spare = append(t.spare, t.changed...)
	t.changed = t.changed[:0]
	clear(t.buckets)
}

func (t *translator) openStock(o *occasion) {
	sku, site, _ := messages.SplitBucket(o.entry.GetId())
	b := append(t.buf[:0], `{"sku":`...)
	b = appendString(b, sku)
	b = appendText(b, "site", site)
	t.buf = appendUint(b, "version", o.version)
}

func (t *translator) sayStock(o *occasion, event, more string) error {
	_, site, _ := messages.SplitBucket(o.entry.GetId())
	return t.say(o, familyStock, event, site, o.entry.GetId(), more)
}
