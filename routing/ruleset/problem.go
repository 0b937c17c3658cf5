package ruleset

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake in a file of rules.
type Problem struct {
	Source       string // the file's name
	Line, Column int    // 0 when unknown
	Key          string // "routes[0].rules[1].filters[2].within_km"
	Message      string
}

func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.Source)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	if p.Key != "" {
		b.WriteString(": " + p.Key)
	}
	return b.String() + ": " + p.Message
}

// Error is every mistake of a rule set, in the order of the file. The set must not be published.
type Error struct{ Problems []Problem }

func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// At is where something is written. Rules made by hand have no place.
type At struct {
	Line, Column int
	Key          string
}

// problems gathers complaints. Beyond problemsMax it only counts: nobody reads them, and a hostile file must not cost memory.
type problems struct {
	source string
	found  []Problem
	more   int
}

const problemsMax = 100

func (p *problems) complain(at At, format string, args ...any) {
	if len(p.found) >= problemsMax {
		p.more++
		return
	}
	p.found = append(p.found, Problem{p.source, at.Line, at.Column, at.Key, fmt.Sprintf(format, args...)})
}

// sorted is all that was found, in the order of the file.
func (p *problems) sorted() []Problem {
	slices.SortStableFunc(p.found, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if p.more > 0 {
		return append(p.found, Problem{Source: p.source, Message: fmt.Sprintf("and %d more", p.more)})
	}
	return p.found
}

// didYouMean names the word that was probably meant: the nearest one within two typing errors.
func didYouMean(word string, known []string) string {
	best, distance := "", 3
	if len(word) <= 3 {
		distance = 2 // of short words everything is near
	}
	for _, k := range known {
		d := editDistance(word, k)
		if len(word) > 3 && strings.HasPrefix(k, word) {
			d = min(d, 2)
		}
		if d < distance {
			best, distance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// editDistance counts the letters to insert, drop or change (Levenshtein, one row at a time).
func editDistance(a, b string) int {
	if len(a) > nameBytesMax {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
