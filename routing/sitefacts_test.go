package routing

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"orderyard/routing/ruleset"
)

// fixedDays is a calendar that was looked at once.
type fixedDays WorkDays

func (d *fixedDays) WorkDays(int64) *WorkDays { return (*WorkDays)(d) }

// hour is a moment of the tests' week: whole hours of Thursday 2026-01-01 and the days after it, in UTC.
func hour(n float64) int64 { return 1_767_225_600_000 + int64(n*3_600_000) }

// week opens 8 to 18 from the first day on with a cut-off at 15, but for the days that are named, and looks five days ahead.
func week(closed ...int) *fixedDays {
	w := &WorkDays{From: hour(0), Until: hour(24), Horizon: hour(5 * 24), Works: true}
	for day := range 5 {
		shut := false
		for _, c := range closed {
			shut = shut || c == day
		}
		if shut {
			w.Works = w.Works && day != 0
			continue
		}
		at := float64(day * 24)
		w.Days = append(w.Days, WorkDay{OpensAt: hour(at + 8), CutOffAt: hour(at + 15), ClosesAt: hour(at + 18)})
	}
	w.JoinDays()
	return (*fixedDays)(w)
}

// roundTheClock never closes but on the days that are named.
func roundTheClock(closed ...int) *fixedDays {
	w := (*WorkDays)(week(closed...))
	for i := range w.Days {
		d := &w.Days[i]
		d.OpensAt, d.ClosesAt = d.OpensAt-8*3_600_000, d.ClosesAt+6*3_600_000
		d.CutOffAt = d.ClosesAt
	}
	w.JoinDays()
	return (*fixedDays)(w)
}

func shownNumber(n ruleset.Number) string {
	if !n.Known {
		return "?"
	}
	return fmt.Sprint(n.Value)
}

func shownMoment(n ruleset.Number) string {
	if !n.Known || n.Value == 0 {
		return shownNumber(n)
	}
	return time.UnixMilli(n.Value).UTC().Format("02T15:04")
}

