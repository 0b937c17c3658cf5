package actors

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"orderyard/actors/site"
	"orderyard/messages"
	"orderyard/routing"
	"orderyard/routing/ruleset"
)

func at(t testing.TB, text string) int64 {
	t.Helper()
	moment, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return moment.UnixMilli()
}

// denver is a site that says everything there is to say.
func denver() *messages.SiteDoc {
	return &messages.SiteDoc{
		Id: "den", Name: "Denver", Type: "dc", Lat: 39.75, Lon: -104.99, Country: "US", Region: "CO", PostalCode: "80202", Rank: 3,
		Capacity: &messages.SiteCapacity{PerHour: 1000, PerDay: 4000, OpenMax: 2000},
		Calendar: &messages.SiteCalendar{
			TimeZone: "America/Denver", Open: []string{"08:00-18:00", "08:00-18:00", "08:00-18:00", "08:00-18:00", "08:00-18:00", "", ""}, CutOff: "15:00",
		},
		Groups: []string{"us"}, LabelsAllowed: []string{"cold"}, Markets: []string{"us", "ca"}, CostPerOrder: 150, CostPerUnit: 30, Status: "online",
		Carriers: []*messages.SiteCarrier{{Name: "ups", Service: "express"}, {Name: "usps"}},
		Attributes: []*messages.SiteAttribute{
			{Name: "cold", Value: &messages.SiteAttribute_Truth{Truth: true}}, {Name: "dock", Value: &messages.SiteAttribute_Text{Text: "B"}},
			{Name: "grade", Value: &messages.SiteAttribute_Number{Number: 7}}, {Name: "later"},
		},
	}
}

func factsOf(t testing.TB, v *View, id string, now int64) *ruleset.Site {
	t.Helper()
	s, ok := v.Site(id)
	if !ok {
		t.Fatalf("site %s is not known", id)
	}
	facts := &ruleset.Site{}
	s.FactsAt(now, facts)
	return facts
}

