package site

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"orderyard/messages"
)

var (
	weekdayHours = []string{"08:00-18:00", "08:00-18:00", "08:00-18:00", "08:00-18:00", "08:00-18:00", "", ""}
	everyNight   = []string{"00:30-04:00", "00:30-04:00", "00:30-04:00", "00:30-04:00", "00:30-04:00", "00:30-04:00", "00:30-04:00"}
)

func compile(t testing.TB, doc *messages.SiteCalendar) *calendar {
	t.Helper()
	c, errs := newCalendar(doc)
	if len(errs) > 0 {
		t.Fatalf("calendar %v: %v", doc, errs)
	}
	return c
}

// millis reads an instant with its offset: "2026-11-01T01:30:00-06:00".
func millis(t testing.TB, text string) int64 {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at.UnixMilli()
}

func shown(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05Z") }

// TestWorkDay proves, case by case, on which date new work is counted and until when, over closings, cut-offs and clock changes.
func TestWorkDay(t *testing.T) {
	denver := func(open []string, cutOff string, closed ...string) *messages.SiteCalendar {
		return &messages.SiteCalendar{TimeZone: "America/Denver", Open: open, CutOff: cutOff, Closed: closed}
	}
	for _, c := range []struct {
		name  string
		doc   *messages.SiteCalendar
		now   string
		date  string // "" = no working day
		until string
	}{
		{"NoCalendar", nil, "2026-11-22T09:00:00Z", "2026-11-22", "2026-11-23T00:00:00Z"},
		{"NoCalendarLastMoment", nil, "2026-11-22T23:59:59Z", "2026-11-22", "2026-11-23T00:00:00Z"},
		{"AlwaysOpenWithCutOff", denver(nil, "15:00"), "2026-07-01T15:00:00-06:00", "2026-07-02", "2026-07-02T21:00:00Z"},
		{"AlwaysOpenOnClosedDate", denver(nil, "", "2026-12-25"), "2026-12-25T12:00:00-07:00", "2026-12-26", "2026-12-27T07:00:00Z"},
		{"BeforeOpening", denver(weekdayHours, ""), "2026-07-01T03:00:00-06:00", "2026-07-01", "2026-07-02T00:00:00Z"},
		{"BeforeCutOff", denver(weekdayHours, "15:00"), "2026-07-01T14:59:59-06:00", "2026-07-01", "2026-07-01T21:00:00Z"},
		{"AtCutOff", denver(weekdayHours, "15:00"), "2026-07-01T15:00:00-06:00", "2026-07-02", "2026-07-02T21:00:00Z"},
		{"AfterClosingWithoutCutOff", denver(weekdayHours, ""), "2026-07-01T18:00:00-06:00", "2026-07-02", "2026-07-03T00:00:00Z"},
		{"CutOffAfterClosing", denver(weekdayHours, "20:00"), "2026-07-01T19:00:00-06:00", "2026-07-02", "2026-07-03T00:00:00Z"},
		{"FridayAfterCutOff", denver(weekdayHours, "15:00"), "2026-07-03T16:00:00-06:00", "2026-07-06", "2026-07-06T21:00:00Z"},
		{"ClosedMonday", denver(weekdayHours, "15:00", "2026-07-06"), "2026-07-03T16:00:00-06:00", "2026-07-07", "2026-07-07T21:00:00Z"},
		{"OtherDayInUTC", denver(weekdayHours, ""), "2026-07-01T17:59:00-06:00", "2026-07-01", "2026-07-02T00:00:00Z"},
		{"NeverOpen", denver([]string{"", "", "", "", "", "", ""}, ""), "2026-07-01T12:00:00-06:00", "", "2026-07-02T06:00:00Z"},
		{"OpenOnTheLastDayOfTheHorizon", denver([]string{"", "", "08:00-18:00", "", "", "", ""}, "", "2026-07-08"),
			"2026-07-01T19:00:00-06:00", "2026-07-15", "2026-07-16T00:00:00Z"},
		{"OpenBeyondTheHorizon", denver([]string{"", "", "08:00-18:00", "", "", "", ""}, "", "2026-07-08", "2026-07-15"),
			"2026-07-01T19:00:00-06:00", "", "2026-07-02T06:00:00Z"},
		// Clocks go forward on 2026-03-08: 02:00 MST is 03:00 MDT.
		{"SpringCutOffBeforeTheGap", denver(everyNight, "01:30"), "2026-03-08T01:29:59-07:00", "2026-03-08", "2026-03-08T08:30:00Z"},
		{"SpringCutOffInTheGap", denver(everyNight, "02:30"), "2026-03-08T01:59:59-07:00", "2026-03-08", "2026-03-08T09:00:00Z"},
		{"SpringAfterTheGap", denver(everyNight, "02:30"), "2026-03-08T03:00:00-06:00", "2026-03-09", "2026-03-09T08:30:00Z"},
		{"SpringDayBefore", denver(weekdayHours[:0], ""), "2026-03-08T12:00:00-06:00", "2026-03-08", "2026-03-09T06:00:00Z"},
		// Clocks go back on 2026-11-01: 02:00 MDT is 01:00 MST. The first 01:30 counts, and it stays past when 01:15 comes again.
		{"AutumnFirst", denver(everyNight, "01:30"), "2026-11-01T01:29:59-06:00", "2026-11-01", "2026-11-01T07:30:00Z"},
		{"AutumnSecond", denver(everyNight, "01:30"), "2026-11-01T01:15:00-07:00", "2026-11-02", "2026-11-02T08:30:00Z"},
		{"AutumnFirstEast", &messages.SiteCalendar{TimeZone: "Europe/Berlin", CutOff: "02:30"}, "2026-10-25T02:00:00+02:00", "2026-10-25", "2026-10-25T00:30:00Z"},
		{"AutumnSecondEast", &messages.SiteCalendar{TimeZone: "Europe/Berlin", CutOff: "02:30"}, "2026-10-25T02:00:00+01:00", "2026-10-26", "2026-10-26T01:30:00Z"},
		{"SpringEast", &messages.SiteCalendar{TimeZone: "Europe/Berlin", CutOff: "02:30"}, "2026-03-29T01:59:00+01:00", "2026-03-29", "2026-03-29T01:00:00Z"},
		{"AutumnMidnight", denver(nil, ""), "2026-11-01T12:00:00-07:00", "2026-11-01", "2026-11-02T07:00:00Z"},
		// Clocks go forward at midnight in Cairo on 2026-04-24: the day begins at 01:00.
		{"DayWithoutMidnight", &messages.SiteCalendar{TimeZone: "Africa/Cairo"}, "2026-04-23T23:59:00+02:00", "2026-04-23", "2026-04-23T22:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			date, until, ok := compile(t, c.doc).workDay(millis(t, c.now))
			if date != c.date || shown(until) != c.until || ok != (c.date != "") {
				t.Errorf("work of %s is done on %q until %s (%v), want %q until %s", c.now, date, shown(until), ok, c.date, c.until)
			}
		})
	}
}

