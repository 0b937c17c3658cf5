package egress

import (
	"orderyard/gateway/wire"
	"orderyard/messages"
)

// openFulfillment begins the payload of a fulfillment order's event.
func (t *translator) openFulfillment(o *occasion, id string) {
	b := append(t.buf[:0], `{"fulfillment_id":`...)
	b = appendString(b, id)
	b = appendText(b, "order_id", orderOf(id))
	b = appendText(b, "site", o.entry.GetId())
	t.buf = appendUint(b, "version", o.version)
}

func (t *translator) sayFulfillment(o *occasion, event, id string) error {
	t.buf = append(t.buf, '}')
	return t.say(o, familyFulfillment, event, o.entry.GetId(), id, "")
}

// fulfillmentRequested: a manual site is asked. Its people can work from the event alone.
func (t *translator) fulfillmentRequested(o *occasion) error {
	var e messages.FulfillmentRequested
	if !t.read(o, &e) {
		return nil
	}
	f := e.GetFulfillment()
	t.openFulfillment(o, f.GetId())
	b := appendFulfillment(append(t.buf, `,"status":"open","request_status":"submitted"`...), f)
	t.buf = appendTime(b, "answer_by", max(e.GetDeadlineMs(), f.GetDeadlineMs()))
	return t.sayFulfillment(o, "requested", f.GetId())
}

// fulfillmentOpened: accepted work of an auto site became visible. Journals older than the event's own copy of the work have it
// only in the same entry's acceptance, if at all.
func (t *translator) fulfillmentOpened(o *occasion) error {
	var e messages.FulfillmentOpened
	if !t.read(o, &e) {
		return nil
	}
	f := e.GetFulfillment()
	if f == nil {
		f = acceptedBeside(o, e.GetFulfillmentId())
	}
	t.openFulfillment(o, e.GetFulfillmentId())
	t.buf = append(t.buf, `,"status":"open","request_status":"accepted"`...)
	if f != nil {
		t.buf = appendFulfillment(t.buf, f)
	}
	return t.sayFulfillment(o, "requested", e.GetFulfillmentId())
}

// acceptedBeside looks for the whole of the work among the events of the same entry.
func acceptedBeside(o *occasion, id string) *messages.FulfillmentOrder {
	accepted := messages.EventType(&messages.FulfillmentAccepted{})
	for _, record := range o.entry.GetEvents()[:o.index] {
		var e messages.FulfillmentAccepted
		if record.GetType() == accepted && e.UnmarshalVTUnsafe(record.GetData()) == nil && e.GetFulfillment().GetId() == id {
			return e.GetFulfillment()
		}
	}
	return nil
}

func (t *translator) fulfillmentAccepted(o *occasion) error {
	var e messages.FulfillmentAccepted
	if !t.read(o, &e) {
		return nil
	}
	f := e.GetFulfillment()
	t.openFulfillment(o, f.GetId())
	if len(f.GetLines()) > 0 {
		t.buf = appendFulfillment(t.buf, f)
	}
	if f.GetWorkDate() == "" || len(f.GetLines()) == 0 {
		t.buf = appendTextIf(t.buf, "work_date", e.GetWorkDate())
	}
	return t.sayFulfillment(o, "accepted", f.GetId())
}

func (t *translator) fulfillmentRejected(o *occasion) error {
	var e messages.FulfillmentRejected
	if !t.read(o, &e) {
		return nil
	}
	t.openFulfillment(o, e.GetFulfillmentId())
	b := appendText(t.buf, "reason", e.GetReason())
	b = appendTextIf(b, "note", e.GetNote())
	if e.GetRetryAfterMs() != 0 {
		b = appendInt(b, "retry_after_ms", e.GetRetryAfterMs())
	}
	if len(e.GetLines()) > 0 {
		b = appendFulfillmentLines(b, e.GetLines())
	}
	t.buf = b
	return t.sayFulfillment(o, "rejected", e.GetFulfillmentId())
}

