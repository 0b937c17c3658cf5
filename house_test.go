package orderyard_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The house is a test: it reads the source and fails when a floor, a length, a package comment or a folder is not as
// docs/ARCHITECTURE.md §1 has it. Whoever needs another rule changes the rule and the code in one commit.

const module = "orderyard"

// floors: a package imports only from lower floors, and within its own room from packages of the same floor or below. The longest
// matching path counts. Rooms are top-level folders; the pure machines of floor 1 are rooms of their own and do not know each other.
var floors = map[string]int{
	"messages":         0,
	"configs":          0,
	"routing":          1,
	"actors/order":     1,
	"actors/inventory": 1,
	"actors/site":      1,
	"persistence":      2,
	"cluster":          2,
	"actors":           3,
	"gateway":          3, // beside the actors, which it reaches through interfaces of its own
	"sim":              4,
	"test":             4,
	"cmd":              5, // wires it all, the simulation too
}

// pure packages decide the same on every node and on every replay: they take what they need as arguments.
var pure = []string{"routing", "actors/order", "actors/inventory", "actors/site"}

var impure = []string{
	"context", "log", "math/rand", "crypto/rand", "os", "net", "sync", "runtime", "testing", "unsafe", "syscall", "time/tzdata",
	"github.com/asynkron", "github.com/nats-io",
}

// pureExceptions change no answer. The site reads calendars in time zones: the zone table is part of the program, and parsed zones are
// kept in a locked cache. Routing unpacks its embedded map once and reuses its working memory, both with package sync.
var pureExceptions = map[string][]string{"actors/site": {"sync", "time/tzdata"}, "routing": {"sync"}}

// sideways are imports within a floor. Placement keeps the number of partitions, and later their owners, in the store's own keys.
var sideways = map[string]string{"cluster": "persistence"}

// clockWords are what a pure package may not take from time; durations, dates and formats it may.
var clockWords = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// seams: each of these libraries can be replaced because only these folders know it. Test code may use them where it likes.
var seams = map[string][]string{
	"github.com/asynkron":             {"actors", "cluster"},
	"github.com/hashicorp/memberlist": {"cluster"},
	"github.com/nats-io":              {"persistence/jetstream", "cluster", "gateway", "cmd", "sim", "test"},
	"github.com/spf13/cobra":          {"cmd"},
	"github.com/jackc/pgx":            {"cmd/orderyard/peers"},
	"github.com/redis/go-redis":       {"cmd/orderyard/peers"},
	"cel.dev/cel-go":                  {"routing/ruleset"},
}

// topFolders is the whole top level. A further one needs a border that the compiler can check.
var topFolders = []string{
	"actors", "cluster", "cmd", "configs", "deploy", "docs", "examples", "gateway", "messages", "persistence", "routing", "sim", "test",
}

const (
	fileLinesMax = 500
	funcLinesMax = 70
)

// source is one Go file of the house.
type source struct {
	path      string // "actors/order/decide.go"
	dir       string // "actors/order"
	test      bool
	generated bool
	lines     int
	set       *token.FileSet
	file      *ast.File
}

func (s source) at(p token.Pos) string {
	return fmt.Sprintf("%s:%d", s.path, s.set.Position(p).Line)
}

// readHouse parses every Go file outside testdata and hidden folders.
func readHouse(t *testing.T) []source {
	t.Helper()
	var found []source
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() && name != "." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "data") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(base, ".go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if isTool(file) {
			return nil
		}
		slash := filepath.ToSlash(name)
		found = append(found, source{
			path: slash, dir: path.Dir(slash), test: strings.HasSuffix(base, "_test.go"), generated: ast.IsGenerated(file),
			lines: bytes.Count(text, []byte("\n")), set: set, file: file,
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("found no Go file")
	}
	return found
}

// isTool: a file with `//go:build ignore` is a program run by hand, such as a generator, and no part of its package.
func isTool(file *ast.File) bool {
	for _, group := range file.Comments {
		if group.Pos() > file.Package {
			break
		}
		for _, c := range group.List {
			if c.Text == "//go:build ignore" {
				return true
			}
		}
	}
	return false
}

// within says whether dir is root or below it.
func within(dir, root string) bool { return dir == root || strings.HasPrefix(dir, root+"/") }

func withinAny(dir string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return within(dir, root) })
}

// floorOf is a package's floor and room; ok is false for a package that the plan of the house does not know.
func floorOf(dir string) (floor int, room string, ok bool) {
	longest := ""
	for root := range floors {
		if within(dir, root) && len(root) > len(longest) {
			longest = root
		}
	}
	if longest == "" {
		return 0, "", false
	}
	room = longest
	if floors[longest] != 1 {
		room, _, _ = strings.Cut(longest, "/")
	}
	return floors[longest], room, true
}

func imports(s source) map[string]token.Pos {
	found := map[string]token.Pos{}
	for _, i := range s.file.Imports {
		found[strings.Trim(i.Path.Value, `"`)] = i.Pos()
	}
	return found
}

// TestFloors proves that no package imports one of its own floor or above, by reading every import of non-test code.
func TestFloors(t *testing.T) {
	for _, s := range readHouse(t) {
		if s.test || s.dir == "." {
			continue
		}
		floor, room, ok := floorOf(s.dir)
		if !ok {
			t.Errorf("%s: %s has no floor in the plan of the house", s.path, s.dir)
			continue
		}
		for name, pos := range imports(s) {
			target, ours := strings.CutPrefix(name, module+"/")
			if !ours {
				continue
			}
			f, r, _ := floorOf(target)
			if f < floor || f == floor && (r == room || sideways[room] == r) {
				continue
			}
			t.Errorf("%s: %s (floor %d) must not import %s (floor %d)", s.at(pos), s.dir, floor, target, f)
		}
	}
}

