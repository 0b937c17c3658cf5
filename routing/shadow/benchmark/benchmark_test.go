package benchmark

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"orderyard/routing/shadow"
)

func network(t *testing.T, name string) Network {
	t.Helper()
	n, err := NetworkOf(name)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestCheckValues proves that distances and costs are the published ones, by the values printed with the benchmark for city 1.
func TestCheckValues(t *testing.T) {
	in := NewInstance(network(t, "small"), 1)
	want := map[string]float64{"OAK4": 2517.39, "IND1": 657.17, "AVP3": 91.34, "CAE1": 610.02, "DFW7": 1394.24}
	for k, c := range in.Centers {
		if got := in.Miles[k][0]; math.Abs(got-want[c.ID]) > 0.01 {
			t.Errorf("%s to %s: %.3f miles, want %.2f", in.Cities[0].ID, c.ID, got, want[c.ID])
		}
		if c.ID == "AVP3" && (in.Unit[0][k]+50)/100 != 4724 {
			t.Errorf("an item from AVP3 costs %d micro-dollars, want 0.4724", in.Unit[0][k])
		}
		t.Logf("city 1 from %s: %.2f miles, %.4f dollars per item", c.ID, in.Miles[k][0], float64(in.Unit[0][k])/1e6)
	}
	if got := in.Unit[0][in.Virtual()]; (got+50)/100 != 35698 {
		t.Errorf("an unfulfilled item costs %d micro-dollars, want 3.5698", got)
	}
	if len(want) != len(in.Centers) || in.Fixed[0] != 8_759_000 || in.Fixed[in.Virtual()] != 17_518_000 {
		t.Errorf("%d centers, parcels cost %v", len(in.Centers), in.Fixed)
	}
}

// TestInstance proves that instances are drawn as published, by their shape and their sums.
func TestInstance(t *testing.T) {
	for name, types := range map[string]int{"small": 26, "big-50": 101, "big-25": 101} {
		n := network(t, name)
		in := NewInstance(n, 3)
		if len(in.Types) != types || len(in.Types[0]) != 0 || len(in.Types[types-1]) != n.SizeMax {
			t.Errorf("%s: %d types, the last of %d items", name, len(in.Types), len(in.Types[types-1]))
		}
		var share, city, wanted, missing, stock float64
		for q, s := range in.Share {
			share += s
			items := slices.Clone(in.Types[q])
			slices.Sort(items)
			if len(slices.Compact(items)) != len(in.Types[q]) {
				t.Errorf("%s: type %d has an item twice: %v", name, q, in.Types[q])
			}
		}
		for _, c := range in.City {
			city += c
		}
		for i, w := range in.Wanted {
			if in.anywhere(i, in.Stock) {
				wanted += w * float64(n.Orders)
			} else {
				missing++
			}
		}
		for _, units := range in.Stock {
			stock += float64(units)
		}
		if math.Abs(share-1) > 1e-9 || math.Abs(city-1) > 1e-9 {
			t.Errorf("%s: chances add up to %v and %v", name, share, city)
		}
		// Half a standard deviation more than the mean demand, for each center and item.
		if stock < wanted || stock > 1.06*wanted {
			t.Errorf("%s: %v units for a demand of %v", name, stock, wanted)
		}
		t.Logf("%s: %.0f units for %.0f wanted, %.0f items nowhere", name, stock, wanted, missing)
	}
}

// TestSeeds proves that a seed names one instance and one sequence, and that types arrive as often as they should.
func TestSeeds(t *testing.T) {
	n := network(t, "small")
	a, b := NewInstance(n, 7), NewInstance(n, 7)
	if !reflect.DeepEqual(a, b) || !slices.Equal(a.Arrivals(9), b.Arrivals(9)) {
		t.Error("one seed, two instances or two sequences")
	}
	if slices.Equal(a.Arrivals(9), a.Arrivals(10)) || slices.Equal(a.Stock, NewInstance(n, 8).Stock) {
		t.Error("two seeds, one instance or one sequence")
	}
	counts := make([]float64, len(a.Types))
	for _, o := range a.Arrivals(9) {
		counts[o.Type]++
	}
	for q, c := range counts {
		mean := a.Share[q] * float64(n.Orders)
		if math.Abs(c-mean) > 5*math.Sqrt(mean)+1 {
			t.Errorf("type %d came %v times, expected %.1f", q, c, mean)
		}
	}
}

// TestExpectedShort proves the mean number of missing units against the definition, summed over every possible demand.
func TestExpectedShort(t *testing.T) {
	for _, orders := range []int{1, 7, 300} {
		for _, chance := range []float64{0.01, 0.3, 0.9} {
			for _, units := range []int64{0, 1, 5, 90, 280, 300, 400} {
				var want float64
				for d := units + 1; d <= int64(orders); d++ {
					want += float64(d-units) * binomial(float64(orders), float64(d), chance)
				}
				if got := expectedShort(orders, chance, units); math.Abs(got-want) > 1e-9*max(1, want) {
					t.Errorf("%d orders, chance %v, %d units: %v, want %v", orders, chance, units, got, want)
				}
			}
		}
	}
	if got := expectedShort(100_000, 0.5, 10); math.Abs(got-49_990) > 1e-6 {
		t.Errorf("hardly any stock: %v short, want 49990", got)
	}
	if expectedShort(10, 1, 4) != 6 || expectedShort(10, 0, 0) != 0 {
		t.Error("certain or impossible demand")
	}
}

// gate is the tiny version of the published run.
func gate() Options {
	return Options{Network: "small", Instances: 2, Sequences: 2, Clairvoyant: true}
}

// ordered fails unless each named policy costs less than the one before.
func ordered(t *testing.T, r Report, names ...string) {
	t.Helper()
	cost := math.Inf(1)
	for _, name := range names {
		at := slices.IndexFunc(r.Rows, func(row Row) bool { return row.Policy == name })
		if at < 0 {
			t.Fatalf("no row %q", name)
		}
		if r.Rows[at].OverBound.Mean >= cost {
			t.Errorf("%s costs %.4f of the bound, not less than the policy before it, %.4f", name, r.Rows[at].OverBound.Mean, cost)
		}
		cost = r.Rows[at].OverBound.Mean
	}
}

// TestGate proves, on two small instances with two sequences each, that the policies stand in the published order, that better ones
// come after them, that no policy beats a bound that holds for it, and that two runs give one report.
func TestGate(t *testing.T) {
	calls := 0
	r, err := Run(gate(), func(done, of int) {
		if calls++; done != calls || of != 2 {
			t.Errorf("progress %d of %d at call %d", done, of, calls)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", r.Markdown())
	ordered(t, r, "static nearest", "nearest-first", "fewest-splits", nameExact, "exact + λ", nameResolved, nameFollowed, "the same, may drop")
	ordered(t, r, "exact + λ", "exact + λ followed", nameFollowed)
	known := r.Bounds[slices.IndexFunc(r.Bounds, func(b Bound) bool { return b.Name == boundNames[overKnown] })].Over.Mean
	for _, row := range r.Rows {
		if row.OverBound.Mean <= 1 || row.OverShip != nil && (row.OverShip.Mean <= 1 || row.OverBound.Mean <= known) {
			t.Errorf("%s beats a bound: %+v", row.Policy, row)
		}
		if row.P50 != 0 || row.Packages < 1 || row.Packages > 2 {
			t.Errorf("%s: %+v", row.Policy, row)
		}
	}
	for name, most := range map[string]float64{"exact + λ": 1.035, nameResolved: 1.02, nameFollowed: 1.015} {
		for _, row := range r.Rows {
			if row.Policy == name && row.OverBound.Mean > most {
				t.Errorf("%s: %.4f of the bound, at most %.4f is usual", name, row.OverBound.Mean, most)
			}
		}
	}
	again, err := Run(gate(), nil)
	if err != nil {
		t.Fatal(err)
	}
	first, _ := r.JSON()
	second, _ := again.JSON()
	if !bytes.Equal(first, second) {
		t.Errorf("two runs, two reports:\n%s\n%s", first, second)
	}
}

// TestGateWithProgram proves the same with the linear program: its bound is below L*, and the policies that follow its solution stand
// between exact and those with λ.
func TestGateWithProgram(t *testing.T) {
	if !haveCBC() {
		t.Skip("no solver: install cbc (coinor-cbc) to compare with the linear program")
	}
	o := gate()
	o.SolveLP = solveCBC
	r, err := Run(o, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", r.Markdown())
	ordered(t, r, nameExact, "dilated rounding", "exact + LP duals", "exact + λ", nameResolved)
	if b := r.Bounds[0]; b.Name != "DLP" || b.Over.Mean > 1 || b.Over.Mean < 0.95 {
		t.Errorf("%s is %.4f of L*", b.Name, b.Over.Mean)
	}
	for _, row := range r.Rows {
		if row.OverLP == nil || row.OverLP.Mean <= row.OverBound.Mean {
			t.Errorf("%s: %v of the program's bound, %v of L*", row.Policy, row.OverLP, row.OverBound)
		}
	}
}

// TestBigRuns proves that the large networks run through all policies, on a horizon so short that it takes a second.
func TestBigRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second")
	}
	r, err := Run(Options{Network: "big-25", Instances: 1, Sequences: 1, Orders: 500, Rounds: 5, Policies: []string{nameExact, "exact + λ followed"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 2 || r.Rows[0].Short == 0 {
		t.Errorf("%+v", r.Rows)
	}
}

// TestRunRefuses proves that what cannot be run is refused by name, and that a solver's failure is passed on.
func TestRunRefuses(t *testing.T) {
	broken := errors.New("no license")
	for want, o := range map[string]Options{
		`no network "huge"`:  {Network: "huge"},
		`no policy "oracle"`: {Policies: []string{"oracle"}},
		"no license":         {Instances: 1, Rounds: 1, SolveLP: func([]byte) (LP, error) { return LP{}, broken }},
		"no variable":        {Instances: 1, Rounds: 1, SolveLP: func([]byte) (LP, error) { return LP{}, nil }},
	} {
		if _, err := Run(o, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestBrokenPolicy proves that a policy that gives what is not there, or holds back what must ship, ends the run.
func TestBrokenPolicy(t *testing.T) {
	in := NewInstance(network(t, "small"), 1)
	order := Arrival{Type: 1}
	item := in.Types[1][0]
	r := row{policy: policy{mustShip: true}, stock: slices.Clone(in.Stock)}
	if err := r.book(in, order, []int32{int32(in.Virtual())}); err == nil || !strings.Contains(err.Error(), "not shipped") {
		t.Errorf("held back: %v", err)
	}
	for at := item; at < len(r.stock); at += in.Items {
		r.stock[at] = 0
	}
	if err := r.book(in, order, []int32{0}); err == nil || !strings.Contains(err.Error(), "not at center") {
		t.Errorf("gave nothing: %v", err)
	}
	if err := r.book(in, order, []int32{int32(in.Virtual())}); err != nil {
		t.Errorf("nothing anywhere: %v", err)
	}
}

// TestReadCBC proves that values and duals are read from the solver's file, and that anything but an optimum is an error.
func TestReadCBC(t *testing.T) {
	lp, err := ReadCBC([]byte("Optimal - objective value 100158.63\n      0 a_1_0_0     1   34.27642\n   5250 b_0_0   183   -4.5443549\n**    3 u_1_0_0_0   0.5   1e-16\n"))
	if err != nil || lp.Dual["b_0_0"] != -4.5443549 || lp.Value["u_1_0_0_0"] != 0.5 {
		t.Errorf("%+v, %v", lp, err)
	}
	for _, text := range []string{"", "Infeasible - objective value 0\n", "Optimal\n 1 x\n", "Optimal\n 1 x y 0\n", "Optimal\n 1 x 0 z\n"} {
		if _, err := ReadCBC([]byte(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

// TestTimes proves that percentiles are right and that a clock fills the report's columns.
func TestTimes(t *testing.T) {
	var h histogram
	for ns := range 1000 {
		h.add(time.Duration(ns+1) * 100)
	}
	if h.percentile(0.5) != 50 || h.percentile(0.99) != 99 {
		t.Errorf("p50 %v µs, p99 %v µs, want 50 and 99", h.percentile(0.5), h.percentile(0.99))
	}
	h.add(time.Hour)
	if new(histogram).percentile(0.5) != 0 || h.percentile(1) < 990 {
		t.Errorf("none %v, an hour %v", new(histogram).percentile(0.5), h.percentile(1))
	}
	now := time.Duration(0)
	tick := func() time.Duration { now += time.Microsecond; return now }
	r, err := Run(Options{Instances: 1, Sequences: 1, Orders: 100, Rounds: 1, Clock: tick, Policies: []string{nameExact}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if row := r.Rows[0]; row.P50 != 1 || row.P99 != 1 || row.Prices <= 0 {
		t.Errorf("%+v", row)
	}
}

// TestReport proves that both forms of the report hold what was measured.
func TestReport(t *testing.T) {
	r, err := Run(Options{Instances: 2, Sequences: 1, Orders: 300, Rounds: 10, Policies: []string{nameExact, "the same, may drop"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text := r.Markdown()
	for _, want := range []string{"Network small", "2 instances × 1 sequences × 300 orders, seed 1", "| exact |  | 1.", "| *the same, may drop* |", `- L\* shipping ÷ L\*: `} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	var back Report
	encoded, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(encoded, &back); err != nil || len(back.Rows) != 2 || back.Rows[1].OverBound != r.Rows[1].OverBound || len(back.Seeds) != 2 {
		t.Errorf("%v: %s", err, encoded)
	}
}

// BenchmarkDecide is the cost of one decision with followed prices on the large network.
func BenchmarkDecide(b *testing.B) {
	n, err := NetworkOf("big-50")
	if err != nil {
		b.Fatal(err)
	}
	in := NewInstance(n, 1)
	var s shadow.Solver
	priced, err := s.Solve(in.Problem(in.Orders, in.Stock), nil, shadow.Options{RoundsMax: 20})
	if err != nil {
		b.Fatal(err)
	}
	d := newResolved(in, priced.Prices, 0, func(left int) int { return left }).follow(followGain)
	d.begin(1)
	arrivals := in.Arrivals(1)
	out := make([]int32, in.SizeMax)
	b.ReportAllocs()
	t := 0
	for b.Loop() {
		a := arrivals[t%len(arrivals)]
		d.prepare(t%len(arrivals), in.Stock)
		d.decide(a, in.Stock, out[:len(in.Types[a.Type])])
		t++
	}
}