// TestSiteFacts proves that all a site says reaches what rules may ask, and that it still holds when the site has said nothing for
// months: it compares the facts of one view at several moments.
func TestSiteFacts(t *testing.T) {
	v := NewView()
	v.setSite(&messages.SiteView{
		Doc: denver(), Open: 500, AcceptedThisHour: 990, AcceptedToday: 1200, Version: 1,
		HourUntilMs: at(t, "2026-07-01T10:00:00-06:00"), DayUntilMs: at(t, "2026-07-01T15:00:00-06:00"),
	}, true)
	for _, c := range []struct{ now, left, inWindow, sameDay, open, dispatch string }{
		{"2026-07-01T09:30:00-06:00", "10", "990", "07-01T21:00", "07-02T00:00", "07-02T00:00"},
		{"2026-07-01T10:00:00-06:00", "1000", "0", "07-01T21:00", "07-02T00:00", "07-02T00:00"},
		{"2026-07-01T15:00:00-06:00", "1000", "0", "07-01T21:00", "07-02T00:00", "07-03T00:00"},
		{"2026-07-03T20:00:00-06:00", "1000", "0", "07-03T21:00", "closed", "07-07T00:00"},
		{"2026-07-05T12:00:00-06:00", "1000", "0", "nothing", "closed", "07-07T00:00"},
		{"2026-11-02T12:00:00-07:00", "1000", "0", "11-02T22:00", "11-03T01:00", "11-03T01:00"},
	} {
		f := factsOf(t, v, "den", at(t, c.now))
		moment := func(n ruleset.Number, none string) string {
			if n.Value == 0 {
				return none
			}
			return time.UnixMilli(n.Value).UTC().Format("01-02T15:04")
		}
		got := fmt.Sprint(f.CapacityLeft.Value, " ", f.OrdersInWindow.Value, " ", moment(f.SameDayUntil, "nothing"), " ", moment(f.OpenUntil, "closed"), " ", moment(f.DispatchAt, "?"))
		if want := strings.Join([]string{c.left, c.inWindow, c.sameDay, c.open, c.dispatch}, " "); got != want {
			t.Errorf("%s: got %s, want %s", c.now, got, want)
		}
	}
	f := factsOf(t, v, "den", at(t, "2026-07-01T09:30:00-06:00"))
	got := fmt.Sprintf("%s %s %s %d %v %v %v %v %d %d", f.Region, f.PostalCode, f.Type, f.Rank, f.Markets, f.Carriers, f.Groups, f.LabelsAllowed, f.LoadPermille.Value, f.OrderLimit.Value)
	if want := "CO 80202 dc 3 [us ca] [{ups express} {usps }] [us] [cold] 250 1000"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := fmt.Sprintf("%#v", f.Attributes), `map[string]interface {}{"cold":true, "dock":"B", "grade":7}`; got != want || f.Attributes["grade"] != int64(7) {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestSiteViewOfAnOlderVersion proves that a node makes sense of what a site of the version before says, by bytes which that version
// encoded: counts without an end are not taken for capacity.
func TestSiteViewOfAnOlderVersion(t *testing.T) {
	text, err := os.ReadFile("../messages/testdata/protocol1/site_view.hex")
	if err != nil {
		t.Fatal(err)
	}
	data, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	m := &messages.SiteView{}
	if err := m.UnmarshalVT(data); err != nil {
		t.Fatal(err)
	}
	v := NewView()
	v.setSite(m, false)
	f := factsOf(t, v, "den", at(t, "2026-07-01T09:30:00-06:00"))
	if f.CapacityLeft.Known || f.OrdersInWindow.Known || f.OrderLimit.Value != 500 || f.LoadPermille.Value != 8 || !f.DispatchAt.Known || f.PostalCode != "80202" {
		t.Errorf("got %+v", f)
	}
}

// TestSiteCounts proves that every fulfillment order a site accepts is in this node's view at once, and that it costs no copy of the table of
// sites; and that only what lets a site take other work counts as an opening.
func TestSiteCounts(t *testing.T) {
	v, doc := NewView(), denver()
	until := at(t, "2026-07-01T10:00:00-06:00")
	version := uint64(0)
	say := func(doc *messages.SiteDoc, accepted int64, paused int64) bool {
		version++
		return v.setSite(&messages.SiteView{
			Doc: doc, Open: accepted, AcceptedThisHour: accepted, AcceptedToday: accepted, HourUntilMs: until, DayUntilMs: until, PausedUntilMs: paused, Version: version,
		}, true)
	}
	if !say(doc, 0, 0) {
		t.Error("a new site is no opening")
	}
	table, first := v.sites.Load(), v.sites.Load().byID["den"].known.Load()
	for n := range int64(1000) {
		if say(doc, n, 0) {
			t.Error("an accepted order is an opening")
		}
		if f := factsOf(t, v, "den", until-1); f.CapacityLeft.Value != 1000-n {
			t.Fatalf("%d accepted, capacity left %v", n, f.CapacityLeft)
		}
	}
	last := v.sites.Load().byID["den"].known.Load()
	if v.sites.Load() != table || last.Calendar != first.Calendar {
		t.Error("the table was copied, or the calendar made again")
	}
	if f := factsOf(t, v, "den", until-1); f.CapacityLeft.Value != 1 {
		t.Errorf("capacity left %v", f.CapacityLeft)
	}
	if v.setSite(&messages.SiteView{Doc: doc, Version: version - 1}, true) || factsOf(t, v, "den", until-1).CapacityLeft.Value != 1 {
		t.Error("an older view counted")
	}
	equal := denver() // as another node decodes it
	if say(equal, 5, 0) || v.sites.Load().byID["den"].known.Load().Calendar != first.Calendar {
		t.Error("an equal document counts as another")
	}
	for name, change := range map[string]func(*messages.SiteDoc){
		"capacity":  func(d *messages.SiteDoc) { d.Capacity.PerHour = 2000 },
		"hours":     func(d *messages.SiteDoc) { d.Calendar.CutOff = "16:00" },
		"markets":   func(d *messages.SiteDoc) { d.Markets = nil },
		"attribute": func(d *messages.SiteDoc) { d.Attributes[2].Value = &messages.SiteAttribute_Number{Number: 8} },
	} {
		other := denver()
		if change(other); !say(other, 5, 0) || say(other, 6, 0) {
			t.Errorf("%s: not an opening, or one twice", name)
		}
	}
	if !say(denver(), 5, 1000) || !say(denver(), 5, 0) || say(denver(), 6, 0) {
		t.Error("a pause and its end are no openings")
	}
}

// TestHint proves how exact other nodes' picture of a limit is: what is not told at once is less than a hundredth of it, and far from it.
func TestHint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(0, 10_000).Draw(t, "limit")
		told, now := rapid.Int64Range(0, 10_500).Draw(t, "told"), rapid.Int64Range(0, 10_500).Draw(t, "now")
		if !hint(told, now, limit) || told == now || limit == 0 {
			return
		}
		if apart := max(told-now, now-told); apart*100 >= limit || (limit-now)*20 < limit || (limit-told)*20 < limit {
			t.Fatalf("%d of %d goes for %d", told, limit, now)
		}
	})
	if hint(1, 2, 2) || hint(0, 1, 100) || !hint(0, 1, 101) || !hint(7, 8, 0) || hint(950, 951, 1000) || !hint(900, 901, 1000) {
		t.Error("small limits, or the border of the near")
	}
}

