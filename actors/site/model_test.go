package site

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"orderyard/messages"
)

// model is a site told naively: it keeps everything that ever happened and counts by looking at all of it.
type model struct {
	t       *rapid.T
	runner  *runner
	now     int64
	fos     map[string]*modelFO
	heard   map[string]uint64 // last notice the order took, by fulfillment order
	takings []taking
}

type modelFO struct {
	status, request string
	hour, date      string
	ended           int
}

type taking struct{ task, order string }

const (
	modelStart = someday - 5*hourMs // before the opening, so that opening and cut-off are passed on the way
	modelEnd   = modelStart + 20*hourMs
)

var modelIDs = []string{"a.1", "a.2", "b.1", "b.2", "c.1", "c.2", "d.1", "e.1", "f.1", "g.1"}

// live counts the work of a window that has not been given back, and all that stands in the building.
func (m *model) live(window string) (inWindow, atHand int64) {
	for _, fo := range m.fos {
		switch fo.status {
		case "cancelled", "rejected", "timed_out":
			continue
		case "shipped", "delivered":
		default:
			atHand++
		}
		if fo.hour == window || fo.date == window {
			inWindow++
		}
	}
	return inWindow, atHand
}

// do runs one command and folds its events into the model, checking on the way that each is allowed to happen.
func (m *model) do(command messages.Command) *messages.Reply {
	events, reply, err := m.runner.do(command, m.now)
	if err != nil {
		m.t.Fatalf("%T: %v", command, err)
	}
	for _, event := range events {
		m.fold(event)
	}
	return reply
}

func (m *model) fold(event messages.Event) {
	switch e := event.(type) {
	case *messages.FulfillmentRequested:
		m.take(e.Fulfillment.Id, &modelFO{"open", "submitted", e.Hour, e.WorkDate, 0})
	case *messages.FulfillmentAccepted:
		if fo := m.fos[e.Fulfillment.Id]; fo != nil && fo.ended == 0 {
			fo.request = "accepted"
		} else {
			m.take(e.Fulfillment.Id, &modelFO{"scheduled", "accepted", e.Hour, e.WorkDate, 0})
		}
	case *messages.FulfillmentOpened:
		m.fos[e.FulfillmentId].status = "open"
	case *messages.FulfillmentMoved:
		m.fos[e.FulfillmentId].status = statusWord(e.Status)
		if e.Status == delivered {
			m.end(e.FulfillmentId, "delivered")
		}
	case *messages.FulfillmentRejected:
		if m.fos[e.FulfillmentId] == nil { // refused at the door, and remembered
			m.fos[e.FulfillmentId] = &modelFO{}
		}
		m.end(e.FulfillmentId, "rejected")
	case *messages.FulfillmentTimedOut:
		m.end(e.FulfillmentId, "timed_out")
	case *messages.FulfillmentCancelled:
		if m.fos[e.FulfillmentId] == nil {
			m.fos[e.FulfillmentId] = &modelFO{}
		}
		m.end(e.FulfillmentId, "cancelled")
	case *messages.CancellationRefused:
		m.fos[e.FulfillmentId].request = "cancellation_rejected"
	}
}

// take proves I5 at the only place where work begins: the windows and the building had room, by the naive count.
func (m *model) take(id string, fo *modelFO) {
	if m.fos[id] != nil {
		m.t.Fatalf("%s was taken twice", id)
	}
	limits := m.runner.site.doc.GetCapacity()
	m.fos[id] = fo
	perHour, atHand := m.live(fo.hour)
	perDay, _ := m.live(fo.date)
	for _, c := range []struct {
		what        string
		count, most int64
	}{{"per_hour", perHour, limits.GetPerHour()}, {"per_day", perDay, limits.GetPerDay()}, {"open_max", atHand, limits.GetOpenMax()}} {
		if c.most > 0 && c.count > c.most {
			m.t.Fatalf("%s exceeded: %d of %d", c.what, c.count, c.most)
		}
	}
	if m.runner.site.doc.GetStatus() != statusOnline {
		m.t.Fatalf("%s was taken while %s", id, m.runner.site.doc.GetStatus())
	}
}

