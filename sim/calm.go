package sim

import (
	"fmt"

	"orderyard/actors/entity"
	"orderyard/cluster"
	"orderyard/messages"
)

// settleDown ends the faults and removes every reason to wait: then all must come to rest.
func (l *load) settleDown() {
	l.calm, l.over = true, l.w.now
	l.w.heal()
	l.w.note("calm")
	l.supply()
	// A refusal that was sent before, and comes late, may close a site or empty a bucket again: rightly, and then orders wait for days.
	l.w.after(supplyAgainMs, func() {
		if !l.rested {
			l.supply()
		}
	})
	l.w.every(500, func() bool { l.rested = l.rested || l.atRest(); return !l.rested })
}

// supply opens every site and fills every bucket.
func (l *load) supply() {
	for _, site := range l.sites {
		l.ask(l.id("online"), messages.SiteRef(site), &messages.SetSiteStatus{Status: "online"}, nil)
		l.ask(l.id("capacity"), messages.SiteRef(site), &messages.SetSiteCapacity{Capacity: &messages.SiteCapacity{}}, nil)
		for _, sku := range l.skus {
			l.count(sku, site, 2_000)
		}
	}
}

// atRest says that every question is answered and nobody owes anything but far timers.
func (l *load) atRest() bool { return l.w.now >= l.over+calmMs && l.pending == 0 && l.restless() == "" }

// calmMs is how long the calm lasts at least: holds run out in it.
const calmMs = 10_000

// supplyAgainMs is later than anything that was sent before the calm can arrive.
const supplyAgainMs = 60_000

// restless names something that is not finished yet; "" when all is.
func (l *load) restless() string {
	owners := make([]*lane, l.w.o.Partitions)
	for _, n := range l.w.seats {
		if n.gone || n.paused || n.cut {
			return n.incarnation
		}
		for p, lane := range n.lanes {
			switch {
			case lane.phase == cluster.PhaseIdle:
			case lane.phase != cluster.PhaseServing || lane.committing || owners[p] != nil:
				return fmt.Sprintf("partition %d is %s on %s", p, lane.phase, n.incarnation)
			case lane.feed.acked.Position != lane.head.Position:
				return fmt.Sprintf("events of partition %d are published up to %d of %d", p, lane.feed.acked, lane.head.Position)
			default:
				owners[p] = lane
			}
		}
	}
	for p, lane := range owners {
		if lane == nil {
			return fmt.Sprintf("nobody serves partition %d", p)
		}
		if what := lane.restless(); what != "" {
			return what
		}
	}
	return ""
}

// restless names an entity that is not finished yet.
func (l *lane) restless() string {
	for _, ref := range l.store.Refs() {
		core, err := l.core(ref)
		if err != nil {
			return fmt.Sprintf("%s: %v", ref, err)
		}
		if what := unfinished(core, l.n.wall()); what != "" {
			return ref.String() + ": " + what
		}
	}
	return ""
}

// core gives an entity without bringing it to life.
func (l *lane) core(ref messages.Ref) (*entity.Core, error) {
	if v := l.live[ref]; v != nil {
		return v.core, nil
	}
	return l.store.Core(ref, l.w.kinds, nil, &l.w.limits)
}

// unfinished names what an entity still owes to others, or an order that is neither at its end nor somebody's.
func unfinished(c *entity.Core, now int64) string {
	for _, t := range c.Machine().Tasks(now, nil) {
		if t.To != c.Ref() && t.Due <= now {
			return "owes " + t.ID
		}
	}
	if s, ok := c.Machine().Summary().(*messages.OrderSummary); ok && s != nil {
		switch {
		case s.Status == "completed" || s.Status == "cancelled" || s.Status == "exception":
		case len(c.Machine().Waits()) > 0 && excluded(c):
			// A site that said it has no such stock is never asked again for it: this order waits for another site.
		default:
			return "is " + s.Status
		}
	}
	return ""
}

// excluded says that an order has been refused by some site for good.
func excluded(c *entity.Core) bool {
	m := c.Machine()
	for {
		switch inner := m.(type) {
		case *twice:
			m = inner.Machine
		case *buggy:
			m = inner.Machine
		default:
			v, ok := m.(interface{ View() *messages.OrderView })
			return ok && len(v.View().Exclusions) > 0
		}
	}
}
