package main

import (
	"testing"

	"orderyard/configs"
	"orderyard/persistence"
)

// Proves that a full batch fits a record whatever is configured: the largest configurable one fits what a Log takes, and a server that takes less than is
// configured has the last word.
func TestFullBatchFitsARecord(t *testing.T) {
	cfg, _, err := configs.Parse(configs.Default(), "f", []byte("limits: {commit_bytes_max: 7MiB}"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if most := int(cfg.Limits.CommitBytesMax); most+persistence.RecordOverhead > persistence.PayloadMax {
		t.Errorf("%d bytes may be configured, a log takes %d", most, persistence.PayloadMax)
	}
	for _, c := range []struct{ recordMax, want int }{
		{8<<20 - 512, 7 << 20},
		{1<<20 - 512, 1<<20 - 512 - persistence.RecordOverhead},
	} {
		if got := runtimeLimits(cfg, c.recordMax).CommitBytesMax; got != c.want {
			t.Errorf("a server that takes records of %d bytes gets batches of %d, want %d", c.recordMax, got, c.want)
		}
	}
}
