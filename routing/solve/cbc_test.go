package solve

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	cbcInstances = flag.Int("cbc", 60, "how many instances CBC solves as well")
	cbcFirst     = flag.Int("cbcfirst", 0, "the seed of the first of them")
)

// versus is one instance with both answers.
type versus struct {
	seed     int
	p        *Problem
	ours     []int64 // units short, then the levels
	bound    []int64
	found    []int64       // what CBC's sites cost, counted in integers
	took     time.Duration // by Solve
	reported time.Duration // what CBC says its solving took, in steps of 10 ms
	process  time.Duration // of the CBC process from its start to its end: reading, solving and writing
	cpu      time.Duration // of the processor, by the CBC process
}

// drawVersus makes the instance of a seed. Every fourth has two levels: the number of sites or the days a shipment takes, then the cost.
func drawVersus(seed int) *versus {
	r := rand.New(rand.NewPCG(uint64(seed), 11))
	p := drawLarge(r, 1+r.IntN(20), 1+r.IntN(50))
	if seed%4 == 3 {
		first := Level{Fixed: make([]int64, p.Sites)}
		for j := range first.Fixed {
			first.Fixed[j] = 1
		}
		if seed%8 == 7 {
			first.Cost = make([]int64, len(p.Levels[0].Cost))
			for at, c := range p.Levels[0].Cost {
				first.Cost[at] = c / 700
			}
		}
		p.Levels = []Level{first, p.Levels[0]}
	}
	return &versus{seed: seed, p: p}
}

// weights are an objective of a program: the level k of the problem, and what a unit short costs.
type weights struct {
	k     int // −1 = units short alone
	short int64
}

// rounds is how often CBC must solve an instance: once when its only level finds room behind the units short, else once for every level.
func (v *versus) rounds() int {
	if len(v.p.Levels) == 1 {
		return 1
	}
	return 1 + len(v.p.Levels)
}

// objective is that of a round.
func (v *versus) objective(round int) weights {
	if v.rounds() > 1 {
		return weights{round - 1, 0}
	}
	m, l := len(v.p.Items), &v.p.Levels[0]
	short := int64(1) // more than everything else together
	for i := range m {
		top := int64(0)
		for j := range v.p.Sites {
			top = max(top, l.Cost[j*m+i])
		}
		short += top * v.units(i)
	}
	fixed := slices.Sorted(slices.Values(l.Fixed))
	for _, f := range fixed[max(0, len(fixed)-v.p.SitesMax):] {
		short += f
	}
	return weights{0, short}
}

// units is how often the cost of an item is paid.
func (v *versus) units(i int) int64 {
	if v.p.Items[i].Whole {
		return 1
	}
	return v.p.Items[i].Quantity
}

// program writes a round's program in LP format: y says whether a site gives, x how much of an item it gives (a whole item: the share), z how
// much nobody gives. What earlier rounds found is kept as rows.
func (v *versus) program(round int) []byte {
	var b bytes.Buffer
	p, m := v.p, len(v.p.Items)
	b.WriteString("Minimize\n obj:\n")
	v.terms(&b, v.objective(round))
	b.WriteString("Subject To\n")
	for done := range round {
		fmt.Fprintf(&b, " done%d:\n", done)
		v.terms(&b, v.objective(done))
		fmt.Fprintf(&b, " <= %d\n", v.found[done])
	}
	for i := range m {
		fmt.Fprintf(&b, " all%d: z%d", i, i)
		for j := range p.Sites {
			if v.can(j, i) > 0 {
				fmt.Fprintf(&b, "\n + x%d_%d", j, i)
			}
		}
		fmt.Fprintf(&b, " = %d\n", v.units(i))
		for j := range p.Sites {
			if units := v.can(j, i); units > 0 {
				fmt.Fprintf(&b, " uses%d_%d: x%d_%d - %d y%d <= 0\n", j, i, j, i, units, j)
			}
		}
	}
	givers := v.givers()
	if p.SitesMax < len(givers) {
		b.WriteString(" sites:")
		for _, j := range givers {
			fmt.Fprintf(&b, "\n + y%d", j)
		}
		fmt.Fprintf(&b, " <= %d\n", p.SitesMax)
	}
	for k, j := range givers {
		if k == 0 {
			b.WriteString("Binaries\n")
		}
		fmt.Fprintf(&b, " y%d\n", j)
	}
	b.WriteString("End\n")
	return b.Bytes()
}

// can is how much of an item a site can give, in the units of the program.
func (v *versus) can(site, i int) int64 {
	units, it := v.p.Cap[site*len(v.p.Items)+i], v.p.Items[i]
	if !it.Whole {
		return min(units, it.Quantity)
	}
	if units < it.Quantity {
		return 0
	}
	return 1
}

