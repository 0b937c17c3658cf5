package sim

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	seedFlag  = flag.Uint64("sim.seed", 0, "run this seed alone and print its history")
	seedsFlag = flag.Int("sim.seeds", 600, "how many seeds to run")
	firstFlag = flag.Uint64("sim.first", 1, "the first of them")
	bugFlag   = flag.String("sim.bug", "", "plant this fault")
)

// Proves that every invariant holds over many seeds of a whole cluster, whatever crashes, pauses, gets lost, is cut off or arrives twice; a failing
// seed prints how to see it again.
func TestSeeds(t *testing.T) {
	if *seedFlag != 0 {
		r := Run(*seedFlag, Options{Bug: *bugFlag, Trace: func(line string) { fmt.Fprintln(os.Stdout, line) }})
		report(t, &r)
		t.Logf("%+v", r)
		return
	}
	n, first := *seedsFlag, *firstFlag
	if os.Getenv("ORDERYARD_SIM_FRESH") != "" {
		first = uint64(time.Now().UnixNano())
		t.Logf("fresh seeds from %d", first)
	}
	if testing.Short() {
		n /= 10
	}
	began, bad := time.Now(), 0
	sum, ran := Seeds(first, n, Options{Bug: *bugFlag}, func(r *Result) bool {
		report(t, r)
		if len(r.Violations) > 0 {
			bad++
		}
		return bad < 10
	})
	took := time.Since(began)
	t.Logf("%d seeds in %v, %.0f × real time: %+v", ran, took.Round(time.Millisecond), float64(sum.Millis)/float64(took.Milliseconds()), sum)
}

// regression is a seed that once found something, with what it found.
type regression struct {
	Seed     uint64   `json:"seed"`
	Nodes    int      `json:"nodes"`
	NoSweeps bool     `json:"no_sweeps"`
	Faults   []string `json:"faults"`
	Found    string   `json:"found"`
}

// Proves that seeds which once found something find nothing any more: testdata/regressions has one file per finding.
func TestRegressions(t *testing.T) {
	files, err := filepath.Glob("testdata/regressions/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no regressions: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var one regression
			if err := json.Unmarshal(text, &one); err != nil || one.Seed == 0 || one.Found == "" {
				t.Fatalf("%s: %+v, %v", file, one, err)
			}
			r := Run(one.Seed, Options{Nodes: one.Nodes, NoSweeps: one.NoSweeps, Faults: one.Faults})
			report(t, &r)
		})
	}
}

// Proves that the same seed gives the same history, to the last byte: otherwise a failing seed could not be looked at.
func TestSeedGivesOneHistory(t *testing.T) {
	for seed := uint64(1); seed <= 8; seed++ {
		if a, b := Run(seed, Options{}), Run(seed, Options{}); a.Hash != b.Hash || a.Steps != b.Steps {
			t.Errorf("seed %d: %d steps, hash %x; again %d steps, hash %x", seed, a.Steps, a.Hash, b.Steps, b.Hash)
		}
	}
}

// bugSeedsMax is within how many seeds every planted fault must be found.
const bugSeedsMax = 2_000

// Proves that the checks are not blind: each fault that is planted in the nodes is found, by a seed that finds nothing without it.
func TestPlantedBugsAreFound(t *testing.T) {
	for _, bug := range Bugs() {
		t.Run(bug, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= bugSeedsMax; seed++ {
				r := Run(seed, Options{Bug: bug})
				if len(r.Violations) == 0 {
					continue
				}
				if clean := Run(seed, Options{}); len(clean.Violations) > 0 {
					report(t, &clean)
				}
				t.Logf("seed %d: %v", seed, r.Violations[0])
				return
			}
			t.Fatalf("%d seeds went through unnoticed", bugSeedsMax)
		})
	}
}

func report(t *testing.T, r *Result) {
	t.Helper()
	for i, v := range r.Violations {
		if i == 5 {
			t.Errorf("seed %d: … and %d more", r.Seed, len(r.Violations)-i)
			break
		}
		t.Errorf("seed %d: %v", r.Seed, v)
	}
	if len(r.Violations) > 0 {
		t.Logf("see it again: go test ./sim -run TestSeeds -sim.seed=%d", r.Seed)
	}
}
