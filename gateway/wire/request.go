package wire

import (
	"strconv"
	"strings"

	"orderyard/messages"
)

// Limits of lists.
const (
	// ListDefault and ListMax bound one page.
	ListDefault = 50
	ListMax     = 1000
)

// Request is any decoded request that one entity answers.
type Request interface {
	// Command checks the values and says who is asked what. The failure lists every field that is wrong.
	Command() (messages.Ref, messages.Command, *messages.Failure)
}

// GetOrderRequest asks for an order; Timeline adds its history.
type GetOrderRequest struct {
	OrderID  string `json:"order_id"`
	Timeline bool   `json:"timeline,omitzero"`
}

// TraceOrderRequest asks for an order's history.
type TraceOrderRequest struct {
	OrderID string `json:"order_id"`
}

// ExplainOrderRequest asks why units went where they went.
type ExplainOrderRequest struct {
	OrderID string `json:"order_id"`
	// Want asks what would have to be otherwise for this site to give; Plan says in which plan, the latest one by default.
	Want string `json:"want,omitempty"`
	Plan uint32 `json:"plan,omitzero"`
}

// CancelOrderRequest cancels what can still be cancelled. Reason defaults to "customer".
type CancelOrderRequest struct {
	OrderID string `json:"order_id"`
	Reason  string `json:"reason,omitempty"`
	Note    string `json:"note,omitempty"`
	Actor   string `json:"actor,omitempty"`
}

// HoldOrderRequest opens a typed hold, until released or until a time.
type HoldOrderRequest struct {
	OrderID string `json:"order_id"`
	Reason  string `json:"reason"`
	Note    string `json:"note,omitempty"`
	Until   Time   `json:"until,omitzero"`
	Actor   string `json:"actor,omitempty"`
}

// ReleaseOrderRequest ends one hold by reason, all without one; or resolves an exception by kind.
type ReleaseOrderRequest struct {
	OrderID   string `json:"order_id"`
	Reason    string `json:"reason,omitempty"`
	Exception string `json:"exception,omitempty"`
	Actor     string `json:"actor,omitempty"`
}

// ListOrdersRequest filters the node's order index.
type ListOrdersRequest struct {
	ListFilter
}

// ListFilter selects orders; empty fields select all. Rows come newest first, Cursor continues after the last page.
type ListFilter struct {
	Status  string `json:"status,omitempty"`
	Channel string `json:"channel,omitempty"`
	Site    string `json:"site,omitempty"`
	Q       string `json:"q,omitempty"`
	Cursor  string `json:"cursor,omitempty"`
	Limit   uint32 `json:"limit,omitzero"`
}

// Command implements Request.
func (r *GetOrderRequest) Command() (messages.Ref, messages.Command, *messages.Failure) {
	return orderCommand(r.OrderID, &messages.GetOrder{Timeline: r.Timeline, Decisions: true}, nil)
}

// Command implements Request.
func (r *TraceOrderRequest) Command() (messages.Ref, messages.Command, *messages.Failure) {
	return orderCommand(r.OrderID, &messages.GetOrder{Timeline: true, Decisions: true}, nil)
}

// Command implements Request.
func (r *ExplainOrderRequest) Command() (messages.Ref, messages.Command, *messages.Failure) {
	return orderCommand(r.OrderID, &messages.GetOrder{Decisions: true}, nil)
}

// Command implements Request.
func (r *CancelOrderRequest) Command() (messages.Ref, messages.Command, *messages.Failure) {
	reason := r.Reason
	if reason == "" {
		reason = "customer"
	}
	return orderCommand(r.OrderID, &messages.CancelOrder{Reason: reason, Note: r.Note, Actor: r.Actor}, nil)
}

// Command implements Request.
func (r *HoldOrderRequest) Command() (messages.Ref, messages.Command, *messages.Failure) {
	return orderCommand(r.OrderID, &messages.HoldOrder{Reason: r.Reason, Note: r.Note, UntilMs: int64(r.Until), Actor: r.Actor},
		func(c *checker) { c.required("reason", r.Reason) })
}

// Command implements Request.
func (r *ReleaseOrderRequest) Command() (messages.Ref, messages.Command, *messages.Failure) {
	return orderCommand(r.OrderID, &messages.ReleaseOrder{Reason: r.Reason, Exception: r.Exception, Actor: r.Actor}, nil)
}

func orderCommand(id string, cmd messages.Command, more func(*checker)) (messages.Ref, messages.Command, *messages.Failure) {
	var c checker
	c.orderID("order_id", id)
	if more != nil {
		more(&c)
	}
	return messages.OrderRef(id), cmd, c.failure()
}

// OrderStatuses are the headlines of orders, as order.get and the events write them.
var OrderStatuses = []string{
	"placed", "planning", "reserving", "allocated", "released", "in_fulfillment", "partially_shipped", "shipped", "delivered", "completed", "backordered",
	"held", "exception", "cancelled",
}

// Check bounds the filter and sets its page size.
func (f *ListFilter) Check() *messages.Failure {
	var c checker
	c.between("limit", int64(f.Limit), 0, ListMax)
	if f.Channel != "" {
		c.token("channel", f.Channel)
	}
	if f.Site != "" {
		c.token("site", f.Site)
	}
	c.oneOf("status", f.Status, OrderStatuses...)
	if f.Cursor != "" {
		at, id, _ := strings.Cut(f.Cursor, "/")
		if _, err := strconv.ParseUint(at, 10, 63); err != nil || id == "" { // 63 bits: a larger one would be the first page again
			c.add("cursor", "is %q, the next_cursor of an answer is required", clip(f.Cursor))
		}
	}
	f.Limit = listLimit(f.Limit)
	return c.failure()
}

func listLimit(asked uint32) uint32 {
	if asked == 0 {
		return ListDefault
	}
	return min(asked, ListMax)
}

// indexPath is the path of a field inside entry i of a list.
func indexPath(i int, field string) string {
	path := "[" + strconv.Itoa(i) + "]"
	if field == "" || field == wholeBody {
		return path
	}
	return path + "." + field
}
