package sweep

import (
	"cmp"
	"slices"

	"orderyard/messages"
	"orderyard/routing"
)

// stock is the view with what the plans at hand give back and take. It implements routing.View.
type stock struct {
	routing.View
	now   int64
	own   map[string][]routing.SiteStock // SKUs that were touched
	extra map[string]int64               // fulfillment orders that moves bring to a site
	sites map[string]*routing.Site       // of these, with their counts
}

func newStock(v routing.View, now int64) *stock {
	return &stock{View: v, now: now, own: map[string][]routing.SiteStock{}, extra: map[string]int64{}, sites: map[string]*routing.Site{}}
}

// Stock implements routing.View.
func (s *stock) Stock(sku string) []routing.SiteStock {
	if rows, touched := s.own[sku]; touched {
		return rows
	}
	return s.View.Stock(sku)
}

// Site implements routing.View: a site that moves bring work to has less room than it says.
func (s *stock) Site(id string) (*routing.Site, bool) {
	n := s.extra[id]
	if n == 0 {
		return s.View.Site(id)
	}
	if site := s.sites[id]; site != nil {
		return site, true
	}
	site, ok := s.View.Site(id)
	if !ok {
		return nil, false
	}
	fuller := *site
	fuller.Open += n
	if fuller.OpenMax > 0 {
		fuller.OpenLoadPermille = fuller.Open * 1000 / fuller.OpenMax
	}
	s.count(&fuller.Hour, n)
	s.count(&fuller.Day, n)
	s.sites[id] = &fuller
	return &fuller, true
}

// count brings work to a window; one that has passed begins anew. What nobody told stays unknown.
func (s *stock) count(w *routing.Window, n int64) {
	switch {
	case w.Until == 0:
	case s.now >= w.Until:
		w.Taken, w.Until = n, s.now+1
	default:
		w.Taken += n
	}
}

func row(rows []routing.SiteStock, site string) (int, bool) {
	return slices.BinarySearchFunc(rows, site, func(s routing.SiteStock, id string) int { return cmp.Compare(s.Site, id) })
}

func (s *stock) atp(sku, site string) int64 {
	rows := s.Stock(sku)
	if at, found := row(rows, site); found {
		return rows[at].ATP
	}
	return 0
}

func (s *stock) add(sku, site string, units int64) {
	rows, touched := s.own[sku]
	if !touched {
		rows = slices.Clone(s.View.Stock(sku))
	}
	at, found := row(rows, site)
	if !found {
		rows = slices.Insert(rows, at, routing.SiteStock{Site: site})
	}
	rows[at].ATP += units
	s.own[sku] = rows
}

// give puts the units of a plan back.
func (s *stock) give(w *work, p *plan) { s.book(w, p, 1) }

// take takes them.
func (s *stock) take(w *work, p *plan) { s.book(w, p, -1) }

func (s *stock) book(w *work, p *plan, sign int64) {
	for _, a := range p.parts {
		for _, l := range a.Lines {
			s.add(w.sku(l.Line), a.Site, sign*l.Quantity)
		}
		if p.by != nil && !holds(w.Present, a.Site) {
			s.extra[a.Site] -= sign
			delete(s.sites, a.Site)
		}
	}
}

func holds(parts []*messages.Assignment, site string) bool {
	return slices.ContainsFunc(parts, func(a *messages.Assignment) bool { return a.Site == site })
}

// fits says that all units of a plan are there. Lines may share a SKU, and sites may stand in it twice.
func (s *stock) fits(w *work, p *plan) bool {
	s.take(w, p)
	defer s.give(w, p)
	for _, a := range p.parts {
		for _, l := range a.Lines {
			if s.atp(w.sku(l.Line), a.Site) < 0 {
				return false
			}
		}
	}
	return true
}

// sku is the SKU of a line; "" of a line that is not asked for, which no plan has.
func (w *work) sku(line uint32) string {
	for _, n := range w.Question.Needs {
		if n.Line == line {
			return n.Sku
		}
	}
	return ""
}
