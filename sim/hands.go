package sim

import (
	"orderyard/actors/audit"
	"orderyard/messages"
)

// hands counts, from the events of sites alone, what each of them may ship of each line, beside what was ordered. It knows nothing of an order's own
// accounts, in which a unit has one place by construction.
type hands struct {
	w       *world
	ordered map[string][]int64 // by order: the units of each line
	may     map[string][]int64 // of these: at sites, at hand or shipped
	left    map[string][]int64 // of these: shipped
	jobs    map[string]*job    // by fulfillment order
}

// job is one fulfillment order at its site.
type job struct {
	order   string
	lines   []*messages.FulfillmentLine
	shipped bool
}

func newHands(w *world) *hands {
	return &hands{w: w, ordered: map[string][]int64{}, may: map[string][]int64{}, left: map[string][]int64{}, jobs: map[string]*job{}}
}

// The numbers under which the journal writes what is looked at here.
var (
	typePlaced    = messages.EventType(new(messages.OrderPlaced))
	typeRequested = messages.EventType(new(messages.FulfillmentRequested))
	typeAccepted  = messages.EventType(new(messages.FulfillmentAccepted))
	typeRejected  = messages.EventType(new(messages.FulfillmentRejected))
	typeTimedOut  = messages.EventType(new(messages.FulfillmentTimedOut))
	typeMoved     = messages.EventType(new(messages.FulfillmentMoved))
	typeGivenBack = messages.EventType(new(messages.FulfillmentCancelled))
)

// stored takes an entry as it becomes durable.
func (h *hands) stored(e *messages.Entry) {
	for _, r := range e.Events {
		switch r.Type {
		case typePlaced, typeRequested, typeAccepted, typeRejected, typeTimedOut, typeMoved, typeGivenBack:
		default:
			continue
		}
		event, err := messages.DecodeEvent(r)
		if err != nil {
			h.w.violate("I10", e.Id, "%v", err)
			continue
		}
		switch event := event.(type) {
		case *messages.OrderPlaced:
			h.placed(e.Id, event.Order)
		case *messages.FulfillmentRequested:
			h.take(event.Fulfillment)
		case *messages.FulfillmentAccepted:
			h.take(event.Fulfillment)
		case *messages.FulfillmentRejected:
			h.free(event.FulfillmentId)
		case *messages.FulfillmentTimedOut:
			h.free(event.FulfillmentId)
		case *messages.FulfillmentCancelled:
			h.free(event.FulfillmentId)
		case *messages.FulfillmentMoved:
			h.moved(event)
		}
	}
}

func (h *hands) placed(id string, o *messages.Order) {
	units := make([]int64, len(o.GetLines()))
	for i, line := range o.GetLines() {
		units[i] = line.Quantity
	}
	h.ordered[id], h.may[id], h.left[id] = units, make([]int64, len(units)), make([]int64, len(units))
}

// take: a manual site that accepts tells the id only, for it has the work already.
func (h *hands) take(fo *messages.FulfillmentOrder) {
	if h.jobs[fo.GetId()] != nil {
		return
	}
	ordered, may := h.ordered[fo.GetOrderId()], h.may[fo.GetOrderId()]
	for _, line := range fo.GetLines() {
		if int(line.Line) >= len(ordered) {
			h.w.violate("I3", fo.GetOrderId(), "%s took line %d, which was not ordered", fo.GetId(), line.Line)
			return
		}
	}
	h.jobs[fo.GetId()] = &job{order: fo.GetOrderId(), lines: fo.GetLines()}
	for _, line := range fo.GetLines() {
		if may[line.Line] += line.Quantity; may[line.Line] > ordered[line.Line] {
			h.w.violate("I3", fo.GetOrderId(), "two sites may ship line %d: %d units are with sites since %s was taken, %d were ordered",
				line.Line, may[line.Line], fo.GetId(), ordered[line.Line])
		}
	}
}

func (h *hands) free(id string) {
	j := h.jobs[id]
	if j == nil || j.shipped {
		return
	}
	for _, line := range j.lines {
		h.may[j.order][line.Line] -= line.Quantity
	}
	delete(h.jobs, id)
}

func (h *hands) moved(e *messages.FulfillmentMoved) {
	j := h.jobs[e.FulfillmentId]
	if j == nil || j.shipped || e.Status < messages.FulfillmentStatus_FULFILLMENT_STATUS_SHIPPED {
		return
	}
	j.shipped = true
	for _, line := range j.lines {
		h.left[j.order][line.Line] += line.Quantity
	}
}

// finish compares what sites have shipped with what every order says was shipped. Nothing is under way any more.
func (h *hands) finish(a *audit.Auditor) {
	for _, id := range sortedKeys(h.ordered) {
		for line, u := range a.Units(messages.OrderRef(id)) {
			if left := h.left[id][line]; left != u.Shipped+u.Delivered {
				h.w.violate("I3", id, "sites have shipped %d units of line %d, the order says %d", left, line, u.Shipped+u.Delivered)
			}
		}
	}
}
