package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"orderyard/routing/whatif"
)

// runSimulate runs a simulation of the command line and gives its answer for programs.
func runSimulate(t testing.TB, code int, args ...string) (*simulated, string) {
	t.Helper()
	var out, errs bytes.Buffer
	a := newApp(strings.NewReader(""), &out, &errs, func(string) string { return "" })
	if got := a.execute(context.Background(), append([]string{"rules", "simulate"}, args...)); got != code {
		t.Fatalf("exit %d, want %d: %s", got, code, errs.String())
	}
	report := new(simulated)
	if err := json.Unmarshal(out.Bytes(), report); err != nil {
		report = nil
	}
	return report, out.String() + errs.String()
}

// UnmarshalJSON reads what MarshalJSON wrote, digits only: tests compare differences with nothing.
func (d *decimal) UnmarshalJSON(text []byte) error {
	if d.Known = string(text) != "null"; d.Known {
		_, err := fmt.Sscan(strings.ReplaceAll(string(text), ".", ""), &d.Value)
		return err
	}
	return nil
}

// shopHistory writes orders of a shop for people: six of ten have one line, one of twenty has five or more.
func shopHistory(t testing.TB, orders, skus int) string {
	path := filepath.Join(t.TempDir(), "shop.csv")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rng := rand.New(rand.NewPCG(2026, 11))
	fmt.Fprint(file, saleHeader)
	for i := range orders {
		lines := 1
		for rng.IntN(10) >= 6 && lines < 12 {
			lines++
		}
		at := fmt.Sprintf("2026-%02d-%02d %02d:%02d:00", 1+i*9/orders, 1+i*9*28/orders%28, i*9*28*24/orders%24, rng.IntN(60))
		for range lines {
			sku := min(rng.IntN(skus), rng.IntN(skus)) // some sell more than others
			fmt.Fprintf(file, "%d,%04d,,%d,%s,19.90,%d,US\n", 1_000_000+i, sku, 1+rng.IntN(3)/2, at, rng.IntN(orders))
		}
	}
	return path
}

// TestSimulateFile proves that a file of past orders compared with the same rules differs in nothing, that the two sides conserve its units, that
// a rule set which differs is told with its most changed orders, and that both kinds of output say the same.
func TestSimulateFile(t *testing.T) {
	history, routing := "../../examples/history.csv", "../../configs/routing/"
	same, _ := runSimulate(t, exitOK, "--orders", history, "--rules", routing+"default.yaml", "--base", routing+"default.yaml", "-o", "json")
	if same.Orders != 40 || same.Changed != 0 || len(same.MostChanged) != 0 || same.Card != "parcel" || same.Cancelled != 4 || same.Rejected != 12 {
		t.Errorf("%+v", same)
	}
	for _, f := range same.Figures {
		if f.Difference.Value != 0 {
			t.Errorf("%s differs by %d", f.Name, f.Difference.Value)
		}
	}
	other, _ := runSimulate(t, exitOK, "--orders", history, "--rules", routing+"cost.yaml", "--base", wordBuiltin, "--card", "post", "--promise-days", "3", "-o", "json")
	b, c := other.Base.Tally, other.Candidate.Tally
	if other.Base.Rules != "builtin-1" || other.Card != "post" || other.Changed == 0 || len(other.MostChanged) != min(int(other.Changed), whatif.ChangesMax) ||
		b.UnitsOrdered != c.UnitsOrdered || b.UnitsAssigned+b.UnitsShort != b.UnitsOrdered || c.UnitsAssigned+c.UnitsShort != c.UnitsOrdered ||
		b.Promised != 40 || b.PromiseKept == 0 || b.PromiseBroken == 0 || b.PromiseUnknown != 0 {
		t.Errorf("%+v\n%+v\n%+v", other, b, c)
	}
	_, table := runSimulate(t, exitOK, "--orders", history, "--rules", routing+"cost.yaml", "--base", wordBuiltin, "--explain-figures", "--limit", "9")
	for _, want := range []string{"9 orders of ", "fill rate, %", "PRESENT builtin-1", "units assigned ÷ units ordered", "DC-DENVER", "MOST CHANGED", "No site rejected"} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
}

