package site

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	"orderyard/messages"
)

const someday = int64(1_782_918_000_000) // 2026-07-01T09:00:00-06:00

func applied(t testing.TB, doc *messages.SiteDoc) *runner {
	t.Helper()
	r := newRunner("den")
	doc.Id = "den"
	if _, _, err := r.do(&messages.ApplySite{Doc: doc}, someday); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestValidateDoc proves that everything wrong with a document is reported at once, in document order, by public paths.
func TestValidateDoc(t *testing.T) {
	doc := &messages.SiteDoc{
		Id: "no spaces", Name: strings.Repeat("x", 300), Type: "shed", Lat: math.NaN(), Lon: 200, PostalCode: "\xff", Country: "usa",
		Capacity:     &messages.SiteCapacity{PerHour: -1, PerDay: -2, OpenMax: capacityMax + 1},
		Calendar:     &messages.SiteCalendar{TimeZone: "Nowhere", Open: []string{"x", "", "", "", "", "", ""}},
		Groups:       []string{"us", ""},
		CostPerOrder: -1, CostPerUnit: -1, Accept: "perhaps", Status: "gone", AnswerWithinMs: -1,
		Region: strings.Repeat("x", regionBytesMax+1), Rank: -1, Markets: []string{"us", strings.Repeat("m", 65)},
		Carriers: []*messages.SiteCarrier{{Name: "ups"}, {Service: "express"}, {Name: "ups", Service: "express"}, {Name: "ups"}, {Name: "x", Service: "\xff"}},
		Attributes: []*messages.SiteAttribute{
			{Name: "good", Value: &messages.SiteAttribute_Truth{}}, {Name: "dock-no", Value: &messages.SiteAttribute_Number{}}, {Name: "none"},
			{Name: "good", Value: &messages.SiteAttribute_Text{}}, {Name: "long", Value: &messages.SiteAttribute_Text{Text: strings.Repeat("x", textBytesMax+1)}},
			{Name: strings.Repeat("é", 40), Value: &messages.SiteAttribute_Truth{}},
		},
	}
	var got []string
	for _, e := range ValidateDoc(doc) {
		got = append(got, e.Field)
	}
	want := []string{"id", "name", "type", "lat", "lon", "postal_code", "country", "region", "capacity.per_hour", "capacity.per_day", "capacity.open_max",
		"calendar.time_zone", "calendar.open.mon", "groups[1]", "markets[1]", "carriers[1].name", "carriers[3]", "carriers[4].service",
		"cost.per_order", "cost.per_unit", "rank", "accept", "status", "answer_within_ms", "attributes.dock-no", "attributes.none",
		"attributes.good", "attributes.long", "attributes." + strings.Repeat("é", 32)}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if errs := ValidateDoc(&messages.SiteDoc{Id: "den"}); len(errs) > 0 {
		t.Errorf("a document with an id alone is valid, got %v", errs)
	}
	if errs := ValidateDoc(nil); len(errs) != 1 {
		t.Errorf("no document: got %v", errs)
	}
	many := &messages.SiteDoc{
		Id: "den", Rank: rankMax + 1, Carriers: make([]*messages.SiteCarrier, carriersMax+1), Attributes: make([]*messages.SiteAttribute, attributesMax+1),
		Markets: make([]string, groupsMax+1),
	}
	if errs := ValidateDoc(many); len(errs) != 4 || errs[0].Field != "markets" || errs[1].Field != "carriers" || errs[2].Field != "rank" || errs[3].Field != "attributes" {
		t.Errorf("too many: got %v", errs)
	}
}

// TestCloneDoc proves that changing the status or the capacity of a site keeps the rest of its document, whatever fields it has: it fills
// in every field there is and compares.
func TestCloneDoc(t *testing.T) {
	doc := &messages.SiteDoc{}
	fields := doc.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch m := doc.ProtoReflect(); {
		case f.IsList():
			list := m.Mutable(f).List()
			list.Append(list.NewElement())
		case f.Message() != nil:
			m.Mutable(f)
		case f.Kind() == protoreflect.StringKind:
			m.Set(f, protoreflect.ValueOfString("x"))
		case f.Kind() == protoreflect.DoubleKind:
			m.Set(f, protoreflect.ValueOfFloat64(1))
		default:
			m.Set(f, protoreflect.ValueOfInt64(1))
		}
	}
	if got := cloneDoc(doc); !proto.Equal(got, doc) {
		t.Errorf("got  %v\nwant %v", got, doc)
	}
}

