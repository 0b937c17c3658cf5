package ruleset

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"regexp/syntax"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
)

// expression is an expression ready to be asked. Safe for concurrent use.
type expression struct {
	source  Expr
	checked *cel.Ast
	program cel.Program
	explain cel.Program // of conditions: tells the value of every part; several times slower
	perSite bool        // it asks about the site; else one answer holds for the whole order
}

// compiler compiles the expressions of one set.
type compiler struct {
	*problems
	env environments
}

// condition compiles the condition of a route.
func (c *compiler) condition(e Expr) *expression {
	x := c.expression(c.env.when, e, cel.BoolType, "true or false", whenCostMax)
	if x == nil {
		return nil
	}
	explain, err := c.env.when.Program(x.checked, cel.EvalOptions(cel.OptExhaustiveEval, cel.OptTrackState), cel.CostLimit(whenCostMax))
	if err != nil {
		c.complain(e.at, "%v", err)
		return nil
	}
	x.explain = explain
	return x
}

// test compiles an expression that a site must fulfill.
func (c *compiler) test(e Expr) *expression {
	return c.expression(c.env.site, e, cel.BoolType, "true or false", siteCostMax)
}

// number compiles an expression that compares sites.
func (c *compiler) number(e Expr) *expression {
	return c.expression(c.env.site, e, cel.IntType, "a whole number", siteCostMax)
}

// expression compiles, and complains about what is no expression, gives another type, reckons with fractions, or may cost too much.
func (c *compiler) expression(env *cel.Env, e Expr, want *cel.Type, wanted string, costMax uint64) *expression {
	if e.Text == "" {
		return nil // has been complained about
	}
	checked, issues, err := compileText(env, e.Text)
	if err != nil {
		c.complain(e.at, "%v", err)
		return nil
	}
	if issues.Err() != nil {
		for _, i := range issues.Errors() {
			c.complain(e.locate(i.Location.Line(), i.Location.Column()), "%s", c.message(env, i.Message))
		}
		return nil
	}
	if got := checked.OutputType(); !got.IsExactType(want) {
		c.complain(e.at, "must give %s, gives %s", wanted, got)
		return nil
	}
	native := checked.NativeRep()
	if id, kind := strange(native); kind != types.UnspecifiedKind {
		at := native.SourceInfo().GetStartLocation(id)
		c.complain(e.locate(at.Line(), at.Column()), "%s", strangeText(kind))
		return nil
	}
	cost, err := env.EstimateCost(checked, sizes{})
	if err != nil {
		c.complain(e.at, "cannot be estimated: %v", err)
		return nil
	}
	if cost.Max > costMax {
		c.complain(e.at, "may take %s steps, at most %d are allowed; look for a loop inside a loop", steps(cost.Max), costMax)
		return nil
	}
	x := &expression{source: e, checked: checked}
	seen := x.look(native)
	switch {
	case seen.pattern != "":
		c.complain(e.at, "%s", seen.pattern)
		return nil
	case !seen.facts:
		c.complain(e.at, "asks nothing: it says the same every time")
		return nil
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if seen.loops {
		// The meter costs more than most expressions. What has no loop is bounded by its own length.
		options = append(options, cel.CostLimit(costMax))
	}
	if x.program, err = env.Program(checked, options...); err != nil {
		c.complain(e.at, "%v", err)
		return nil
	}
	return x
}

// compileText keeps a panic of the expression library, of which one is known (patterns under its size limit), from ending the process:
// the text comes from people.
func compileText(env *cel.Env, text string) (checked *cel.Ast, issues *cel.Issues, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("cannot be compiled: %v", r)
		}
	}()
	checked, issues = env.Compile(text)
	return checked, issues, nil
}

func steps(n uint64) string {
	if n > math.MaxInt64 {
		return "endlessly many"
	}
	return fmt.Sprint(n)
}

// strange finds the first part of an expression whose type rules do not use. Fractions are rounded, times depend on the zone table of
// the machine: neither may decide.
func strange(a *ast.AST) (first int64, kind types.Kind) {
	for id, t := range a.TypeMap() {
		switch t.Kind() {
		case types.DoubleKind, types.TimestampKind, types.DurationKind, types.UintKind, types.BytesKind, types.TypeKind:
			if kind == types.UnspecifiedKind || id < first {
				first, kind = id, t.Kind()
			}
		}
	}
	return first, kind
}

func strangeText(kind types.Kind) string {
	switch kind {
	case types.DoubleKind:
		return "reckons with fractions; rules use whole numbers, so that every node decides alike"
	case types.TimestampKind, types.DurationKind:
		return "reckons with times; ask order.deliver_by_days, order.age_hours, or use active_from and active_to"
	}
	return "uses a type that rules do not have; there are texts, whole numbers, true and false, and lists"
}