// TestFactsOfTheCalendar proves, case by case, when work leaves today, until when a site is open and when work accepted now is dispatched.
func TestFactsOfTheCalendar(t *testing.T) {
	for _, c := range []struct {
		name     string
		calendar Calendar
		now      float64
		want     string // same day until, open until, dispatch at
	}{
		{"NobodyTold", nil, 12, "? ? ?"},
		{"BeforeOpening", week(), 7, "01T15:00 0 01T18:00"},
		{"AtOpening", week(), 8, "01T15:00 01T18:00 01T18:00"},
		{"BeforeTheCutOff", week(), 14.99, "01T15:00 01T18:00 01T18:00"},
		{"AtTheCutOff", week(), 15, "01T15:00 01T18:00 02T18:00"},
		{"AtClosing", week(), 18, "01T15:00 0 02T18:00"},
		{"Night", week(), 23, "01T15:00 0 02T18:00"},
		{"NightBeforeAHoliday", week(1), 23, "01T15:00 0 03T18:00"},
		{"Holiday", week(0, 1), 12, "0 0 03T18:00"},
		{"NoWorkingDayAhead", week(0, 1, 2, 3, 4), 12, "0 0 06T00:00"},
		{"AfterTheLastCutOff", week(1, 2, 3, 4), 16, "01T15:00 01T18:00 06T00:00"},
		{"AroundTheClock", roundTheClock(), 23.5, "02T00:00 06T00:00 02T00:00"},
		{"AroundTheClockBeforeAHoliday", roundTheClock(2), 23.5, "02T00:00 03T00:00 02T00:00"},
		{"AroundTheClockOnAHoliday", roundTheClock(0), 12, "0 0 03T00:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var f ruleset.Site
			(&Site{Calendar: c.calendar}).FactsAt(hour(c.now), &f)
			if got := shownMoment(f.SameDayUntil) + " " + shownMoment(f.OpenUntil) + " " + shownMoment(f.DispatchAt); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestFactsOfTheCapacity proves, case by case, how much work a site can still take, also when its windows have ended since it said so.
func TestFactsOfTheCapacity(t *testing.T) {
	at := func(limit, taken int64, until float64) Window { return Window{limit, taken, hour(until)} }
	for _, c := range []struct {
		name string
		site Site
		now  float64
		want string // capacity left, orders in window, order limit, load
	}{
		{"NoLimit", Site{Open: 7}, 12, "? ? ? ?"},
		{"NoLimitButACount", Site{Hour: at(0, 3, 13)}, 12, "? 3 ? ?"},
		{"Hour", Site{Hour: at(10, 3, 13)}, 12, "7 3 10 ?"},
		{"HourOver", Site{Hour: at(10, 3, 13)}, 13, "10 0 10 ?"},
		{"Day", Site{Hour: at(0, 3, 13), Day: at(20, 15, 15)}, 12, "5 3 ? ?"},
		{"DayOver", Site{Hour: at(10, 3, 15), Day: at(20, 15, 15)}, 15, "10 0 10 ?"},
		{"Open", Site{Open: 7, OpenMax: 9, OpenLoadPermille: 777}, 12, "2 ? ? 777"},
		{"OpenStaysOverWindows", Site{Open: 7, OpenMax: 9, OpenLoadPermille: 777, Hour: at(10, 9, 13), Day: at(20, 9, 13)}, 14, "2 0 10 777"},
		{"LeastOfAll", Site{Open: 5, OpenMax: 9, OpenLoadPermille: 555, Hour: at(10, 7, 13), Day: at(20, 14, 15)}, 12, "3 7 10 555"},
		{"Full", Site{Hour: at(10, 10, 13)}, 12, "0 10 10 ?"},
		{"LimitLowered", Site{Hour: at(10, 30, 13)}, 12, "0 30 10 ?"},
		{"FullForGood", Site{Hour: at(10, 1<<63-1, 13)}, 12, "0 9223372036854775807 10 ?"},
		{"AnOlderVersionTellsNoEnd", Site{Open: 1, OpenMax: 9, Hour: Window{10, 3, 0}}, 12, "? ? 10 0"},
		{"AnOlderVersionWithOpenMaxOnly", Site{Open: 1, OpenMax: 9}, 12, "8 ? ? 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var f ruleset.Site
			c.site.FactsAt(hour(c.now), &f)
			got := strings.Join([]string{shownNumber(f.CapacityLeft), shownNumber(f.OrdersInWindow), shownNumber(f.OrderLimit), shownNumber(f.LoadPermille)}, " ")
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestFactsAreWhole proves that every fact is set anew and none is left from another site.
func TestFactsAreWhole(t *testing.T) {
	f := ruleset.Site{
		ID: "old", Name: "old", Type: "old", Country: "old", Region: "old", PostalCode: "old", Groups: []string{"old"},
		LabelsAllowed: []string{"old"}, Markets: []string{"old"}, Carriers: []ruleset.Carrier{{}}, CostPerOrder: 9, CostPerUnit: 9, Rank: 9,
		LoadPermille: ruleset.Known(9), CapacityLeft: ruleset.Known(9), OrdersInWindow: ruleset.Known(9), OrderLimit: ruleset.Known(9),
		SameDayUntil: ruleset.Known(9), OpenUntil: ruleset.Known(9), DispatchAt: ruleset.Known(9), Attributes: map[string]any{"old": true},
	}
	for i, v := 0, reflect.ValueOf(f); i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			t.Fatalf("a fact is not tested: %s", v.Type().Field(i).Name)
		}
	}
	(&Site{}).FactsAt(hour(12), &f)
	if got, want := fmt.Sprintf("%+v", f), fmt.Sprintf("%+v", ruleset.Site{}); got != want {
		t.Errorf("got %s", got)
	}
	s := Site{
		ID: "den", Name: "Denver", Type: "dc", Country: "US", Region: "CO", PostalCode: "80202", Groups: []string{"us"}, LabelsAllowed: []string{"cold"},
		Markets: []string{"us"}, Carriers: []ruleset.Carrier{{Name: "ups"}}, CostPerOrder: 150, CostPerUnit: 30, Rank: 2, Attributes: map[string]any{"grade": int64(1)},
	}
	s.FactsAt(hour(12), &f)
	want := ruleset.Site{
		ID: s.ID, Name: s.Name, Type: s.Type, Country: s.Country, Region: s.Region, PostalCode: s.PostalCode, Groups: s.Groups, LabelsAllowed: s.LabelsAllowed,
		Markets: s.Markets, Carriers: s.Carriers, CostPerOrder: 150, CostPerUnit: 30, Rank: 2, Attributes: s.Attributes,
	}
	if got, want := fmt.Sprintf("%+v", f), fmt.Sprintf("%+v", want); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestFactsInTime proves for any site that while it says nothing, its capacity only grows, its dispatch only comes later, its cut-off of
// the day stays, and what it says of the future lies there.
func TestFactsInTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		few := rapid.Int64Range(0, 20)
		window := func(name string) Window {
			return Window{few.Draw(t, name+" limit"), few.Draw(t, name+" taken"), hour(float64(rapid.IntRange(1, 23).Draw(t, name+" until")))}
		}
		calendar := week(rapid.SliceOfNDistinct(rapid.IntRange(0, 4), 0, 5, rapid.ID).Draw(t, "closed")...)
		if rapid.Bool().Draw(t, "clock") {
			calendar = roundTheClock(rapid.SliceOfNDistinct(rapid.IntRange(0, 4), 0, 5, rapid.ID).Draw(t, "closed")...)
		}
		s := Site{Open: few.Draw(t, "open"), OpenMax: few.Draw(t, "open max"), Hour: window("hour"), Day: window("day"), Calendar: calendar}
		var now, later ruleset.Site
		at := hour(float64(rapid.IntRange(0, 23).Draw(t, "at")))
		then := min(at+rapid.Int64Range(0, 23*3_600_000).Draw(t, "later"), hour(24)-1)
		s.FactsAt(at, &now)
		s.FactsAt(then, &later)
		if later.CapacityLeft.Known != now.CapacityLeft.Known || later.CapacityLeft.Value < now.CapacityLeft.Value {
			t.Fatalf("capacity left %v, later %v", now.CapacityLeft, later.CapacityLeft)
		}
		if later.OrdersInWindow.Value > now.OrdersInWindow.Value || later.OrderLimit != now.OrderLimit || later.LoadPermille != now.LoadPermille {
			t.Fatalf("%+v, later %+v", now, later)
		}
		if later.DispatchAt.Value < now.DispatchAt.Value || now.DispatchAt.Value <= at {
			t.Fatalf("dispatch at %s, later %s", shownMoment(now.DispatchAt), shownMoment(later.DispatchAt))
		}
		if later.SameDayUntil != now.SameDayUntil {
			t.Fatalf("same day until %s, later %s", shownMoment(now.SameDayUntil), shownMoment(later.SameDayUntil))
		}
		if until := now.OpenUntil.Value; until != 0 && (until <= at || then < until && later.OpenUntil.Value != until) {
			t.Fatalf("open until %s at %d, later %s", shownMoment(now.OpenUntil), at, shownMoment(later.OpenUntil))
		}
		if most := s.OpenMax; most > 0 && now.CapacityLeft.Value > most || now.CapacityLeft.Value < 0 {
			t.Fatalf("capacity left %v of %d", now.CapacityLeft, most)
		}
	})
}

// BenchmarkFactsAt measures what an order pays for each site whose facts rules ask.
func BenchmarkFactsAt(b *testing.B) {
	s := &Site{
		ID: "den", Groups: []string{"us"}, Open: 1, OpenMax: 9, Hour: Window{10, 3, hour(13)}, Day: Window{20, 14, hour(15)}, Calendar: roundTheClock(0, 1, 2, 3),
	}
	var f ruleset.Site
	if allocated := testing.AllocsPerRun(100, func() { s.FactsAt(hour(12), &f) }); allocated > 0 {
		b.Fatalf("allocates %f times", allocated)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.FactsAt(hour(12), &f)
	}
}
