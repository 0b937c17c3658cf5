//go:build fault && linux

package fault

import (
	"strings"
	"testing"
	"time"

	"orderyard/test/fault/world"
)

// TestF00Alone proves the suite itself on `orderyard dev`, a single process: load, history, writers and checks all see a kill -9 and find
// nothing wrong with it.
func TestF00Alone(t *testing.T) {
	row := results.Row("F0", "kill -9 of a single node with its NATS server", "all I")
	s := setUp(t, row, world.Options{Dev: true}, cast{})
	for range sized(3, 1) {
		n := s.w.Nodes[0]
		killed := time.Now()
		n.Kill()
		_, err := n.Restart()
		s.must("restart", err)
		back, err := s.probe.Everywhere(killed, time.Minute)
		s.must("commit again", err)
		row.Say("commits everywhere %v after kill -9", ms(back))
		time.Sleep(2 * time.Second) // some work between two kills
	}
	s.audit()
}

// TestF00Steady is the comparison for every other row: three nodes, the same load, no fault.
func TestF00Steady(t *testing.T) {
	row := results.Row("none", "three nodes, nothing broken, 15 s", "all I, no failed attempt")
	s := setUp(t, row, world.Options{Nodes: 3}, cast{})
	_, err := s.w.Balance(balanceIn, s.names()...)
	s.must("balance", err)
	before, commits, busy := time.Now(), s.sum("orderyard_commits_total"), s.sum("orderyard_commit_seconds_total")
	time.Sleep(15 * time.Second) // what is measured
	now := time.Now()
	commits, busy = s.sum("orderyard_commits_total")-commits, s.sum("orderyard_commit_seconds_total")-busy
	row.Say("%v; %.0f commits/s of %.1f ms", s.load.Between(before, now), commits/now.Sub(before).Seconds(), 1000*busy/max(commits, 1))
	s.unnoticed("doing nothing", before, now)
	for _, n := range s.w.Nodes {
		s.require(!strings.Contains(n.Said(), "level=ERROR"), "%s reports an error though nothing is broken:\n%s", n.Name, n.Said())
	}
	s.audit()
}
