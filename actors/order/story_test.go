package order

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"google.golang.org/protobuf/reflect/protoreflect"

	"orderyard/messages"
)

// TestStories proves the order's behavior as readable stories: each file in testdata tells what routing, buckets, sites and people
// say, and records what the order decides and owes. After every line the invariants of the harness hold.
func TestStories(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			s := &story{}
			datadriven.RunTest(t, path, s.run)
		})
	}
}

// story plays routing, buckets and sites by script.
type story struct {
	h     *harness
	holds bool // buckets of an older build: they hold for a while instead of allocating
	out   strings.Builder
}

func (s *story) run(t *testing.T, d *datadriven.TestData) string {
	s.out.Reset()
	if s.h == nil || d.Cmd == "new" {
		s.h = newHarness(t, "web-1")
	}
	s.h.t, s.h.fatal = t, func(format string, args ...any) { d.Fatalf(t, format, args...) }
	a := args{d}
	switch d.Cmd {
	case "new":
		s.holds = a.has("holds")
	case "place":
		s.step(a.place())
	case "plan":
		s.plan(a)
	case "ok":
		s.ok(a.first())
	case "answer":
		s.step(&messages.TaskResult{TaskId: "web-1." + a.first(), Reply: a.reply()})
	case "changed":
		s.step(a.changed())
	case "lost":
		s.step(&messages.ClaimLost{ReservationId: "web-1." + a.first()})
	case "check":
		s.step(&messages.CheckClaim{ReservationId: "web-1." + a.first()})
	case "arrived":
		s.step(&messages.StockArrived{Sku: a.first()})
	case "cancel":
		s.step(&messages.CancelOrder{Reason: a.word("reason"), Note: a.word("note")})
	case "hold":
		hold := &messages.HoldOrder{Reason: a.first(), Note: a.word("note")}
		if for_ := a.word("for"); for_ != "" {
			hold.UntilMs = s.h.now + duration(for_)
		}
		s.step(hold)
	case "release":
		s.step(&messages.ReleaseOrder{Reason: a.first(), Exception: a.word("exception")})
	case "wait":
		s.h.now += duration(a.first())
		s.events(s.h.local(nil))
	case "sweep":
		s.sweep(a)
	case "restart":
		s.h.restart()
	case "view":
		s.view()
		return s.out.String()
	default:
		d.Fatalf(t, "unknown command %s", d.Cmd)
	}
	s.after()
	return s.out.String()
}

func duration(text string) int64 {
	d, err := time.ParseDuration(text)
	if err != nil {
		panic(err)
	}
	return d.Milliseconds()
}

func (s *story) step(cmd messages.Command) {
	events, reply, err := s.h.step(cmd)
	s.events(events)
	switch {
	case err != nil:
		fmt.Fprintf(&s.out, "error: %v\n", err)
		if f, ok := err.(*messages.Failure); ok && len(f.Errors) > 1 {
			for _, one := range f.Errors {
				fmt.Fprintf(&s.out, "  %s %s\n", one.Field, one.Message)
			}
		}
	case reply.GetFailure() != nil:
		fmt.Fprintf(&s.out, "refused: %v\n", reply.Failure)
	case reply.GetOrder() != nil:
		fmt.Fprintf(&s.out, "reply: %s v%d", reply.GetOrder().Status, reply.GetOrder().Version)
		if m := reply.GetOrder().Message; m != "" {
			fmt.Fprintf(&s.out, " (%s)", m)
		}
		if reply.Replayed {
			s.out.WriteString(" replayed")
		}
		s.out.WriteString("\n")
	}
}

// plan answers the routing question once: "plan DEN=0:2,1:1 SLC=1:1 manual=SLC", or "plan nothing".
func (s *story) plan(a args) {
	asked := false
	s.events(s.h.local(func(r *messages.PlanRequest) *messages.Plan {
		if asked {
			return nil
		}
		asked = true
		fmt.Fprintf(&s.out, "asked: %s\n", requestText(r))
		plan := &messages.Plan{Decision: &messages.DecisionRecord{Strategy: "story"}}
		for _, arg := range a.d.CmdArgs {
			if arg.Key == "nothing" || arg.Key == "manual" {
				continue
			}
			if arg.Key == "act" { // act=(hold:site_choice,cancel_after_days:3): what the rule wants done beside
				for _, v := range arg.Vals {
					do, word, _ := strings.Cut(v, ":")
					days, _ := strconv.ParseInt(word, 10, 64)
					plan.Actions = append(plan.Actions, &messages.PlanAction{Do: do, Word: word, Days: days})
				}
				continue
			}
			plan.Assignments = append(plan.Assignments, a.assignment(arg))
		}
		return plan
	}))
	if !asked {
		s.out.WriteString("nothing is to be planned\n")
	}
}