func (m *model) end(id, status string) {
	fo := m.fos[id]
	fo.status = status
	if fo.ended++; fo.ended > 1 {
		m.t.Fatalf("%s ended twice", id)
	}
}

func (m *model) request(t *rapid.T) {
	id := rapid.SampledFrom(modelIDs).Draw(t, "id")
	before := m.fos[id]
	reply := m.do(&messages.RequestFulfillment{Fulfillment: work(id), Released: rapid.Bool().Draw(t, "released")})
	if fo := m.fos[id]; fo != nil && reply.GetFulfillment().Status != parse(fo.status) {
		t.Fatalf("%s is %s, the reply says %v", id, fo.status, reply)
	}
	if before == nil && m.fos[id].status == "rejected" && (reply.Failure == nil || reply.GetFulfillment().RequestStatus != requestRejected) {
		t.Fatalf("%s was not taken, the reply says %v", id, reply)
	}
}

func parse(word string) messages.FulfillmentStatus { s, _ := parseStatus(word); return s }

func (m *model) act(t *rapid.T) {
	c := &messages.SiteAction{
		FulfillmentId: rapid.SampledFrom(modelIDs).Draw(t, "id"),
		Action:        rapid.SampledFrom([]string{"accept", "reject", "pick", "pick", "pack", "ship", "ship", "deliver"}).Draw(t, "action"),
	}
	if c.Action == "reject" {
		c.Reason = rapid.SampledFrom([]string{"damaged", "capacity", "closed", "carrier"}).Draw(t, "reason")
		c.RetryAfterMs = rapid.SampledFrom([]int64{0, 60_000}).Draw(t, "retry")
	}
	m.do(c)
	again, reply, err := Decide(m.runner.site, c, m.now)
	if len(again) > 0 || err != nil {
		t.Fatalf("%s %s again: %v %v %v", c.Action, c.FulfillmentId, again, reply, err)
	}
}

// answer takes one owed notice as its order would, sometimes an old one again; the order sees rising sequences without gaps in
// what it is told about one fulfillment order.
func (m *model) answer(t *rapid.T) {
	tasks := Tasks(m.runner.site, m.now, nil)
	seen := map[string]bool{}
	for _, task := range tasks {
		c, isNotice := task.Command.(*messages.FulfillmentChanged)
		if !isNotice {
			continue
		}
		if seen[c.FulfillmentId] {
			t.Fatalf("two notices of %s are out at once", c.FulfillmentId)
		}
		seen[c.FulfillmentId] = true
		if c.Sequence <= m.heard[c.FulfillmentId] {
			t.Fatalf("notice %s comes after %d", task.ID, m.heard[c.FulfillmentId])
		}
	}
	if len(m.takings) > 0 && rapid.IntRange(0, 3).Draw(t, "late") == 0 {
		m.do(&messages.TaskResult{TaskId: rapid.SampledFrom(m.takings).Draw(t, "taking").task, Reply: &messages.Reply{}})
		return
	}
	if len(seen) == 0 {
		return
	}
	task := rapid.SampledFrom(tasks[:len(seen)]).Draw(t, "task")
	c := task.Command.(*messages.FulfillmentChanged)
	m.do(&messages.TaskResult{TaskId: task.ID, Reply: &messages.Reply{}})
	m.heard[c.FulfillmentId] = c.Sequence
	m.takings = append(m.takings, taking{task.ID, task.To.ID})
}

func (m *model) setUp(t *rapid.T) {
	limit := func(name string) int64 { return rapid.Int64Range(0, 4).Draw(t, name) }
	m.do(&messages.ApplySite{Doc: &messages.SiteDoc{
		Id: "den", Accept: rapid.SampledFrom([]string{acceptAuto, acceptManual}).Draw(t, "accept"),
		Capacity:       &messages.SiteCapacity{PerHour: limit("per_hour"), PerDay: limit("per_day"), OpenMax: limit("open_max")},
		Calendar:       &messages.SiteCalendar{TimeZone: "America/Denver", Open: weekdayHours, CutOff: "15:00"},
		AnswerWithinMs: rapid.SampledFrom([]int64{0, hourMs}).Draw(t, "answer within"),
	}})
}