// TestSeams proves that the libraries we may want to replace are known in few places.
func TestSeams(t *testing.T) {
	for _, s := range readHouse(t) {
		if s.test {
			continue
		}
		for name, pos := range imports(s) {
			for library, allowed := range seams {
				if within(name, library) && !withinAny(s.dir, allowed) {
					t.Errorf("%s: %s is used in %s only", s.at(pos), name, strings.Join(allowed, ", "))
				}
			}
		}
	}
}

// TestPure proves that the deciding packages have no clock, no random, no I/O and no concurrency: a replay must give the same state.
func TestPure(t *testing.T) {
	for _, s := range readHouse(t) {
		i := slices.IndexFunc(pure, func(root string) bool { return within(s.dir, root) })
		if s.test || i < 0 {
			continue
		}
		for name, pos := range imports(s) {
			bad := slices.ContainsFunc(impure, func(root string) bool { return within(name, root) })
			if bad && !slices.Contains(pureExceptions[pure[i]], name) {
				t.Errorf("%s: a pure package must not import %s", s.at(pos), name)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt, *ast.SelectStmt, *ast.ChanType, *ast.SendStmt:
				t.Errorf("%s: a pure package has no goroutine and no channel", s.at(n.Pos()))
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clockWords, n.Sel.Name) {
					t.Errorf("%s: a pure package must not call time.%s; take now as an argument", s.at(n.Pos()), n.Sel.Name)
				}
			}
			return true
		})
	}
}

// TestCoreHasNoGoroutine proves that entity.Core stays runnable by a seeded scheduler: goroutines live in the actor shell and the
// committer's worker, never in files named core*.go.
func TestCoreHasNoGoroutine(t *testing.T) {
	for _, s := range readHouse(t) {
		if s.dir != "actors/entity" || s.test || !strings.HasPrefix(path.Base(s.path), "core") {
			continue
		}
		for name, pos := range imports(s) {
			if name == "sync" || name == "context" || within(name, "github.com/asynkron") {
				t.Errorf("%s: the core must not import %s", s.at(pos), name)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if g, ok := n.(*ast.GoStmt); ok {
				t.Errorf("%s: the core starts no goroutine", s.at(g.Pos()))
			}
			return true
		})
	}
}

// TestLengths proves that a function fits a screen and a file tells one idea. Generated code and tests are free.
func TestLengths(t *testing.T) {
	for _, s := range readHouse(t) {
		if s.test || s.generated {
			continue
		}
		if s.lines > fileLinesMax {
			t.Errorf("%s: %d lines, at most %d: split it", s.path, s.lines, fileLinesMax)
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			f, ok := n.(*ast.FuncDecl)
			if !ok {
				return true
			}
			if n := s.set.Position(f.End()).Line - s.set.Position(f.Pos()).Line + 1; n > funcLinesMax {
				t.Errorf("%s: %s has %d lines, at most %d", s.at(f.Pos()), f.Name.Name, n, funcLinesMax)
			}
			return false
		})
	}
}

// TestPackageDocs proves that every package opens with a doc.go that says what it is for.
func TestPackageDocs(t *testing.T) {
	documented, seen := map[string]bool{}, map[string]bool{}
	for _, s := range readHouse(t) {
		if s.test {
			continue
		}
		seen[s.dir] = true
		if path.Base(s.path) != "doc.go" || s.file.Doc == nil {
			continue
		}
		begin := "Package " + s.file.Name.Name + " "
		if s.file.Name.Name == "main" {
			begin = "Command " + path.Base(s.dir) + " "
		}
		if !strings.HasPrefix(s.file.Doc.Text(), begin) {
			t.Errorf("%s: the comment must begin with %q", s.path, begin)
		}
		documented[s.dir] = true
	}
	for dir := range seen {
		if !documented[dir] {
			t.Errorf("%s: no doc.go with a package comment", dir)
		}
	}
}

// TestTopLevel proves that the plan of the house is the whole house: no further folder, no package at the root.
func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		switch {
		case strings.HasPrefix(name, "."), name == "data": // data is the store of `orderyard dev`, ignored by git
		case e.IsDir() && !slices.Contains(topFolders, name):
			t.Errorf("%s/: a stray top-level folder; there is %s", name, strings.Join(topFolders, ", "))
		case strings.HasSuffix(name, ".go") && name != "house_test.go":
			t.Errorf("%s: no code at the root", name)
		}
	}
}

// machinePath is an absolute path into somebody's own machine: it works there only and tells others nothing.
var machinePath = regexp.MustCompile(`(?:^|[\s"'` + "`" + `(=:])(/(?:home|root|Users|Volumes|work|workspace|mnt|builds)(?:/[\w.-]+)+)`)

var machineFiles = []string{".go", ".md", ".yaml", ".yml", ".json", ".proto", ".txt", ".sh", ".csv", "Makefile", "run"}

// TestNoMachinePaths proves that no file of the house names a place on the machine it was written on.
func TestNoMachinePaths(t *testing.T) {
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || name == "data") {
			return fs.SkipDir
		}
		if d.IsDir() || !slices.ContainsFunc(machineFiles, func(end string) bool { return strings.HasSuffix(name, end) }) {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for i, line := range strings.Split(string(text), "\n") {
			if m := machinePath.FindStringSubmatch(line); m != nil {
				t.Errorf("%s:%d: names %s, a path of one machine", name, i+1, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
