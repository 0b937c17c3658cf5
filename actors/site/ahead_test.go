package site

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"orderyard/messages"
)

// shownAhead writes the first days of a look ahead in UTC: "opens cut-off closes".
func shownAhead(a Ahead, days int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s…%s works=%v\n", short(a.From), short(a.Until), a.Works)
	for _, d := range a.Days[:min(days, len(a.Days))] {
		fmt.Fprintln(&b, short(d.OpensAt), short(d.CutOffAt), short(d.ClosesAt))
	}
	return b.String()
}

func short(ms int64) string { return time.UnixMilli(ms).UTC().Format("01-02T15:04") }

// TestLookAhead proves, case by case, when the coming working days open, stop taking work for the day and close, over closed days and
// clock changes. Only the first three days are looked at.
func TestLookAhead(t *testing.T) {
	denver := func(open []string, cutOff string, closed ...string) *messages.SiteCalendar {
		return &messages.SiteCalendar{TimeZone: "America/Denver", Open: open, CutOff: cutOff, Closed: closed}
	}
	for _, c := range []struct {
		name string
		doc  *messages.SiteCalendar
		now  string
		want []string
	}{
		{"Weekdays", denver(weekdayHours, "15:00"), "2026-07-02T12:00:00-06:00", []string{
			"07-02T06:00…07-03T06:00 works=true", "07-02T14:00 07-02T21:00 07-03T00:00", "07-03T14:00 07-03T21:00 07-04T00:00", "07-06T14:00 07-06T21:00 07-07T00:00"}},
		{"TodayStaysWhenOver", denver(weekdayHours, "15:00"), "2026-07-02T23:59:59-06:00", []string{
			"07-02T06:00…07-03T06:00 works=true", "07-02T14:00 07-02T21:00 07-03T00:00", "07-03T14:00 07-03T21:00 07-04T00:00", "07-06T14:00 07-06T21:00 07-07T00:00"}},
		{"Weekend", denver(weekdayHours, ""), "2026-07-04T12:00:00-06:00", []string{
			"07-04T06:00…07-05T06:00 works=false", "07-06T14:00 07-07T00:00 07-07T00:00", "07-07T14:00 07-08T00:00 07-08T00:00", "07-08T14:00 07-09T00:00 07-09T00:00"}},
		{"Holiday", denver(weekdayHours, "15:00", "2026-07-06"), "2026-07-03T12:00:00-06:00", []string{
			"07-03T06:00…07-04T06:00 works=true", "07-03T14:00 07-03T21:00 07-04T00:00", "07-07T14:00 07-07T21:00 07-08T00:00", "07-08T14:00 07-08T21:00 07-09T00:00"}},
		{"HolidayToday", denver(weekdayHours, "15:00", "2026-07-03"), "2026-07-03T12:00:00-06:00", []string{
			"07-03T06:00…07-04T06:00 works=false", "07-06T14:00 07-06T21:00 07-07T00:00", "07-07T14:00 07-07T21:00 07-08T00:00", "07-08T14:00 07-08T21:00 07-09T00:00"}},
		{"NoCalendar", nil, "2026-07-01T12:00:00Z", []string{
			"07-01T00:00…07-02T00:00 works=true", "07-01T00:00 07-02T00:00 07-02T00:00", "07-02T00:00 07-03T00:00 07-03T00:00", "07-03T00:00 07-04T00:00 07-04T00:00"}},
		{"AroundTheClockWithCutOff", denver(nil, "18:00"), "2026-07-01T12:00:00-06:00", []string{
			"07-01T06:00…07-02T06:00 works=true", "07-01T06:00 07-02T00:00 07-02T06:00", "07-02T06:00 07-03T00:00 07-03T06:00", "07-03T06:00 07-04T00:00 07-04T06:00"}},
		{"CutOffBeforeOpening", denver(weekdayHours, "06:00"), "2026-07-01T12:00:00-06:00", []string{
			"07-01T06:00…07-02T06:00 works=true", "07-01T14:00 07-01T12:00 07-02T00:00", "07-02T14:00 07-02T12:00 07-03T00:00", "07-03T14:00 07-03T12:00 07-04T00:00"}},
		{"CutOffAfterClosing", denver(weekdayHours, "20:00"), "2026-07-01T12:00:00-06:00", []string{
			"07-01T06:00…07-02T06:00 works=true", "07-01T14:00 07-02T00:00 07-02T00:00", "07-02T14:00 07-03T00:00 07-03T00:00", "07-03T14:00 07-04T00:00 07-04T00:00"}},
		{"NeverOpen", denver(make([]string, 7), ""), "2026-07-01T12:00:00-06:00", []string{"07-01T06:00…07-02T06:00 works=false"}},
		// Clocks go forward on 2026-03-08: 02:00 MST is 03:00 MDT. That day has 23 hours; its night shift is an hour shorter.
		{"Spring", denver(everyNight, "02:30"), "2026-03-07T12:00:00-07:00", []string{
			"03-07T07:00…03-08T07:00 works=true", "03-07T07:30 03-07T09:30 03-07T11:00", "03-08T07:30 03-08T09:00 03-08T10:00", "03-09T06:30 03-09T08:30 03-09T10:00"}},
		{"SpringToday", denver(weekdayHours[:0], ""), "2026-03-08T12:00:00-06:00", []string{
			"03-08T07:00…03-09T06:00 works=true", "03-08T07:00 03-09T06:00 03-09T06:00", "03-09T06:00 03-10T06:00 03-10T06:00", "03-10T06:00 03-11T06:00 03-11T06:00"}},
		{"SkippedHours", &messages.SiteCalendar{TimeZone: "America/Denver", Open: slices.Repeat([]string{"02:00-03:00"}, 7)}, "2026-03-08T01:00:00-07:00", []string{
			"03-08T07:00…03-09T06:00 works=true", "03-08T09:00 03-08T09:00 03-08T09:00", "03-09T08:00 03-09T09:00 03-09T09:00", "03-10T08:00 03-10T09:00 03-10T09:00"}},
		// Clocks go back on 2026-11-01: 02:00 MDT is 01:00 MST. That day has 25 hours, and the first 01:30 counts.
		{"Autumn", denver(everyNight, "01:30"), "2026-10-31T12:00:00-06:00", []string{
			"10-31T06:00…11-01T06:00 works=true", "10-31T06:30 10-31T07:30 10-31T10:00", "11-01T06:30 11-01T07:30 11-01T11:00", "11-02T07:30 11-02T08:30 11-02T11:00"}},
		{"AutumnSecondHour", denver(nil, ""), "2026-11-01T01:30:00-07:00", []string{
			"11-01T06:00…11-02T07:00 works=true", "11-01T06:00 11-02T07:00 11-02T07:00", "11-02T07:00 11-03T07:00 11-03T07:00", "11-03T07:00 11-04T07:00 11-04T07:00"}},
		// Clocks go forward at midnight in Cairo on 2026-04-24: the day begins at 01:00, and the day before still ends where it begins.
		{"DayWithoutMidnight", &messages.SiteCalendar{TimeZone: "Africa/Cairo"}, "2026-04-23T23:59:00+02:00", []string{
			"04-22T22:00…04-23T22:00 works=true", "04-22T22:00 04-23T22:00 04-23T22:00", "04-23T22:00 04-24T21:00 04-24T21:00", "04-24T21:00 04-25T21:00 04-25T21:00"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, want := shownAhead(LookAhead(c.doc, millis(t, c.now)), 3), strings.Join(c.want, "\n")+"\n"; got != want {
				t.Errorf("at %s\n%swant\n%s", c.now, got, want)
			}
		})
	}
}

