package wire

import "orderyard/messages"

// Bucket is the stock of one SKU at one site.
type Bucket struct {
	SKU           string     `json:"sku"`
	Site          string     `json:"site"`
	OnHand        int64      `json:"on_hand"`
	Reserved      int64      `json:"reserved"`
	Allocated     int64      `json:"allocated"`
	SafetyStock   int64      `json:"safety_stock"`
	Unsellable    int64      `json:"unsellable"`
	Incoming      []Incoming `json:"incoming"`
	ATP           int64      `json:"atp"`
	Version       uint64     `json:"version"`
	Overcommitted int64      `json:"overcommitted,omitzero"`
}

// Incoming is dated future supply.
type Incoming struct {
	Quantity  int64  `json:"quantity"`
	At        Time   `json:"at"`
	Reference string `json:"reference,omitempty"`
}

// BucketOf is the document of a bucket.
func BucketOf(v *messages.BucketView) *Bucket {
	d := &Bucket{
		SKU: v.GetSku(), Site: v.GetSite(), OnHand: v.GetOnHand(), Reserved: v.GetReserved(), Allocated: v.GetAllocated(),
		SafetyStock: v.GetSafetyStock(), Unsellable: v.GetUnsellable(), ATP: max(v.GetAtp(), 0), Version: v.GetVersion(),
		Overcommitted: v.GetOvercommitted(),
	}
	for _, in := range v.GetIncoming() {
		d.Incoming = append(d.Incoming, Incoming{Quantity: in.GetQuantity(), At: Time(in.GetAtMs()), Reference: in.GetReference()})
	}
	return d
}

// SetStockRequest is a physical count. SafetyStock and Unsellable stay as they are when not given.
type SetStockRequest struct {
	SKU         string `json:"sku"`
	Site        string `json:"site"`
	OnHand      *int64 `json:"on_hand"`
	AsOf        Time   `json:"as_of,omitzero"`
	SafetyStock *int64 `json:"safety_stock,omitzero"`
	Unsellable  *int64 `json:"unsellable,omitzero"`
}

// AdjustStockRequest adds Delta, which may be negative.
type AdjustStockRequest struct {
	SKU    string `json:"sku"`
	Site   string `json:"site"`
	Delta  int64  `json:"delta"`
	Reason string `json:"reason"`
}

// ReceiveStockRequest adds received units.
type ReceiveStockRequest struct {
	SKU       string `json:"sku"`
	Site      string `json:"site"`
	Quantity  int64  `json:"quantity"`
	Reference string `json:"reference,omitempty"`
}

// GetStockRequest asks for one bucket, or for every site of a SKU when Site is empty.
type GetStockRequest struct {
	SKU  string `json:"sku"`
	Site string `json:"site,omitempty"`
}

// ReserveStockRequest claims units for a while.
type ReserveStockRequest struct {
	ReservationID string `json:"reservation_id"`
	SKU           string `json:"sku"`
	Site          string `json:"site"`
	Quantity      int64  `json:"quantity"`
	HoldForMs     int64  `json:"hold_for_ms,omitzero"`
	Priority      int32  `json:"priority,omitzero"`
}

// ConfirmReservationRequest makes a claim firm.
type ConfirmReservationRequest struct {
	ReservationID string `json:"reservation_id"`
	SKU           string `json:"sku"`
	Site          string `json:"site"`
}

// CancelReservationRequest gives a claim back.
type CancelReservationRequest struct {
	ReservationID string `json:"reservation_id"`
	SKU           string `json:"sku"`
	Site          string `json:"site"`
}

// Bounds of a hold made over the door.
const (
	// HoldForDefaultMs is a cart's usual patience.
	HoldForDefaultMs = 10 * 60 * 1000
	// HoldForMaxMs keeps a forgotten hold from blocking stock for long.
	HoldForMaxMs = 24 * 3600 * 1000
)