// TestCapacityKeepsWhatIsNotGiven proves that a change of some limits leaves the others as they are now, whoever set them; that 0 takes a limit away; and
// that a change which changes nothing is no event.
func TestCapacityKeepsWhatIsNotGiven(t *testing.T) {
	r := applied(t, &messages.SiteDoc{Capacity: &messages.SiteCapacity{PerHour: 1, PerDay: 2, OpenMax: 3}})
	for _, c := range []struct {
		change *messages.CapacityChange
		want   [3]int64
		events int
	}{
		{&messages.CapacityChange{PerHour: new(int64(500))}, [3]int64{500, 2, 3}, 1},
		{&messages.CapacityChange{PerDay: new(int64(0))}, [3]int64{500, 0, 3}, 1},
		{&messages.CapacityChange{PerDay: new(int64(0)), OpenMax: new(int64(3))}, [3]int64{500, 0, 3}, 0},
		{&messages.CapacityChange{}, [3]int64{500, 0, 3}, 0},
	} {
		events, reply, err := Decide(r.site, &messages.SetSiteCapacity{Change: c.change}, someday)
		got := reply.GetSite().GetSite().GetDoc().GetCapacity()
		if err != nil || len(events) != c.events || [3]int64{got.GetPerHour(), got.GetPerDay(), got.GetOpenMax()} != c.want {
			t.Errorf("%v: %d events, %v, %v; want %v", c.change, len(events), got, err, c.want)
		}
		r.do(&messages.SetSiteCapacity{Change: c.change}, someday)
	}
}

// TestBadCommands proves that a wrong command is an error that names its field, and that no command panics on a new site or on
// one at work, however empty it is.
func TestBadCommands(t *testing.T) {
	long := strings.Repeat("x", idMax+1)
	for _, site := range []*State{New("den"), applied(t, &messages.SiteDoc{}).site, New("")} {
		for _, c := range []struct {
			field   string
			command messages.Command
		}{
			{"site", &messages.ApplySite{}},
			{"capacity", &messages.SetSiteCapacity{}},
			{"capacity.per_hour", &messages.SetSiteCapacity{Change: &messages.CapacityChange{PerHour: new(int64(-1))}}},
			{"status", &messages.SetSiteStatus{}},
			{"status", &messages.ListFulfillments{Status: "unspecified"}},
			{"fulfillment", &messages.RequestFulfillment{}},
			{"fulfillment.id", &messages.RequestFulfillment{Fulfillment: &messages.FulfillmentOrder{}}},
			{"fulfillment.id", &messages.RequestFulfillment{Fulfillment: work("o 1.1")}},
			{"fulfillment.id", &messages.RequestFulfillment{Fulfillment: work(long)}},
			{"fulfillment.site", &messages.RequestFulfillment{Fulfillment: &messages.FulfillmentOrder{Id: "o.1", OrderId: "o", Site: "phx"}}},
			{"fulfillment.lines", &messages.RequestFulfillment{Fulfillment: &messages.FulfillmentOrder{Id: "o.1", OrderId: "o"}}},
			{"fulfillment.lines[0].quantity", &messages.RequestFulfillment{Fulfillment: &messages.FulfillmentOrder{Id: "o.1", OrderId: "o", Lines: []*messages.FulfillmentLine{{}}}}},
			{"fulfillment_id", &messages.CancelFulfillment{FulfillmentId: "o 1.1"}},
			{"reason", &messages.CancelFulfillment{FulfillmentId: "o.1", Reason: "\xff"}},
			{"action", &messages.SiteAction{}},
			{"note", &messages.SiteAction{Action: "reject", Reason: "other", FulfillmentId: "o.1"}},
			{"retry_after_ms", &messages.SiteAction{Action: "reject", Reason: "capacity", FulfillmentId: "o.1", RetryAfterMs: math.MaxInt64}},
			{"", &messages.GetOrder{}},
			{"", nil},
		} {
			events, _, err := Decide(site, c.command, someday)
			var failure *messages.Failure
			if !errors.As(err, &failure) || failure.Field != c.field || failure.Code != messages.CodeInvalid || len(events) > 0 {
				t.Errorf("%T: got %v, want invalid %q", c.command, err, c.field)
			}
		}
		for _, command := range []messages.Command{
			&messages.GetSite{}, &messages.ListFulfillments{}, &messages.ReleaseFulfillment{}, &messages.TaskResult{}, &messages.AnswerDeadline{},
		} {
			for _, now := range []int64{0, someday, math.MaxInt64, math.MinInt64} {
				if _, _, err := Decide(site, command, now); err != nil {
					t.Errorf("%T: %v", command, err)
				}
				View(site, now)
			}
		}
	}
}

