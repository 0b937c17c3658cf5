package main

import (
	"context"
	"testing"
	"time"

	"orderyard/persistence/memory"
)

// BenchmarkVerify audits a generated journal of about 900,000 events in memory: what the audit costs without a server. Beside events/s it gives
// the CPU per event, which other work on the machine moves less.
func BenchmarkVerify(b *testing.B) {
	store := memory.New()
	f := newFiller(store, fillPlan{Orders: 50_000, Buckets: 50_000, Partitions: 16})
	if err := f.fill(context.Background()); err != nil {
		b.Fatal(err)
	}
	tuneAuditMemory()
	used := cpuUsed()
	for b.Loop() {
		v, err := verifyOnce(context.Background(), store, verifyOptions{now: func() int64 { return time.Now().UnixMilli() }})
		if err != nil || !v.Settled || len(v.Violations) > 0 || v.Events != f.events {
			b.Fatal(v, err)
		}
	}
	events := float64(f.events) * float64(b.N)
	b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64((cpuUsed()-used).Microseconds())/events, "cpu-µs/event")
}
