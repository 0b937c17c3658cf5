package audit

import "orderyard/actors/inventory"

// endings are the claims that ended, in that order, so that the model forgets what the bucket forgets. For the bucket, a claim whose end it has forgotten
// is one it never had: released late, it is remembered anew, and that is no second exit. The model forgets by the same limits at once, the bucket a
// few per event: so what the model still knows the bucket knows, too.
type endings struct {
	list  []ending // from the oldest; claims made anew since are passed over
	known int      // of the list, those that are still the claim of their id
}

type ending struct {
	id    string
	claim *claim
}

// end takes a claim out of the sums.
func (m *bucketModel) end(id string, c *claim, at int64) {
	m.claimed -= c.quantity
	c.live = false
	m.keep(id, c, at)
}

// keep notes a claim that is not live.
func (m *bucketModel) keep(id string, c *claim, at int64) {
	c.endedAt = at
	m.claims[id] = c
	m.ended.list = append(m.ended.list, ending{id, c})
	m.ended.known++
}

// grant puts a live claim in the place of what had the id before.
func (m *bucketModel) grant(id string, c *claim) {
	switch old := m.claims[id]; {
	case old == nil:
	case old.live:
		m.claimed -= old.quantity
	default:
		m.ended.known--
	}
	m.claims[id] = c
	m.claimed += c.quantity
}

// forget drops ended claims that are too old or too many.
func (m *bucketModel) forget(at int64) {
	for e := &m.ended; len(e.list) > 0; e.list = e.list[1:] {
		oldest := e.list[0]
		if m.claims[oldest.id] == oldest.claim {
			if e.known <= inventory.EndedMax && oldest.claim.endedAt+inventory.EndedKeepMs > at {
				return
			}
			delete(m.claims, oldest.id)
			e.known--
		}
		e.list[0] = ending{}
	}
}
