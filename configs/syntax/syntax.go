package syntax

import (
	"errors"
	"fmt"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	// depthMax is how many lists, objects and keys may lie inside each other. People write ten at most.
	depthMax = 64
	// documentsMax bounds the documents of one file: the parser copies all that follow for each.
	documentsMax = 10_000
	// pathShare bounds what the paths of all values take, in bytes for each byte of the file: a list of single letters deep inside a rule set takes
	// 30. A short file may have pathSpare more.
	pathShare, pathSpare = 64, 1 << 20
	// indexBytes is what a place in a list adds to a path, at most.
	indexBytes = 10
)

// Parse is the syntax tree of a file. An error that the parser found says where; what would cost too much is refused as a whole.
func Parse(data []byte) (*ast.File, error) {
	tokens := lexer.Tokenize(string(data))
	b := bounds{left: pathShare*len(data) + pathSpare}
	for i, t := range tokens {
		if err := b.see(t, i); err != nil {
			return nil, err
		}
	}
	return parser.Parse(tokens, 0)
}

// bounds follows how deep the tokens lead, and adds up how long the parser will make the paths of what lies there. Where indentation leaves a doubt it
// counts too much rather than too little.
type bounds struct {
	open      [depthMax]frame
	depth     int
	path      int // bytes of all open frames
	left      int // bytes of paths that are left
	documents int
	marks     int // tags and anchors in a row, each of which recurses
}

// frame is something that values lie in: brackets, a place in a list of dashes, or a key.
type frame struct {
	kind   frameKind
	column int
	bytes  int
}

type frameKind uint8

const (
	bracket frameKind = iota
	dash
	key
)

func (b *bounds) see(t *token.Token, i int) error {
	ok := b.mark(t)
	switch t.Type {
	case token.DocumentHeaderType, token.DocumentEndType:
		b.depth, b.path = 0, 0
		if b.documents++; b.documents > documentsMax {
			return fmt.Errorf("has more than %d documents", documentsMax)
		}
	case token.SequenceStartType, token.MappingStartType:
		ok = ok && b.push(frame{bracket, t.Position.Column, indexBytes})
	case token.SequenceEndType, token.MappingEndType, token.CollectEntryType:
		if !b.flows() {
			break // the parser says so
		}
		b.pop(func(f frame) bool { return f.kind != bracket })
		if t.Type != token.CollectEntryType {
			b.popOne()
		}
	case token.SequenceEntryType: // it may stand right below its key, in the same column
		at := t.Position.Column
		if p := before(t); p == nil || !isMark(p) { // what a tag stands before lies in it, whatever its column
			b.pop(func(f frame) bool { return f.kind == dash && f.column >= at || f.kind == key && f.column > at })
		}
		ok = ok && b.push(frame{dash, at, indexBytes})
	case token.MappingValueType:
		if i > 0 { // otherwise the parser says so
			ok = ok && b.key(t)
		}
	}
	if !ok {
		return fmt.Errorf("has more than %d lists, objects and keys inside each other", depthMax)
	}
	if b.left -= b.path; b.left < 0 {
		return errors.New("its keys are too long for so many values, or too many values lie too deep")
	}
	return nil
}

// key opens what a colon stands before. Its key is written before it, with comments between them at most.
func (b *bounds) key(colon *token.Token) bool {
	name, bytes := colon.Prev, 0
	for ; name.Type == token.CommentType && name.Prev != nil; name = name.Prev {
		bytes += len(name.Value)
	}
	at := 0 // a key over several lines, or after a question mark: nobody writes that, so nothing ends there, nor does it
	if name.Position.Line == colon.Position.Line {
		start := first(name)
		at = start.Position.Column
		if p := before(start); !b.flows() && (p == nil || !isMark(p) && p.Type != token.SequenceEntryType) {
			b.pop(func(f frame) bool { return f.kind != bracket && f.column >= at })
		}
	}
	return b.push(frame{key, at, bytes + len(name.Value) + len(".''")})
}

// first is the token that a key begins with: tags, anchors and a question mark stand before it.
func first(name *token.Token) *token.Token {
	for p := name.Prev; p != nil && p.Position.Line == name.Position.Line && (isMark(p) || p.Type == token.MappingKeyType); p = p.Prev {
		name = p
	}
	return name
}

// before is the token before a value, comments aside.
func before(t *token.Token) *token.Token {
	p := t.Prev
	for p != nil && p.Type == token.CommentType {
		p = p.Prev
	}
	return p
}

// isMark knows tags, anchors and the name of an anchor, which is a token of its own.
func isMark(t *token.Token) bool {
	return t.Type == token.TagType || t.Type == token.AnchorType || t.Prev != nil && t.Prev.Type == token.AnchorType
}

// mark counts tags and anchors that stand before one value, and says whether there are few.
func (b *bounds) mark(t *token.Token) bool {
	if b.marks++; !isMark(t) {
		b.marks = 0
	}
	return b.marks <= depthMax
}

// flows says that the next value lies in brackets, where columns mean nothing.
func (b *bounds) flows() bool {
	for i := range b.depth {
		if b.open[i].kind == bracket {
			return true
		}
	}
	return false
}

func (b *bounds) push(f frame) bool {
	if b.depth == depthMax {
		return false
	}
	b.open[b.depth] = f
	b.depth++
	b.path += f.bytes
	return true
}

// pop leaves the frames that end here, the innermost first.
func (b *bounds) pop(ends func(f frame) bool) {
	for b.depth > 0 && ends(b.open[b.depth-1]) {
		b.popOne()
	}
}

func (b *bounds) popOne() {
	if b.depth > 0 {
		b.depth--
		b.path -= b.open[b.depth].bytes
	}
}
