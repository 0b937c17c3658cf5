package benchmark

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	published   = flag.String("published", "", "run the published benchmark on this network")
	instances   = flag.Int("instances", 30, "instances of the published benchmark")
	sequences   = flag.Int("sequences", 30, "sequences per instance")
	seed        = flag.Uint64("seed", 1, "the seed all others follow from")
	rounds      = flag.Int("rounds", 300, "rounds for the first prices and the bounds")
	only        = flag.String("policies", "", "only these policies, with semicolons between them")
	clairvoyant = flag.Bool("clairvoyant", true, "bound the clairvoyant too")
)

// solveCBC runs the open-source solver on a program.
func solveCBC(program []byte) (LP, error) {
	dir, err := os.MkdirTemp("", "dlp")
	if err != nil {
		return LP{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	in, out := filepath.Join(dir, "program.lp"), filepath.Join(dir, "solution.txt")
	if err := os.WriteFile(in, program, 0o600); err != nil {
		return LP{}, err
	}
	if text, err := exec.Command("cbc", append([]string{in}, CBCArguments(out)...)...).CombinedOutput(); err != nil {
		return LP{}, fmt.Errorf("cbc: %w: %s", err, text)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		return LP{}, err
	}
	return ReadCBC(text)
}

func haveCBC() bool {
	_, err := exec.LookPath("cbc")
	return err == nil
}

// TestPublished is run by hand: go test -timeout 0 -v -run TestPublished ./routing/shadow/benchmark -args -published small
func TestPublished(t *testing.T) {
	if *published == "" {
		t.Skip("run by hand with -published small, big-50 or big-25")
	}
	begin := time.Now()
	o := Options{
		Network: *published, Instances: *instances, Sequences: *sequences, Seed: *seed, Rounds: *rounds, Clairvoyant: *clairvoyant,
		Clock: func() time.Duration { return time.Since(begin) },
	}
	if *only != "" {
		o.Policies = strings.Split(*only, ";")
	}
	if haveCBC() && *published == "small" {
		o.SolveLP = solveCBC
	}
	report, err := Run(o, func(done, of int) {
		t.Logf("%d of %d instances after %v", done, of, time.Since(begin).Round(time.Second))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", report.Markdown())
}
