package report

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReport proves that all three shapes hold every row with its verdict, and that what is wrong is not lost in any of them.
func TestReport(t *testing.T) {
	r := New("short")
	good := r.Row("F1", "kill -9 one node", "p99 ≤ 1 s")
	good.Say("20 kills")
	good.Lead("p99 %d ms", 412)
	good.Close(false, false)
	bad := r.Row("F8", "NATS killed | restarted", "≤ 2 s")
	bad.Blame("3 s")
	bad.Close(false, false)
	r.Row("F4", "cut", "").Close(false, true)
	r.Row("F5", "cut", "").Close(true, true)
	for i, want := range []string{Pass, Fail, Skip, Fail} {
		if r.Rows[i].Verdict != want {
			t.Errorf("row %d: %s, want %s", i, r.Rows[i].Verdict, want)
		}
	}
	var table strings.Builder
	if err := r.Table(&table); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "deep", "er")
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "faults.json"))
	var back Report
	if err != nil || json.Unmarshal(text, &back) != nil || len(back.Rows) != 4 || back.Rows[0].Measured[1] != "20 kills" || back.Rows[1].Wrong[0] != "3 s" {
		t.Errorf("%v: %s", err, text)
	}
	page, err := os.ReadFile(filepath.Join(dir, "faults.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| F1 |", "p99 412 ms<br>20 kills", "NATS killed \\| restarted", "3 s"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("no %q in %s", want, page)
		}
	}
	lines := strings.Split(table.String(), "\n")
	if at := strings.Index(lines[3], "VERDICT"); at < 0 || strings.Index(lines[4], Pass) != at || !strings.Contains(table.String(), "F8: 3 s") {
		t.Errorf("%s", table.String())
	}
}
