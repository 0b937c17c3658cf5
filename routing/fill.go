package routing

import (
	"cmp"
	"slices"
)

// gain is what one more place would add.
type gain struct {
	units int64
	at    int32
}

// fill looks for the set of places that gives the most units with no more new sites than allowed. Every set is looked at once at
// most: a place is combined with those behind it in the order of gain only. Gains never grow as places are added, so the sum of the
// largest ones bounds what a set can still reach. The first descent is the greedy answer. It reports whether the answer is proven.
func (r *run) fill() bool {
	r.steps, r.gaveUp = 0, false
	r.layOut()
	r.got = resize(r.got, len(r.items))
	clear(r.got)
	r.best.found, r.second.found = false, false
	r.fillFrom(r.gains, 0, 0, 0)
	return !r.gaveUp
}

// layOut writes what each place has for each item place by place, because gains are summed over all items of a place: limits are
// the most an item can get, zero for one that is not spread over places and so gets the largest single amount.
func (r *run) layOut() {
	m := len(r.items)
	r.gains, r.chosen = r.gains[:0], r.chosen[:0]
	r.amounts = resize(r.amounts, len(r.places)*m)
	r.limits = resize(r.limits, m)
	for k := range r.items {
		r.limits[k] = 0
		if it := &r.items[k]; it.sku >= 0 && it.split {
			r.limits[k] = it.target
		}
	}
	for at := range r.places {
		if !r.places[at].able {
			continue
		}
		r.gains = append(r.gains, gain{at: int32(at)})
		row := r.amounts[at*m : at*m+m]
		for k := range row {
			row[k] = r.couldGive(&r.items[k], int32(k), int32(at))
		}
	}
}

// gainOf is how many units a place adds to what the chosen ones give, contention aside.
func (r *run) gainOf(at int32, got []int64) int64 {
	var sum int64
	row := r.amounts[int(at)*len(got):][:len(got)]
	limits := r.limits[:len(got)]
	for k, g := range got {
		if limits[k] > 0 {
			sum += min(row[k], limits[k]-g)
		} else {
			sum += max(row[k]-g, 0)
		}
	}
	return sum
}

// add makes the next row of what each item gets when the place is chosen as well.
func (r *run) add(at int32, got, next []int64) {
	row := r.amounts[int(at)*len(got):]
	for k, g := range got {
		if r.limits[k] > 0 {
			next[k] = min(g+row[k], r.limits[k])
		} else {
			next[k] = max(g, row[k])
		}
	}
}

func (r *run) rankGains(gains []gain, got []int64) {
	for i := range gains {
		gains[i].units = r.gainOf(gains[i].at, got)
	}
	slices.SortFunc(gains, func(a, b gain) int {
		if a.units != b.units {
			return cmp.Compare(b.units, a.units)
		}
		return cmp.Compare(a.at, b.at)
	})
	r.steps += int64(len(gains) * (len(r.items) + 16))
}

// fillFrom adds each place of the list in turn, and below it those behind it.
func (r *run) fillFrom(list []gain, units, sites, distance int64) {
	depth, m := len(r.chosen), len(r.items)
	r.rankGains(list, r.got[depth*m:(depth+1)*m])
	r.got = resizeKeep(r.got, (depth+2)*m)
	if most := r.mostUnits(list, units, sites); r.second.found && most == r.second.units && r.tieIsWorse(list, most-units, sites, distance) {
		return
	}
	for j, g := range list {
		if g.units == 0 && !r.contended || j > 0 && r.tired() {
			return
		}
		p := &r.places[g.at]
		fresh := sites
		if !p.used {
			fresh++
		}
		if fresh > int64(r.cap) {
			continue
		}
		most := r.mostUnits(list[j:], units, sites)
		if r.best.found && most < r.best.units {
			return
		}
		if r.second.found && most == r.second.units && r.tieIsWorse(list[j+1:], most-units-g.units, fresh, distance+p.step) {
			continue
		}
		r.add(g.at, r.got[depth*m:(depth+1)*m], r.got[(depth+1)*m:(depth+2)*m])
		r.chosen = append(r.chosen, g.at)
		r.consider(r.chosen, 1)
		from := len(r.gains)
		r.gains = append(r.gains, list[j+1:]...)
		r.fillFrom(r.gains[from:], units+g.units, fresh, distance+p.step)
		r.gains = r.gains[:from]
		r.chosen = r.chosen[:depth]
	}
}

// tieIsWorse reports that no set of places of the list, added to what is chosen, can tie with the runner-up in units and beat it:
// at least as many places are needed as the largest gains take to sum up to the missing units, and at least that many of the
// smallest distances are added. Used places are no new sites, so as many as there are may come for nothing.
func (r *run) tieIsWorse(list []gain, missing, sites, distance int64) bool {
	places := 0
	for ; missing > 0 && places < len(list); places++ {
		missing -= list[places].units
	}
	used := 0
	r.nearest = r.nearest[:0]
	for _, g := range list {
		if r.places[g.at].used {
			used++
		}
		r.nearest = append(r.nearest, g.at)
	}
	slices.Sort(r.nearest)
	for _, at := range r.nearest[:places] {
		distance += r.places[at].step
	}
	r.steps += int64(4 * len(list))
	sites += int64(max(places-used, 0))
	return sites > r.second.key[keySites] || sites == r.second.key[keySites] && distance > r.second.key[keyDistance]
}

// mostUnits bounds what the chosen places can reach with those of the list: by the gains of the used ones and of the best new ones.
func (r *run) mostUnits(list []gain, units, sites int64) int64 {
	fresh := int64(r.cap) - sites
	for _, g := range list {
		if r.places[g.at].used {
			units += g.units
		} else if fresh > 0 {
			units += g.units
			fresh--
		}
		if units >= r.target {
			return r.target
		}
	}
	return units
}

// greedyCover takes the place with the largest gain until everything is covered, then drops the places that turned out not to be
// needed, the farthest first.
func (r *run) greedyCover() {
	m := len(r.items)
	r.got = resize(r.got, 2*m)
	clear(r.got)
	got, next := r.got[:m], r.got[m:]
	r.layOut()
	var sites, units int64
	for list := r.gains; units < r.target && len(list) > 0; list = list[1:] {
		r.rankGains(list, got)
		g := list[0]
		if g.units == 0 {
			break
		}
		if !r.places[g.at].used {
			if sites == int64(r.cap) {
				continue
			}
			sites++
		}
		units += g.units
		r.chosen = append(r.chosen, g.at)
		r.add(g.at, got, next)
		copy(got, next)
	}
	if units < r.target {
		return
	}
	r.dropNeedless(got, next)
	r.consider(r.chosen, r.target)
}

func (r *run) dropNeedless(got, next []int64) {
	slices.Sort(r.chosen)
	for i := len(r.chosen) - 1; i >= 0 && len(r.chosen) > 1; i-- {
		clear(got)
		var units int64
		for j, at := range r.chosen {
			if j != i {
				r.add(at, got, next)
				copy(got, next)
			}
		}
		for _, u := range got {
			units += u
		}
		if units == r.target {
			r.chosen = slices.Delete(r.chosen, i, i+1)
		}
	}
}