// seen is what an expression does.
type seen struct {
	loops   bool   // goes over data, so that its cost depends on them
	facts   bool   // asks anything at all
	pattern string // what is wrong with a pattern
}

// look finds out what an expression does, and whether it asks about the site.
func (x *expression) look(a *ast.AST) seen {
	var s seen
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.ComprehensionKind:
			s.loops = true
		case ast.CallKind:
			if call := e.AsCall(); call.FunctionName() == overloads.Matches {
				s.loops, s.pattern = true, cmp.Or(s.pattern, checkPattern(call.Args()))
			}
		case ast.IdentKind:
			switch e.AsIdent() {
			case varSite:
				x.perSite, s.facts = true, true
			case varOrder, varCause, varAttempt:
				s.facts = true
			}
		}
	}))
	return s
}

// checkPattern says what is wrong with the pattern of matches: it must be written out, so that its size is known.
func checkPattern(args []ast.Expr) string {
	pattern, ok := "", false
	if last := args[len(args)-1]; last.Kind() == ast.LiteralKind {
		pattern, ok = last.AsLiteral().Value().(string)
	}
	if !ok {
		return "the pattern of matches must be written out"
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "is no pattern that matches can read (RE2 syntax)"
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil || len(program.Inst) > regexSizeMax {
		return "the pattern of matches is too large; count fewer repetitions"
	}
	return ""
}

// message makes CEL's words those of this house.
func (c *compiler) message(env *cel.Env, m string) string {
	m, _, _ = strings.Cut(m, " expecting ")
	m = strings.ReplaceAll(m, " (in container '')", "")
	for _, s := range []struct{ from, to string }{
		{"Syntax error: mismatched input '<EOF>'", "ends too early"}, {"Syntax error: ", ""}, {"'_", "'"}, {"_'", "'"},
	} {
		m = strings.ReplaceAll(m, s.from, s.to)
	}
	if m == "invalid matches argument" {
		return "is no pattern that matches can read (RE2 syntax)"
	}
	quoted := strings.Split(m, "'")
	switch {
	case len(quoted) < 2:
	case strings.HasPrefix(m, "undeclared reference") && quoted[1] == varSite:
		return "a route does not know the sites yet; ask about them in filters and scores"
	case strings.HasPrefix(m, "undeclared reference"):
		var names []string
		for _, v := range env.Variables() {
			if !strings.Contains(v.Name(), ".") && v.Name() != "type" {
				names = append(names, v.Name())
			}
		}
		slices.Sort(names)
		return fmt.Sprintf("%q is nothing an expression here can ask%s", quoted[1], didYouMean(quoted[1], names))
	case strings.HasPrefix(m, "undefined field"):
		var names []string
		for _, typ := range []string{typeOrder, typeLine, typeSite, typeOrderOwn, typeLineOwn, typeSiteOwn} {
			fields, _ := env.CELTypeProvider().FindStructFieldNames(typ)
			names = append(names, fields...)
		}
		hint := didYouMean(quoted[1], names)
		if hint == "" {
			hint = "; own fields must be declared under attributes"
		}
		return fmt.Sprintf("%q is no field of it%s", quoted[1], hint)
	}
	return m
}

// facts is a run as CEL asks it.
type facts Run

// ResolveName answers the variables of expressions.
func (f *facts) ResolveName(name string) (any, bool) {
	switch name {
	case varOrder:
		return (*orderObject)(f), true
	case varSite:
		if f.here == nil {
			return nil, false
		}
		return (*siteObject)(f), true
	case varCause:
		return f.cause, true
	case varAttempt:
		return f.attempt, true
	}
	return nil, false
}

// Parent says that there are no other variables.
func (f *facts) Parent() cel.Activation { return nil }

// answer is what an expression said: a value, or why there is none.
type answer struct {
	number int64 // 1 for true
	err    error
}

// unknown says that a fact was missing, so that the expression abstains.
func (a answer) unknown() bool { return a.err != nil && errors.Is(a.err, errUnknown) }

// ask evaluates over the facts of the run as they are now.
func (x *expression) ask(r *Run) answer {
	v, _, err := x.program.Eval((*facts)(r))
	if err != nil {
		return answer{err: err}
	}
	switch v := v.(type) {
	case types.Bool:
		if v {
			return answer{number: 1}
		}
		return answer{}
	case types.Int:
		return answer{number: int64(v)}
	}
	return answer{err: errors.New("gives no value of its type")}
}
