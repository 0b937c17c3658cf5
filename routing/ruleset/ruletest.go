package ruleset

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// TestResult is what became of one case of a test file.
type TestResult struct {
	Name     string
	Line     int
	Failures []Problem // what was expected and not found, with the place of the expectation; none = passed
}

// RunTests runs the cases of a test file, whose language configs/routing/README.md describes, against a rule set. When the file itself
// is wrong it runs none and answers the problems. Candidates are taken one by one; what a split would do is not tested here.
func RunTests(c *Compiled, name string, data []byte) ([]TestResult, []Problem) {
	r := &reader{problems: problems{source: name}}
	root, ok := r.open(data)
	if !ok {
		return nil, r.sorted()
	}
	now, tests := r.testFile(root)
	if found := r.sorted(); len(found) > 0 {
		return nil, found
	}
	results := make([]TestResult, len(tests))
	for i := range tests {
		t := &tests[i]
		e := examiner{c: c, test: t}
		e.source = name
		e.check(now)
		results[i] = TestResult{t.name, t.at.Line, e.sorted()}
	}
	return results, nil
}

// examiner compares what the rules did with what a case expects.
type examiner struct {
	problems
	c        *Compiled
	test     *ruleTest
	run      Run
	decision Decision
	record   Record
}

func (k *examiner) check(now int64) {
	t := k.test
	k.run.Begin(k.c, &t.order, now)
	for i := range t.candidates {
		candidate := &t.candidates[i]
		candidate.Stock = make([]Stock, len(k.run.SKUs()))
		for j, sku := range k.run.SKUs() {
			candidate.Stock[j] = t.stock[candidate.Site.ID][sku]
		}
	}
	k.decision = k.run.Decide(t.candidates)
	k.record = k.run.Record(len(t.candidates))
	for _, name := range t.expect.names {
		v, ok := t.expect.get(name)
		if !ok {
			continue
		}
		v.r = &reader{problems: problems{source: k.source}, lines: v.r.lines}
		k.expect(name, v)
		k.found = append(k.found, v.r.found...)
	}
}

func (k *examiner) expect(name string, v node) {
	d := &k.decision
	tried := d.Tried[len(d.Tried)-1]
	switch name {
	case "route":
		k.same(v, d.Match.Name)
	case "rule":
		k.same(v, tried.Rule)
	case "outcome":
		k.same(v, d.Outcome.String())
	case "winner":
		k.same(v, orNone(d.Winner))
	case "wait_at":
		k.same(v, orNone(d.WaitAt))
	case "decided_by":
		k.same(v, orNone(k.record.DecidedBy))
	case "covered":
		k.same(v, itoa(tried.Covered))
	case "actions":
		var did []string
		for _, a := range d.Actions {
			did = append(did, a.String())
		}
		k.sameList(v, did)
	case "ranking":
		var ids []string
		for _, i := range k.run.Ranking() {
			ids = append(ids, k.test.candidates[i].Site.ID)
		}
		k.sameList(v, ids)
	case "dropped":
		k.sameList(v, k.record.Dropped)
	case "muted":
		k.sameList(v, k.record.Muted)
	case "passes":
		for _, item := range v.oneOrMany("sites", listMax) {
			if e := k.evidence(item, item.text(textBytesMax)); e != nil && e.Filter != "" {
				item.complain("fails %s: expected %s, actual %s", e.Filter, e.Expected, e.Actual)
			}
		}
	default:
		k.expectEach(name, v)
	}
}

// expectEach reads an expectation that is written for each site, or for each route.
func (k *examiner) expectEach(name string, v node) {
	f := v.object(name)
	for _, key := range f.names {
		v, ok := f.get(key)
		if !ok {
			continue
		}
		if name == "said" {
			k.expectSaid(v, key)
			continue
		}
		e := k.evidence(v, key)
		if e == nil {
			continue
		}
		switch name {
		case "abstains":
			k.sameList(v, e.Abstained)
		case "fails":
			k.expectFailure(v, e)
		case "scores":
			k.expectScores(v, e)
		}
	}
}

func (k *examiner) expectSaid(v node, route string) {
	for _, step := range k.decision.Match.Steps {
		if step.Route == route {
			k.same(v, step.Said)
			return
		}
	}
	v.complain("was not asked: the order had found its route, or there is no %q", route)
}

func (k *examiner) expectFailure(v node, e *Evidence) {
	if e.Filter == "" {
		v.complain("passes")
		return
	}
	if _, object := v.entries(); !object {
		k.same(v, e.Filter)
		return
	}
	f := v.object("a failure", "filter", "expected", "actual")
	for _, name := range f.names {
		if v, ok := f.get(name); ok {
			k.same(v, map[string]string{"filter": e.Filter, "expected": e.Expected, "actual": e.Actual}[name])
		}
	}
}

func (k *examiner) expectScores(v node, e *Evidence) {
	if e.Filter != "" {
		v.complain("has no scores: it fails %s: expected %s, actual %s", e.Filter, e.Expected, e.Actual)
		return
	}
	f := v.object("scores")
	for _, name := range f.names {
		v, ok := f.get(name)
		if !ok {
			continue
		}
		i := slices.IndexFunc(e.Scores, func(m Mark) bool { return m.Score == name })
		switch {
		case name == "penalty":
			k.same(v, itoa(e.Penalty))
		case i < 0:
			v.complain("is no score of the rule")
		case !e.Scores[i].Known:
			k.same(v, "unknown")
		default:
			k.same(v, itoa(e.Scores[i].Value))
		}
	}
}

func (k *examiner) evidence(v node, site string) *Evidence {
	for i := range k.record.Candidates {
		if k.record.Candidates[i].Site == site {
			return &k.record.Candidates[i]
		}
	}
	v.complain("%q is no site of the test", site)
	return nil
}

func (k *examiner) same(v node, got string) {
	before := len(v.r.found)
	if want := v.text(noteBytesMax); want != got && len(v.r.found) == before {
		v.complain("got %s, want %s", got, want)
	}
}

func (k *examiner) sameList(v node, got []string) {
	before := len(v.r.found)
	var want []string
	for _, item := range v.oneOrMany("words", listMax) {
		if pairs, object := item.entries(); object && len(pairs) == 1 { // an action with its parameter
			word, _ := node{v.r, pairs[0].Value, v.key}.raw()
			want = append(want, pairs[0].Key.GetToken().Value+": "+word)
			continue
		}
		want = append(want, item.text(noteBytesMax))
	}
	if !slices.Equal(got, want) && len(v.r.found) == before {
		v.complain("got %s, want %s", listText(got), listText(want))
	}
}

func listText(list []string) string { return fmt.Sprintf("[%s]", strings.Join(list, ", ")) }

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
