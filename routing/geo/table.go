package geo

import (
	"bytes"
	"compress/flate"
	_ "embed"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"sync"
)

// The US postal codes come from vega-datasets (zipcodes, BSD-3-Clause, UW Interactive Data Lab); see LICENSE-us_postal.txt.
// To make the table anew: go run generate.go us-postal-codes.csv.gz
//
//go:embed us_postal.bin
var packed []byte

// table holds the postal codes in ascending order, a column each.
type table struct {
	first    [100_001]uint16 // first[c] = how many codes are smaller than c
	codes    []uint32
	lat, lon []int32 // thousandths of a degree
	city     []uint16
	region   []byte
	cities   []string
	regions  []string
}

// usTable unpacks once, in about ten milliseconds, on first use. The table is part of the program: a broken one is a broken build.
var usTable = sync.OnceValue(func() *table {
	t, err := unpack(packed)
	if err != nil {
		panic("geo: embedded postal table: " + err.Error())
	}
	return t
})

// row finds a five-digit code.
func (t *table) row(code uint32) (int, bool) {
	i := int(t.first[code])
	return i, i < len(t.codes) && t.codes[i] == code
}

func unpack(b []byte) (*table, error) {
	body, ok := bytes.CutPrefix(b, []byte("OYP1"))
	if !ok {
		return nil, fmt.Errorf("unknown format")
	}
	raw, err := io.ReadAll(flate.NewReader(bytes.NewReader(body)))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	n, raw, err := uvarint(raw)
	if err != nil {
		return nil, err
	}
	var columns [12][]byte
	for i := range columns {
		var size int
		if size, raw, err = uvarint(raw); err != nil {
			return nil, err
		}
		if size > len(raw) {
			return nil, io.ErrUnexpectedEOF
		}
		columns[i], raw = raw[:size], raw[size:]
	}
	for _, c := range columns[1:8] {
		if len(c) != n {
			return nil, fmt.Errorf("a column has %d rows, want %d", len(c), n)
		}
	}
	if n > 1<<16-1 || len(columns[9]) != n {
		return nil, fmt.Errorf("%d rows", n)
	}
	t := &table{
		lat: undelta(columns[1], columns[2], columns[3]), lon: undelta(columns[4], columns[5], columns[6]),
		region: columns[9], regions: strings.Split(string(columns[10]), "\n"), cities: strings.Split(string(columns[11]), "\n"),
	}
	if err := t.unpackCodes(columns[0], n); err != nil {
		return nil, err
	}
	return t, t.unpackCities(columns[7], columns[8])
}

func uvarint(b []byte) (int, []byte, error) {
	v, k := binary.Uvarint(b)
	if k <= 0 || v > 1<<30 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return int(v), b[k:], nil
}

// undelta sums zigzag differences kept in three byte planes.
func undelta(low, mid, high []byte) []int32 {
	out := make([]int32, len(low))
	var sum int32
	for i := range out {
		z := uint32(low[i]) | uint32(mid[i])<<8 | uint32(high[i])<<16
		sum += int32(z>>1) ^ -int32(z&1)
		out[i] = sum
	}
	return out
}

func (t *table) unpackCodes(b []byte, n int) error {
	t.codes = make([]uint32, n)
	var code, next int
	for i := range t.codes {
		step, rest, err := uvarint(b)
		if err != nil {
			return err
		}
		b = rest
		if code += step; code > 99_999 || i > 0 && step == 0 {
			return fmt.Errorf("postal code %d after %d", code, code-step)
		}
		t.codes[i] = uint32(code)
		for ; next <= code; next++ {
			t.first[next] = uint16(i)
		}
	}
	for ; next < len(t.first); next++ {
		t.first[next] = uint16(n)
	}
	return nil
}

// unpackCities follows the marks: 0 = the city of the row above, 1 = the next new city, 2 = one named before.
func (t *table) unpackCities(marks, refs []byte) error {
	t.city = make([]uint16, len(marks))
	var id, fresh uint16
	for i, m := range marks {
		switch m {
		case 1:
			id, fresh = fresh, fresh+1
		case 2:
			if len(refs) < 2 {
				return io.ErrUnexpectedEOF
			}
			id, refs = binary.LittleEndian.Uint16(refs), refs[2:]
		}
		if int(id) >= len(t.cities) || int(t.region[i]) >= len(t.regions) {
			return fmt.Errorf("row %d names city %d, region %d", i, id, t.region[i])
		}
		t.city[i] = id
	}
	return nil
}
