//go:build ignore

// Generate packs the CSV of US postal codes of vega-datasets (postal_code,lat,lon,city,state; plain or .gz) into the table that
// package geo embeds. Usage: go run generate.go us-postal-codes.csv.gz
package main

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
)

const out = "us_postal.bin"

type row struct {
	code, lat, lon int64
	city, region   string
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: go run generate.go us-postal-codes.csv.gz")
	}
	rows, err := read(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	slices.SortFunc(rows, func(a, b row) int { return int(a.code - b.code) })
	var packed bytes.Buffer
	packed.WriteString("OYP1")
	w, _ := flate.NewWriter(&packed, flate.BestCompression)
	if _, err := w.Write(pack(rows)); err != nil {
		log.Fatal(err)
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(out, packed.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %d postal codes, %d bytes\n", out, len(rows), packed.Len())
}

func read(path string) ([]row, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, err
		}
	}
	records, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, rec := range records[1:] {
		code, err := strconv.ParseInt(rec[0], 10, 64)
		if err != nil || len(rec[0]) != 5 {
			return nil, fmt.Errorf("postal code %q", rec[0])
		}
		lat, err1 := strconv.ParseFloat(rec[1], 64)
		lon, err2 := strconv.ParseFloat(rec[2], 64)
		if err1 != nil || err2 != nil || len(rec[4]) != 2 {
			return nil, fmt.Errorf("postal code %s: %q", rec[0], rec)
		}
		rows = append(rows, row{code, int64(math.Round(lat * 1000)), int64(math.Round(lon * 1000)), rec[3], rec[4]})
	}
	return rows, nil
}

// pack lays the columns out one after the other, so that each is compressed among its like: the codes as varint differences,
// the positions as byte planes of zigzag differences, the cities numbered by first appearance.
func pack(rows []row) []byte {
	var codes, marks, refs, regions []byte
	var lat, lon [3][]byte
	var prev row
	cities, names := map[string]int{}, []string{}
	regionIDs, regionNames := map[string]int{}, []string{}
	for _, r := range rows {
		codes = binary.AppendUvarint(codes, uint64(r.code-prev.code))
		planes(&lat, r.lat-prev.lat)
		planes(&lon, r.lon-prev.lon)
		id, known := cities[r.city]
		switch {
		case !known:
			cities[r.city] = len(names)
			names = append(names, r.city)
			marks = append(marks, 1)
		case r.city == prev.city:
			marks = append(marks, 0)
		default:
			marks = append(marks, 2)
			refs = binary.LittleEndian.AppendUint16(refs, uint16(id))
		}
		if _, ok := regionIDs[r.region]; !ok {
			regionIDs[r.region] = len(regionNames)
			regionNames = append(regionNames, r.region)
		}
		regions = append(regions, byte(regionIDs[r.region]))
		prev = r
	}
	b := binary.AppendUvarint(nil, uint64(len(rows)))
	for _, column := range [][]byte{codes, lat[0], lat[1], lat[2], lon[0], lon[1], lon[2], marks, refs, regions,
		[]byte(strings.Join(regionNames, "\n")), []byte(strings.Join(names, "\n"))} {
		b = append(binary.AppendUvarint(b, uint64(len(column))), column...)
	}
	return b
}

func planes(p *[3][]byte, delta int64) {
	z := uint32(delta<<1 ^ delta>>63)
	for i := range p {
		p[i] = append(p[i], byte(z>>(8*i)))
	}
}
