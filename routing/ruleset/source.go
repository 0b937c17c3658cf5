package ruleset

import (
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/ast"
)

// Expr is an expression as written, and the way back from a place inside it to the file.
type Expr struct {
	Text string
	at   At
	from *place
}

// MarshalText gives the canonical form of an expression: its text.
func (e Expr) MarshalText() ([]byte, error) { return []byte(e.Text), nil }

// place is where the text of a scalar begins in the source.
type place struct {
	lines        [][]rune
	line, column int // of the first character, from 1
	quote        rune
}

// expr reads an expression. Whether it means something is found out when it is compiled.
func (v node) expr() Expr {
	s := strings.TrimSpace(v.text(exprBytesMax))
	e := Expr{Text: s, at: v.at()}
	if s == "" || v.r.lines == nil {
		return e
	}
	e.at = v.r.nudge(e.at, []rune(s)[0])
	p := &place{lines: v.r.lines, line: e.at.Line, column: e.at.Column}
	if _, block := v.n.(*ast.LiteralNode); block { // the text begins in the line below the | or >
		p.line, p.column = e.at.Line+1, 1
	} else if c := v.r.character(e.at.Line, e.at.Column); c == '\'' || c == '"' {
		p.quote, p.column = c, e.at.Column+1
	}
	e.from = p
	return e
}

func (r *reader) character(line, column int) rune {
	if line < 1 || line > len(r.lines) || column < 1 || column > len(r.lines[line-1]) {
		return 0
	}
	return r.lines[line-1][column-1]
}

// nudge mends the place of a value with spaces behind it, which the YAML parser puts too far to the right.
func (r *reader) nudge(at At, first rune) At {
	switch r.character(at.Line, at.Column) {
	case first, '\'', '"', '|', '>':
		return at
	}
	for column := at.Column - 1; column >= 1 && column > at.Column-8; column-- {
		if r.character(at.Line, column) == first && r.character(at.Line, column-1) == ' ' {
			at.Column = column
			return at
		}
	}
	return at
}

// locate finds the character at a line (from 1) and column (from 0) of the expression in the file. YAML folds and indents lines, so
// spaces do not count: the nth other character of the expression is the nth of the source. Quotes write some characters as two.
func (e Expr) locate(line, column int) At {
	at := e.at
	if e.from == nil {
		return at
	}
	skip, end := 0, true // end: behind the last character
	for i, text := range strings.Split(e.Text, "\n") {
		for j, c := range []rune(text) {
			switch {
			case unicode.IsSpace(c):
			case i+1 > line || i+1 == line && j >= column:
				end = false
			default:
				skip++
			}
		}
	}
	if end {
		skip-- // to the last character, and one further
	}
	for l := e.from.line; l <= len(e.from.lines); l++ {
		text := e.from.lines[l-1]
		c := 0
		if l == e.from.line {
			c = e.from.column - 1
		}
		for ; c < len(text); c++ {
			if unicode.IsSpace(text[c]) {
				continue
			}
			if skip <= 0 {
				at.Line, at.Column = l, c+1
				if end {
					at.Column++
				}
				return at
			}
			skip--
			if c+1 < len(text) && (e.from.quote == '"' && text[c] == '\\' || e.from.quote == '\'' && text[c] == '\'') {
				c++
			}
		}
	}
	return at
}
