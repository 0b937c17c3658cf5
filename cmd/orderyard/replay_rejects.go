package main

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
)

// rejectedRows counts one reason.
type rejectedRows struct {
	Reason    string `json:"reason"`
	Rows      int64  `json:"rows"`
	FirstLine int    `json:"first_line"`
	FirstRow  string `json:"first_row"`
}

// rejections counts rows that were left out, and writes them down when a file is wanted.
type rejections struct {
	rows    int64
	reasons map[string]*rejectedRows
	file    *os.File
	out     *csv.Writer
}

func (r *rejections) open(file *os.File) {
	r.file, r.out = file, csv.NewWriter(file)
	_ = r.out.Write([]string{"line", "reason", "row"}) // the writer keeps its first error for close
}

func (r *rejections) add(row rejection) {
	r.rows++
	known := r.reasons[row.reason]
	if known == nil {
		known = &rejectedRows{Reason: row.reason, FirstLine: row.line, FirstRow: clean(row.row)}
		r.reasons[row.reason] = known
	}
	known.Rows++
	if r.out != nil {
		_ = r.out.Write([]string{strconv.Itoa(row.line), row.reason, row.row})
	}
}

func (r *rejections) close() error {
	if r.out == nil {
		return nil
	}
	r.out.Flush()
	err := cmp.Or(r.out.Error(), r.file.Close())
	r.out = nil
	if err != nil {
		return fmt.Errorf("write the rejected rows: %w", err)
	}
	return nil
}

// sorted gives the reasons, the most frequent first.
func (r *rejections) sorted() []*rejectedRows {
	return slices.SortedFunc(maps.Values(r.reasons), func(a, b *rejectedRows) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Reason, b.Reason))
	})
}
