package wire

import (
	"strings"

	"orderyard/messages"
)

// Fulfillment is the public shape of a fulfillment order.
type Fulfillment struct {
	ID               string            `json:"id"`
	OrderID          string            `json:"order_id,omitempty"`
	Site             string            `json:"site"`
	Channel          string            `json:"channel,omitempty"`
	Service          string            `json:"service,omitempty"`
	Priority         int32             `json:"priority,omitzero"`
	ShipTo           *Address          `json:"ship_to,omitzero"`
	Lines            []FulfillmentLine `json:"lines"`
	Status           string            `json:"status"`
	RequestStatus    string            `json:"request_status"`
	SupportedActions []string          `json:"supported_actions"`
	Reason           string            `json:"reason,omitempty"`
	Note             string            `json:"note,omitempty"`
	CreatedAt        Time              `json:"created_at,omitzero"`
	ChangedAt        Time              `json:"changed_at,omitzero"`
	AnswerBy         Time              `json:"answer_by,omitzero"`
	DeliverBy        string            `json:"deliver_by,omitempty"`
	WorkDate         string            `json:"work_date,omitempty"`
	Amount           int64             `json:"amount,omitzero"` // in order.get: its units with their share of shipping, tax and discount
	Shipments        []Shipment        `json:"shipments"`
}

// FulfillmentLine is units of one order line.
type FulfillmentLine struct {
	LineID   string `json:"line_id"`
	SKU      string `json:"sku,omitempty"`
	Quantity int64  `json:"quantity"`
}

// Shipment is an executed part of a fulfillment order.
type Shipment struct {
	ID          string `json:"id,omitempty"`
	Carrier     string `json:"carrier,omitempty"`
	Service     string `json:"service,omitempty"`
	Tracking    string `json:"tracking,omitempty"`
	ShippedAt   Time   `json:"shipped_at,omitzero"`
	DeliveredAt Time   `json:"delivered_at,omitzero"`
}

// FulfillmentStatusName is the wire value of a status, "picking".
func FulfillmentStatusName(s messages.FulfillmentStatus) string {
	if name, ok := statusNames[s]; ok {
		return name
	}
	return "unknown"
}

// RequestStatusName is the wire value of a request status, "submitted".
func RequestStatusName(s messages.RequestStatus) string {
	if name, ok := requestNames[s]; ok {
		return name
	}
	return "unknown"
}

// The names are cut from the enum once, so that a new value needs no second table.
var (
	statusNames = func() map[messages.FulfillmentStatus]string {
		names := make(map[messages.FulfillmentStatus]string)
		for number, name := range messages.FulfillmentStatus_name {
			names[messages.FulfillmentStatus(number)] = strings.ToLower(strings.TrimPrefix(name, "FULFILLMENT_STATUS_"))
		}
		return names
	}()
	requestNames = func() map[messages.RequestStatus]string {
		names := make(map[messages.RequestStatus]string)
		for number, name := range messages.RequestStatus_name {
			names[messages.RequestStatus(number)] = strings.ToLower(strings.TrimPrefix(name, "REQUEST_STATUS_"))
		}
		return names
	}()
)

// FulfillmentOf is the document of a fulfillment order; its supported actions are computed here and stored nowhere.
func FulfillmentOf(f *messages.FulfillmentOrder) Fulfillment {
	d := Fulfillment{
		ID: f.GetId(), OrderID: f.GetOrderId(), Site: f.GetSite(), Channel: f.GetChannel(), Service: f.GetService(),
		Priority: f.GetPriority(), Status: FulfillmentStatusName(f.GetStatus()), RequestStatus: RequestStatusName(f.GetRequestStatus()),
		SupportedActions: messages.SupportedActions(f.GetStatus(), f.GetRequestStatus()), Reason: f.GetReason(), Note: f.GetNote(),
		CreatedAt: Time(f.GetCreatedAtMs()), ChangedAt: Time(f.GetChangedAtMs()), AnswerBy: Time(f.GetDeadlineMs()),
		DeliverBy: f.GetDeliverBy(), WorkDate: f.GetWorkDate(), Amount: f.GetAmount(),
	}
	if f.GetShipTo() != nil {
		to := AddressOf(f.GetShipTo())
		d.ShipTo = &to
	}
	for _, l := range f.GetLines() {
		d.Lines = append(d.Lines, FulfillmentLine{LineID: l.GetLineId(), SKU: l.GetSku(), Quantity: l.GetQuantity()})
	}
	for _, s := range f.GetShipments() {
		d.Shipments = append(d.Shipments, shipmentOf(s))
	}
	return d
}

func fulfillmentsOf(list []*messages.FulfillmentOrder) []Fulfillment {
	docs := make([]Fulfillment, len(list))
	for i, f := range list {
		docs[i] = FulfillmentOf(f)
	}
	return docs
}

func shipmentOf(s *messages.Shipment) Shipment {
	return Shipment{
		ID: s.GetId(), Carrier: s.GetCarrier(), Service: s.GetService(), Tracking: s.GetTracking(),
		ShippedAt: Time(s.GetShippedAtMs()), DeliveredAt: Time(s.GetDeliveredAtMs()),
	}
}

