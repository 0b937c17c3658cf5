package audit

import (
	"testing"

	"orderyard/actors/entity"
	"orderyard/messages"
)

// wanting is an order that counts on one fulfillment order, or has ended it.
type wanting struct {
	mute
	status messages.FulfillmentStatus
}

func (m *wanting) View() *messages.OrderView {
	return &messages.OrderView{Order: &messages.Order{}, Fulfillments: []*messages.FulfillmentOrder{{Id: "o.1", Status: m.status}}}
}

// Proves that work at a site is found whose order has ended it: a site that says yes to a cancellation and forgets it ships goods nobody wants.
func TestWorkNobodyCountsOn(t *testing.T) {
	take := &messages.FulfillmentAccepted{Fulfillment: &messages.FulfillmentOrder{Id: "o.1", OrderId: "o"}}
	give := &messages.FulfillmentCancelled{FulfillmentId: "o.1"}
	ship := &messages.FulfillmentMoved{FulfillmentId: "o.1", Status: messages.FulfillmentStatus_FULFILLMENT_STATUS_SHIPPED}
	for _, c := range []struct {
		name    string
		status  messages.FulfillmentStatus
		at      []messages.Event
		settled bool
		found   int
	}{
		{"wanted", messages.FulfillmentStatus_FULFILLMENT_STATUS_OPEN, []messages.Event{take}, true, 0},
		{"ended", messages.FulfillmentStatus_FULFILLMENT_STATUS_CANCELLED, []messages.Event{take}, true, 1},
		{"ended, and something is under way", messages.FulfillmentStatus_FULFILLMENT_STATUS_CANCELLED, []messages.Event{take}, false, 0},
		{"given back", messages.FulfillmentStatus_FULFILLMENT_STATUS_CANCELLED, []messages.Event{take, give}, true, 0},
		{"shipped", messages.FulfillmentStatus_FULFILLMENT_STATUS_SHIPPED, []messages.Event{take, ship}, true, 0},
	} {
		h := newHistory()
		h.kinds[messages.KindOrder] = entity.Kind{New: func(string) entity.Machine { return &wanting{status: c.status} }}
		h.happened(messages.OrderRef("o"), 1, &messages.OrderOpened{})
		h.happened(messages.SiteRef("S"), 2, c.at...)
		if found := h.Finish(10, c.settled); len(found) != c.found {
			t.Errorf("%s: found %v", c.name, found)
		}
	}
}
