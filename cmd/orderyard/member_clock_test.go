package main

import (
	"fmt"
	"testing"

	"orderyard/cluster"
)

// Proves that a small cluster asks everybody who lives, and that in a large one every clock is asked by the same number of nodes.
func TestClocksToAsk(t *testing.T) {
	sessions := func(n int) (list []cluster.SessionAt) {
		for i := range n {
			list = append(list, cluster.SessionAt{Incarnation: fmt.Sprintf("n%03d", i)})
		}
		return list
	}
	few := sessions(4)
	few[2].State = cluster.SessionLapsed
	if got := fmt.Sprint(clocksToAsk(few, "n001")); got != "[n003 n000]" {
		t.Errorf("of four, one of them gone: %s", got)
	}
	if got := clocksToAsk(nil, "n001"); len(got) != 0 {
		t.Errorf("of nobody: %v", got)
	}
	asked := map[string]int{}
	many := sessions(100)
	for _, s := range many {
		for _, peer := range clocksToAsk(many, s.Incarnation) {
			if peer == s.Incarnation {
				t.Errorf("%s asks itself", peer)
			}
			asked[peer]++
		}
	}
	for _, s := range many {
		if asked[s.Incarnation] != clocksMax {
			t.Errorf("%s is asked by %d", s.Incarnation, asked[s.Incarnation])
		}
	}
}
