package ingress

import (
	"context"
	"errors"
	"slices"
	"time"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

const (
	doorOrder   = "order"
	doorRouting = "routing"
)

// listsMax bounds how many lists are made at once: each holds a page of every node.
const listsMax = 64

func (in *Ingress) orderEndpoints() []endpoint {
	return []endpoint{
		{doorOrder, "place", messages.PlaceSubject("*"), in.place, byChannel},
		{doorOrder, "get", messages.OrderSubject("get"), one[wire.GetOrderRequest](reading, orderView(false)), partyLook},
		{doorOrder, "trace", messages.OrderSubject("trace"), one[wire.TraceOrderRequest](reading, orderView(false)), partyLook},
		{doorOrder, "explain", messages.OrderSubject("explain"), in.explain, partyLook},
		{doorOrder, "cancel", messages.OrderSubject("cancel"), one[wire.CancelOrderRequest](changing, orderReceipt), inside},
		{doorOrder, "hold", messages.OrderSubject("hold"), one[wire.HoldOrderRequest](changing, orderReceipt), inside},
		{doorOrder, "release", messages.OrderSubject("release"), one[wire.ReleaseOrderRequest](changing, orderReceipt), inside},
		{doorOrder, "list", messages.OrderSubject("list"), in.listOrders, partyLook},
	}
}

func (in *Ingress) planEndpoint() endpoint {
	return endpoint{doorRouting, "plan", messages.SubjectRoutingPlan, in.plan, partyPlan}
}

func orderReceipt(r *messages.Reply, _ messages.Command) any { return wire.OrderReceiptOf(r) }

func orderView(candidates bool) func(*messages.Reply, messages.Command) any {
	return func(r *messages.Reply, _ messages.Command) any { return wire.OrderAnswerOf(r, candidates) }
}

// place takes an order from a channel. The channel's subject and its document must agree: permissions are given by subject.
func (in *Ingress) place(q *query) {
	place, errs, f := in.readOrder(q.body, messages.LastToken(q.subject))
	if f != nil {
		q.garbage(f)
		return
	}
	in.prepared(place, errs, q.deadline, func(f *messages.Failure) {
		if f != nil {
			q.refuse(f)
			return
		}
		q.ask(placeRequest(place, q.commandID), func(r *messages.Reply) any { return wire.OrderReceiptOf(r) })
	})
}

// readOrder reads an order and finds what is wrong with it by itself.
func (in *Ingress) readOrder(body []byte, channel string) (*messages.PlaceOrder, []*messages.FieldError, *messages.Failure) {
	order, errs, f := wire.DecodeOrder(body)
	if f != nil {
		return nil, nil, f
	}
	if channel != "" && order.GetChannel() != channel {
		errs = append(errs, &messages.FieldError{
			Field: "channel", Code: messages.CodeInvalid, Message: "is not the channel of the subject, which is \"" + channel + "\"",
		})
	}
	return &messages.PlaceOrder{Order: order}, errs, nil
}

func (in *Ingress) prepare(place *messages.PlaceOrder) *messages.Failure {
	if err := in.o.Directory.Prepare(place); err != nil {
		if f := (*messages.Failure)(nil); errors.As(err, &f) {
			return f
		}
		in.log.Error("order cannot be prepared", "error", err)
		return messages.Fail(messages.CodeInternal, "", "the order cannot be prepared")
	}
	return nil
}

// learnersMax bounds the orders that wait for other nodes' word about a SKU.
const learnersMax = 256

// prepared completes a placement and goes on with then: at once, or, when the order names a SKU that this node has never heard of, after
// the other nodes were asked. A SKU that is refused as unknown is unknown to all. When something is wrong with the order already, then gets that, with
// all that the actors would say besides.
func (in *Ingress) prepared(place *messages.PlaceOrder, errs []*messages.FieldError, deadline int64, then func(*messages.Failure)) {
	if len(errs) == 0 {
		in.complete(place, deadline, then)
		return
	}
	in.complete(place, deadline, func(f *messages.Failure) {
		if f != nil { // nobody can say now whether its SKUs exist
			place.UnknownSkuLines = nil
		}
		then(in.allFaults(errs, place))
	})
}

// allFaults adds to what the door found wrong what the actors would, field by field.
func (in *Ingress) allFaults(errs []*messages.FieldError, cmd messages.Command) *messages.Failure {
	if in.o.Faults != nil {
		errs = wire.JoinErrors(errs, in.o.Faults(cmd))
	}
	return messages.InvalidAll(errs)
}

func (in *Ingress) complete(place *messages.PlaceOrder, deadline int64, then func(*messages.Failure)) {
	f := in.prepare(place)
	if f != nil || len(place.UnknownSkuLines) == 0 || in.o.Learn == nil {
		then(f)
		return
	}
	if in.learners.Add(1) > learnersMax {
		in.learners.Add(-1)
		then(messages.Retry(messages.CodeLimit, shedRetryAfterMs, "too many orders with unknown SKUs at once, come back with the same command id"))
		return
	}
	go func() { // the subscription's goroutine never waits
		ctx, cancel := context.WithTimeout(context.Background(), in.left(deadline))
		defer cancel()
		var skus []string
		for _, i := range place.UnknownSkuLines {
			skus = append(skus, place.Order.Lines[i].Sku)
		}
		known, err := in.o.Learn(ctx, skus)
		in.learners.Add(-1)
		if err != nil {
			then(messages.Retry(messages.CodeUnavailable, shedRetryAfterMs, "whether %q exists is not known: %v", skus[0], err))
			return
		}
		place.UnknownSkuLines = slices.DeleteFunc(place.UnknownSkuLines, func(i uint32) bool { return known[place.Order.Lines[i].Sku] })
		then(nil)
	}()
}

// left is the time until a deadline.
func (in *Ingress) left(deadline int64) time.Duration {
	return time.Duration(deadline-in.o.Clock()) * time.Millisecond
}

// placeRequest: without a key of the sender the order's own id is the key, so the same order over two doors is one order.
func placeRequest(place *messages.PlaceOrder, commandID string) messages.Request {
	id := messages.OrderID(place.GetOrder().GetChannel(), place.GetOrder().GetExternalId())
	if commandID == "" {
		commandID = "place/" + id
	}
	return messages.Request{To: messages.OrderRef(id), Command: place, CommandID: commandID}
}

func (in *Ingress) listOrders(q *query) {
	var r wire.ListOrdersRequest
	if f := decodeBody(q.body, &r); f != nil {
		q.garbage(f)
		return
	}
	if f := r.Check(); f != nil {
		q.refuse(f)
		return
	}
	q.fewer = "limit"
	if in.lists.Add(1) > listsMax {
		in.lists.Add(-1)
		q.refuse(messages.Retry(messages.CodeLimit, shedRetryAfterMs, "too many lists are being made, come back"))
		return
	}
	go func() { // not on a responder: a list waits for other nodes, and placements must not wait for lists
		ctx, cancel := context.WithTimeout(context.Background(), in.left(q.deadline))
		defer cancel()
		rows, next, err := in.o.Directory.ListOrders(ctx, r.ListFilter)
		in.lists.Add(-1)
		q.later(func() (any, *messages.Reply) {
			if err != nil {
				f := in.listFailure(err)
				return wire.FailureHead(f), messages.Refuse(f)
			}
			return wire.OrderListAnswerOf(rows, next), nil
		})
	}()
}

func (in *Ingress) listFailure(err error) *messages.Failure {
	var f *messages.Failure
	if errors.As(err, &f) {
		return f
	}
	in.log.Error("orders cannot be listed", "error", err)
	return messages.Fail(messages.CodeInternal, "", "the orders cannot be listed")
}

// plan is the dry run: an order body in, ranked plans out, no effect.
func (in *Ingress) plan(q *query) {
	place, errs, f := in.readOrder(q.body, "")
	if f != nil {
		q.garbage(f)
		return
	}
	in.prepared(place, errs, q.deadline, func(f *messages.Failure) {
		if f != nil {
			q.refuse(f)
			return
		}
		q.later(func() (any, *messages.Reply) {
			return wire.PlanAnswerOf(in.o.Planner.Plans(place.GetOrder()), place.GetOrder()), nil
		})
	})
}
