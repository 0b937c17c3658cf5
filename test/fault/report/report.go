package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Verdicts of a row.
const (
	Pass = "pass"
	Fail = "FAIL"
	Skip = "skipped"
)

// Row is one fault.
type Row struct {
	ID       string   `json:"id"`
	Fault    string   `json:"fault"`
	Required string   `json:"required"`
	Verdict  string   `json:"verdict"`
	Measured []string `json:"measured,omitempty"` // the first line stands in the table
	Wrong    []string `json:"wrong,omitempty"`
	Seconds  float64  `json:"seconds"`
	// Busy is the machine's load average when the row began: above the number of CPUs somebody else was at work, and times are void.
	Busy float64 `json:"busy"`

	began time.Time
	mu    sync.Mutex
}

// Say adds a line of what was measured. It may be called concurrently, as Lead and Blame may.
func (r *Row) Say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Measured = append(r.Measured, fmt.Sprintf(format, args...))
}

// Lead is Say for the figure that stands in the table.
func (r *Row) Lead(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Measured = slices.Insert(r.Measured, 0, fmt.Sprintf(format, args...))
}

// blameMax bounds what is kept: the first ones matter.
const blameMax = 30

// Blame adds something that is not as required.
func (r *Row) Blame(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.Wrong) < blameMax {
		r.Wrong = append(r.Wrong, fmt.Sprintf(format, args...))
	}
}

// Report is all rows of a run. It may be used concurrently.
type Report struct {
	Began   time.Time `json:"began"`
	Machine string    `json:"machine"`
	Mode    string    `json:"mode"`

	mu   sync.Mutex
	Rows []*Row `json:"rows"`
}

// New begins a report.
func New(mode string) *Report { return &Report{Began: time.Now(), Machine: machine(), Mode: mode} }

// Row begins a row.
func (r *Report) Row(id, fault, required string) *Row {
	row := &Row{ID: id, Fault: fault, Required: required, Busy: busy(), began: time.Now()}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Rows = append(r.Rows, row)
	return row
}

// Close gives a row its verdict: failed also when nothing is wrong with the row itself, but its test failed.
func (row *Row) Close(failed, skipped bool) {
	row.Seconds = time.Since(row.began).Seconds()
	switch {
	case failed || len(row.Wrong) > 0:
		row.Verdict = Fail
	case skipped:
		row.Verdict = Skip
	default:
		row.Verdict = Pass
	}
}

// Table prints one line per fault, and below it what is wrong.
func (r *Report) Table(w io.Writer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.Rows) == 0 {
		return nil
	}
	lines := [][]string{{"ID", "FAULT", "VERDICT", "SECONDS", "BUSY", "MEASURED"}}
	for _, row := range r.Rows {
		first := ""
		if len(row.Measured) > 0 {
			first = row.Measured[0]
		}
		lines = append(lines, []string{row.ID, row.Fault, row.Verdict, fmt.Sprintf("%.0f", row.Seconds), fmt.Sprintf("%.1f", row.Busy), first})
	}
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s · %s\n\n", r.Machine, r.Mode)
	for _, line := range lines {
		for i, cell := range line {
			if i == len(line)-1 {
				b.WriteString(cell)
				break
			}
			b.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
		b.WriteString("\n")
	}
	for _, row := range r.Rows {
		for _, wrong := range row.Wrong {
			fmt.Fprintf(&b, "\n%s: %s", row.ID, wrong)
		}
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// Write writes faults.json and faults.md into a folder.
func (r *Report) Write(dir string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return errors.Join(os.WriteFile(filepath.Join(dir, "faults.json"), append(text, '\n'), 0o644),
		os.WriteFile(filepath.Join(dir, "faults.md"), []byte(r.markdown()), 0o644))
}

func (r *Report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Faults\n\n%s · %s · %s\n\n| id | fault | required | verdict | measured | s | busy |\n|---|---|---|---|---|---|---|\n",
		r.Began.UTC().Format(time.RFC3339), r.Machine, r.Mode)
	for _, row := range r.Rows {
		measured := strings.Join(append(slices.Clone(row.Measured), row.Wrong...), "<br>")
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %.0f | %.1f |\n", row.ID, cell(row.Fault), cell(row.Required), row.Verdict, cell(measured), row.Seconds, row.Busy)
	}
	return b.String()
}

// cell keeps text from ending its cell.
func cell(s string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s)
}

// busy is how many wanted to run lately; 0 = unknown.
func busy() float64 {
	text, _ := os.ReadFile("/proc/loadavg") // elsewhere than on Linux nobody knows
	first, _, _ := strings.Cut(string(text), " ")
	n, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return n
}

// machine is what a figure depends on.
func machine() string {
	cpu := "unknown CPU"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(value)
				break
			}
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // a courtesy to the reader
	return fmt.Sprintf("%d × %s, %s %s, %s", runtime.NumCPU(), cpu, runtime.GOOS, strings.TrimSpace(string(kernel)), runtime.Version())
}
