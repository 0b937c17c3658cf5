package site

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"orderyard/messages"
)

// TestStories proves by example what a site answers, which events it writes and what it owes; each file tells one story. After
// every command the events are replayed from the beginning and must give the live state, byte for byte.
func TestStories(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt") // no Walk: failing seeds of rapid and fuzzing live in folders beside them
	if err != nil || len(paths) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			teller := &storyteller{runner: newRunner("den"), now: someday} // a Wednesday, nine in the morning
			datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
				out := teller.tell(t, d)
				teller.checkReplay(t)
				return out
			})
		})
	}
}

// runner drives a site as the runtime does, and keeps the journal.
type runner struct {
	id      string
	site    *State
	journal []recorded
}

type recorded struct {
	event messages.Event
	at    int64
}

func newRunner(id string) *runner { return &runner{id: id, site: New(id)} }

func (r *runner) do(command messages.Command, now int64) ([]messages.Event, *messages.Reply, error) {
	events, reply, err := Decide(r.site, command, now)
	for _, e := range events {
		r.journal = append(r.journal, recorded{e, now})
		Evolve(r.site, e, now)
		r.site.Version++
	}
	return events, reply, err
}

// restart forgets everything but the marshaled state.
func (r *runner) restart(t fataler) {
	before := r.site.MarshalState()
	again, err := UnmarshalState(before)
	if err != nil {
		t.Fatalf("unmarshal: %v", err)
	}
	if !bytes.Equal(before, again.MarshalState()) {
		t.Fatalf("a restart changed the state")
	}
	again.Version = r.site.Version
	r.site = again
}

func (r *runner) checkReplay(t fataler) {
	replayed := New(r.id)
	for _, e := range r.journal {
		Evolve(replayed, e.event, e.at)
	}
	if !bytes.Equal(replayed.MarshalState(), r.site.MarshalState()) {
		t.Fatalf("replay gives another state than the live one")
	}
}

type fataler interface {
	Fatalf(format string, args ...any)
}

type storyteller struct {
	*runner
	now int64
}

// arg reads "name=value" or a bare word by position.
func arg(d *datadriven.TestData, name string) string {
	for _, a := range d.CmdArgs {
		if a.Key == name && len(a.Vals) > 0 {
			return strings.Join(a.Vals, ",")
		}
	}
	return ""
}

func number(d *datadriven.TestData, name string) int64 {
	n, _ := strconv.ParseInt(arg(d, name), 10, 64)
	return n
}

func word(d *datadriven.TestData, i int) string {
	if i < len(d.CmdArgs) && len(d.CmdArgs[i].Vals) == 0 {
		return d.CmdArgs[i].Key
	}
	return ""
}

func (s *storyteller) tell(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "now":
		s.now = millis(t, word(d, 0))
		return ""
	case "wait":
		wait, err := time.ParseDuration(word(d, 0))
		if err != nil {
			t.Fatal(err)
		}
		s.now += wait.Milliseconds()
		return ""
	case "restart":
		s.restart(t)
		return ""
	case "tasks":
		return describeTasks(Tasks(s.site, s.now, nil))
	case "view":
		return describeView(View(s.site, s.now), LookAhead(s.site.doc.GetCalendar(), s.now))
	}
	events, reply, err := s.do(s.command(t, d), s.now)
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintln(&b, describeEvent(e))
	}
	if err != nil {
		var failure *messages.Failure
		errors.As(err, &failure)
		fmt.Fprintf(&b, "error %v\n", failure)
		for _, e := range failure.Errors {
			fmt.Fprintf(&b, "  %s: %s\n", e.Field, e.Message)
		}
	}
	if reply != nil {
		fmt.Fprintln(&b, describeReply(reply))
	}
	if b.Len() == 0 {
		return "nothing\n"
	}
	return b.String()
}

