package ruleset_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"orderyard/routing/ruleset"
)

// around puts a rule's body into the smallest set.
func around(body string) string {
	var b strings.Builder
	b.WriteString("name: x\nroutes:\n  - name: all\n    rules:\n      - name: r\n")
	for line := range strings.Lines(body) {
		b.WriteString("        " + line)
	}
	b.WriteString("\n        actions: {full: assign_many, partial: [assign_many, backorder], none: backorder}\nfallback: all\n")
	return b.String()
}

func compile(t testing.TB, text string) *ruleset.Compiled {
	t.Helper()
	c, err := ruleset.Load("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// when puts a condition into the smallest set with two routes.
func when(condition string) string {
	return strings.Replace(around(""), "routes:\n", "routes:\n  - name: some\n    when: "+condition+
		"\n    rules: [{name: r, actions: {full: assign_one, partial: backorder, none: backorder}}]\n", 1)
}

// TestHashIsTheMeaning proves that the version depends on what a set means and on nothing else: comments, notes, the order of keys,
// written-out defaults and quotes change nothing, and any number does.
func TestHashIsTheMeaning(t *testing.T) {
	base := "name: x\ncards: {a: {zones: [{name: z}]}, b: {zones: [{name: z}]}}\nattributes: {order: {p: text, q: truth}}\n" +
		"routes:\n- name: all\n  rules:\n  - name: r\n    filters: [{within_km: 50}, {labels: {a: {sites: [S]}, b: {sites: [S]}}}]\n" +
		"    actions: {full: assign_one, partial: backorder, none: backorder}\nfallback: all\n"
	same := "# a comment\nfallback: \"all\"\nnote: new\nattributes: {order: {q: truth, p: text}}\ncards: {b: {zones: [{name: z}]}, a: {zones: [{name: z}]}}\n" +
		"routes:\n- rules:\n  - actions: {none: [backorder], partial: backorder, full: [assign_one]}\n    reducer: first_difference\n    note: why\n    enabled: true\n" +
		"    split: {splits_max: 3, groups: together}\n    name: r\n    filters: [{within_km: 50, soft: false}, {labels: {b: {sites: S}, a: {sites: [S]}}}]\n  name: all\nname: 'x'\n"
	a, b := compile(t, base), compile(t, same)
	if a.Version != b.Version || string(a.Set.Canonical()) != string(b.Set.Canonical()) {
		t.Errorf("%s\n%s\n%s", a.Version, a.Set.Canonical(), b.Set.Canonical())
	}
	if !strings.HasPrefix(a.Version, "x-") || len(a.Hash) != 64 || !strings.HasPrefix(a.Hash, a.Version[2:]) {
		t.Errorf("version %q, hash %q", a.Version, a.Hash)
	}
	versions := map[string]string{a.Version: "base"}
	for _, change := range [][2]string{{"50", "51"}, {"name: x", "name: y"}, {"name: r", "name: s"}, {"[S]", "[T]"}, {"assign_one", "assign_many"}, {"q: truth", "q: text"}} {
		c := compile(t, strings.ReplaceAll(base, change[0], change[1]))
		if was, again := versions[c.Version]; again {
			t.Errorf("%v has the version of %s", change, was)
		}
		versions[c.Version] = fmt.Sprint(change)
	}
}

// TestProblemsAreBounded proves that a hostile file cannot make the list of problems endless.
func TestProblemsAreBounded(t *testing.T) {
	text := "name: x\n"
	for i := range 1000 {
		text += fmt.Sprintf("k%d: 1\n", i)
	}
	_, found := ruleset.Parse("x", []byte(text))
	if len(found) != 101 || !strings.HasPrefix(found[100].Message, "and 9") {
		t.Errorf("%d problems, the last: %v", len(found), found[len(found)-1])
	}
	_, found = ruleset.Parse("x", make([]byte, 2<<20))
	if len(found) != 1 || !strings.Contains(found[0].String(), "at most 1048576 are read") {
		t.Errorf("got %v", found)
	}
	for _, text := range []string{
		"a: " + strings.Repeat("[", 100),
		"# " + strings.Repeat("]", 200) + "\na: " + strings.Repeat("[", 200), // closed in a comment: not closed
		strings.Repeat("[ #]\n", 200),
		strings.Repeat("[ ']', ", 200),
		strings.Repeat("{\"}\": ", 200),
		strings.Repeat("- !a ", 200),
		strings.Repeat("- ", 200),
		strings.Repeat("!a\n", 200) + "b",
	} {
		_, found = ruleset.Parse("x", []byte(text))
		if len(found) != 1 || !strings.Contains(found[0].String(), "inside each other") {
			t.Errorf("%.20q: got %v", text, found)
		}
	}
	_, found = ruleset.Parse("x", []byte(strings.Repeat("k", 4000)+": ["+strings.Repeat("a,", 4000)+"]"))
	if len(found) != 1 || !strings.Contains(found[0].String(), "keys are too long") {
		t.Errorf("got %d problems: %v", len(found), found[0])
	}
	if _, found = ruleset.Parse("x", []byte("# "+strings.Repeat("[", 200)+"\n"+around(""))); len(found) > 0 {
		t.Errorf("brackets in a comment: %v", found)
	}
}

// TestCompileByHand proves that Compile finds in a set made by hand what Parse finds in a file.
func TestCompileByHand(t *testing.T) {
	s, found := ruleset.Parse("x", []byte(around("")))
	if len(found) > 0 {
		t.Fatal(found)
	}
	s.Routes[0].Rules[0].Actions.None = []ruleset.Action{{Do: ruleset.NextRule}}
	s.Fallback = "nowhere"
	_, err := ruleset.Compile(s)
	if err == nil || !strings.Contains(err.Error(), "stands in the last rule") || !strings.Contains(err.Error(), `names "nowhere"`) {
		t.Errorf("got %v", err)
	}
}

// TestPlaces proves that a mistake inside an expression is found in the file however the expression is written: the place must be that
// of the misspelled word.
func TestPlaces(t *testing.T) {
	for _, written := range []string{
		`order.channel == "web" && order.totl > 5`,
		`'order.channel == "web" && order.totl > 5'`,
		`'order.channel == ''web'' && order.totl > 5'`,
		`"order.channel == \"web\" && order.totl > 5"`,
		"\n      order.channel == \"web\" && order.totl > 5",
		"|\n      order.channel == \"web\" &&\n\n        order.totl > 5",
		">-\n      order.channel == \"web\" &&\n      order.totl > 5  ",
		"order.channel == \"web\" &&\n      order.totl > 5",
	} {
		text := when(written)
		_, found := ruleset.Parse("x", []byte(text))
		if len(found) != 1 {
			t.Errorf("%s: %v", written, found)
			continue
		}
		lines := strings.Split(text, "\n")
		p := found[0]
		if at := lines[p.Line-1][p.Column-1:]; !strings.HasPrefix(at, ".totl") {
			t.Errorf("%s: found at %d:%d, before %q", written, p.Line, p.Column, at)
		}
	}
}

// FuzzParse proves that no file can panic the reader, that a refused one says why, and that an accepted one compiles, decides, and has
// a canonical form that is always the same.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{rulesDir + "/*.yaml", rulesDir + "/testdata/*.bad.yaml"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(data))
		}
	}
	f.Add(when("order.lines.exists(l, l.quantity > 3) ? order.units > 4 : attempt == 2"))
	f.Add(around("scores: [{expr: 'site.units * 3 - site.distance_km'}, {ranked: {by: order}}]\nreducer: penalty_sum"))
	o, sites := shopper(2), network(6, 2)
	f.Fuzz(func(t *testing.T, text string) {
		s, found := ruleset.Parse("f.yaml", []byte(text))
		if _, problems := ruleset.RunTests(compiledEmpty(t), "t.yaml", []byte(text)); problems == nil {
			t.Log("is a test file too")
		}
		if len(found) > 0 {
			for _, p := range found {
				if p.Message == "" {
					t.Errorf("says nothing: %+v", p)
				}
			}
			return
		}
		c, err := ruleset.Compile(s)
		if err != nil {
			t.Fatalf("parsed, not compiled: %v", err)
		}
		again, _ := ruleset.Parse("g.yaml", []byte(text))
		if string(s.Canonical()) != string(again.Canonical()) {
			t.Error("two canonical forms")
		}
		var r ruleset.Run
		r.Begin(c, o, benchNow)
		d := r.Decide(sites)
		r.Record(10)
		r.ExplainRoute(d.Match.Route)
	})
}

var emptySet *ruleset.Compiled

func compiledEmpty(t testing.TB) *ruleset.Compiled {
	if emptySet == nil {
		emptySet = compile(t, around(""))
	}
	return emptySet
}
