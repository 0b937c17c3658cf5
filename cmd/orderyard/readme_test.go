package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"orderyard/gateway/wire"
)

// TestPrintedCommands proves that every command line which the README and the help texts print is one that the program understands.
func TestPrintedCommands(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	a := newApp(nil, nil, nil, func(string) string { return "" })
	texts := []string{string(readme)}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		texts = append(texts, c.Example)
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRootCmd(a))
	checked := 0
	for _, text := range texts {
		for line := range strings.Lines(text) {
			args, ok := printedCommand(line)
			if !ok {
				continue
			}
			checked++
			root := newRootCmd(a) // flags keep what was parsed into them
			cmd, rest, err := root.Find(protectNegatives(args))
			if err == nil {
				err = cmd.ParseFlags(rest)
			}
			if err == nil {
				err = cmd.ValidateArgs(cmd.Flags().Args())
			}
			if err != nil || !cmd.Runnable() {
				t.Errorf("%s: %v", strings.TrimSpace(line), err)
			}
		}
	}
	if checked < 20 {
		t.Errorf("found only %d commands", checked)
	}
}

// printedCommand takes the arguments out of a line that begins with the program; a comment or a file for the output behind it is left out.
func printedCommand(line string) ([]string, bool) {
	line, _, _ = strings.Cut(strings.TrimSpace(line), " #")
	line, _, _ = strings.Cut(line, " >")
	for _, program := range []string{"./orderyard ", "orderyard ", "go run ./cmd/orderyard "} {
		if rest, ok := strings.CutPrefix(line, program); ok {
			return words(strings.ReplaceAll(rest, `"`, "'")), true
		}
	}
	return nil, false
}

// TestExampleOrder proves that the order of the README's session is one that every node takes.
func TestExampleOrder(t *testing.T) {
	body, err := os.ReadFile("../../examples/order.json")
	if err != nil {
		t.Fatal(err)
	}
	order, errs, failure := wire.DecodeOrder(body)
	if failure != nil || len(errs) > 0 {
		t.Fatal(failure, errs)
	}
	sum := order.GetShippingAmount() + order.GetTax() - order.GetDiscount()
	for _, l := range order.GetLines() {
		sum += l.GetQuantity() * l.GetUnitPrice()
	}
	if sum != order.GetPaymentAmount() {
		t.Errorf("the lines come to %d, the payment to %d", sum, order.GetPaymentAmount())
	}
}

// TestRunbookMetrics proves that every metric which the runbook names is one that the program has, so that nobody waits at night for a figure that never
// comes.
func TestRunbookMetrics(t *testing.T) {
	known := metricsOf(t, "../..")
	has := func(name string) bool {
		for metric := range known {
			if strings.HasPrefix(metric, name) {
				return true
			}
		}
		return false
	}
	pages, err := filepath.Glob("../../docs/runbook/*.md")
	if err != nil || len(pages) < 10 {
		t.Fatal(pages, err)
	}
	named := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range metricNames(string(text)) {
			named++
			if !has(name) {
				t.Errorf("%s names %s, which no node has", filepath.Base(page), name)
			}
		}
	}
	if named < 30 {
		t.Errorf("found only %d metrics", named)
	}
}

var (
	metricName  = regexp.MustCompile(`orderyard_[a-z_]+|orderyard_\([a-z_|]+\)`)
	metricShort = regexp.MustCompile("(?m)(?:^|[;`] ?)metric ([a-z_]+)")
)

// metricNames finds the metrics in a page: by name, as alternatives of a grep, and behind the page's own word `metric`. The two last take beginnings of names.
func metricNames(page string) []string {
	var names []string
	for _, name := range metricName.FindAllString(page, -1) {
		list, alternatives := strings.CutPrefix(name, "orderyard_(")
		if !alternatives {
			names = append(names, strings.TrimSuffix(name, "_bucket")) // of a histogram
			continue
		}
		for one := range strings.SplitSeq(strings.TrimSuffix(list, ")"), "|") {
			names = append(names, "orderyard_"+one)
		}
	}
	for _, m := range metricShort.FindAllStringSubmatch(page, -1) {
		names = append(names, "orderyard_"+m[1])
	}
	return names
}

// metricsOf gives what the program's source says of metrics: every text that can be the name of one, with the beginnings that are put before it.
func metricsOf(t *testing.T, root string) map[string]bool {
	names := map[string]bool{}
	for _, folder := range []string{"cmd", "gateway"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING {
					name := strings.TrimPrefix(strings.Trim(text.Value, "`\""), "orderyard_")
					for _, before := range []string{"", "link_", "shadow_", "sweep_"} {
						names["orderyard_"+before+name] = true
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}
