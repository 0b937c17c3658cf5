package configs

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"orderyard/configs/syntax"
)

// EnvPrefix begins every environment variable of Orderyard.
const EnvPrefix = "ORDERYARD_"

// fileBytesMax bounds a configuration file: a person wrote it, so anything larger is another file under the wrong name.
const fileBytesMax = 1 << 20

// Problem is one mistake of an operator.
type Problem struct {
	Source       string // the file, or the environment variable
	Line, Column int    // 0 when the source has none
	Key          string // "limits.mailbox_max"; "" when the text could not be read as YAML
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

// Error is every mistake of one configuration, in the order of the file. The process must not start.
type Error struct{ Problems []Problem }

func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Load reads path over base and environ ("NAME=value", as os.Environ gives it) over both. An empty path means no file.
// Its warnings name ORDERYARD_… variables that are no key: they have no effect, yet are no error, because an orchestrator may
// inject variables of that prefix by itself (Kubernetes does for every service). An *Error lists all mistakes.
func Load(base Config, path string, environ []string) (cfg Config, warnings []string, err error) {
	var data []byte
	if path != "" {
		if data, err = readFile(path); err != nil {
			return Config{}, nil, err
		}
	}
	return Parse(base, path, data, environ)
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if info.Size() > fileBytesMax {
		return nil, fmt.Errorf("read configuration: %s has %d bytes, at most %d are read", path, info.Size(), fileBytesMax)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return data, nil
}

// Parse is Load on bytes already read; name stands in its errors.
func Parse(base Config, name string, data []byte, environ []string) (Config, []string, error) {
	l := loader{cfg: base, name: name, from: map[string]Problem{}}
	l.keys = keysOf(&l.cfg)
	l.file(data)
	warnings := l.environment(environ)
	l.secrets()
	l.check()
	if len(l.problems) > 0 {
		slices.SortStableFunc(l.problems, func(a, b Problem) int { return a.Line - b.Line })
		return Config{}, warnings, &Error{l.problems}
	}
	return l.cfg, warnings, nil
}

type loader struct {
	cfg      Config
	keys     []key
	name     string
	from     map[string]Problem // key → where its value was written, as the beginning of a Problem about it
	bad      map[string]bool    // keys whose text was refused: no second complaint about the same one
	problems []Problem
}

func (l *loader) complain(at Problem, format string, args ...any) {
	at.Message = fmt.Sprintf(format, args...)
	l.problems = append(l.problems, at)
	if l.bad == nil {
		l.bad = map[string]bool{}
	}
	l.bad[at.Key] = true
}

// file walks the syntax tree of the YAML document.
func (l *loader) file(data []byte) {
	tree, err := syntax.Parse(data)
	if err != nil {
		at, message := l.syntax(err)
		l.complain(at, "%s", message)
		return
	}
	seen := false
	for _, doc := range tree.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType || doc.Body.Type() == ast.NullType {
			continue
		}
		if seen {
			l.complain(l.at("", doc.Body), "a second document begins here; a configuration is one document")
			return
		}
		seen = true
		l.node("", doc.Body)
	}
}

// syntax turns the parser's error into a problem with its position and the first line of its text.
func (l *loader) syntax(err error) (Problem, string) {
	p := Problem{Source: l.name}
	message := err.Error()
	if ye := yaml.Error(nil); errors.As(err, &ye) {
		message = ye.GetMessage()
		if t := ye.GetToken(); t != nil && t.Position != nil {
			p.Line, p.Column = t.Position.Line, t.Position.Column
		}
	}
	message, _, _ = strings.Cut(message, "\n")
	return p, message
}

// at is where a node begins: a block mapping begins at its first key, though its own token is the colon behind it.
func (l *loader) at(path string, n ast.Node) Problem {
	p := Problem{Source: l.name, Key: path}
	t := n.GetToken()
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 && !m.IsFlowStyle {
		t = m.Values[0].Key.GetToken()
	}
	if t != nil && t.Position != nil {
		p.Line, p.Column = t.Position.Line, t.Position.Column
	}
	return p
}

// node reads one mapping, or one value when path names a dial.
func (l *loader) node(path string, n ast.Node) {
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			l.entry(path, v)
		}
	case *ast.MappingValueNode:
		l.entry(path, n)
	default:
		what := "this section"
		if path == "" {
			what = "the file"
		}
		l.complain(l.at(path, n), "%s must be a list of keys and values", what)
	}
}