// TestSupportedActions proves the table of GLOSSARY §2, row by row, over all pairs of status and request status.
func TestSupportedActions(t *testing.T) {
	var b strings.Builder
	for status := scheduled; status <= timedOut; status++ {
		for request := unsubmitted; request <= cancellationRejected; request++ {
			actions := SupportedActions(&messages.FulfillmentOrder{Status: status, RequestStatus: request})
			if len(actions) > 0 {
				fmt.Fprintf(&b, "%s %s: %s\n", statusWord(status), requestWord(request), strings.Join(actions, " "))
			}
		}
	}
	got := b.String()
	for _, row := range []string{
		"scheduled unsubmitted: submit hold move split merge cancel\n",
		"scheduled accepted: release_now hold move split merge cancel\n",
		"open submitted: accept reject cancel\n",
		"open accepted: pick reject hold request_cancellation\n",
		"open cancellation_requested: accept_cancellation reject_cancellation ship\n",
		"on_hold unsubmitted: release_hold move cancel\n",
		"on_hold accepted: release_hold request_cancellation\n",
		"picking accepted: pick pack reject request_cancellation\n",
		"picked cancellation_rejected: pick pack reject request_cancellation\n",
		"packed accepted: ship request_cancellation\n",
		"shipped accepted: deliver return\n",
		"delivered accepted: return\n",
	} {
		if !strings.Contains(got, row) {
			t.Errorf("missing %q in\n%s", row, got)
		}
	}
	for _, word := range []string{"rejected ", "timed_out ", "cancelled ", "incomplete "} {
		if strings.HasPrefix(got, word) || strings.Contains(got, "\n"+word) {
			t.Errorf("%ssupports actions:\n%s", word, got)
		}
	}
}

// TestTimerSlices proves that thousands of deadlines, and the work of a site gone offline, are worked off in bounded steps whose
// timers have ids of their own, until nothing is left, and that the notices about it are under way a few at a time, until all are told.
func TestTimerSlices(t *testing.T) {
	r := applied(t, &messages.SiteDoc{Accept: acceptManual})
	const all = 2*sliceMax + 10
	for i := range all {
		r.do(&messages.RequestFulfillment{Fulfillment: work(fmt.Sprintf("o%04d.1", i))}, someday)
	}
	r.do(&messages.SetSiteStatus{Status: statusOffline}, someday)
	if got := timers(r, someday); !slices.Equal(got, []string{"answer/o0000.1/" + fmt.Sprint(someday+answerWithinMs), "offline/1010"}) {
		t.Fatalf("timers are %v", got)
	}
	for _, step := range []struct {
		now  int64
		want int
	}{{someday, sliceMax}, {someday + answerWithinMs, sliceMax}, {someday + answerWithinMs, 10}, {someday + answerWithinMs, 0}} {
		before := timers(r, step.now)
		events, _, _ := r.do(&messages.AnswerDeadline{}, step.now)
		if len(events) != step.want {
			t.Fatalf("a step made %d events, want %d", len(events), step.want)
		}
		for _, id := range timers(r, step.now) {
			if step.want == sliceMax && slices.Contains(before, id) && strings.HasPrefix(id, "offline/") {
				t.Fatalf("timer %s has the same id after its step", id)
			}
		}
	}
	if left := timers(r, someday); len(left) > 0 || r.site.atHand != 0 || len(r.site.work) != 0 {
		t.Fatalf("left over: %v, %d at hand", left, r.site.atHand)
	}
	r.checkReplay(t)
	told := 0
	for tasks := Tasks(r.site, someday, nil); len(tasks) > 0; tasks = Tasks(r.site, someday, nil) {
		if want := min(noticesMax, all-told); len(tasks) != want {
			t.Fatalf("%d notices are under way when %d are told, want %d", len(tasks), told, want)
		}
		r.do(&messages.TaskResult{TaskId: tasks[0].ID, Reply: &messages.Reply{}}, someday)
		told++
	}
	if told != all {
		t.Fatalf("%d notices were told, want %d", told, all)
	}
	r.checkReplay(t)
}

func timers(r *runner, now int64) []string {
	var ids []string
	for _, task := range Tasks(r.site, now, nil) {
		if task.To == messages.SiteRef("den") {
			ids = append(ids, task.ID)
		}
	}
	return ids
}

