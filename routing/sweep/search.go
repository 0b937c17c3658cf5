package sweep

import (
	"slices"

	"orderyard/messages"
	"orderyard/routing"
)

// search holds a complete plan at every moment: each order has its best one so far, and stock is what all of them leave.
type search struct {
	limits Limits
	rules  *routing.Rules
	now    int64
	view   routing.View
	scale  *scale
	all    []*work // in the order in which scarce stock is owed
	stock  *stock
	freed  *stock // what there is when nobody holds anything
	routes int
	sets   int
	cut    bool
}

// newSearch begins with the present plans. Orders that cannot be compared are left out: what they hold stays theirs.
func newSearch(orders []Order, v routing.View, rules *routing.Rules, now int64, l Limits) *search {
	s := &search{limits: l, rules: rules, now: now, view: v, scale: newScale(v, rules, now), stock: newStock(v, now), freed: newStock(v, now)}
	for i, o := range orders {
		w := &work{Order: o, at: i}
		w.present = plan{parts: o.Present, price: s.scale.measure(o.Question, o.Present)}
		if w.present.price.known && w.whole(&w.present) {
			w.best = w.present
			s.all = append(s.all, w)
			s.freed.give(w, &w.present)
		}
	}
	sortOwed(s.all)
	return s
}

// whole says that a plan gives just what is asked for.
func (w *work) whole(p *plan) bool {
	for _, n := range w.Question.Needs {
		left := n.Quantity
		for _, a := range p.parts {
			for _, l := range a.Lines {
				if l.Line == n.Line {
					left -= l.Quantity
				}
			}
		}
		if left != 0 {
			return false
		}
	}
	return true
}

// route asks for a plan in the stock as it stands. It is none when something is short, or when the order may not be served so.
func (s *search) route(w *work, v routing.View) (plan, bool) {
	if s.routes >= s.limits.RoutesMax {
		s.cut = true
		return plan{}, false
	}
	s.routes++
	by := routing.Route(w.Question, v, s.rules, s.now)
	p := plan{parts: by.Assignments, by: by}
	if len(by.Short) > 0 || !w.whole(&p) {
		return plan{}, false
	}
	p.price = s.scale.measure(w.Question, p.parts)
	return p, p.price.may(&w.present.price)
}

// cheapest is the cheaper one of Route's plan and the present one, of those that can be had; at a tie the present one.
func (s *search) cheapest(w *work) (plan, bool) {
	p, ok := s.route(w, s.stock)
	if s.stock.fits(w, &w.present) && (!ok || w.present.price.cost <= p.price.cost) {
		return w.present, true
	}
	return p, ok
}

// fromPresent improves the present plans, order by order and set by set, until nothing gets cheaper.
func (s *search) fromPresent() {
	for range max(s.limits.RoundsMax, 1) {
		alone := s.eachAlone()
		if together := s.inSets(); !alone && !together {
			return
		}
	}
	s.cut = true // the last round still found something
}

func (s *search) eachAlone() (better bool) {
	for _, w := range s.all {
		s.stock.give(w, &w.best)
		if p, ok := s.cheapest(w); ok && p.price.cost < w.best.price.cost {
			w.best, better = p, true
		}
		s.stock.take(w, &w.best)
	}
	return better
}

// inSets tries orders together: one that would be cheaper with the units of others, and those others after it.
func (s *search) inSets() (better bool) {
	for _, w := range s.all {
		wish, ok := s.route(w, s.freed)
		if !ok || wish.price.cost >= w.best.price.cost {
			continue
		}
		holders := s.holders(w, &wish)
		if len(holders) == 0 {
			continue
		}
		for _, other := range holders {
			if s.together(w, other) {
				better = true
				break
			}
		}
		if n := len(holders); n > 1 && wish.price.cost < w.best.price.cost {
			better = s.together(append([]*work{w}, holders[:min(n, s.limits.TogetherMax-1)]...)...) || better
		}
	}
	return better
}