// sweep moves what may move: "sweep SLC=0:1 manual=SLC", with stale as it was one event ago.
func (s *story) sweep(a args) {
	if m := movable(s.h.s, s.h.now); m == nil {
		s.out.WriteString("nothing may be moved\n")
	} else {
		fmt.Fprintf(&s.out, "asked: %s\n", requestText(m.Question))
		for _, p := range m.Present {
			fmt.Fprintf(&s.out, "  now at %s", p.Site)
			for _, l := range p.Lines {
				fmt.Fprintf(&s.out, " %d:%d", l.Line, l.Quantity)
			}
			s.out.WriteString("\n")
		}
	}
	c := &messages.Reassign{Version: s.h.s.Version, Plan: &messages.Plan{Decision: &messages.DecisionRecord{Strategy: "story"}}}
	if a.has("stale") {
		c.Version--
	}
	for _, arg := range a.d.CmdArgs {
		if arg.Key != "stale" && arg.Key != "manual" {
			c.Plan.Assignments = append(c.Plan.Assignments, a.assignment(arg))
		}
	}
	s.step(c)
}

// assignment reads "DEN=0:2" or "DEN=(0:2,1:1)".
func (a args) assignment(arg datadriven.CmdArg) *messages.Assignment {
	x := &messages.Assignment{Site: arg.Key, Manual: a.word("manual") == arg.Key}
	for _, v := range arg.Vals {
		x.Lines = append(x.Lines, quantity(v))
	}
	return x
}

func requestText(r *messages.PlanRequest) string {
	text := fmt.Sprintf("plan %d cause=%s %s splits_left=%d needs", r.PlanNo, r.Cause, r.Partial, r.SplitsLeft)
	for _, n := range r.Needs {
		text += fmt.Sprintf(" %d:%d", n.Line, n.Quantity)
	}
	for _, x := range r.Exclusions {
		text += fmt.Sprintf(" without=%s@%s", x.Sku, x.Site)
	}
	for _, k := range r.Known {
		text += fmt.Sprintf(" known=%s@%s:%d", k.Sku, k.Site, k.Atp)
	}
	if len(r.SitesUsed) > 0 {
		text += fmt.Sprintf(" used=%v", r.SitesUsed)
	}
	if r.Queue != "" {
		text += " queue=" + r.Queue
	}
	return text
}

// ok answers well all that is owed and due now under a verb; without a verb, everything but the plan.
func (s *story) ok(verb string) {
	for _, task := range s.h.tasks() {
		if task.Due > s.h.now || task.To.Kind == messages.KindRouting {
			continue
		}
		if of := task.ID[strings.LastIndexByte(task.ID, '/')+1:]; verb == "" || of[:1] == verb {
			s.step(&messages.TaskResult{TaskId: task.ID, Reply: s.well(task)})
		}
	}
}

func (s *story) well(task messages.Task) *messages.Reply {
	if s.holds && task.To.Kind == messages.KindBucket {
		return &messages.Reply{Body: &messages.Reply_Stock{Stock: &messages.StockReply{Atp: 9, ExpiresAtMs: s.h.now + holdForMs}}}
	}
	return well(task)
}

// well is the good answer to a task.
func well(task messages.Task) *messages.Reply {
	if task.To.Kind == messages.KindBucket {
		return &messages.Reply{Body: &messages.Reply_Stock{Stock: &messages.StockReply{Atp: 9, ReservationStatus: reservationConfirmed}}}
	}
	answer := &messages.FulfillmentReply{Status: statusScheduled, RequestStatus: requestAccepted}
	switch c := task.Command.(type) {
	case *messages.RequestFulfillment:
		if c.Released {
			answer.Status = statusOpen
		}
	case *messages.ReleaseFulfillment:
		answer.Status = statusOpen
	case *messages.CancelFulfillment:
		answer.Status, answer.RequestStatus = statusCancelled, requestGivenBack
	}
	return &messages.Reply{Body: &messages.Reply_Fulfillment{Fulfillment: answer}}
}

// after tells the headline and what is owed.
func (s *story) after() {
	if s.h.s.order == nil {
		return
	}
	fmt.Fprintf(&s.out, "%s", Status(s.h.s))
	if waits := Waits(s.h.s); len(waits) > 0 {
		fmt.Fprintf(&s.out, " waits=%v", waits)
	}
	s.out.WriteString("\n")
	for _, task := range s.h.tasks() {
		if task.To.Kind == messages.KindRouting {
			fmt.Fprintf(&s.out, "  owes %s\n", requestText(task.Command.(*messages.PlanRequest)))
			continue
		}
		fmt.Fprintf(&s.out, "  owes %s %s%s", strings.TrimPrefix(task.ID, "web-1"), task.To.ID, taskText(task.Command))
		if task.Due > s.h.now {
			fmt.Fprintf(&s.out, " in %s", time.Duration(task.Due-s.h.now)*time.Millisecond)
		}
		s.out.WriteString("\n")
	}
}

