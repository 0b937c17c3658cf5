package ruleset

import (
	"errors"
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/checker"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// errUnknown is the answer of a fact that nobody told. An expression that needs it abstains.
var errUnknown = errors.New("is not known")

// Names of the types that expressions see. People meet them in messages only.
const (
	typeOrder    = "Order"
	typeLine     = "Line"
	typeSite     = "Site"
	typeOrderOwn = "OrderAttributes"
	typeLineOwn  = "LineAttributes"
	typeSiteOwn  = "SiteAttributes"
)

// Variables of expressions.
const (
	varOrder      = "order"
	varSite       = "site"
	varCause      = "cause"
	varAttempt    = "attempt"
	ownAttributes = "attributes"
)

// What the variables of an expression hold: the run or the line itself, under another type so that fields cannot be confused.
type (
	orderObject    Run
	siteObject     Run
	lineObject     Line
	orderOwnObject Order
	siteOwnObject  Site
	lineOwnObject  Line
)

// field is one fact an expression may use.
type field struct {
	name string
	typ  *cel.Type
	get  func(object any) (any, bool) // a CEL value; false = not known
}

func (f field) celType(owner string) *types.FieldType {
	unknown := fmt.Errorf("%s %s %w", owner, f.name, errUnknown)
	return &types.FieldType{
		Type:  f.typ,
		IsSet: func(o any) bool { v, ok := f.get(o); return ok && v != types.String("") },
		GetFrom: func(o any) (any, error) {
			if v, ok := f.get(o); ok {
				return v, nil
			}
			return nil, unknown
		},
	}
}

// provider tells CEL the fields of order, line and site.
type provider struct {
	*types.Registry
	fields map[string]map[string]*types.FieldType
	names  map[string][]string
}

func (p *provider) add(typ string, fields []field) {
	byName := map[string]*types.FieldType{}
	for _, f := range fields {
		byName[f.name] = f.celType(typ)
		p.names[typ] = append(p.names[typ], f.name)
	}
	p.fields[typ] = byName
}

// FindStructType answers for the own types, and leaves the others to the registry.
func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if _, ours := p.fields[name]; ours {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return p.Registry.FindStructType(name)
}

// FindStructFieldNames answers for the own types.
func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	if names, ours := p.names[name]; ours {
		return names, true
	}
	return p.Registry.FindStructFieldNames(name)
}

// FindStructFieldType answers for the own types.
func (p *provider) FindStructFieldType(name, fieldName string) (*types.FieldType, bool) {
	if fields, ours := p.fields[name]; ours {
		f, ok := fields[fieldName]
		return f, ok
	}
	return p.Registry.FindStructFieldType(name, fieldName)
}

// NewValue refuses: rules read facts and make none.
func (p *provider) NewValue(name string, _ map[string]ref.Val) ref.Val {
	return types.NewErr("%s cannot be made in a rule", name)
}

// environments holds what expressions of one set may use: those of routes know no site yet.
type environments struct {
	when, site *cel.Env
}

func newEnvironments(own *Attributes) (environments, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return environments{}, fmt.Errorf("make type registry: %w", err)
	}
	p := &provider{registry, map[string]map[string]*types.FieldType{}, map[string][]string{}}
	p.add(typeOrder, orderFields)
	p.add(typeLine, lineFields)
	p.add(typeSite, siteFields)
	p.add(typeOrderOwn, ownFields(own.Order, func(o any) map[string]any { return (*Order)(o.(*orderOwnObject)).Attributes }))
	p.add(typeLineOwn, ownFields(own.Line, func(o any) map[string]any { return (*Line)(o.(*lineOwnObject)).Attributes }))
	p.add(typeSiteOwn, ownFields(own.Site, func(o any) map[string]any { return (*Site)(o.(*siteOwnObject)).Attributes }))
	when, err := cel.NewEnv(
		cel.CustomTypeAdapter(adapter{registry}), cel.CustomTypeProvider(p), cel.EnableMacroCallTracking(), cel.ExtendedValidations(),
		cel.ParserRecursionLimit(nestingMax), cel.ParserExpressionSizeLimit(exprBytesMax),
		cel.Variable(varOrder, cel.ObjectType(typeOrder)),
		cel.Variable(varCause, cel.StringType), cel.Variable(varAttempt, cel.IntType),
	)
	if err != nil {
		return environments{}, fmt.Errorf("make expression environment: %w", err)
	}
	site, err := when.Extend(cel.Variable(varSite, cel.ObjectType(typeSite)))
	if err != nil {
		return environments{}, fmt.Errorf("make expression environment: %w", err)
	}
	return environments{when, site}, nil
}

// ownFields are attributes: a text nobody gave is empty, a truth nobody gave is false, a number nobody gave is unknown. So is what
// has another type than declared.
func ownFields(declared []Attribute, of func(object any) map[string]any) []field {
	fields := make([]field, len(declared))
	for i, a := range declared {
		f := field{name: a.Name}
		switch a.Type {
		case typeText:
			f.typ = cel.StringType
			f.get = func(o any) (any, bool) {
				v, told := of(o)[a.Name]
				s, ok := v.(string)
				return types.String(s), ok || !told
			}
		case typeTruth:
			f.typ = cel.BoolType
			f.get = func(o any) (any, bool) {
				v, told := of(o)[a.Name]
				b, ok := v.(bool)
				return types.Bool(b), ok || !told
			}
		default:
			f.typ = cel.IntType
			f.get = func(o any) (any, bool) { n, ok := of(o)[a.Name].(int64); return types.Int(n), ok }
		}
		fields[i] = f
	}
	return fields
}

// adapter carries the own objects through CEL.
type adapter struct{ types.Adapter }

// NativeToValue wraps the own objects and leaves everything else to CEL.
func (a adapter) NativeToValue(v any) ref.Val {
	switch v.(type) {
	case *orderObject, *siteObject, *orderOwnObject, *siteOwnObject, *lineOwnObject:
		return object{refuseObject, v}
	}
	return a.Adapter.NativeToValue(v)
}

// object is an order, line or site as CEL carries it. It refuses what facts do not do: conversion and comparison as a whole.
type object struct {
	ref.Val
	native any
}

var refuseObject = types.NewErr("an order, line or site cannot be compared or converted as a whole")

// Value is what the getters of fields are given.
func (o object) Value() any { return o.native }

// Type tells CEL that this is no error, though it refuses like one.
func (o object) Type() ref.Type { return objectType }

var objectType = types.NewObjectType("object")

// sizes tells the cost estimate how large facts are.
type sizes struct{}

// EstimateSize is asked for what an expression reads, such as order.lines or the labels of its items.
func (sizes) EstimateSize(n checker.AstNode) *checker.SizeEstimate {
	size := checker.SizeEstimate{Max: textAssumed}
	if path := n.Path(); len(path) > 0 && path[len(path)-1] == "lines" {
		size.Max = linesAssumed
	} else if n.Type().Kind() == types.ListKind {
		size.Max = listAssumed
	}
	return &size
}

// EstimateCallCost leaves the costs of functions to CEL.
func (sizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}
