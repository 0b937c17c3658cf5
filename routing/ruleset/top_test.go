package ruleset_test

import (
	"slices"
	"testing"

	"orderyard/routing/ruleset"
)

// TestTop proves that a run which is asked for the best few puts just those in front that a full ranking has there, in the same order.
func TestTop(t *testing.T) {
	for _, file := range []string{"default", "cost", "clear_stock"} {
		c := load(t, rulesDir+"/"+file+".yaml")
		o, sites := shopper(3), network(100, 3)
		var full, few ruleset.Run
		full.Begin(c, o, benchNow)
		m := full.Route()
		full.Try(m.Route, 0, sites)
		for k := 1; k < 60; k++ {
			few.Top(k)
			few.Begin(c, o, benchNow)
			few.Try(m.Route, 0, sites)
			want, got := full.Ranking(), few.Ranking()
			n := min(k, len(want))
			if len(got) != len(want) || !slices.Equal(got[:n], want[:n]) {
				t.Fatalf("%s, the best %d: %v, want %v", file, k, got[:n], want[:n])
			}
			rest := slices.Sorted(slices.Values(got))
			if !slices.Equal(rest, slices.Sorted(slices.Values(want))) {
				t.Fatalf("%s, the best %d: candidates were lost", file, k)
			}
		}
	}
}