func (l *loader) entry(parent string, v *ast.MappingValueNode) {
	path := v.Key.GetToken().Value
	if parent != "" {
		path = parent + "." + path
	}
	here := l.at(path, v.Key)
	if i := slices.IndexFunc(l.keys, func(k key) bool { return k.path == path }); i >= 0 {
		if l.keys[i].list() {
			l.list(l.keys[i], v.Value)
		} else {
			l.scalar(l.keys[i], v.Value)
		}
		return
	}
	section := slices.ContainsFunc(l.keys, func(k key) bool { return strings.HasPrefix(k.path, path+".") })
	switch {
	case !section:
		l.complain(here, "is no key of the configuration%s", l.didYouMean(path))
	case v.Value.Type() == ast.NullType: // a section whose keys are all commented out
	default:
		l.node(path, v.Value)
	}
}

func (l *loader) scalar(k key, n ast.Node) {
	at := l.at(k.path, n)
	l.from[k.path] = at
	if _, null := n.(*ast.NullNode); null {
		l.complain(at, "has no value; leave the key out for its default, or write \"\" for none")
		return
	}
	if _, ok := n.(ast.ScalarNode); !ok {
		l.complain(at, "must be a single value")
		return
	}
	if err := k.set(n.GetToken().Value); err != nil {
		l.complain(at, "%v", err)
	}
}

// list reads several texts. Where each was written is kept as "key[0]", "key[1]" and so on, for complaints about one of them.
func (l *loader) list(k key, n ast.Node) {
	at := l.at(k.path, n)
	l.from[k.path] = at
	sequence, ok := n.(*ast.SequenceNode)
	if !ok {
		l.complain(at, "must be a list, such as [a, b], or [] for none")
		return
	}
	var items []string
	for i, v := range sequence.Values {
		here := l.at(fmt.Sprintf("%s[%d]", k.path, i), v)
		l.from[here.Key] = here
		_, null := v.(*ast.NullNode)
		if _, scalar := v.(ast.ScalarNode); !scalar || null {
			l.complain(here, "must be a single value")
		}
		items = append(items, v.GetToken().Value)
	}
	k.value.Set(reflect.ValueOf(items))
}

// environment applies the variables of the keys and returns a warning for every other one that carries the prefix.
func (l *loader) environment(environ []string) (warnings []string) {
	for _, kv := range slices.Sorted(slices.Values(environ)) {
		name, value, ok := strings.Cut(kv, "=")
		if !ok || !strings.HasPrefix(name, EnvPrefix) || slices.Contains(clientVariables, name) {
			continue
		}
		i := slices.IndexFunc(l.keys, func(k key) bool { return k.env() == name })
		if i < 0 {
			warnings = append(warnings, name+" is set but names no key of the configuration; it has no effect")
			continue
		}
		k := l.keys[i]
		l.from[k.path] = Problem{Source: name, Key: k.path}
		if err := k.set(value); err != nil {
			l.complain(l.from[k.path], "%v", err)
		} else {
			delete(l.bad, k.path)
		}
		if k.list() {
			for i := range k.value.Len() {
				item := fmt.Sprintf("%s[%d]", k.path, i)
				l.from[item] = Problem{Source: name, Key: item}
				delete(l.bad, item)
			}
		}
	}
	return warnings
}

// clientVariables belong to the client commands, not to a node.
var clientVariables = []string{
	"ORDERYARD_SERVER", "ORDERYARD_CREDS", "ORDERYARD_NKEY", "ORDERYARD_TLS_CA", "ORDERYARD_TLS_CERT", "ORDERYARD_TLS_KEY",
}

// didYouMean names the key that was probably meant: the nearest one within two typing errors, or the same key in another section.
func (l *loader) didYouMean(path string) string {
	best, distance := "", 3
	last := path[strings.LastIndexByte(path, '.')+1:]
	for _, k := range l.keys {
		section, name, ok := strings.Cut(k.path, ".")
		d := editDistance(path, k.path)
		if ok && name == last {
			d = min(d, 2)
		}
		if d < distance {
			best, distance = k.path, d
		}
		if d = editDistance(path, section); d < distance {
			best, distance = section, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// editDistance counts the letters to insert, drop or change (Levenshtein, one row at a time).
func editDistance(a, b string) int {
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
