package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"orderyard/gateway/wire"
	"orderyard/messages"
)

// Reasons why a row is no line of an order. They are part of replay's JSON.
const (
	rejectColumns       = "bad columns"
	rejectTooLong       = "row too long"
	rejectInvoice       = "bad invoice"
	rejectAdjustment    = "adjustment code"
	rejectSKU           = "bad SKU"
	rejectQuantity      = "quantity not a number"
	rejectZeroQuantity  = "zero quantity"
	rejectNegative      = "negative quantity outside a cancellation"
	rejectPositive      = "positive quantity in a cancellation"
	rejectTooMany       = "quantity too large"
	rejectPrice         = "price not a number"
	rejectZeroPrice     = "zero price"
	rejectNegativePrice = "negative price"
	rejectDate          = "bad date"
)

const (
	// replayRowMax bounds one row: what is longer is a file that lost its line ends, not an order line.
	replayRowMax = 64 << 10
	// replayQuantityMax is what the order takes in one line.
	replayQuantityMax = 1_000_000
	// replayPriceMax keeps the digits of a price far from overflow.
	replayPriceMax = 1_000_000_000
)

// saleRow is one good row: one line of an invoice. In a cancellation the quantity is what comes back.
type saleRow struct {
	line     int
	invoice  string // safe as a token
	cancel   bool
	sku      string
	quantity int64
	price    int64 // minor units
	at       wire.Time
	customer string
}

// rejection says why a row was left out.
type rejection struct {
	line   int
	reason string
	row    string // clipped
}

// replayFile streams the rows of an order history, plain or gzip by its content. It reads line by line, each on its own: a quote
// that never closes costs one row, not the rest of the file.
type replayFile struct {
	file    *os.File
	size    int64
	in      *bufio.Reader
	line    int
	columns [columnsMost]int // the field of each column; -1 = not there
	width   int
	fields  []string
	scratch []byte
}

// The columns, by their meaning.
const (
	columnInvoice = iota
	columnSKU
	columnQuantity
	columnAt
	columnPrice
	columnCustomer
	columnsMost
)

// columnNames are the accepted spellings, without case, blanks and '_': this program's, then those of UCI's two editions.
var columnNames = [columnsMost][]string{
	columnInvoice: {"invoice", "invoiceno"}, columnSKU: {"sku", "stockcode"}, columnQuantity: {"quantity"},
	columnAt: {"invoicedat", "invoicedate"}, columnPrice: {"unitprice", "price"}, columnCustomer: {"customer", "customerid"},
}

func openReplay(name string) (*replayFile, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the file: %w", err)
	}
	f := &replayFile{file: file, in: bufio.NewReaderSize(file, replayRowMax)}
	if info, err := file.Stat(); err == nil {
		f.size = info.Size()
	}
	if magic, _ := f.in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unpacked, err := gzip.NewReader(f.in)
		if err != nil {
			f.close()
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		f.in = bufio.NewReaderSize(unpacked, replayRowMax)
	}
	if err := f.header(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *replayFile) close() { _ = f.file.Close() }

// offset is how much of the file's bytes was taken, for the progress bar.
func (f *replayFile) offset() int64 {
	at, _ := f.file.Seek(0, io.SeekCurrent)
	return at
}

func (f *replayFile) header() error {
	row, long, err := f.read()
	if errors.Is(err, io.EOF) {
		return errors.New("the file is empty; its first row names the columns invoice, sku, description, quantity, invoiced_at, unit_price, customer, country")
	}
	if err != nil {
		return err
	}
	if !f.split(bytes.TrimPrefix(row, []byte("\ufeff"))) || long {
		return errors.New("line 1 holds no column names")
	}
	f.width = len(f.fields)
	plain := strings.NewReplacer(" ", "", "_", "")
	for c, names := range columnNames {
		f.columns[c] = slices.IndexFunc(f.fields, func(name string) bool {
			return slices.Contains(names, plain.Replace(strings.ToLower(name)))
		})
		if f.columns[c] < 0 && c != columnCustomer {
			return fmt.Errorf("line 1: there is no column %q", names[0])
		}
	}
	return nil
}

// read takes one line without its end. Of a line that is too long only the beginning is given.
func (f *replayFile) read() (row []byte, long bool, err error) {
	row, err = f.in.ReadSlice('\n')
	f.line++
	if errors.Is(err, bufio.ErrBufferFull) {
		row = bytes.Clone(row[:256])
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = f.in.ReadSlice('\n')
		}
		long = true
	}
	if errors.Is(err, io.EOF) && len(row) > 0 {
		err = nil
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("read the file at line %d: %w", f.line, err)
	}
	return bytes.TrimRight(row, "\r\n"), long, err
}

// split takes a row apart, with the quoting of RFC 4180; false when a quote is not where it may be. Fields are trimmed.
func (f *replayFile) split(row []byte) bool {
	f.fields = f.fields[:0]
	for {
		var field []byte
		rest := bytes.TrimLeft(row, " \t")
		if len(rest) > 0 && rest[0] == '"' {
			var ok bool
			if field, row, ok = f.quoted(rest[1:]); !ok {
				return false
			}
		} else {
			end := bytes.IndexByte(row, ',')
			if end < 0 {
				end = len(row)
			}
			field, row = row[:end], row[end:]
		}
		f.fields = append(f.fields, string(bytes.TrimSpace(field)))
		if len(row) == 0 {
			return true
		}
		row = row[1:] // the comma
	}
}

