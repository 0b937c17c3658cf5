package figures

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Write writes report.md, report.json and the pictures into dir, which is made when it is missing. What an earlier run left is replaced.
func (r *Report) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	body, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	files := map[string][]byte{"report.json": append(body, '\n'), "report.md": []byte(r.Markdown())}
	for i := range r.Benches {
		for kind, picture := range r.Benches[i].pictures() {
			files[r.Benches[i].file(kind)] = picture
		}
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(files)) {
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), files[name], 0o644))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

func (b *Bench) file(kind string) string { return b.Name + "-" + kind + ".svg" }

// Markdown is the report for people.
func (r *Report) Markdown() string {
	var w bytes.Buffer
	fmt.Fprintf(&w, "# Benchmarks of %s\n\n%s.\n", r.Machine.Made.Format("2006-01-02 15:04 MST"), cell(r.Machine.String()))
	for _, name := range slices.Sorted(maps.Keys(r.Machine.Versions)) {
		fmt.Fprintf(&w, "- %s: %s\n", name, cell(r.Machine.Versions[name]))
	}
	if r.Machine.Load >= 1 {
		fmt.Fprintf(&w, "\nOthers were using the machine when the run began (load %.1f): read the ratios, not the rates.\n", r.Machine.Load)
	}
	for i := range r.Benches {
		r.Benches[i].markdown(&w)
	}
	return w.String()
}

func (b *Bench) markdown(w *bytes.Buffer) {
	fmt.Fprintf(w, "\n## %s: %s (`bench %s`)\n\n", b.ID, b.Title, b.Name)
	if b.Failed != "" {
		fmt.Fprintf(w, "**No result:** %s\n\n", cell(b.Failed))
	}
	if b.Setup != "" {
		fmt.Fprintf(w, "%s.\n\n", b.Setup)
	}
	if len(b.Goals) > 0 {
		fmt.Fprint(w, "| goal | wanted | measured | lowest | highest | |\n|---|---|---|---|---|---|\n")
		for _, g := range b.Goals {
			fmt.Fprintf(w, "| %s | %s | **%s** | %s | %s | %s |\n", cell(g.What), g.Wanted(), Number(g.Value)+" "+g.Unit, Number(g.Lowest), Number(g.Highest), g.Verdict())
		}
		fmt.Fprintln(w)
	}
	if len(b.Rows) > 0 {
		fmt.Fprint(w, "| what | median | lowest | highest | unit | p50 ms | p90 ms | p99 ms | p99.9 ms | max ms | note |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
		for _, r := range b.Rows {
			fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s |\n", cell(r.Name), Number(r.Median), Number(r.Lowest), Number(r.Highest), r.Unit,
				strings.Join(r.Latency.cells(), " | "), cell(r.Note))
		}
		fmt.Fprintln(w)
	}
	for _, line := range slices.Concat(b.Skips, b.Notes) {
		fmt.Fprintf(w, "- %s\n", cell(line))
	}
	pictures := b.pictures()
	for _, kind := range slices.Sorted(maps.Keys(pictures)) {
		fmt.Fprintf(w, "\n![%s: %s](%s)\n", cell(b.Title), kind, b.file(kind))
	}
}

func (l *Latency) cells() []string {
	if l == nil {
		return slices.Repeat([]string{""}, 5)
	}
	return []string{Number(l.P50), Number(l.P90), Number(l.P99), Number(l.P999), Number(l.Max)}
}

// Wanted is the goal's bound in words.
func (g Goal) Wanted() string {
	sign := "≤"
	if g.AtLeast {
		sign = "≥"
	}
	return sign + " " + Number(g.Bound) + " " + g.Unit
}

// Verdict is met or missed.
func (g Goal) Verdict() string {
	if g.Met {
		return "met"
	}
	return "missed"
}

// Number writes three digits that mean something: nobody reads more from a benchmark.
func Number(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 100 || v <= -100:
		return grouped(strconv.FormatFloat(v, 'f', 0, 64))
	case v >= 10 || v <= -10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v >= 1 || v <= -1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

// grouped puts a comma between thousands.
func grouped(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return sign + digits
}

// cell keeps a text inside its cell of a table.
func cell(s string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s)
}