// TestCapacityIsShared proves when another node hears of accepted orders: near a limit within milliseconds, far from it with the next
// heartbeat, and of a new hour at once.
func TestCapacityIsShared(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, 1, 1)
		defer w.end()
		w.join() // owns the site
		other := w.join()
		den, until := messages.SiteRef("den"), time.Now().Add(time.Hour).UnixMilli()
		version := uint64(0)
		say := func(accepted int64) {
			version++
			w.commit(den, &messages.SiteView{
				Doc: denver(), AcceptedThisHour: accepted, HourUntilMs: until, DayUntilMs: until, Version: version,
			})
		}
		heard := func() int64 { return factsOf(t, w.members[other].View(), "den", until-1).CapacityLeft.Value }
		settle := func(pause time.Duration, want int64) {
			t.Helper()
			time.Sleep(pause)
			if got := heard(); got != want {
				t.Fatalf("the other node knows of room for %d, want %d", got, want)
			}
		}
		soon, beat := publishAfter+5*time.Millisecond, beatEvery+publishAfter+5*time.Millisecond
		say(100)
		settle(soon, 900)
		say(101)
		settle(soon, 900)
		settle(beat, 899)
		say(200)
		settle(soon, 800)
		for left := int64(5); left >= 0; left-- {
			say(1000 - left)
			settle(soon, left)
		}
		until += 3_600_000
		say(1)
		settle(soon, 999)
	})
}

// TestCalendarGoesOn proves that a site's days are worked out once a day, and are those of the site at any moment, asked in any order.
func TestCalendarGoesOn(t *testing.T) {
	doc := denver().Calendar
	c := &calendar{doc: doc}
	begin := at(t, "2026-02-20T00:00:00-07:00")
	rapid.Check(t, func(t *rapid.T) {
		now := begin + rapid.Int64Range(0, 400*24*3_600_000).Draw(t, "now")
		days, want := c.WorkDays(now), site.LookAhead(doc, now)
		if days.From != want.From || days.Until != want.Until || days.Horizon != want.Horizon || days.Works != want.Works || len(days.Days) != len(want.Days) {
			t.Fatalf("at %d: got %+v, want %+v", now, days, want)
		}
		for i, d := range want.Days {
			if got := days.Days[i]; got != (routing.WorkDay{OpensAt: d.OpensAt, CutOffAt: d.CutOffAt, ClosesAt: d.ClosesAt, OpenUntil: d.ClosesAt}) {
				t.Fatalf("day %d: got %+v, want %+v", i, got, d)
			}
		}
		if c.WorkDays(days.From) != days || c.WorkDays(days.Until-1) != days || c.WorkDays(days.Until) == days {
			t.Fatal("not once a day")
		}
	})
	always := (&calendar{}).WorkDays(begin)
	if n := len(always.Days); n == 0 || always.Days[0].OpenUntil != always.Horizon || always.Days[n-1].OpenUntil != always.Horizon {
		t.Errorf("a site without a calendar is open until %+v", always)
	}
}

// BenchmarkObserveSite measures what an accepted order pays for the node's view of its site, in a network of a thousand sites.
func BenchmarkObserveSite(b *testing.B) {
	for _, shared := range []bool{true, false} {
		b.Run(fmt.Sprintf("sameDocument=%t", shared), func(b *testing.B) {
			v := NewView()
			for i := range 1000 {
				doc := denver()
				doc.Id = fmt.Sprint("S", i)
				v.setSite(&messages.SiteView{Doc: doc, Version: 1}, true)
			}
			mine, copied := denver(), denver()
			version := uint64(0)
			b.ReportAllocs()
			for b.Loop() {
				version++
				doc := mine
				if !shared && version%2 == 0 {
					doc = copied
				}
				v.setSite(&messages.SiteView{Doc: doc, Open: int64(version), AcceptedThisHour: int64(version), Version: version}, true)
			}
		})
	}
}
