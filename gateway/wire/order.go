package wire

import (
	"github.com/go-json-experiment/json/jsontext"

	"orderyard/messages"
)

// Order is the document a channel sends (CONTRACT §3). Unknown fields move under attributes.
type Order struct {
	Channel    string         `json:"channel"`
	ExternalID string         `json:"external_id"`
	PlacedAt   Time           `json:"placed_at,omitzero"`
	Currency   string         `json:"currency"`
	Customer   *Customer      `json:"customer,omitzero"`
	ShipTo     Address        `json:"ship_to"`
	Lines      []Line         `json:"lines"`
	Shipping   *Shipping      `json:"shipping,omitzero"`
	Tax        int64          `json:"tax,omitzero"`
	Discount   int64          `json:"discount,omitzero"`
	Payment    *Payment       `json:"payment,omitzero"`
	Policy     *Policy        `json:"policy,omitzero"`
	Priority   int32          `json:"priority,omitzero"`
	Labels     []string       `json:"labels,omitempty"`
	Attributes jsontext.Value `json:"attributes,omitempty"`
	Unknown    jsontext.Value `json:",embed"`
}

// Customer is who buys.
type Customer struct {
	ID    string `json:"id,omitempty"`
	Email string `json:"email,omitempty"`
}

// Address is where to. lat and lon come together or not at all.
type Address struct {
	Name       string   `json:"name,omitempty"`
	Line1      string   `json:"line1,omitempty"`
	Line2      string   `json:"line2,omitempty"`
	City       string   `json:"city,omitempty"`
	Region     string   `json:"region,omitempty"`
	PostalCode string   `json:"postal_code"`
	Country    string   `json:"country"`
	Lat        *float64 `json:"lat,omitzero"`
	Lon        *float64 `json:"lon,omitzero"`
}

// Line is SKU × quantity × price. Unknown fields move under its attributes.
type Line struct {
	ID         string         `json:"id"`
	SKU        string         `json:"sku"`
	Quantity   int64          `json:"quantity"`
	UnitPrice  *int64         `json:"unit_price"`
	Labels     []string       `json:"labels,omitempty"`
	Group      string         `json:"group,omitempty"`
	Attributes jsontext.Value `json:"attributes,omitempty"`
	Unknown    jsontext.Value `json:",embed"`
}

// Shipping is the method the customer chose and what it costs.
type Shipping struct {
	Service string `json:"service,omitempty"`
	Amount  int64  `json:"amount,omitzero"`
}

// Payment names the means; the money itself moves elsewhere.
type Payment struct {
	Method string `json:"method,omitempty"`
	Token  string `json:"token,omitempty"`
	Amount int64  `json:"amount,omitzero"`
}

// Policy says what to do when one site cannot serve the whole order.
type Policy struct {
	Partial   string `json:"partial,omitempty"`
	SplitsMax int32  `json:"splits_max,omitzero"`
	DeliverBy string `json:"deliver_by,omitempty"`
	OnShort   string `json:"on_short,omitempty"`
}

// DecodeOrder reads and checks a place document. Everything wrong with its values is reported together; a document that cannot
// be read at all names the first place where reading failed. The order is returned also when a check failed, so that the door
// can add what only the node knows (see Failure).
func DecodeOrder(body []byte) (*messages.Order, []*messages.FieldError, *messages.Failure) {
	var doc Order
	if f := decode(body, OrderBytesMax, &doc); f != nil {
		return nil, nil, f
	}
	order, errs := doc.Message()
	return order, errs, nil
}

// Message converts the document and checks it: see CheckOrder.
func (d *Order) Message() (*messages.Order, []*messages.FieldError) {
	var c checker
	o := &messages.Order{
		Channel: d.Channel, ExternalId: d.ExternalID, PlacedAtMs: int64(d.PlacedAt), Currency: d.Currency,
		Tax: d.Tax, Discount: d.Discount, Priority: d.Priority, Labels: d.Labels,
		ShipTo: d.ShipTo.message(&c), Attributes: mergeAttributes(&c, "", d.Attributes, d.Unknown),
	}
	if d.Customer != nil {
		o.CustomerId, o.CustomerEmail = d.Customer.ID, d.Customer.Email
	}
	if d.Shipping != nil {
		o.ShippingService, o.ShippingAmount = d.Shipping.Service, d.Shipping.Amount
	}
	if d.Payment != nil {
		o.HasPayment, o.PaymentMethod, o.PaymentToken, o.PaymentAmount = true, d.Payment.Method, d.Payment.Token, d.Payment.Amount
	}
	if d.Policy != nil {
		o.Partial, o.SplitsMax, o.DeliverBy, o.OnShort = d.Policy.Partial, d.Policy.SplitsMax, d.Policy.DeliverBy, d.Policy.OnShort
	}
	if len(d.Lines) > LinesMax {
		c.add("lines", "has %d entries, at most %d are allowed", len(d.Lines), LinesMax)
		return o, c.errs
	}
	o.Lines = make([]*messages.OrderLine, len(d.Lines))
	for i := range d.Lines {
		o.Lines[i] = d.Lines[i].message(&c, i)
	}
	return o, JoinErrors(c.errs, CheckOrder(o))
}

