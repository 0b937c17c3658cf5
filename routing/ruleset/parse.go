package ruleset

import (
	"cmp"
	"slices"
)

// Parse reads one file of rules, whose language configs/routing/README.md describes; name stands in its problems. It finds all
// mistakes in one run: of form, of reference, and in expressions. The set is of use only when there is none. Parse reads no file,
// keeps no reference to data, and may be called concurrently.
func Parse(name string, data []byte) (*Set, []Problem) {
	r := &reader{problems: problems{source: name}}
	s := &Set{source: name}
	root, ok := r.open(data)
	if !ok {
		return s, r.sorted()
	}
	r.set(s, root)
	s.check(&r.problems)
	if _, err := compile(s, &r.problems); err != nil {
		r.complain(s.at, "%v", err)
	}
	return s, r.sorted()
}

func (r *reader) set(s *Set, root node) {
	f := root.object("a rule set", "name", "note", "attributes", "cards", "routes", "fallback")
	s.at = root.at()
	if v, ok := f.need("name"); ok {
		s.Name = v.name()
		if slices.Contains([]byte(s.Name), ' ') {
			v.complain("must not hold spaces, because it is part of the version")
		}
	}
	s.Note = f.note()
	if v, ok := f.get("attributes"); ok {
		s.Attributes = r.attributes(v)
	}
	if v, ok := f.get("cards"); ok {
		s.Cards = r.cards(v)
	}
	if v, ok := f.need("routes"); ok {
		for _, item := range v.list("routes", routesMax) {
			s.Routes = append(s.Routes, r.route(item))
		}
	}
	if v, ok := f.need("fallback"); ok {
		s.Fallback, s.fallbackAt = v.name(), v.at()
	}
}

func (f fields) note() string {
	if v, ok := f.get("note"); ok {
		return v.text(noteBytesMax)
	}
	return ""
}

func (r *reader) attributes(v node) Attributes {
	f := v.object("attributes", "order", "line", "site")
	read := func(key string) []Attribute {
		v, ok := f.get(key)
		if !ok {
			return nil
		}
		var found []Attribute
		types := v.object("attributes of " + key)
		for _, name := range types.names {
			t, ok := types.get(name)
			if !ok {
				continue
			}
			if !identifier(name) {
				r.complain(types.keys[name], "must be letters, digits and '_', beginning with a letter, to be used in expressions")
				continue
			}
			found = append(found, Attribute{name, t.word(typeText, typeNumber, typeTruth)})
		}
		if len(found) > attributesMax {
			v.complain("has %d attributes, at most %d are allowed", len(found), attributesMax)
			return nil
		}
		slices.SortFunc(found, func(a, b Attribute) int { return cmp.Compare(a.Name, b.Name) })
		return found
	}
	return Attributes{Order: read("order"), Line: read("line"), Site: read("site")}
}

func identifier(s string) bool {
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != "" && len(s) <= nameBytesMax && !slices.Contains(reservedWords, s)
}

// reservedWords are those of the expression language.
var reservedWords = []string{
	"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop", "namespace", "null",
	"package", "return", "true", "var", "void", "while",
}

func (r *reader) route(v node) Route {
	f := v.object("a route", "name", "note", "when", "enabled", "active_from", "active_to", "sorts", "rules")
	route := Route{at: v.at(), Active: r.active(f), Note: f.note()}
	if v, ok := f.need("name"); ok {
		route.Name = v.name()
	}
	if v, ok := f.get("when"); ok {
		route.When = v.expr()
	}
	if v, ok := f.get("sorts"); ok {
		route.sortsAt = v.at()
		for _, item := range v.list("sorts", 8) {
			route.Sorts = append(route.Sorts, r.sort(item))
		}
	}
	if v, ok := f.need("rules"); ok {
		for _, item := range v.list("rules", rulesMax) {
			route.Rules = append(route.Rules, r.rule(item))
		}
	}
	return route
}

func (r *reader) active(f fields) Active {
	var a Active
	if v, ok := f.get("enabled"); ok {
		a.Disabled = !v.truth()
	}
	if v, ok := f.get("active_from"); ok {
		a.From = v.instant()
	}
	if v, ok := f.get("active_to"); ok {
		a.To = v.instant()
		if a.To != 0 && a.To <= a.From {
			v.complain("must be later than active_from")
		}
	}
	return a
}

func (r *reader) sort(v node) Sort {
	if _, object := v.entries(); object {
		f := v.object("a sort", sortService)
		if v, ok := f.get(sortService); ok {
			return Sort{By: sortService, Words: v.texts("services")}
		}
		return Sort{}
	}
	return Sort{By: v.word(sortPriority, sortShipBy, sortShipAfter, sortPlacedAt, sortService)}
}

