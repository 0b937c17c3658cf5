package solve

// empty makes the frame of no chosen sites: nobody gives anything.
func (s *Solver) empty() {
	f := s.frame(0)
	for i := range s.m {
		units := s.p.Items[i].Quantity
		f.row[i] = s.nobody[i]
		f.fills[i].slots = f.fills[i].slots[:0]
		if !s.sole[i] {
			f.row[i] = amount{}
			f.row[i].addTimes(&s.nobody[i], units)
			f.fills[i].slots = append(f.fills[i].slots, slot{-1, units, s.nobody[i]})
		}
	}
}

// frame gives the memory of a depth. Frames before it may move.
func (s *Solver) frame(depth int) *frame {
	for len(s.frames) <= depth {
		s.frames = append(s.frames, frame{})
	}
	f := &s.frames[depth]
	f.row, f.fills = resize(f.row, s.m), resize(f.fills, s.m)
	return f
}

// join makes the frame of a set with one more site.
func (s *Solver) join(depth int, site int32) {
	s.frame(depth)
	from, to := &s.frames[depth-1], &s.frames[depth]
	costs := s.cost[int(site)*s.m:][:s.m]
	for i := range s.m {
		to.row[i] = from.row[i]
		units := s.can(int(site), i)
		if s.sole[i] {
			if units > 0 && costs[i].less(&to.row[i]) {
				to.row[i] = costs[i]
			}
			continue
		}
		to.fills[i].slots = append(to.fills[i].slots[:0], from.fills[i].slots...)
		if units > 0 && to.fills[i].insert(site, units, &costs[i]) {
			to.row[i] = to.fills[i].total()
		}
	}
}

// saving is what a site would save on the items of a set, its own fixed cost aside; serves says that it would give anything.
func (s *Solver) saving(f *frame, site int) (by amount, serves bool) {
	costs := s.cost[site*s.m:][:s.m]
	caps := s.caps[site*s.m:][:s.m]
	for i := range costs {
		if caps[i] == 0 {
			continue
		}
		c := &costs[i]
		if s.sole[i] {
			if c.less(&f.row[i]) {
				by.add(&f.row[i])
				by.sub(c)
				serves = true
			}
			continue
		}
		serves = f.fills[i].saving(caps[i], c, &by) || serves
	}
	return by, serves
}

// saving adds what up to so many units at a cost would save, and says whether any would be taken.
func (f *fill) saving(units int64, cost *amount, by *amount) bool {
	taken := false
	for k := len(f.slots) - 1; k >= 0 && units > 0 && cost.less(&f.slots[k].cost); k-- {
		n := min(units, f.slots[k].units)
		d := minus(&f.slots[k].cost, cost)
		by.addTimes(&d, n)
		units -= n
		taken = true
	}
	return taken
}

// insert takes up to so many units at a cost in place of dearer ones, and says whether any were taken.
func (f *fill) insert(site int32, units int64, cost *amount) bool {
	left := units
	for k := len(f.slots) - 1; k >= 0 && left > 0 && cost.less(&f.slots[k].cost); k-- {
		n := min(left, f.slots[k].units)
		left -= n
		if f.slots[k].units -= n; f.slots[k].units == 0 {
			f.slots = f.slots[:k]
		}
	}
	if left == units {
		return false
	}
	at := len(f.slots)
	for at > 0 && cost.less(&f.slots[at-1].cost) {
		at--
	}
	f.slots = append(f.slots, slot{})
	copy(f.slots[at+1:], f.slots[at:])
	f.slots[at] = slot{site, units - left, *cost}
	return true
}

func (f *fill) total() (sum amount) {
	for k := range f.slots {
		sum.addTimes(&f.slots[k].cost, f.slots[k].units)
	}
	return sum
}

// open is how many units of an item nobody gives.
func (s *Solver) open(f *frame, i int) int64 {
	if s.sole[i] {
		if f.row[i] == s.nobody[i] {
			return s.p.Items[i].Quantity
		}
		return 0
	}
	if last := len(f.fills[i].slots) - 1; last >= 0 && f.fills[i].slots[last].site < 0 {
		return f.fills[i].slots[last].units
	}
	return 0
}