// Command implements Request.
func (r *SetStockRequest) Command() (messages.Ref, messages.Command, *messages.Failure) {
	var c checker
	checkBucket(&c, r.SKU, r.Site)
	m := &messages.SetStock{Sku: r.SKU, Site: r.Site, AsOfMs: int64(r.AsOf)}
	if r.OnHand == nil {
		c.add("on_hand", "is required")
	} else {
		c.between("on_hand", *r.OnHand, 0, QuantityMax)
		m.OnHand = *r.OnHand
	}
	if r.SafetyStock != nil {
		c.between("safety_stock", *r.SafetyStock, 0, QuantityMax)
		m.HasSafetyStock, m.SafetyStock = true, *r.SafetyStock
	}
	if r.Unsellable != nil {
		c.between("unsellable", *r.Unsellable, 0, QuantityMax)
		m.HasUnsellable, m.Unsellable = true, *r.Unsellable
	}
	return messages.BucketRef(r.SKU, r.Site), m, c.failure()
}

// Command implements Request.
func (r *AdjustStockRequest) Command() (messages.Ref, messages.Command, *messages.Failure) {
	var c checker
	checkBucket(&c, r.SKU, r.Site)
	c.between("delta", r.Delta, -QuantityMax, QuantityMax)
	if r.Delta == 0 {
		c.add("delta", "must not be 0")
	}
	c.required("reason", r.Reason)
	return messages.BucketRef(r.SKU, r.Site), &messages.AdjustStock{Sku: r.SKU, Site: r.Site, Delta: r.Delta, Reason: r.Reason}, c.failure()
}

// Command implements Request.
func (r *ReceiveStockRequest) Command() (messages.Ref, messages.Command, *messages.Failure) {
	var c checker
	checkBucket(&c, r.SKU, r.Site)
	c.between("quantity", r.Quantity, 1, QuantityMax)
	return messages.BucketRef(r.SKU, r.Site),
		&messages.ReceiveStock{Sku: r.SKU, Site: r.Site, Quantity: r.Quantity, Reference: r.Reference}, c.failure()
}

// Command implements Request for one bucket; the door fans out when Site is empty.
func (r *GetStockRequest) Command() (messages.Ref, messages.Command, *messages.Failure) {
	var c checker
	checkBucket(&c, r.SKU, r.Site)
	return messages.BucketRef(r.SKU, r.Site), &messages.GetStock{}, c.failure()
}

// CheckSKU checks a question about every site.
func (r *GetStockRequest) CheckSKU() *messages.Failure {
	var c checker
	c.sku("sku", r.SKU)
	return c.failure()
}

// Command implements Request. A reservation id is a token, which keeps orders' own ids ("web-1.1/0") out of reach.
func (r *ReserveStockRequest) Command() (messages.Ref, messages.Command, *messages.Failure) {
	var c checker
	c.token("reservation_id", r.ReservationID)
	checkBucket(&c, r.SKU, r.Site)
	c.between("quantity", r.Quantity, 1, QuantityMax)
	c.between("hold_for_ms", r.HoldForMs, 0, HoldForMaxMs)
	holdFor := r.HoldForMs
	if holdFor == 0 {
		holdFor = HoldForDefaultMs
	}
	return messages.BucketRef(r.SKU, r.Site), &messages.ReserveStock{
		Sku: r.SKU, Site: r.Site, ReservationId: r.ReservationID, Quantity: r.Quantity, HoldForMs: holdFor, Priority: r.Priority,
	}, c.failure()
}

// Command implements Request.
func (r *ConfirmReservationRequest) Command() (messages.Ref, messages.Command, *messages.Failure) {
	f := checkReservation(r.ReservationID, r.SKU, r.Site)
	return messages.BucketRef(r.SKU, r.Site), &messages.ConfirmReservation{Sku: r.SKU, Site: r.Site, ReservationId: r.ReservationID}, f
}

