package site

import (
	"cmp"
	"strings"

	"orderyard/messages"
)

// State is one site. The zero value is not usable: New or UnmarshalState makes one. Not safe for concurrent use.
type State struct {
	// Version is the entity's, set by its runtime before Decide; it only appears in views and is not part of the marshaled state.
	Version uint64

	id       string
	doc      *messages.SiteDoc // nil = never applied. Shared with the event that brought it: replaced, never written
	calendar *calendar         // of doc
	paused   pause
	sequence uint64 // of the last notice

	work      map[string]*job
	byID      shelf[string, *job]
	deadlines shelf[deadline, *job] // submitted work whose answer is awaited
	atHand    int64                 // work not yet shipped: what open_max limits
	unstarted int64                 // work nobody has begun: what an offline site gives back

	hours, days windows
	ended       ended

	warm     []*job // those that changed last and are not packed yet, the oldest first; some have ended
	warmFrom int

	pending map[string][]*notice     // by fulfillment order, oldest first
	owed    shelf[uint64, *notice]   // the oldest of each, in their turn: what Tasks tells
	putOff  shelf[deadline, *notice] // of those, the ones that let others go first, until when
	atOnce  int                      // how many are told at a time: noticesMax
}

// pause says until when the site takes no new work, and why. A pause that has passed is as good as none.
type pause struct {
	until  int64
	reason string
}

// deadline orders awaited answers by time, ties by id.
type deadline struct {
	at int64
	id string
}

func compareDeadlines(a, b deadline) int {
	if c := cmp.Compare(a.at, b.at); c != 0 {
		return c
	}
	return strings.Compare(a.id, b.id)
}

// New is a site that has not been applied yet.
func New(id string) *State {
	return &State{
		id:        id,
		calendar:  aroundTheClock,
		work:      map[string]*job{},
		byID:      shelf[string, *job]{compare: strings.Compare},
		deadlines: shelf[deadline, *job]{compare: compareDeadlines},
		hours:     windows{kept: hoursKept},
		days:      windows{kept: daysKept},
		pending:   map[string][]*notice{},
		owed:      shelf[uint64, *notice]{compare: cmp.Compare[uint64]},
		putOff:    shelf[deadline, *notice]{compare: compareDeadlines},
		atOnce:    noticesMax,
	}
}

// LimitNotices sets how many notices are told at a time, which is no part of the state. The simulation does, to meet the limit.
func (s *State) LimitNotices(n int) { s.atOnce = n }

// View is the site as the public sees it at a moment. accepted_today counts the working date that new work would get now: it is
// the number that per_day is compared with. Both counts come with the moment from which work is counted elsewhere, so that whoever
// keeps the view knows later what of it still holds. The document is nil for a site that was never applied.
func View(s *State, now int64) *messages.SiteView {
	hour, until := s.calendar.hourWindow(now)
	view := &messages.SiteView{
		Doc: s.doc, Open: s.atHand, AcceptedThisHour: s.hours.count(hour), HourUntilMs: until, Version: s.Version,
	}
	date, until, works := s.calendar.workDay(now)
	view.DayUntilMs = until
	if works {
		view.AcceptedToday = s.days.count(date)
	}
	if s.paused.until > now {
		view.PausedUntilMs = s.paused.until
	}
	return view
}