// FulfillmentRequest is a site's answer about its work: accept, reject, pick, pack, ship, deliver.
type FulfillmentRequest struct {
	FulfillmentID string            `json:"fulfillment_id"`
	Reason        string            `json:"reason,omitempty"`
	Note          string            `json:"note,omitempty"`
	Lines         []FulfillmentLine `json:"lines,omitempty"`
	Shipment      *Shipment         `json:"shipment,omitzero"`
	RetryAfterMs  int64             `json:"retry_after_ms,omitzero"`
}

// FulfillmentVerbs are the answers a site can give.
var FulfillmentVerbs = []string{"accept", "reject", "pick", "pack", "ship", "deliver"}

// Command makes the site's action. The site comes from the subject.
func (r *FulfillmentRequest) Command(verb, site string) (messages.Ref, messages.Command, *messages.Failure) {
	var c checker
	c.token("site", site)
	c.fulfillmentID("fulfillment_id", r.FulfillmentID)
	c.between("retry_after_ms", r.RetryAfterMs, 0, 366*24*3600*1000)
	a := &messages.SiteAction{
		Action: verb, FulfillmentId: r.FulfillmentID, Reason: r.Reason, Note: r.Note, RetryAfterMs: r.RetryAfterMs,
	}
	if verb == "reject" {
		c.required("reason", r.Reason)
		c.oneOf("reason", r.Reason, "not_in_stock", "mismatch", "damaged", "capacity", "closed", "carrier", "other")
	}
	if len(r.Lines) > LinesMax {
		c.add("lines", "has %d entries, at most %d are allowed", len(r.Lines), LinesMax)
		return messages.Ref{}, nil, c.failure()
	}
	for i, l := range r.Lines {
		c.required(linePath(i, "line_id"), l.LineID)
		c.between(linePath(i, "quantity"), l.Quantity, 1, QuantityMax)
		a.Lines = append(a.Lines, &messages.FulfillmentLine{LineId: l.LineID, Sku: l.SKU, Quantity: l.Quantity})
	}
	if s := r.Shipment; s != nil {
		a.Shipment = &messages.Shipment{
			Id: s.ID, Carrier: s.Carrier, Service: s.Service, Tracking: s.Tracking,
			ShippedAtMs: int64(s.ShippedAt), DeliveredAtMs: int64(s.DeliveredAt),
		}
	}
	return messages.SiteRef(site), a, c.failure()
}

// FulfillmentListRequest asks a site for its work.
type FulfillmentListRequest struct {
	Status        string `json:"status,omitempty"`
	FulfillmentID string `json:"fulfillment_id,omitempty"`
	Limit         uint32 `json:"limit,omitzero"`
	Cursor        string `json:"cursor,omitempty"`
}

// Command makes the question. The site comes from the subject.
func (r *FulfillmentListRequest) Command(site string) (messages.Ref, messages.Command, *messages.Failure) {
	var c checker
	c.token("site", site)
	c.between("limit", int64(r.Limit), 0, ListMax)
	return messages.SiteRef(site), &messages.ListFulfillments{
		Status: r.Status, Limit: listLimit(r.Limit), After: r.Cursor, FulfillmentId: r.FulfillmentID,
	}, c.failure()
}

// FulfillmentAnswer answers a site's action, or lists its work.
type FulfillmentAnswer struct {
	Head
	FulfillmentID string `json:"fulfillment_id,omitempty"`
	Status        string `json:"status,omitempty"`
	RequestStatus string `json:"request_status,omitempty"`
	Reason        string `json:"reason,omitempty"`
	RetryAfterMs  int64  `json:"retry_after_ms,omitzero"`
	WorkDate      string `json:"work_date,omitempty"`
}

// FulfillmentListAnswer lists a site's work.
type FulfillmentListAnswer struct {
	Head
	Fulfillments []Fulfillment `json:"fulfillments"`
	NextCursor   string        `json:"next_cursor,omitempty"`
}

// FulfillmentAnswerOf converts the reply to a site's action.
func FulfillmentAnswerOf(r *messages.Reply) FulfillmentAnswer {
	a := FulfillmentAnswer{Head: HeadOf(r)}
	if f := r.GetFulfillment(); f != nil {
		a.FulfillmentID, a.Reason, a.RetryAfterMs, a.WorkDate = f.GetFulfillmentId(), f.GetReason(), f.GetRetryAfterMs(), f.GetWorkDate()
		a.Status, a.RequestStatus = FulfillmentStatusName(f.GetStatus()), RequestStatusName(f.GetRequestStatus())
	}
	return a
}

// FulfillmentListAnswerOf converts the reply to a list.
func FulfillmentListAnswerOf(r *messages.Reply) FulfillmentListAnswer {
	s := r.GetSite()
	return FulfillmentListAnswer{Head: HeadOf(r), Fulfillments: fulfillmentsOf(s.GetFulfillments()), NextCursor: s.GetNextPage()}
}
