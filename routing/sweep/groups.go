package sweep

import (
	"cmp"
	"slices"
)

// result makes moves of what has changed. Moves that need each other stand or fall together.
func (s *search) result() Result {
	r := Result{Compared: len(s.all), Routes: s.routes, Cut: s.cut, Card: s.scale.name()}
	var moved []*work
	for _, w := range s.all {
		if w.best.by != nil {
			moved = append(moved, w)
		}
	}
	slices.SortFunc(moved, func(a, b *work) int { return cmp.Compare(a.at, b.at) })
	group := groups(moved)
	numbers := map[int]int{} // root → number among those that are worth it
	for i, w := range moved {
		if root := group[i]; s.worth(moved, group, root) {
			if _, known := numbers[root]; !known {
				numbers[root] = len(numbers)
			}
			r.Moves = append(r.Moves, Move{
				Order: w.at, From: w.Present, To: w.best.by, Before: w.present.price.cost, After: w.best.price.cost, Group: numbers[root], of: w,
			})
			r.Before += w.present.price.cost
			r.After += w.best.price.cost
		}
	}
	return r
}

// worth says that a group saves more than both thresholds.
func (s *search) worth(moved []*work, group []int, root int) bool {
	before, after := int64(0), int64(0)
	for i, w := range moved {
		if group[i] == root {
			before += w.present.price.cost
			after += w.best.price.cost
		}
	}
	saving := before - after
	return saving > 0 && saving > s.limits.SavingMin && saving*100 > before*s.limits.SavingPercentMin
}

// groups joins moves by the buckets that one gives to and another takes from: the second needs the first. For each move it gives the first
// one of its group.
func groups(moved []*work) []int {
	root := make([]int, len(moved))
	for i := range root {
		root[i] = i
	}
	find := func(i int) int {
		for root[i] != i {
			i = root[i]
		}
		return i
	}
	type bucket struct {
		sku, site string
	}
	type side struct{ gives, takes []int }
	sides := map[bucket]*side{}
	var order []bucket
	for i, w := range moved {
		for _, sign := range []int64{1, -1} {
			parts, other := w.present.parts, &w.best
			if sign < 0 {
				parts, other = w.best.parts, &w.present
			}
			p := plan{parts: parts}
			for _, a := range parts {
				for _, l := range a.Lines {
					b := bucket{w.sku(l.Line), a.Site}
					if p.gives(w, b.sku, b.site) <= other.gives(w, b.sku, b.site) {
						continue
					}
					if sides[b] == nil {
						sides[b] = &side{}
						order = append(order, b)
					}
					if sign > 0 {
						sides[b].gives = append(sides[b].gives, i)
					} else {
						sides[b].takes = append(sides[b].takes, i)
					}
				}
			}
		}
	}
	for _, b := range order {
		s := sides[b]
		if len(s.gives) == 0 || len(s.takes) == 0 {
			continue
		}
		first := find(s.gives[0])
		for _, i := range append(s.gives, s.takes...) {
			at := find(i)
			root[max(at, first)] = min(at, first)
			first = min(at, first)
		}
	}
	for i := range root {
		root[i] = find(i)
	}
	return root
}
