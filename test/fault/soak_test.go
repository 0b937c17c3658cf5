//go:build fault && linux

package fault

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"orderyard/test/fault/load"
	"orderyard/test/fault/world"
)

// soakFor is the default; FAULT_SUITE_SOAK may say another time.
const soakFor = 10 * time.Minute

// What a node may take more in the last third than in the second, beside what the orders of that time weigh.
const (
	goroutinesMore = 100
	filesMore      = 20
	residentMore   = 64 << 20
	perOrderBytes  = 8 << 10
)

// sample is what one node took at a moment.
type sample struct {
	world.Usage
	at     time.Time
	orders int
}

// TestSoak proves that nothing leaks: ten minutes of load with a random fault every now and then, while one node that is never killed is
// watched. Its goroutines, files and memory must not grow from the second third to the last.
func TestSoak(t *testing.T) {
	full(t)
	lasts := soakFor
	if text := os.Getenv("FAULT_SUITE_SOAK"); text != "" {
		var err error
		if lasts, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	row := results.Row("soak", fmt.Sprintf("%v with random kills and pauses", lasts), "all I; no growth of goroutines, files, memory")
	// An eager collector: what the process takes shall be what lives.
	s := setUp(t, row, world.Options{Nodes: 3, NodeEnv: []string{"GOGC=50"}}, cast{load: load.Options{Interval: 100 * time.Millisecond}})
	s.long = true
	rng := rand.New(rand.NewPCG(uint64(s.began.UnixNano()), 1))
	samples := map[string][]sample{}
	end := time.Now().Add(lasts)
	faults := map[string]int{}
	for time.Now().Before(end) {
		s.calm(samples, 5+rng.IntN(10))
		faults[s.mischief(rng)]++
		_, err := s.w.Balance(balanceIn, s.names()...)
		s.must("balance", err)
	}
	row.Say("faults %v", faults)
	for _, n := range s.w.Nodes {
		s.thirds(n.Name, samples[n.Name], n == s.w.Nodes[0])
	}
	s.audit()
}

// calm lets the cluster work for some seconds and takes samples.
func (s *scene) calm(samples map[string][]sample, seconds int) {
	s.Helper()
	for range seconds {
		time.Sleep(time.Second) // the soak itself
		for _, n := range s.w.Nodes {
			u, err := n.Usage()
			s.must("usage", err)
			if u.Goroutines > 0 {
				samples[n.Name] = append(samples[n.Name], sample{u, time.Now(), s.load.Acknowledged()})
			}
		}
	}
}

// mischief does one thing of many. The first node is never killed.
func (s *scene) mischief(rng *rand.Rand) string {
	s.Helper()
	n := s.w.Nodes[1+rng.IntN(len(s.w.Nodes)-1)]
	switch rng.IntN(6) {
	case 0, 1:
		n.Kill()
		_, err := n.Restart()
		s.must("restart", err)
		return "kill"
	case 2:
		_, err := n.Leave()
		s.must("leave", err)
		_, err = n.Restart()
		s.must("restart", err)
		return "leave"
	case 3:
		n = s.w.Nodes[rng.IntN(len(s.w.Nodes))]
		pause := time.Duration(rng.IntN(6000)) * time.Millisecond
		s.must("pause", n.Pause())
		time.Sleep(pause) // the pause is the subject
		s.must("resume", n.Resume())
		return "pause"
	case 4:
		s.w.Servers[0].Kill()
		s.must("restart NATS", s.w.Servers[0].Start())
		return "NATS"
	}
	return "nothing"
}

// thirds compares the middle of a node's samples with the end.
func (s *scene) thirds(name string, list []sample, judged bool) {
	s.Helper()
	if len(list) < 9 {
		s.row.Say("%s: %d samples", name, len(list))
		return
	}
	n := len(list) / 3
	middle, last := list[n:2*n], list[2*n:]
	median := func(list []sample, of func(sample) int64) int64 {
		var values []int64
		for _, one := range list {
			values = append(values, of(one))
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	orders := int64(last[len(last)-1].orders - middle[0].orders)
	for _, what := range []struct {
		name string
		of   func(sample) int64
		more int64
		unit int64
	}{
		{"goroutines", func(u sample) int64 { return int64(u.Goroutines) }, goroutinesMore, 1},
		{"files", func(u sample) int64 { return int64(u.Files) }, filesMore, 1},
		{"MiB", func(u sample) int64 { return u.ResidentBytes }, residentMore + perOrderBytes*orders, 1 << 20},
	} {
		first, then, now := median(list[:n], what.of), median(middle, what.of), median(last, what.of)
		s.row.Say("%s: %d, %d, %d %s by thirds", name, first/what.unit, then/what.unit, now/what.unit, what.name)
		s.require(!judged || now-then <= what.more, "%s grew from %d to %d %s", name, then/what.unit, now/what.unit, what.name)
	}
}
