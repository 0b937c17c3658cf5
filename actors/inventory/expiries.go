package inventory

import "math"

// expiries orders holds by the time they run out, then by age. Entries go stale when their hold is extended or ends; they leave when
// they surface, or all together when they are the greater part.
type expiries struct {
	minHeap[expiry]
	stale int
}

type expiry struct {
	at       int64
	sequence uint64
	of       *reservation
}

func (e expiry) isStale() bool { return e.of.status != held || e.of.expiresAt != e.at }

func newExpiries() expiries {
	return expiries{minHeap: minHeap[expiry]{less: func(a, b expiry) bool {
		return a.at < b.at || a.at == b.at && a.sequence < b.sequence
	}}}
}

func (x *expiries) add(r *reservation) { x.push(expiry{at: r.expiresAt, sequence: r.sequence, of: r}) }

// settle makes the top of the heap a true entry, and rebuilds the heap when most of it is stale.
func (x *expiries) settle() {
	for len(x.items) > 0 && x.items[0].isStale() {
		x.pop()
		x.stale--
	}
	if x.stale <= 1024 || x.stale <= len(x.items)/2 {
		return
	}
	kept := x.items[:0]
	for _, e := range x.items {
		if !e.isStale() {
			kept = append(kept, e)
		}
	}
	clear(x.items[len(kept):])
	x.items, x.stale = kept, 0
	x.order()
}

// due lists the holds that have run out by now, earliest first, until they free `need` units or there are `most` of them. It leaves
// out skip, which the caller deals with. more says that the list was cut off by `most`.
func (x *expiries) due(now, need int64, most int, skip *reservation) (list []*reservation, freed int64, more bool) {
	if len(x.items) == 0 || x.items[0].at > now {
		return nil, 0, false
	}
	// A walk from the top in order, without taking anything out: the frontier is a heap of indices.
	frontier := minHeap[int]{less: func(a, b int) bool { return x.less(x.items[a], x.items[b]) }}
	frontier.push(0)
	for len(frontier.items) > 0 && freed < need {
		i := frontier.pop()
		if e := x.items[i]; !e.isStale() && e.of != skip {
			if len(list) == most {
				return list, freed, true
			}
			list = append(list, e.of)
			freed += e.of.remaining()
		}
		for child := 2*i + 1; child <= 2*i+2 && child < len(x.items); child++ {
			if x.items[child].at <= now {
				frontier.push(child)
			}
		}
	}
	return list, freed, false
}

// unlimited asks due for all there is.
const unlimited = math.MaxInt64
