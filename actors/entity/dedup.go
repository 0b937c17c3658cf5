package entity

import "orderyard/messages"

// dedup remembers the first answer to every command id that changed something. It forgets by age and by count, oldest first, by what the journal says and
// two dials of the operators': every replay remembers the same, or the newest part of it. Most entities remember a few: those are looked through; the
// index is made when there are many.
type dedup struct {
	answers map[string]*messages.DedupEntry // nil while there are few
	order   []*messages.DedupEntry          // oldest first; order[head:] is live
	head    int
}

const fewAnswers = 12

func (d *dedup) get(id string) (*messages.DedupEntry, bool) {
	if d.answers != nil {
		e, ok := d.answers[id]
		return e, ok
	}
	for _, e := range d.list() {
		if e.CommandId == id {
			return e, true
		}
	}
	return nil, false
}

func (d *dedup) add(e *messages.DedupEntry, keepMs int64, most int) {
	d.order = append(d.order, e)
	if d.answers != nil {
		d.answers[e.CommandId] = e
	}
	for d.head < len(d.order) {
		oldest := d.order[d.head]
		if len(d.order)-d.head <= most && (keepMs == 0 || oldest.AtMs+keepMs > e.AtMs) {
			break
		}
		delete(d.answers, oldest.CommandId)
		d.order[d.head] = nil
		d.head++
	}
	if d.head > 64 && d.head > len(d.order)/2 {
		d.order = append(d.order[:0:0], d.order[d.head:]...)
		d.head = 0
	}
	d.index()
}

func (d *dedup) list() []*messages.DedupEntry { return d.order[d.head:] }

func (d *dedup) load(entries []*messages.DedupEntry) {
	d.order, d.head, d.answers = entries, 0, nil
	d.index()
}

// index makes the index once there are many.
func (d *dedup) index() {
	if d.answers != nil || len(d.order)-d.head <= fewAnswers {
		return
	}
	d.answers = make(map[string]*messages.DedupEntry, len(d.order)-d.head)
	for _, e := range d.list() {
		d.answers[e.CommandId] = e
	}
}
