package ruleset_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"orderyard/routing/ruleset"
)

// rulesDir holds the rule sets that operators begin with.
const rulesDir = "../../configs/routing"

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func load(t testing.TB, path string) *ruleset.Compiled {
	t.Helper()
	c, err := ruleset.Load(filepath.Base(path), read(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func glob(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestExamples proves that every rule set we ship compiles, has rule tests beside it, and does what they say; and so do the rules of
// testdata, which meet every limit exactly.
func TestExamples(t *testing.T) {
	sets := 0
	for _, file := range append(glob(t, rulesDir+"/*.yaml"), glob(t, "testdata/*.yaml")...) {
		if strings.HasSuffix(file, ".test.yaml") {
			continue
		}
		sets++
		t.Run(filepath.Base(file), func(t *testing.T) {
			c := load(t, file)
			tests := strings.TrimSuffix(file, ".yaml") + ".test.yaml"
			results, found := ruleset.RunTests(c, filepath.Base(tests), read(t, tests))
			for _, p := range found {
				t.Error(p)
			}
			if len(results) < 2 {
				t.Errorf("%s has %d cases", tests, len(results))
			}
			for _, r := range results {
				for _, p := range r.Failures {
					t.Errorf("%s: %v", r.Name, p)
				}
			}
		})
	}
	if sets < 7 {
		t.Errorf("only %d rule sets", sets)
	}
}

// TestAdvice proves that default.yaml explains itself: above the first use of every key stands a line of advice.
func TestAdvice(t *testing.T) {
	lines := strings.Split(string(read(t, rulesDir+"/default.yaml")), "\n")
	explained := map[string]bool{}
	for i, line := range lines {
		m := regexp.MustCompile(`^ *(?:- )?([a-z_0-9]+):`).FindStringSubmatch(line)
		if m == nil || explained[m[1]] || strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		explained[m[1]] = true
		above := strings.TrimSpace(lines[max(i-1, 0)])
		inside := regexp.MustCompile(`^ +(standard|express|near|local|far|coast|parcel|partial|none|rules|full|labels|fallback):`).MatchString(line)
		if !strings.HasPrefix(above, "#") && !inside {
			t.Errorf("default.yaml:%d: no line of advice above %q", i+1, line)
		}
	}
}

// TestBadFiles proves every rule of validity by a file that breaks it: each *.bad.yaml names in its comments the complaints it must
// cause, all of them in one run and no other.
func TestBadFiles(t *testing.T) {
	files := glob(t, rulesDir+"/testdata/*.bad.yaml")
	if len(files) < 40 {
		t.Errorf("only %d bad files", len(files))
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(strings.TrimSuffix(name, ".bad.yaml"), func(t *testing.T) {
			data := read(t, file)
			var want, got []string
			for line := range strings.Lines(string(data)) {
				if w, ok := strings.CutPrefix(line, "# want: "); ok {
					want = append(want, strings.TrimSpace(w))
				}
			}
			_, found := ruleset.Parse(name, data)
			for _, p := range found {
				got = append(got, strings.TrimPrefix(strings.TrimPrefix(p.String(), name+":"), " "))
			}
			if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
				t.Errorf("got\n%s\nwant\n%s", g, w)
			}
			if _, err := ruleset.Load(name, data); err == nil {
				t.Error("was loaded")
			}
		})
	}
}
