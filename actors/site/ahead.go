package site

import "orderyard/messages"

// Ahead is the site-local day of a moment and the working days from then on, as far as a site takes work ahead. All of it is in Unix
// milliseconds.
type Ahead struct {
	// The day lasts from From until just before Until. While it lasts the answer stays the same.
	From, Until int64
	// Horizon is the end of the last day looked at.
	Horizon int64
	Works   bool      // it works today: then today is the first of Days
	Days    []WorkDay // earliest first; a closed day is left out
}

// WorkDay is one day a site works on. Work accepted before CutOffAt (the closing, when there is no cut-off or a later one) is done on that
// day. A day may close as it opens, when clocks skip its hours.
type WorkDay struct {
	OpensAt, CutOffAt, ClosesAt int64
}

// LookAhead works out the coming days of a site's calendar: today and the horizonDays after it, as workDay does. It is a function of the
// calendar, the moment and the zone table of the running program. A calendar with mistakes counts as newCalendar says. It reads the whole
// calendar, which takes some microseconds: keep the answer while its day lasts.
func LookAhead(doc *messages.SiteCalendar, now int64) Ahead {
	c, _ := newCalendar(doc)
	today := c.today(now)
	ahead := Ahead{
		From: c.instant(today, 0), Until: c.instant(today+1, 0), Horizon: c.instant(today+horizonDays+1, 0),
		Days: make([]WorkDay, 0, horizonDays+1),
	}
	_, ahead.Works = c.openOn(today)
	for day := today; day <= today+horizonDays; day++ {
		if hours, works := c.openOn(day); works {
			ahead.Days = append(ahead.Days, WorkDay{
				OpensAt: c.instant(day, hours.from), CutOffAt: c.instant(day, min(c.cutOff, hours.to)), ClosesAt: c.instant(day, hours.to),
			})
		}
	}
	return ahead
}
