package configs

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"orderyard/configs/syntax"
)

// Example is orderyard.yaml itself: every key with its default and one line of advice.
//
//go:embed orderyard.yaml
var Example []byte

//go:embed sites/demo.yaml
var demoSites []byte

//go:embed routing/default.yaml
var defaultRules []byte

// DefaultRules is configs/routing/default.yaml: the rule set to begin with, with advice for every key.
func DefaultRules() []byte { return bytes.Clone(defaultRules) }

// DemoSites is the demo network, one public site document (docs/CONTRACT.md §4) as JSON for each site.
func DemoSites() ([]Document, error) { return Documents("sites/demo.yaml", demoSites) }

// documentsMax bounds how many documents one file may hold: a network of sites, not a data set.
const documentsMax = 10000

// Document is one object of an operator's file, as JSON, with the line it began at.
type Document struct {
	Line int
	JSON json.RawMessage
}

// Documents splits a file into its objects: YAML or JSON, one object, a list of objects, or several YAML documents. It knows nothing
// of what the objects mean; their strict decoder does. Errors carry name, line and column.
func Documents(name string, data []byte) ([]Document, error) {
	tree, err := syntax.Parse(data)
	if err != nil {
		l := loader{name: name}
		at, message := l.syntax(err)
		at.Message = message
		return nil, &Error{[]Problem{at}}
	}
	d := documents{name: name}
	for _, doc := range tree.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType || doc.Body.Type() == ast.NullType {
			continue
		}
		if err := d.add(doc.Body); err != nil {
			return nil, err
		}
	}
	if len(d.found) == 0 {
		return nil, errors.New(name + ": holds no document")
	}
	return d.found, nil
}

type documents struct {
	name  string
	found []Document
}

func (d *documents) add(n ast.Node) error {
	at := (&loader{name: d.name}).at("", n)
	switch n := n.(type) {
	case *ast.SequenceNode:
		for _, item := range n.Values {
			if _, nested := item.(*ast.SequenceNode); nested {
				at.Message = "a list inside the list; expected objects"
				return &Error{[]Problem{at}}
			}
			if err := d.add(item); err != nil {
				return err
			}
		}
		return nil
	case *ast.MappingNode, *ast.MappingValueNode:
		if len(d.found) == documentsMax {
			at.Message = fmt.Sprintf("more than %d documents in one file", documentsMax)
			return &Error{[]Problem{at}}
		}
		text, err := toJSON(n)
		if err != nil {
			at.Message = err.Error()
			return &Error{[]Problem{at}}
		}
		d.found = append(d.found, Document{at.Line, text})
		return nil
	default:
		at.Message = "expected an object or a list of objects"
		return &Error{[]Problem{at}}
	}
}

func toJSON(n ast.Node) (json.RawMessage, error) {
	var value any
	if err := yaml.NodeToValue(n, &value, yaml.UseOrderedMap()); err != nil {
		return nil, err
	}
	text, err := yaml.MarshalWithOptions(value, yaml.JSON())
	if err != nil {
		return nil, err
	}
	text = bytes.TrimSpace(text)
	if !json.Valid(text) {
		return nil, errors.New("cannot be written as JSON")
	}
	return text, nil
}