// TestLookAheadProperties proves for any calendar and moment that the days ahead are those the site itself goes by: the first cut-off that
// is to come ends the working date new work gets, or there is none within the horizon. It also proves that days are in order and inside the
// horizon, and that the answer stays the same until the day ends.
func TestLookAheadProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc, now := anyCalendar(t), anyMoment(t, "now")
		if rapid.Bool().Draw(t, "holidays") {
			for range 5 {
				doc.Closed = append(doc.Closed, time.UnixMilli(now+rapid.Int64Range(0, 14*dayMs).Draw(t, "closed")).UTC().Format(time.DateOnly))
			}
		}
		a := LookAhead(doc, now)
		if now < a.From || now >= a.Until {
			t.Fatalf("%s is not within %s", shown(now), shownAhead(a, 1))
		}
		at := slices.IndexFunc(a.Days, func(d WorkDay) bool { return d.CutOffAt > now })
		c, _ := newCalendar(doc)
		_, until, ok := c.workDay(now)
		if ok != (at >= 0) || ok && a.Days[at].CutOffAt != until {
			t.Fatalf("work of %s is taken until %s (%v), day %d of\n%s", shown(now), shown(until), ok, at, shownAhead(a, 20))
		}
		before := WorkDay{CutOffAt: a.From - 1, ClosesAt: a.From}
		for i, d := range a.Days {
			if d.OpensAt < before.ClosesAt || d.ClosesAt < d.OpensAt || d.CutOffAt > d.ClosesAt || d.CutOffAt <= before.CutOffAt || d.ClosesAt > a.Horizon {
				t.Fatalf("day %d of\n%s", i, shownAhead(a, 20))
			}
			before = d
		}
		if a.Works != (len(a.Days) > 0 && a.Days[0].ClosesAt <= a.Until) {
			t.Fatalf("works today: %v\n%s", a.Works, shownAhead(a, 2))
		}
		later := rapid.Int64Range(a.From, a.Until-1).Draw(t, "later")
		if got := LookAhead(doc, later); shownAhead(got, 20) != shownAhead(a, 20) {
			t.Fatalf("at %s\n%sand at %s\n%s", shown(now), shownAhead(a, 20), shown(later), shownAhead(got, 20))
		}
		if next := LookAhead(doc, a.Until); next.From != a.Until {
			t.Fatalf("the day ends at %s, the next begins at %s", shown(a.Until), shown(next.From))
		}
	})
}

// BenchmarkLookAhead measures what a node pays for a site once a day.
func BenchmarkLookAhead(b *testing.B) {
	doc := &messages.SiteCalendar{TimeZone: "America/Denver", Open: weekdayHours, CutOff: "15:00", Closed: []string{"2026-12-25"}}
	b.ReportAllocs()
	for b.Loop() {
		LookAhead(doc, someday)
	}
}
