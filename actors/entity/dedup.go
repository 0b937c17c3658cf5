package entity

import "orderyard/messages"

// dedup remembers the first answer to every command id that changed something. It forgets by age and by count, both functions of
// the journal alone, so every replay remembers the same.
type dedup struct {
	answers map[string]*messages.DedupEntry // nil while there are few
	order   []*messages.DedupEntry          // oldest first; order[head:] is live
	head    int
}

// fewAnswers are looked through one by one: most entities hear a handful of commands in their life, and a map weighs more than those.
const fewAnswers = 8

func (d *dedup) get(id string) (*messages.DedupEntry, bool) {
	if d.answers != nil {
		e, ok := d.answers[id]
		return e, ok
	}
	live := d.order[d.head:]
	for i := len(live) - 1; i >= 0; i-- {
		if live[i].CommandId == id {
			return live[i], true
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

// index makes the map once there is enough for one.
func (d *dedup) index() {
	live := d.order[d.head:]
	if d.answers != nil || len(live) <= fewAnswers {
		return
	}
	d.answers = make(map[string]*messages.DedupEntry, len(live))
	for _, e := range live {
		d.answers[e.CommandId] = e
	}
}

func (d *dedup) list() []*messages.DedupEntry { return d.order[d.head:] }

func (d *dedup) load(entries []*messages.DedupEntry) {
	d.order, d.head, d.answers = entries, 0, nil
	d.index()
}
