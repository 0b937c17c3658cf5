package syntax

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"pgregory.net/rapid"
)

// TestBounds proves that what costs the parser more than the length of the file is refused, by its reason, and that what people write is not. The sizes
// are such that a failing run is harmless.
func TestBounds(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"lists", strings.Repeat("[", 200), "inside each other"},
		{"closed in comments", strings.Repeat("[ #]\n", 200), "inside each other"},
		{"closed in quotes", strings.Repeat("[ \"]\", ", 200), "inside each other"},
		{"objects", strings.Repeat("{a: ", 200), "inside each other"},
		{"dashes", strings.Repeat("- ", 200), "inside each other"},
		{"dashes with tags", strings.Repeat("- !a ", 200), "inside each other"},
		{"tags", strings.Repeat("!a\n", 200), "inside each other"},
		{"tags and anchors", strings.Repeat("!a\n&b\n", 200), "inside each other"},
		{"keys below tags", strings.Repeat("a: !b\n", 200), "inside each other"},
		{"keys below dashes", strings.Repeat("-\na:\n", 200), "inside each other"},
		{"indentation", indented(200), "inside each other"},
		{"many below a long key", strings.Repeat("k", 4000) + ": [" + strings.Repeat("a,", 4000) + "]", "keys are too long"},
		{"many lines below a long key", strings.Repeat("k", 4000) + ":\n" + strings.Repeat("- a\n", 4000), "keys are too long"},
		{"many documents", strings.Repeat("a\n---\n", documentsMax+1), "documents"},
		{"brackets in a comment", "# " + strings.Repeat("[", 200) + "\na: 1", ""},
		{"a long list", "a: [" + strings.Repeat("b,", 20_000) + "]", ""},
		{"many lines", "a:\n" + strings.Repeat("- b: c\n  d: [e, f]\n", 2000), ""},
		{"lists of two lists", "[" + strings.Repeat("[[], []], ", 2000) + "]", ""},
		{"anchors", "a:\n" + strings.Repeat("- &x\n  b: *x\n  &y c: !!str d\n", 500), ""},
		{"lists right below keys", strings.Repeat("a:\n- b\n-\n- c: d\n---\n", 200), ""},
		{"deep, and again", strings.Repeat(strings.Repeat("[", 60)+strings.Repeat("]", 60)+"\n---\n", 20), ""},
	} {
		_, err := Parse([]byte(c.text))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %.100v, want %q", c.name, err, c.want)
		}
	}
}

func indented(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// TestPathsAreNotUnderrated proves, on files made of pieces of YAML, that no value has a longer path than the tokens made believe.
func TestPathsAreNotUnderrated(t *testing.T) {
	pieces := []string{"a", "b: ", "key: ", "'q': ", "- ", "[", "]", "{", "}", ", ", "\n", "\n", "\n  ", "\n  ", "\n    ",
		"\n? a\n: ", "\n  ? lit\n  : ", "\n? x: ", "\n: ", "!t ", "&x ", "|\n", "# c\n", "\n---\n", "c: d\n", "- e\n"}
	parsed := 0
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 25).Draw(t, "pieces"), "")
		tokens := lexer.Tokenize(text)
		b, longest := bounds{left: 1 << 30}, 0
		for i, token := range tokens {
			if err := b.see(token, i); err != nil {
				t.Skip()
			}
			longest = max(longest, b.path)
		}
		file, err := parser.Parse(tokens, 0)
		if err != nil {
			return
		}
		parsed++
		for _, doc := range file.Docs {
			if doc.Body != nil {
				ast.Walk(visitor(func(n ast.Node) {
					if got := len(n.GetPath()); got > longest+len("$.") {
						t.Fatalf("%q: the path %s has %d bytes, %d were expected", text, n.GetPath(), got, longest)
					}
				}), doc.Body)
			}
		}
	})
	if parsed == 0 {
		t.Error("nothing was parsed")
	}
}

type visitor func(n ast.Node)

// Visit implements ast.Visitor.
func (v visitor) Visit(n ast.Node) ast.Visitor {
	v(n)
	return v
}
