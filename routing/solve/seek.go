package solve

import "slices"

// singles looks at every site alone.
func (s *Solver) singles(nd *node) {
	for k := nd.from; k < nd.to; k++ {
		r := s.reach[k]
		if nd.left == 0 && !s.isFree(r.site) {
			continue
		}
		total := minus(&nd.total, &r.gain)
		s.chosen = append(s.chosen[:0], r.site)
		s.consider(&total)
	}
	s.chosen = s.chosen[:0]
}

func (s *Solver) isFree(site int32) bool { return len(s.p.Free) > 0 && s.p.Free[site] }

// greedy adds the site that saves most until none saves anything: a decent plan to begin with.
func (s *Solver) greedy(nd *node) {
	total, left := nd.total, nd.left
	for depth := 0; depth < s.n; depth++ {
		best, gain := int32(-1), amount{}
		for k := nd.from; k < nd.to; k++ {
			j := s.reach[k].site
			if left == 0 && !s.isFree(j) || !gain.less(&s.reach[k].gain) || slices.Contains(s.chosen, j) {
				continue // what it saved at first bounds what it saves now
			}
			by, _ := s.saving(&s.frames[depth], int(j))
			s.steps += int64(s.m)
			by.sub(&s.fixed[j])
			if gain.less(&by) {
				best, gain = j, by
			}
		}
		if best < 0 {
			break
		}
		if !s.isFree(best) {
			left--
		}
		total.sub(&gain)
		s.chosen = append(s.chosen, best)
		s.join(depth+1, best)
		if depth > 0 {
			s.consider(&total)
		}
	}
	s.chosen = s.chosen[:0]
}

// improveMax bounds what improve spends, in passes over the whole problem.
const improveMax = 40

// improve puts another site in the place of each site of the best plan, or none, as long as that makes it better. A search that begins with a good
// plan is a short one.
func (s *Solver) improve(nd *node) {
	if !s.best.found {
		return
	}
	set := append(s.numbers[:0], s.best.sites...)
	total := s.sums(set, -1)
	until := s.steps + int64(improveMax*s.n*s.m)
	for moved := true; moved; {
		moved = false
		for k := 0; k <= len(set); k++ {
			if k == len(set) && s.counted(set) >= nd.left || s.steps > until {
				break
			}
			rest := s.sums(set, k)
			depth := len(set)
			if k < len(set) {
				depth--
			}
			j, gain := s.bestJoin(nd, depth, set, k)
			next := minus(&rest, &gain)
			if !next.less(&total) {
				continue
			}
			total, moved = next, true
			switch {
			case k == len(set):
				set = append(set, j)
			case j < 0:
				set = slices.Delete(set, k, k+1)
			default:
				set[k] = j
			}
			s.chosen = append(s.chosen[:0], set...)
			s.consider(&total)
		}
	}
	s.chosen, s.numbers = s.chosen[:0], set
}

// counted is how many of the sites count towards SitesMax.
func (s *Solver) counted(set []int32) (n int) {
	for _, j := range set {
		if !s.isFree(j) {
			n++
		}
	}
	return n
}

// sums makes the frames of a set without the site at a place of it, and says what it costs by sums.
func (s *Solver) sums(set []int32, without int) (total amount) {
	depth := 0
	for k, j := range set {
		if k != without {
			depth++
			s.join(depth, j)
			total.add(&s.fixed[j])
		}
	}
	for i := range s.m {
		total.add(&s.frames[depth].row[i])
	}
	s.steps += int64(depth * s.m)
	return total
}

// bestJoin finds the site that saves most when it takes a place in a set; −1 = none saves anything.
func (s *Solver) bestJoin(nd *node, depth int, set []int32, place int) (best int32, gain amount) {
	best = -1
	full := s.counted(set) >= nd.left && (place == len(set) || s.isFree(set[place]))
	for k := nd.from; k < nd.to; k++ {
		j := s.reach[k].site
		if !gain.less(&s.reach[k].gain) || full && !s.isFree(j) || slices.Contains(set, j) {
			continue
		}
		by, _ := s.saving(&s.frames[depth], int(j))
		s.steps += int64(s.m)
		by.sub(&s.fixed[j])
		if gain.less(&by) {
			best, gain = j, by
		}
	}
	return best, gain
}
