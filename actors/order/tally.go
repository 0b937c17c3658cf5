package order

import "orderyard/messages"

// tally is where the order's units are, computed in one pass. Every unit is counted once: cancelled + backordered + Σ claims + open
// is what was ordered, because open is the rest.
type tally struct {
	cancelled   int64
	backordered int64
	open        int64 // in no claim: may be planned
	returning   int64 // on their way back from a bucket
	movable     int64 // at sites that were not asked yet
	lost        int64 // claimed at a site that was asked to give them back, with a claim that is gone
	planned     int64
	reserved    int64
	allocated   int64
	released    int64
	picking     int64 // of released: the site has begun
	picked      int64
	packed      int64
	shipped     int64
	delivered   int64

	firm       int64 // in claims that do not expire, whatever the site has done with them
	unaccepted int64 // neither accepted by a site, nor back-ordered, nor cancelled: what the elapsed brake watches
	unbooked   int   // claims whose bucket still owes an answer, or is owed a message
	freeing    int   // of these, claims on their way back, empty ones too
	asked      int   // reservation questions without an answer
	declined   int   // lines declined in FOs that are still being gathered
	recalled   int   // FOs whose site was asked to give them back
	kept       int   // FOs no site was asked about, with live claims
	committed  bool  // a site has been asked about live work
}

// count looks at every claim once.
func (s *State) count() tally {
	var t tally
	for i := range s.lines {
		t.cancelled += s.lines[i].cancelled
		t.backordered += s.lines[i].backordered
	}
	away := int64(0)
	for i := range s.fulfillments {
		away += t.add(&s.fulfillments[i])
	}
	t.open = s.units - t.cancelled - t.backordered - away
	t.unaccepted += t.open
	return t
}

func (t *tally) add(f *fulfillment) (away int64) {
	gathering := !f.asked && !f.dropped && !f.over()
	if f.recalled() {
		t.recalled++
	}
	live := int64(0)
	declined := 0
	for i := range f.claims {
		c := &f.claims[i]
		away += c.away()
		switch c.stage {
		case claimFreeing:
			t.returning += c.away()
			t.unaccepted += c.away()
			t.unbooked++
			t.freeing++
			continue
		case claimDeclined:
			declined++
			continue
		case claimFreed:
			continue
		case claimAsked:
			t.asked++
		}
		if c.stage != claimShipped || c.rejected > 0 {
			t.unbooked++
		}
		live += c.live()
		*t.place(f, c) += c.live()
		if !f.accepted() {
			t.unaccepted += c.live()
		}
		if c.stage == claimAllocated || c.stage == claimShipped || c.stage == claimKept {
			t.firm += c.live()
		}
	}
	if live == 0 {
		return away
	}
	if gathering {
		t.kept++
		t.movable += live
		t.declined += declined
	}
	if f.asked {
		t.committed = true
	}
	if f.status == statusPicking {
		t.picking += live
	}
	return away
}

// place is the counter a live claim belongs to.
func (t *tally) place(f *fulfillment, c *claim) *int64 {
	switch r := rank(f.status); {
	case r >= rankDelivered:
		return &t.delivered
	case r == rankShipped:
		return &t.shipped
	case r == rankPacked:
		return &t.packed
	case r == rankPicked:
		return &t.picked
	case c.stage == claimLost:
		return &t.lost
	case c.stage == claimAsked:
		return &t.planned
	case c.stage == claimReserved:
		return &t.reserved
	case r >= rankOpen && f.accepted():
		return &t.released
	}
	return &t.allocated
}

// live is what the order still means to deliver, or has delivered.
func (s *State) live(t *tally) int64 { return s.units - t.cancelled }

// openUnits gives the open units per line, for plans and cancellations. The slice is new.
func (s *State) openUnits() []int64 {
	open := make([]int64, len(s.lines))
	for i := range s.lines {
		open[i] = s.order.Lines[i].GetQuantity() - s.lines[i].cancelled - s.lines[i].backordered
	}
	for i := range s.fulfillments {
		f := &s.fulfillments[i]
		for j := range f.claims {
			c := &f.claims[j]
			open[c.line] -= c.away()
		}
	}
	return open
}

// quantities writes the lines with units as an event tells them.
func quantities(units []int64) []*messages.LineQuantity {
	var list []*messages.LineQuantity
	for i, quantity := range units {
		if quantity > 0 {
			list = append(list, &messages.LineQuantity{Line: uint32(i), Quantity: quantity})
		}
	}
	return list
}
