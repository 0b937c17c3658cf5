package cluster_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"orderyard/cluster"
)

// drawPlacement draws members with weights, some 0, and holders: members, nobody, and strangers.
func drawPlacement(t *rapid.T) (members []cluster.Share, holders []string) {
	n := rapid.IntRange(0, 7).Draw(t, "members")
	names := []string{"", "stranger"}
	equal := rapid.Bool().Draw(t, "equal")
	for i := range n {
		m := cluster.Share{Incarnation: fmt.Sprintf("node%d", i), Weight: 1}
		if !equal {
			m.Weight = rapid.SampledFrom([]int{0, 1, 1, 2, 3, 10, cluster.WeightMax + 5}).Draw(t, "weight")
		}
		members = append(members, m)
		names = append(names, m.Incarnation)
	}
	holders = rapid.SliceOfN(rapid.SampledFrom(names), 0, 64).Draw(t, "holders")
	return members, holders
}

func weights(members []cluster.Share) (sum int, of map[string]int) {
	of = map[string]int{}
	for _, m := range members {
		if w := min(m.Weight, cluster.WeightMax); w > 0 {
			of[m.Incarnation] = w
			sum += w
		}
	}
	return sum, of
}

func tally(placed []string) map[string]int {
	n := map[string]int{}
	for _, m := range placed {
		n[m]++
	}
	return n
}

// Proves that every member gets its exact share rounded down or up, that nobody else gets anything, and that nothing stays without an
// owner as long as somebody has a weight.
func TestPlaceBalances(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members, holders := drawPlacement(t)
		placed := cluster.Place(members, holders)
		sum, of := weights(members)
		counts := tally(placed)
		if sum == 0 {
			if counts[""] != len(holders) {
				t.Fatalf("placed %v without a member of weight", placed)
			}
			return
		}
		for m, n := range counts {
			exact := len(holders) * of[m]
			if of[m] == 0 || n < exact/sum || n > (exact+sum-1)/sum {
				t.Fatalf("%q has %d of %d, weight %d of %d", m, n, len(holders), of[m], sum)
			}
		}
		for m := range of {
			if counts[m] < len(holders)*of[m]/sum {
				t.Fatalf("%q has %d of %d, weight %d of %d", m, counts[m], len(holders), of[m], sum)
			}
		}
	})
}

// Proves that no more is moved than the quotas demand: what nobody has, and what its holder has beyond its quota; and that no other
// choice of quotas among equals would have moved less, by trying with equal weights the best there could be.
func TestPlaceMovesLittle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members, holders := drawPlacement(t)
		placed := cluster.Place(members, holders)
		sum, of := weights(members)
		if sum == 0 {
			return
		}
		quota, held := tally(placed), map[string]int{}
		moved, bound := 0, 0
		for p, h := range holders {
			if of[h] == 0 {
				bound++
			} else {
				held[h]++
			}
			if placed[p] != h {
				moved++
			}
		}
		for m, n := range held {
			bound += max(n-quota[m], 0)
		}
		if moved != bound {
			t.Fatalf("moved %d, %d would do: %v -> %v", moved, bound, holders, placed)
		}
		if len(of) == sum { // all weigh 1: the seats that are left go where they save a move
			floor, left := len(holders)/sum, len(holders)%sum
			best, over := len(holders), 0
			for _, n := range held {
				best -= min(n, floor)
				if n > floor {
					over++
				}
			}
			if best -= min(over, left); moved != best {
				t.Fatalf("moved %d, %d would do with other quotas: %v -> %v", moved, best, holders, placed)
			}
		}
	})
}

// Proves that the order in which the members are named makes no difference, nor naming one twice.
func TestPlaceIgnoresOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members, holders := drawPlacement(t)
		placed := cluster.Place(members, holders)
		other := rapid.Permutation(append(slices.Clone(members), members...)).Draw(t, "order")
		if again := cluster.Place(other, holders); !slices.Equal(placed, again) {
			t.Fatalf("%v, in another order %v", placed, again)
		}
	})
}

// Proves that whatever part of the moves was carried out, placing again asks for exactly the rest of them.
func TestPlaceIsConfluent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members, holders := drawPlacement(t)
		placed := cluster.Place(members, holders)
		half := slices.Clone(holders)
		for p := range half {
			if rapid.Bool().Draw(t, "done") {
				half[p] = placed[p]
			}
		}
		if again := cluster.Place(members, half); !slices.Equal(placed, again) {
			t.Fatalf("from %v: %v; from %v: %v", holders, placed, half, again)
		}
	})
}

// Proves by a few hundred random clusters that partitions of one that died spread over all the others, not onto one of them.
func TestPlaceSpreadsTheDead(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var members []cluster.Share
		for range 5 {
			members = append(members, cluster.Share{Incarnation: fmt.Sprintf("n%016x", random.Uint64()), Weight: 1})
		}
		holders := cluster.Place(members, make([]string, 32))
		placed := cluster.Place(members[1:], holders)
		heirs := map[string]bool{}
		for p := range holders {
			if holders[p] == members[0].Incarnation {
				heirs[placed[p]] = true
			}
		}
		if len(heirs) < 3 {
			t.Fatalf("%d heirs of 6 or 7 partitions", len(heirs))
		}
	}
}

// BenchmarkPlace places a large store anew after one of many members died; a keeper does that at each of its steps.
func BenchmarkPlace(b *testing.B) {
	for _, size := range []struct{ partitions, members int }{{32, 3}, {256, 8}, {cluster.PartitionsMax, 32}} {
		b.Run(fmt.Sprintf("%d on %d", size.partitions, size.members), func(b *testing.B) {
			var members []cluster.Share
			for i := range size.members {
				members = append(members, cluster.Share{Incarnation: fmt.Sprintf("node%d", i), Weight: 1})
			}
			holders := cluster.Place(members, make([]string, size.partitions))
			for b.Loop() {
				cluster.Place(members[1:], holders)
			}
		})
	}
}