// fulfillmentTimedOut: no answer in time is a rejection to the world outside.
func (t *translator) fulfillmentTimedOut(o *occasion) error {
	var e messages.FulfillmentTimedOut
	if !t.read(o, &e) {
		return nil
	}
	t.openFulfillment(o, e.GetFulfillmentId())
	t.buf = appendText(t.buf, "reason", "timed_out")
	return t.sayFulfillment(o, "rejected", e.GetFulfillmentId())
}

// fulfillmentMoved: that picking began is no public event.
func (t *translator) fulfillmentMoved(o *occasion) error {
	var e messages.FulfillmentMoved
	if !t.read(o, &e) {
		return nil
	}
	switch e.GetStatus() {
	case messages.FulfillmentStatus_FULFILLMENT_STATUS_PICKED, messages.FulfillmentStatus_FULFILLMENT_STATUS_PACKED,
		messages.FulfillmentStatus_FULFILLMENT_STATUS_SHIPPED, messages.FulfillmentStatus_FULFILLMENT_STATUS_DELIVERED:
	default:
		return nil
	}
	t.openFulfillment(o, e.GetFulfillmentId())
	t.buf = appendShipment(t.buf, e.GetShipment())
	return t.sayFulfillment(o, wire.FulfillmentStatusName(e.GetStatus()), e.GetFulfillmentId())
}

func (t *translator) fulfillmentCancelled(o *occasion) error {
	var e messages.FulfillmentCancelled
	if !t.read(o, &e) {
		return nil
	}
	t.openFulfillment(o, e.GetFulfillmentId())
	t.buf = appendTextIf(t.buf, "reason", e.GetReason())
	return t.sayFulfillment(o, "cancelled", e.GetFulfillmentId())
}

// appendFulfillment writes what a site needs to do the work.
func appendFulfillment(b []byte, f *messages.FulfillmentOrder) []byte {
	b = appendTextIf(b, "channel", f.GetChannel())
	b = appendTextIf(b, "service", f.GetService())
	if f.GetPriority() != 0 {
		b = appendInt(b, "priority", int64(f.GetPriority()))
	}
	b = appendTextIf(b, "deliver_by", f.GetDeliverBy())
	b = appendTextIf(b, "work_date", f.GetWorkDate())
	if to := f.GetShipTo(); to != nil {
		b = appendAddress(b, to)
	}
	return appendFulfillmentLines(b, f.GetLines())
}

func appendFulfillmentLines(b []byte, lines []*messages.FulfillmentLine) []byte {
	b = append(b, `,"lines":[`...)
	for i, l := range lines {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"line_id":`...)
		b = appendString(b, l.GetLineId())
		b = appendTextIf(b, "sku", l.GetSku())
		b = append(appendInt(b, "quantity", l.GetQuantity()), '}')
	}
	return append(b, ']')
}

func appendAddress(b []byte, a *messages.Address) []byte {
	b = append(b, `,"ship_to":{"country":`...)
	b = appendString(b, a.GetCountry())
	b = appendText(b, "postal_code", a.GetPostalCode())
	for _, part := range [...]struct{ name, value string }{
		{"name", a.GetName()}, {"line1", a.GetLine1()}, {"line2", a.GetLine2()}, {"city", a.GetCity()}, {"region", a.GetRegion()},
	} {
		b = appendTextIf(b, part.name, part.value)
	}
	if a.GetHasPosition() {
		b = appendFloat(b, "lat", a.GetLat())
		b = appendFloat(b, "lon", a.GetLon())
	}
	return append(b, '}')
}

func appendShipment(b []byte, s *messages.Shipment) []byte {
	if s == nil {
		return b
	}
	b = append(b, `,"shipment":{"id":`...)
	b = appendString(b, s.GetId())
	b = appendTextIf(b, "carrier", s.GetCarrier())
	b = appendTextIf(b, "service", s.GetService())
	b = appendTextIf(b, "tracking", s.GetTracking())
	b = appendTime(b, "shipped_at", s.GetShippedAtMs())
	return append(appendTime(b, "delivered_at", s.GetDeliveredAtMs()), '}')
}
