package cluster

import (
	"cmp"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Share is a member that may own partitions, with its weight: it gets about weight/sum of all weights of them.
type Share struct {
	Incarnation string
	Weight      int // 0 or less = none
}

// WeightMax bounds a weight; a larger one counts as this. Quotas are computed with it without overflow.
const WeightMax = 1 << 16

// Place says who should own each partition; "" = nobody, when no member has a weight. holders says who has it now, "" or a stranger = nobody.
//
// It is a function of its arguments alone, whatever the order of the members. Every member gets its quota: the exact share rounded down or
// up. It moves as few partitions as these quotas allow. And it is confluent: after any part of the moves was carried out it asks
// for the rest of them and no others; so nodes that see each other's progress at different times work towards the same end.
//
// That rests on three rules, each independent of how far the others have come. A rounding that could go either way goes to whoever
// already has the partition. A member with too many keeps those that hash highest with it. Free partitions choose
// in their order, each the member with room that it hashes highest with (rendezvous).
func Place(members []Share, holders []string) []string {
	placed := make([]string, len(holders))
	seats := seatsOf(members)
	if len(seats) == 0 || len(holders) == 0 {
		return placed
	}
	index := make(map[string]*seat, len(seats))
	for i := range seats {
		index[seats[i].incarnation] = &seats[i]
	}
	for p, holder := range holders {
		if s := index[holder]; s != nil {
			s.held = append(s.held, p)
		}
	}
	apportion(seats, len(holders))
	for i := range seats {
		s := &seats[i]
		slices.SortFunc(s.held, func(a, b int) int { return cmp.Compare(s.score(b), s.score(a)) })
		keep := min(len(s.held), s.quota)
		for _, p := range s.held[:keep] {
			placed[p] = s.incarnation
		}
		s.room = s.quota - keep
	}
	for p := range placed {
		if placed[p] == "" {
			s := highest(seats, p, func(s *seat) bool { return s.room > 0 })
			s.room--
			placed[p] = s.incarnation
		}
	}
	return placed
}

// seat is one member's part in a placement.
type seat struct {
	incarnation string
	hash        uint64
	weight      uint64
	held        []int
	quota, room int
	remainder   uint64 // of the exact share, in parts of the sum of weights
}

// seatsOf gives the members that may own, once each, in an order that depends on nothing but their names.
func seatsOf(members []Share) []seat {
	seats := make([]seat, 0, len(members))
	for _, m := range members {
		if m.Weight > 0 {
			seats = append(seats, seat{
				incarnation: m.Incarnation, hash: xxhash.Sum64String(m.Incarnation), weight: uint64(min(m.Weight, WeightMax)),
			})
		}
	}
	slices.SortFunc(seats, func(a, b seat) int {
		return cmp.Or(cmp.Compare(a.incarnation, b.incarnation), cmp.Compare(b.weight, a.weight))
	})
	return slices.CompactFunc(seats, func(a, b seat) bool { return a.incarnation == b.incarnation })
}

// apportion sets the quotas by largest remainders. Among equal remainders those come first who hold more than their rounded-down share:
// giving them the seat saves a move.
func apportion(seats []seat, partitions int) {
	sum := uint64(0)
	for i := range seats {
		sum += seats[i].weight
	}
	left := partitions
	order := make([]*seat, len(seats))
	for i := range seats {
		s := &seats[i]
		s.quota = int(uint64(partitions) * s.weight / sum)
		s.remainder = uint64(partitions) * s.weight % sum
		left -= s.quota
		order[i] = s
	}
	over := func(s *seat) int {
		if len(s.held) > s.quota {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(order, func(a, b *seat) int {
		return cmp.Or(cmp.Compare(b.remainder, a.remainder), cmp.Compare(over(b), over(a)), cmp.Compare(b.hash, a.hash))
	})
	for _, s := range order[:left] {
		s.quota++
	}
}

// score says how well a partition hashes with a member. Two partitions of one member never score the same: the finalizer (splitmix64)
// is a bijection.
func (s *seat) score(partition int) uint64 {
	x := s.hash + uint64(partition)*0x9e3779b97f4a7c15
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// highest gives the member a partition hashes highest with, of those that fit; nil when none does. Weights do not count here: the
// quotas have them.
func highest(seats []seat, partition int, fits func(*seat) bool) *seat {
	var best *seat
	for i := range seats {
		s := &seats[i]
		if fits(s) && (best == nil || s.score(partition) > best.score(partition)) {
			best = s
		}
	}
	return best
}
