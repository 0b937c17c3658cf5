package wire

import "orderyard/messages"

// PricesRequest asks for shadow prices: of one SKU, or the dearest of all.
type PricesRequest struct {
	SKU   string `json:"sku,omitempty"`
	Limit int64  `json:"limit,omitzero"` // 20 when left out
}

// PricesDefault is how many prices an answer has when nobody says.
const PricesDefault = 20

// PricesAnswer is the table that the answering node routes by; without a version there is none. Money is minor units.
type PricesAnswer struct {
	Head
	AnsweredBy string     `json:"answered_by,omitempty"`
	Asked      bool       `json:"asked"` // the rules in force have the score `opportunity`
	Version    int64      `json:"version,omitzero"`
	ComputedBy string     `json:"computed_by,omitempty"` // incarnation
	At         Time       `json:"at,omitzero"`
	AgeMs      int64      `json:"age_ms,omitzero"`
	Until      Time       `json:"until,omitzero"` // of the horizon: then the table is over
	Orders     int64      `json:"orders"`         // expected until then, at that time
	SKUs       int64      `json:"skus"`           // that some site could run out of
	SKUsCut    int64      `json:"skus_cut,omitzero"`
	Sites      int64      `json:"sites"`
	Flows      int64      `json:"flows"` // contents × regions
	FlowsCut   int64      `json:"flows_cut,omitzero"`
	Costs      string     `json:"costs,omitempty"` // what parcels were taken to cost
	Bound      int64      `json:"bound"`           // the least that serving those orders costs, whatever the rules
	Rounds     int64      `json:"rounds"`
	TookMs     int64      `json:"took_ms"`
	Buckets    int64      `json:"buckets"` // with a price above zero
	Prices     []PriceRow `json:"prices,omitempty"`
	More       bool       `json:"more,omitzero"`
}

// PriceRow is what a unit is worth at a site to orders yet to come.
type PriceRow struct {
	SKU      string `json:"sku"`
	Site     string `json:"site"`
	Price    int64  `json:"price"`    // now
	Computed int64  `json:"computed"` // in the table; between computations prices follow what is sold
	ATP      int64  `json:"atp"`      // now
	Had      int64  `json:"had"`      // when the table was made
	Expected int64  `json:"expected"` // units of the SKU, from all sites together, until the horizon
}

// Check bounds the request.
func (r *PricesRequest) Check() *messages.Failure {
	var c checker
	if r.SKU != "" {
		c.sku("sku", r.SKU)
	}
	c.between("limit", r.Limit, 0, ListMax)
	return c.failure()
}