// TestNextHour proves where an hour window ends, also when the wall shows an hour twice or skips one.
func TestNextHour(t *testing.T) {
	for _, c := range []struct{ name, zone, now, hour, next string }{
		{"UTC", "", "2026-11-22T09:15:30.250Z", "2026-11-22T09", "2026-11-22T10:00:00Z"},
		{"OnTheHour", "", "2026-11-22T09:00:00Z", "2026-11-22T09", "2026-11-22T10:00:00Z"},
		{"HalfHourZone", "Asia/Kolkata", "2026-11-22T09:15:00Z", "2026-11-22T14", "2026-11-22T09:30:00Z"},
		{"Spring", "America/Denver", "2026-03-08T01:59:00-07:00", "2026-03-08T01", "2026-03-08T09:00:00Z"},
		{"SpringAfter", "America/Denver", "2026-03-08T03:00:00-06:00", "2026-03-08T03", "2026-03-08T10:00:00Z"},
		{"AutumnFirst", "America/Denver", "2026-11-01T01:10:00-06:00", "2026-11-01T01", "2026-11-01T09:00:00Z"},
		{"AutumnSecond", "America/Denver", "2026-11-01T01:10:00-07:00", "2026-11-01T01", "2026-11-01T09:00:00Z"},
		{"AutumnBefore", "America/Denver", "2026-11-01T00:10:00-06:00", "2026-11-01T00", "2026-11-01T07:00:00Z"},
		// Lord Howe goes back by half an hour: 02:00 becomes 01:30, so the hour of 01 lasts ninety minutes.
		{"AutumnByHalf", "Australia/Lord_Howe", "2026-04-05T01:10:00+11:00", "2026-04-05T01", "2026-04-04T15:30:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cal := compile(t, &messages.SiteCalendar{TimeZone: c.zone})
			now := millis(t, c.now)
			if hour, next := cal.hour(now), cal.nextHour(now); hour != c.hour || shown(next) != c.next {
				t.Errorf("%s lies in %s until %s, want %s until %s", c.now, hour, shown(next), c.hour, c.next)
			}
		})
	}
}

