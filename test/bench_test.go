package test

import (
	"encoding/json"
	"testing"
)

// Proves that the benchmarks of memory and audit run on a small yard as they do on a large one: a node weighs what it holds, is back with every order
// after kill -9, and the audits find nothing.
func TestBenchmarksOfALargeYardRun(t *testing.T) {
	var m struct {
		Full struct {
			Entities int64 `json:"entities"`
			Peak     int64 `json:"rss_peak_bytes"`
			Heap     int64 `json:"heap_live_bytes"`
		} `json:"full"`
		Again struct {
			Entities int64   `json:"entities"`
			Ready    float64 `json:"ready_seconds"`
		} `json:"after_kill"`
		Audit report `json:"audit"`
	}
	code, out, errs := run(t, "bench", "memory", "--orders", "300", "--buckets", "200", "--partitions", "2", "--tail", "50", "--rest", "100ms", "--data", t.TempDir(), "-o", "json")
	if err := json.Unmarshal([]byte(out), &m); err != nil || code != 0 {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	if m.Full.Entities != 301 || m.Again.Entities != 302 || m.Full.Heap == 0 || m.Full.Peak < m.Full.Heap || m.Again.Ready <= 0 || m.Audit.Events == 0 || len(m.Audit.Violations) > 0 {
		t.Errorf("%+v\n%s", m, errs)
	}

	var v struct {
		Events int64  `json:"events"`
		Audit  report `json:"audit"`
	}
	code, out, errs = run(t, "bench", "verify", "--orders", "300", "--buckets", "200", "--partitions", "2", "--rounds", "1", "--data", t.TempDir(), "-o", "json")
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	if v.Events == 0 || v.Audit.Events != v.Events || !v.Audit.Settled || len(v.Audit.Violations) > 0 {
		t.Errorf("%+v\n%s", v, errs)
	}
}
