package sim

import (
	"fmt"
	"slices"

	"orderyard/actors/entity"
	"orderyard/cluster"
	"orderyard/messages"
)

// The calm has two parts. In the first one everything that happened comes to its end; then a day passes at once, with all that is due in it: the ends of
// holds and of cool-offs, the net under lost wake-ups, questions about old claims. In the second part nothing may wait any more that somebody could serve.
const (
	// calmMs is how long the first part lasts at least: later than anything that was sent before it can arrive, but for the longest way.
	calmMs = 9_500
	// leapMs is how much time passes at once.
	leapMs = 25 * 3600 * 1000
	// morningMs is how long the second part lasts at least: every timer that was due has run.
	morningMs = 2_500
	// supplyAgainMs is later than anything that was sent before the calm can arrive.
	supplyAgainMs = 60_000
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
	l.w.every(700, func() bool { l.desk(); return !l.rested })
	l.w.every(500, func() bool { l.lookAround(); return !l.rested })
}

// lookAround ends the first part of the calm, and then the second.
func (l *load) lookAround() {
	switch {
	case l.w.now < l.over+calmMs || l.pending > 0 || l.restless() != "":
	case l.w.leap == 0:
		l.w.ledger.evening()
		l.w.leap, l.over = leapMs, l.w.now+morningMs-calmMs
		l.w.note("a day passes")
	default:
		l.rested = true
	}
}

// supply opens every site and fills every bucket.
func (l *load) supply() {
	for _, site := range l.sites {
		l.ask(l.id("online"), messages.SiteRef(site), &messages.SetSiteStatus{Status: "online"}, nil)
		l.ask(l.id("capacity"), messages.SiteRef(site), &messages.SetSiteCapacity{Capacity: &messages.SiteCapacity{}}, nil)
		for _, sku := range l.skus {
			l.count(sku, site, 2_000, nil)
		}
	}
}

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
		if what := l.unfinished(core, l.n.wall()); what != "" {
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
func (l *lane) unfinished(c *entity.Core, now int64) string {
	for _, t := range c.Machine().Tasks(now, nil) {
		if t.To != c.Ref() && t.Due <= now {
			return "owes " + t.ID
		}
	}
	if s, ok := c.Machine().Summary().(*messages.OrderSummary); ok && s != nil {
		switch {
		case s.Status == "completed" || s.Status == "cancelled":
		case (s.Status == "exception" || s.Status == "held") && l.w.load.let[s.OrderId] >= letMax: // people have done what they could
		case len(c.Machine().Waits()) > 0 && l.w.load.nobodyServes(c, now):
		default:
			return "is " + s.Status
		}
	}
	return ""
}

// nobodyServes says that an order waits rightly: every site has refused it for a SKU it waits for, or is kept out for a while. A site that said it has no
// such stock is never asked again for it. Before the day has passed one refusal is enough: others may be on their way.
func (l *load) nobodyServes(c *entity.Core, now int64) bool {
	view := viewOf(c.Machine())
	if view == nil || l.w.leap == 0 {
		return view != nil && len(view.Exclusions) > 0
	}
	out := func(site, sku string) bool {
		return slices.ContainsFunc(view.Exclusions, func(x *messages.Exclusion) bool {
			return x.Site == site && (x.Sku == "" || x.Sku == sku) && (x.UntilMs == 0 || x.UntilMs > now)
		})
	}
	waits := c.Machine().Waits()
	if view.Order.Partial == "complete_only" { // one site must have all of it
		return !slices.ContainsFunc(l.sites, func(site string) bool {
			return !slices.ContainsFunc(waits, func(sku string) bool { return out(site, sku) })
		})
	}
	return slices.ContainsFunc(waits, func(sku string) bool {
		return !slices.ContainsFunc(l.sites, func(site string) bool { return !out(site, sku) })
	})
}

// viewOf gives an order whole; nil of anything else.
func viewOf(m entity.Machine) *messages.OrderView {
	for {
		switch inner := m.(type) {
		case *twice:
			m = inner.Machine
		case *buggy:
			m = inner.Machine
		default:
			if v, ok := m.(interface{ View() *messages.OrderView }); ok {
				return v.View()
			}
			return nil
		}
	}
}