// TestNextOpening proves when a site that says "closed" takes work again: at its next opening, never at the present one.
func TestNextOpening(t *testing.T) {
	for _, c := range []struct {
		name string
		doc  *messages.SiteCalendar
		now  string
		want string
	}{
		{"BeforeOpening", &messages.SiteCalendar{Open: weekdayHours}, "2026-07-01T07:00:00Z", "2026-07-01T08:00:00Z"},
		{"AtOpening", &messages.SiteCalendar{Open: weekdayHours}, "2026-07-01T08:00:00Z", "2026-07-02T08:00:00Z"},
		{"Friday", &messages.SiteCalendar{Open: weekdayHours}, "2026-07-03T12:00:00Z", "2026-07-06T08:00:00Z"},
		{"FridayBeforeHoliday", &messages.SiteCalendar{Open: weekdayHours, Closed: []string{"2026-07-06"}}, "2026-07-03T12:00:00Z", "2026-07-07T08:00:00Z"},
		{"AlwaysOpen", nil, "2026-07-01T12:00:00Z", "2026-07-02T00:00:00Z"},
		{"NeverOpen", &messages.SiteCalendar{Open: make([]string, 7)}, "2026-07-01T12:00:00Z", "2026-07-16T00:00:00Z"},
		{"OverSpring", &messages.SiteCalendar{TimeZone: "America/Denver", Open: everyNight}, "2026-03-08T01:00:00-07:00", "2026-03-09T06:30:00Z"},
		{"OverAutumn", &messages.SiteCalendar{TimeZone: "America/Denver", Open: everyNight}, "2026-11-01T01:00:00-07:00", "2026-11-02T07:30:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := compile(t, c.doc).nextOpening(millis(t, c.now)); shown(got) != c.want {
				t.Errorf("opens next at %s, want %s", shown(got), c.want)
			}
		})
	}
}

// TestCalendarErrors proves that everything wrong with a calendar is named at once, by the paths of the public document.
func TestCalendarErrors(t *testing.T) {
	_, errs := newCalendar(&messages.SiteCalendar{
		TimeZone: "America/Gotham",
		Open:     []string{"8-18", "08:00-08:00", "22:00-06:00", "08:00-25:00", "08:00", "00:00-24:00", "8:00-18:00"},
		CutOff:   "3pm",
		Closed:   []string{"2026-12-25", "2026-02-30", "Christmas"},
	})
	want := []string{
		"calendar.time_zone", "calendar.open.mon", "calendar.open.tue", "calendar.open.wed", "calendar.open.thu", "calendar.open.fri",
		"calendar.open.sun", "calendar.cut_off", "calendar.closed[1]", "calendar.closed[2]",
	}
	if len(errs) != len(want) {
		t.Fatalf("got %v", errs)
	}
	for i, e := range errs {
		if e.Field != want[i] || e.Code != messages.CodeInvalid || e.Message == "" {
			t.Errorf("error %d is %v, want field %s", i, e, want[i])
		}
	}
	for _, bad := range []*messages.SiteCalendar{{TimeZone: "Local"}, {TimeZone: "../etc/passwd"}, {Open: []string{"08:00-18:00"}}} {
		if _, errs := newCalendar(bad); len(errs) != 1 {
			t.Errorf("calendar %v: got %v, want one error", bad, errs)
		}
	}
}

var zoneNames = []string{
	"UTC", "America/Denver", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Cairo", "America/Havana", "Asia/Beirut",
	"America/Santiago", "Pacific/Apia", "Asia/Kathmandu",
}

func anyCalendar(t *rapid.T) *messages.SiteCalendar {
	doc := &messages.SiteCalendar{
		TimeZone: rapid.SampledFrom(zoneNames).Draw(t, "zone"), CutOff: rapid.SampledFrom([]string{"", "00:00", "01:30", "15:00", "23:59"}).Draw(t, "cut"),
	}
	if rapid.Bool().Draw(t, "hours") {
		doc.Open = rapid.SliceOfN(rapid.SampledFrom([]string{"", "00:00-24:00", "08:00-18:00", "00:30-04:00", "02:00-03:00"}), 7, 7).Draw(t, "open")
	}
	return doc
}

func anyMoment(t *rapid.T, label string) int64 {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	return from + rapid.Int64Range(0, 2*365*dayMs).Draw(t, label)
}

// TestCalendarProperties proves for any instant and calendar what the machine relies on: windows end after now, the hour changes
// exactly at its end, and the working date stays the same until its end and is later from then on.
func TestCalendarProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc := anyCalendar(t)
		c, errs := newCalendar(doc)
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		now := anyMoment(t, "now")
		next := c.nextHour(now)
		if next <= now || c.hour(next-1) != c.hour(now) || c.hour(next) == c.hour(now) {
			t.Fatalf("hour %s of %s ends at %s", c.hour(now), shown(now), shown(next))
		}
		if opens := c.nextOpening(now); opens <= now {
			t.Fatalf("opens at %s, before %s", shown(opens), shown(now))
		}
		date, until, ok := c.workDay(now)
		if until <= now {
			t.Fatalf("working date %s of %s ends at %s", date, shown(now), shown(until))
		}
		if !ok {
			return
		}
		if before, _, _ := c.workDay(until - 1); before != date {
			t.Fatalf("working date of %s is %s, just before its end %s", shown(now), date, before)
		}
		if after, _, ok := c.workDay(until); ok && after <= date {
			t.Fatalf("working date of %s is %s, at its end %s", shown(now), date, after)
		}
	})
}
