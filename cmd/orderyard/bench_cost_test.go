package main

import (
	"testing"

	"github.com/google/pprof/profile"
)

// Proves that each sample counts once, for the first part of the list that is on its stack, wherever it is there; that allocation is told apart;
// and that what belongs to nobody is the rest.
func TestCostOf(t *testing.T) {
	sample := func(ns int64, stack ...string) *profile.Sample {
		s := &profile.Sample{Value: []int64{1, ns}}
		for _, name := range stack { // leaf first
			s.Location = append(s.Location, &profile.Location{Line: []profile.Line{{Function: &profile.Function{Name: name}}}})
		}
		return s
	}
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		Sample: []*profile.Sample{
			sample(5, "runtime.memmove", "orderyard/actors/entity.(*Core).Step", "orderyard/actors/entity.(*mailbox).run"),
			sample(7, "runtime.mallocgc", "orderyard/actors/order.Decide", "orderyard/actors/entity.(*Core).Step"),
			sample(11, "orderyard/actors/entity.(*mailbox).run"),
			sample(13, "runtime.gcAssistAlloc", "runtime.mallocgc", "orderyard/actors/entity.(*Core).Step"),
			sample(17, "runtime.findRunnable"),
		},
	}
	lines, total, err := costOf(p)
	if err != nil || total != 53 {
		t.Fatalf("%d in all, %v", total, err)
	}
	want := map[string][2]int64{
		costRest: {17, 0}, "collector": {13, 13}, "decide: order, bucket, site": {12, 7}, "actors: mailboxes, partitions": {11, 0},
	}
	if len(lines) != len(want) || lines[0].part != costRest {
		t.Fatalf("%+v", lines)
	}
	for _, l := range lines {
		if w := want[l.part]; l.total != w[0] || l.allocated != w[1] {
			t.Errorf("%s: %d, of it %d allocating, want %v", l.part, l.total, l.allocated, w)
		}
	}
	if _, _, err := costOf(&profile.Profile{}); err == nil {
		t.Error("a profile without processor times was read")
	}
}