// check compares what the machine knows by counting along with what the model finds by looking at everything.
func (m *model) check(t *rapid.T) {
	s := m.runner.site
	_, atHand := m.live("")
	if s.atHand != atHand || s.byID.size != len(s.work) {
		t.Fatalf("the site has %d at hand, %d indexed, %d in work; the model %d at hand", s.atHand, s.byID.size, len(s.work), atHand)
	}
	var unstarted int64
	for id, j := range s.work {
		if fo := m.fos[id]; fo.status != statusWord(j.status) || fo.request != requestWord(j.request) {
			t.Fatalf("%s is %s %s, the model says %s %s", id, statusWord(j.status), requestWord(j.request), fo.status, fo.request)
		}
		if notBegun(j.status) {
			unstarted++
		}
	}
	if unstarted != s.unstarted {
		t.Fatalf("%d are not begun, the site counts %d", unstarted, s.unstarted)
	}
	for _, w := range slices.Concat(s.hours.list, s.days.list) {
		if live, _ := m.live(w.name); live != w.count {
			t.Fatalf("window %s counts %d, the model finds %d", w.name, w.count, live)
		}
	}
	data := s.MarshalState()
	whole := new(messages.SiteState)
	if err := whole.UnmarshalVT(data); err != nil {
		t.Fatal(err)
	}
	if same, err := whole.MarshalVT(); err != nil || !bytes.Equal(same, data) {
		t.Fatalf("the state's parts do not add up to the message: %v", err)
	}
	again, err := UnmarshalState(data)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, again.MarshalState()) {
		t.Fatal("unmarshal and marshal gave other bytes")
	}
	if a, b := fmt.Sprint(Tasks(s, m.now, nil)), fmt.Sprint(Tasks(again, m.now, nil)); a != b {
		t.Fatalf("after a restart the site owes %s, before %s", b, a)
	}
}

// TestModel proves under random commands, repeats, clock steps and restarts that capacity is never exceeded in any window, that
// every fulfillment order ends at most once, that notices of one fulfillment order go out one at a time and in order, that
// repeats change nothing, and that replay and unmarshaling give the live state byte for byte.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{t: t, runner: newRunner("den"), now: modelStart, fos: map[string]*modelFO{}, heard: map[string]uint64{}}
		anyID := func(t *rapid.T) string { return rapid.SampledFrom(modelIDs).Draw(t, "id") }
		m.setUp(t)
		t.Repeat(map[string]func(*rapid.T){
			"request": m.request, "act": m.act, "act more": m.act, "answer": m.answer, "apply": m.setUp, "": m.check,
			"release": func(t *rapid.T) { m.do(&messages.ReleaseFulfillment{FulfillmentId: anyID(t)}) },
			"cancel":  func(t *rapid.T) { m.do(&messages.CancelFulfillment{FulfillmentId: anyID(t), Reason: "customer"}) },
			"timer":   func(t *rapid.T) { m.do(&messages.AnswerDeadline{}) },
			"status": func(t *rapid.T) {
				m.do(&messages.SetSiteStatus{Status: rapid.SampledFrom([]string{statusOnline, statusOnline, statusSuspended, statusOffline}).Draw(t, "status")})
			},
			"restart": func(t *rapid.T) { m.runner.restart(t) },
			// Mostly forward, sometimes back as after a takeover by a slower clock. In all it stays below a day, after which endings
			// may be forgotten and ids begin anew.
			"wait": func(t *rapid.T) {
				ms := rapid.SampledFrom([]int64{1, minuteMs, 20 * minuteMs, hourMs, -minuteMs}).Draw(t, "ms")
				m.now = min(m.now+ms, modelEnd)
			},
		})
		m.runner.checkReplay(t)
	})
}