// quoted reads to the closing quote; row begins behind the opening one. The rest begins with a comma or is empty.
func (f *replayFile) quoted(row []byte) (field, rest []byte, ok bool) {
	f.scratch = f.scratch[:0]
	for {
		end := bytes.IndexByte(row, '"')
		if end < 0 {
			return nil, nil, false
		}
		f.scratch = append(f.scratch, row[:end]...)
		row = row[end+1:]
		if len(row) > 0 && row[0] == '"' {
			f.scratch, row = append(f.scratch, '"'), row[1:]
			continue
		}
		row = bytes.TrimLeft(row, " \t")
		return f.scratch, row, len(row) == 0 || row[0] == ','
	}
}

// next gives the next row, or why it was left out; io.EOF at the end. Empty lines are skipped.
func (f *replayFile) next() (saleRow, *rejection, error) {
	for {
		text, long, err := f.read()
		if err != nil {
			return saleRow{}, nil, err
		}
		if len(text) == 0 {
			continue
		}
		sale, reason := saleRow{}, rejectTooLong
		if !long {
			sale, reason = f.parse(text)
		}
		if reason != "" {
			return saleRow{}, &rejection{f.line, reason, string(text[:min(len(text), 256)])}, nil
		}
		return sale, nil, nil
	}
}

// parse makes a row's values; a reason when one of them is wrong. The checks that tell most about a row come first.
func (f *replayFile) parse(text []byte) (sale saleRow, reason string) {
	if !f.split(text) || len(f.fields) != f.width {
		return sale, rejectColumns
	}
	value := func(column int) string { return f.fields[f.columns[column]] }
	sale.line = f.line
	if sale.invoice, sale.cancel = invoiceToken(value(columnInvoice)); sale.invoice == "" {
		return sale, rejectInvoice
	}
	sale.sku = value(columnSKU)
	switch {
	case adjustment(sale.sku):
		return sale, rejectAdjustment
	case messages.CheckSKU(sale.sku) != nil:
		return sale, rejectSKU
	}
	var ok bool
	if sale.at, ok = parseSaleTime(value(columnAt)); !ok {
		return sale, rejectDate
	}
	var err error
	if sale.quantity, err = strconv.ParseInt(value(columnQuantity), 10, 64); err != nil {
		return sale, rejectQuantity
	}
	if reason := sale.checkQuantity(); reason != "" {
		return sale, reason
	}
	if f.columns[columnCustomer] >= 0 {
		sale.customer = cleanCustomer(value(columnCustomer))
	}
	if sale.cancel {
		return sale, "" // what a cancellation says about prices is not used
	}
	sale.price, reason = parsePrice(value(columnPrice))
	return sale, reason
}

// checkQuantity makes the quantity of a cancellation positive, and refuses the signs that do not belong there.
func (s *saleRow) checkQuantity() string {
	switch {
	case s.quantity == 0:
		return rejectZeroQuantity
	case s.quantity > replayQuantityMax || s.quantity < -replayQuantityMax:
		return rejectTooMany
	case s.cancel && s.quantity > 0:
		return rejectPositive
	case !s.cancel && s.quantity < 0:
		return rejectNegative
	}
	if s.cancel {
		s.quantity = -s.quantity
	}
	return ""
}

// invoiceToken makes an invoice number safe as an id, and says whether it is a cancellation: "C536379".
func invoiceToken(text string) (id string, cancel bool) {
	const most = messages.TokenMax - 8 // leaves room for "-2"
	id = strings.Map(func(r rune) rune {
		if messages.CheckToken(string(r)) != nil {
			return '_'
		}
		return r
	}, text[:min(len(text), most)])
	cancel = len(id) > 1 && (id[0] == 'C' || id[0] == 'c') && id[1] >= '0' && id[1] <= '9'
	return id, cancel
}

// adjustments are codes of the shop's own books: postage, discounts, fees, samples, corrections. No site can pick them.
var adjustments = []string{
	"POST", "DOT", "M", "D", "C2", "C3", "S", "B", "PADS", "CRUK", "BANK CHARGES", "AMAZONFEE", "ADJUST", "ADJUST2", "GIFT",
}

func adjustment(sku string) bool {
	upper := strings.ToUpper(sku)
	return slices.Contains(adjustments, upper) || strings.HasPrefix(upper, "GIFT_") || strings.HasPrefix(upper, "TEST")
}

var saleTimes = []string{"2006-01-02 15:04:05", time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04", "1/2/2006 15:04"}

// parseSaleTime reads a date; without a zone it is taken as UTC.
func parseSaleTime(text string) (wire.Time, bool) {
	for _, layout := range saleTimes {
		if t, err := time.Parse(layout, text); err == nil && t.Year() >= 1970 && t.UnixMilli() > 0 {
			return wire.Time(t.UnixMilli()), true
		}
	}
	return 0, false
}

// parsePrice reads a decimal number as minor units without a float, rounding half up.
func parsePrice(text string) (minor int64, reason string) {
	digits, negative := strings.CutPrefix(text, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	if digits == "" || digits == "." || strings.Trim(whole+fraction, "0123456789") != "" || len(whole) > 18 {
		return 0, rejectPrice
	}
	units := int64(0)
	if whole != "" {
		units, _ = strconv.ParseInt(whole, 10, 64) // at most 18 digits
	}
	if units > replayPriceMax {
		return 0, rejectPrice
	}
	fraction += "000"
	cents, _ := strconv.ParseInt(fraction[:3], 10, 64) // three digits
	minor = units*100 + (cents+5)/10
	switch {
	case minor == 0:
		return 0, rejectZeroPrice
	case negative:
		return 0, rejectNegativePrice
	}
	return minor, ""
}

func cleanCustomer(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), messages.TokenMax)], "_")
}
