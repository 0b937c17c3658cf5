package site

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // a container image without zone files knows the same zones

	"orderyard/messages"
)

// calendar is a site's calendar made ready for arithmetic.
//
// Its answers are a function of the document, the instant asked about and the time zone database of the running binary or
// machine. The database is constant while a process runs, and the cache below only spares reading it again, so within a process
// these are pure functions. Between processes the database may differ by a release; that cannot split a state, because only
// Decide asks the calendar and what it answers is written into the events. "Local" is refused as a zone: it would mean
// another place on every node.
type calendar struct {
	zone   *time.Location
	always bool    // no opening hours given: open around the clock
	hours  [7]span // Monday first
	cutOff int     // minute of the day from which work waits for the next working day; dayEnd = none
	closed []int64 // day numbers, sorted
}

// span is opening hours in minutes of the day; to = 0 means closed.
type span struct{ from, to int }

const dayEnd = 24 * 60

var weekdays = [7]string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// aroundTheClock serves a site without a calendar.
var aroundTheClock = &calendar{zone: time.UTC, always: true, cutOff: dayEnd}

// newCalendar compiles a document's calendar and reports everything wrong with it. The result is usable even then: what could
// not be read counts as closed, a zone that is unknown as UTC, so that Evolve accepts a document any earlier version took.
func newCalendar(doc *messages.SiteCalendar) (*calendar, []*messages.FieldError) {
	if doc == nil {
		return aroundTheClock, nil
	}
	var errs []*messages.FieldError
	wrong := func(field string, err error) {
		errs = append(errs, &messages.FieldError{Field: "calendar." + field, Code: messages.CodeInvalid, Message: err.Error()})
	}
	c := &calendar{zone: time.UTC, always: len(doc.Open) == 0, cutOff: dayEnd}
	if zone, err := loadZone(doc.TimeZone); err != nil {
		wrong("time_zone", err)
	} else {
		c.zone = zone
	}
	if n := len(doc.Open); n != 0 && n != len(c.hours) {
		wrong("open", fmt.Errorf("has %d days, a week has 7", n))
	}
	for i, text := range doc.Open[:min(len(doc.Open), len(c.hours))] {
		hours, err := parseSpan(text)
		if err != nil {
			wrong("open."+weekdays[i], err)
		}
		c.hours[i] = hours
	}
	if doc.CutOff != "" {
		minute, err := parseMinute(doc.CutOff)
		if err != nil {
			wrong("cut_off", err)
		} else {
			c.cutOff = minute
		}
	}
	if len(doc.Closed) > closedMax {
		wrong("closed", fmt.Errorf("has %d dates, at most %d are allowed", len(doc.Closed), closedMax))
	}
	for i, text := range doc.Closed[:min(len(doc.Closed), closedMax)] {
		date, err := time.Parse(time.DateOnly, text)
		if err != nil {
			wrong("closed["+strconv.Itoa(i)+"]", fmt.Errorf("%q is not a date like 2026-12-25", text))
			continue
		}
		c.closed = append(c.closed, dayNumber(date))
	}
	slices.Sort(c.closed)
	return c, errs
}

// zones caches what LoadLocation found, by name; only names that exist enter, so the database bounds it.
var zones sync.Map

func loadZone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	if zone, ok := zones.Load(name); ok {
		return zone.(*time.Location), nil
	}
	if name == "Local" {
		return nil, errors.New(`"Local" is another zone on every machine, name one like America/Denver`)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%q is not a time zone like America/Denver", name)
	}
	zones.Store(name, zone)
	return zone, nil
}

// parseSpan reads "08:00-18:00"; "" is a closed day. Hours over midnight are refused: the working date of the small hours would
// be a guess. Two days say the same without one.
func parseSpan(text string) (span, error) {
	if text == "" {
		return span{}, nil
	}
	from, to, found := strings.Cut(text, "-")
	a, errA := parseMinute(from)
	b, errB := parseMinute(to)
	if to == "24:00" {
		b, errB = dayEnd, nil
	}
	if !found || errA != nil || errB != nil {
		return span{}, fmt.Errorf(`%q is not like "08:00-18:00"`, text)
	}
	if a >= b {
		return span{}, fmt.Errorf("%q must open before it closes, within one day (the latest closing is 24:00)", text)
	}
	return span{a, b}, nil
}