// holders are the other orders that hold units where the wish needs some and there are not enough, those to whom they are owed least first.
func (s *search) holders(w *work, wish *plan) []*work {
	s.stock.give(w, &w.best)
	defer s.stock.take(w, &w.best)
	type place struct{ sku, site string }
	var missing []place
	for _, a := range wish.parts {
		for _, l := range a.Lines {
			if sku := w.sku(l.Line); s.stock.atp(sku, a.Site) < l.Quantity {
				missing = append(missing, place{sku, a.Site})
			}
		}
	}
	var list []*work
	for _, other := range slices.Backward(s.all) {
		if other == w || len(list) == s.limits.HoldersMax {
			continue
		}
		if slices.ContainsFunc(missing, func(m place) bool { return other.best.gives(other, m.sku, m.site) > 0 }) {
			list = append(list, other)
		}
	}
	return list
}

// gives counts the units of a SKU that a plan takes from a site.
func (p *plan) gives(w *work, sku, site string) (units int64) {
	for _, a := range p.parts {
		if a.Site != site {
			continue
		}
		for _, l := range a.Lines {
			if w.sku(l.Line) == sku {
				units += l.Quantity
			}
		}
	}
	return units
}

// together plans a set of orders anew, one after the other, and keeps what comes out if it is cheaper.
func (s *search) together(set ...*work) bool {
	if s.sets >= s.limits.SetsMax || len(set) > s.limits.TogetherMax {
		s.cut = s.cut || s.sets >= s.limits.SetsMax
		return false
	}
	s.sets++
	before := int64(0)
	for _, w := range set {
		before += w.best.price.cost
		s.stock.give(w, &w.best)
	}
	found, after := make([]plan, 0, len(set)), int64(0)
	for _, w := range set {
		p, ok := s.cheapest(w)
		if !ok {
			break
		}
		after += p.price.cost
		s.stock.take(w, &p)
		found = append(found, p)
	}
	if len(found) == len(set) && after < before {
		for i, w := range set {
			w.best = found[i]
		}
		return true
	}
	for i := range found {
		s.stock.give(set[i], &found[i])
	}
	for _, w := range set {
		s.stock.take(w, &w.best)
	}
	return false
}

// fromScratch plans everything anew, and keeps that if it is cheaper. An order that finds no place stays where it is, and the others begin again.
func (s *search) fromScratch() {
	stays := make([]bool, len(s.all))
	for range max(s.limits.RoundsMax, 1) {
		at, plans, left := s.anew(stays)
		if at >= 0 {
			stays[at] = true
			continue
		}
		sum := int64(0)
		for i := range plans {
			sum += plans[i].price.cost
		}
		if plans != nil && sum < s.cost() {
			for i, w := range s.all {
				w.best = plans[i]
			}
			s.stock = left
		}
		return
	}
}

// anew plans everything from an empty yard, but for the orders that stay. at is the first one without a place, -1 = all have one.
func (s *search) anew(stays []bool) (at int, plans []plan, left *stock) {
	kept := s.stock
	defer func() { s.stock = kept }()
	s.stock = newStock(s.view, s.now)
	for i, w := range s.all {
		if !stays[i] {
			s.stock.give(w, &w.present)
		}
	}
	plans = make([]plan, len(s.all))
	for i, w := range s.all {
		if plans[i] = w.present; stays[i] {
			continue
		}
		p, ok := s.cheapest(w)
		if s.routes >= s.limits.RoutesMax {
			return -1, nil, nil
		}
		if !ok {
			return i, nil, nil
		}
		plans[i] = p
		s.stock.take(w, &p)
	}
	return -1, plans, s.stock
}

func (s *search) cost() (sum int64) {
	for _, w := range s.all {
		sum += w.best.price.cost
	}
	return sum
}

// undo lets orders stay that gain nothing and whose units nobody else has taken.
func (s *search) undo() {
	for again := true; again; {
		again = false
		for _, w := range s.all {
			if w.best.by == nil {
				continue
			}
			s.stock.give(w, &w.best)
			if same(w.best.parts, w.Present) || w.present.price.cost <= w.best.price.cost && s.stock.fits(w, &w.present) {
				w.best, again = w.present, true
			}
			s.stock.take(w, &w.best)
		}
	}
}

// same says that two plans are one.
func same(a, b []*messages.Assignment) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(x *messages.Assignment) bool {
		return !slices.ContainsFunc(b, func(y *messages.Assignment) bool {
			return x.Site == y.Site && slices.EqualFunc(x.Lines, y.Lines, func(l, m *messages.LineQuantity) bool {
				return l.Line == m.Line && l.Quantity == m.Quantity
			})
		})
	})
}
