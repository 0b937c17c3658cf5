package ruleset

import "slices"

// Item is what a plan assigns as one: lines that stay together, or all other lines of one SKU.
type Item struct {
	Lines    []int32 // positions in Order.Lines, ascending
	SKU      int32   // position in Run.SKUs; −1 = several lines that stay together
	Quantity int64   // units of all lines
	Whole    bool    // one site gives all of it or nothing
}

// Items takes the order apart for the optimizer, by what the rule of the last Try and its filters keep together. A SKU that some passing site has
// whole stays whole; one that none has whole may come from several. Lines of one SKU that not every site may give alike are items of their
// own. They are valid until the next call.
func (r *Run) Items() []Item {
	r.items, r.itemLines = r.items[:0], r.itemLines[:0]
	mode := r.rule.mode
	for i := range r.rule.filters {
		if f := &r.rule.filters[i]; f.op == opKeepTogether && !r.dropped(f) {
			mode |= f.together()
		}
	}
	bundles := r.bundled(mode)
	for i := range r.lineSKU {
		sku := r.lineSKU[i]
		switch {
		case sku < 0 || r.taken(i):
		case bundles[i] > 0:
			r.newItem(-1, func(k int) bool { return bundles[k] == bundles[i] })
		case r.apart(sku, bundles):
			r.newItem(sku, func(k int) bool { return k == i })
		default:
			r.newItem(sku, func(k int) bool { return r.lineSKU[k] == sku && bundles[k] == 0 })
		}
	}
	for i := range r.items {
		it := &r.items[i]
		it.Whole = it.SKU < 0 || r.someHasAll(it)
	}
	return r.items
}

// together says what a keep_together filter keeps together.
func (f *filter) together() (m mode) {
	for _, word := range f.Words {
		switch word {
		case wordGroup:
			m |= keepGroups
		case wordKit:
			m |= keepKits
		default:
			m |= keepOrder
		}
	}
	return m
}

func (r *Run) newItem(sku int32, has func(line int) bool) {
	it := Item{SKU: sku}
	from := len(r.itemLines)
	for k := range r.lineSKU {
		if r.lineSKU[k] >= 0 && has(k) {
			r.itemLines = append(r.itemLines, int32(k))
			it.Quantity += min(r.order.Lines[k].Quantity, unitsMax)
		}
	}
	it.Lines = r.itemLines[from:len(r.itemLines):len(r.itemLines)]
	r.items = append(r.items, it)
}

// taken says that a line is part of an item already.
func (r *Run) taken(line int) bool { return slices.Contains(r.itemLines, int32(line)) }

// apart says that some passing site may give one line of a SKU and not another one.
func (r *Run) apart(sku int32, bundles []int32) bool {
	if !r.blocks {
		return false
	}
	for i := range r.verdicts {
		if !r.passes(i) {
			continue
		}
		blocked, first := r.Blocked(i), -1
		for k := range r.lineSKU {
			if r.lineSKU[k] != sku || bundles[k] > 0 {
				continue
			}
			if first < 0 {
				first = k
			}
			if blocked[k] != blocked[first] {
				return true
			}
		}
	}
	return false
}

// someHasAll says that some passing site could give all that the order needs of the item's SKU.
func (r *Run) someHasAll(it *Item) bool {
	for i := range r.verdicts {
		if r.passes(i) && r.MayGive(i, it) >= it.Quantity && r.Caps(i)[it.SKU] >= r.needs[it.SKU] {
			return true
		}
	}
	return false
}

// MayGive is how many units of an item a candidate that passes may give, other items aside.
func (r *Run) MayGive(candidate int, it *Item) int64 {
	caps, blocked := r.Caps(candidate), r.Blocked(candidate)
	if it.SKU >= 0 {
		if blocked[it.Lines[0]] {
			return 0
		}
		return min(caps[it.SKU], it.Quantity)
	}
	for _, k := range it.Lines {
		if blocked[k] || caps[r.lineSKU[k]] < r.unitsOf(it, r.lineSKU[k]) {
			return 0
		}
	}
	return it.Quantity
}

// unitsOf is how many units of a SKU an item needs.
func (r *Run) unitsOf(it *Item, sku int32) (units int64) {
	for _, k := range it.Lines {
		if r.lineSKU[k] == sku {
			units += min(r.order.Lines[k].Quantity, unitsMax)
		}
	}
	return units
}

// Parts calls fn for each SKU of an item with the units it needs of it.
func (r *Run) Parts(it *Item, fn func(sku int32, units int64)) {
	if it.SKU >= 0 {
		fn(it.SKU, it.Quantity)
		return
	}
	for at, k := range it.Lines {
		sku := r.lineSKU[k]
		if !slices.ContainsFunc(it.Lines[:at], func(before int32) bool { return r.lineSKU[before] == sku }) {
			fn(sku, r.unitsOf(it, sku))
		}
	}
}
