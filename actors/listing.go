package actors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"orderyard/messages"
)

const (
	wordOrders = "orders" // an ask for one node's page of a list

	// listWithin bounds how long a list waits for another node.
	listWithin = time.Second
	// listAgainAfter is the pause before a node that could not be asked is asked again: a process that ended leaves the members in less.
	listAgainAfter = 50 * time.Millisecond
	// listRetryAfterMs is when the caller of a list that failed may come back: when a node that ended is known to have ended.
	listRetryAfterMs = 500
	// rowsBytesMax is how large a part of a page grows.
	rowsBytesMax = 256 << 10
)

// Peer is another living node that may own partitions.
type Peer struct {
	Incarnation string
	Node        string // the operator's name
}

// Listing lists the orders of all nodes.
type Listing struct {
	know  *Knowledge
	bus   Bus
	peers func() []Peer
}

// NewListing makes a listing and answers the listings of other nodes. peers gives the other living nodes that are ready; it may be called
// concurrently.
func NewListing(k *Knowledge, bus Bus, peers func() []Peer) (*Listing, error) {
	l := &Listing{know: k, bus: bus, peers: peers}
	if err := bus.Serve(wordOrders, l.serve); err != nil {
		return nil, fmt.Errorf("serve lists of orders: %w", err)
	}
	return l, nil
}

// pageRequest asks a node for its part of a page.
type pageRequest struct {
	OrderFilter
	Cursor string
	Limit  int
}

// ListOrders gives rows of all nodes, newest first, and the cursor of the next page: what a single node with all orders would give. A cursor
// may be used on any node. It waits a second at most, and may be called concurrently. When a living node does not answer the page would
// have holes: then there is a *messages.Failure instead, `unavailable` and worth a retry, which names the node.
//
// While a partition moves, its orders are for a moment on no node, and miss, or on two: then the row that changed last counts. Orders that
// change their status between two pages are with the filter that they have when their page is read.
func (l *Listing) ListOrders(ctx context.Context, f OrderFilter, cursor string, limit int) ([]*messages.OrderSummary, string, error) {
	peers := l.peers()
	if len(peers) == 0 {
		rows, next := l.know.ListOrders(f, cursor, limit)
		return rows, next, nil
	}
	body, err := json.Marshal(pageRequest{OrderFilter: f, Cursor: cursor, Limit: limit})
	if err != nil {
		return nil, "", fmt.Errorf("encode a list's filter: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, listWithin)
	defer cancel()
	type answer struct {
		page
		err error
	}
	answers := make(chan answer, len(peers))
	for _, p := range peers {
		go func() {
			rows, err := l.ask(ctx, p, body)
			answers <- answer{rows, err}
		}()
	}
	rows, next := l.know.ListOrders(f, cursor, limit)
	pages := []page{{rows, next != ""}}
	for range peers {
		a := <-answers
		if a.err != nil {
			return nil, "", a.err
		}
		pages = append(pages, a.page)
	}
	rows, next = mergePages(pages, limit)
	return rows, next, nil
}

// ask gets one node's page, again and again until ctx ends or the node is no member any more: then its orders are on their way to others.
func (l *Listing) ask(ctx context.Context, p Peer, body []byte) (page, error) {
	for {
		var got page
		err := l.bus.Ask(ctx, p.Incarnation, wordOrders, body, got.add)
		if err == nil {
			return got, nil
		}
		select {
		case <-ctx.Done():
			return page{}, messages.Retry(messages.CodeUnavailable, listRetryAfterMs,
				"node %s does not answer, so the list would miss its orders (%v)", p.Node, err)
		case <-time.After(listAgainAfter):
		}
		if !l.lives(p) {
			return page{}, nil
		}
	}
}

func (l *Listing) lives(p Peer) bool {
	for _, one := range l.peers() {
		if one.Incarnation == p.Incarnation {
			return true
		}
	}
	return false
}

// serve answers with this node's page.
func (l *Listing) serve(_ context.Context, body []byte, send func([]byte) error) error {
	var r pageRequest
	if err := json.Unmarshal(body, &r); err != nil {
		return fmt.Errorf("read a list's filter: %w", err)
	}
	rows, next := l.know.ListOrders(r.OrderFilter, r.Cursor, r.Limit)
	return page{rows, next != ""}.send(send)
}

// A page travels in parts of tagged fields, as protobuf writes them: rows, and at last whether there are more.
const (
	fieldRow  protowire.Number = 1
	fieldMore protowire.Number = 2
)

func (p page) send(send func([]byte) error) error {
	var part []byte
	for _, row := range p.rows {
		b, err := row.MarshalVT()
		if err != nil {
			return fmt.Errorf("encode a row: %w", err)
		}
		if len(part) > 0 && len(part)+len(b) > rowsBytesMax {
			if err := send(part); err != nil {
				return err
			}
			part = nil
		}
		part = protowire.AppendBytes(protowire.AppendTag(part, fieldRow, protowire.BytesType), b)
	}
	return send(protowire.AppendVarint(protowire.AppendTag(part, fieldMore, protowire.VarintType), protowire.EncodeBool(p.more)))
}

var errPage = errors.New("a page of orders cannot be read")

// add reads a part. Fields it does not know are of a newer node, and passed over.
func (p *page) add(part []byte) error {
	for len(part) > 0 {
		number, kind, n := protowire.ConsumeTag(part)
		if n < 0 {
			return errPage
		}
		part = part[n:]
		n = protowire.ConsumeFieldValue(number, kind, part)
		if n < 0 {
			return errPage
		}
		switch {
		case number == fieldRow && kind == protowire.BytesType:
			b, _ := protowire.ConsumeBytes(part)
			row := &messages.OrderSummary{}
			if err := row.UnmarshalVT(b); err != nil {
				return fmt.Errorf("%w: %w", errPage, err)
			}
			p.rows = append(p.rows, row)
		case number == fieldMore && kind == protowire.VarintType:
			v, _ := protowire.ConsumeVarint(part)
			p.more = protowire.DecodeBool(v)
		}
		part = part[n:]
	}
	return nil
}
