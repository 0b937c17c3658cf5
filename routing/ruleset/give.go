package ruleset

// give is what the site being judged would give if it were the only one: the units of each line that its caps allow, lines in their
// order, and lines that are kept together all or none. It is an estimate only where lines compete for one SKU; the optimizer, which
// sees the same caps and blocks, is exact.
func (r *Run) give() *totals {
	if r.fresh {
		return &r.given
	}
	r.fresh = true
	caps, blocked, gives := r.Caps(r.at), r.Blocked(r.at), r.Gives(r.at)
	if r.plentiful(caps, blocked) {
		for i := range gives {
			gives[i] = 0
			if r.lineSKU[i] >= 0 {
				gives[i] = min(r.order.Lines[i].Quantity, unitsMax)
			}
		}
		r.given = r.all
		return &r.given
	}
	r.spare = append(r.spare[:0], caps...)
	clear(gives)
	bundles := r.bundled(r.mode)
	done := int32(0) // bundles are numbered by their first line
	for i := range gives {
		sku := r.lineSKU[i]
		switch {
		case sku < 0:
		case bundles[i] == 0:
			if !blocked[i] {
				gives[i] = min(r.order.Lines[i].Quantity, r.spare[sku])
				r.spare[sku] -= gives[i]
			}
		case bundles[i] > done:
			done = bundles[i]
			r.giveBundle(done, bundles, i)
		}
	}
	r.given = totals{weighed: true, costed: true}
	for i := range gives {
		if r.lineSKU[i] < 0 {
			continue
		}
		if gives[i] < r.order.Lines[i].Quantity {
			r.given.short++
		}
		if gives[i] > 0 {
			r.given.add(&r.order.Lines[i], gives[i])
		}
	}
	return &r.given
}

// plentiful says that the site can give everything, which is the usual case.
func (r *Run) plentiful(caps []int64, blocked []bool) bool {
	for i, units := range caps {
		if units < r.needs[i] {
			return false
		}
	}
	for _, b := range blocked {
		if b {
			return false
		}
	}
	return true
}

// giveBundle gives all lines of a bundle, from the first on, or none of them.
func (r *Run) giveBundle(bundle int32, bundles []int32, first int) {
	blocked, gives := r.Blocked(r.at), r.Gives(r.at)
	r.want = resize(r.want, len(r.skus))
	clear(r.want)
	for i := first; i < len(bundles); i++ {
		if bundles[i] == bundle && r.lineSKU[i] >= 0 {
			if blocked[i] {
				return
			}
			r.want[r.lineSKU[i]] += min(r.order.Lines[i].Quantity, unitsMax)
		}
	}
	for sku, units := range r.want {
		if units > r.spare[sku] {
			return
		}
	}
	for i := first; i < len(bundles); i++ {
		if bundles[i] == bundle && r.lineSKU[i] >= 0 {
			gives[i] = min(r.order.Lines[i].Quantity, unitsMax)
		}
	}
	for sku, units := range r.want {
		r.spare[sku] -= units
	}
}

// bundled numbers the bundles that a mode keeps together, by first line from 1; 0 = the line goes alone. A line with a group and a kit
// belongs to its group, for a kit does not leave its group.
func (r *Run) bundled(m mode) []int32 {
	if len(r.bundles[m]) == len(r.lineSKU) {
		return r.bundles[m]
	}
	b := resize(r.bundles[m], len(r.lineSKU))
	next := int32(1)
	for i := range b {
		b[i] = 0
		l := &r.order.Lines[i]
		if !r.together(m, l, l) {
			continue
		}
		for j := 0; j < i && b[i] == 0; j++ {
			if b[j] > 0 && r.together(m, &r.order.Lines[j], l) {
				b[i] = b[j]
			}
		}
		if b[i] == 0 {
			b[i] = next
			next++
		}
	}
	r.bundles[m] = b
	return b
}

func (r *Run) together(m mode, a, b *Line) bool {
	switch {
	case m&keepOrder != 0:
		return true
	case m&keepGroups != 0 && (a.Group != "" || b.Group != ""):
		return a.Group == b.Group
	case m&keepKits != 0 && a.Kit != "":
		return a.Kit == b.Kit
	}
	return false
}
