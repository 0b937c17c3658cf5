package main

import (
	"errors"
	"io"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"orderyard/gateway/wire"
	"orderyard/messages"
	"orderyard/routing/geo"
)

// replayChannel is the channel of every order of a replay.
const replayChannel = "replay"

// invoice is what one order or one cancellation is made of: consecutive rows of one number, at most 500.
type invoice struct {
	saleRow        // of the first row
	part    int    // 1, and one more for every further order of the same number
	lines   []sale // never empty
}

type sale struct {
	sku             string
	quantity, price int64
}

// external is the order's external id: the number, with a suffix from the second order on.
func (i *invoice) external() string {
	if i.part == 1 {
		return i.invoice
	}
	return i.invoice + "-" + strconv.Itoa(i.part)
}

func (i *invoice) orderID() string { return messages.OrderID(replayChannel, i.external()) }

func (i *invoice) units() (sum int64) {
	for _, l := range i.lines {
		sum += l.quantity
	}
	return sum
}

// invoices groups a file's rows. It holds one invoice and, of each number it has seen, eight bytes and a count: a number that comes
// back later in the file must not become another content under an id that is taken.
type invoices struct {
	file    *replayFile
	reject  func(rejection)
	current invoice
	parts   map[uint64]int
	rows    int
	refused int
}

func newInvoices(file *replayFile, reject func(rejection)) *invoices {
	return &invoices{file: file, reject: reject, parts: make(map[uint64]int)}
}

// each gives every order and cancellation in the file's order. The invoice is valid until the callback returns; an error of the
// callback ends the reading, errEnough without being one.
func (g *invoices) each(give func(*invoice) error) error {
	for {
		row, rejected, err := g.file.next()
		if errors.Is(err, io.EOF) {
			return enough(g.flush(give))
		}
		if err != nil {
			return err
		}
		g.rows++
		if rejected != nil {
			g.refused++
			g.reject(*rejected)
			continue
		}
		if len(g.current.lines) > 0 && (row.invoice != g.current.invoice || len(g.current.lines) == wire.LinesMax) {
			if err := g.flush(give); err != nil {
				return enough(err)
			}
		}
		if len(g.current.lines) == 0 {
			key := xxhash.Sum64String(row.invoice)
			g.parts[key]++
			g.current = invoice{saleRow: row, part: g.parts[key], lines: g.current.lines}
		}
		g.current.lines = append(g.current.lines, sale{row.sku, row.quantity, row.price})
	}
}

// errEnough is how a reader says that it needs no more.
var errEnough = errors.New("enough")

func enough(err error) error {
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

func (g *invoices) flush(give func(*invoice) error) error {
	if len(g.current.lines) == 0 {
		return nil
	}
	err := give(&g.current)
	g.current.lines = g.current.lines[:0]
	return err
}

// document is the order of an invoice. The same invoice, seed and policy give the same bytes, so that a repeated replay is answered
// and not carried out again.
func (i *invoice) document(seed uint64, policy wire.Policy) wire.Order {
	buyer := i.customer
	if buyer == "" {
		buyer = "invoice " + i.invoice
	}
	postal := geo.PopulationPostal(seededHash(seed, buyer))
	city, region, _ := geo.City(postal)
	order := wire.Order{
		Channel: replayChannel, ExternalID: i.external(), PlacedAt: i.at, Currency: "USD",
		ShipTo: wire.Address{Name: "Customer " + buyer, City: city, Region: region, PostalCode: postal, Country: "US"},
		Lines:  make([]wire.Line, len(i.lines)), Policy: &policy,
	}
	if i.customer != "" {
		order.Customer = &wire.Customer{ID: i.customer}
	}
	for n := range i.lines {
		l := &i.lines[n]
		price := l.price
		order.Lines[n] = wire.Line{ID: strconv.Itoa(n + 1), SKU: l.sku, Quantity: l.quantity, UnitPrice: &price}
	}
	return order
}

func seededHash(seed uint64, parts ...string) uint64 {
	h := xxhash.New()
	_, _ = h.WriteString(strconv.FormatUint(seed, 10))
	for _, p := range parts {
		_, _ = h.WriteString("/" + p)
	}
	return h.Sum64()
}

// survey is what the first pass over a file finds: how much there is to send, and what it will ask of each SKU.
type survey struct {
	orders, cancellations int
	first                 wire.Time // of the earliest invoice
	demand                map[string]int64
}

// surveyReplay reads the file once. It also proves that the whole file can be read, before anything is sent.
func surveyReplay(name string, limit int) (*survey, error) {
	file, err := openReplay(name)
	if err != nil {
		return nil, err
	}
	defer file.close()
	s := &survey{demand: make(map[string]int64)}
	err = newInvoices(file, func(rejection) {}).each(func(i *invoice) error {
		if i.cancel {
			s.cancellations++
			return nil
		}
		if limit > 0 && s.orders == limit {
			return errEnough
		}
		s.orders++
		if s.first == 0 || i.at < s.first {
			s.first = i.at
		}
		for _, l := range i.lines {
			s.demand[l.sku] += l.quantity
		}
		return nil
	})
	if err == nil && s.orders == 0 {
		err = errors.New("the file holds no order")
	}
	return s, err
}