func (v *versus) terms(b *bytes.Buffer, w weights) {
	p, m := v.p, len(v.p.Items)
	for i := range m {
		short := w.short
		if w.k < 0 {
			short = 1
		}
		fmt.Fprintf(b, " + %d z%d\n", short*(p.Items[i].Quantity/v.units(i)), i)
		for j := 0; w.k >= 0 && p.Levels[w.k].Cost != nil && j < p.Sites; j++ {
			if v.can(j, i) > 0 {
				fmt.Fprintf(b, " + %d x%d_%d\n", p.Levels[w.k].Cost[j*m+i], j, i)
			}
		}
	}
	if w.k >= 0 {
		for _, j := range v.givers() {
			fmt.Fprintf(b, " + %d y%d\n", p.Levels[w.k].Fixed[j], j)
		}
	}
}

// givers are the sites that can give anything. CBC dies of a program that names others.
func (v *versus) givers() (sites []int) {
	for j := range v.p.Sites {
		for i := range v.p.Items {
			if v.can(j, i) > 0 {
				sites = append(sites, j)
				break
			}
		}
	}
	return sites
}

// count is what the sites cost when they give everything as cheaply as they can, in integers.
func (v *versus) count(sites []int, levels []Level) []int64 {
	value, _ := v.assign(sites, levels)
	return value
}

// assign gives everything to the sites as cheaply as they can, by sorting and nothing else, and says who of them gives. Discounts are left out.
func (v *versus) assign(sites []int, levels []Level) (value []int64, used []bool) {
	p, m := v.p, len(v.p.Items)
	value, used = make([]int64, 1+len(levels)), make([]bool, p.Sites)
	for i := range m {
		by := slices.Clone(sites)
		slices.SortStableFunc(by, func(a, b int) int {
			for k := range levels {
				if l := &levels[k]; l.Cost != nil && l.Cost[a*m+i] != l.Cost[b*m+i] {
					return cmp.Compare(l.Cost[a*m+i], l.Cost[b*m+i])
				}
			}
			return 0
		})
		left := v.units(i)
		for _, j := range by {
			n := min(left, v.can(j, i))
			left -= n
			used[j] = used[j] || n > 0
			for k := range levels {
				if levels[k].Cost != nil {
					value[1+k] += n * levels[k].Cost[j*m+i]
				}
			}
		}
		value[0] += left * (p.Items[i].Quantity / v.units(i))
	}
	for _, j := range sites {
		for k := range levels {
			if used[j] {
				value[1+k] += levels[k].Fixed[j]
			}
		}
	}
	return value, used
}

// cbc solves a round of an instance. One process for each: CBC 2.10 that imports a second program answers nonsense now and then.
func (v *versus) cbc(dir string, round int) error {
	in, out := filepath.Join(dir, "program.lp"), filepath.Join(dir, "solution.txt")
	if err := os.WriteFile(in, v.program(round), 0o600); err != nil {
		return err
	}
	process := exec.Command("cbc", in, "-ratioGap", "0", "-allowableGap", "0", "-integerTolerance", "1e-9", "-solve", "-solution", out, "-quit")
	began := time.Now()
	said, err := process.Output()
	if err != nil {
		return err
	}
	v.process += time.Since(began)
	v.cpu += process.ProcessState.UserTime() + process.ProcessState.SystemTime()
	for line := range strings.Lines(string(said)) {
		if text, ok := strings.CutPrefix(line, "Time (Wallclock seconds):"); ok {
			seconds, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				return err
			}
			v.reported += time.Duration(seconds * float64(time.Second))
		}
	}
	text, err := os.ReadFile(out)
	if err != nil {
		return err
	}
	if err := os.Remove(out); err != nil {
		return err
	}
	return v.read(round, string(text))
}

// read takes the sites from a solution and counts what they cost.
func (v *versus) read(round int, text string) error {
	if !strings.HasPrefix(text, "Optimal") {
		return fmt.Errorf("CBC says %q", strings.SplitN(text, "\n", 2)[0])
	}
	var sites []int
	for _, line := range strings.Split(text, "\n")[1:] {
		f := strings.Fields(line)
		if len(f) != 4 || f[1][0] != 'y' {
			continue
		}
		if x, err := strconv.ParseFloat(f[2], 64); err != nil {
			return err
		} else if x > 0.5 {
			j, err := strconv.Atoi(f[1][1:])
			if err != nil {
				return err
			}
			sites = append(sites, j)
		}
	}
	slices.Sort(sites)
	if len(sites) > v.p.SitesMax {
		return fmt.Errorf("%d sites, %d allowed", len(sites), v.p.SitesMax)
	}
	if v.rounds() == 1 {
		v.found = v.count(sites, v.p.Levels)
	} else {
		v.found = append(v.found[:round], v.count(sites, v.p.Levels[:round])[round])
	}
	return nil
}

