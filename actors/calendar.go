package actors

import (
	"sync/atomic"

	"orderyard/actors/site"
	"orderyard/messages"
	"orderyard/routing"
)

// calendar answers from a site's document, so a site that says nothing for weeks is known as well as any other. The days are worked out
// once in a site-local day, when somebody asks; whoever asks at the same time does the same work, and either result may stay. Two nodes
// with different zone tables may see different days: then they route differently, and the site alone decides, as ever.
type calendar struct {
	doc  *messages.SiteCalendar
	days atomic.Pointer[routing.WorkDays]
}

// WorkDays implements routing.Calendar.
func (c *calendar) WorkDays(now int64) *routing.WorkDays {
	if days := c.days.Load(); days != nil && now >= days.From && now < days.Until {
		return days
	}
	ahead := site.LookAhead(c.doc, now)
	days := &routing.WorkDays{
		From: ahead.From, Until: ahead.Until, Horizon: ahead.Horizon, Works: ahead.Works, Days: make([]routing.WorkDay, len(ahead.Days)),
	}
	for i, d := range ahead.Days {
		days.Days[i] = routing.WorkDay{OpensAt: d.OpensAt, CutOffAt: d.CutOffAt, ClosesAt: d.ClosesAt}
	}
	days.JoinDays()
	c.days.Store(days)
	return days
}