// TestEndedIsBounded proves that at most endedMax endings are remembered, the newest, and that the same are known after a restart.
func TestEndedIsBounded(t *testing.T) {
	r := newRunner("den")
	for i := range endedMax + 5 {
		Evolve(r.site, &messages.FulfillmentCancelled{FulfillmentId: fmt.Sprintf("o%d.1", i), Reason: "two words"}, someday)
	}
	r.restart(t)
	if n := len(r.site.ended.byID); n != endedMax {
		t.Errorf("%d endings are remembered, want %d", n, endedMax)
	}
	if _, known := r.site.ended.byID["o4.1"]; known {
		t.Error("the oldest are remembered")
	}
	if end := r.site.ended.byID["o5.1"]; end.status != cancelled || end.reason != "two words" || end.at != someday {
		t.Errorf("o5.1 ended as %v", end)
	}
	Evolve(r.site, &messages.FulfillmentCancelled{FulfillmentId: "new.1"}, someday+endedForMs)
	if n := len(r.site.ended.byID); n != 1 {
		t.Errorf("%d endings are remembered a day later, want 1", n)
	}
}

// TestOwedEndingIsKnown proves that a site knows how work ended for as long as it owes the order the notice, although the ending itself was
// forgotten a day later: shipped goods are not given back, nothing that has ended is worked on again, and what it was is said as before.
func TestOwedEndingIsKnown(t *testing.T) {
	r := applied(t, &messages.SiteDoc{})
	for _, c := range []*messages.SiteAction{
		{FulfillmentId: "gone.1", Action: "ship"}, {FulfillmentId: "gone.1", Action: "deliver"},
		{FulfillmentId: "broken.1", Action: "reject", Reason: "damaged"},
		{FulfillmentId: "back.1", Action: "pick"},
	} {
		r.do(&messages.RequestFulfillment{Fulfillment: work(c.FulfillmentId), Released: true}, someday)
		if _, reply, err := r.do(c, someday); err != nil || reply.GetFailure() != nil {
			t.Fatal(reply, err)
		}
	}
	r.do(&messages.CancelFulfillment{FulfillmentId: "other.1"}, someday+endedForMs)
	if n := len(r.site.ended.byID); n != 1 {
		t.Fatalf("%d endings are remembered, want 1", n)
	}
	r.restart(t)
	later := someday + endedForMs
	for _, c := range []struct {
		id      string
		command messages.Command
		status  messages.FulfillmentStatus
		request messages.RequestStatus
		code    string
	}{
		{"gone.1", &messages.RequestFulfillment{Fulfillment: work("gone.1")}, delivered, accepted, ""},
		{"gone.1", &messages.CancelFulfillment{FulfillmentId: "gone.1"}, delivered, cancellationRejected, ""},
		{"gone.1", &messages.ReleaseFulfillment{FulfillmentId: "gone.1"}, delivered, accepted, ""},
		{"gone.1", &messages.SiteAction{FulfillmentId: "gone.1", Action: "deliver"}, delivered, accepted, ""},
		{"broken.1", &messages.RequestFulfillment{Fulfillment: work("broken.1")}, rejected, requestRejected, messages.CodeRejected},
		{"broken.1", &messages.CancelFulfillment{FulfillmentId: "broken.1"}, rejected, cancellationAccepted, ""},
		{"broken.1", &messages.ReleaseFulfillment{FulfillmentId: "broken.1"}, rejected, requestRejected, messages.CodeTooLate},
		{"back.1", &messages.CancelFulfillment{FulfillmentId: "back.1"}, picked, cancellationRejected, ""},
	} {
		_, reply, err := r.do(c.command, later)
		answer := reply.GetFulfillment()
		if err != nil || answer.GetStatus() != c.status || answer.GetRequestStatus() != c.request || reply.GetFailure().GetCode() != c.code {
			t.Errorf("%T of %s: got %v, %v", c.command, c.id, reply, err)
		}
	}
	r.checkReplay(t)
}