func (s *storyteller) command(t *testing.T, d *datadriven.TestData) messages.Command {
	capacity := &messages.SiteCapacity{PerHour: number(d, "per_hour"), PerDay: number(d, "per_day"), OpenMax: number(d, "open_max")}
	switch d.Cmd {
	case "apply":
		return &messages.ApplySite{Doc: storyDoc(d, capacity)}
	case "status":
		return &messages.SetSiteStatus{Status: word(d, 0)}
	case "capacity":
		return &messages.SetSiteCapacity{Capacity: capacity}
	case "get":
		return &messages.GetSite{}
	case "list":
		return &messages.ListFulfillments{Status: arg(d, "status"), Limit: uint32(number(d, "limit")), After: arg(d, "after"), FulfillmentId: arg(d, "id")}
	case "request":
		return &messages.RequestFulfillment{Fulfillment: work(word(d, 0)), Released: word(d, 1) == "released"}
	case "release":
		return &messages.ReleaseFulfillment{FulfillmentId: word(d, 0)}
	case "cancel":
		return &messages.CancelFulfillment{FulfillmentId: word(d, 0), Reason: word(d, 1)}
	case "timer":
		return &messages.AnswerDeadline{}
	case "answer":
		result := &messages.TaskResult{TaskId: word(d, 0), Reply: &messages.Reply{}}
		if code := arg(d, "code"); code != "" {
			result.Reply.Failure = &messages.Failure{Code: code, Retryable: arg(d, "retryable") != ""}
		}
		return result
	case "accept", "reject", "pick", "pack", "ship", "deliver", "dance":
		c := &messages.SiteAction{Action: d.Cmd, FulfillmentId: word(d, 0), Reason: arg(d, "reason"), Note: arg(d, "note"), RetryAfterMs: number(d, "retry")}
		if tracking := arg(d, "tracking"); tracking != "" {
			c.Shipment = &messages.Shipment{Carrier: arg(d, "carrier"), Tracking: tracking}
		}
		for _, pair := range strings.FieldsFunc(arg(d, "lines"), func(r rune) bool { return r == ',' }) {
			id, quantity, _ := strings.Cut(pair, ":")
			n, _ := strconv.ParseInt(quantity, 10, 64)
			c.Lines = append(c.Lines, &messages.FulfillmentLine{LineId: id, Quantity: n})
		}
		return c
	}
	t.Fatalf("no such command: %s", d.Cmd)
	return nil
}

// storyDoc describes a site; open= gives Monday to Friday the same hours.
func storyDoc(d *datadriven.TestData, capacity *messages.SiteCapacity) *messages.SiteDoc {
	doc := &messages.SiteDoc{Id: "den", Capacity: capacity, Accept: arg(d, "accept"), Status: arg(d, "status"), Type: arg(d, "type")}
	if id := arg(d, "id"); id != "" {
		doc.Id = id
	}
	doc.AnswerWithinMs = number(d, "answer_within")
	doc.Calendar = &messages.SiteCalendar{TimeZone: "America/Denver", CutOff: arg(d, "cut_off")}
	if zone := arg(d, "zone"); zone != "" {
		doc.Calendar.TimeZone = zone
	}
	if closed := arg(d, "closed"); closed != "" {
		doc.Calendar.Closed = strings.Split(closed, ",")
	}
	switch hours := arg(d, "open"); hours {
	case "":
	case "never":
		doc.Calendar.Open = make([]string, 7)
	default:
		doc.Calendar.Open = []string{hours, hours, hours, hours, hours, "", ""}
	}
	return doc
}

// work is a fulfillment order of two lines; its order's id is what stands before the last dot.
func work(id string) *messages.FulfillmentOrder {
	order := id
	if dot := strings.LastIndexByte(id, '.'); dot >= 0 {
		order = id[:dot]
	}
	return &messages.FulfillmentOrder{
		Id: id, OrderId: order, Channel: "web", Service: "standard",
		Lines: []*messages.FulfillmentLine{
			{Line: 0, LineId: "1", Sku: "MUG", Quantity: 2, ReservationId: id + "/0"},
			{Line: 1, LineId: "2", Sku: "HAT", Quantity: 1, ReservationId: id + "/1"},
		},
	}
}
