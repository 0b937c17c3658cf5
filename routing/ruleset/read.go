package ruleset

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"orderyard/configs/syntax"
)

// reader walks the syntax tree of a YAML file and gathers every mistake with its place. A decoder would stop at the first.
type reader struct {
	problems
	lines [][]rune // the source, to find places inside expressions
}

// node is one value of the file and how to name it.
type node struct {
	r   *reader
	n   ast.Node
	key string
}

// open reads the only document of a file. It answers false after complaining when there is nothing to read.
func (r *reader) open(data []byte) (node, bool) {
	if len(data) > fileBytesMax {
		r.complain(At{}, "has %d bytes, at most %d are read", len(data), fileBytesMax)
		return node{}, false
	}
	tree, err := syntax.Parse(data)
	if err != nil {
		r.syntax(err)
		return node{}, false
	}
	for line := range strings.Lines(string(data)) {
		r.lines = append(r.lines, []rune(line))
	}
	var found node
	for _, doc := range tree.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType || doc.Body.Type() == ast.NullType {
			continue
		}
		if found.n != nil {
			r.complain(node{r, doc.Body, ""}.at(), "a second document begins here; a file holds one")
			return node{}, false
		}
		found = node{r, doc.Body, ""}
	}
	if found.n == nil {
		r.complain(At{}, "holds nothing")
		return node{}, false
	}
	return found, true
}

// syntax turns the parser's error into a problem with its position and the first line of its text.
func (r *reader) syntax(err error) {
	var at At
	message := err.Error()
	if ye := yaml.Error(nil); errors.As(err, &ye) {
		message = ye.GetMessage()
		if t := ye.GetToken(); t != nil && t.Position != nil {
			at.Line, at.Column = t.Position.Line, t.Position.Column
		}
	}
	message, _, _ = strings.Cut(message, "\n")
	r.complain(at, "%s", message)
}