func (r *reader) rule(v node) Rule {
	f := v.object("a rule", "name", "note", "enabled", "active_from", "active_to", "filters", "scores", "reducer", "penalty_max",
		"split", "actions", "backups")
	rule := Rule{at: v.at(), Active: r.active(f), Note: f.note(), Reducer: FirstDifference}
	if v, ok := f.need("name"); ok {
		rule.Name = v.name()
	}
	if v, ok := f.get("filters"); ok {
		for _, item := range v.list("filters", filtersMax) {
			rule.Filters = append(rule.Filters, r.filter(item))
		}
	}
	if v, ok := f.get("reducer"); ok {
		rule.Reducer = v.word(FirstDifference, PenaltySum)
	}
	if v, ok := f.get("scores"); ok {
		for _, item := range v.list("scores", scoresMax) {
			rule.Scores = append(rule.Scores, r.score(item, rule.Reducer))
		}
	}
	if v, ok := f.get("penalty_max"); ok {
		rule.PenaltyMax = v.whole(1, 1<<53)
		if rule.Reducer != PenaltySum {
			v.complain("means nothing without reducer: penalty_sum")
		}
	}
	rule.Split = r.split(f)
	if v, ok := f.need("actions"); ok {
		rule.Actions = r.actions(v)
	}
	if v, ok := f.get("backups"); ok {
		rule.Backups = r.backups(v)
	}
	return rule
}

// splitsMaxDefault is how many sites an order may use when its rule does not say: a third parcel is where customers begin to complain.
const splitsMaxDefault = 3

func (r *reader) split(f fields) Split {
	s := Split{SplitsMax: splitsMaxDefault}
	v, ok := f.get("split")
	if !ok {
		return s
	}
	f = v.object("split", "splits_max", "part_value_min", "groups", "kits")
	if v, ok := f.get("splits_max"); ok {
		s.SplitsMax = v.whole(1, splitsMaxLimit)
	}
	if v, ok := f.get("part_value_min"); ok {
		s.PartValueMin = v.whole(0, 1<<53)
	}
	if v, ok := f.get("groups"); ok {
		s.GroupsApart = v.word("together", wordAny) == wordAny
	}
	if v, ok := f.get("kits"); ok {
		s.KitsApart = v.word("together", wordAny) == wordAny
	}
	return s
}

func (r *reader) actions(v node) Actions {
	f := v.object("actions", "full", "partial", "none")
	read := func(key string) []Action {
		v, ok := f.need(key)
		if !ok {
			return nil
		}
		var found []Action
		for _, item := range v.oneOrMany("actions", 4) {
			found = append(found, r.action(item))
		}
		return found
	}
	return Actions{Full: read("full"), Partial: read("partial"), None: read("none")}
}

// oneOrMany reads a list, or a single value as a list of one.
func (v node) oneOrMany(what string, itemsMax int) []node {
	if v.isList() {
		return v.list(what, itemsMax)
	}
	return []node{v}
}

func (r *reader) action(v node) Action {
	a := Action{at: v.at()}
	if _, object := v.entries(); !object {
		a.Do = v.word(AssignOne, AssignMany, NextRule, Backorder, CustomerCare, ClearCancel)
		return a
	}
	f := v.object("an action", MoveToQueue, Hold, CustomerCare, CancelAfterDays)
	if len(f.names) != 1 {
		if len(f.names) > 1 {
			v.complain("holds %d actions; write each as an item of its own", len(f.names))
		}
		return a
	}
	a.Do = f.names[0]
	v, ok := f.get(a.Do)
	if !ok {
		return a
	}
	switch a.Do {
	case MoveToQueue, CustomerCare:
		a.Word = v.name()
	case Hold:
		a.Word = v.word(holdReasons...)
	case CancelAfterDays:
		a.Days = v.whole(1, 3650)
	}
	return a
}

func (r *reader) backups(v node) Backups {
	b := Backups{at: v.at()}
	f := v.object("backups", "sites", "domestic_first")
	if v, ok := f.need("sites"); ok {
		b.Sites = v.texts("sites")
		if len(b.Sites) > backupsMax {
			v.complain("has %d sites, at most %d are allowed", len(b.Sites), backupsMax)
			b.Sites = nil
		}
	}
	if v, ok := f.get("domestic_first"); ok {
		b.Domestic = v.truth()
	}
	return b
}

// oneKind finds the only key of an item that names a kind.
func (f fields) oneKind(what string, kinds []string) string {
	kind := ""
	for _, name := range f.names {
		if !slices.Contains(kinds, name) {
			continue
		}
		if kind != "" {
			f.r.complain(f.keys[name], "is a second kind in one %s, beside %s; write an item for each", what, kind)
			continue
		}
		kind = name
	}
	if _, object := f.entries(); kind == "" && object && f.wellNamed() {
		f.complain("names no kind of %s, such as %s: …", what, kinds[0])
	}
	return kind
}

// wellNamed tells whether every key was known, so that a missing kind is not just a misspelled one.
func (f fields) wellNamed() bool {
	pairs, _ := f.entries()
	return len(pairs) == len(f.names)
}
