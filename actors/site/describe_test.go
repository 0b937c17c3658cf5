package site

import (
	"fmt"
	"strings"
	"time"

	"orderyard/messages"
)

// words joins what is not empty.
func words(parts ...string) string {
	kept := parts[:0:0]
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, " ")
}

func pair[T comparable](name string, value T) string {
	var zero T
	if value == zero {
		return ""
	}
	return fmt.Sprintf("%s=%v", name, value)
}

func span1(name string, ms int64) string {
	return pair(name, strings.TrimPrefix((time.Duration(ms)*time.Millisecond).String(), "0s"))
}

func moment(name string, ms int64) string {
	if ms == 0 {
		return ""
	}
	return name + "=" + shown(ms)
}

func lines(of []*messages.FulfillmentLine) string {
	var out []string
	for _, l := range of {
		out = append(out, fmt.Sprintf("%s:%s×%d", l.LineId, l.Sku, l.Quantity))
	}
	return pair("lines", strings.Join(out, ","))
}

func parcel(p *messages.Shipment) string {
	if p == nil {
		return ""
	}
	return words("parcel="+p.Id, pair("carrier", p.Carrier), pair("tracking", p.Tracking), moment("shipped", p.ShippedAtMs), moment("delivered", p.DeliveredAtMs))
}

func describeEvent(event messages.Event) string {
	name := messages.EventName(event)
	switch e := event.(type) {
	case *messages.SiteApplied:
		return words(name, e.Doc.Id, e.Doc.Status, e.Doc.Accept)
	case *messages.SiteStatusSet:
		return words(name, e.Status)
	case *messages.SiteCapacitySet:
		return words(name, pair("per_hour", e.Capacity.PerHour), pair("per_day", e.Capacity.PerDay), pair("open_max", e.Capacity.OpenMax))
	case *messages.SitePausedUntil:
		return words(name, moment("until", e.UntilMs), e.Reason)
	case *messages.FulfillmentRequested:
		return words(name, e.Fulfillment.Id, "hour="+e.Hour, "work="+e.WorkDate, moment("deadline", e.DeadlineMs))
	case *messages.FulfillmentAccepted:
		return words(name, e.Fulfillment.Id, "hour="+e.Hour, "work="+e.WorkDate)
	case *messages.FulfillmentRejected:
		return words(name, e.FulfillmentId, e.Reason, pair("note", e.Note), lines(e.Lines), span1("retry", e.RetryAfterMs))
	case *messages.FulfillmentMoved:
		return words(name, e.FulfillmentId, statusWord(e.Status), parcel(e.Shipment))
	case *messages.FulfillmentCancelled:
		return words(name, e.FulfillmentId, e.Reason)
	case *messages.OrderTold:
		return fmt.Sprintf("%s %s n%d", name, e.FulfillmentId, e.Sequence)
	case interface{ GetFulfillmentId() string }:
		return words(name, e.GetFulfillmentId())
	}
	return name
}

func describeReply(r *messages.Reply) string {
	var out []string
	if f := r.Failure; f != nil {
		out = append(out, words("refused", f.Code+":", f.Message))
	} else {
		out = append(out, "ok")
	}
	if f := r.GetFulfillment(); f != nil {
		out = append(out, words(" ", f.FulfillmentId, statusWord(f.Status), requestWord(f.RequestStatus), pair("reason", f.Reason), span1("retry", f.RetryAfterMs), pair("work", f.WorkDate)))
	}
	if s := r.GetSite(); s != nil {
		if v := s.Site; v != nil {
			out = append(out, words(" ", v.Doc.Id, v.Doc.Status, v.Doc.Accept, fmt.Sprintf("open=%d hour=%d today=%d", v.Open, v.AcceptedThisHour, v.AcceptedToday),
				moment("paused_until", v.PausedUntilMs), fmt.Sprintf("v%d", v.Version)))
		}
		for _, fo := range s.Fulfillments {
			out = append(out, words(" ", fo.Id, statusWord(fo.Status), requestWord(fo.RequestStatus), pair("reason", fo.Reason), pair("work", fo.WorkDate), moment("deadline", fo.DeadlineMs),
				"["+strings.Join(SupportedActions(fo), " ")+"]"))
		}
		out = append(out, words(" ", pair("next", s.NextPage)))
	}
	kept := out[:0]
	for _, line := range out {
		if strings.TrimSpace(line) != "" {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// describeView shows what a site tells the nodes, and what they make of its calendar: the first two of its coming days.
func describeView(v *messages.SiteView, a Ahead) string {
	var b strings.Builder
	fmt.Fprintln(&b, words(fmt.Sprintf("open=%d hour=%d", v.Open, v.AcceptedThisHour), moment("until", v.HourUntilMs),
		fmt.Sprintf("day=%d", v.AcceptedToday), moment("until", v.DayUntilMs), moment("paused_until", v.PausedUntilMs)))
	fmt.Fprintf(&b, "works today: %v\n", a.Works)
	for _, d := range a.Days[:min(2, len(a.Days))] {
		fmt.Fprintln(&b, words(moment("opens", d.OpensAt), moment("cut_off", d.CutOffAt), moment("closes", d.ClosesAt)))
	}
	return b.String()
}

func describeTasks(tasks []messages.Task) string {
	if len(tasks) == 0 {
		return "nothing owed\n"
	}
	var b strings.Builder
	for _, task := range tasks {
		what := ""
		if c, ok := task.Command.(*messages.FulfillmentChanged); ok {
			what = words(c.FulfillmentId, statusWord(c.Status), requestWord(c.RequestStatus), pair("reason", c.Reason), pair("note", c.Note), lines(c.Lines), parcel(c.Shipment),
				pair("work", c.WorkDate), span1("retry", c.RetryAfterMs))
		}
		fmt.Fprintln(&b, words(task.ID, "→", task.To.String(), moment("due", task.Due), what))
	}
	return b.String()
}