func taskText(cmd messages.Command) string {
	switch c := cmd.(type) {
	case *messages.ReserveStock:
		return fmt.Sprintf(" qty=%d", c.Quantity)
	case *messages.ShipStock:
		return fmt.Sprintf(" qty=%d", c.Quantity)
	case *messages.CancelReservation:
		if c.RejectReason != "" {
			return fmt.Sprintf(" reject=%s:%d", c.RejectReason, c.RejectedQuantity)
		}
	case *messages.RequestFulfillment:
		text := ""
		for _, l := range c.Fulfillment.Lines {
			text += fmt.Sprintf(" %d:%d", l.Line, l.Quantity)
		}
		if c.Released {
			text += " released"
		}
		return text
	case *messages.CancelFulfillment:
		return " " + c.Reason
	}
	return ""
}

func (s *story) view() {
	v := View(s.h.s, &messages.GetOrder{Timeline: true, Decisions: true})
	fmt.Fprintf(&s.out, "%s (%s) rejections=%d attempts=%d\n", v.Status, v.Life, v.Rejections, v.Attempts)
	for i, u := range v.Units {
		fmt.Fprintf(&s.out, "line %d: %s\n", i, fields(u))
	}
	for _, f := range v.Fulfillments {
		fmt.Fprintf(&s.out, "%s %s %s/%s %s", f.Id, f.Site, statusWord(f.Status),
			strings.ToLower(strings.TrimPrefix(f.RequestStatus.String(), "REQUEST_STATUS_")), f.Reason)
		for _, l := range f.Lines {
			fmt.Fprintf(&s.out, " %d:%d", l.Line, l.Quantity)
		}
		s.out.WriteString("\n")
	}
	for _, e := range v.Exceptions {
		fmt.Fprintf(&s.out, "exception %s (%s): %s\n", e.Kind, e.Owner, e.Detail)
	}
	for _, h := range v.Holds {
		fmt.Fprintf(&s.out, "hold %s by %s\n", h.Reason, h.Actor)
	}
	for _, d := range v.Decisions {
		fmt.Fprintf(&s.out, "decision %d %s\n", d.PlanNo, d.Cause)
	}
	for _, e := range v.Timeline {
		fmt.Fprintf(&s.out, "+%s %s %s\n", time.Duration(e.AtMs-noon)*time.Millisecond, e.What, e.Detail)
	}
}

func (s *story) events(events []messages.Event) {
	for _, e := range events {
		if _, ok := e.(*messages.OrderPlaced); ok {
			s.out.WriteString("OrderPlaced\n")
			continue
		}
		if p, ok := e.(*messages.PlanAdopted); ok {
			fmt.Fprintf(&s.out, "PlanAdopted %d %s", p.Plan.PlanNo, p.Plan.Cause)
			for i, a := range p.Plan.Assignments {
				fmt.Fprintf(&s.out, " %d=%s", p.FirstFulfillment+uint32(i), a.Site)
				for _, l := range a.Lines {
					fmt.Fprintf(&s.out, " %d:%d", l.Line, l.Quantity)
				}
			}
			s.out.WriteString("\n")
			continue
		}
		s.out.WriteString(strings.TrimSpace(messages.EventName(e)+" "+fields(e)) + "\n")
	}
}

// fields writes a flat message in field order; times are told from noon, the stories' beginning.
func fields(m messages.Message) string {
	var parts []string
	r := m.ProtoReflect()
	list := r.Descriptor().Fields()
	for i := range list.Len() {
		f := list.Get(i)
		if !r.Has(f) {
			continue
		}
		name, v := string(f.Name()), r.Get(f)
		switch {
		case f.IsList():
			text := ""
			for j := range v.List().Len() {
				if l, ok := v.List().Get(j).Message().Interface().(*messages.LineQuantity); ok {
					text += fmt.Sprintf(",%d:%d", l.Line, l.Quantity)
				}
			}
			parts = append(parts, name+"="+strings.TrimPrefix(text, ","))
		case f.Kind() == protoreflect.MessageKind:
			parts = append(parts, name+"={"+short(v.Message().Interface().(messages.Message))+"}")
		case strings.HasSuffix(name, "_ms") && v.Int() > noon/2:
			parts = append(parts, fmt.Sprintf("%s=+%s", strings.TrimSuffix(name, "_ms"), time.Duration(v.Int()-noon)*time.Millisecond))
		case f.Kind() == protoreflect.EnumKind:
			parts = append(parts, name+"="+statusWord(messages.FulfillmentStatus(v.Enum())))
		default:
			parts = append(parts, name+"="+strconv.Quote(v.String()))
		}
	}
	return strings.ReplaceAll(strings.Join(parts, " "), `"`, "")
}
