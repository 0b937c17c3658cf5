package entity

import "orderyard/messages"

// dedup remembers the first answer to every command id that changed something. It forgets by age and by count, both functions of
// the journal alone, so every replay remembers the same.
type dedup struct {
	answers map[string]*messages.DedupEntry
	order   []*messages.DedupEntry // oldest first; order[head:] is live
	head    int
}

func (d *dedup) get(id string) (*messages.DedupEntry, bool) {
	e, ok := d.answers[id]
	return e, ok
}

func (d *dedup) add(e *messages.DedupEntry, keepMs int64, most int) {
	if d.answers == nil {
		d.answers = make(map[string]*messages.DedupEntry)
	}
	d.answers[e.CommandId] = e
	d.order = append(d.order, e)
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
}

func (d *dedup) list() []*messages.DedupEntry { return d.order[d.head:] }

func (d *dedup) load(entries []*messages.DedupEntry) {
	d.order, d.head = entries, 0
	d.answers = make(map[string]*messages.DedupEntry, len(entries))
	for _, e := range entries {
		d.answers[e.CommandId] = e
	}
}
