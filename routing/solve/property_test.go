package solve

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// renumber gives the sites of a problem other numbers: site j becomes to[j].
func renumber(p *Problem, to []int) *Problem {
	q, m := *p, len(p.Items)
	move := func(from []int64, width int) []int64 {
		if from == nil {
			return nil
		}
		into := make([]int64, len(from))
		for j, k := range to {
			copy(into[k*width:], from[j*width:(j+1)*width])
		}
		return into
	}
	q.Cap, q.Levels = move(p.Cap, m), slices.Clone(p.Levels)
	for k := range q.Levels {
		l := &q.Levels[k]
		l.Fixed, l.Alone, l.Cost = move(l.Fixed, 1), move(l.Alone, 1), move(l.Cost, m)
	}
	if p.Free != nil {
		q.Free = make([]bool, p.Sites)
		for j, k := range to {
			q.Free[k] = p.Free[j]
		}
	}
	return &q
}

// worsen adds a site that can give the whole items another can, but dearer in every level, and one that can give nothing.
func worsen(r *rand.Rand, p *Problem) *Problem {
	q, m := *p, len(p.Items)
	like := r.IntN(p.Sites)
	q.Sites += 2
	q.Cap = append(append(slices.Clone(p.Cap), p.Cap[like*m:(like+1)*m]...), make([]int64, m)...)
	for i := range m {
		if !p.Items[i].Whole { // more of it would be of use
			q.Cap[p.Sites*m+i] = 0
		}
	}
	q.Levels = slices.Clone(p.Levels)
	for k := range q.Levels {
		l := &q.Levels[k]
		l.Fixed = append(slices.Clone(l.Fixed), l.Fixed[like]+1+r.Int64N(9), 0)
		if l.Alone != nil {
			l.Alone = append(slices.Clone(l.Alone), l.Alone[like], 0)
		}
		if l.Cost != nil {
			l.Cost = append(append(slices.Clone(l.Cost), l.Cost[like*m:(like+1)*m]...), make([]int64, m)...)
		}
	}
	if p.Free != nil {
		q.Free = append(slices.Clone(p.Free), false, true)
	}
	return &q
}

// medium draws a problem too large for the oracle, of several levels and free sites.
func medium(r *rand.Rand) *Problem {
	p := drawLarge(r, 1+r.IntN(9), 2+r.IntN(30))
	if r.IntN(2) == 0 {
		spread(r, p, 1+r.IntN(4), 0, 1<<(4+r.IntN(28)))
	}
	if r.IntN(3) == 0 {
		p.Free = make([]bool, p.Sites)
		for j := range p.Free {
			p.Free[j] = r.IntN(5) == 0
		}
	}
	return p
}

// Proves that the value of the optimum does not depend on how sites are numbered, that sites of no use change nothing at all, that a solver used
// before answers as a new one, in as many steps, and that its plan and bound when cut short are below and above the optimum.
func TestSameAnswer(t *testing.T) {
	var used Solver
	for seed := range 600 {
		r := rand.New(rand.NewPCG(uint64(seed), 41))
		p := medium(r)
		var s, other, tired Solver
		want := s.Solve(p)
		if !want.Exact {
			t.Fatalf("seed %d: not exact", seed)
		}
		if !want.Best.Found {
			continue // nobody can give anything
		}
		value := append([]int64{want.Best.Short}, want.Best.Levels...)
		if got := used.Solve(p); got.Steps != want.Steps || !slices.Equal(got.Best.Gives, want.Best.Gives) || !slices.Equal(got.Second.Sites, want.Second.Sites) {
			t.Fatalf("seed %d: a new solver says %+v, a used one %+v", seed, want, got)
		}
		got := other.Solve(renumber(p, r.Perm(p.Sites)))
		if !got.Exact || !slices.Equal(append([]int64{got.Best.Short}, got.Best.Levels...), value) {
			t.Fatalf("seed %d: %v, with other numbers %v", seed, want.Best, got.Best)
		}
		got = other.Solve(worsen(r, p))
		if !got.Exact || !slices.Equal(append([]int64{got.Best.Short}, got.Best.Levels...), value) || !slices.Equal(got.Best.Gives, want.Best.Gives) {
			t.Fatalf("seed %d: %v, with useless sites %v", seed, want.Best, got.Best)
		}
		p.StepsMax = 1 + r.Int64N(want.Steps)
		got = tired.Solve(p)
		bound := append([]int64{got.BoundShort}, got.Bound...)
		plan := append([]int64{got.Best.Short}, got.Best.Levels...)
		if slices.Compare(bound, value) > 0 || !got.Best.Found || slices.Compare(plan, value) < 0 || got.Exact && !slices.Equal(plan, value) {
			t.Fatalf("seed %d, %d of %d steps: %+v, the optimum is %v", seed, p.StepsMax, want.Steps, got, value)
		}
	}
}

// Proves that a solver that has seen its largest problems allocates nothing more.
func TestNoAllocations(t *testing.T) {
	var s Solver
	var problems []*Problem
	for seed := range 100 {
		r := rand.New(rand.NewPCG(uint64(seed), 43))
		problems = append(problems, medium(r), draw(r, false, true), draw(r, true, false))
	}
	all := func() {
		for _, p := range problems {
			s.Solve(p)
		}
	}
	all()
	if n := testing.AllocsPerRun(5, all); n > 0 {
		t.Fatalf("%v allocations in %d problems", n, len(problems))
	}
}

// Proves that a share of an amount, taken as often as it was divided, is never more than the amount, whatever the words behind the first.
func TestDivide(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 47))
	for range 10_000 {
		a, n := amount{r.Int64N(9), r.Int64N(19) - 9, r.Int64N(19) - 9}, 1+r.Int64N(7)
		share := a
		share.divide(n)
		var times amount
		times.addTimes(&share, n)
		if a.less(&times) {
			t.Fatalf("%v / %d = %v", a, n, share)
		}
	}
}