func (l *Line) message(c *checker, i int) *messages.OrderLine {
	line := &messages.OrderLine{Id: l.ID, Sku: l.SKU, Quantity: l.Quantity, Labels: l.Labels, Group: l.Group}
	if l.UnitPrice == nil {
		c.add(linePath(i, "unit_price"), "is required")
		line.UnitPrice = -1 // and no price: nothing else is found wrong for a sum without it
	} else {
		line.UnitPrice = *l.UnitPrice
	}
	if len(l.Attributes) > 0 || len(l.Unknown) > 0 {
		line.Attributes = mergeAttributes(c, linePath(i, ""), l.Attributes, l.Unknown)
	}
	return line
}

func (a *Address) message(c *checker) *messages.Address {
	m := &messages.Address{
		Name: a.Name, Line1: a.Line1, Line2: a.Line2, City: a.City, Region: a.Region, PostalCode: a.PostalCode, Country: a.Country,
	}
	switch {
	case a.Lat != nil && a.Lon != nil:
		m.HasPosition, m.Lat, m.Lon = true, *a.Lat, *a.Lon
	case a.Lat != nil:
		c.add("ship_to.lon", "is required with lat")
	case a.Lon != nil:
		c.add("ship_to.lat", "is required with lon")
	}
	return m
}

// mergeAttributes folds unknown fields into the attributes object, with its members sorted so that the same content always has
// the same bytes. A name that stands in both places is ambiguous and refused.
func mergeAttributes(c *checker, path string, attributes, unknown jsontext.Value) []byte {
	if len(attributes) == 0 || attributes.Kind() == 'n' {
		attributes = nil
	} else if attributes.Kind() != '{' {
		c.add(path+"attributes", "must be an object")
		return nil
	}
	merged := attributes
	switch {
	case len(attributes) == 0 && len(unknown) == 0:
		return nil
	case len(attributes) == 0:
		merged = unknown
	case len(unknown) > 0:
		merged = joinObjects(attributes, unknown)
	}
	merged = merged.Clone()
	if err := merged.Format(jsontext.ReorderRawObjects(true), jsontext.CanonicalizeRawInts(false),
		jsontext.CanonicalizeRawFloats(false)); err != nil {
		c.add(path+"attributes", "names a field that is also given beside it")
		return nil
	}
	if string(merged) == "{}" {
		return nil
	}
	return merged
}

// joinObjects writes two objects as one; a clash of names is found by the formatter that reads it next.
func joinObjects(a, b jsontext.Value) jsontext.Value {
	if isEmptyObject(a) {
		return b
	}
	if isEmptyObject(b) {
		return a
	}
	joined := make(jsontext.Value, 0, len(a)+len(b))
	joined = append(joined, a[:len(a)-1]...)
	joined = append(joined, ',')
	return append(joined, b[1:]...)
}

func isEmptyObject(v jsontext.Value) bool {
	for _, c := range v[1 : len(v)-1] {
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return false
		}
	}
	return true
}

// OrderOf is the document of an order as the channel placed it.
func OrderOf(o *messages.Order) Order {
	d := Order{
		Channel: o.GetChannel(), ExternalID: o.GetExternalId(), PlacedAt: Time(o.GetPlacedAtMs()), Currency: o.GetCurrency(),
		ShipTo: AddressOf(o.GetShipTo()), Tax: o.GetTax(), Discount: o.GetDiscount(), Priority: o.GetPriority(),
		Labels: o.GetLabels(), Attributes: o.GetAttributes(), Lines: make([]Line, len(o.GetLines())),
	}
	if o.GetCustomerId() != "" || o.GetCustomerEmail() != "" {
		d.Customer = &Customer{ID: o.GetCustomerId(), Email: o.GetCustomerEmail()}
	}
	if o.GetShippingService() != "" || o.GetShippingAmount() != 0 {
		d.Shipping = &Shipping{Service: o.GetShippingService(), Amount: o.GetShippingAmount()}
	}
	if o.GetHasPayment() {
		d.Payment = &Payment{Method: o.GetPaymentMethod(), Token: o.GetPaymentToken(), Amount: o.GetPaymentAmount()}
	}
	if o.GetPartial() != "" || o.GetSplitsMax() != 0 || o.GetDeliverBy() != "" || o.GetOnShort() != "" {
		d.Policy = &Policy{Partial: o.GetPartial(), SplitsMax: o.GetSplitsMax(), DeliverBy: o.GetDeliverBy(), OnShort: o.GetOnShort()}
	}
	for i, l := range o.GetLines() {
		d.Lines[i] = lineOf(l)
	}
	return d
}

func lineOf(l *messages.OrderLine) Line {
	price := l.GetUnitPrice()
	return Line{
		ID: l.GetId(), SKU: l.GetSku(), Quantity: l.GetQuantity(), UnitPrice: &price, Labels: l.GetLabels(),
		Group: l.GetGroup(), Attributes: l.GetAttributes(),
	}
}

// AddressOf is the document of an address.
func AddressOf(a *messages.Address) Address {
	d := Address{
		Name: a.GetName(), Line1: a.GetLine1(), Line2: a.GetLine2(), City: a.GetCity(), Region: a.GetRegion(),
		PostalCode: a.GetPostalCode(), Country: a.GetCountry(),
	}
	if a.GetHasPosition() {
		lat, lon := a.GetLat(), a.GetLon()
		d.Lat, d.Lon = &lat, &lon
	}
	return d
}
