package ruleset

import (
	"fmt"
	"sort"
	"strconv"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// Part is one comparison of a condition with what it said, and the facts it looked at.
type Part struct {
	Text  string   // order.total > 5000
	Value string   // false
	Facts []string // order.total = 4498
}

// partsMax bounds the parts named of one condition.
const partsMax = 32

// ExplainRoute takes the condition of a route apart for the order that the run has begun with: what each comparison said and why. All
// parts are evaluated, the ones that did not matter too. It is several times slower than Route; use it for people.
func (r *Run) ExplainRoute(route int) []Part {
	x := r.c.routes[route].when
	if x == nil {
		return nil
	}
	r.here = nil
	_, details, _ := x.explain.Eval((*facts)(r)) // an error is the value of some part, or the cost limit: then parts are missing
	if details == nil || details.State() == nil {
		return nil
	}
	e := explainer{x.checked, details.State(), nil}
	e.split(x.checked.NativeRep().Expr())
	return e.parts
}

type explainer struct {
	checked *cel.Ast
	state   interpreter.EvalState
	parts   []Part
}

// split goes through and, or, not down to the comparisons.
func (e *explainer) split(x ast.Expr) {
	if x.Kind() == ast.CallKind {
		switch x.AsCall().FunctionName() {
		case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot:
			for _, arg := range x.AsCall().Args() {
				e.split(arg)
			}
			return
		}
	}
	if len(e.parts) == partsMax {
		return
	}
	p := Part{Text: e.text(x), Value: e.value(x)}
	facts := map[string]string{}
	e.facts(x, facts)
	for text, value := range facts {
		if text != p.Text {
			p.Facts = append(p.Facts, text+" = "+value)
		}
	}
	sort.Strings(p.Facts)
	e.parts = append(e.parts, p)
}

// facts finds what a comparison looked at. Inside a loop a fact has many values, so only what the loop goes over is named.
func (e *explainer) facts(x ast.Expr, found map[string]string) {
	switch x.Kind() {
	case ast.SelectKind, ast.IdentKind:
		found[e.text(x)] = e.value(x)
	case ast.CallKind:
		if x.AsCall().IsMemberFunction() {
			e.facts(x.AsCall().Target(), found)
		}
		for _, arg := range x.AsCall().Args() {
			e.facts(arg, found)
		}
	case ast.ListKind:
		for _, item := range x.AsList().Elements() {
			e.facts(item, found)
		}
	case ast.ComprehensionKind:
		e.facts(x.AsComprehension().IterRange(), found)
	}
}

func (e *explainer) text(x ast.Expr) string {
	s, err := cel.ExprToString(x, e.checked.NativeRep().SourceInfo())
	if err != nil {
		return "?"
	}
	return s
}

func (e *explainer) value(x ast.Expr) string {
	v, ok := e.state.Value(x.ID())
	if !ok {
		return "not asked"
	}
	return valueText(v)
}

// valueText writes a value the way a person reads it.
func valueText(v ref.Val) string {
	switch v := v.(type) {
	case types.String:
		return strconv.Quote(string(v))
	case *types.Err:
		return v.Error()
	case interface{ Size() ref.Val }:
		return fmt.Sprintf("%v items", v.Size())
	case object:
		return "…"
	}
	return fmt.Sprint(v.Value())
}
