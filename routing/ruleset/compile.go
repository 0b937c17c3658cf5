package ruleset

import (
	"cmp"
	"fmt"
	"slices"
)

// Compiled is a rule set ready to decide. It never changes and is safe for concurrent use; each goroutine brings a Run of its own.
// To change rules, compile anew and swap the pointer: a decision keeps the set it began with.
type Compiled struct {
	Set     *Set
	Hash    string // SHA-256 of the canonical form, hexadecimal
	Version string // name and the first digits of the hash: what a decision record stores

	routes []route
	cards  []*card
	prices bool // some rule has the score opportunity
}

// route is a Route ready to match.
type route struct {
	*Route
	when  *expression // nil for the fallback
	rules []rule
}

// rule is a Rule ready to be tried.
type rule struct {
	*Rule
	filters []filter
	scores  []score
	levels  int  // how many ranks of soft filters can be dropped, one after the other
	mode    mode // what the split policy keeps together
}

// filter is a Filter ready to be asked. Kinds of the language are asked directly, CEL runs only where somebody wrote an expression.
type filter struct {
	*Filter
	op    op
	level int // dropped from this level on; 0 = never
	expr  *expression
}

// score is a Score ready to be asked.
type score struct {
	*Score
	op   op
	card *card // nil when it needs none
	expr *expression
}

// op is the position of a kind in filterKinds or scoreKinds: a number to switch on.
type op uint8

// Compile makes a set ready to decide. The error is an *Error with every mistake. Sets from Parse that had no problem compile; a
// set made by hand must hold what Parse would have put into it. May be called concurrently.
func Compile(s *Set) (*Compiled, error) {
	p := &problems{source: s.source}
	s.check(p)
	c, err := compile(s, p)
	if err != nil {
		return nil, err
	}
	if found := p.sorted(); len(found) > 0 {
		return nil, &Error{found}
	}
	return c, nil
}

// Load is Parse and Compile in one: the way from a file to rules in use.
func Load(name string, data []byte) (*Compiled, error) {
	s, found := Parse(name, data)
	if len(found) > 0 {
		return nil, &Error{found}
	}
	return Compile(s)
}

func compile(s *Set, p *problems) (*Compiled, error) {
	env, err := newEnvironments(&s.Attributes)
	if err != nil {
		return nil, fmt.Errorf("compile rules %s: %w", s.Name, err)
	}
	out := &Compiled{Set: s, Hash: s.hash()}
	out.Version = s.Name + "-" + out.Hash[:12]
	for i := range s.Cards {
		out.cards = append(out.cards, newCard(&s.Cards[i], i))
	}
	out.prices = s.asksPrices()
	c := &compiler{p, env}
	for i := range s.Routes {
		r := route{Route: &s.Routes[i], when: c.condition(s.Routes[i].When)}
		for j := range r.Rules {
			r.rules = append(r.rules, c.rule(&r.Rules[j], out.cards))
		}
		out.routes = append(out.routes, r)
	}
	return out, nil
}

func (c *compiler) rule(r *Rule, cards []*card) rule {
	compiled := rule{Rule: r}
	if !r.Split.GroupsApart {
		compiled.mode |= keepGroups
	}
	if !r.Split.KitsApart {
		compiled.mode |= keepKits
	}
	ranks := r.softRanks()
	compiled.levels = len(ranks)
	for i := range r.Filters {
		f := filter{Filter: &r.Filters[i], op: opOf(filterKinds, r.Filters[i].Kind)}
		if f.Soft {
			at, _ := slices.BinarySearch(ranks, f.Rank)
			f.level = at + 1
		}
		if f.Kind == filterExpr {
			f.expr = c.test(f.Expr)
		}
		compiled.filters = append(compiled.filters, f)
	}
	for i := range r.Scores {
		s := score{Score: &r.Scores[i], op: opOf(scoreKinds, r.Scores[i].Kind)}
		if at := slices.IndexFunc(cards, func(k *card) bool { return k.Name == s.Card }); s.Card != "" && at >= 0 {
			s.card = cards[at]
		}
		if s.Kind == scoreExpr {
			s.expr = c.number(s.Expr)
		}
		compiled.scores = append(compiled.scores, s)
	}
	return compiled
}

// softRanks are the ranks of soft filters, the least important first.
func (r *Rule) softRanks() []int64 {
	var ranks []int64
	for i := range r.Filters {
		if r.Filters[i].Soft {
			ranks = append(ranks, r.Filters[i].Rank)
		}
	}
	slices.SortFunc(ranks, cmp.Compare[int64])
	return slices.Compact(ranks)
}

func opOf(kinds []string, kind string) op { return op(slices.Index(kinds, kind)) }
