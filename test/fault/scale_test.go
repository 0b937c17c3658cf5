//go:build fault && linux

package fault

import (
	"fmt"
	"testing"
	"time"

	"orderyard/test/fault/client"
	"orderyard/test/fault/world"
)

// addedMax bounds what a planned step may add: to the 99th percentile of requests, and to the longest silence of a partition.
const addedMax = 250 * time.Millisecond

// TestF18Scale proves that nodes come and go under load without a failed request: 1 → 3 → 5 → 2, the short run 1 → 3 → 1. No attempt of
// any client may be refused or unanswered, the time added must be small, and the partitions must be even to one.
func TestF18Scale(t *testing.T) {
	steps := []int{3, 5, 2}
	if testing.Short() {
		steps = []int{3, 1}
	}
	row := results.Row("F18", fmt.Sprintf("scale 1 → %v under load", steps), "0 errors; added p99 ≤ 250 ms; balance ±1")
	s := setUp(t, row, world.Options{Nodes: 1}, cast{})
	worst := calm{}
	for _, n := range steps {
		worst = worst.with(s.calmly(fmt.Sprintf("to %d nodes", n), func() { s.scale(n) }))
	}
	row.Lead("%v", worst)
	s.audit()
}

// TestF18Rolling proves the same for a restart of all nodes, one after the other, as for an upgrade.
func TestF18Rolling(t *testing.T) {
	full(t)
	row := results.Row("F18r", "rolling restart of three nodes under load", "0 errors; added p99 ≤ 250 ms; balance ±1")
	s := setUp(t, row, world.Options{Nodes: 3}, cast{})
	_, err := s.w.Balance(balanceIn, s.names()...)
	s.must("balance", err)
	worst := calm{}
	for _, n := range s.w.Nodes {
		worst = worst.with(s.calmly("restart of "+n.Name, func() {
			left, err := n.Leave()
			s.must("leave", err)
			took, err := n.Restart()
			s.must("restart", err)
			row.Say("%s left in %v and was ready again in %v", n.Name, ms(left), ms(took))
			_, err = s.w.Balance(balanceIn, s.names()...)
			s.must("balance", err)
		}))
	}
	row.Lead("%v", worst)
	s.audit()
}

// calm is how little a step was felt.
type calm struct {
	failed       int
	added, pause time.Duration
}

func (c calm) with(d calm) calm {
	return calm{c.failed + d.failed, max(c.added, d.added), max(c.pause, d.pause)}
}

func (c calm) String() string {
	return fmt.Sprintf("%d attempts failed; worst step: p99 + %v, silence of partitions p99 + %v", c.failed, ms(c.added), ms(c.pause))
}

// scale starts or ends nodes until n run, and waits for balance. Those that go, go as an operator sends them: the first by `cluster
// drain`, then SIGTERM; the others by SIGTERM alone.
func (s *scene) scale(n int) {
	s.Helper()
	for len(s.names()) < n {
		added, err := s.w.Add()
		s.must("add a node", err)
		s.must("start "+added.Name, added.AwaitReady(balanceIn))
	}
	drained := false
	for running := s.names(); len(running) > n; running = s.names() {
		last := s.w.Node(running[len(running)-1])
		if !drained {
			drained = true
			code, out, errs, err := s.w.Run(balanceIn, "cluster", "drain", last.Name)
			s.must("drain", err)
			s.require(code == 0, "cluster drain: exit %d: %s%s", code, out, errs)
		}
		_, err := last.Leave()
		s.must("leave", err)
	}
	took, err := s.w.Balance(balanceIn, s.names()...)
	s.must("balance", err)
	s.row.Say("%d nodes in balance, the last step took %v", n, ms(took))
}

// calmly does something to the cluster that no client may notice, and measures whether one did.
func (s *scene) calmly(what string, do func()) calm {
	s.Helper()
	before := time.Now()
	time.Sleep(5 * time.Second) // the baseline
	began := time.Now()
	do()
	time.Sleep(time.Second) // what is late belongs to it
	ended := time.Now()
	quiet, busy := s.load.Between(before, began), s.load.Between(began, ended)
	added := busy.P99 - quiet.P99
	usual, _, _ := spread(s.probe.Gaps(before, began)) // the writers' own pace and what the machine adds to it
	p50, p99, longest := spread(s.probe.Gaps(began, ended))
	s.row.Say("%s in %v: p99 %v → %v; longest silence per partition p50 %v, p99 %v, max %v, usually %v; %v", what, ended.Sub(began).Round(time.Millisecond),
		ms(quiet.P99), ms(busy.P99), ms(p50), ms(p99), ms(longest), ms(usual), busy)
	failed := s.unnoticed(what, began, ended)
	s.require(added <= addedMax, "%s added %v to p99, at most %v", what, ms(added), ms(addedMax))
	s.require(p99-usual <= addedMax, "%s: partitions were silent %v longer than usual (p99), at most %v", what, ms(p99-usual), ms(addedMax))
	return calm{failed, added, max(p99-usual, 0)}
}

// unnoticed requires that between two moments no attempt of anybody was refused, lost or failed.
func (s *scene) unnoticed(what string, from, to time.Time) (failed int) {
	s.Helper()
	for _, who := range []struct {
		name   string
		counts client.Counts
	}{{"clients", s.ask.Tally.Between(from, to)}, {"writers", s.probe.Tally().Between(from, to)}} {
		bad := who.counts.Unanswered() + who.counts.Bad()
		s.require(bad == 0, "%s: %d of %d attempts of %s failed: %v", what, bad, who.counts.All(), who.name, who.counts)
		failed += bad
	}
	return failed
}
