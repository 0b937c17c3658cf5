package packaging

import (
	"encoding/json"
	"go/version"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// image is what the tests read in the Dockerfile.
type image struct {
	from                    []string
	run, text               string
	user                    string
	expose                  []string
	entrypoint, cmd, health []string
}

func readImage(t *testing.T) image {
	t.Helper()
	var i image
	i.text = string(read(t, "Dockerfile"))
	list := func(text string) (words []string) {
		t.Helper()
		if err := json.Unmarshal([]byte(text), &words); err != nil {
			t.Errorf("Dockerfile: %s: %v", text, err)
		}
		return words
	}
	joined := regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(i.text, "")
	joined = strings.ReplaceAll(joined, "\\\n", " ")
	for line := range strings.Lines(joined) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "FROM":
			fields := strings.Fields(rest)
			i.from = append(i.from, fields[slices.IndexFunc(fields, func(f string) bool { return !strings.HasPrefix(f, "--") })])
		case "RUN":
			i.run += rest + "\n"
		case "USER":
			i.user = rest
		case "EXPOSE":
			i.expose = strings.Fields(rest)
		case "ENTRYPOINT":
			i.entrypoint = list(rest)
		case "CMD":
			i.cmd = list(rest)
		case "HEALTHCHECK":
			_, words, _ := strings.Cut(rest, "CMD ")
			i.health = list(words)
		}
	}
	return i
}

func (i image) ldflags(t *testing.T) string {
	t.Helper()
	m := regexp.MustCompile(`-ldflags "([^"]+)"`).FindStringSubmatch(i.run)
	if m == nil {
		t.Fatal("Dockerfile: no -ldflags")
	}
	return m[1]
}

// TestImage proves that the image is pinned, static and without rights, by reading the Dockerfile.
func TestImage(t *testing.T) {
	i := readImage(t)
	tag := regexp.MustCompile(`^golang:(\d+\.\d+\.\d+)$`).FindStringSubmatch(i.from[0])
	need := regexp.MustCompile(`(?m)^go (\S+)$`).FindSubmatch(read(t, "go.mod"))
	if len(i.from) != 2 || tag == nil || version.Compare("go"+tag[1], "go"+string(need[1])) < 0 {
		t.Errorf("built by %s; go.mod wants Go %s, pinned by version", i.from, need[1])
	}
	for _, want := range []string{"CGO_ENABLED=0", "-trimpath", "GOARCH=$TARGETARCH"} {
		if !strings.Contains(i.run, want) {
			t.Errorf("the binary is built without %s", want)
		}
	}
	if i.user != "65532:65532" || !strings.HasSuffix(i.from[1], ":nonroot") {
		t.Errorf("runs as %q on %s", i.user, i.from[1])
	}
	if !slices.Equal(i.entrypoint, []string{"orderyard"}) || i.health[0] != "orderyard" {
		t.Errorf("entry point %q, health check %q", i.entrypoint, i.health)
	}
	if strings.Contains(i.text, "\nENV ") {
		t.Error("an ENV of the image would go over the operator's file")
	}
}

// TestBuildContext proves that .dockerignore lets through everything the binary is built from, and no more rooms than that, by asking
// the Go tool for the packages and their embedded files.
func TestBuildContext(t *testing.T) {
	var allowed, dropped []string
	for line := range strings.Lines(string(read(t, ".dockerignore"))) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line == "*":
		case line[0] == '!':
			allowed = append(allowed, line[1:])
		case strings.HasPrefix(line, "**/"):
			dropped = append(dropped, line[3:])
		default:
			t.Errorf(".dockerignore: %q is of a form this test does not know", line)
		}
	}
	list := exec.Command("go", "list", "-deps", "-json=ImportPath,Standard,GoFiles,EmbedFiles,Module", "./cmd/orderyard")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{"go.mod": true, "go.sum": true, "LICENSE": true}
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p struct {
			ImportPath          string
			GoFiles, EmbedFiles []string
			Module              struct{ Main bool }
		}
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		dir, ours := strings.CutPrefix(p.ImportPath, "orderyard/")
		if !ours || !p.Module.Main {
			continue
		}
		room, _, _ := strings.Cut(dir, "/")
		used[room] = true
		if !slices.Contains(allowed, room) {
			t.Errorf("%s is built into the binary but not copied", p.ImportPath)
		}
		for _, file := range append(p.GoFiles, p.EmbedFiles...) {
			for part := range strings.SplitSeq(path.Join(dir, file), "/") {
				for _, pattern := range dropped {
					if ok, _ := path.Match(pattern, part); ok {
						t.Errorf("%s/%s is left out by **/%s", dir, file, pattern)
					}
				}
			}
		}
	}
	for _, room := range allowed {
		if !used[room] {
			t.Errorf("%s is copied and not used", room)
		}
	}
}
