package site

import (
	"bytes"
	"fmt"
	"testing"

	"orderyard/messages"
)

// FuzzUnmarshalState proves that any bytes are either refused or make a state that writes the same bytes again after one round
// and that answers every command and timer without a panic.
func FuzzUnmarshalState(f *testing.F) {
	f.Add([]byte{})
	f.Add(busySite(f, 3).site.MarshalState())
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := UnmarshalState(data)
		if err != nil {
			return
		}
		once := s.MarshalState()
		again, err := UnmarshalState(once)
		if err != nil {
			t.Fatalf("what was written is refused: %v", err)
		}
		if !bytes.Equal(once, again.MarshalState()) {
			t.Fatal("writing again gave other bytes")
		}
		r := &runner{site: s}
		var ids []string
		s.byID.each(func(id string, _ *job) bool { ids = append(ids, id); return len(ids) < 8 })
		for _, command := range commandsFor(append(ids, "o1.1")) {
			r.do(command, someday)
		}
		for _, task := range Tasks(s, someday, nil) {
			r.do(&messages.TaskResult{TaskId: task.ID}, someday)
		}
		s.MarshalState()
	})
}

func commandsFor(ids []string) []messages.Command {
	commands := []messages.Command{
		&messages.GetSite{}, &messages.ListFulfillments{}, &messages.AnswerDeadline{}, &messages.SetSiteStatus{Status: statusOnline},
		&messages.SetSiteCapacity{Capacity: &messages.SiteCapacity{PerHour: 5}}, &messages.SetSiteCapacity{Change: &messages.CapacityChange{}},
	}
	for _, id := range ids {
		commands = append(commands, &messages.RequestFulfillment{Fulfillment: work(id), Released: true}, &messages.ReleaseFulfillment{FulfillmentId: id})
		for _, action := range []string{"accept", "pick", "pack", "ship", "reject", "deliver"} {
			commands = append(commands, &messages.SiteAction{
				Action: action, FulfillmentId: id, Reason: reasonClosed, Lines: []*messages.FulfillmentLine{{LineId: "1"}},
			})
		}
		commands = append(commands, &messages.CancelFulfillment{FulfillmentId: id})
	}
	return commands
}

// busySite has work in every status, windows, notices and endings.
func busySite(t testing.TB, each int) *runner {
	t.Helper()
	r := applied(t, &messages.SiteDoc{
		Accept: acceptManual, Capacity: &messages.SiteCapacity{PerHour: 100_000, PerDay: 100_000, OpenMax: 100_000},
		Calendar: &messages.SiteCalendar{TimeZone: "America/Denver", Open: weekdayHours, CutOff: "15:00", Closed: []string{"2026-12-25"}},
	})
	for depth, actions := range [][]string{{}, {"accept"}, {"accept", "pick"}, {"accept", "pick", "pack"}, {"accept", "ship"}, {"accept", "ship", "deliver"}, {"reject"}} {
		for i := range each {
			id := fmt.Sprintf("web-%d%05d.1", depth, i)
			commands := []messages.Command{&messages.RequestFulfillment{Fulfillment: work(id), Released: true}}
			for _, action := range actions {
				commands = append(commands, &messages.SiteAction{Action: action, FulfillmentId: id, Reason: "damaged", Note: "wet"})
			}
			for _, c := range commands {
				if _, _, err := r.do(c, someday); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return r
}