// TestSimulateGiven proves that given sites and stock are used as they are: two units sellable of nine on hand, and the rest is short.
func TestSimulateGiven(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	orders := write("orders.csv", saleHeader+"1,A,,3,2026-01-01 08:00:00,1,5,US\n2,A,,1,2026-01-01 09:00:00,1,5,US\n")
	sites := write("sites.yaml", "id: ONE\ntype: store\npostal_code: \"80202\"\ncountry: US\ncost: {per_order: 100, per_unit: 10}\n")
	stock := write("stock.csv", "sku,site,on_hand,safety_stock,unsellable\nA,ONE,9,3,4\n")
	rules := write("near.yaml", "name: near\nroutes:\n  - name: all\n    rules:\n      - {name: near, scores: [distance], actions: {full: assign_many, partial: [assign_many, backorder], none: backorder}}\nfallback: all\n")
	args := []string{"--orders", orders, "--sites", sites, "--stock", stock, "--rules", rules, "--base", wordBuiltin, "-o", "json"}
	got, _ := runSimulate(t, exitOK, args...)
	for _, side := range []simulatedSide{got.Base, got.Candidate} {
		if c := side.Tally; c.UnitsAssigned != 2 || c.UnitsShort != 2 || c.StoresAtZero != 1 || c.Cost != 120 || c.Unpriced != 1 || c.Partial != 1 || c.None != 1 {
			t.Errorf("%s: %+v", side.Rules, c)
		}
	}
	for _, c := range []struct{ stock, says string }{
		{"sku,site,on_hand\nA,TWO,1\n", `stock.csv:2: site "TWO" is none of the sites`},
		{"sku,site,on_hand\nA,ONE,x\n", `stock.csv:2: on_hand: "x" is no whole number`},
		{"sku,site\n", `there is no column "on_hand"`},
	} {
		write("stock.csv", c.stock)
		if _, text := runSimulate(t, exitFailed, args...); !strings.Contains(text, c.says) {
			t.Errorf("no %q in %s", c.says, text)
		}
	}
}

// TestSimulateRefusals proves that what cannot work is told, with the exit code of its kind, and what to do.
func TestSimulateRefusals(t *testing.T) {
	rules := "../../configs/routing/cost.yaml"
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"", exitUsage, "--rules is required"},
		{"--rules " + rules, exitUsage, "give either --orders"},
		{"--rules " + rules + " --orders x --since 1h", exitUsage, "give either --orders"},
		{"--rules " + rules + " --since 1h --stock x", exitUsage, "go with --orders"},
		{"--rules " + rules + " --base built-in --since yesterday", exitUsage, "--since must be how long ago"},
		{"--rules " + rules + " --base built-in --orders x --card none", exitUsage, "the rule sets have post"},
		{"--rules " + rules + " --base built-in --orders none.csv", exitFailed, "none.csv"},
		{"--rules none.yaml --orders x", exitFailed, "none.yaml"},
		{"--rules " + rules + " --since 1h --server nats://127.0.0.1:1", exitUnavailable, "no Orderyard answers"},
		{"--rules " + rules + " --orders ../../examples/history.csv --limit 2 --server nats://127.0.0.1:1", exitOK, "compared with the built-in rules"},
		{"--explain-figures", exitOK, "stores whose last unit of a SKU was taken"},
	} {
		if _, text := runSimulate(t, c.code, strings.Fields(c.args)...); !strings.Contains(text, c.says) {
			t.Errorf("%s: no %q in %s", c.args, c.says, text)
		}
	}
}

// BenchmarkSimulate routes 100,000 past orders of a shop under two rule sets: docs/benchmarks/routing.md has the figures.
func BenchmarkSimulate(b *testing.B) {
	const orders = 100_000
	path := shopHistory(b, orders, 2000)
	for _, c := range []struct{ base, candidate string }{
		{wordBuiltin, "default.yaml"}, {"default.yaml", "cost.yaml"}, {"default.yaml", "default.yaml"},
	} {
		b.Run(c.base+" against "+c.candidate, func(b *testing.B) {
			args := []string{"--orders", path, "--rules", "../../configs/routing/" + c.candidate, "--base", wordBuiltin, "-o", "json"}
			if c.base != wordBuiltin {
				args[5] = "../../configs/routing/" + c.base
			}
			for b.Loop() {
				before := processorSeconds(b)
				report, _ := runSimulate(b, exitOK, args...)
				b.ReportMetric(report.Seconds, "s/simulated")
				b.ReportMetric(processorSeconds(b)-before, "s/processor")
				b.ReportMetric(float64(report.Base.Tally.Unproven+report.Candidate.Tally.Unproven), "unproven")
			}
		})
	}
}

// processorSeconds is what this process has used of all cores: on a machine that others use, the fairer figure.
func processorSeconds(b *testing.B) float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds()
}