// at is where a value begins: a block mapping begins at its first key, though its own token is the colon behind it.
func (v node) at() At {
	at := At{Key: v.key}
	if v.n == nil {
		return at
	}
	t := v.n.GetToken()
	switch n := v.n.(type) {
	case *ast.MappingNode:
		if len(n.Values) > 0 && !n.IsFlowStyle {
			t = n.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		t = n.Key.GetToken()
	}
	if t != nil && t.Position != nil {
		at.Line, at.Column = t.Position.Line, t.Position.Column
	}
	return at
}

func (v node) complain(format string, args ...any) { v.r.complain(v.at(), format, args...) }

// fields are the keys of one object.
type fields struct {
	node
	names  []string // as written
	values map[string]node
	keys   map[string]At // where each key is written
}

// child names a key below this value.
func (v node) child(name string) string {
	if v.key == "" {
		return name
	}
	return v.key + "." + name
}

// entries are the pairs of a mapping; ok is false when v is none.
func (v node) entries() (pairs []*ast.MappingValueNode, ok bool) {
	switch n := v.n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// object reads the keys of a mapping and complains about each that is not known. A known list of nil takes any key.
func (v node) object(what string, known ...string) fields {
	f := fields{node: v, values: map[string]node{}, keys: map[string]At{}}
	pairs, ok := v.entries()
	if !ok {
		v.complain("%s must be keys and values, such as %s", what, example(known))
		return f
	}
	for _, pair := range pairs {
		key := node{v.r, pair.Key, ""}
		name := pair.Key.GetToken().Value
		key.key = v.child(name)
		if _, plain := pair.Key.(ast.ScalarNode); !plain || pair.Key.Type() == ast.MergeKeyType || pair.Key.Type() == ast.NullType {
			key.complain("a key must be a plain word")
			continue
		}
		if known != nil && !slices.Contains(known, name) {
			key.complain("is no key of %s%s", what, didYouMean(name, known))
			continue
		}
		if _, again := f.values[name]; again {
			key.complain("is written twice")
			continue
		}
		f.names = append(f.names, name)
		f.values[name] = node{v.r, pair.Value, key.key}
		f.keys[name] = key.at()
	}
	return f
}

func example(known []string) string {
	if len(known) == 0 {
		return "name: value"
	}
	return known[0] + ": …"
}

// get is the value of a key; ok is false when it is not written. A key without a value is complained about.
func (f fields) get(name string) (node, bool) {
	v, ok := f.values[name]
	if !ok {
		return node{}, false
	}
	if v.null() {
		f.r.complain(f.keys[name], "has no value; leave the key out for its default")
		return node{}, false
	}
	return v, v.plain()
}

// need is get for a key that must be there.
func (f fields) need(name string) (node, bool) {
	if _, ok := f.values[name]; !ok {
		if _, object := f.entries(); object {
			f.complain("needs the key %s", name)
		}
		return node{}, false
	}
	return f.get(name)
}

// plain complains about the parts of YAML that let one place of a file change another.
func (v node) plain() bool {
	switch v.n.Type() {
	case ast.AnchorType, ast.AliasType, ast.TagType:
		v.complain("anchors, aliases and tags are not read here; write the value itself")
		return false
	}
	return true
}

func (v node) null() bool { return v.n == nil || v.n.Type() == ast.NullType }

// raw is the text of a single value, whatever its type.
func (v node) raw() (string, bool) {
	if literal, ok := v.n.(*ast.LiteralNode); ok {
		return literal.Value.Value, true
	}
	if _, ok := v.n.(ast.ScalarNode); !ok || v.null() || v.n.GetToken() == nil {
		return "", false
	}
	return v.n.GetToken().Value, true
}

// text reads one word or sentence of at most so many bytes.
func (v node) text(bytesMax int) string {
	s, ok := v.raw()
	switch {
	case !ok:
		v.complain("must be a single text")
		return ""
	case strings.TrimSpace(s) == "":
		v.complain("must not be empty")
		return ""
	case len(s) > bytesMax:
		v.complain("has %d bytes, at most %d are allowed", len(s), bytesMax)
		return ""
	case strings.ContainsFunc(s, func(c rune) bool {
		return c == unicode.ReplacementChar || unicode.IsControl(c) && c != '\n' && c != '\t'
	}):
		v.complain("must not hold control characters")
		return ""
	}
	return s
}

// name reads what a thing is called: it stands in records, metrics and command lines.
func (v node) name() string {
	s := v.text(nameBytesMax)
	for i, c := range s {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || !strings.ContainsRune(" _.-", c)) || i == len(s)-1 && c == ' ' {
			v.complain("must be letters, digits, ' ', '_', '.' or '-', beginning with a letter or digit, not %q", s)
			return ""
		}
	}
	return s
}

// word reads one of a few words.
func (v node) word(words ...string) string {
	s, ok := v.raw()
	if !ok || !slices.Contains(words, s) {
		one := "one of "
		if len(words) == 1 {
			one = ""
		}
		v.complain("must be %s%s%s", one, strings.Join(words, ", "), v.not())
		return ""
	}
	return s
}

// not says what was found instead, when that can be said in a word.
func (v node) not() string {
	if s, ok := v.raw(); ok && len(s) <= nameBytesMax {
		return fmt.Sprintf(", not %q", s)
	}
	return ""
}

// whole reads a whole number within bounds.
func (v node) whole(lo, hi int64) int64 {
	s, ok := v.raw()
	n, err := strconv.ParseInt(s, 10, 64)
	if !ok || err != nil || n < lo || n > hi {
		v.complain("must be a whole number from %d to %d%s", lo, hi, v.not())
		return lo
	}
	return n
}

func (v node) isList() bool {
	_, list := v.n.(*ast.SequenceNode)
	return list
}

func (v node) truth() bool {
	s, ok := v.raw()
	if !ok || s != "true" && s != "false" {
		v.complain("must be true or false%s", v.not())
		return false
	}
	return s == "true"
}

// list reads the values of a list of at most so many.
func (v node) list(what string, itemsMax int) []node {
	sequence, ok := v.n.(*ast.SequenceNode)
	if !ok {
		v.complain("must be a list of %s", what)
		return nil
	}
	if len(sequence.Values) > itemsMax {
		v.complain("has %d %s, at most %d are allowed", len(sequence.Values), what, itemsMax)
		return nil
	}
	found := make([]node, 0, len(sequence.Values))
	for i, n := range sequence.Values {
		item := node{v.r, n, fmt.Sprintf("%s[%d]", v.key, i)}
		switch {
		case item.null():
			item.complain("has no value")
		case item.plain():
			found = append(found, item)
		}
	}
	return found
}

// texts reads one text or a list of different ones.
func (v node) texts(what string) []string {
	if _, object := v.entries(); object {
		v.complain("must be a text, or a list of %s", what)
		return nil
	}
	if !v.isList() {
		if s := v.text(textBytesMax); s != "" {
			return []string{s}
		}
		return nil
	}
	var found []string
	seen := map[string]bool{}
	for _, item := range v.list(what, listMax) {
		s := item.text(textBytesMax)
		if s == "" {
			continue
		}
		if seen[s] {
			item.complain("names %s twice", s)
		}
		seen[s] = true
		found = append(found, s)
	}
	if len(found) == 0 && len(v.n.(*ast.SequenceNode).Values) == 0 {
		v.complain("is an empty list; leave the key out")
	}
	return found
}

// words is texts of a closed set.
func (v node) words(what string, words ...string) []string {
	found := v.texts(what)
	for _, s := range found {
		if !slices.Contains(words, s) {
			v.complain("must be of %s, not %q", strings.Join(words, ", "), s)
		}
	}
	return found
}

// instant reads a point in time, in Unix milliseconds.
func (v node) instant() int64 {
	s, ok := v.raw()
	t, err := time.Parse(time.RFC3339, s)
	if !ok || err != nil {
		v.complain("must be a time with its zone, such as 2026-11-27T00:00:00Z%s", v.not())
		return 0
	}
	return t.UnixMilli()
}