// Command implements Request.
func (r *CancelReservationRequest) Command() (messages.Ref, messages.Command, *messages.Failure) {
	f := checkReservation(r.ReservationID, r.SKU, r.Site)
	return messages.BucketRef(r.SKU, r.Site), &messages.CancelReservation{Sku: r.SKU, Site: r.Site, ReservationId: r.ReservationID}, f
}

func checkReservation(id, sku, site string) *messages.Failure {
	var c checker
	c.token("reservation_id", id)
	checkBucket(&c, sku, site)
	return c.failure()
}

func checkBucket(c *checker, sku, site string) {
	c.sku("sku", sku)
	c.token("site", site)
}

// StockAnswer answers one stock request: the bucket's fields where counts were asked or changed, the claim's otherwise. ATP is
// given with every ok and with a decline.
type StockAnswer struct {
	Head
	ATP               *int64 `json:"atp,omitzero"`
	ReservationID     string `json:"reservation_id,omitempty"`
	ReservationStatus string `json:"reservation_status,omitempty"`
	ExpiresAt         Time   `json:"expires_at,omitzero"`
	Ignored           bool   `json:"ignored,omitzero"`
	IgnoredReason     string `json:"ignored_reason,omitempty"` // counted_since, moved_since
	Replayed          bool   `json:"replayed,omitzero"`        // in lists, where no header can say it
	*Bucket
}

// StockListAnswer answers a list of stock requests, in its order; ok when every entry is.
type StockListAnswer struct {
	Head
	Results []StockAnswer `json:"results"`
}

// BucketListAnswer answers a question about every site of a SKU.
type BucketListAnswer struct {
	Head
	SKU     string   `json:"sku"`
	ATP     int64    `json:"atp"`
	Buckets []Bucket `json:"buckets"`
}

// StockAnswerOf converts the reply to cmd.
func StockAnswerOf(r *messages.Reply, cmd messages.Command) StockAnswer {
	a := StockAnswer{Head: HeadOf(r)}
	if named, ok := cmd.(interface{ GetReservationId() string }); ok {
		a.ReservationID = named.GetReservationId()
	}
	s := r.GetStock()
	if s == nil {
		return a
	}
	atp := max(s.GetAtp(), 0)
	a.ATP, a.ReservationStatus, a.ExpiresAt = &atp, s.GetReservationStatus(), Time(s.GetExpiresAtMs())
	a.Ignored, a.IgnoredReason = s.GetIgnored(), s.GetIgnoredReason()
	if s.GetBucket() != nil {
		a.Bucket = BucketOf(s.GetBucket())
		*a.ATP = a.Bucket.ATP
	}
	return a
}

// StockListAnswerOf answers a list.
func StockListAnswerOf(replies []*messages.Reply, cmds []messages.Command) StockListAnswer {
	a := StockListAnswer{Head: Head{OK: true}, Results: make([]StockAnswer, len(replies))}
	for i, r := range replies {
		a.Results[i] = StockAnswerOf(r, cmds[i])
		a.Results[i].Replayed = r.GetReplayed()
	}
	a.Head = listHead(replies)
	return a
}

// BucketListAnswerOf answers for every site of a SKU; buckets that could not answer make the whole answer an error.
func BucketListAnswerOf(sku string, replies []*messages.Reply) BucketListAnswer {
	a := BucketListAnswer{Head: listHead(replies), SKU: sku, Buckets: []Bucket{}}
	for _, r := range replies {
		if b := r.GetStock().GetBucket(); b != nil {
			doc := BucketOf(b)
			a.Buckets = append(a.Buckets, *doc)
			a.ATP += doc.ATP
		}
	}
	return a
}

func listHead(replies []*messages.Reply) Head {
	failed, first := 0, 0
	for i, r := range replies {
		if r.GetFailure() != nil || r == nil {
			if failed == 0 {
				first = i
			}
			failed++
		}
	}
	if failed == 0 {
		return Head{OK: true}
	}
	return FailureHead(batchFailure(failed, len(replies), first, replies[first].GetFailure()))
}
