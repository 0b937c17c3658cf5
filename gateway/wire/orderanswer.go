package wire

import "orderyard/messages"

// OrderReceipt answers place, cancel, hold and release.
type OrderReceipt struct {
	Head
	OrderID string `json:"order_id,omitempty"`
	Status  string `json:"status,omitempty"`
	Version uint64 `json:"version,omitzero"`
	Message string `json:"message,omitempty"` // one sentence for people
}

// OrderAnswer answers get, trace and explain: ok beside the order's own fields.
type OrderAnswer struct {
	Head
	*OrderView
	Flip *Flip `json:"flip,omitzero"` // explain, when a site is wanted
}

// OrderListAnswer answers list.
type OrderListAnswer struct {
	Head
	Orders     []OrderRow `json:"orders"`
	NextCursor string     `json:"next_cursor,omitempty"`
}

// OrderRow is one order in a list.
type OrderRow struct {
	OrderID      string   `json:"order_id"`
	Channel      string   `json:"channel"`
	Status       string   `json:"status"`
	PlacedAt     Time     `json:"placed_at,omitzero"`
	AcceptedAt   Time     `json:"accepted_at,omitzero"`
	AllocatedAt  Time     `json:"allocated_at,omitzero"`
	ChangedAt    Time     `json:"changed_at,omitzero"`
	Priority     int32    `json:"priority,omitzero"`
	DeliverBy    string   `json:"deliver_by,omitempty"`
	Lines        uint32   `json:"lines"`
	Units        int64    `json:"units"`
	Backordered  int64    `json:"backordered,omitzero"`
	Total        int64    `json:"total"`
	Currency     string   `json:"currency"`
	Fulfillments uint32   `json:"fulfillments"`
	Reroutes     uint32   `json:"reroutes,omitzero"`
	Sites        []string `json:"sites"`
	Exceptions   []string `json:"exceptions,omitempty"`
}

// OrderReceiptOf converts a reply to an order command.
func OrderReceiptOf(r *messages.Reply) OrderReceipt {
	o := r.GetOrder()
	return OrderReceipt{Head: HeadOf(r), OrderID: o.GetOrderId(), Status: o.GetStatus(), Version: o.GetVersion(), Message: o.GetMessage()}
}

// OrderAnswerOf converts the reply to a question about an order.
func OrderAnswerOf(r *messages.Reply, candidates bool) OrderAnswer {
	a := OrderAnswer{Head: HeadOf(r)}
	if v := r.GetOrder().GetView(); v != nil {
		a.OrderView = OrderViewOf(v, candidates)
	} else if a.OK {
		a.Head = FailureHead(messages.Fail(messages.CodeInternal, "", "the answer holds no order"))
	}
	return a
}

// OrderRowOf converts one row.
func OrderRowOf(s *messages.OrderSummary) OrderRow {
	return OrderRow{
		OrderID: s.GetOrderId(), Channel: s.GetChannel(), Status: s.GetStatus(), PlacedAt: Time(s.GetPlacedAtMs()),
		AcceptedAt: Time(s.GetAcceptedAtMs()), AllocatedAt: Time(s.GetAllocatedAtMs()), ChangedAt: Time(s.GetChangedAtMs()),
		Priority: s.GetPriority(), DeliverBy: s.GetDeliverBy(), Lines: s.GetLines(), Units: s.GetUnits(), Backordered: s.GetBackordered(), Total: s.GetTotal(), Currency: s.GetCurrency(),
		Fulfillments: s.GetFulfillments(), Reroutes: s.GetReroutes(), Sites: s.GetSites(), Exceptions: s.GetExceptions(),
	}
}

// OrderListAnswerOf converts a page.
func OrderListAnswerOf(rows []*messages.OrderSummary, next string) OrderListAnswer {
	a := OrderListAnswer{Head: Head{OK: true}, Orders: make([]OrderRow, len(rows)), NextCursor: next}
	for i, row := range rows {
		a.Orders[i] = OrderRowOf(row)
	}
	return a
}

// PlanAnswer answers routing.plan: ranked plans, best first.
type PlanAnswer struct {
	Head
	Plans []Plan `json:"plans"`
}

// PlanAnswerOf converts a dry run.
func PlanAnswerOf(plans []*messages.Plan, o *messages.Order) PlanAnswer {
	a := PlanAnswer{Head: Head{OK: true}, Plans: make([]Plan, len(plans))}
	for i, p := range plans {
		a.Plans[i] = PlanOf(p, o.GetLines(), true)
	}
	return a
}
