package site

import (
	"fmt"
	"testing"

	"orderyard/messages"
)

// BenchmarkRequest measures what one request for work costs a site that has 20,000 open already: Decide, Evolve and Tasks. Each
// one is cancelled again outside of the clock, so that the site stays as full as it is.
func BenchmarkRequest(b *testing.B) {
	for _, size := range []int{0, 20_000} {
		b.Run(fmt.Sprintf("open=%d", size), func(b *testing.B) {
			r := applied(b, &messages.SiteDoc{
				Capacity: &messages.SiteCapacity{PerHour: 1_000_000_000, PerDay: 1_000_000_000, OpenMax: 1_000_000_000},
				Calendar: &messages.SiteCalendar{TimeZone: "America/Denver", Open: weekdayHours, CutOff: "15:00"},
			})
			for i := range size {
				r.do(&messages.RequestFulfillment{Fulfillment: work(fmt.Sprintf("web-%d.1", i*3)), Released: true}, someday)
			}
			const batch = 4096
			commands := make([]*messages.RequestFulfillment, batch)
			for i := range commands {
				commands[i] = &messages.RequestFulfillment{Fulfillment: work(fmt.Sprintf("web-%d.1", i*11+1)), Released: true}
			}
			var tasks []messages.Task
			s := r.site
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				if i > 0 && i%batch == 0 {
					b.StopTimer()
					for _, c := range commands {
						s.leave(s.work[c.Fulfillment.Id], cancelled, "", someday)
					}
					s.ended = ended{}
					b.StartTimer()
				}
				events, reply, err := Decide(s, commands[i%batch], someday)
				if err != nil || reply.Failure != nil {
					b.Fatal(err, reply)
				}
				for _, e := range events {
					Evolve(s, e, someday)
				}
				tasks = Tasks(s, someday, tasks[:0])
			}
		})
	}
}

// BenchmarkRefuse measures a refusal at a full site: the common answer in a sale.
func BenchmarkRefuse(b *testing.B) {
	r := applied(b, &messages.SiteDoc{Capacity: &messages.SiteCapacity{PerHour: 1}, Calendar: &messages.SiteCalendar{TimeZone: "America/Denver"}})
	r.do(&messages.RequestFulfillment{Fulfillment: work("o.1")}, someday)
	c := &messages.RequestFulfillment{Fulfillment: work("o.2")}
	b.ReportAllocs()
	for b.Loop() {
		if _, reply, _ := Decide(r.site, c, someday); reply.Failure == nil {
			b.Fatal("taken")
		}
	}
}

// BenchmarkState measures a checkpoint of a site with 20,000 open fulfillment orders, written and read back.
func BenchmarkState(b *testing.B) {
	r := busySite(b, 4000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := UnmarshalState(r.site.MarshalState()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkView measures what a site pays for telling how it stands, after each change.
func BenchmarkView(b *testing.B) {
	r := busySite(b, 100)
	b.ReportAllocs()
	for b.Loop() {
		View(r.site, someday)
	}
}