// TestRejectionIsDated proves that an order hears when the site found what it rejected for, in the notice and in the answer to a late copy
// of its question, also when the ending is forgotten; and that an entry of an older build, without the time, gives none.
func TestRejectionIsDated(t *testing.T) {
	r := applied(t, &messages.SiteDoc{})
	r.do(&messages.RequestFulfillment{Fulfillment: work("o.1"), Released: true}, someday)
	r.do(&messages.SiteAction{FulfillmentId: "o.1", Action: "reject", Reason: "not_in_stock"}, someday+5)
	r.do(&messages.RequestFulfillment{Fulfillment: work("old.1"), Released: true}, someday)
	Evolve(r.site, &messages.FulfillmentRejected{FulfillmentId: "old.1", OrderId: "o", Reason: "not_in_stock", Notify: true, Remember: true}, someday+5)
	r.site.Version++
	for _, task := range Tasks(r.site, someday+5, nil) {
		want := map[string]int64{"o.1": someday + 5, "old.1": 0}
		if c := task.Command.(*messages.FulfillmentChanged); c.RejectedAtMs != want[c.FulfillmentId] {
			t.Errorf("the notice about %s says %d, want %d", c.FulfillmentId, c.RejectedAtMs, want[c.FulfillmentId])
		}
	}
	for _, now := range []int64{someday + 10, someday + 5 + endedForMs} {
		r.do(&messages.CancelFulfillment{FulfillmentId: fmt.Sprintf("other%d.1", now)}, now)
		_, reply, _ := r.do(&messages.RequestFulfillment{Fulfillment: work("o.1"), Released: true}, now)
		if got := reply.GetFulfillment(); got.GetReason() != "not_in_stock" || got.RejectedAtMs != someday+5 {
			t.Errorf("the late question is answered %v", got)
		}
	}
}

// TestForgottenWindowIsFull proves that a clock set back beyond the remembered windows cannot take work: what is not known any
// more counts as full. Within them the counts still hold.
func TestForgottenWindowIsFull(t *testing.T) {
	r := applied(t, &messages.SiteDoc{Capacity: &messages.SiteCapacity{PerHour: 1}})
	take := func(i int, now int64) *messages.Reply {
		_, reply, _ := r.do(&messages.RequestFulfillment{Fulfillment: work(fmt.Sprintf("o%d.1", i))}, now)
		return reply
	}
	for i := range hoursKept + 1 {
		if reply := take(i, someday+int64(i)*hourMs); reply.Failure != nil {
			t.Fatal(reply.Failure)
		}
	}
	for _, back := range []int{0, 1, hoursKept} {
		if reply := take(1000, someday+int64(back)*hourMs); reply.GetFulfillment().Reason != reasonCapacity {
			t.Errorf("hour %d took work again: %v", back, reply)
		}
	}
	if got := len(r.site.hours.list); got != hoursKept {
		t.Errorf("%d hours are kept", got)
	}
	r.checkReplay(t)
}

// TestListIsBounded proves that a page never holds more than listMax and that pages together give all work once, in id order.
func TestListIsBounded(t *testing.T) {
	r := applied(t, &messages.SiteDoc{})
	for i := range 1200 {
		r.do(&messages.RequestFulfillment{Fulfillment: work(fmt.Sprintf("o%04d.1", (i*7)%1200))}, someday)
	}
	var got []string
	for after := ""; ; {
		_, reply, err := Decide(r.site, &messages.ListFulfillments{Limit: 10_000, After: after}, someday)
		if err != nil || len(reply.GetSite().Fulfillments) > listMax {
			t.Fatalf("%v, %d on a page", err, len(reply.GetSite().Fulfillments))
		}
		for _, fo := range reply.GetSite().Fulfillments {
			got = append(got, fo.Id)
		}
		if after = reply.GetSite().NextPage; after == "" {
			break
		}
	}
	if len(slices.Compact(got)) != 1200 || !slices.IsSorted(got) {
		t.Errorf("%d were listed", len(got))
	}
}

// TestShelf proves that the shelf is a sorted map, by doing the same to a plain one.
func TestShelf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := New("").byID
		plain := map[string]*job{}
		for _, n := range rapid.SliceOfN(rapid.IntRange(-1500, 3000), 0, 3000).Draw(t, "keys") {
			if key := fmt.Sprint(max(n, -n)); n < 0 {
				s.drop(key)
				delete(plain, key)
			} else {
				plain[key] = &job{}
				s.put(key, plain[key])
			}
		}
		var want []string
		for key := range plain {
			want = append(want, key)
		}
		slices.Sort(want)
		var got []string
		s.each(func(key string, j *job) bool {
			if plain[key] != j {
				t.Fatalf("%s has another value", key)
			}
			got = append(got, key)
			return true
		})
		if !slices.Equal(got, want) || s.size != len(want) {
			t.Fatalf("got %d keys (size %d), want %d", len(got), s.size, len(want))
		}
		from := fmt.Sprint(rapid.IntRange(0, 3000).Draw(t, "from"))
		at, _ := slices.BinarySearch(want, from)
		s.from(from, func(key string, _ *job) bool {
			if key != want[at] {
				t.Fatalf("from %s comes %s, want %s", from, key, want[at])
			}
			at++
			return true
		})
		if at != len(want) {
			t.Fatalf("from %s ended at %d of %d", from, at, len(want))
		}
	})
}