// tally is what a comparison comes to.
type tally struct {
	all                    []*versus
	unlike, unproven, high int
}

// line compares the times of Solve with one way to measure those of CBC.
func (t *tally) line(name string, of func(*versus) time.Duration) string {
	var ours, theirs time.Duration
	var times []time.Duration
	var ratios []float64
	slower, nothing := 0, 0
	for _, v := range t.all {
		took := of(v)
		ours, theirs = ours+v.took, theirs+took
		times, ratios = append(times, took), append(ratios, float64(took)/float64(v.took))
		if took == 0 {
			nothing++
		} else if took < v.took {
			slower++
		}
	}
	slices.Sort(times)
	slices.Sort(ratios)
	n := len(times)
	return fmt.Sprintf("%-14s p50 %9v, p99 %9v, max %9v, total %11v: ÷ Solve %.2f at the median, %.2f at p1, %.2f in total; Solve slower in %d, and %d read as 0\n",
		name, times[n/2].Round(time.Microsecond), times[n*99/100].Round(time.Microsecond), times[n-1].Round(time.Microsecond),
		theirs.Round(time.Millisecond), ratios[n/2], ratios[n/100], theirs.Seconds()/ours.Seconds(), slower, nothing)
}

func (t *tally) String() string {
	text := fmt.Sprintf("%d instances, %d unlike, %d not proven, %d bounds too high\n", len(t.all), t.unlike, t.unproven, t.high) + t.lines()
	large := &tally{}
	for _, v := range t.all {
		if len(v.p.Items) >= 15 && v.p.Sites >= 40 {
			large.all = append(large.all, v)
		}
	}
	if len(large.all) > 0 {
		text += fmt.Sprintf("the %d of them with at least 15 items and 40 sites\n", len(large.all)) + large.lines()
	}
	return text
}

func (t *tally) lines() string {
	return t.line("Solve", func(v *versus) time.Duration { return v.took }) +
		t.line("CBC, reported", func(v *versus) time.Duration { return v.reported }) +
		t.line("CBC, processor", func(v *versus) time.Duration { return v.cpu }) +
		t.line("CBC, process", func(v *versus) time.Duration { return v.process })
}

// check solves an instance both ways and compares.
func (t *tally) check(s *Solver, v *versus, dir string) error {
	began := time.Now()
	got := s.Solve(v.p)
	v.took = time.Since(began)
	v.ours = append([]int64{got.Best.Short}, got.Best.Levels...)
	v.bound = append([]int64{got.BoundShort}, got.Bound...)
	if !got.Best.Found {
		v.ours = v.count(nil, v.p.Levels)
	}
	if !got.Exact {
		t.unproven++
	}
	for round := range v.rounds() {
		if err := v.cbc(dir, round); err != nil {
			return fmt.Errorf("seed %d, round %d: %w", v.seed, round, err)
		}
	}
	t.all = append(t.all, v)
	if slices.Compare(v.bound, v.found) > 0 {
		t.high++
		return fmt.Errorf("seed %d: the bound %v is above what CBC found, %v", v.seed, v.bound, v.found)
	}
	if !slices.Equal(v.ours, v.found) {
		t.unlike++
		return fmt.Errorf("seed %d: Solve says %v, CBC found %v", v.seed, v.ours, v.found)
	}
	return nil
}

// Proves that the optimum is what an independent solver of integer programs finds, and that the bound is never above it: random instances of up to
// 20 items and 50 sites, one or two levels behind the units short. By hand, with the times:
// go test -timeout 0 -v -run TestCBC ./routing/solve -args -cbc 10000
func TestCBC(t *testing.T) {
	if _, err := exec.LookPath("cbc"); err != nil {
		t.Skip("cbc is not installed")
	}
	dir := t.TempDir()
	var s Solver
	s.Solve(drawVersus(*cbcFirst).p) // so that none of those measured pays for the first pages
	var sum tally
	for k := range *cbcInstances {
		if err := sum.check(&s, drawVersus(*cbcFirst+k), dir); err != nil {
			t.Error(err)
		}
		if (k+1)%500 == 0 {
			t.Logf("\n%s", &sum)
		}
	}
	t.Logf("\n%s", &sum)
}
