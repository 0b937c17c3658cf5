package solve

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// ranked tries every set of sites: given a set, whole items go to the cheapest and divisible ones are filled from the cheapest on, so its value needs
// no search. Sets with a site that saves nothing aside, it returns the best two sets with their values.
func ranked(p *Problem) (sites [2][]int, values [2][]int64) {
	v := versus{p: p}
	for bits := 1; bits < 1<<p.Sites; bits++ {
		var set []int
		counted := 0
		for j := range p.Sites {
			if bits>>j&1 == 1 {
				set = append(set, j)
				if len(p.Free) == 0 || !p.Free[j] {
					counted++
				}
			}
		}
		if counted > p.SitesMax {
			continue
		}
		value, used := v.assign(set, p.Levels)
		if slices.ContainsFunc(set, func(j int) bool { return !used[j] || idle(&v, set, value, j) }) {
			continue
		}
		for k := range p.Levels {
			if l := &p.Levels[k]; l.Alone != nil && len(set) == 1 && value[0] == 0 {
				value[k+1] += l.Alone[set[0]]
			}
		}
		better := func(k int) bool {
			if values[k] == nil {
				return true
			}
			if c := slices.Compare(value, values[k]); c != 0 {
				return c < 0
			}
			if len(set) != len(sites[k]) {
				return len(set) < len(sites[k])
			}
			return slices.Compare(set, sites[k]) < 0
		}
		switch {
		case better(0):
			sites[1], values[1] = sites[0], values[0]
			sites[0], values[0] = set, value
		case better(1):
			sites[1], values[1] = set, value
		}
	}
	return sites, values
}

// idle says that the others of a set serve as well without a site, its fixed cost aside.
func idle(v *versus, set []int, value []int64, site int) bool {
	without, _ := v.assign(slices.DeleteFunc(slices.Clone(set), func(j int) bool { return j == site }), v.p.Levels)
	for k := range v.p.Levels {
		without[k+1] += v.p.Levels[k].Fixed[site]
	}
	return slices.Equal(without, value)
}

// Proves that the best plan and the second are what trying every set of up to ten sites finds: objectives of one word to three, free sites, and with
// values so small that much is equal. The second is proven only while the search asks for it.
func TestSets(t *testing.T) {
	problems := 1500
	if testing.Short() {
		problems = 200
	}
	proven := 0
	var s Solver
	for seed := range problems {
		r := rand.New(rand.NewPCG(uint64(seed), 53))
		p := drawLarge(r, 1+r.IntN(9), 1+r.IntN(10))
		if r.IntN(4) > 0 {
			spread(r, p, 1+r.IntN(3), 0, []int64{2, 30, 1 << 20, 1 << 42}[r.IntN(4)])
		}
		if r.IntN(3) == 0 {
			p.Free = make([]bool, p.Sites)
			for j := range p.Free {
				p.Free[j] = r.IntN(3) == 0
			}
		}
		s.hasty = seed%2 == 0
		sites, values := ranked(p)
		got := s.Solve(p)
		if !got.Exact || got.Compared < len(p.Levels) {
			t.Fatalf("seed %d: exact %v, %d of %d levels", seed, got.Exact, got.Compared, len(p.Levels))
		}
		for k, plan := range []*Plan{&got.Best, &got.Second} {
			if values[k] == nil || k == 1 && s.alert {
				continue
			}
			value := append([]int64{plan.Short}, plan.Levels...)
			right := plan.Found && slices.Equal(value, values[k]) && slices.Equal(plan.Sites, sites[k])
			if k == 1 { // it may be one of those left aside
				right = plan.Found && slices.Compare(value, values[1]) <= 0 && !slices.Equal(plan.Sites, sites[0])
			}
			if !right {
				t.Fatalf("seed %d, plan %d: %+v, trying all finds %v from %v", seed, k, plan, values[k], sites[k])
			}
			proven += k
		}
		if bound := append([]int64{got.BoundShort}, got.Bound...); values[0] != nil && !slices.Equal(bound, values[0]) {
			t.Fatalf("seed %d: bound %v, optimum %v", seed, bound, values[0])
		}
	}
	if proven < problems/2 {
		t.Fatalf("only %d of %d second plans proven", proven, problems)
	}
}
