package egress

import (
	"strings"

	"orderyard/messages"
)

// open begins the payload of an order's event. Names and addresses of people stay out of it: whoever needs them asks for the
// order.
func (t *translator) openOrder(o *occasion) {
	b := append(t.buf[:0], `{"order_id":`...)
	b = appendString(b, o.entry.GetId())
	b = appendText(b, "channel", channelOf(o.entry))
	t.buf = appendUint(b, "version", o.version)
}

// channelOf is the entry's topic; an entry without one is of an order whose channel is the beginning of its id.
func channelOf(e *messages.Entry) string {
	if e.GetTopic() != "" {
		return e.GetTopic()
	}
	channel, _, _ := strings.Cut(e.GetId(), "-")
	return channel
}

func (t *translator) sayOrder(o *occasion, event string) error {
	t.buf = append(t.buf, '}')
	return t.say(o, familyOrder, event, channelOf(o.entry), o.entry.GetId(), "")
}

func (t *translator) orderPlaced(o *occasion) error {
	var e messages.OrderPlaced
	if !t.read(o, &e) {
		return nil
	}
	t.openOrder(o)
	order := e.GetOrder()
	b := appendText(t.buf, "external_id", order.GetExternalId())
	b = appendTime(b, "placed_at", order.GetPlacedAtMs())
	b = appendText(b, "currency", order.GetCurrency())
	if order.GetPriority() != 0 {
		b = appendInt(b, "priority", int64(order.GetPriority()))
	}
	to := order.GetShipTo()
	b = append(b, `,"ship_to":{"country":`...)
	b = appendString(b, to.GetCountry())
	b = appendText(b, "postal_code", to.GetPostalCode())
	b = append(b, `},"lines":[`...)
	for i, l := range order.GetLines() {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"id":`...)
		b = appendString(b, l.GetId())
		b = appendText(b, "sku", l.GetSku())
		b = appendInt(b, "quantity", l.GetQuantity())
		b = append(appendInt(b, "unit_price", l.GetUnitPrice()), '}')
	}
	t.buf = append(b, ']')
	return t.sayOrder(o, "placed")
}

// rerouteCauses are the causes of a plan that took units away from where they were to go.
var rerouteCauses = map[string]bool{
	"declined": true, "rejected": true, "stock_zeroed": true, "timeout": true, "timed_out": true, "dropped": true, "manual": true, "sweep": true,
}

// planAdopted is told as planned, or as rerouted when an earlier plan failed or was bettered. A plan that found nothing is no news: the order
// waits, and its back-order is seen on the order itself.
func (t *translator) planAdopted(o *occasion) error {
	var e messages.PlanAdoptedOutline
	if !t.read(o, &e) || len(e.GetPlan().GetAssignments()) == 0 {
		return nil
	}
	plan := e.GetPlan()
	t.openOrder(o)
	b := appendInt(t.buf, "plan_no", int64(plan.GetPlanNo()))
	b = appendText(b, "cause", plan.GetCause())
	b = appendText(b, "rules_version", plan.GetRulesVersion())
	b = append(b, `,"assignments":[`...)
	for i, a := range plan.GetAssignments() {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"fulfillment_id":`...)
		b = appendString(b, fulfillmentID(o.entry.GetId(), e.GetFirstFulfillment()+uint32(i)))
		b = appendText(b, "site", a.GetSite())
		b = appendInt(b, "distance_m", a.GetDistanceM())
		b = append(appendLineQuantities(b, "lines", a.GetLines()), '}')
	}
	b = append(b, ']')
	if len(plan.GetShort()) > 0 {
		b = appendLineQuantities(b, "short", plan.GetShort())
	}
	t.buf = b
	if plan.GetPlanNo() > 1 && rerouteCauses[plan.GetCause()] {
		return t.sayOrder(o, "rerouted")
	}
	return t.sayOrder(o, "planned")
}

// appendLineQuantities names lines by their place in the order, counted from 0: the event does not hold their ids.
func appendLineQuantities(b []byte, name string, list []*messages.LineQuantity) []byte {
	b = append(appendName(b, name), '[')
	for i, q := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"line":`...)
		b = appendNumber(b, int64(q.GetLine()))
		b = append(appendInt(b, "quantity", q.GetQuantity()), '}')
	}
	return append(b, ']')
}

func (t *translator) orderAllocated(o *occasion) error {
	t.openOrder(o)
	return t.sayOrder(o, "allocated")
}

func (t *translator) orderCompleted(o *occasion) error {
	t.openOrder(o)
	return t.sayOrder(o, "completed")
}

func (t *translator) orderReleased(o *occasion) error {
	var e messages.OrderFulfillmentReleased
	if !t.read(o, &e) {
		return nil
	}
	t.openOrder(o)
	t.buf = appendText(t.buf, "fulfillment_id", fulfillmentID(o.entry.GetId(), e.GetFulfillment()))
	return t.sayOrder(o, "released")
}

// orderMoved tells the channel of what matters to a customer; picking and packing are the site's own news.
func (t *translator) orderMoved(o *occasion) error {
	var e messages.OrderFulfillmentMoved
	if !t.read(o, &e) {
		return nil
	}
	event := ""
	switch e.GetStatus() {
	case messages.FulfillmentStatus_FULFILLMENT_STATUS_SHIPPED:
		event = "shipped"
	case messages.FulfillmentStatus_FULFILLMENT_STATUS_DELIVERED:
		event = "delivered"
	default:
		return nil
	}
	t.openOrder(o)
	b := appendText(t.buf, "fulfillment_id", fulfillmentID(o.entry.GetId(), e.GetFulfillment()))
	t.buf = appendShipment(b, e.GetShipment())
	return t.sayOrder(o, event)
}

func (t *translator) orderCancelled(o *occasion) error {
	var e messages.OrderCancelled
	if !t.read(o, &e) {
		return nil
	}
	t.openOrder(o)
	t.buf = appendText(t.buf, "reason", e.GetReason())
	return t.sayOrder(o, "cancelled")
}

func (t *translator) orderHeld(o *occasion) error {
	var e messages.HoldPlaced
	if !t.read(o, &e) {
		return nil
	}
	t.openOrder(o)
	b := appendText(t.buf, "reason", e.GetReason())
	b = appendTextIf(b, "note", e.GetNote())
	b = appendTime(b, "until", e.GetUntilMs())
	t.buf = appendTextIf(b, "actor", e.GetActor())
	return t.sayOrder(o, "held")
}

func (t *translator) orderException(o *occasion) error {
	var e messages.ExceptionOpened
	if !t.read(o, &e) {
		return nil
	}
	t.openOrder(o)
	b := appendText(t.buf, "kind", e.GetKind())
	b = appendTextIf(b, "detail", e.GetDetail())
	t.buf = appendTextIf(b, "owner", e.GetOwner())
	return t.sayOrder(o, "exception")
}
