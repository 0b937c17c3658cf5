package ingress

import (
	"bytes"
	"sync"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

const doorStock = "stock"

func (in *Ingress) stockEndpoints() []endpoint {
	return []endpoint{
		stockEndpoint[wire.SetStockRequest]("set", inside),
		stockEndpoint[wire.AdjustStockRequest]("adjust", inside),
		stockEndpoint[wire.ReceiveStockRequest]("receive", inside),
		stockEndpoint[wire.ReserveStockRequest]("reserve", partyReserve),
		stockEndpoint[wire.ConfirmReservationRequest]("confirm", inside),
		stockEndpoint[wire.CancelReservationRequest]("cancel", inside),
		{doorStock, "get", messages.StockSubject("get"), in.getStock, partyLook},
		{doorStock, "available", messages.StockSubject("available"), in.available, partyLook},
	}
}

func stockEndpoint[T any, P request[T]](verb, party string) endpoint {
	return endpoint{doorStock, verb, messages.StockSubject(verb), oneOrMany[T, P](changing, stockAnswer, stockList), party}
}

func stockAnswer(r *messages.Reply, cmd messages.Command) any { return wire.StockAnswerOf(r, cmd) }

func stockList(replies []*messages.Reply, cmds []messages.Command) any {
	return wire.StockListAnswerOf(replies, cmds)
}

// answerRoom lends buffers for answers that are written by hand.
var answerRoom = sync.Pool{New: func() any { return new([]byte) }}

// available answers from what the node knows, without asking a bucket.
func (in *Ingress) available(q *query) {
	var r wire.AvailableRequest
	if f := decodeLong(q.body, &r); f != nil {
		q.garbage(f)
		return
	}
	if f := r.Check(); f != nil {
		q.refuse(f)
		return
	}
	q.fewer = "skus"
	room := answerRoom.Get().(*[]byte)
	*room = wire.AppendAvailable((*room)[:0], &r, in.o.Directory.Available)
	q.respond(*room, codeOK, false)
	answerRoom.Put(room)
	in.gate.leave(q.ticket, q.weight, false)
	q.door.release(q.weight, len(q.body))
}

// getStock answers for one bucket, a list of buckets, or every site that has ever held the SKU.
func (in *Ingress) getStock(q *query) {
	if body := bytes.TrimLeft(q.body, " \t\r\n"); len(body) > 0 && body[0] == '[' {
		oneOrMany[wire.GetStockRequest](reading, stockAnswer, stockList)(q)
		return
	}
	var r wire.GetStockRequest
	if f := decodeBody(q.body, &r); f != nil {
		q.garbage(f)
		return
	}
	if r.Site != "" {
		req, f := command(q, &r, reading)
		if f != nil {
			q.refuse(f)
			return
		}
		q.ask(req, func(reply *messages.Reply) any { return wire.StockAnswerOf(reply, req.Command) })
		return
	}
	if f := r.CheckSKU(); f != nil {
		q.refuse(f)
		return
	}
	sites := in.o.Directory.Buckets(r.SKU)
	if len(sites) == 0 {
		q.refuse(messages.Fail(messages.CodeNotFound, "sku", "no site has ever held %q", r.SKU))
		return
	}
	reqs := make([]messages.Request, len(sites))
	for i, site := range sites {
		reqs[i] = messages.Request{To: messages.BucketRef(r.SKU, site), Command: &messages.GetStock{}}
	}
	q.fewer = "site"
	q.askAll(reqs, func(replies []*messages.Reply) (any, *messages.Reply) {
		return wire.BucketListAnswerOf(r.SKU, replies), worst(replies)
	})
}