// parseMinute reads "15:00" as a minute of the day.
func parseMinute(text string) (int, error) {
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, fmt.Errorf(`%q is not like "15:00"`, text)
	}
	return t.Hour()*60 + t.Minute(), nil
}

// hour names the site-local hour of an instant, "2026-11-22T09".
func (c *calendar) hour(now int64) string {
	var b [16]byte
	return string(time.UnixMilli(now).In(c.zone).AppendFormat(b[:0], "2006-01-02T15"))
}

// nextHour is the first instant after now that lies in another hour window.
func (c *calendar) nextHour(now int64) int64 {
	_, until := c.hourWindow(now)
	return until
}

// hourWindow is the hour window of an instant, and its end. The wall may show one hour twice (clocks go back), by whole or by half
// hours, so it walks from full hour to full hour until the name changes.
func (c *calendar) hourWindow(now int64) (name string, until int64) {
	name = c.hour(now)
	for range 4 {
		t := time.UnixMilli(now).In(c.zone)
		into := int64(t.Minute())*minuteMs + int64(t.Second())*1000 + int64(t.Nanosecond())/1e6
		now += hourMs - into
		if c.hour(now) != name {
			break
		}
	}
	return name, now
}

// workDay is the day on which work that is taken now will be done: the first working day, within the horizon, whose cut-off
// (or closing, whichever is earlier) is still ahead. until is that moment: from then on new work goes to a later day.
func (c *calendar) workDay(now int64) (date string, until int64, ok bool) {
	today := c.today(now)
	for day := today; day <= today+horizonDays; day++ {
		hours, works := c.openOn(day)
		if !works {
			continue
		}
		until = c.instant(day, min(c.cutOff, hours.to))
		if until > now {
			return dateOf(day), until, true
		}
	}
	return "", c.instant(today+1, 0), false
}

// nextOpening is the first opening after now; a site that is always open opens each midnight. When it does not open within the
// horizon it is the day after the horizon, when asking again makes sense.
func (c *calendar) nextOpening(now int64) int64 {
	today := c.today(now)
	for day := today; day <= today+horizonDays; day++ {
		if hours, works := c.openOn(day); works {
			if at := c.instant(day, hours.from); at > now {
				return at
			}
		}
	}
	return c.instant(today+horizonDays+1, 0)
}

// openOn gives the opening hours of a day, and whether it is a working day.
func (c *calendar) openOn(day int64) (span, bool) {
	if _, shut := slices.BinarySearch(c.closed, day); shut {
		return span{}, false
	}
	if c.always {
		return span{0, dayEnd}, true
	}
	// Day 0, 1970-01-01, was a Thursday.
	hours := c.hours[((day+3)%7+7)%7]
	return hours, hours.to > 0
}

// today is the number of the site-local day of an instant.
func (c *calendar) today(now int64) int64 { return dayNumber(time.UnixMilli(now).In(c.zone)) }

// instant is the first moment at which the wall shows a minute of a day, or a later one when clocks skip that minute.
// time.Date alone does not say which of two moments it picks: it gave Denver the first 01:30 of a long night and Berlin the
// second 02:30.
func (c *calendar) instant(day int64, minute int) int64 {
	wall := day*86400 + int64(minute)*60
	y, m, d := time.Unix(day*86400, 0).UTC().Date()
	t := time.Date(y, m, d, 0, minute, 0, 0, c.zone)
	_, offset := t.Zone()
	start, end := t.ZoneBounds()
	switch shows := t.Unix() + int64(offset); {
	case shows < wall: // skipped: the clock jumps over it
		return end.UnixMilli()
	case shows > wall:
		return start.UnixMilli()
	case !start.IsZero():
		_, before := start.Add(-1).Zone()
		if earlier := wall - int64(before); earlier < start.Unix() {
			return earlier * 1000
		}
	}
	return t.UnixMilli()
}

// dayNumber counts days from 1970-01-01 by the date that t shows.
func dayNumber(t time.Time) int64 {
	y, m, d := t.Date()
	seconds := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix()
	return seconds / 86400 // exact: midnight UTC
}

func dateOf(day int64) string { return time.Unix(day*86400, 0).UTC().Format(time.DateOnly) }
