package routing

import (
	"math"

	"orderyard/routing/ruleset"
)

// Window is how much work a site has accepted in its present hour, or for its present working date.
type Window struct {
	Limit int64 // most fulfillment orders of a window; 0 = no limit
	Taken int64 // accepted in the window that ends at Until
	Until int64 // Unix milliseconds; from then on Taken is of the past and nothing is accepted yet. 0 = nobody told the count
}

// Calendar says when a site works. Its answer is a function of now alone, is shared by all who ask, and may be asked concurrently.
type Calendar interface {
	WorkDays(now int64) *WorkDays
}

// WorkDays are the site-local day of a moment and the working days from then on, in Unix milliseconds. They are read only.
type WorkDays struct {
	From, Until int64     // the day: from From until just before Until
	Horizon     int64     // the end of the last day looked at
	Works       bool      // the site works today: then today is the first of Days
	Days        []WorkDay // earliest first; a closed day is left out
}

// WorkDay is one day a site works on. Work accepted before CutOffAt leaves when that day closes; without a cut-off that is the closing
// itself.
type WorkDay struct {
	OpensAt, CutOffAt, ClosesAt int64
	// OpenUntil is where the opening ends that this day is part of: later than ClosesAt when the next day opens at that very moment. A
	// site that is always open is open until its next closed day, or until the horizon.
	OpenUntil int64
}

// JoinDays fills in where each opening ends. Call it once, before the days are shared.
func (w *WorkDays) JoinDays() {
	for i := len(w.Days) - 1; i >= 0; i-- {
		d := &w.Days[i]
		d.OpenUntil = d.ClosesAt
		if i+1 < len(w.Days) && w.Days[i+1].OpensAt <= d.ClosesAt {
			d.OpenUntil = w.Days[i+1].OpenUntil
		}
	}
}

// FactsAt fills in what rules may ask about the site at a moment, all of it. Texts, lists and attributes are shared with the site. It
// allocates nothing, so it can be asked for every site of every order. What nobody told is unknown:
//
//   - CapacityLeft is the least of what hour, working date and open work leave. It is unknown for a site without limits, and while a
//     count under a limit is not told.
//   - OrdersInWindow and OrderLimit are those of the hour.
//   - SameDayUntil is today's cut-off, also when it is past; 0 on a day the site does not work.
//   - OpenUntil is the end of the present opening; 0 while the site is closed. Adjoining days are one opening.
//   - DispatchAt is when the working day closes that work accepted now falls on. A site with no working day ahead is not known to
//     dispatch before the horizon, so that is what it says.
//
// While the site says nothing new, capacity left never falls and dispatch never comes earlier as time passes. Whether the site takes new
// work at all (status, pause) is asked elsewhere.
func (s *Site) FactsAt(now int64, into *ruleset.Site) {
	into.ID, into.Name, into.Type, into.Country, into.Region, into.PostalCode = s.ID, s.Name, s.Type, s.Country, s.Region, s.PostalCode
	into.Groups, into.LabelsAllowed, into.Markets, into.Carriers = s.Groups, s.LabelsAllowed, s.Markets, s.Carriers
	into.CostPerOrder, into.CostPerUnit, into.Rank, into.Attributes = s.CostPerOrder, s.CostPerUnit, s.Rank, s.Attributes
	into.LoadPermille = numberIf(s.OpenLoadPermille, s.OpenMax > 0)
	into.CapacityLeft = s.CapacityLeft(now)
	into.OrdersInWindow, into.OrderLimit = s.Hour.taken(now), numberIf(s.Hour.Limit, s.Hour.Limit > 0)
	if s.Calendar == nil {
		into.SameDayUntil, into.OpenUntil, into.DispatchAt = ruleset.Number{}, ruleset.Number{}, ruleset.Number{}
		return
	}
	s.Calendar.WorkDays(now).factsAt(now, into)
}

// steadyUntil is until when, at least, facts taken now stay what they are if the site says nothing new.
func (s *Site) steadyUntil(now int64) int64 {
	until := int64(math.MaxInt64)
	sooner := func(at int64) {
		if at > now {
			until = min(until, at)
		}
	}
	sooner(s.Hour.Until)
	sooner(s.Day.Until)
	if s.Calendar != nil {
		w := s.Calendar.WorkDays(now)
		sooner(w.Until)
		for i := range w.Days {
			d := &w.Days[i]
			if d.OpensAt > until {
				break // earliest first
			}
			sooner(d.OpensAt)
			sooner(d.CutOffAt)
			sooner(d.ClosesAt)
		}
	}
	return until
}

func numberIf(n int64, known bool) ruleset.Number {
	if !known {
		return ruleset.Number{}
	}
	return ruleset.Known(n)
}

// CapacityLeft is the number of fulfillment orders the site can still take at a moment; see FactsAt.
func (s *Site) CapacityLeft(now int64) ruleset.Number {
	left := int64(math.MaxInt64)
	if s.OpenMax > 0 {
		left = max(s.OpenMax-s.Open, 0)
	}
	for _, w := range [...]*Window{&s.Hour, &s.Day} {
		if w.Limit <= 0 {
			continue
		}
		taken := w.taken(now)
		if !taken.Known {
			return ruleset.Number{}
		}
		left = min(left, max(w.Limit-taken.Value, 0))
	}
	return numberIf(left, left < math.MaxInt64)
}

func (w *Window) taken(now int64) ruleset.Number {
	switch {
	case w.Until == 0:
		return ruleset.Number{}
	case now >= w.Until:
		return ruleset.Known(0)
	}
	return ruleset.Known(w.Taken)
}

func (w *WorkDays) factsAt(now int64, into *ruleset.Site) {
	into.SameDayUntil, into.OpenUntil = ruleset.Known(0), ruleset.Known(0)
	into.DispatchAt = ruleset.Known(w.Horizon)
	if w.Works {
		into.SameDayUntil.Value = w.Days[0].CutOffAt
	}
	for i := range w.Days {
		d := &w.Days[i]
		if now >= d.OpensAt && now < d.ClosesAt {
			into.OpenUntil.Value = d.OpenUntil
		}
		if now < d.CutOffAt {
			into.DispatchAt.Value = d.ClosesAt
			return
		}
	}
}
