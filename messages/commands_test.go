package messages

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
)

// local are words that look like commands and never leave their node: routing answers the first on the spot.
var local = []string{"PlanRequest"}

// TestEveryCommandHasANumber proves that whatever a machine accepts can travel, by reading the type switches of the machines and the
// chapters "commands" of the proto files.
func TestEveryCommandHasANumber(t *testing.T) {
	known := map[string]bool{}
	for _, c := range commands() {
		known[EventName(c)] = true
	}
	accepted := acceptedByMachines(t)
	if len(accepted) < 25 {
		t.Fatalf("found only %d commands in the machines: %v", len(accepted), accepted)
	}
	for _, name := range append(accepted, declaredInProto(t)...) {
		if !known[name] && !slices.Contains(local, name) {
			t.Errorf("%s has no number in commands.go", name)
		}
	}
}

// TestCommandNumbersAreForever proves that no number was ever given to another command, by the list of all numbers ever given.
func TestCommandNumbersAreForever(t *testing.T) {
	text, err := os.ReadFile("testdata/commands.txt")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		number, name, _ := strings.Cut(line, " ")
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		listed[name] = true
		c, err := DecodeCommand(uint32(n), nil)
		if err != nil || EventName(c) != name {
			t.Errorf("%d was %s, now it is %T (%v)", n, name, c, err)
		}
	}
	for number, c := range commands() {
		if !listed[EventName(c)] {
			t.Errorf("append to testdata/commands.txt: %d %s", number, EventName(c))
		}
	}
}

// TestCommandsTravel proves that each command comes back as itself under its number, by encoding and decoding an empty and a broken one.
func TestCommandsTravel(t *testing.T) {
	for number, c := range commands() {
		if CommandType(c) != number {
			t.Errorf("%T has number %d, not %d: it stands twice in the table", c, CommandType(c), number)
		}
		if _, err := DecodeCommand(number, []byte{0xff}); err == nil || !strings.Contains(err.Error(), EventName(c)) {
			t.Errorf("broken bytes of %T: %v", c, err)
		}
	}
	if CommandType(&PlanRequest{}) != 0 {
		t.Error("a plan request must not travel")
	}
	for _, number := range []uint32{0, 30, 1 << 20} {
		if _, err := DecodeCommand(number, nil); !errors.Is(err, ErrUnknownCommand) {
			t.Errorf("command %d: %v", number, err)
		}
	}
	sent := &ReserveStock{Sku: "S", Site: "A", ReservationId: "r", Quantity: 3}
	data, _ := sent.MarshalVT()
	got, err := DecodeCommand(CommandType(sent), data)
	if err != nil || !proto.Equal(got, sent) {
		t.Errorf("got %v, %v", got, err)
	}
}

func commands() map[uint32]Command {
	all := map[uint32]Command{}
	for number, make := range newCommand {
		if make != nil {
			all[uint32(number)] = make()
		}
	}
	return all
}

var (
	chapter = regexp.MustCompile(`(?s)// ── commands ──.*?// ── (?:events|plan) ──`)
	message = regexp.MustCompile(`(?m)^message (\w+)`)
)

func declaredInProto(t *testing.T) (names []string) {
	t.Helper()
	for _, file := range []string{"order.proto", "inventory.proto", "site.proto"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := message.FindAllStringSubmatch(chapter.FindString(string(text)), -1)
		if len(found) == 0 {
			t.Fatalf("%s: found no chapter of commands", file)
		}
		for _, m := range found {
			names = append(names, m[1])
		}
	}
	return names
}

// acceptedByMachines lists the messages that any function of the machines tells apart in a messages.Command.
func acceptedByMachines(t *testing.T) (names []string) {
	t.Helper()
	for _, dir := range []string{"order", "inventory", "site"} {
		files, err := filepath.Glob("../actors/" + dir + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range parsed.Decls {
				if f, ok := d.(*ast.FuncDecl); ok {
					names = append(names, toldApart(f)...)
				}
			}
		}
	}
	return names
}

func toldApart(f *ast.FuncDecl) (names []string) {
	parameter := ""
	for _, field := range f.Type.Params.List {
		if typ, ok := field.Type.(*ast.SelectorExpr); ok && typ.Sel.Name == "Command" && len(field.Names) == 1 {
			parameter = field.Names[0].Name
		}
	}
	if parameter == "" || f.Body == nil {
		return nil
	}
	add := func(typ ast.Expr) {
		if star, ok := typ.(*ast.StarExpr); ok {
			if name, ok := star.X.(*ast.SelectorExpr); ok && fmt.Sprint(name.X) == "messages" {
				names = append(names, name.Sel.Name)
			}
		}
	}
	ast.Inspect(f.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.TypeAssertExpr:
			if fmt.Sprint(n.X) == parameter && n.Type != nil {
				add(n.Type)
			}
		case *ast.TypeSwitchStmt:
			about := n.Assign
			if a, ok := about.(*ast.AssignStmt); ok {
				about = &ast.ExprStmt{X: a.Rhs[0]}
			}
			asserted, ok := about.(*ast.ExprStmt).X.(*ast.TypeAssertExpr)
			if !ok || fmt.Sprint(asserted.X) != parameter {
				return true
			}
			for _, c := range n.Body.List {
				for _, typ := range c.(*ast.CaseClause).List {
					add(typ)
				}
			}
		}
		return true
	})
	return names
}
